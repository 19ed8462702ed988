//! The description that the service gives of itself: what is described is there, and what is there is
//! described.

use std::collections::BTreeSet;

use serde_json::Value;

use super::client::Server;
use crate::harness::Sandbox;

/// The paths and their methods.
const PATHS: [(&str, &[&str]); 9] = [
    ("/", &["get"]),
    ("/get", &["post"]),
    ("/healthz", &["get"]),
    ("/metrics", &["get"]),
    ("/openapi.json", &["get"]),
    ("/set", &["post"]),
    ("/v1", &["get"]),
    ("/v1/{namespace}", &["get", "post"]),
    (
        "/v1/{namespace}/{key}",
        &["delete", "get", "head", "post", "put"],
    ),
];

#[track_caller]
fn document(server: &Server) -> Value {
    let answer = server.ask("GET /openapi.json", &[], b"").is(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    serde_json::from_slice(&answer.body).unwrap()
}

/// Follows a reference.
fn follow<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            let found = document.pointer(&reference[1..]);
            found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => value,
    }
}

/// Returns the parameters of an operation that stand there: name and description.
fn parameters(document: &Value, path: &str, method: &str, place: &str) -> Vec<(String, String)> {
    let item = &document["paths"][path];
    let lists = [&item["parameters"], &item[method]["parameters"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    all.map(|parameter| follow(document, parameter))
        .filter(|parameter| parameter["in"] == place)
        .map(|parameter| {
            let text = |name: &str| parameter[name].as_str().unwrap_or_default().to_owned();
            (text("name"), text("description"))
        })
        .collect()
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    names.into_iter().map(String::as_str).collect()
}

/// Returns the members that a schema has.
fn members<'a>(document: &'a Value, schema: &str) -> BTreeSet<&'a str> {
    let members = &document["components"]["schemas"][schema]["properties"];
    names(members.as_object().unwrap().keys())
}

/// Returns the words in backticks behind a text.
fn quoted<'a>(text: &'a str, behind: &str) -> BTreeSet<&'a str> {
    let (_, rest) = text.split_once(behind).unwrap_or_else(|| panic!("{text}"));
    rest.split('`').skip(1).step_by(2).collect()
}

fn concrete(path: &str) -> String {
    path.replace("{namespace}", "default").replace("{key}", "k")
}

/// Returns which parameters a request takes, as is told where it has another.
#[track_caller]
fn known(server: &Server, request: &str) -> BTreeSet<String> {
    let separator = if request.contains('?') { '&' } else { '?' };
    let answer = server.ask(&format!("{request}{separator}other=1"), &[], b"");
    let text = answer.is(400).text();
    let known = quoted(&text, "`: use");
    known.into_iter().map(str::to_owned).collect()
}

