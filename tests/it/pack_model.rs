//! Commands in random order, with collections anywhere among them, answer as a map in memory does.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kv::exit::Exit;
use serde_json::json;

use crate::dice::Dice;
use crate::harness::{Sandbox, tell_count};

/// Batches of one seed, and commands of each.
const BATCHES: usize = 30;
const COMMANDS: usize = 16;

/// A status, and what is printed.
type Answer = (u8, Vec<u8>);

#[derive(Default)]
struct Model {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    list: VecDeque<Vec<u8>>,
}

/// Keys that begin alike, of every byte, and as long as they may be.
fn key(dice: &mut Dice) -> Vec<u8> {
    match dice.pick(10) {
        0 => vec![b'k'; 65_535 - dice.pick(2)],
        1 => vec![u8::try_from(1 + dice.pick(255)).unwrap()],
        2 => vec![0xff; 1 + dice.pick(3)],
        3 => format!("key/{}", dice.pick(30)).into_bytes(),
        4 => [b"\xc3(%\n\t ".to_vec(), vec![1; dice.pick(3)]].concat(),
        _ => vec![b'a'; 1 + dice.pick(12)],
    }
}

/// Values around the largest that a pack can hold.
fn value(dice: &mut Dice) -> Vec<u8> {
    let len = [0, 1, 7, 100, 3_000, 16_383, 16_384, 16_385, 40_000][dice.pick(9)];
    let byte = u8::try_from(dice.pick(256)).unwrap();
    vec![byte; len]
}

fn no() -> Answer {
    (1, Vec::new())
}

fn done(is_done: bool) -> Answer {
    (u8::from(!is_done), Vec::new())
}

fn words(words: &[&[u8]]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}

impl Model {
    /// Draws a command, and says what it must answer.
    fn draw(&mut self, dice: &mut Dice) -> (Vec<Vec<u8>>, Answer) {
        let key = key(dice);
        let held = self.map.get(&key).cloned();
        match dice.pick(20) {
            0..4 => {
                let value = value(dice);
                self.map.insert(key.clone(), value.clone());
                (words(&[b"put", b"--", &key, &value]), done(true))
            }
            4 => {
                let value = value(dice);
                let answer = done(held.is_none());
                self.map.entry(key.clone()).or_insert(value.clone());
                (
                    words(&[b"put", b"--if-absent", b"--", &key, &value]),
                    answer,
                )
            }
            5 => {
                let value = value(dice);
                if held.is_some() {
                    self.map.insert(key.clone(), value.clone());
                }
                let command = [&b"put"[..], b"--if-exists", b"--ttl", b"500w"];
                let command = [&command[..], &[b"--", &key, &value]].concat();
                (words(&command), done(held.is_some()))
            }
            6 => {
                let wanted = held.clone().unwrap_or_default();
                if held.is_some() {
                    self.map.insert(key.clone(), b"swapped".to_vec());
                }
                let command = [&b"put"[..], b"--if-value", &wanted, b"--", &key, b"swapped"];
                (words(&command), done(held.is_some()))
            }
            7..9 => {
                self.map.remove(&key);
                (words(&[b"remove", b"--", &key]), done(held.is_some()))
            }
            9 => {
                self.map.remove(&key);
                let answer = held.map_or_else(no, |value| (0, value));
                (words(&[b"get", b"--remove", b"--", &key]), answer)
            }
            10..12 => {
                let answer = held.map_or_else(no, |value| (0, value));
                (words(&[b"get", b"--", &key]), answer)
            }
            12 => {
                let expiry: &[u8] = if dice.pick(2) == 0 { b"never" } else { b"500w" };
                (
                    words(&[b"expire", b"--", &key, expiry]),
                    done(held.is_some()),
                )
            }
            13 => {
                let value = self.map.entry(key.clone()).or_default();
                value.extend_from_slice(b"more");
                (words(&[b"append", b"--", &key, b"more"]), done(true))
            }
            14 => {
                let name = format!("number {}", dice.pick(3)).into_bytes();
                let held = self
                    .map
                    .get(&name)
                    .map_or("0", |text| str::from_utf8(text).unwrap());
                let sum = (held.parse::<i64>().unwrap() - 7).to_string();
                self.map.insert(name.clone(), sum.clone().into_bytes());
                (
                    words(&[b"incr", &name, b"--by", b"-7"]),
                    (0, (sum + "\n").into_bytes()),
                )
            }
            15 => {
                let value = value(dice);
                self.list.push_back(value.clone());
                (words(&[b"push", b"jobs", b"--", &value]), done(true))
            }
            16 => {
                let (from_end, popped) = match dice.pick(2) {
                    0 => (&b"--last"[..], self.list.pop_back()),
                    _ => (&b"--wait=0"[..], self.list.pop_front()),
                };
                let answer = popped.map_or_else(no, |value| (0, value));
                (words(&[b"pop", b"jobs", from_end]), answer)
            }
            _ => self.draw_listing(dice, key),
        }
    }

