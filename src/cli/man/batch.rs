//! The page of `batch`.

use super::Block::{Code, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[Page {
    command: "batch",
    notes: &[
        Item(
            "Commands",
            "One a line, without `kv`, and quoted as in a shell: `'text'`, `\"text\"`, `\\c` and \
             `$'\\xff'` work as in bash; nothing else is special, and nothing is expanded. A quoted \
             newline goes on, `\\` at the end of a line joins it with the next, and `#` at the \
             beginning of a word begins a comment. With `--json` a line is an array of strings, or \
             of `{\"base64\": ...}` for a word that is not UTF-8.",
        ),
        Item(
            "Which",
            "put, get, remove, ls, has, stat, expire, ttl, incr, append, push, pop and items, with \
             their options. VALUE must be given, as standard input is taken. `--namespace` may stand \
             on a line; the other global options are given to the batch.",
        ),
        Item(
            "Replies",
            "One for each command, in order: its exit status, a blank, a number of bytes and a \
             newline; then so many bytes, which are what the command prints to a pipe, and a \
             newline. A reply is written when the command is done, and durable with `--sync full`. \
             Replies are held back only while there is input to be read: whoever waits for one gets \
             it. A reply begins with its length, so all of it is held in memory: large values are for \
             `kv get` and kv-export(1).",
        ),
        Item(
            "Many puts",
            "More than 1,000 puts that come one behind the other and are there to be read are stored \
             together, as kv-import(1) does it, if they have no option; each still has its own reply.",
        ),
        Item(
            "Errors",
            "A line on standard error names the line of the command. The batch goes on, unless \
             `--stop` is given and the status is 2 or more; its own status is the highest of all. \
             Each command is one atomic step; the batch is not.",
        ),
    ],
    examples: &[
        Text("Several commands, one process:"),
        Code("printf '%s\\n' 'put color green' 'get color' 'incr hits' | kv batch"),
        Text("Any bytes, by JSON:"),
        Code("echo '[\"put\", \"blob\", {\"base64\": \"/wA=\"}]' | kv batch --json"),
        Text("Load a table of plain words:"),
        Code("printf '%s\\n' 'apple red' 'sky blue' | sed 's/^/put /' | kv batch"),
    ],
    see_also: &["kv-put(1)", "kv-get(1)", "kv-import(1)"],
}];
