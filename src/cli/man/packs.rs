//! The part of kv-format(5) about packs.

use super::Block::{Code, Head, Item, Table, Text};
use super::Section;

const NUMBERS: &[&[&str]] = &[
    &["Name", "Meaning"],
    &["size", "Bytes of the pack"],
    &["records", "How many records it has, tombstones too"],
    &["tombstones", "How many of them are tombstones"],
    &[
        "base",
        "Nanoseconds since 1970-01-01 UTC; no record was modified before",
    ],
    &[
        "first expiry",
        "The lowest time at which a record expires, as records say it; 0 if none ever does",
    ],
    &[
        "index at",
        "The offset at which the records end and the key index begins",
    ],
    &["index length", "Bytes of the key index"],
    &["blocks", "How many blocks of records the key index names"],
    &["index sum", "XXH3 of the key index"],
    &[
        "pages at",
        "The offset of the first hash page, a multiple of 4,096",
    ],
    &["pages", "How many hash pages there are, at least one"],
    &[
        "lost",
        "How many slots and pages are marks of what was lost to damage; 0 but after a repair",
    ],
];

const RECORD: &[&[&str]] = &[
    &["Field", "Bytes", "Meaning"],
    &[
        "sum",
        "8",
        "XXH3 of all of the record that follows, seeded with the number of the pack",
    ],
    &[
        "flags",
        "1",
        "Bit 0: a tombstone, the key is removed. Bit 1: it expires",
    ],
    &["key length", "1-3", "Varint: 1 to 65,535"],
    &[
        "value length",
        "1-3",
        "Varint: at most 16,384; of a tombstone 0",
    ],
    &["modified", "1-10", "Varint: nanoseconds since the base"],
    &[
        "expires",
        "1-10",
        "Varint: milliseconds since 1970-01-01 UTC; there only with bit 1",
    ],
    &["etag", "8", "The etag"],
    &["key", "", "The key as it is, without any encoding"],
    &["value", "", "The value"],
];

const PAGE: &[&[&str]] = &[
    &["Field", "At", "Bytes", "Meaning"],
    &[
        "sum",
        "0",
        "8",
        "XXH3 of the other 4,088 bytes, seeded with the number of the pack plus that of the page, \
         modulo 2^64; pages are counted from 0",
    ],
    &["count", "8", "2", "Slots in use, at most 340"],
    &[
        "flags",
        "10",
        "1",
        "Bit 0: slots are missing, and what is not found in the page is lost",
    ],
    &["", "11", "5", "Zeros"],
    &[
        "slots",
        "16",
        "12 each",
        "In the order of their hashes; behind those in use zeros",
    ],
];

const SLOT: &[&[&str]] = &[
    &["Field", "At", "Bytes", "Meaning"],
    &["hash", "0", "4", "The slot bits of the key"],
    &["offset", "4", "5", "Where its record begins in the pack"],
    &[
        "length",
        "9",
        "3",
        "Bits 0 to 19: bytes of the record. Bit 20: the record was lost",
    ],
];

