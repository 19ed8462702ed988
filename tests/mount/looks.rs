//! What the kernel looks for once more, as a number is another file's by now.

use std::thread;

use super::super::change::SetAttr;
use super::*;

/// It would have another number than who looks for it, and the kernel keeps locks by that.
#[test]
fn who_opens_what_has_another_number_since_it_was_found_looks_again() {
    let mut run = Run::new(1);
    let mode = Mode {
        writes: true,
        thread: THREAD,
        ..Mode::default()
    };
    run.other_puts(0, b"value");
    run.open(0, mode, false, false).unwrap();
    let number = run.model.open[0].number;
    run.fake.pass(Duration::from_secs(1));
    run.other_puts(0, b"another");
    run.look(0);
    let opened = run.app.open_file(number, mode);
    assert_eq!(opened.unwrap_err(), Errno::ESTALE);

    // Also where it got that while its turn was waited for.
    let number = run.look(0).unwrap().0;
    let node = run.app.nodes.lock().node(number).unwrap();
    let file = run.app.file_of(&node).unwrap();
    let mode = Mode {
        thread: THREAD - 1,
        ..mode
    };
    let opened = thread::scope(|scope| {
        let waits = run.app.in_turn(&file, |_| {
            let waits = scope.spawn(|| run.app.open_file(number, mode));
            thread::sleep(Duration::from_millis(50));
            run.app.nodes.lock().detach(number, &node);
            Ok(waits)
        });
        waits.unwrap().join().unwrap()
    });
    assert_eq!(opened.unwrap_err(), Errno::ESTALE);
}

/// Others have replaced it, and who had it open has closed it.
#[test]
fn the_kernel_looks_again_where_a_number_is_nothing_any_more() {
    let mut run = Run::new(1);
    run.other_puts(0, b"value");
    run.open(0, Mode::default(), false, false).unwrap();
    let (number, real) = (run.model.open[0].number, run.model.open[0].real);
    run.other_puts(0, b"another");
    assert_ne!(run.look(0).unwrap().0, number);
    run.app.close_file(real).unwrap();
    let change = |changes| run.app.change_attributes((number, None), changes, THREAD);
    let mode = SetAttr {
        mode: Some(0o700),
        ..SetAttr::default()
    };
    assert_eq!(change(mode).unwrap_err(), Errno::ESTALE);
    // Once more it has been replaced between the two steps. It is what nobody can find any more that is changed.
    assert!(change(mode).unwrap().is_gone);
    assert_eq!(change(mode).unwrap_err(), Errno::ESTALE);

    // What would be cut is another file by then.
    let cut = SetAttr {
        size: Some(1),
        ..SetAttr::default()
    };
    assert_eq!(change(cut).unwrap_err(), Errno::ESTALE);
    assert_eq!(change(cut).unwrap_err(), Errno::ESTALE);
}

/// So it does for attributes. None is told of what nobody can find any more, and to set one is to set it on that.
#[test]
fn the_kernel_looks_again_for_what_has_attributes() {
    let mut run = Run::new(1);
    run.other_puts(0, b"value");
    let own = Mode {
        thread: THREAD - 1,
        ..Mode::default()
    };
    run.open(0, own, false, false).unwrap();
    let (number, real) = (run.model.open[0].number, run.model.open[0].real);
    run.other_puts(0, b"another");
    let now = run.look(0).unwrap().0;
    let expires = OsStr::new("user.kv.expires");
    let set = |by| run.app.set_xattr((by, THREAD), expires, b"1h", 0);

    // Who has it open has no other name to look for.
    assert_eq!(run.app.xattrs((number, THREAD - 1)).unwrap(), b"");
    run.app.close_file(real).unwrap();

    for _ in 0..2 {
        assert_eq!(set(number).unwrap_err(), Errno::ESTALE);
        assert_eq!(set(number), Ok(()));
        let get = || run.app.xattr((number, THREAD), expires).unwrap_err();
        assert_eq!((get(), get()), (Errno::ESTALE, Errno::ENOENT));
        let list = || run.app.xattrs((number, THREAD)).unwrap_err();
        assert_eq!((list(), list()), (Errno::ESTALE, Errno::ENOENT));
    }
    assert_eq!(set(now), Ok(()));
    assert_eq!(run.app.xattrs((now, THREAD)).unwrap(), b"user.kv.expires\0");

    // Others remove it when the kernel has found it.
    let whose = Namespace::default();
    _ = run
        .fake
        .remove(&whose, &key(0), &Condition::Always, &run.fake);
    let list = || run.app.xattrs((now, THREAD)).unwrap_err();
    assert_eq!((list(), list()), (Errno::ESTALE, Errno::ENOENT));
    assert_eq!(set(now).unwrap_err(), Errno::ESTALE);
}

/// As where others make it anew between the two looks of the kernel.
#[test]
fn who_has_looked_again_and_found_nothing_is_not_told_of_a_stale_file() {
    let run = Run::new(1);
    let mode = Mode {
        thread: THREAD,
        ..Mode::default()
    };
    let open = || run.app.open_file(12345, mode).unwrap_err();
    assert_eq!(open(), Errno::ESTALE);
    told::note_missing(&run.app, THREAD);
    assert_eq!(open(), Errno::ENOENT);
    assert_eq!(open(), Errno::ESTALE);
}
