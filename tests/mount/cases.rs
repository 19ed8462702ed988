//! Single sequences that are told step by step.

use super::*;

/// Another program may open a file between the two steps in which one that empties it takes its name
/// from its number and empties it.
#[test]
fn who_is_amid_a_value_reads_no_part_of_another() {
    let mut run = Run::new(1);
    run.other_puts(0, b"a value");
    run.open(0, Mode::default(), false, false).unwrap();
    let reader = run.app.files.lock().handle(run.model.open[0].real).unwrap();
    assert_eq!(run.app.read_file(&reader, (0, 2), false).unwrap(), b"a ");
    let mode = Mode {
        writes: true,
        truncates: true,
        ..Mode::default()
    };
    let writer = run.app.open_found(reader.number, mode).unwrap();
    let writer = run.app.files.lock().handle(writer).unwrap();
    write::write_file(&run.app, &writer, Some(0), b"ANOTHER", false).unwrap();
    assert_eq!(run.app.read_file(&reader, (2, 9), false).unwrap(), b"value");
    assert_eq!(
        run.app.read_file(&writer, (0, 9), false).unwrap(),
        b"ANOTHER"
    );
}

/// Who adds to a file has opened no value of it, and has one all the same from who shares what is
/// changed.
#[test]
fn who_adds_to_what_is_unlinked_beside_who_reads_and_writes_it_adds_to_what_that_holds() {
    let mut run = Run::new(1);
    run.other_puts(0, b"value");
    for appends in [true, false] {
        let mode = Mode {
            writes: true,
            appends,
            ..Mode::default()
        };
        run.open(0, mode, false, false).unwrap();
    }
    run.other_puts(0, b"other");
    let real = |at: usize| run.model.open[at].real;
    let of = |at: usize| run.app.files.lock().handle(real(at)).unwrap();
    let (adds, both) = (of(0), of(1));
    run.app.unlink(run.dir, OsStr::new(NAMES[0])).unwrap();
    write::write_file(&run.app, &adds, None, b"+", false).unwrap();
    assert_eq!(run.app.read_file(&both, (0, 9), false).unwrap(), b"value+");
}

/// Who only adds holds nothing, and cuts what the key holds by then.
#[test]
fn who_reads_beside_who_adds_and_cuts_another_value_reads_no_part_of_that() {
    let mut run = Run::new(1);
    run.other_puts(0, b"value");
    let mode = Mode {
        writes: true,
        only_writes: true,
        appends: true,
        ..Mode::default()
    };
    run.open(0, mode, false, false).unwrap();
    let of = |run: &Run, at: usize| run.app.files.lock().handle(run.model.open[at].real);
    let adds = of(&run, 0).unwrap();
    write::write_file(&run.app, &adds, None, b"+", false).unwrap();
    run.open(0, Mode::default(), false, false).unwrap();
    let reader = of(&run, 1).unwrap();
    assert_eq!(run.app.read_file(&reader, (0, 2), false).unwrap(), b"va");
    run.app.sync_file(run.model.open[0].real).unwrap();
    run.other_puts(0, b"ANOTHER");
    write::resize_file(&run.app, &adds, 3).unwrap();
    assert_eq!(run.app.read_file(&reader, (2, 9), false).unwrap(), b"lue+");
}

/// A write that fails leaves all as it was.
#[test]
fn who_has_failed_to_cut_or_to_change_what_was_removed_only_adds_to_what_comes() {
    let mut run = Run::new(1);
    run.other_puts(0, b"value");
    let mode = Mode {
        writes: true,
        appends: true,
        ..Mode::default()
    };
    run.open(0, mode, false, false).unwrap();
    let adds = run.app.files.lock().handle(run.model.open[0].real).unwrap();
    let namespace = Namespace::default();
    let removed = run
        .fake
        .remove(&namespace, &key(0), &Condition::Always, &run.fake);
    assert!(removed.unwrap());
    let cut = write::resize_file(&run.app, &adds, 3);
    assert_eq!(cut, Err(Errno::ESTALE));
    let changed = write::write_file(&run.app, &adds, Some(1), b"X", false);
    assert_eq!(changed, Err(Errno::ESTALE));
    run.other_puts(0, b"new");
    write::write_file(&run.app, &adds, None, b"+", false).unwrap();
    run.other_puts(0, b"newer");
    run.app.sync_file(run.model.open[0].real).unwrap();
    assert_eq!(run.fake.look(&key(0)).unwrap().0, b"newer+");
}

