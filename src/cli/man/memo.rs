//! The page of `memo`.

use super::Block::{Code, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[Page {
    command: "memo",
    notes: &[
        Item(
            "The key",
            "Without KEY it is the command line as it could be typed, and behind a lone `;` what \
             `--cwd`, `--env` and `--modtime` add: so a change of any of these is another run. A \
             variable that is not set differs from an empty one, and so does a file that does not \
             exist from one that does. Of the value of a variable it is the SHA-1, as keys are \
             listed and exported: who can guess the value can check the guess, and cannot read it.",
        ),
        Item(
            "What is remembered",
            "Standard output, standard error and the status of a run that ended with status 0, or \
             with any with `--keep-failures`. A run that a signal ended is never remembered. It is \
             an ordinary key in the namespace `memo`, which `kv -n memo ls` lists and `kv -n memo \
             remove` removes; `-n` names another namespace, KV_NAMESPACE does not.",
        ),
        Item(
            "Several callers at once",
            "One of them runs CMD, and what CMD prints is shown there as it comes. The others wait \
             and get the same. A run that failed is given to those who were waiting when it ended, \
             and to nobody later. If kv is killed, CMD is killed too, and the next one runs it. \
             Through a service or on Redis, a caller that is cut off from the store for 10 seconds \
             may run it beside another.",
        ),
        Item(
            "Growing old",
            "With `--stale` a result older than that is given at once all the same, and one run in \
             the background makes the next; it has nothing of the caller's but environment and \
             working directory. If it fails, the old result stays. A result that is of the future, \
             as the clock was set back or the store is an old backup, counts as too old in any case: \
             without `--stale` CMD is run anew.",
        ),
        Item(
            "A store that cannot be written",
            "CMD is run, and its output and status are passed on, if the store is full or may only \
             be read. One line on standard error says why nothing is remembered.",
        ),
        Item(
            "Output",
            "What CMD prints up to 1 MiB is held in memory until it has ended, and beyond that in a \
             temporary file (TMPDIR). CMD gets no standard input. kv goes on until everybody has \
             closed CMD's outputs, and so waits for what CMD leaves running in the background with \
             them: give such a program outputs of its own.",
        ),
        Item(
            "Signals",
            "They are passed on to CMD as kv-lock(1) tells, and if one kills CMD, kv dies of it too.",
        ),
    ],
    examples: &[
        Text("Ask once an hour, and never make anybody wait for a refresh:"),
        Code("kv memo --ttl 1h --stale 5m -- date +%H:%M"),
        Text("Run again when a file has changed, or in another directory:"),
        Code(
            "echo 'a b c' > words\n\
             kv memo --ttl 1d --cwd --modtime words -- wc -w words",
        ),
        Text("Under a key of one's own, which can be forgotten:"),
        Code(
            "kv memo hosts --ttl 1h -- echo 'one two'\n\
             kv -n memo remove hosts",
        ),
    ],
    see_also: &["kv-lock(1)", "kv-put(1)"],
}];
