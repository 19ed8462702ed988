//! Open files. All that have one file open share what is written to it, and it becomes the key's
//! value in one step when one of them closes it or syncs it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard};

use fuser::Errno;

use crate::os::Writer;
use crate::store::{Expiry, Key, Namespace, Time};

use super::draft::Draft;
use super::reader::Reader;
use super::{Answer, hold};

/// A key by its namespace.
pub(super) type Full = (Namespace, Key);

/// The files that are open, or only in memory.
#[derive(Default)]
pub(super) struct Files {
    named: BTreeMap<(Namespace, Vec<u8>), Arc<Body>>,
    /// Those that were removed while they were open, by the kernel's number.
    pub(super) removed: HashMap<u64, Arc<Body>>,
    pub(super) handles: HashMap<u64, Arc<Handle>>,
    last: u64,
}

impl Files {
    pub(super) fn named(&self, file: &Full) -> Option<Arc<Body>> {
        let name = (file.0.clone(), file.1.as_bytes().to_vec());
        self.named.get(&name).cloned()
    }

    /// Names a file, and returns what had the name before.
    pub(super) fn name(&mut self, file: &Full, body: &Arc<Body>) -> Option<Arc<Body>> {
        let name = (file.0.clone(), file.1.as_bytes().to_vec());
        *hold(&body.place) = Some(file.clone());
        self.named.insert(name, Arc::clone(body))
    }

    /// Takes the name of a file away.
    pub(super) fn unname(&mut self, file: &Full) -> Option<Arc<Body>> {
        self.named
            .remove(&(file.0.clone(), file.1.as_bytes().to_vec()))
    }

    /// Notes that a file was removed, or that another has its name now.
    pub(super) fn part(&mut self, body: Arc<Body>, number: Option<u64>) {
        *hold(&body.place) = None;
        if let Some(number) = number
            && body.handles.load(SeqCst) > 0
        {
            self.removed.insert(number, body);
        }
    }

    pub(super) fn removed(&self, number: u64) -> Option<Arc<Body>> {
        self.removed.get(&number).cloned()
    }

    pub(super) fn handle(&self, handle: u64) -> Answer<Arc<Handle>> {
        self.handles.get(&handle).cloned().ok_or(Errno::EBADF)
    }

    /// Returns the files whose keys begin so.
    pub(super) fn below<'a>(
        &'a self,
        namespace: &'a Namespace,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a Arc<Body>)> {
        self.named
            .range((namespace.clone(), prefix.to_vec())..)
            .take_while(move |((of, key), _)| of == namespace && key.starts_with(prefix))
            .map(|((_, key), body)| (&key[..], body))
    }

    pub(super) fn add_handle(&mut self, handle: Handle) -> u64 {
        self.last += 1;
        self.handles.insert(self.last, Arc::new(handle));
        self.last
    }
}

/// A file that is open, or only in memory.
#[derive(Debug, Default)]
pub(super) struct Body {
    /// Where it is; `None` once it was removed.
    pub(super) place: Mutex<Option<Full>>,
    seen: Mutex<Seen>,
    /// What whoever opens it gets to see.
    content: Mutex<Arc<Content>>,
    /// What it was when it was removed.
    pub(super) last: Mutex<Option<(u64, Time)>>,
    pub(super) handles: AtomicUsize,
}

/// What is written by all who go on with the same content. Whoever begins with none has a content of
/// their own: of several who write a file anew at once, each stores a whole.
#[derive(Debug, Default)]
pub(super) struct Content {
    state: Mutex<State>,
    pub(super) writers: AtomicUsize,
}

impl Content {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        hold(&self.state)
    }
}

/// What can be told of a file while it is being stored.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Its size and time of modification, where they are not those of the key.
    pub(super) whole: Option<(u64, Time)>,
    /// How many bytes are added to what the key holds.
    pub(super) tail: u64,
}

/// What is not the key's value, or not yet.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) kind: Kind,
    pub(super) draft: Option<Draft>,
    /// What is to be added to the value, as long as nobody asks for the whole.
    pub(super) tail: Vec<u8>,
    pub(super) change: Change,
    pub(super) modified: Option<Time>,
    pub(super) expiry: Option<Expiry>,
    /// Who has written to it last.
    pub(super) writer: Option<Writer>,
    /// Whoever closed it last was killed.
    pub(super) was_killed: bool,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is a key's value.
    #[default]
    Key,
    /// It is never stored.
    Litter,
    /// It is stored once something was written to it.
    Probe,
}

/// What is to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    #[default]
    None,
    /// That it is there, and empty. Whoever made it so is likely to write.
    Emptied,
    /// What was written.
    Written,
}

/// One opening of a file.
pub(super) struct Handle {
    pub(super) number: u64,
    pub(super) body: Arc<Body>,
    pub(super) content: Arc<Content>,
    pub(super) writes: bool,
    pub(super) appends: bool,
    pub(super) opener: Option<Writer>,
    pub(super) reader: Mutex<Option<Reader>>,
}

impl Body {
    pub(super) fn place(&self) -> Option<Full> {
        hold(&self.place).clone()
    }

    pub(super) fn seen(&self) -> Seen {
        *hold(&self.seen)
    }

    /// Returns what whoever opens it gets to see.
    pub(super) fn content(&self) -> Arc<Content> {
        Arc::clone(&hold(&self.content))
    }

    /// Lets whoever opens it from now on see this.
    pub(super) fn replace(&self, content: &Arc<Content>) {
        *hold(&self.content) = Arc::clone(content);
    }

    /// Lets others see what became of a content.
    pub(super) fn show(&self, content: &Arc<Content>, state: &State, now: Time) {
        if !Arc::ptr_eq(&hold(&self.content), content) {
            return;
        }
        let modified = state.modified.unwrap_or(now);
        *hold(&self.seen) = Seen {
            whole: state.draft.as_ref().map(|draft| (draft.len(), modified)),
            tail: state.tail.len() as u64,
        };
    }
}

/// How a file is to be opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mode {
    pub(super) writes: bool,
    pub(super) appends: bool,
    pub(super) truncates: bool,
    /// Who opens it.
    pub(super) thread: u32,
}