    fn draw_listing(&self, dice: &mut Dice, other: Vec<u8>) -> (Vec<Vec<u8>>, Answer) {
        let bound = key(dice);
        let mut command = words(&[b"ls", b"-0"]);
        let (mut from, mut to, mut prefix) = (Vec::new(), None, Vec::new());
        let is_bound = dice.pick(4);
        match is_bound {
            0 => {
                prefix = bound[..1].to_vec();
                command.extend(words(&[b"--prefix", &prefix]));
            }
            1 => {
                from = bound.clone().min(other.clone());
                to = Some(bound.max(other));
                command.extend(words(&[b"--from", &from, b"--to", to.as_ref().unwrap()]));
            }
            2 => {
                prefix = b"key/".to_vec();
                command.push(b"key/*".to_vec());
            }
            _ => {}
        }
        let is_asked = |key: &[u8]| {
            key.starts_with(&prefix)
                && key >= &from[..]
                && to.as_ref().is_none_or(|to| key < to.as_slice())
        };
        let mut found: Vec<_> = self.map.iter().filter(|(key, _)| is_asked(key)).collect();
        if dice.pick(2) == 0 {
            command.push(b"--reverse".to_vec());
            found.reverse();
        }
        if dice.pick(3) == 0 {
            let limit = 1 + dice.pick(6);
            command.push(format!("--limit={limit}").into_bytes());
            found.truncate(limit);
        }
        if dice.pick(4) == 0 {
            let count = format!("{}\n", found.len());
            // The end of a line is nothing to a number.
            command.retain(|word| word != b"-0");
            command.push(b"--count".to_vec());
            return (command, (0, count.into_bytes()));
        }
        let values = dice.pick(2) == 0;
        if values {
            command.push(b"--values".to_vec());
        }
        let mut text = Vec::new();
        for (key, value) in &found {
            text.extend([&key[..], b"\0"].concat());
            if values {
                text.extend([&value[..], b"\0"].concat());
            }
        }
        (command, (u8::from(found.is_empty() && is_bound < 3), text))
    }
}

/// Carries out commands, and compares each answer.
#[track_caller]
fn answers(kv: &Sandbox, drawn: &[(Vec<Vec<u8>>, Answer)]) {
    let word = |word: &Vec<u8>| json!({ "base64": STANDARD.encode(word) });
    let line = |(words, _): &(Vec<Vec<u8>>, Answer)| {
        json!(words.iter().map(word).collect::<Vec<_>>()).to_string() + "\n"
    };
    let input: String = drawn.iter().map(line).collect();
    let ran = kv.feed(["batch", "--json", "--sync", "off"], input.as_bytes());
    let mut rest = ran.stdout();
    for (words, (status, text)) in drawn {
        let end = rest.iter().position(|&b| b == b'\n').unwrap();
        let head = str::from_utf8(&rest[..end]).unwrap();
        let (said, len) = head.split_once(' ').unwrap();
        let len: usize = len.parse().unwrap();
        let printed = &rest[end + 1..end + 1 + len];
        let is_right = said == status.to_string() && printed == text;
        assert!(
            is_right,
            "{}",
            difference(words, (said, printed), (*status, text), &ran)
        );
        rest = &rest[end + len + 2..];
    }
    assert!(rest.is_empty());
    assert_eq!(ran.stderr_text(), "");
}

