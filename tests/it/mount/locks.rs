//! Locks of flock(2) and fcntl(2) on files of a mount.

use kv::exit::Exit;

use super::on_each;
use crate::harness::Engine;

const MOST: &[Engine] = &[Engine::Tree, Engine::Sqlite, Engine::Http];

/// Who opens a file, in which way and order whatsoever, and locks it, excludes all others who do.
#[test]
fn a_lock_holds_however_a_file_was_opened() {
    on_each(&MOST[..2], |kv, mount| {
        let script = "timeout 300 python3 -c \"import fcntl, itertools, os
ways = {'>': os.O_WRONLY | os.O_TRUNC, '>>': os.O_WRONLY | os.O_APPEND, '<': os.O_RDONLY, '<>': os.O_RDWR,
        'w+': os.O_RDWR | os.O_TRUNC}
def opened(way): return os.open('lock', ways[way] | os.O_CREAT, 0o666)
def tries(lock, f, way):
    # Only who can write takes an exclusive lock of fcntl(2).
    shared = lock == fcntl.lockf and way == '<'
    try: lock(f, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError: return False
    return True
def in_child(act):
    child = os.fork()
    if not child: os._exit(not act())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
count = 0
for one, other, lock, was, writes, at_once in itertools.product(
        ways, ways, (fcntl.flock, fcntl.lockf), (None, '', 'was'), (False, True), (False, True)):
    if lock == fcntl.lockf and one == other == '<' or writes and one == '<': continue
    # Who has opened a file to read holds what was in it then, and who empties it after that has another.
    if at_once and was and one == '<' and other in ('>', 'w+'): continue
    if was is None:
        try: os.unlink('lock')
        except FileNotFoundError: pass
    else:
        with open('lock', 'w') as f: f.write(was)
    first = opened(one)
    # The other opens it before or after that is locked.
    second = opened(other) if at_once else None
    assert tries(lock, first, one)
    if writes: os.write(first, b'pid')
    others = lambda: tries(lock, second or opened(other), other)
    if in_child(others): print('both have it:', one, other, lock.__name__, was, writes, at_once)
    # A third one, while it is so.
    if in_child(lambda: tries(lock, opened('>'), '>')): print('a third:', one, other, lock.__name__, was, writes, at_once)
    count += 1
    os.close(first)
    if not in_child(others): print('nobody has it:', one, other, lock.__name__, was, writes, at_once)
    if second: os.close(second)
print(count)\"";
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("530\n");
    });
}

/// As in the examples of flock(1).
#[test]
fn programs_that_lock_a_file_by_a_shell_take_turns() {
    on_each(MOST, |kv, mount| {
        for how in ["9>lock", "9>>lock", "9<>lock"] {
            let script = format!(
                "rm -f lock; echo 0 > c
                for i in 1 2 3 4 5 6; do
                    (flock 9; n=$(cat c); sleep .02; echo $((n+1)) > c) {how} &
                done
                wait; cat c"
            );
            mount.shell(kv, &script).ends(Exit::Success).prints("6\n");
        }
        // Who has it writes into it who that is.
        let script = "for i in 1 2 3 4 5 6; do
                (flock -n 9 || exit 0; echo $BASHPID >&9; echo one; sleep 1) 9>lock &
            done
            wait";
        mount.shell(kv, script).ends(Exit::Success).prints("one\n");
    });
}