/// What is in `packs`.
pub(super) const PACKS: Section = Section {
    title: "PACKS",
    blocks: &[
        Text(
            "`kv gc`, and whoever imports, puts or removes more than 1,000 keys at once, write many \
             entries to one file, a pack, which never changes. A namespace that never had a pack has no \
             `packs`. The directory is made as `.packs-` and 16 random digits in the namespace, with \
             a `MANIFEST` inside, and then renamed, so that `packs` without a `MANIFEST` is damaged. \
             A namespace whose `format` is as above may have packs or not.",
        ),
        Text(
            "In packs numbers are little-endian. All sums are XXH3 with 64 bits. Where no seed is \
             named, it is 0.",
        ),
        Head("MANIFEST"),
        Text("`packs/MANIFEST` is text, each line with a newline at its end:"),
        Code(
            "kvpacks 1\n\
             pack NAME NUMBERS\n\
             sum SUM",
        ),
        Text(
            "There is a line `pack` for each pack, the newest first, or none at all. SUM is XXH3 of \
             all before the line `sum`, 16 hexadecimal digits in lower case, and nothing follows that \
             line. If the sum is right, but the first line or the first word of another is not as \
             here, a newer version has written it.",
        ),
        Text(
            "NAME is `pack-` and the number of the pack, 64 random bits as 16 hexadecimal digits in \
             lower case; the file `packs/NAME` is the pack. NUMBERS are twelve decimal numbers below \
             2^64 without superfluous zeros, with single blanks before and between them:",
        ),
        Table(NUMBERS),
        Text(
            "A file in `packs` that `MANIFEST` does not name is not part of the store. A pack that it \
             names and that is missing, or has another size, is damage.",
        ),
        Head("The file of a pack"),
        Item(
            "Head",
            "The text `kvpack1` with a newline, and the base in 8 bytes. The first record begins at \
             offset 16.",
        ),
        Item(
            "Records",
            "In the order of their keys by bytes, each key once, one directly behind the other.",
        ),
        Item(
            "Key index",
            "It cuts the records into blocks of 16 KiB or a little more: a block ends before the \
             first record that begins 16,384 bytes or more behind the block's beginning, and 64 times \
             as many as the index has of its key. First there \
             are 12 bytes for each block, 8 for the offset of its first record in the pack and 4 for \
             the offset of its key in what follows. Then come the keys, one directly behind the \
             other: of the first key of each block as many bytes as show that it is behind the key \
             just before it; of the very first key one byte. The last block ends where the records \
             do, and the last key with the index.",
        ),
        Item("Gap", "Zeros up to the first hash page."),
        Item(
            "Hash pages",
            "They tell where the record of a key is, 4,096 bytes each.",
        ),
        Item(
            "Footer",
            "120 bytes: the text `kvfoot1` with a newline; thirteen numbers of 8 bytes, which are the \
             number of the pack and the twelve of its line in `MANIFEST`; and XXH3 of these 112 bytes. \
             A reader that has `MANIFEST` does not need it; before packs are merged, the two are \
             compared.",
        ),
        Head("Records"),
        Table(RECORD),
        Text(
            "A varint has seven bits of a number in each byte, the lowest first; the top bit is set \
             in all its bytes but the last. Only the shortest form is one. If the sum is right and a \
             flag is unknown, a newer version has written the record. The sum has the number of the \
             pack for a seed, so that a record of one pack is none of another.",
        ),
        Head("Hash pages"),
        Table(PAGE),
        Text("A slot:"),
        Table(SLOT),
        Text(
            "The hash of a key is the first 8 bytes of its SHA-1 as a big-endian number. Multiplied by \
             the number of pages it gives 128 bits: the upper 64 are the number of the page, and of \
             the lower 64 the upper 32 are the slot bits. All slots of the page with these bits are \
             looked at, as keys can share them: each points to a whole record, and the key in it \
             decides. Bit 20 says that the \
             record could not be read when the pack was written: whoever comes to such a slot before \
             the key is found meets damage.",
        ),
        Head("Looking up a key"),
        Text("No lock is needed:"),
        Item(
            "1.",
            "If the key has a file in `objects`, that decides, whatever it says: live, expired, a \
             tombstone or damaged.",
        ),
        Item(
            "2.",
            "Read `MANIFEST`, and keep it open. Without `packs` the key is absent.",
        ),
        Item(
            "3.",
            "Look into the packs, the newest first. The first that has a record of the key decides, \
             whatever it says. Damage in a pack decides too: an older one may not be asked.",
        ),
        Item(
            "4.",
            "Look again whether the key has a file by now, or `MANIFEST` is another file, by its \
             device and inode. If so, begin again with 1, whatever was found, damage and a missing \
             pack too.",
        ),
        Text(
            "A listing reads all files in `objects` first, then `MANIFEST`, and opens all packs before \
             it uses any; if one is missing and `MANIFEST` is another by then, it begins again. Of \
             equal keys the file counts, or else the newest pack. Where a part of a pack cannot be \
             read, no older pack may be believed about the keys that can be in it.",
        ),
        Head("Tombstones"),
        Text(
            "An entry with bit 0 of its flags set, without expiry and with an empty value, says that \
             a key is removed. `kv` leaves one in place of the file, or where there was none, in \
             these cases: a pack has a record of the key and the newest is not a tombstone, even if it \
             has expired; the packs cannot be read; somebody holds `locks/gc` alone, who may be \
             packing the entry just now; or `locks/gc` has 22 bytes, as whoever held it died when \
             `MANIFEST` was not durable. Otherwise the file is unlinked. A tombstone is always \
             synced, even with `--sync off`. `kv gc` moves one into a pack if it still hides a record, \
             and deletes it if it does not; it goes from the packs when the oldest of them is written \
             anew.",
        ),
        Head("Changing packs"),
        Text(
            "Whoever changes packs holds `locks/gc` alone. A pack is written in `tmp`, synced, renamed \
             into `packs`, and that is synced. Then a new `MANIFEST` is synced and renamed over the \
             old one, and `packs` is synced once more. Only then are files in `objects` unlinked that \
             are in the new pack, each under the lock of its shard and only if its first line is still \
             what was read, and packs that are not named any more.",
        ),
        Text(
            "The directory `spare` has two empty files, `1` and `2`. Where the file system has no more \
             inodes, `kv gc` renames them to what it has to write, and `spare` itself to what becomes \
             `packs`; at its end it makes them anew. Nothing is ever read from there.",
        ),
    ],
};
