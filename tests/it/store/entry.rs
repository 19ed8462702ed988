//! An entry: what is known of it, and its value.

use kv::store::entry::*;

#[test]
fn an_etag_reads_back() {
    assert_eq!("00000000000000ff".parse(), Ok(Etag(255)));
    assert_eq!(Etag(255).to_string(), "00000000000000ff");
    for bad in ["", "ff", "+0000000000000ff", "00000000000000fg"] {
        assert_eq!(bad.parse::<Etag>(), Err(BadEtag), "{bad:?}");
    }
}

#[test]
fn a_value_is_read_once_and_to_its_end() {
    let whole = || Value::Whole {
        bytes: b"headvalue".to_vec(),
        next: 4,
    };
    assert_eq!(whole().into_vec().unwrap(), b"value");

    let mut value = whole();
    let mut three = [0; 3];
    assert_eq!(value.read(&mut three).unwrap(), 3);
    assert_eq!(value.read(&mut three).unwrap(), 2);
    assert_eq!(value.read(&mut three).unwrap(), 0);
}