/// Who goes on with what is added shares the buffer of who has it open, and holds another value.
#[test]
fn who_joins_while_another_adds_and_changes_what_they_hold_is_shown_nothing_of_others() {
    let mut run = Run::new(1);
    run.other_puts(0, b"a value");
    let mode = |appends| Mode {
        writes: true,
        appends,
        ..Mode::default()
    };
    run.open(0, mode(true), false, false).unwrap();
    run.open(0, mode(false), false, false).unwrap();
    let of = |run: &Run, at: usize| run.app.files.lock().handle(run.model.open[at].real);
    let (adds, before) = (of(&run, 0).unwrap(), of(&run, 1).unwrap());
    write::write_file(&run.app, &adds, None, b"+", false).unwrap();
    run.other_puts(0, b"new");
    run.open(0, mode(false), false, false).unwrap();
    let joined = of(&run, 2).unwrap();
    write::write_file(&run.app, &before, Some(0), b"A", false).unwrap();
    assert_eq!(run.app.read_file(&joined, (0, 9), false).unwrap(), b"new+");
    write::write_file(&run.app, &joined, Some(0), b"N", false).unwrap();
    run.app.sync_file(run.model.open[2].real).unwrap();
    assert_eq!(run.fake.look(&key(0)).unwrap().0, b"New+");
}

/// The kernel passes on that a file is stale when it is so for the second time.
#[test]
fn what_is_gone_once_more_when_it_is_opened_again_is_not_there() {
    let mut run = Run::new(1);
    let mode = Mode {
        thread: 7,
        ..Mode::default()
    };
    let mut told = Vec::new();
    for _ in 0..3 {
        run.other_puts(0, b"value");
        let dir = run.app.nodes.lock().node(run.dir).unwrap();
        let (node, _) = run.app.find(&dir, OsStr::new(NAMES[0])).unwrap();
        let number = run.app.nodes.lock().tell(&node);
        let namespace = Namespace::default();
        let removed = run
            .fake
            .remove(&namespace, &key(0), &Condition::Always, &run.fake);
        assert!(removed.unwrap());
        told.push(run.app.open_file(number, mode).unwrap_err());
    }
    assert_eq!(told, [Errno::ESTALE, Errno::ENOENT, Errno::ESTALE]);
}

/// The kernel looks for a name and opens what it found in two steps.
#[test]
fn what_was_removed_since_it_was_found_is_opened_while_it_is_open() {
    let mut run = Run::new(1);
    let mode = Mode {
        writes: true,
        ..Mode::default()
    };
    run.other_puts(0, b"value");
    run.open(0, mode, false, false).unwrap();
    let handle = run.app.files.lock().handle(run.model.open[0].real).unwrap();
    write::write_file(&run.app, &handle, Some(0), b"V", false).unwrap();
    run.app.unlink(run.dir, OsStr::new(NAMES[0])).unwrap();
    let again = run.app.open_file(handle.number, Mode::default()).unwrap();
    let again = run.app.files.lock().handle(again).unwrap();
    assert_eq!(run.app.read_file(&again, (0, 9), false).unwrap(), b"Value");
}

