//! What who has a file open keeps of it as that goes.

use super::*;

/// The one holds what was there before others put something, the other what is there since.
#[test]
fn who_read_two_values_that_were_added_to_keep_each_their_own() {
    let mut run = Run::new(1);
    let adds = Mode {
        writes: true,
        appends: true,
        ..Mode::default()
    };
    run.other_puts(0, b"value");
    run.open(0, Mode::default(), false, false).unwrap();
    run.open(0, adds, false, false).unwrap();
    let of = |run: &Run, at: usize| {
        let real = run.model.open[at].real;
        run.app.files.lock().handle(real).unwrap()
    };
    write::write_file(&run.app, &of(&run, 1), None, b"+", false).unwrap();
    run.model.write(1, None, b"+", false).unwrap();
    run.other_puts(0, b"another");
    run.open(0, Mode::default(), false, false).unwrap();
    run.app.unlink(run.dir, OsStr::new(NAMES[0])).unwrap();
    let read = |at: usize| run.app.read_file(&of(&run, at), (0, 99), false).unwrap();
    assert_eq!(read(0), b"value+");
    assert_eq!(read(2), b"another+");
}

/// What a program is amid of it has, though the key holds another value by then: what was read of it is remembered.
#[test]
fn what_is_being_read_is_kept_though_others_have_replaced_it() {
    let mut run = Run::new(1);
    let value = vec![7; 900_000];
    run.other_puts(0, &value);
    let mode = Mode {
        writes: true,
        ..Mode::default()
    };
    run.open(0, mode, false, false).unwrap();
    let real = run.model.open[0].real;
    let handle = run.app.files.lock().handle(real).unwrap();
    let read = |run: &Run, size| run.app.read_file(&handle, (0, size), false);
    assert_eq!(read(&run, 1000).unwrap(), &value[..1000]);
    run.other_puts(0, b"another");
    run.app.unlink(run.dir, OsStr::new(NAMES[0])).unwrap();
    write::write_file(&run.app, &handle, Some(0), &[8], false).unwrap();
    let read = read(&run, 1_000_000).unwrap();
    assert!(read.len() == value.len() && read[..2] == [8, 7]);
}