fn difference(
    words: &[Vec<u8>],
    (said, printed): (&str, &[u8]),
    (status, text): (u8, &[u8]),
    ran: &crate::harness::Ran,
) -> String {
    let short = |bytes: &[u8]| {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        format!("{} bytes {shown:?}", bytes.len())
    };
    let words: Vec<_> = words.iter().map(|word| short(word)).collect();
    let said = format!("said {said}, {}", short(printed));
    let want = format!("wanted {status}, {}", short(text));
    format!("{words:#?}\n{said}\n{want}\n{}", ran.stderr_text())
}

/// What is done between two batches, which a batch cannot.
#[track_caller]
fn between(kv: &Sandbox, model: &mut Model, dice: &mut Dice) {
    match dice.pick(10) {
        0..5 => kv.run(["gc"]).ends(Exit::Success).is_silent(),
        5..8 => {
            let options = [&[][..], &["--if-absent"], &["--merge"]][dice.pick(3)];
            let mut lines = String::new();
            let mut brought = BTreeMap::new();
            for n in 0..1_001 + dice.pick(40) {
                let (key, value) = match n {
                    0..1_001 => (format!("filler {n:04}").into_bytes(), b"x".to_vec()),
                    _ => (key(dice), value(dice)),
                };
                let both = [&key, &value].map(|bytes| STANDARD.encode(bytes));
                lines += &json!({ "key_base64": both[0], "value_base64": both[1] }).to_string();
                lines.push('\n');
                brought.insert(key, value);
            }
            for (key, value) in brought {
                // Without a time a line is of now, which is later than all else.
                if options != ["--if-absent"] || !model.map.contains_key(&key) {
                    model.map.insert(key, value);
                }
            }
            let args = ["import"].iter().chain(options);
            kv.feed(args, lines.as_bytes())
                .ends(Exit::Success)
                .is_silent()
        }
        8 => {
            let had = model.map.len();
            model.map.retain(|key, _| !key.starts_with(b"filler"));
            let exit = if model.map.len() < had {
                Exit::Success
            } else {
                Exit::No
            };
            kv.run(["remove", "--glob", "filler*"])
                .ends(exit)
                .is_silent()
        }
        _ => {
            let export = kv.run(["export"]).ends(Exit::Success).warns("");
            if model.map.is_empty() {
                return;
            }
            let there = ["import", "--replace"];
            kv.feed(there, export.stdout())
                .ends(Exit::Success)
                .is_silent()
        }
    };
}

#[track_caller]
fn agrees(seed: u64) {
    let kv = Sandbox::new();
    let mut model = Model::default();
    let mut dice = Dice(seed);
    for _ in 0..BATCHES {
        let drawn: Vec<_> = (0..COMMANDS).map(|_| model.draw(&mut dice)).collect();
        answers(&kv, &drawn);
        between(&kv, &mut model, &mut dice);
    }
    let items: Vec<u8> = model
        .list
        .iter()
        .flat_map(|item| [&item[..], b"\0"].concat())
        .collect();
    kv.run(["items", "jobs", "-0"]).prints(items);
    tell_count(&format!(
        "{} commands, {} keys",
        BATCHES * COMMANDS,
        model.map.len()
    ));
}

#[test]
fn seed_1() {
    agrees(1);
}

#[test]
fn seed_2() {
    agrees(2);
}

#[test]
fn seed_3() {
    agrees(3);
}