#[test]
fn what_is_being_stored_is_told_of_once() {
    let mut run = Run::new(1);
    run.other_puts(0, b"00");
    run.open(0, Mode::default(), false, false).unwrap();
    let mode = Mode {
        writes: true,
        only_writes: true,
        appends: true,
        ..Mode::default()
    };
    run.open(0, mode, false, false).unwrap();
    let real = |at: usize| run.model.open[at].real;
    let of = |at: usize| run.app.files.lock().handle(real(at)).unwrap();
    let told = || {
        let dir = run.app.nodes.lock().node(run.dir).unwrap();
        let found = run.app.find(&dir, OsStr::new(NAMES[0])).unwrap().1;
        let told = told::attributes(&run.app, of(0).number, None, THREAD).unwrap();
        (found.size, told.size)
    };
    write::write_file(&run.app, &of(1), None, b"W", false).unwrap();
    assert_eq!(told(), (3, 3));
    let pause = run.fake.pause();
    std::thread::scope(|scope| {
        let stored = scope.spawn(|| run.app.sync_file(real(1)));
        pause.wait();
        assert_eq!(told(), (3, 3));
        pause.wait();
        stored.join().unwrap().unwrap();
    });
    assert_eq!(told(), (3, 3));
    assert_eq!(run.app.read_file(&of(0), (0, 9), false).unwrap(), b"00W");
}

/// What they opened first has gone since: to look again is no step of who adds.
#[test]
fn who_only_adds_is_refused_where_another_has_looked_again_for_what_was_removed() {
    let mut run = Run::new(1);
    let remove = |run: &Run| {
        let namespace = Namespace::default();
        let always = Condition::Always;
        let removed = run.fake.remove(&namespace, &key(0), &always, &run.fake);
        assert!(removed.unwrap());
    };
    let mode = |appends, truncates| Mode {
        writes: true,
        only_writes: true,
        appends,
        truncates,
        thread: THREAD,
        ..Mode::default()
    };
    let of = |run: &Run, at: usize| run.app.files.lock().handle(run.model.open[at].real);
    run.other_puts(0, b"value");
    run.open(0, mode(true, false), false, false).unwrap();
    remove(&run);
    run.model.entries[0] = None;
    run.open(0, mode(false, false), true, true).unwrap();
    let (adds, changes) = (of(&run, 0).unwrap(), of(&run, 1).unwrap());
    write::write_file(&run.app, &changes, Some(0), b"new", false).unwrap();
    remove(&run);
    let again = run.app.open_file(changes.number, mode(false, true));
    assert_eq!(again.unwrap_err(), Errno::ESTALE);
    let added = write::write_file(&run.app, &adds, None, b"+", false);
    assert_eq!(added, Err(Errno::ESTALE));
}

/// The kernel keeps locks by number: who opens the file next would lock it beside who has it open.
#[test]
fn who_reads_and_writes_a_file_has_one_with_all_also_after_another_closes_what_was_begun_before() {
    for truncates in [true, false] {
        let mut run = Run::new(1);
        run.other_puts(0, b"value");
        let mode = |only_writes, truncates| Mode {
            writes: true,
            only_writes,
            truncates,
            ..Mode::default()
        };
        let of = |run: &Run, at: usize| run.app.files.lock().handle(run.model.open[at].real);
        let write = |run: &Run, at: usize, bytes: &[u8]| {
            write::write_file(&run.app, &of(run, at).unwrap(), Some(0), bytes, false).unwrap();
        };
        run.open(0, mode(true, true), false, false).unwrap();
        write(&run, 0, b"late");
        // Another who empties it makes that what all go on with.
        run.open(0, mode(true, true), false, false).unwrap();
        run.app.flush_file(run.model.open[1].real, 0).unwrap();
        run.app.close_file(run.model.open.remove(1).real).unwrap();
        run.open(0, mode(false, truncates), false, false).unwrap();
        write(&run, 1, b"A");
        run.app.sync_file(run.model.open[1].real).unwrap();
        write(&run, 1, b"B");
        if truncates {
            run.app.sync_file(run.model.open[1].real).unwrap();
        }
        run.open(0, Mode::default(), false, false).unwrap();
        run.app.flush_file(run.model.open[0].real, 0).unwrap();
        let numbers = [0, 1, 2].map(|at| run.model.open[at].number);
        assert_eq!(run.look(0).unwrap().0, numbers[1], "{truncates}");
        assert_eq!(numbers, [numbers[0]; 3], "{truncates}");
        for at in [1, 2] {
            let read = run.app.read_file(&of(&run, at).unwrap(), (0, 9), false);
            assert_eq!(read.unwrap(), b"late", "{truncates}");
        }
        write(&run, 1, b"L");
        run.app.flush_file(run.model.open[1].real, 0).unwrap();
        assert_eq!(run.fake.look(&key(0)).unwrap().0, b"Late", "{truncates}");
    }
}

