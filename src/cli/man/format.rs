//! kv-format(5): a store on disk, for whoever reads or keeps one without kv. Packs, the tables of
//! SQLite and what servers hold have files of their own.

use super::Block::{Code, Item, Table, Text};
use super::Section;
use super::packs::PACKS;
use super::servers::SERVERS;
use super::tables::TABLES;

/// Reads what is not packed with three programs that every system has. The tests run it as it
/// stands here.
pub const SHELL_READER: &str = r#"# kv_file DIR KEY: print the path of the file of KEY's entry
kv_file() {
    printf '%s/objects/' "$1"
    printf %s "$2" | sha1sum | sed 's|^\(..\)\(.\{38\}\).*|\1/\2|'
}

# kv_value DIR KEY [NOW]: print the value; NOW is in milliseconds
# Status 1: no such key; 4: it may be in a pack, or is no entry
kv_value() (
    file=$(kv_file "$1" "$2")
    if [ ! -f "$file" ]; then
        [ ! -e "$1/packs" ] || exit 4
        exit 1
    fi
    read -r magic etag modified expires flags rest < "$file"
    [ "$magic" = kv1 ] || exit 4
    [ "$flags" = 00 ] || exit 1
    [ "$expires" -eq 0 ] || [ "$expires" -gt "${3:-0}" ] || exit 1
    tail -n +3 "$file"
)

