//! Queries of requests: what a client writes is what the service reads.

use std::time::Duration;

use kv::store::{Deadline, End, Etag, Expiry, Glob, Merge, Selection};
use kv::wire::http::millis;
use kv::wire::http::request::*;

/// Values that mean something where they are not written as they ought to be.
const NASTY: [&[u8]; 6] = [b"", b"a&b=c", b"%2F%", b"+ \n", b"\0\xff", b"\xc3\xa4"];

fn query(text: &str) -> Option<&str> {
    Some(text.strip_prefix('?').unwrap())
}

fn waits() -> impl Iterator<Item = Wait> {
    let untils = [Until::There, Until::Gone, Until::Changed(Etag(0xabc))];
    let times = [0, 1, 50_000, u64::from(u32::MAX)].map(Duration::from_millis);
    untils
        .into_iter()
        .flat_map(move |until| times.map(|wait| Wait { wait, until }))
}

fn on_keys() -> Vec<OnKey> {
    let values = NASTY.iter().map(|value| Some(value.to_vec()));
    let values: Vec<_> = values.chain([None]).collect();
    let mut all = vec![OnKey::Get, OnKey::Stat, OnKey::Take, OnKey::Append];
    for if_value in values {
        let again = if_value.clone();
        all.extend([OnKey::Put { if_value }, OnKey::Remove { if_value: again }]);
    }
    for by in [i64::MIN, -1, 0, 1, i64::MAX] {
        let ttls = [None, Some(Duration::from_millis(1_500))];
        all.extend(ttls.map(|ttl| OnKey::Incr { by, ttl }));
    }
    let deadline = Deadline::from_millis(1_732_158_611_500).unwrap();
    let expiries = [
        Expiry::Never,
        Expiry::After(Duration::from_millis(90_001)),
        Expiry::At(deadline),
    ];
    all.extend(expiries.map(OnKey::Expire));
    all.extend(waits().map(OnKey::Wait));
    all
}

#[test]
fn every_request_on_a_key_comes_back() {
    for request in on_keys() {
        let text = request.write();
        assert_eq!(OnKey::read(query(&text)), Ok(request), "{text}");
    }
}

#[test]
fn every_request_on_a_namespace_comes_back() {
    use OnNamespace::*;
    let mut all = vec![Push, Drop, Lock, Keep, Free, Holder];
    all.extend(on_keys().into_iter().map(|verb| Key(verb, Some(65_535))));
    for end in [End::First, End::Last] {
        let waits = [0, 1, 60_000].map(Duration::from_millis);
        all.extend(waits.map(|wait| Pop { end, wait }));
    }
    for bits in 0..8 {
        let [json, stop, end] = [1, 2, 4].map(|bit| bits & bit != 0);
        all.push(Batch { json, stop, end });
    }
    let merges = [
        Merge::Overwrite,
        Merge::IfAbsent,
        Merge::Newer,
        Merge::Replace,
    ];
    for now in [false, true] {
        all.extend(merges.map(|merge| Import(merge, now)));
    }
    all.push(Key(OnKey::Take, None));
    for request in all {
        let text = request.write();
        assert_eq!(OnNamespace::read(query(&text)), Ok(request), "{text}");
    }
}

#[test]
fn every_listing_comes_back() {
    let bounds = NASTY.iter().map(|bound| Some(bound.to_vec()));
    let bounds: Vec<_> = bounds.chain([None]).collect();
    for (n, bound) in bounds.iter().enumerate() {
        for bits in 0..16 {
            let [reverse, values, end, limited] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let list = List {
                selection: Selection {
                    glob: limited.then(|| Glob::new(b"a&*[!%]\xff").unwrap()),
                    prefix: bound.clone().unwrap_or_default(),
                    from: bound.clone(),
                    to: bounds[bounds.len() - 1 - n].clone(),
                    reverse,
                    limit: limited.then_some(u64::MAX >> 1),
                    values,
                    keys_only: false,
                },
                inline: values.then_some(65_536),
                end,
            };
            let text = list.write();
            let back = List::read(text.strip_prefix('?')).unwrap();
            assert_eq!(format!("{back:?}"), format!("{list:?}"), "{text}");
        }
    }
    for (n, prefix) in NASTY.into_iter().enumerate() {
        let follow = Follow {
            selection: Selection {
                glob: (n % 2 == 0).then(|| Glob::new(b"a&*[!%]\xff").unwrap()),
                prefix: prefix.to_vec(),
                ..Selection::default()
            },
            now: n % 3 == 0,
        };
        let back = Follow::read(query(&follow.write())).unwrap();
        assert_eq!(format!("{back:?}"), format!("{follow:?}"));
    }
    assert_eq!(read_namespaces(query(&write_namespaces())), Ok(true));
    assert_eq!(read_namespaces(None), Ok(false));
    assert_eq!(read_info(query(INFO)), Ok(()));
}

#[test]
fn a_cursor_is_the_narrower_bound() {
    let list = List::read(Some("from=a&to=z&cursor=bQ")).unwrap();
    assert_eq!(list.selection.from.as_deref(), Some(&b"m"[..]));
    let list = List::read(Some("from=a&to=z&cursor=bQ&reverse")).unwrap();
    assert_eq!(list.selection.to.as_deref(), Some(&b"m"[..]));
    for bad in ["cursor=?", "limit=9223372036854775808", "glob=[", "what=1"] {
        assert!(List::read(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_query_has_known_names_once() {
    let last = OnNamespace::read(Some("op=pop&last")).unwrap();
    let (end, wait) = (End::Last, Duration::ZERO);
    assert_eq!(last, OnNamespace::Pop { end, wait });
    let put = OnKey::read(Some("op=put&if_value=%00+")).unwrap();
    let if_value = Some(b"\0+".to_vec());
    assert_eq!(put, OnKey::Put { if_value });
    for bad in [
        "op=put&c",
        "op=put&if_value=1&if_value=2",
        "op=put&if_value=%",
        "op=put&key=1",
        "op=push",
    ] {
        assert!(OnKey::read(Some(bad)).is_err(), "{bad}");
    }
    // Where what follows the key is the value, it is said where the key ends.
    for bad in ["op=put", "op=append", "op=get&key=x", "op=drop&key=1"] {
        assert!(OnNamespace::read(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_duration_is_never_shorter_than_it_was() {
    assert_eq!(millis(Duration::from_nanos(1)), "1ms");
    assert_eq!(millis(Duration::from_millis(1500)), "1500ms");
}