/// Whoever has emptied a file and written to it has what was written there when they close it, also where another
/// has changed it beside them in place, and a third closes in between what was begun before.
#[test]
fn who_closes_last_what_was_emptied_and_changed_in_place_beside_it_is_the_one_whose_it_is() {
    let mode = |only_writes, truncates| Mode {
        writes: true,
        only_writes,
        truncates,
        ..Mode::default()
    };
    for in_order in [true, false] {
        let mut run = Run::new(1);
        run.other_puts(0, b"01234567");
        for mode in [mode(true, true), mode(true, true), mode(false, false)] {
            run.open(0, mode, false, false).unwrap();
        }
        let real = [0, 1, 2].map(|at: usize| run.model.open[at].real);
        let [a, b, c] = real.map(|real| run.app.files.lock().handle(real).unwrap());
        write::write_file(&run.app, &a, Some(0), b"E", false).unwrap();
        write::write_file(&run.app, &c, Some(2), b"GGG", false).unwrap();
        write::write_file(&run.app, &b, Some(0), b"BBBBBBBB", false).unwrap();
        let order = if in_order { [0, 1, 2] } else { [0, 2, 1] };
        for at in order {
            run.app.flush_file(real[at], 0).unwrap();
            run.app.close_file(real[at]).unwrap();
        }
        assert_eq!(run.fake.look(&key(0)).unwrap().0, b"BBBBBBBB", "{in_order}");
    }
}

/// So do they where another has added to it in between.
#[test]
fn who_closes_last_what_was_emptied_and_added_to_is_the_one_whose_it_is() {
    let mut run = Run::new(1);
    run.other_puts(0, b"old");
    let mode = |appends: bool| Mode {
        writes: true,
        only_writes: true,
        truncates: !appends,
        appends,
        ..Mode::default()
    };
    let of = |run: &Run, at: usize| {
        let real = run.model.open[at].real;
        (real, run.app.files.lock().handle(real).unwrap())
    };
    run.open(0, mode(false), false, false).unwrap();
    let a = of(&run, 0);
    write::write_file(&run.app, &a.1, Some(0), b"AAAA", false).unwrap();
    run.open(0, mode(false), false, false).unwrap();
    let b = of(&run, 1);
    run.open(0, mode(true), false, false).unwrap();
    let c = of(&run, 2);
    write::write_file(&run.app, &c.1, None, b"x", false).unwrap();
    let close = |real: u64| {
        run.app.flush_file(real, 0).unwrap();
        run.app.close_file(real).unwrap();
    };
    close(c.0);
    write::write_file(&run.app, &b.1, Some(0), b"BBBBBB", false).unwrap();
    close(a.0);
    close(b.0);
    assert_eq!(run.fake.look(&key(0)).unwrap().0, b"BBBBBB");
}

/// A file that was made and not written to is what its key holds, whatever others have made of that.
#[test]
fn what_was_made_and_not_written_to_is_what_others_make_of_it() {
    for exclusive in [true, false] {
        let mut run = Run::new(1);
        let mode = Mode {
            writes: true,
            ..Mode::default()
        };
        run.open(0, mode, true, exclusive).unwrap();
        assert_eq!(run.fake.look(&key(0)).unwrap().0, b"");
        run.other_puts(0, b"theirs");
        let (_, attributes) = run.look(0).unwrap();
        assert_eq!(attributes.size, 6, "{exclusive}");
        let real = run.model.open[0].real;
        run.app.flush_file(real, 0).unwrap();
        run.app.close_file(real).unwrap();
        assert_eq!(run.fake.look(&key(0)).unwrap().0, b"theirs");
    }
}
