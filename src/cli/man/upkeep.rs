//! The pages of the commands that look after a store.

use super::Block::{Code, Head, Item, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[
    Page {
        command: "gc",
        notes: &[
            Item(
                "What it does",
                "It deletes drafts of writers that were killed, and entries that have expired; it \
                 evicts what the options ask for; it moves entries with values of up to 16 KiB, that \
                 were written more than an hour ago and do not expire within one, into packs; and it merges \
                 packs where there are many, and where much in them is out of date. A pack is one \
                 file with many entries: it saves the disk block and the inode that each would take, \
                 and a listing need not open every one.",
            ),
            Item(
                "What it does not",
                "Without an option to evict, it changes no answer: each key keeps its value, etag, \
                 time and expiry, and an expired key was absent before. Larger values stay in files \
                 of their own. No other command folds or merges, so `kv put` never has to wait for \
                 that; a store without gc works, and takes more space.",
            ),
            Item(
                "What it needs",
                "It works in rounds, each of which needs space and memory for at most 64 MB of \
                 entries and their index, whatever the store holds. It can work on a file system \
                 that is full: it frees first what needs no space to be freed, and keeps two spare \
                 files in each namespace to give up.",
            ),
            Item(
                "What rests",
                "What was written within the last hour stays in files of its own, as it may be \
                 written again: a counter that counts each minute is never packed. `--now` packs \
                 that too, for who wants the space now.",
            ),
            Item(
                "Beside others",
                "Readers and writers go on. Only who comes with many keys at once, as `kv import` and \
                 `kv remove --stdin` do, waits until it is done, for up to an hour and whatever \
                 `--busy-timeout` says. Of several at once in one namespace one works, and the \
                 others do nothing and end with status 0. Killed at any moment, it leaves a store in \
                 which every key is what it was.",
            ),
            Item(
                "Eviction",
                "What goes first is what was written first, not what was read longest ago: reading \
                 leaves no trace. Of entries written at the same time, keys go in the order of their \
                 bytes. `--max-size` counts the bytes of keys and values, not blocks of the disk, \
                 which `kv info` tells; 0 leaves nothing. Several options all hold.",
            ),
            Item(
                "Looking first",
                "`--dry-run` prints the keys that would be evicted, as `kv ls` prints them, and \
                 nothing else; without an option to evict it prints nothing.",
            ),
            Item(
                "Damage",
                "What is damaged is told, a line each, and left as it is; the work goes on without \
                 it, and the status is 4 at the end. If the list of packs itself is damaged nothing \
                 is deleted. What fails in one namespace keeps no other from being treated; the \
                 status is the highest of all.",
            ),
            Item(
                "How often",
                "Once a day suits most stores, once an hour one that thousands of keys are written to \
                 in an hour. Where there is little to do it takes little. `gc_pays` of `kv info` says \
                 whether it would free much.",
            ),
            Head("From cron"),
            Text(
                "These lines of a crontab(5) look after all namespaces every night, and bound one that \
                 is a cache. There is mail only when something is wrong:",
            ),
            Code(
                "17 4 * * *    kv gc\n\
                 */10 * * * *  kv -n cache gc --evict-older-than 7d --max-size 1G",
            ),
            Head("From systemd"),
            Text(
                "A service and its timer, as `kv-gc.service` and `kv-gc.timer` in \
                 `~/.config/systemd/user`; `systemctl --user enable --now kv-gc.timer` starts them:",
            ),
            Code(
                "[Unit]\n\
                 Description=Keep the kv store small\n\
                 \n\
                 [Service]\n\
                 Type=oneshot\n\
                 ExecStart=/usr/bin/kv gc\n\
                 Nice=19\n\
                 IOSchedulingClass=idle",
            ),
            Code(
                "[Unit]\n\
                 Description=Keep the kv store small, once a day\n\
                 \n\
                 [Timer]\n\
                 OnCalendar=daily\n\
                 RandomizedDelaySec=1h\n\
                 Persistent=true\n\
                 \n\
                 [Install]\n\
                 WantedBy=timers.target",
            ),
        ],
        examples: &[
            Text("Look after every namespace of the store:"),
            Code("kv gc"),
            Text("See what would go from a cache, then let it go:"),
            Code(
                "kv -n cache put page-1 'some text'\n\
                 kv -n cache gc --max-entries 1000 --max-size 64M --dry-run\n\
                 kv -n cache gc --max-entries 1000 --max-size 64M",
            ),
            Text("Forget what is older than a week:"),
            Code("KV_NAMESPACE=cache kv gc --evict-older-than 7d"),
        ],
        see_also: &["kv-info(1)", "kv-put(1)", "kv-format(5)", "crontab(5)"],
    },
    Page {
        command: "fsck",
        notes: &[
            Item(
                "What is looked at",
                "Everything: that each entry is where its key belongs, and its header, its key and \
                 every byte of its value are what their checksums say; the list of packs, every \
                 byte of each pack, and that each record in it is found by its key; the format; the \
                 ends of lists, hints of expiry, lock files and spare files; names that kv knows \
                 nothing of, links, pipes and the like, which are never followed or opened; modes and \
                 owners, which are to be those that the store's directory asks for.",
            ),
            Item(
                "What cannot be seen",
                "A file that is gone leaves no trace, unless a list names it, as it does packs: if \
                 somebody deletes the file of an entry, its key is absent, or is what a pack says. \
                 Checksums find accidents, not attacks.",
            ),
            Item(
                "A line",
                "The severity, the path, what is wrong, in brackets the key if it is known, and with \
                 `--repair` what was done about it. Control characters in it are escaped. Of a pack, \
                 ten damaged records are told one by one; of modes and owners ten files in a \
                 namespace.",
            ),
            Item(
                "`damage`",
                "Something is not what was written, and some command answers status 4 for it, or \
                 would. The status of fsck is 4 as long as there is any.",
            ),
            Item(
                "`warning`",
                "No answer is wrong for it, but somebody ought to look: a file that is none of kv's, a \
                 wrong mode, an entry that a newer kv wrote, hints that are none, records that an \
                 earlier repair could not save. It leaves the status at 0.",
            ),
            Item(
                "`note`",
                "What a process that was killed left. The next `kv gc` sees to it. The status stays 0.",
            ),
            Item(
                "Beside others",
                "A check takes no lock and may run at any time. What looks wrong is looked at again, so \
                 that what others change meanwhile is not told as damage. A repair waits for \
                 `kv gc` and the like as long as `--busy-timeout` says, and keeps them out; readers \
                 and writers go on.",
            ),
            Head("What a repair does"),
            Item(
                "An entry",
                "Its file is moved to `lost`, and its key is absent. If a pack holds an older value \
                 of the key, a mark of removal takes its place, so that the older value does not come \
                 back.",
            ),
            Item(
                "A pack",
                "Its sound records are written to a new pack, which takes its place in the list; the \
                 old one is moved to `lost`. A key whose record is lost goes on to answer status 4, \
                 until it is written or removed: it is not absent, and no older value is shown for \
                 it. Where what was lost cannot be told, that holds of all keys that may have \
                 been there. Such marks stay in their pack, which is not merged any more; `kv export` \
                 and `kv import --replace` write a namespace without them.",
            ),
            Item(
                "The rest",
                "A file `format` and directories that are missing are made anew, lock files that are \
                 none are moved to `lost`, and so are packs that the list does not name. They are \
                 never taken up again, as their keys may have been removed since.",
            ),
            Head("What it does not"),
            Item(
                "It deletes nothing",
                "Names that kv knows nothing of stay where they are, outside of `packs`.",
            ),
            Item(
                "It guesses nothing",
                "A pack that is gone, or of which nothing can be read, stays in the list: without it \
                 older values of its keys would be shown. Put the file back from a backup, or write \
                 or import the keys. If the list itself, `packs/MANIFEST`, is damaged, which of the \
                 packs are newer cannot be told from the packs, and it has to be put back; so has a \
                 directory of entries in whose place something else is, if there are packs. All of \
                 this is told, with status 4.",
            ),
            Item(
                "It changes no modes",
                "A `chmod` is for whoever knows why they differ.",
            ),
            Head("What to do with lost"),
            Text(
                "The name of a file in `lost` is what it was: the SHA-1 of a key, or the name of a \
                 pack, and a random number. kv never looks into the directory. An entry there is text \
                 up to its value, as kv-format(5) tells: `sed -n 2p` prints its key, and \
                 `tail -n +3` what is left of the value. Compare it with a backup, put back what is \
                 worth it with `kv put`, and delete the rest: nothing there is needed any more.",
            ),
        ],
        examples: &[
            Text("Is all well?"),
            Code("kv fsck && echo sound    # sound"),
            Text("Once a week, from a crontab(5); there is mail when something is found:"),
            Code("echo '23 5 * * 0  kv fsck'"),
            Text("Look first, then repair, then see what is left:"),
            Code(
                "kv fsck --repair --dry-run\n\
                 kv fsck --repair\n\
                 kv fsck",
            ),
            Text("Damaged files, for a script that knows JSON:"),
            Code("kv fsck --json | grep '\"severity\":\"damage\"' || echo none    # none"),
        ],
        see_also: &["kv-gc(1)", "kv-import(1)", "kv-info(1)", "kv-format(5)"],
    },
    Page {
        command: "info",
        notes: &[
            Item(
                "`engine`, `location`, `setting`",
                "What keeps the store, where, and which option or variable says so: `--store`, \
                 `KV_STORE`, `XDG_DATA_HOME` or `HOME`. A password in a location is shown as `***`.",
            ),
            Item(
                "`namespace`",
                "Its name; `none yet` before the first write.",
            ),
            Item(
                "`format`",
                "The version of the format on disk, which kv-format(5) explains.",
            ),
            Item(
                "`entries`, `bytes`",
                "Living entries, and the bytes of their keys and values.",
            ),
            Item(
                "`disk_bytes`, `inodes`",
                "The blocks that the file system gave for all of it, in bytes, and files and \
                 directories.",
            ),
            Item(
                "`loose`, `packed`, `packs`",
                "Entries in files of their own, those in packs, and packs. Entries that have expired \
                 and tombstones are among them.",
            ),
            Item(
                "`temporary`",
                "Files of writers that are at work, or were killed.",
            ),
            Item(
                "`tombstones`",
                "Marks that a key was removed which a pack still holds.",
            ),
            Item(
                "`expired`",
                "Entries that have expired, are absent everywhere, and still take space.",
            ),
            Item(
                "`last_gc`, `gc_pays`",
                "When `kv gc` last came to its end, in UTC as in RFC 3339, or `never`; and whether \
                 it would free much now.",
            ),
            Item(
                "`damaged`",
                "What cannot be read, and is counted nowhere else. If there is any, the status is 4.",
            ),
            Item(
                "`evicts`",
                "Of a store on servers of Redis or Valkey: whether one of them drops entries when its \
                 memory is full.",
            ),
            Item(
                "`sizes`, `ages`",
                "How living entries are spread by the bytes of their values, and by the time since \
                 they were written: in each row from one bound on, and below the other. Bounds are \
                 powers of two. A line has 80 columns where there is no terminal.",
            ),
            Item(
                "Missing things",
                "Where there is no store yet, its location is told, and the status is 0. A namespace \
                 that is named and does not exist ends with status 1, in silence.",
            ),
            Item(
                "`--json`",
                "One object a line for each namespace, with the same names and what is told of the \
                 store in each. Numbers are exact, times are text or null, what is unknown is null, \
                 and `gc_pays` is true or false. `sizes` and `ages` are arrays of objects with \
                 `from`, `below` and `count`; bounds of ages are seconds. Without a namespace there \
                 is one object in which `namespace` is null.",
            ),
            Item(
                "Costs",
                "It looks at every entry, and takes no lock: what is written meanwhile may be \
                 counted or not.",
            ),
        ],
        examples: &[
            Text("Find out where the store is, and what is in it:"),
            Code("kv info"),
            Text("Names and sizes of all namespaces:"),
            Code("kv info | sed -n -e 's/^namespace: //p' -e 's/^bytes: /  /p'"),
            Text("One number for a script:"),
            Code("kv -n default info | sed -n 's/^entries: //p'    # 1"),
        ],
        see_also: &["kv-gc(1)", "kv-ls(1)", "kv-namespaces(1)", "kv-format(5)"],
    },
];
