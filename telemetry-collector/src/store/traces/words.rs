//! Byte strings that repeat, each kept once and named by a small number.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Byte strings in the order in which they came first.
#[derive(Debug, Default)]
pub(crate) struct Words {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Hash of a word to its number; a word whose hash is taken by another one is kept again instead.
    numbers: HashMap<u64, u32, BuildHasherDefault<Taken>>,
    hashes: RandomState,
}

impl Words {
    /// Gives the number of a word, which is kept when it is new.
    pub(crate) fn number(&mut self, word: &[u8]) -> u32 {
        let hash = self.hashes.hash_one(word);
        if let Some(&number) = self.numbers.get(&hash) {
            if self.get(number) == word {
                return number;
            }
            return self.push(word);
        }
        let number = self.push(word);
        self.numbers.insert(hash, number);
        number
    }

    /// Appends a word without looking whether it is there.
    pub(crate) fn push(&mut self, word: &[u8]) -> u32 {
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len());
        u32::try_from(self.ends.len() - 1).unwrap_or(u32::MAX)
    }

    /// Gives a word; empty for a number that none has.
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        let at = number as usize;
        let Some(&end) = self.ends.get(at) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..end]
    }

    /// Gives a word as text.
    pub(crate) fn text(&self, number: u32) -> &str {
        std::str::from_utf8(self.get(number)).unwrap_or_default()
    }

    /// Walks the words in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| self.get(at as u32))
    }

    /// Counts the words.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Gives the length of all words together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A hash that is one already.
#[derive(Debug, Default)]
pub(crate) struct Taken(u64);

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_one_number() {
        let mut words = Words::default();

        assert_eq!([words.number(b"a"), words.number(b""), words.number(b"a"), words.number(b"b")], [0, 1, 0, 2]);
        assert_eq!(
            (words.get(0), words.get(1), words.get(2), words.get(9)),
            (&b"a"[..], &b""[..], &b"b"[..], &b""[..])
        );
        assert_eq!(words.iter().count(), words.len());
    }
}
