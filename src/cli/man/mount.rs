//! The page of `mount`.

use super::Block::{Code, Head, Item, Table, Text};
use super::Page;

pub(super) const PAGES: &[Page] = &[Page {
    command: "mount",
    notes: &[
        Head("Names"),
        Text(
            "DIR holds a directory for each namespace, and the one that -n names, `default` if none \
             is, even if it is empty. In it the slashes of keys make directories, and everything \
             between two slashes is a name, byte for byte. What no name can hold is written with a \
             `%`:",
        ),
        Table(&[
            &["name", "what it stands for"],
            &[
                "%value",
                "In a directory: the value of the key that the directory is named after. A key \
                 `a` beside keys `a/...` is the file `a/%value`; without them it is the file `a`.",
            ],
            &["%", "Nothing: the key `a/` is the file `a/%`."],
            &["%2E, %2E%2E", "The parts `.` and `..` of a key."],
            &[
                "...%+",
                "A directory: 253 bytes of a part that has more than 255, and goes on in it.",
            ],
            &[
                "%25...",
                "A part that is itself one of these: the key `%value` is the file `%25value`.",
            ],
        ]),
        Text(
            "Any other `%` is an ordinary character. So every key has one path, every path one key, and \
             whatever name a program makes is the name that it finds again.",
        ),
        Head("Reading"),
        Item(
            "What others change",
            "A file that is opened holds what its key holds then, whole, and goes on holding it, also \
             when it is removed or replaced; but of a large value that others have replaced, what \
             was not read yet may be ESTALE. Whoever reads on at its end, as `tail -f` does, sees what has come since. Names and \
             attributes are believed for up to a second after a directory was listed; otherwise \
             they are looked up. Which directories there are may take as long as listing all \
             keys where many entries are loose (see kv-gc(1)); then they are looked for at most \
             once a second. Expired keys are gone at once.",
        ),
        Item(
            "Attributes",
            "The time of a file is when its value was written. `user.kv.etag` and `user.kv.expires` \
             are extended attributes, see getfattr(1); the latter can be set, to `never`, to a time \
             as kv-stat(1) prints it, or to a duration such as `15m`.",
        ),
        Item(
            "Large values",
            "are read from their beginning on, in little memory. A read that goes back by more than \
             1 MiB moves the whole value to a temporary file first. The checksum is of the whole: of \
             a damaged value the last part is never given away, but EIO, and nothing after that; \
             what was read before may be wrong. So only who has read to the end has read what was \
             written.",
        ),
        Head("Writing"),
        Item(
            "When it is stored",
            "What was written becomes the value in one step when whoever has opened the file closes \
             it, or when anybody syncs it, with fsync(2); `close` and `fsync` tell what went \
             wrong. The expiry stays as it is. Until then only those see it who read the file \
             here. A writer that a signal kills leaves the value as it was. More than 1 MiB of it \
             is kept in a file without a name in TMPDIR.",
        ),
        Item(
            "When others change it too",
            "Who has emptied a file, by `>` or ftruncate(2), stores the whole: the last one to close \
             it wins, with all of it. Who has changed a part stores that only if the key still has \
             the entry that was opened; if others have replaced or removed it, or it has expired, \
             `close` and `fsync` fail with ESTALE, and nothing is stored. Values of several writers \
             never mix, an expiry is never lost, and what was removed stays so unless a whole is \
             written. What is unlinked while it is open is never stored.",
        ),
        Item(
            "Making",
            "With O_EXCL a file is made when it is opened, as an empty value by kv-put(1) with \
             --if-absent, for all who use the store: of several who make a lock file one succeeds. \
             Otherwise a new file is stored when it is closed.",
        ),
        Item(
            "Appending",
            "What was opened for appending alone, as by `>>`, is added as kv-append(1) does it: of \
             several who add to a file at once nothing is lost, and who empties it meanwhile, as \
             `: > log` does, has emptied it.",
        ),
        Item(
            "Renaming",
            "The new name gets the value in one step, with its time and expiry, and then the old one \
             goes: who is killed in between leaves both. A directory is renamed key by key, and \
             what others put into it meanwhile may stay behind.",
        ),
        Item(
            "Times",
            "`touch -d`, `cp -p` and `rsync -a` set when a key was modified. Where the file is closed \
             already that stores the value once more. Times before 1970 or after 2554 are EINVAL.",
        ),
        Item(
            "What is not stored",
            "Empty directories, the time of a directory, and whether a file can be executed are \
             remembered until the store is unmounted; other permissions and owners are accepted \
             and forgotten. There are no links: link(2) and symlink(2) fail with EPERM. At the top \
             only directories can be made, whose names can be namespaces; removing one takes it \
             out of sight, as long as it is empty, and `kv namespaces --remove` removes it.",
        ),
        Item(
            "Litter",
            "Files that editors and desktops leave are kept in memory, for all to see who look into \
             DIR, and never become keys: `.*.sw?` of vim, `.*.kate-swp`, `.#*`, `.~lock.*#`, \
             `.DS_Store`, `._*`, and `.nfs` with digits; and an empty 4913, with which vim tries a \
             directory. Keys of such names that are there stay keys. What is renamed to another \
             name becomes a key.",
        ),
        Head("Who may enter"),
        Text(
            "Nobody but the user who mounted it, root neither, unless --allow-other is given: then \
             every user of the machine can do all that this user can, whatever the modes seem to \
             say. Users other than root need the program `fusermount3`, which is in Debian's package \
             fuse3, and for --allow-other the line `user_allow_other` in /etc/fuse.conf.",
        ),
        Head("When something fails"),
        Text(
            "A store that cannot be reached, or is damaged, is EIO, after as long as `--busy-timeout` \
             allows; a directory is listed as far as it can be, and then fails, so that `rsync \
             --delete` deletes nothing for it, and one that cannot be listed is not renamed; one that is full ENOSPC, and one whose locks others hold EBUSY. A directory or \
             database that was there and is removed is EIO, too, for whatever reads or writes, until \
             somebody makes a store in its place; behind `kv serve` it is an empty store. With \
             --foreground each failure is told on standard error. SIGTERM and SIGINT unmount: files \
             that are open can be used for 5 s more. If kv is killed, what was closed or synced \
             is stored, and the next mount wants DIR to be unmounted first.",
        ),
        Head("At boot"),
        Text(
            "mount(8) mounts a store for a line of /etc/fstab if it finds kv under the name mount.kv: \
             `ln -s /usr/bin/kv /sbin/mount.kv`. The type is `kv`, the first field the store, and \
             options are those of mount(8) and of kv without dashes, with an equals sign before a \
             value. See the examples.",
        ),
        Head("Limits"),
        Text(
            "A mount inside its own store would wait for itself, and is refused. Zeros that a file is \
             extended by take no room before they are stored; more than the disk of the store has \
             free, or TMPDIR where a server has it, is ENOSPC, and df(1) tells what that is. A program that maps a file into memory to write to it (MAP_SHARED) needs Linux 6.6. A \
             process that ends without closing its files has them closed by the kernel, which since \
             Linux 6.2 does not wait for the store; before 6.15 it may not be known either whether a \
             signal has killed it, and then what it wrote is stored.",
        ),
    ],
    examples: &[
        Text("Mount a store at boot, when it is first used: a line of /etc/fstab"),
        Code("# /srv/store /mnt/store kv nofail,x-systemd.automount,allow_other 0 0"),
        Text("Look at a store with everyday tools, and change it:"),
        Code(
            "mkdir mnt\n\
             kv mount mnt\n\
             grep -r green mnt/default\n\
             sed -i s/green/blue/ mnt/default/color\n\
             kv get color\n\
             # vim mnt/default/color\n\
             umount mnt",
        ),
        Text("Copy a directory into a store of its own, and only what is new the next time:"),
        Code(
            "mkdir -p mnt docs\n\
             kv --store sqlite:docs.db mount mnt\n\
             # rsync -a docs/ mnt/default/docs/\n\
             umount mnt",
        ),
    ],
    see_also: &[
        "kv-serve(1)",
        "kv-namespaces(1)",
        "umount(8)",
        "fusermount3(1)",
        "fuse(4)",
    ],
}];
