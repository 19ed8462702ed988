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

/// Three who open a file one after the other, of whom some write a line, sync, or close it and open it again, before
/// they lock it.
#[test]
fn one_of_all_who_have_a_file_open_has_the_lock() {
    on_each(&MOST[..2], |kv, mount| {
        let script = "timeout 300 python3 -c \"import fcntl, itertools, os
ways = {'w': os.O_WRONLY | os.O_TRUNC, 'w+': os.O_RDWR | os.O_TRUNC, 'a': os.O_WRONLY | os.O_APPEND,
        'r': os.O_RDONLY, 'r+': os.O_RDWR}
def acts(step, file):
    if step[0] == 'o': return os.open('lock', ways[step[1:]] | os.O_CREAT, 0o666)
    elif step == 'line': os.write(file, b'pid')
    elif step == 'sync': os.fsync(file)
    elif step == 'flock': fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif step == 'lockf': fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    elif step == 'close': os.close(file)
def serves(steps, answers):
    file = None
    while step := os.read(steps, 9).decode():
        done = b'y'
        try: file = acts(step, file) or file
        except BlockingIOError: done = b'n'
        os.write(answers, done)
    os._exit(0)
class Process:
    def __init__(self):
        (steps, self.steps), (self.answers, answers) = os.pipe(), os.pipe()
        if not os.fork():
            os.close(self.steps)
            serves(steps, answers)
        os.close(steps)
    def does(self, step):
        os.write(self.steps, step.encode())
        return os.read(self.answers, 1) == b'y'
processes = [Process(), Process(), Process()]
def tries(was, steps, lock):
    try: os.unlink('lock')
    except FileNotFoundError: pass
    if was is not None:
        with open('lock', 'w') as f: f.write(was)
    opened, readers = {}, set()
    for who, step in steps:
        if step[0] == 'o':
            # Who has only read what is emptied then has another file.
            if step[1] == 'w' and set(opened.values()) <= {'r'}: readers |= set(opened)
            opened[who] = step[1:]
        if step == 'close': del opened[who]; readers.discard(who)
        if step != 'line' or opened[who] != 'r': processes[who].does(step)
    # Only who can write takes an exclusive lock of fcntl(2).
    able = [who for who in opened if lock == 'flock' or opened[who] != 'r']
    held = [who for who in able if processes[who].does(lock) and who not in readers]
    for who in opened: processes[who].does('close')
    if len(held) > 1: print('both have it:', was, steps, lock, held)
A, B, C = 0, 1, 2
tries('', [(B, 'ow'), (C, 'ow'), (A, 'or+'), (B, 'close'), (C, 'close'), (C, 'oa')], 'flock')
tries('was', [(B, 'ow+'), (C, 'ow+'), (C, 'sync'), (A, 'ow')], 'flock')
# Who writes a file anew, and closes it once another has stored what they hold, replaces that.
late = [(A, 'line'), (A, 'sync'), (B, 'close'), (C, 'ow')]
tries('was', [(B, 'ow'), (B, 'line'), (A, 'ow+'), *late], 'flock')
tries('was', [(B, 'ow'), (B, 'line'), (C, 'ow'), (C, 'close'), (A, 'or+'), *late], 'flock')
between = [[], [(A, 'line')], [(B, 'line')], [(B, 'sync')], [(A, 'line'), (B, 'line'), (B, 'sync')]]
again = [None, A, B]
all = itertools.product(ways, ways, ways, (None, '', 'was'), between, again)
count = 0
# One in so many, which takes every way in each place.
for one, two, three, was, acts_between, closes in itertools.islice(all, 0, None, 7):
    steps = [(A, 'o' + one), (B, 'o' + two), *acts_between, (C, 'o' + three)]
    if closes is not None: steps += [(closes, 'close'), (closes, 'o' + [two, one, 'a'][count % 3])]
    tries(was, steps, ['flock', 'lockf'][count % 2])
    count += 1
print(count)\"";
        let ran = mount.shell(kv, script).ends(Exit::Success);
        ran.prints("804\n");
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
