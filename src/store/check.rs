//! What a check of a store is asked, and what it tells.

use std::path::PathBuf;

/// What a check is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Repair what is damaged, as far as that can be done without a guess.
    pub repair: bool,
    /// With `repair`: change nothing, and tell what would be done.
    pub dry_run: bool,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is harmless, and is seen to without a repair.
    Note,
    /// No answer is wrong for it, but somebody ought to look.
    Warning,
    /// It is not what was written, and some key may not answer for it.
    Damage,
}

impl Severity {
    /// Returns the word that stands for it in every form of output.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Damage => "damage",
        }
    }
}

/// Something that is not as it ought to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file or directory.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
    /// The key that it is about, where that is known.
    pub key: Option<Vec<u8>>,
    /// What was done about it, or would be.
    pub repair: Option<Repair>,
}

impl Finding {
    /// Tells what is wrong, of no key that is known, and that nothing is done about it.
    pub fn new(severity: Severity, path: impl Into<PathBuf>, what: impl Into<String>) -> Self {
        Self {
            severity,
            path: path.into(),
            what: what.into(),
            key: None,
            repair: None,
        }
    }

    /// Adds the key that it is about.
    pub fn of_key(self, key: &[u8]) -> Self {
        let key = Some(key.to_vec());
        Self { key, ..self }
    }

    /// Adds what settles it, if that is done.
    pub fn settled_by(mut self, is_done: bool, what: impl Into<String>) -> Self {
        self.repair = is_done.then(|| Repair {
            what: what.into(),
            settles: true,
        });
        self
    }
}

/// What a repair did about a finding, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What it is, for people.
    pub what: String,
    /// Whether the finding is settled by it.
    pub settles: bool,
}
