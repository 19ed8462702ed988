//! What the kernel has heard of: numbers of files and directories, and what they stand for.
//!
//! A number is made of what it stands for, so that it stays the same for as long as nothing is
//! renamed, whoever asks and whenever.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3Default;

use crate::store::{Key, Namespace, Time};

/// A key by its namespace.
pub(super) type FullKey = (Namespace, Key);

/// The number of the mount point itself.
pub(super) const ROOT: u64 = 1;

/// What a file or directory stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Node {
    /// The store: the directory of its namespaces.
    Root,
    /// All keys of a namespace that begin with these bytes. They end in a slash or are none, or are
    /// the beginning of a part that no name can hold.
    Dir(Namespace, Vec<u8>),
    /// The value of a key.
    File(FullKey),
}

impl Node {
    /// Returns the number that it has unless another has it.
    pub(super) fn number(&self) -> u64 {
        let (tag, namespace, rest) = match self {
            Self::Root => return ROOT,
            Self::Dir(namespace, prefix) => (b'd', namespace, &prefix[..]),
            Self::File((namespace, key)) => (b'f', namespace, key.as_bytes()),
        };
        let mut hash = Xxh3Default::new();
        hash.update(&[tag]);
        hash.update(namespace.as_str().as_bytes());
        hash.update(b"/");
        hash.update(rest);
        // 0 means nothing to the kernel, and 1 is the root.
        hash.digest().max(ROOT + 1)
    }

    /// Tells whether it is a directory.
    pub(super) fn is_dir(&self) -> bool {
        !matches!(self, Self::File(..))
    }
}

/// The numbers that the kernel knows. It may know of very many, so that each stands in one table only,
/// under the number that is made of it, if it can.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    by_number: HashMap<u64, Known>,
    /// Those that have another number: they were renamed, or what has their number was.
    elsewhere: HashMap<Node, u64>,
}

#[derive(Debug)]
struct Known {
    /// `None` once it was removed and is only still open.
    node: Option<Node>,
    /// Where it was when it was removed.
    last: Option<Node>,
    /// How often it was told to the kernel.
    lookups: u64,
    /// The size and time that were told last when it was found.
    told: Option<(u64, Time)>,
}

impl Nodes {
    /// Returns what a number stands for, and `None` if that is gone.
    pub(super) fn node(&self, number: u64) -> Option<Node> {
        match number {
            ROOT => Some(Node::Root),
            _ => self.by_number.get(&number)?.node.clone(),
        }
    }

    /// Returns what a number stood for when that was removed.
    pub(super) fn last_node(&self, number: u64) -> Option<Node> {
        self.by_number.get(&number)?.last.clone()
    }

    /// Returns the number of what the kernel knows.
    pub(super) fn find(&self, node: &Node) -> Option<u64> {
        if let Some(number) = self.elsewhere.get(node) {
            return Some(*number);
        }
        let number = node.number();
        let known = self.by_number.get(&number)?;
        (known.node.as_ref() == Some(node)).then_some(number)
    }

    /// Returns the number of a node, to be told to the kernel once more.
    pub(super) fn tell(&mut self, node: &Node) -> u64 {
        if *node == Node::Root {
            return ROOT;
        }
        let number = self.find(node).unwrap_or_else(|| {
            let own = node.number();
            let mut number = own;
            while self.by_number.contains_key(&number) || number <= ROOT {
                number = number.wrapping_add(1);
            }
            let known = Known {
                node: Some(node.clone()),
                last: None,
                lookups: 0,
                told: None,
            };
            self.by_number.insert(number, known);
            if number != own {
                self.elsewhere.insert(node.clone(), number);
            }
            number
        });
        if let Some(known) = self.by_number.get_mut(&number) {
            known.lookups += 1;
        }
        number
    }

    /// As [`Nodes::tell`], with the size and time of what was found.
    pub(super) fn tell_of(&mut self, node: &Node, told: (u64, Time)) -> u64 {
        let number = self.tell(node);
        if let Some(known) = self.by_number.get_mut(&number) {
            known.told = Some(told);
        }
        number
    }

    /// Returns what was told of a number as it was found, once.
    pub(super) fn take_told(&mut self, number: u64) -> Option<(u64, Time)> {
        self.by_number.get_mut(&number)?.told.take()
    }

