//! Calls of the scripts that change one entry.

use std::time::Duration;

use crate::os;
use crate::store::{Entries, Etag, Key, Namespace, Result, StoreError, Time};

use super::Redis;
use super::codec::Bad;
use super::command::Command;
use super::names::{Bucket, BucketId, path_of};
use super::resp::Reply;
use super::script::Script;
use super::wait::has_written;

/// What tells a change to those who wait for it, in a cluster.
const IN_CLUSTER: &str = "SPUBLISH";

/// So long a change takes that is made though its namespace has not reached the replicas in time.
const HASTE: Duration = Duration::from_millis(500);

/// What a script answered to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The condition does not hold.
    No,
    /// Another word, which means something to one script only.
    Word(String),
}

/// An entry that is about to be changed by a script.
pub(super) struct Change<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) key: &'a Key,
    pub(super) bucket: Bucket,
    pub(super) script: Script,
    /// Names the call, so that it is carried out once however often it is sent.
    pub(super) id: u64,
    pub(super) now: Time,
    /// Keys besides those that every script takes, such as the counter of the list if the key is of one.
    pub(super) keys: Vec<Vec<u8>>,
    /// What the script takes besides what every script takes.
    pub(super) args: Vec<Vec<u8>>,
}

impl Redis {
    /// Prepares a change; what its script takes is still to be added.
    pub(super) fn change<'a>(
        &self,
        namespace: &'a Namespace,
        key: &'a Key,
        script: Script,
        id: u64,
        now: Time,
    ) -> Change<'a> {
        let bucket_id = BucketId::of(key.as_bytes());
        let bucket = self.bucket(namespace, bucket_id);
        Change {
            namespace,
            key,
            script,
            id,
            now,
            keys: Vec::from_iter((bucket_id == BucketId::LIST).then(|| bucket.single('c'))),
            bucket,
            args: Vec::new(),
        }
    }

    /// Has a script change an entry, and registers the namespace first where that is needed.
    pub(super) fn carry_out(&self, change: &Change<'_>) -> Result<Outcome> {
        self.try_to_carry_out(change)
            .map_err(|err| about(err, change.key.to_string()))
    }

    fn try_to_carry_out(&self, change: &Change<'_>) -> Result<Outcome> {
        let mut is_registered = false;
        let mut unreplicated = None;
        loop {
            let command = self.command_of(change, is_registered)?;
            let reply = match unreplicated {
                None => self.link.run_one(command),
                // Replicas were waited for already.
                Some(_) => self.link.another_within(HASTE).run_one(command),
            };
            let is_written = match &reply {
                Ok(reply) => has_written(reply),
                Err(err) => matches!(err, StoreError::Unreplicated { .. }),
            };
            if is_written && let Some(err) = unreplicated {
                return Err(err);
            }
            let reply = reply?;
            let word = self
                .word_of(reply)?
                .ok_or_else(|| self.unexpected_answer(change.script))?;
            match word.split(' ').next().unwrap_or_default() {
                "done" => return Ok(Outcome::Done),
                "no" => return Ok(Outcome::No),
                "register" if !is_registered => {
                    match self.register(change.namespace) {
                        // Whoever is told of it must find stored what was to be stored.
                        Err(err @ StoreError::Unreplicated { .. }) => unreplicated = Some(err),
                        registered => registered?,
                    }
                    is_registered = true;
                }
                "damaged" => {
                    return Err(self.damage_of(change.namespace, change.key));
                }
                first if change.script.answers(first) => return Ok(Outcome::Word(word)),
                _ => return Err(self.unexpected_answer(change.script)),
            }
        }
    }

    /// Prepares the call of the script for a change.
    pub(super) fn command_of(&self, change: &Change<'_>, is_registered: bool) -> Result<Command> {
        let bucket = &change.bucket;
        let key = change.key.as_bytes();
        let publish = self.publish()?;
        // In a cluster the names of the namespaces are in another slot, which no script reaches from here.
        let (registered, names) = match is_registered {
            true => ("1".to_owned(), None),
            false if publish == IN_CLUSTER => ("0".to_owned(), None),
            false => (
                format!("?{}", change.namespace),
                Some(self.of_all().single('n')),
            ),
        };
        let others = change.keys.len() + usize::from(names.is_some());
        let mut call = change.script.call(3 + others);
        call.push(bucket.single('i'));
        call.push(bucket.entry(key));
        call.push(bucket.note(change.id));
        call.extend(change.keys.iter().cloned().chain(names));
        let mut args = vec![
            change.now.as_millis().to_string().into_bytes(),
            registered.into_bytes(),
            publish.into(),
            bucket.single('w'),
            key.to_vec(),
        ];
        args.extend(change.args.iter().cloned());
        Ok(Command::write(bucket.slot, &call, &args))
    }

    /// Returns what a script answered; none where it is nothing that any script answers.
    ///
    /// # Errors
    ///
    /// Where a key which is not kv's stands where the store has one: `foreign TYPE NAME`.
    pub(super) fn word_of(&self, reply: Reply) -> Result<Option<String>> {
        let word = reply
            .into_bytes()
            .and_then(|word| String::from_utf8(word).ok());
        match word
            .as_deref()
            .and_then(|word| word.strip_prefix("foreign "))
        {
            Some(what) => {
                let (kind, name) = what.split_once(' ').unwrap_or((what, ""));
                Err(foreign_key(name, kind))
            }
            None => Ok(word),
        }
    }

    /// Returns the command by which a change is told to those who wait for it.
    pub(super) fn publish(&self) -> Result<&'static str> {
        // In a cluster a channel has a slot, so that not every server has to hear of every change.
        Ok(if self.link.map(true)?.is_cluster {
            IN_CLUSTER
        } else {
            "PUBLISH"
        })
    }

    /// Makes sure that a namespace is among those that are listed.
    pub(super) fn register(&self, namespace: &Namespace) -> Result<()> {
        // HSET is a write even where it changes nothing, and so what WAIT waits for.
        let words = [b"HSET".to_vec(), namespace.as_str().into(), b"1".to_vec()];
        self.run_plain(&[plain(&self.of_all(), 'n', &words)])
    }

    /// Returns what the keys begin with that are not of one namespace.
    pub(super) fn of_all(&self) -> Bucket {
        Bucket::of_all(&self.link.location().prefix)
    }

    /// Carries out what [`plain`] has prepared.
    pub(super) fn run_plain(&self, commands: &[Command]) -> Result<()> {
        for reply in self.link.run(commands)? {
            self.word_of(reply)?;
        }
        Ok(())
    }

    pub(super) fn new_etag(&self) -> Result<Etag> {
        let random = os::random().map(Etag);
        random.map_err(|err| self.link.cannot("get random bits for", err))
    }

    /// Says that an entry is not what was written.
    pub(super) fn bad(&self, namespace: &Namespace, key: &[u8], bad: Bad) -> StoreError {
        let bucket = self.bucket(namespace, BucketId::of(key));
        let path = path_of(&bucket.entry(key));
        match bad {
            Bad::Damaged(why) => StoreError::damaged(path, why),
            Bad::Newer => StoreError::Newer {
                path,
                what: "its first line is of another version".into(),
            },
        }
    }

    /// Finds out what is wrong with an entry that a script could not use.
    fn damage_of(&self, namespace: &Namespace, key: &Key) -> StoreError {
        match self.get(namespace, key, Time(0)) {
            Err(err) => err,
            Ok(_) => self.bad(
                namespace,
                key.as_bytes(),
                Bad::Damaged("it was damaged a moment ago"),
            ),
        }
    }

    /// Says that no script answers so: it is another server than it says, or somebody between.
    pub(super) fn unexpected_answer(&self, script: Script) -> StoreError {
        let why = format!(
            "it answers to the script {script:?} what that cannot; nobody knows what was done"
        );
        self.link.cannot("use", std::io::Error::other(why))
    }
}

/// Prepares a command that changes one key and, when it comes again, nothing more.
pub(super) fn plain(bucket: &Bucket, kind: char, words: &[Vec<u8>]) -> Command {
    let mut call = Script::Plain.call(1);
    call.push(bucket.single(kind));
    Command::write(bucket.slot, &call, words)
}

/// Says which key was not replicated.
pub(super) fn about(mut err: StoreError, name: String) -> StoreError {
    if let StoreError::Unreplicated { key, .. } = &mut err {
        *key = Some(name);
    }
    err
}

/// Says that a key is not what kv has made.
pub(super) fn foreign_key(name: &str, kind: &str) -> StoreError {
    StoreError::damaged(
        name,
        format!(
            "it is a key of type {kind}, which another program made; `kv fsck --repair` moves it away"
        ),
    )
}
