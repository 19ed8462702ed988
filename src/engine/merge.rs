//! Several sorted sources, read as one.

use std::cmp::Ordering;

use crate::store::Result;

/// A source of records in the order of their keys, or in the reverse.
pub(crate) trait Sorted {
    /// Moves to the next record; false at the end. It may be called again after an error, and then
    /// goes on behind what could not be read.
    fn advance(&mut self) -> Result<bool>;

    /// Returns the key of the record that it stands on.
    fn key(&self) -> &[u8];
}

/// Sources read as one: each key comes once, from the first of the sources that have it.
#[derive(Debug)]
pub(crate) struct Merge<S> {
    sources: Vec<S>,
    /// The sources that stand on a record, the one that comes next at the end.
    order: Vec<usize>,
    /// The sources that are to be moved on before anything else.
    due: Vec<usize>,
    reverse: bool,
}

impl<S: Sorted> Merge<S> {
    /// Reads sources as one; of equal keys the record of the first source counts.
    pub(crate) fn new(sources: Vec<S>, reverse: bool) -> Self {
        let due = (0..sources.len()).collect();
        Self {
            sources,
            order: Vec::new(),
            due,
            reverse,
        }
    }

    /// Moves to the next key, and says which source has it; `None` at the end. It may be called
    /// again after an error.
    pub(crate) fn advance(&mut self) -> Result<Option<usize>> {
        if let [only] = &mut self.sources[..] {
            return Ok(only.advance()?.then_some(0));
        }
        if self.due.is_empty()
            && let Some(winner) = self.order.pop()
        {
            self.due.push(winner);
            while let Some(&other) = self.order.last()
                && self.sources[other].key() == self.sources[winner].key()
            {
                self.order.pop();
                self.due.push(other);
            }
        }
        while let Some(&source) = self.due.last() {
            let has_more = self.sources[source].advance()?;
            self.due.pop();
            if has_more {
                let order = &self.order;
                let place = order.partition_point(|&other| self.comes_before(source, other));
                self.order.insert(place, source);
            }
        }
        Ok(self.order.last().copied())
    }

    /// Returns a source.
    pub(crate) fn source(&self, source: usize) -> &S {
        &self.sources[source]
    }

    /// Returns a source, to be read further.
    pub(crate) fn source_mut(&mut self, source: usize) -> &mut S {
        &mut self.sources[source]
    }

    /// Returns all sources.
    pub(crate) fn sources(&self) -> &[S] {
        &self.sources
    }

    fn comes_before(&self, a: usize, b: usize) -> bool {
        let order = self.sources[a].key().cmp(self.sources[b].key());
        match if self.reverse { order.reverse() } else { order } {
            Ordering::Equal => a < b,
            // The one that comes next is the last in the list.
            order => order == Ordering::Less,
        }
    }
}
