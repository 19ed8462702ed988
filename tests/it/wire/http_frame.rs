//! Replies to the commands of a batch: `STATUS BYTES`, a newline, so many bytes, a newline.

use kv::wire::http::frame::*;

#[test]
fn every_reply_comes_back() {
    let all: Vec<u8> = (0..=255).collect();
    let replies = [
        (0, &b""[..]),
        (1, b"\n"),
        (5, b"0 1\n\n"),
        (u8::MAX, &all),
        (0, b""),
    ];
    let mut written = Vec::new();
    for (status, reply) in replies {
        let len = reply.len() as u64;
        write(&mut written, status, len, |out| out.write_all(reply)).unwrap();
    }
    let mut rest = &*written;
    for (status, reply) in replies {
        let (read_status, read_reply, behind) = take(rest).unwrap();
        assert_eq!((read_status, read_reply), (status, reply));
        rest = behind;
    }
    assert_eq!(rest, b"");
    for cut in 0..written.len() {
        let mut rest = &written[..cut];
        let mut whole = 0;
        while let Some((_, _, behind)) = take(rest) {
            (whole, rest) = (whole + 1, behind);
        }
        assert!(whole < replies.len(), "{cut}");
    }
}

#[test]
fn what_is_torn_is_none() {
    for torn in [
        &b""[..],
        b"0",
        b"0 1\n",
        b"0 1\na",
        b"0 1\nab\n",
        b"x 0\n\n",
        b"0 -1\n\n",
        b"777 0\n\n",
        b"0 99999999999999999999\nabc\n",
    ] {
        assert_eq!(take(torn), None);
    }
}
