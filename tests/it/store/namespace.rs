//! Names of namespaces.

use kv::store::namespace::*;

#[test]
fn accepts_names_and_refuses_paths() {
    for good in ["default", "a b", "häuser", "a.b", &"n".repeat(255)] {
        assert!(good.parse::<Namespace>().is_ok(), "refused {good:?}");
    }
    for (bad, why) in [
        ("", BadNamespace::Empty),
        (".hidden", BadNamespace::Dot),
        ("..", BadNamespace::Dot),
        ("a/b", BadNamespace::Character),
        ("a\nb", BadNamespace::Character),
        (&*"n".repeat(256), BadNamespace::TooLong),
    ] {
        assert_eq!(bad.parse::<Namespace>(), Err(why), "{bad:?}");
    }
}
