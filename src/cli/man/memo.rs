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
             exist from one that does.",
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
             and to nobody later. If kv is killed, CMD is killed too, and the next one runs it.",
        ),
        Item(
            "Growing old",
            "With `--stale` a result older than that is given at once all the same, and one run in \
             the background makes the next; it has nothing of the caller's but environment and \
             working directory. If it fails, the old result stays.",
        ),
        Item(
            "Output",
            "What CMD prints up to 1 MiB is held in memory until it has ended, and beyond that in a \
             temporary file (TMPDIR). CMD gets no standard input.",
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
