//! Packs and a MANIFEST that say what is not so, with every sum right: made by a stranger, or by a
//! program that is wrong. No number in them makes kv panic, take much memory, or go on for ever.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kv::exit::Exit;
use xxhash_rust::xxh3::xxh3_64;

use super::{pack, packs};
use crate::harness::{KV, Ran, Sandbox, tell_count};

/// Numbers of a pack in MANIFEST and in its footer; the first is its name.
const NUMBERS: usize = 13;
const FOOTER_LEN: usize = 8 + NUMBERS * 8 + 8;
/// Which of them are of the key index: where it begins, its length, its blocks and its sum.
const INDEX: [usize; 4] = [6, 7, 8, 9];

/// A list with one pack.
struct Sealed {
    kv: Sandbox,
    path: PathBuf,
    pack: Vec<u8>,
    numbers: [u64; NUMBERS],
}

impl Sealed {
    fn new() -> Self {
        let kv = Sandbox::in_memory();
        for n in 1..=40 {
            kv.put(&format!("{n:020}"), &"value".repeat(n * 20));
        }
        pack(&kv);
        let path = kv.space().join("packs").join(&packs(&kv)[0]);
        let pack = fs::read(&path).unwrap();
        let footer = &pack[pack.len() - FOOTER_LEN..];
        let number = |n: usize| {
            let bytes = footer[8 + n * 8..][..8].try_into().unwrap();
            u64::from_le_bytes(bytes)
        };
        let numbers = std::array::from_fn(number);
        Self {
            kv,
            path,
            pack,
            numbers,
        }
    }

    /// Writes a pack of these bytes, and MANIFEST and its last bytes as if they were so.
    fn seal(&self, mut pack: Vec<u8>, numbers: [u64; NUMBERS]) {
        let footer_at = pack.len() - FOOTER_LEN;
        let mut footer = b"kvfoot1\n".to_vec();
        footer.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let sum = xxh3_64(&footer);
        footer.extend(sum.to_le_bytes());
        pack[footer_at..].copy_from_slice(&footer);
        fs::write(&self.path, pack).unwrap();
        let name = self.path.file_name().unwrap().to_str().unwrap();
        let texts: Vec<_> = numbers[1..].iter().map(u64::to_string).collect();
        let text = format!("kvpacks 1\npack {name} {}\n", texts.join(" "));
        let sum = xxh3_64(text.as_bytes());
        let manifest = self.kv.space().join("packs/MANIFEST");
        fs::write(manifest, format!("{text}sum {sum:016x}\n")).unwrap();
    }

    /// Demands that everybody who reads packs ends as is documented, in little memory.
    fn is_endured(&self, what: &str) {
        let element = format!("{:020}", 7);
        for args in [
            &["get", &element][..],
            &["get", "absent"],
            &["ls", "--values"],
            &["ls", "--reverse"],
            &["info"],
            &["-n", "default", "gc", "--max-entries", "30", "--dry-run"],
            &["fsck"],
            &["gc", "--now"],
            &["fsck", "--repair"],
            &["fsck"],
        ] {
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -v 400000; exec timeout 60 \"$@\"", "sh", KV]);
            command.args(args).current_dir(self.kv.root()).env_clear();
            command.env("KV_STORE", self.kv.store());
            let ran = Ran::of(&mut command);
            let status = ran.status().code();
            let is_known = [0, 1, 4, 5].map(Some).contains(&status);
            assert!(is_known, "{what}, {args:?}: {}", ran.report());
        }
    }
}

#[test]
fn no_number_of_a_pack_is_taken_on_trust() {
    let sealed = Sealed::new();
    sealed.seal(sealed.pack.clone(), sealed.numbers);
    let sound = sealed.kv.run(["fsck"]);
    sound.ends(Exit::Success).is_silent();
    let mut tried = 0;
    for field in 1..NUMBERS {
        let old = sealed.numbers[field];
        let odd = [
            0,
            1,
            old.wrapping_add(1),
            old.wrapping_sub(1),
            old << 8,
            1 << 42,
            u64::MAX,
        ];
        for new in odd.into_iter().filter(|&new| new != old) {
            let mut numbers = sealed.numbers;
            numbers[field] = new;
            sealed.seal(sealed.pack.clone(), numbers);
            sealed.is_endured(&format!("number {field} is {new} and not {old}"));
            tried += 1;
        }
    }
    tell_count(&format!("{tried} numbers"));
}

#[test]
fn no_key_index_is_taken_on_trust() {
    let sealed = Sealed::new();
    let [from, len, ..] = INDEX.map(|n| usize::try_from(sealed.numbers[n]).unwrap());
    let mut tried = 0;
    for at in (from..from + len).step_by(7) {
        for byte in [0, 0xff] {
            let mut pack = sealed.pack.clone();
            if pack[at] == byte {
                continue;
            }
            pack[at] = byte;
            let mut numbers = sealed.numbers;
            numbers[INDEX[3]] = xxh3_64(&pack[from..from + len]);
            sealed.seal(pack, numbers);
            sealed.is_endured(&format!("byte {at} is {byte}"));
            tried += 1;
        }
    }
    tell_count(&format!("{tried} bytes"));
}
