//! What `kv memo` remembers of a run: its status and what it printed, in the order in which it came.

use kv::wire::memo::*;

#[test]
fn reads_what_was_written() {
    let head = Head {
        status: 3,
        failed_at: 17,
    };
    let text = head.encode() + &part_line(Stream::Out, 2) + "a\n" + &part_line(Stream::Err, 0);
    let mut input = text.as_bytes();
    assert_eq!(read_head(&mut input).unwrap(), Some(head));
    assert_eq!(read_part_line(&mut input).unwrap(), Some((Stream::Out, 2)));
    input = &input[2..];
    assert_eq!(read_part_line(&mut input).unwrap(), Some((Stream::Err, 0)));
    assert_eq!(read_part_line(&mut input).unwrap(), None);
}

#[test]
fn refuses_what_is_none() {
    for text in [
        "kvmemo2 0 0\n",
        "kvmemo1 0\n",
        "kvmemo1 256 0\n",
        "kvmemo1 0 0 0\n",
        "x\n",
    ] {
        assert_eq!(read_head(&mut text.as_bytes()).unwrap(), None, "{text:?}");
    }
    let endless = "o".repeat(1000);
    for text in ["o\n", "o x\n", "x 1\n", "o 1", &endless] {
        assert!(read_part_line(&mut text.as_bytes()).is_err(), "{text:?}");
    }
}
