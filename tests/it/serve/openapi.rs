//! The description that the service gives of itself.

use serde_json::Value;

use super::client::Server;
use crate::harness::Sandbox;

#[test]
fn every_path_is_described_and_no_reference_leads_nowhere() {
    let kv = Sandbox::new();
    kv.put("k", "v");
    let server = Server::of(&kv, &[]);
    let answer = server.ask("GET /openapi.json", &[], b"").is(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let described: Vec<(&str, Vec<&str>)> = paths
        .iter()
        .map(|(path, methods)| {
            let methods = methods.as_object().unwrap().keys().map(String::as_str);
            (path.as_str(), methods.collect())
        })
        .collect();
    let want = [
        ("/", vec!["get"]),
        ("/get", vec!["post"]),
        ("/healthz", vec!["get"]),
        ("/metrics", vec!["get"]),
        ("/openapi.json", vec!["get"]),
        ("/set", vec!["post"]),
        ("/v1", vec!["get"]),
        ("/v1/{namespace}", vec!["get", "post"]),
        (
            "/v1/{namespace}/{key}",
            vec!["delete", "get", "head", "post", "put"],
        ),
    ];
    for (path, mut methods) in want.clone() {
        let (_, found) = described.iter().find(|(other, _)| *other == path).unwrap();
        let mut found = found.clone();
        found.sort_unstable();
        methods.sort_unstable();
        assert_eq!(found, methods, "{path}");
        // What is described is there, and what is not is refused as such.
        let path = path.replace("{namespace}", "default").replace("{key}", "k");
        let unknown = server.ask(&format!("PATCH {path}?a=b"), &[], b"");
        assert_eq!(unknown.code, 405, "{path}");
        let known = format!("{} {path}", methods[0].to_uppercase());
        assert_ne!(server.ask(&known, &[], b"").code, 405, "{path}");
    }
    assert_eq!(described.len(), want.len(), "{described:?}");
    let text = answer.text();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    // The verbs are those that are refused by no other name.
    for (path, verbs) in [("/v1/{namespace}/{key}", 7), ("/v1/{namespace}", 13)] {
        let parameters = paths[path]["post"]["parameters"].as_array().unwrap();
        let op = parameters
            .iter()
            .find(|found| found["name"] == "op")
            .unwrap();
        let names = op["schema"]["enum"].as_array().unwrap();
        assert_eq!(names.len(), verbs, "{names:?}");
        let path = path.replace("{namespace}", "default").replace("{key}", "k");
        for name in names {
            let request = format!("POST {path}?op={}", name.as_str().unwrap());
            let answer = server.ask(&request, &[], b"");
            assert!(!answer.text().contains("there is no `op="), "{request}");
        }
    }
}