# kv_keys DIR: print the second line of each loose entry, in no order
kv_keys() (
    for file in "$1"/objects/*/*; do
        [ -f "$file" ] || continue
        sed -n '1{/^.\{57\}00 /!q;};2{p;q;}' "$file"
    done
)
"#;

/// The fields of an entry's first line: name, offset in the line, characters, form, meaning.
pub const FIELDS: &[&[&str]] = &[
    &["Field", "At", "Width", "Form", "Meaning"],
    &["magic", "0", "3", "text", "`kv1`"],
    &[
        "etag",
        "4",
        "16",
        "hex",
        "64 random bits, new with every write",
    ],
    &[
        "modified",
        "21",
        "19",
        "decimal",
        "Nanoseconds since 1970-01-01 UTC",
    ],
    &[
        "expires",
        "41",
        "15",
        "decimal",
        "Milliseconds since 1970-01-01 UTC; 0 is never",
    ],
    &[
        "flags",
        "57",
        "2",
        "hex",
        "Bit 0: a tombstone, the key is removed",
    ],
    &[
        "key length",
        "60",
        "5",
        "decimal",
        "Bytes of the key before its encoding",
    ],
    &["value length", "66", "19", "decimal", "Bytes of the value"],
    &["value sum", "86", "16", "hex", "XXH3-64 of the value"],
    &[
        "header sum",
        "103",
        "16",
        "hex",
        "XXH3-64 of bytes 0 to 101 and of line two",
    ],
];

const LAYOUT: &str = "\
STORE/                   the store; holds namespaces
  NAMESPACE/             named as --namespace says; else \"default\"
    format               the version of the format
    objects/ab/cdef...   a loose entry; abcdef... is its key's SHA-1
    packs/MANIFEST       which packs there are
    packs/pack-...       a pack: many entries in one file
    locks/ab             the lock of the shard objects/ab
    locks/ab.turn        a queue, which decides nothing
    locks/gc             the maintenance lock, and when gc last ran
    locks/list           of a list: its lock
    list/                of a list: between which numbers it is
    named/               the locks of kv lock and kv memo
    tmp/                 files being written
    spare/               two empty files, for gc on a full disk
    expiry/              hints: which entry expires when
    lost/                what kv fsck --repair moved away";

/// The sections of kv-format(5) behind NAME.
pub const FORMAT: &[Section] = &[
    Section {
        title: "DESCRIPTION",
        blocks: &[
            Text(
                "A store is a directory, unless it is one in SQLite or on servers (see SQLITE and REDIS \
                 below). In it each key has a file of its own, a loose entry, until \
                 it is packed with others by `kv gc` or a bulk import. All of it but the values \
                 themselves and packs is text, so that a store can be read without `kv`(1).",
            ),
            Code(LAYOUT),
            Text(
                "A shard is one of 256 directories, named by the first two hexadecimal digits of \
                 the SHA-1 of a key; the other 38 digits are the name of the file. Digits are lower \
                 case. Directories of shards and their lock files are made when they are needed and \
                 never removed. Symbolic links below the store are not followed, and what else lies \
                 in STORE is left alone, unless its name begins with `.new-` or `.gone-`.",
            ),
            Text(
                "The file `format` has three lines, and a namespace is used only if they are these:",
            ),
            Code("kv 1\nhash sha1\nshards 256"),
            Text(
                "Any other version is refused with status 4. A directory that is not empty but has no \
                 `format` is damaged.",
            ),
        ],
    },
    Section {
        title: "LOOSE ENTRIES",
        blocks: &[
            Text(
                "The file of an entry is two lines of text and then the value, byte for byte, to the end of the file:",
            ),
            Code(
                "kv1 ETAG MODIFIED EXPIRES FLAGS KEYLEN VALUELEN VALUESUM HEADERSUM\n\
                 KEY\n\
                 VALUE",
            ),
            Text(
                "The first line has 120 bytes, its newline included. Its fields are separated by \
                 single blanks, and each has all its digits, with zeros in front; hexadecimal digits \
                 are lower case.",
            ),
            Table(FIELDS),
            Text(
                "The second line is the key. The bytes 00 to 1F, 7F and `%`, and bytes that are not \
                 part of valid UTF-8, are written as `%` and two upper-case hexadecimal digits; all \
                 others stand for themselves. A key has exactly one encoding, and any other is \
                 damage. A key has 1 to 65,535 bytes.",
            ),
            Text(
                "The checksums are XXH3 with 64 bits and seed 0, as `xxhsum -H3` prints them. That \
                 of the header covers the first line up to the blank before it and, directly behind, \
                 the second line without its newline. They find accidents, not attacks.",
            ),
        ],
    },
    Section {
        title: "READING",
        blocks: &[
            Text(
                "A name under `objects` is a whole entry at every moment, so a reader takes no lock. \
                 What it says counts, and not what packs hold of the key; only if there is no such \
                 name are they asked, as PACKS below says. It must check, in this order:",
            ),
            Item(
                "Version",
                "`kv` and a number other than 1: written by a newer version.",
            ),
            Item(
                "Header",
                "The header sum matches. Only then does any field mean anything.",
            ),
            Item(
                "Flags",
                "A bit that the reader does not know: written by a newer version. Bit 0: there is no \
                 such key, and nothing older may be shown for it.",
            ),
            Item(
                "Key",
                "The second line is the encoding of the key that was asked for, and the key length \
                 is its length. Another sound key is one with the same SHA-1; it is never \
                 overwritten.",
            ),
            Item(
                "Size",
                "The size of the file is 120, plus the second line with its newline, plus the value \
                 length.",
            ),
            Item(
                "Expiry",
                "Unless it is 0, the entry is absent from that millisecond on, whether or not its \
                 file is still there.",
            ),
            Item("Value", "The value sum matches."),
            Text(
                "Where only the value matters, these shell functions read the loose entries of a \
                 namespace, whose directory is DIR, with `sha1sum`(1), `sed`(1) and `tail`(1) alone. \
                 Where `kv gc` and bulk imports never ran, these are all there are:",
            ),
            Code(SHELL_READER),
            Text("For example:"),
            Code("kv_value ~/.local/share/kv/default color \"$(date +%s)000\""),
        ],
    },
    PACKS,
    TABLES,
    SERVERS,
    Section {
        title: "WRITING",
        blocks: &[
            Text(
                "Nothing is updated in place: every change is a rename or an unlink of one name \
                 under `objects`, under the lock of its shard, or the rename of `packs/MANIFEST`.",
            ),
            Text(
                "A writer makes a file with a random name in `tmp`, holds a lock on it while it \
                 lives, writes the entry and syncs it. Then it locks the shard, looks at what the \
                 key holds, renames the file over the name of the entry, unlocks the shard and \
                 syncs its directory. Only then does the command end with status 0. A removal \
                 locks, unlinks, unlocks and syncs the directory; where the name would uncover what a \
                 pack holds of the key, a tombstone is renamed over it instead. With `--sync off` these syncs are \
                 left out. There is no recovery: whenever a writer dies, what it leaves is a store.",
            ),
            Text(
                "A file in `tmp` that is older than a minute and that nobody has locked was left by \
                 a writer that died. Puts with a time to live remove such files.",
            ),
            Text(
                "A namespace is built as `.new-` and 16 random digits in STORE, synced, and renamed \
                 to its name; STORE and the directories above are synced. To remove one, all its \
                 locks are taken, it is renamed to `.gone-` and 16 random digits, and deleted. \
                 What a killed process left of either is deleted when the next namespace is made, \
                 `.new-` names only when they are older than a minute.",
            ),
        ],
    },
    Section {
        title: "LOCKS",
        blocks: &[
            Text(
                "Locks are those of `flock`(2) on files in `locks`. The kernel frees them when their \
                 holder dies. A lock file is never removed, and who gets a lock looks whether the \
                 file is still the one at its path: if not, the namespace was removed meanwhile.",
            ),
            Item(
                "`locks/ab`",
                "Held by whoever changes a name in `objects/ab`. The file has one byte once the \
                 directory of the shard, and all above it up to STORE, are known to survive a power \
                 cut; while it is empty, a writer with `--sync full` syncs `objects`, the namespace \
                 and STORE before its first rename.",
            ),
            Item(
                "`locks/gc`",
                "Held by whoever changes packs or removes what it did not write: `kv gc`, bulk imports \
                 and removals, the removal of a namespace, and, shared with others of its kind, a put \
                 that clears away what has expired. It is taken before the locks of shards, and those \
                 in ascending order. The file is empty, or holds 20 decimal digits and a newline: the \
                 nanoseconds since 1970-01-01 UTC at which that collection of garbage began that came \
                 to its end last. This is for people, and never synced.",
            ),
        ],
    },
    Section {
        title: "EXPIRY HINTS",
        blocks: &[Text(
            "A file in `expiry` is named by a time in milliseconds, with 15 digits, at which all \
                 that it names is due. Each of its lines is when an entry expires, 15 digits, a \
                 blank, and the SHA-1 of its key, 40 digits. Lines are appended and never synced. \
                 They tell a sweep where to look and are never trusted: the header of the entry \
                 decides, and without hints an expired entry takes space but is absent all the same.",
        )],
    },
    Section {
        title: "LISTS",
        blocks: &[
            Text(
                "An element of a list is an entry whose key is a number of 20 decimal digits, up to \
                 18446744073709551614; their order is that of the keys. Between which numbers all of \
                 them are says the name of the only file in `list`, which is empty:",
            ),
            Code("FIRST-END"),
            Text(
                "No element has a number below FIRST, or from END on; both have 20 digits. Numbers in \
                 between may be missing, so whoever adds or takes an element looks for the last or the \
                 first. `locks/list` is held meanwhile, between `locks/gc` and the locks of shards in \
                 their order.",
            ),
            Text(
                "The file is renamed, and `list` synced whatever `--sync` says, before an element beyond \
                 its range gets its name: END is 64 numbers further then, so that few pushes sync it. The \
                 range is narrowed past 64 missing numbers or more, when the directories of their shards \
                 have been synced, so that no element comes back outside of it. The file is removed, and \
                 that is synced, before many elements come or go.",
            ),
            Text("`locks/list` holds a note of 63 bytes, which is never synced:"),
            Code("INODE CHANGED NEXT"),
            Text(
                "INODE is the number of the file in `list` and CHANGED the time of its last change (ctime) \
                 in nanoseconds since 1970, when its name was last known to survive a power cut, 20 digits \
                 each, or blanks. If that is another file, as in a copy or in a store that was copied over, \
                 if there are several or none, or if there is a file `ends`, nobody believes the range, \
                 and whoever pushes or pops next counts the elements and makes a new one. NEXT is where \
                 to look for the next number first.",
            ),
            Text(
                "The file `ends` is what earlier versions of kv keep instead. It is removed when a \
                 range is made. Such a version may still push and pop; elements that it puts by their keys \
                 or imports may be outside of the range of a later one, which `kv fsck --repair` heals.",
            ),
        ],
    },
    Section {
        title: "PERMISSIONS",
        blocks: &[Text(
            "All below the store has the permissions of its directory: directories those and \
                 its set-group-ID bit, files those for reading and writing, whatever the umask. kv \
                 makes a store with mode 0700, so its files have 0600; a store that was made by \
                 `mkdir -m 2770 STORE` is one for a group. For reading, a store that cannot be \
                 written will do.",
        )],
    },
    Section {
        title: "COPYING",
        blocks: &[
            Text(
                "A store that nobody uses can be copied, moved and archived like any directory. This is a copy of a namespace in use:",
            ),
            Code("flock NAMESPACE/locks/gc cp -a NAMESPACE DEST"),
            Text(
                "While `locks/gc` is held nothing is cleared away or packed, and no namespace removed. Each \
                 entry is copied whole, old or new, as a file is never changed once it has its name; \
                 entries that are written or removed meanwhile may be in the copy or not, and \
                 `cp`(1) complains of a file that went before it came to it. Drafts in `tmp` are \
                 copied too and are litter there. `flock`(1) makes the lock file where there is \
                 none: in a store for a group, say `umask 007` first.",
            ),
        ],
    },
];
