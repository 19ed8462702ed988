//! Sections of the man pages that are not about one option.
