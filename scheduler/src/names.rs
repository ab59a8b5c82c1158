//! The nodes that are known, numbered: a name in a request becomes a number with one hash, and an answer is put together
//! from pieces that were written once.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use wattle_contract::NodeName;

/// Names in their order, the number of each, and the beginning of its entry in an answer.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<NodeName>,
    index: HashMap<NodeName, u32, BuildHasherDefault<NameHasher>>,
    /// `{"Host":"NAME","Score":` of every node, one after the other.
    entries: Vec<u8>,
    /// Where each entry begins, and where the last one ends.
    starts: Vec<usize>,
}

impl Names {
    /// Numbers names in the order given; a name that was given before keeps its first number.
    #[must_use]
    pub fn new(names: impl IntoIterator<Item = NodeName>) -> Self {
        let mut numbered = Self { starts: vec![0], ..Self::default() };
        for name in names {
            let Ok(number) = u32::try_from(numbered.names.len()) else { break };
            if numbered.index.contains_key(&name) {
                continue;
            }
            write_entry(&mut numbered.entries, name.as_str());
            numbered.starts.push(numbered.entries.len());
            numbered.index.insert(name.clone(), number);
            numbered.names.push(name);
        }
        numbered
    }

    /// Gives the number of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).map(|number| *number as usize)
    }

    /// Gives the name of a number; `None` for a number that was not given out.
    #[must_use]
    pub fn name(&self, number: usize) -> Option<&NodeName> {
        self.names.get(number)
    }

    /// Gives all names, by number.
    #[must_use]
    pub fn all(&self) -> &[NodeName] {
        &self.names
    }

    /// Gives how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Gives `{"Host":"NAME","Score":` of a number.
    #[must_use]
    pub fn entry(&self, number: usize) -> &[u8] {
        match (self.starts.get(number), self.starts.get(number + 1)) {
            (Some(start), Some(end)) => &self.entries[*start..*end],
            _ => &[],
        }
    }
}

/// What stands before the name of an entry.
pub(crate) const HOST: &[u8] = br#"{"Host":"#;
/// What stands after it.
pub(crate) const SCORE: &[u8] = br#","Score":"#;

/// Writes `{"Host":"NAME","Score":`.
pub(crate) fn write_entry(into: &mut Vec<u8>, name: &str) {
    into.extend_from_slice(HOST);
    serde_json::to_writer(&mut *into, name).expect("a Vec takes every text");
    into.extend_from_slice(SCORE);
}

/// Hashes names by multiplying eight bytes at a time and folding the product.
///
/// Source: the folded multiplication of wyhash (Wang Yi 2019). It is no defence against chosen keys, and needs none: the
/// table holds what the cluster is made of, and a request only asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHasher(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl NameHasher {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product are folded into one")]
    fn take(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ FACTOR) * u128::from(FACTOR.rotate_left(23));
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.take(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.take(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, _: u8) {
        // The mark that ends a text: there is one text a key, so it tells nothing apart.
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_number_and_one_entry() {
        let names = Names::new(["b", "a", "b", "quo\"te"].map(NodeName::from));

        assert_eq!(names.len(), 3);
        assert_eq!([names.find("b"), names.find("a"), names.find("c")], [Some(0), Some(1), None]);
        assert_eq!(names.entry(0), br#"{"Host":"b","Score":"#);
        assert_eq!(names.entry(2), br#"{"Host":"quo\"te","Score":"#);
        assert_eq!((names.entry(3), names.name(3)), (&b""[..], None));
    }

    #[test]
    fn names_that_differ_in_little_do_not_collide() {
        let hash = |name: &str| {
            let mut hasher = NameHasher::default();
            hasher.write(name.as_bytes());
            hasher.finish() & 0x3fff
        };

        let buckets: std::collections::HashSet<u64> = (0..5_000).map(|i| hash(&format!("node-{i:05}"))).collect();

        // 5,000 balls into 16,384 urns hit 4,310 different ones on average.
        assert!(buckets.len() > 3_900, "{}", buckets.len());
    }
}