#[test]
fn every_path_is_described_and_no_reference_leads_nowhere() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let document = document(&server);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(names(paths.keys()), PATHS.map(|(path, _)| path).into());
    let mut ids = BTreeSet::new();
    for (path, methods) in PATHS {
        let described = names(paths[path].as_object().unwrap().keys());
        let described = described.into_iter().filter(|name| *name != "parameters");
        assert_eq!(described.collect::<Vec<_>>(), methods, "{path}");
        for method in methods {
            let id = paths[path][*method]["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} stands there twice");
            let wanted = path.split('{').skip(1);
            let wanted = wanted.map(|rest| rest.split_once('}').unwrap().0);
            let given = parameters(&document, path, method, "path");
            let given = names(given.iter().map(|(name, _)| name));
            assert_eq!(given, wanted.collect(), "{path}");
        }
        // What is described is there, and what is not is refused as such.
        let path = concrete(path);
        let unknown = server.ask(&format!("PATCH {path}?a=b"), &[], b"");
        assert_eq!(unknown.code, 405, "{path}");
        let known = format!("{} {path}", methods[0].to_uppercase());
        assert_ne!(server.ask(&known, &[], b"").code, 405, "{path}");
    }
    let text = document.to_string();
    assert!(text.contains("\"$ref\":\"#"));
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn every_parameter_is_described_and_no_other() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let document = document(&server);
    for path in ["/v1", "/v1/{namespace}"] {
        let given = parameters(&document, path, "get", "query");
        let mut given = names(given.iter().map(|(name, _)| name));
        // It says that something else is wanted.
        given.remove("op");
        given.remove("now");
        let request = format!("GET {}", concrete(path));
        assert_eq!(given, names(&known(&server, &request)), "{path}");
    }
    let info = known(&server, "GET /v1/default?op=info");
    assert_eq!(names(&info), ["op"].into());
    let watch = known(&server, "GET /v1/default?op=watch");
    assert_eq!(names(&watch), ["op", "glob", "prefix", "now"].into());
    // A parameter of a verb says whose it is.
    for path in ["/v1/{namespace}/{key}", "/v1/{namespace}"] {
        let post = document["paths"][path]["post"]["parameters"].as_array();
        let op = post.unwrap().iter().find(|found| found["name"] == "op");
        let ops = op.unwrap()["schema"]["enum"].as_array().unwrap();
        let ops: BTreeSet<&str> = ops.iter().map(|op| op.as_str().unwrap()).collect();
        let request = format!("POST {}", concrete(path));
        let refused = server.ask(&format!("{request}?op=other"), &[], b"").is(400);
        let refused = refused.text();
        let (_, there) = refused.split_once("`: use ").unwrap();
        let there = there
            .split(['"', ';'])
            .next()
            .unwrap()
            .replace(" and ", ", ");
        assert_eq!(ops, there.split(", ").collect(), "{path}");
        let given = parameters(&document, path, "post", "query");
        for op in ops {
            let mine = given.iter().filter(|(name, description)| {
                let whose = description.split(':').next().unwrap().split(", ");
                name == "op" || { whose }.any(|whose| whose == op)
            });
            let mine = names(mine.map(|(name, _)| name));
            let known = known(&server, &format!("{request}?op={op}"));
            assert_eq!(mine, names(&known), "{path} {op}");
        }
    }
    let headers = parameters(&document, "/v1/{namespace}/{key}", "put", "header");
    let ours = headers.iter().filter(|(name, _)| name.starts_with("KV-"));
    assert_eq!(ours.clone().count(), 4);
    for (name, _) in ours {
        let answer = server.ask("PUT /v1/default/k", &[&format!("{name}: 0")], b"v");
        assert!(!answer.text().contains("unknown header"), "{name}");
    }
}

#[test]
fn bodies_are_as_they_are_described() {
    let kv = Sandbox::new();
    let server = Server::of(&kv, &[]);
    let document = document(&server);
    let json = ["Content-Type: application/json"];
    for (schema, request) in [
        ("ObjectRequest", "POST /get"),
        ("ObjectRequest", "POST /set"),
        ("Lock", "POST /v1/default?op=lock"),
        ("Lock", "POST /v1/default?op=free"),
    ] {
        let refused = server.ask(request, &json, b"{\"other\":1}").is(400);
        let text = refused.text();
        let known = quoted(&text, "expected one of");
        assert_eq!(members(&document, schema), known, "{request}");
    }
    let lines = b"{\"key\":\"k\",\"value\":\"v\",\"expires\":\"2999-01-01T00:00:00Z\"}\n\
                  {\"key_base64\":\"/w==\",\"value_base64\":\"/w==\"}\n";
    let imported = server.ask("POST /v1/default?op=import", &[], lines).is(200);
    let refused = server.ask("GET /v1/default/none", &[], b"").is(404);
    let listed = [
        "/v1/default?values=1&end=1",
        "/v1/default?limit=1",
        "/v1?end=1",
    ];
    let listed = listed.map(|path| server.ask(&format!("GET {path}"), &[], b"").is(200).text());
    for (schema, text) in [
        ("Imported", imported.text()),
        ("Refusal", refused.text()),
        ("Listed", listed.concat() + &refused.text()),
    ] {
        let mut found = BTreeSet::new();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            found.extend(line.as_object().unwrap().keys().cloned());
        }
        assert_eq!(members(&document, schema), names(&found), "{schema}");
    }
}
