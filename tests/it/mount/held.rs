//! Who reads a file holds what it was when it was opened, whatever is done to the file by others meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};

use super::{Mount, on_each};
use crate::harness::{Engine, Sandbox, tell_count};

const READERS: usize = 400;

/// Reads a file to its end in parts of so many bytes.
fn read(mount: &Mount, part: usize) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(mount.path("k"))?;
    let (mut all, mut bytes) = (Vec::new(), vec![0; part]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(all),
            n => all.extend(&bytes[..n]),
        }
    }
}

/// Reads again and again while others store values of one letter each, and change something of the file.
#[track_caller]
fn race(kv: &Sandbox, mount: &Mount, change: impl Fn() + Sync) {
    let is_over = AtomicBool::new(false);
    let goes_on = || !is_over.load(Ordering::Relaxed);
    kv.put("k", "a");
    let mut refused = 0;
    thread::scope(|scope| {
        scope.spawn(|| {
            for (letter, len) in (b'a'..=b'z').cycle().zip([5, 3000, 200_000].iter().cycle()) {
                if !goes_on() {
                    break;
                }
                let value = char::from(letter).to_string().repeat(*len);
                let put = ["put", "k", "--sync", "off"];
                assert!(kv.feed(put, value.as_bytes()).status().success());
            }
        });
        scope.spawn(|| {
            while goes_on() {
                change();
            }
        });
        for reader in 0..READERS {
            match read(mount, [100, 5000][reader % 2]) {
                Ok(all) => {
                    let mut letters: Vec<_> =
                        all.iter().filter(|is| is.is_ascii_alphabetic()).collect();
                    letters.dedup();
                    if letters.len() > 1 {
                        is_over.store(true, Ordering::Relaxed);
                        panic!("{letters:?} of {} bytes", all.len());
                    }
                }
                // It was replaced as it was read, or opened.
                Err(_) => refused += 1,
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(
        refused < READERS / 10,
        "{refused} of {READERS} read nothing"
    );
    tell_count(&format!(
        "{READERS} readers, of whom {refused} were refused"
    ));
}

#[test]
fn who_reads_has_one_value_though_others_replace_it_and_touch_the_file() {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let now = Timestamps {
        last_access: now,
        last_modification: now,
    };
    on_each(&[Engine::Tree], |kv, mount| {
        race(kv, mount, || {
            // By its name, which may be that of another value by then.
            _ = rustix::fs::utimensat(CWD, mount.path("k"), &now, AtFlags::empty());
        });
    });
}

#[test]
fn who_reads_has_one_value_though_others_replace_it_and_add_to_the_file() {
    on_each(&[Engine::Tree], |kv, mount| {
        race(kv, mount, || {
            let file = OpenOptions::new().append(true).open(mount.path("k"));
            // Who adds to what is removed meanwhile is refused.
            _ = file.and_then(|mut file| file.write_all(b"1"));
        });
    });
}
