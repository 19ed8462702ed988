//! Drives the file system and its model through the same random steps.

#[cfg(test)]
#[path = "cases.rs"]
mod cases;
#[path = "checks.rs"]
mod checks;
#[path = "counts.rs"]
mod counts;
#[cfg(test)]
#[path = "kept.rs"]
mod kept;
#[cfg(test)]
#[path = "looks.rs"]
mod looks;

use std::ffi::OsStr;
use std::mem;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use fuser::Errno;

use crate::store::{Clock as _, Condition, Deadline, Entries, Expiry, Key, Namespace, Put};

use self::counts::{Counts, Seed};
use super::fake::Fake;
use super::inode::Mode;
use super::model::Model;
use super::nodes::Node;
use super::{Answer, App, Config, told, write};

const NAMES: [&str; 2] = ["a", "b"];
const STEPS: usize = 40;
/// A thread that the kernel names and that is none: of what is asked of one, nothing is answered.
const THREAD: u32 = i32::MAX.cast_unsigned();

fn key(name: usize) -> Key {
    Key::new(NAMES[name].into()).unwrap()
}

struct Run {
    app: App,
    fake: Fake,
    model: Model,
    dir: u64,
    random: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let fake = Fake::default();
        let config = Config {
            store: Box::new(fake.clone()),
            maker: Box::new(fake.clone()),
            clock: Box::new(fake.clone()),
            source: "a test".to_owned(),
            spill: "/tmp".into(),
            disk: None,
            read_only: false,
            no_exec: false,
            synchronous: false,
            allow_other: false,
            namespace: Namespace::default(),
            tell: Box::new(|_, _| {}),
        };
        let app = App::new(config);
        let root = Node::Dir(Namespace::default(), Vec::new());
        let dir = app.nodes.lock().tell(&root);
        let model = Model::new(fake.clone());
        Self {
            app,
            fake,
            model,
            dir,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % limit as u64).unwrap()
    }

    fn other_puts(&mut self, name: usize, value: &[u8]) {
        let end =
            (self.below(3) == 0).then(|| Deadline::after(self.fake.now(), Duration::from_secs(5)));
        let mut source = value;
        let put = Put {
            expiry: end.map_or(Expiry::Never, Expiry::At),
            ..Put::new(&mut source, Condition::Always)
        };
        let done = self
            .fake
            .put(&Namespace::default(), &key(name), put, &self.fake);
        done.unwrap().unwrap();
        self.model.put(name, value.to_vec(), end);
    }

    fn other_expires(&mut self, name: usize) {
        if !self.model.is_emptied(name) {
            return;
        }
        let end = Deadline::after(self.fake.now(), Duration::from_secs(5));
        let expiry = Expiry::At(end);
        let done = self
            .fake
            .expire(&Namespace::default(), &key(name), expiry, &self.fake);
        _ = done.unwrap();
        self.model.expire(name, Some(end));
    }

    /// As the kernel does: it looks for the name, and makes the file where there is none.
    fn open(
        &mut self,
        name: usize,
        mode: Mode,
        creates: bool,
        exclusive: bool,
    ) -> Result<(), Errno> {
        let text = OsStr::new(NAMES[name]);
        let parent = self.app.nodes.lock().node(self.dir).unwrap();
        // Others may put something between the two steps; once, as the kernel looks again only once. But who holds
        // nothing keeps the number beside who holds what was put.
        let mut races = self.random.is_multiple_of(8) && !self.model.is_nothing_to_a_writer(name);
        loop {
            let found = self.app.find(&parent, text);
            let is_shown = self.model.is_shown(name);
            assert_eq!(found.is_ok(), is_shown, "{name} is there");
            if !is_shown {
                self.app.told_stale.lock().remove(&mode.thread);
            }
            let (opened, mut open) = match found {
                Ok(_) if exclusive => return Err(Errno::EEXIST),
                Ok((node, told)) => {
                    let number = told::tell(&self.app, &node, &told).unwrap();
                    let raced = mem::take(&mut races);
                    if raced {
                        self.fake.pass(Duration::from_nanos(1));
                        self.other_puts(name, b"raced");
                        self.model.is_shown(name);
                    }
                    self.model.make_way(name, mode);
                    let is_one = self.model.is_one(number);
                    match self.app.open_file(number, mode) {
                        // It is looked for again, as its name is another file's now.
                        Err(Errno::ESTALE) => {
                            assert!(!is_one || raced, "who locks it has another file");
                            continue;
                        }
                        opened => (opened?, self.model.opened(name, mode, number)),
                    }
                }
                Err(err) if !creates => return Err(err),
                Err(_) => {
                    let made = self.app.create(self.dir, text, 0, mode, exclusive)?;
                    (made.2, self.model.made(name, mode, exclusive))
                }
            };
            open.real = opened;
            open.number = self.app.files.lock().handle(opened).unwrap().number;
            self.model.add(open);
            return Ok(());
        }
    }

    fn step(&mut self, step: usize, counts: &mut Counts) {
        // No two values are of one time.
        self.fake.pass(Duration::from_nanos(1));
        let name = self.below(2);
        let bytes = vec![b'a' + u8::try_from(step % 26).unwrap(); 1 + self.below(4)];
        let kind = self.below(12);
        if kind < 3 && self.model.open.len() < 5 {
            let writes = self.below(4) > 0;
            let creates = writes && self.below(2) == 0;
            let exclusive = creates && self.below(3) == 0;
            let how = self.below(4);
            let only_writes = writes && self.below(2) == 0;
            let mode = Mode {
                writes,
                only_writes,
                appends: writes && how == 0,
                truncates: writes && how == 1 && !exclusive,
                thread: THREAD - u32::from(self.below(2) == 0),
                is_first: false,
            };
            match self.open(name, mode, creates, exclusive) {
                Ok(()) => counts.done += 1,
                Err(Errno::EEXIST) => counts.exists += 1,
                Err(err) => {
                    assert_eq!(err, Errno::ENOENT);
                    counts.absent += 1;
                }
            }
            return;
        }
        match kind {
            3 => {
                let mut value = bytes;
                if self.below(2) == 0
                    && let Some(there) = self.model.live(name)
                {
                    // As kv-append(1) does.
                    value = [&there.1[..], &value].concat();
                }
                return self.other_puts(name, &value);
            }
            4 => {
                let condition = Condition::Always;
                let namespace = Namespace::default();
                _ = self
                    .fake
                    .remove(&namespace, &key(name), &condition, &self.fake);
                self.model.entries[name] = None;
                return;
            }
            5 if self.below(3) == 0 => return self.fake.pass(Duration::from_secs(3)),
            5 if self.below(2) == 0 => return self.other_expires(name),
            6 => {
                let real = self.app.unlink(self.dir, OsStr::new(NAMES[name]));
                return counts.same(&real, &self.model.unlink(name), "unlink");
            }
            7 => {
                let (from, to) = (OsStr::new(NAMES[name]), OsStr::new(NAMES[1 - name]));
                let real = self.app.rename((self.dir, from), (self.dir, to), false);
                let model = self.model.rename(name, 1 - name);
                return counts.same(&real, &model, "rename");
            }
            _ => {}
        }
        if self.model.open.is_empty() {
            return;
        }
        let which = self.below(self.model.open.len());
        let real = self.model.open[which].real;
        let handle = self.app.files.lock().handle(real).unwrap();
        let writes = self.model.open[which].mode.writes;
        match self.below(6) {
            0 | 1 if writes => {
                // A descriptor may append that was not opened so, and the other way round.
                let appends = self.model.open[which].mode.appends ^ (self.below(8) == 0);
                let offset = Some(self.below(8)).filter(|_| !appends);
                let at = offset.map(|at| at as u64);
                let syncs = self.below(4) == 0;
                let done = write::write_file(&self.app, &handle, at, &bytes, syncs);
                let model = self.model.write(which, offset, &bytes, syncs);
                counts.same(&done, &model, "write");
            }
            2 if writes => {
                let len = self.below(4);
                let done = write::resize_file(&self.app, &handle, len as u64);
                counts.same(&done, &self.model.resize(which, len), "resize");
            }
            3 => {
                let done = self.app.sync_file(real);
                counts.same(&done, &self.model.sync(which), "sync");
            }
            4 => {
                let was_killed = writes && self.below(4) == 0;
                // How who has changed nothing has ended is not asked.
                let written = handle.written();
                let is_changed = written.is_ok_and(|is| is.state().is_changed);
                let done = match was_killed && is_changed {
                    true => self.app.end_writing(&handle, true),
                    false => self.app.flush_file(real, 0),
                };
                drop(handle);
                _ = self.app.close_file(real);
                counts.killed += u32::from(was_killed);
                counts.same(&done, &self.model.close(which, was_killed), "close");
            }
            _ if self.model.open[which].mode.only_writes => {}
            _ => {
                self.note_waits();
                if handle.is_told.load(SeqCst) && handle.waits() {
                    self.model.renew(which, 0, false).unwrap();
                }
                self.model.read_on(which, 0).unwrap();
                let done = self.app.read_file(&handle, (0, 1000), false);
                let model = self.model.read(which);
                assert_eq!(done, model, "step {step}: read");
                counts.same(&done, &model.map(|_| ()), "read");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_what_the_table_says() {
        let mut counts = Counts::default();
        // To look at more of them, or at one again.
        let seeds = std::env::var("KV_TEST_SEEDS").unwrap_or_else(|_| "1-5000".into());
        let (first, last) = seeds.split_once('-').unwrap();
        let seeds = first.parse::<u64>().unwrap()..=last.parse().unwrap();
        for seed in seeds.clone() {
            let _told = Seed(seed);
            let mut run = Run::new(seed);
            for step in 0..STEPS {
                run.step(step, &mut counts);
                run.check(step);
            }
        }
        let done = 1 + seeds.end() - seeds.start();
        println!("{done} sequences of {STEPS} steps: {counts:?}");
        assert!(
            done < 5000 || counts.stale > 500 && counts.exists > 100 && counts.killed > 1000,
            "{counts:?}"
        );
    }
}