    /// Takes back that a number was told so many times.
    pub(super) fn forget(&mut self, number: u64, times: u64) {
        let Some(known) = self.by_number.get_mut(&number) else {
            return;
        };
        known.lookups = known.lookups.saturating_sub(times);
        if known.lookups == 0 {
            if let Some(node) = &known.node {
                self.elsewhere.remove(node);
            }
            self.by_number.remove(&number);
        }
    }

    /// Notes that a node is gone.
    pub(super) fn remove(&mut self, node: &Node) -> Option<u64> {
        let number = self.find(node)?;
        self.elsewhere.remove(node);
        if let Some(known) = self.by_number.get_mut(&number) {
            known.last = known.node.take();
        }
        Some(number)
    }

    /// Lets what is found in the place of a node from now on have another number.
    pub(super) fn detach(&mut self, number: u64, node: &Node) {
        if self.find(node) == Some(number) {
            self.remove(node);
        }
    }

    /// Notes that one node is another now, and what that was is gone. Returns the
    /// number of what is gone.
    pub(super) fn rename(&mut self, from: &Node, to: &Node) -> Option<u64> {
        let gone = self.remove(to);
        if let Some(number) = self.remove(from)
            && let Some(known) = self.by_number.get_mut(&number)
        {
            known.node = Some(to.clone());
            if number != to.number() {
                self.elsewhere.insert(to.clone(), number);
            }
        }
        gone
    }

    /// Returns all nodes in a namespace whose keys or prefixes begin so.
    pub(super) fn below(&self, namespace: &Namespace, prefix: &[u8]) -> Vec<Node> {
        let is_below = |node: &&Node| match node {
            Node::Root => false,
            Node::Dir(of, bytes) => of == namespace && bytes.starts_with(prefix),
            Node::File((of, key)) => of == namespace && key.as_bytes().starts_with(prefix),
        };
        let all = self.by_number.values();
        let nodes = all.filter_map(|known| known.node.as_ref());
        nodes.filter(is_below).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(key: &str) -> Node {
        Node::File((Namespace::default(), Key::new(key.into()).unwrap()))
    }

    #[test]
    fn a_number_stays_until_it_is_forgotten() {
        let mut nodes = Nodes::default();
        let a = nodes.tell(&file("a"));
        assert_eq!(nodes.tell(&file("a")), a);
        nodes.forget(a, 1);
        assert_eq!(nodes.node(a), Some(file("a")));
        nodes.forget(a, 1);
        assert_eq!(nodes.node(a), None);
        assert_eq!(nodes.tell(&file("a")), a);
    }

    #[test]
    fn what_is_removed_is_not_what_comes_after() {
        let mut nodes = Nodes::default();
        let old = nodes.tell(&file("a"));
        nodes.remove(&file("a"));
        let new = nodes.tell(&file("a"));
        assert_ne!(old, new);
        assert_eq!(nodes.node(old), None);
        let b = nodes.tell(&file("b"));
        assert_eq!(nodes.rename(&file("b"), &file("a")), Some(new));
        assert_eq!(nodes.find(&file("a")), Some(b));
        assert_eq!((nodes.node(new), nodes.find(&file("b"))), (None, None));
    }

    #[test]
    fn whatever_number_it_has_it_is_found_by_its_place() {
        let mut nodes = Nodes::default();
        let a = nodes.tell(&file("a"));
        nodes.rename(&file("a"), &file("b"));
        // Its number is in use, so this one has another.
        let another = nodes.tell(&file("a"));
        assert_ne!(another, a);
        assert_eq!(nodes.find(&file("a")), Some(another));
        assert_eq!(nodes.find(&file("b")), Some(a));
        nodes.forget(another, 1);
        assert_eq!(nodes.find(&file("a")), None);
        nodes.rename(&file("b"), &file("a"));
        assert_eq!(nodes.find(&file("a")), Some(a));
        nodes.forget(a, 1);
        assert_eq!(
            (nodes.find(&file("a")), nodes.find(&file("b"))),
            (None, None)
        );
        assert!(nodes.elsewhere.is_empty() && nodes.by_number.is_empty());
    }
}
