//! Command lines as a shell reads them: words, quotes, escapes and comments, but no expansion.

use kv::wire::words::*;

fn split(input: &[u8], piece: usize) -> (Vec<(u64, Words)>, Result<(), Unclosed>) {
    let mut splitter = Splitter::default();
    let mut lines = Vec::new();
    for mut piece in input.chunks(piece) {
        while !piece.is_empty() {
            let (n, line) = splitter.feed(piece);
            lines.extend(line.map(|line| (line.number, line.words)));
            piece = &piece[n..];
        }
    }
    let last = splitter.finish();
    let done = last.map(|last| lines.extend(last.map(|line| (line.number, line.words))));
    (lines, done)
}

#[test]
fn reads_words_as_a_shell_does() {
    let table: &[(&[u8], &[&[u8]])] = &[
        (b"get  k\t", &[b"get", b"k"]),
        (b"put k 'a b'", &[b"put", b"k", b"a b"]),
        (b"put k ''", &[b"put", b"k", b""]),
        (
            b"put 'it'\\''s' \"a\\\"b\\x\"",
            &[b"put", b"it's", b"a\"b\\x"],
        ),
        (
            b"put k $'\\xff\\0\\x0a\\t\\u20ac'",
            &[b"put", b"k", b"\xff\0\n\t\xe2\x82\xac"],
        ),
        (b"put k $'\\x4g\\1012'", &[b"put", b"k", b"\x04gA2"]),
        (
            b"put k $HOME `x` *",
            &[b"put", b"k", b"$HOME", b"`x`", b"*"],
        ),
        (b"put k \"$a\" a$", &[b"put", b"k", b"$a", b"a$"]),
        (b"get a#b # c 'd", &[b"get", b"a#b"]),
        (b"get a\\ b \\\nc", &[b"get", b"a b", b"c"]),
        (b"put k \"x\\\ny\" 'p\nq'", &[b"put", b"k", b"xy", b"p\nq"]),
    ];
    for (input, want) in table {
        for piece in 1..=input.len() {
            let (lines, done) = split(input, piece);
            assert_eq!(done, Ok(()), "{input:?}");
            let want: Words = want.iter().map(|word| word.to_vec()).collect();
            assert_eq!(lines, [(1, want)], "{:?}", String::from_utf8_lossy(input));
        }
    }
}

#[test]
fn counts_lines_and_passes_over_empty_ones() {
    let (lines, done) = split(b"\n# x\n  \na 'b\nc'\nd", 100);
    let numbers: Vec<u64> = lines.iter().map(|(number, _)| *number).collect();
    assert_eq!((numbers, done), (vec![4, 6], Ok(())));
}

#[test]
fn an_open_quote_is_told_with_its_line() {
    for (input, is_quote) in [
        (&b"a\nb 'c\n"[..], true),
        (b"a\nb \"c", true),
        (b"a\nb $'c", true),
        (b"a\nb $'\\x4", true),
        (b"a\nb \\", false),
    ] {
        let err = split(input, 3).1.unwrap_err();
        let what = if is_quote { "quote" } else { "backslash" };
        let is_told = err.to_string().contains(what);
        assert!(err.number == 2 && is_told, "{input:?}: {err:?}");
    }
}
