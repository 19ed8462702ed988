//! What is to be so after each step.

use std::ffi::OsStr;
use std::sync::atomic::Ordering::SeqCst;

use super::super::find::Attributes;
use super::super::model::Open;
use super::super::told;
use super::{NAMES, Run, THREAD, key};

impl Run {
    pub(super) fn check(&mut self, step: usize) {
        for name in 0..2 {
            let live = self.model.live(name);
            let live = live.map(|entry| (entry.1.clone(), entry.2));
            assert_eq!(self.fake.look(&key(name)), live, "step {step}: {name}");
            // Who looks settles who has emptied it before others have made it another.
            if self.below(3) > 0 {
                _ = self.look(name);
            }
        }
        self.check_pages(step);
        for which in 0..self.model.open.len() {
            if !self.model.open[which].mode.only_writes {
                self.check_read(step, which);
            }
        }
    }

    /// Pages of memory are of a number: who reads by it holds what others hold who do.
    fn check_pages(&self, step: usize) {
        let of = |which: usize| {
            let open = &self.model.open[which];
            let sees = !open.mode.writes && !open.went_on && !open.waits;
            let held = self.model.peek(which).unwrap_or_default();
            (sees && !held.is_empty()).then_some((open.number, held))
        };
        let all: Vec<_> = (0..self.model.open.len()).filter_map(of).collect();
        for (number, held) in &all {
            let other = all.iter().find(|(of, other)| of == number && other != held);
            assert_eq!(other, None, "step {step}: {number} is {held:?}");
        }
    }

    pub(super) fn note_waits(&mut self) {
        for open in &mut self.model.open {
            let handle = self.app.files.lock().handle(open.real);
            open.waits = handle.unwrap().waits();
        }
    }

    /// What fstat(2) tells of a descriptor is what it reads.
    fn check_read(&mut self, step: usize, which: usize) {
        let open = self.model.open[which].clone();
        let what = format!("step {step}: {open:?}");
        let handle = self.app.files.lock().handle(open.real).unwrap();
        let is_nothing = handle.held().is_some_and(|(len, _)| len == 0);
        let looks = handle.waits() || open.only_adds || is_nothing;
        let found = (0..2).filter(|_| looks);
        let found: Vec<_> = found.filter_map(|name| self.look(name)).collect();
        let mut found = found
            .into_iter()
            .filter(|(number, _)| *number == open.number);
        let waits = handle.waits();
        // The kernel believes for a tick what it was told as it looked for the name.
        let told = match found.next().filter(|_| self.below(2) == 0) {
            Some((_, found)) => found,
            None => told::attributes(&self.app, open.number, None, open.mode.thread).unwrap(),
        };
        self.note_waits();
        // Who is at its end and is told of something else goes on with that.
        if handle.is_told.load(SeqCst) {
            let len = self.model.peek(which).unwrap().len();
            let at = if self.below(2) == 0 { len } else { 0 };
            let is_page = self.below(3) == 0;
            let read = self.app.read_file(&handle, (at as u64, 1000), is_page);
            let model = match is_page {
                true => Ok(()),
                false => self.model.read_on(which, at),
            };
            let model = model.and_then(|()| self.model.renew(which, at, is_page));
            let model = model.and_then(|()| self.model.read(which));
            let model = model.map(|all| all.get(at..).unwrap_or_default().to_vec());
            assert_eq!(read, model, "{what}");
            if read.is_err() {
                return;
            }
            if is_page {
                let read = self.app.read_file(&handle, (len as u64, 1000), false);
                let model = self.model.read_on(which, len);
                let model = model.and_then(|()| self.model.read(which));
                let model = model.map(|all| all.get(len..).unwrap_or_default().to_vec());
                assert_eq!(read, model, "{what}");
                if read.is_err() {
                    return;
                }
            }
        }
        self.note_waits();
        let held = self.model.peek(which);
        let len = held.as_ref().map_or(0, |held| held.len() as u64);
        if let Some((size, _)) = handle.held() {
            assert_eq!(Ok(size), held.as_ref().map(|_| len), "{what}");
        }
        if self.below(2) == 0 {
            let size = if self.below(2) == 0 { 1000 } else { 1 };
            self.model.read_on(which, 0).unwrap();
            let read = self.app.read_file(&handle, (0, size), false);
            let model = self
                .model
                .read(which)
                .map(|all| all[..all.len().min(size)].to_vec());
            assert_eq!(read, model, "{what}");
        }
        // Who only adds to a file, or has gone on with what it is now, keeps its number beside others. It is told what it
        // reads all the same where its process has no other, but for less than others hold. Who holds nothing is told what
        // the file is, which a writer does not go on with: only who reads by a number alone is told of nothing.
        let keeps = open.mode.appends || open.went_on || self.model.is_adding(&open);
        let is_other = |other: &Open| {
            let is_beside = other.number == open.number && !other.mode.only_writes;
            is_beside && other.real != open.real
        };
        let others = || {
            let all = 0..self.model.open.len();
            all.filter(|other| is_other(&self.model.open[*other]))
        };
        let is_its = |other: usize| self.model.open[other].mode.thread == open.mode.thread;
        let is_less = |other: usize| {
            self.model
                .peek(other)
                .is_ok_and(|all| all.len() as u64 > len)
        };
        let is_nothing = self.model.peek(which).is_ok_and(|held| held.is_empty());
        let is_known = !is_nothing
            && !open.mode.appends
            && !others().any(|other| is_its(other) || is_less(other));
        let is_beside = others().any(|other| keeps || self.model.open[other].went_on) || is_nothing;
        if is_nothing && !open.mode.writes && others().next().is_none() {
            assert_eq!(told.size, 0, "{what}");
        }
        if held.is_ok() && (is_known || !is_beside) {
            assert_eq!(told.size, len, "{what}");
        } else if held.is_ok()
            && !is_nothing
            && !waits
            && !open.mode.appends
            && !self.model.is_adding(&open)
        {
            // What is not there would be zeros in memory.
            assert!(told.size <= len, "{what}: {} {len}", told.size);
        }
    }

    /// As stat(2) does, by which who has it open beside others may get it for themselves.
    pub(super) fn look(&mut self, name: usize) -> Option<(u64, Attributes)> {
        self.model.is_shown(name);
        let dir = self.app.nodes.lock().node(self.dir).unwrap();
        let (node, told) = self.app.find(&dir, OsStr::new(NAMES[name])).ok()?;
        let number = told::tell(&self.app, &node, &told).unwrap();
        // The kernel asks once more only where a tick has passed.
        if self.below(2) == 0 {
            let seen = told::attributes(&self.app, number, None, THREAD).unwrap();
            match self.model.written_anew(number, THREAD) {
                // Who asks is told of that, and nobody else.
                Some(len) => assert_eq!(seen.size, len as u64),
                None => assert_eq!((seen.size, seen.modified), (told.size, told.modified)),
            }
        }
        Some((number, told))
    }
}
