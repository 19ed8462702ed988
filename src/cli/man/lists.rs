//! The pages of the commands on lists.

use super::Block::{Code, Item, Text};
use super::Page;

const NAMES: (&str, &str) = (
    "Names",
    "A list is the namespace of its name. `--namespace` does not scope it: write `app1.jobs`. \
     `default` and `memo` are refused, as what they hold are no elements.",
);

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "push",
        notes: &[
            Item(NAMES.0, NAMES.1),
            Item(
                "Order",
                "What one process pushes comes in the order in which it was pushed; what several \
                 push at once comes in one order for all. An element that was acknowledged with \
                 status 0 is popped once. One whose push was killed is there or not.",
            ),
            Item(
                "Keys",
                "The keys of a list are numbers of 20 digits, so that `ls`, `get`, `expire` and \
                 `remove` work on its elements, and `kv namespaces --remove` on all of it. An \
                 element that is put by such a key takes its place in the order. Other keys in the \
                 namespace are passed over.",
            ),
            Item(
                "Standard input",
                "With `--lines` and `-0` each element is stored before the next is read. Whatever is \
                 behind the last newline, or the last NUL, is an element too. An empty line is an \
                 empty element. When standard input is closed or /dev/null the command is refused \
                 with status 2.",
            ),
            Item(
                "Length",
                "A push takes as long on a list of 100,000 elements as on one of 100.",
            ),
        ],
        examples: &[
            Text("A queue of jobs, from an argument and from a pipe:"),
            Code("kv push jobs 'convert a.png'\nls /etc | kv push jobs --lines\nkv items jobs"),
            Text("Names of files may hold newlines:"),
            Code("find /etc -maxdepth 1 -name 'p*' -print0 | kv push files -0"),
            Text("An element that must not be older than a day when it is taken:"),
            Code(
                "kv push jobs 'mail the report'\n\
                 kv -n jobs expire \"$(kv -n jobs ls --reverse --limit 1)\" 1d",
            ),
        ],
        see_also: &["kv-pop(1)", "kv-items(1)", "kv-namespaces(1)"],
    },
    Page {
        command: "pop",
        notes: &[
            Item(NAMES.0, NAMES.1),
            Item(
                "At most once",
                "The whole element is verified, then it is removed, then it is printed. A taker \
                 that is killed in between, or whose output fails, has lost it; if the output \
                 fails, also because the reader closed the pipe, the status is 5.",
            ),
            Item(
                "Waiting",
                "With `--wait` the process sleeps until the list is changed, where the system can \
                 tell it (inotify(7) on Linux), and takes no processor time. Nothing need exist \
                 before. On a network file system, where nobody tells what other machines do, it \
                 looks again every five seconds, and where the system lets it watch no directory, ten \
                 times a second. `--wait 0` is one try.",
            ),
            Item(
                "Command substitution",
                "`job=$(kv pop jobs)` loses newlines at the end of the element, and a shell cannot \
                 hold NUL. A pipe or a file gets every byte.",
            ),
            Item(
                "Damage",
                "A damaged element ends with status 4 and stays where it is: look at it, then \
                 remove it by its key. `--last` still takes those behind it.",
            ),
        ],
        examples: &[
            Text("Do one job, if there is any:"),
            Code(
                "kv push jobs 'convert a.png'\n\
                 if job=$(kv pop jobs); then echo \"doing: $job\"; fi",
            ),
            Text("Work on a queue in several shells, until nothing came for a while:"),
            Code(
                "seq 5 | kv push jobs --lines\n\
                 worker() {\n\
                 \x20   while job=$(kv pop jobs --wait 200ms); do\n\
                 \x20       echo \"$1: $job\"\n\
                 \x20   done\n\
                 }\n\
                 worker one & worker two & wait",
            ),
            Text("A stack:"),
            Code("kv push dirs \"$PWD\"\ncd \"$(kv pop --last dirs)\""),
        ],
        see_also: &["kv-push(1)", "kv-items(1)", "kv-wait(1)"],
    },
    Page {
        command: "items",
        notes: &[
            Item(NAMES.0, NAMES.1),
            Item(
                "Changes meanwhile",
                "It waits for nobody and is no snapshot: what is pushed or popped while it prints \
                 may or may not be seen.",
            ),
            Item(
                "Records",
                "An element may hold newlines: use `-0` where that matters, or `--json`, which \
                 tells each element's key, time and size as well.",
            ),
            Item(
                "Damage",
                "A damaged element is left out, the others are printed, and the status is 4.",
            ),
        ],
        examples: &[
            Text("Look at a queue, and count what waits in it:"),
            Code(
                "kv push jobs 'convert a.png'\n\
                 kv push jobs 'convert b.png'\n\
                 kv items jobs\n\
                 kv -n jobs ls --count    # 2",
            ),
            Text("Do something for each element, and keep them all:"),
            Code("kv items -0 jobs | xargs -0 -n 1 echo item:"),
            Text("Remove the second element:"),
            Code("kv -n jobs remove \"$(kv -n jobs ls --limit 2 | tail -n 1)\""),
        ],
        see_also: &["kv-push(1)", "kv-pop(1)", "kv-ls(1)"],
    },
];
