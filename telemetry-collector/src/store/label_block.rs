//! Codec of a block of series: the label sets of series that were created one after the other.
//!
//! A block stands alone: it has a table of the texts in it and each set as numbers of pairs. Matchers are tried on the
//! pairs of the table, not on each series, so looking for a series among those that are not in memory any more costs
//! little more than unpacking.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use promql_parser::label::Matcher;
use wattle_contract::Labels;

use super::samples::Cold;
use super::varint;

const LEVEL: i32 = 3;
/// What one block may grow to when it is read back.
const LIMIT: usize = 512 << 20;

/// Encodes series in order of their ids.
pub(crate) fn encode<'a>(series: impl Iterator<Item = (i64, &'a Labels)>) -> std::io::Result<Vec<u8>> {
    let (mut texts, mut pairs) = (Numbers::default(), Numbers::default());
    let (mut text_bytes, mut pair_bytes, mut sets) = (Vec::new(), Vec::new(), Vec::new());
    let (mut count, mut last) = (0_u64, 0_i64);
    for (id, labels) in series {
        count += 1;
        varint::put(&mut sets, varint::zigzag(id.wrapping_sub(last)));
        last = id;
        varint::put(&mut sets, labels.pairs().len() as u64);
        for (name, value) in labels.pairs() {
            let mut text = |text: &Arc<str>| {
                texts.number(text.clone(), || {
                    varint::put(&mut text_bytes, text.len() as u64);
                    text_bytes.extend_from_slice(text.as_bytes());
                })
            };
            let pair = (text(name), text(value));
            let pair = pairs.number(pair, || {
                varint::put(&mut pair_bytes, pair.0);
                varint::put(&mut pair_bytes, pair.1);
            });
            varint::put(&mut sets, pair);
        }
    }
    let mut plain = Vec::with_capacity(text_bytes.len() + pair_bytes.len() + sets.len() + 32);
    varint::put(&mut plain, texts.known.len() as u64);
    plain.extend_from_slice(&text_bytes);
    varint::put(&mut plain, pairs.known.len() as u64);
    plain.extend_from_slice(&pair_bytes);
    varint::put(&mut plain, count);
    plain.extend_from_slice(&sets);
    zstd::bulk::compress(&plain, LEVEL)
}

struct Numbers<K> {
    known: HashMap<K, u64, foldhash::fast::RandomState>,
}

impl<K> Default for Numbers<K> {
    fn default() -> Self {
        Self { known: HashMap::default() }
    }
}

impl<K: std::hash::Hash + Eq> Numbers<K> {
    fn number(&mut self, key: K, is_new: impl FnOnce()) -> u64 {
        let next = self.known.len() as u64;
        *self.known.entry(key).or_insert_with(|| {
            is_new();
            next
        })
    }
}

/// A block read back.
pub(crate) struct Block {
    pairs: Vec<(Arc<str>, Arc<str>)>,
    series: Vec<Entry>,
    /// Numbers of pairs.
    members: Vec<u32>,
    text_bytes: usize,
}

struct Entry {
    id: i64,
    /// Of its labels, as [`label_hash`] gives it.
    hash: u64,
    /// Where its pairs are in `members`.
    members: std::ops::Range<u32>,
}

impl Block {
    /// Reads stored bytes; `None` when they are no block.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let size = zstd::zstd_safe::get_frame_content_size(body).ok()??;
        let plain = zstd::bulk::decompress(body, usize::try_from(size).ok().filter(|&size| size <= LIMIT)?).ok()?;
        let mut input = plain.as_slice();
        let count = |input: &mut &[u8]| -> Option<usize> {
            // Everything counted takes a byte at least.
            usize::try_from(varint::take(input)?).ok().filter(|&count| count <= input.len())
        };
        let mut texts: Vec<Arc<str>> = Vec::new();
        let mut text_bytes = 0;
        for _ in 0..count(&mut input)? {
            let length = usize::try_from(varint::take(&mut input)?).ok()?;
            let (text, rest) = input.split_at_checked(length)?;
            input = rest;
            text_bytes += length + 2 * size_of::<usize>();
            texts.push(std::str::from_utf8(text).ok()?.into());
        }
        let mut pairs = Vec::new();
        for _ in 0..count(&mut input)? {
            let name = texts.get(usize::try_from(varint::take(&mut input)?).ok()?)?;
            let value = texts.get(usize::try_from(varint::take(&mut input)?).ok()?)?;
            pairs.push((name.clone(), value.clone()));
        }
        let (mut series, mut members) = (Vec::new(), Vec::new());
        let mut id = 0_i64;
        for _ in 0..count(&mut input)? {
            id = id.wrapping_add(varint::unzigzag(varint::take(&mut input)?));
            let from = members.len();
            for _ in 0..count(&mut input)? {
                let pair = u32::try_from(varint::take(&mut input)?).ok()?;
                members.push(pair);
                pairs.get(pair as usize)?;
            }
            let hash = label_hash(members[from..].iter().map(|&pair| pairs.get(pair as usize).map_or(("", ""), text)));
            let members = u32::try_from(from).ok()?..u32::try_from(members.len()).ok()?;
            series.push(Entry { id, hash, members });
        }
        input.is_empty().then_some(Self { pairs, series, members, text_bytes })
    }

    /// Gives what it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.text_bytes
            + size_of_val(self.pairs.as_slice())
            + size_of_val(self.series.as_slice())
            + size_of_val(self.members.as_slice())
    }

    /// Gives every series.
    pub(crate) fn all(&self) -> impl Iterator<Item = (i64, Labels)> {
        self.series.iter().map(|entry| (entry.id, self.labels(entry)))
    }

    /// Gives the series for which all matchers of a group are true, of those that are wanted.
    pub(crate) fn select(&self, matchers: &[Matcher], is_wanted: impl Fn(i64) -> bool) -> Vec<Cold> {
        // For each matcher: is it true without the label, and for which pairs it is.
        let tried: Vec<(bool, &str, Vec<bool>)> = matchers
            .iter()
            .map(|matcher| {
                let fits =
                    |(name, value): &(Arc<str>, Arc<str>)| name.as_ref() == matcher.name && matcher.is_match(value);
                (matcher.is_match(""), matcher.name.as_str(), self.pairs.iter().map(fits).collect())
            })
            .collect();
        if tried.iter().any(|(without, _, pairs)| !without && !pairs.contains(&true)) {
            return Vec::new();
        }
        let is_found = |members: &[u32]| {
            tried.iter().all(|(without, name, fits)| {
                members.iter().any(|&pair| fits[pair as usize])
                    || (*without && !members.iter().any(|&pair| self.pairs[pair as usize].0.as_ref() == *name))
            })
        };
        let found = self.series.iter().filter(|entry| is_found(self.members(entry)) && is_wanted(entry.id));
        found.map(|entry| Cold { id: entry.id, hash: entry.hash, labels: self.labels(entry) }).collect()
    }

    fn members(&self, entry: &Entry) -> &[u32] {
        &self.members[entry.members.start as usize..entry.members.end as usize]
    }

    fn labels(&self, entry: &Entry) -> Labels {
        Labels::new(self.members(entry).iter().map(|&pair| self.pairs[pair as usize].clone()))
    }
}

/// Gives a number that is the same for the same labels, which come in order of their names.
pub(crate) fn label_hash<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    labels.for_each(|pair| pair.hash(&mut hasher));
    hasher.finish()
}

fn text((name, value): &(Arc<str>, Arc<str>)) -> (&str, &str) {
    (name, value)
}

#[cfg(test)]
mod tests {
    use promql_parser::label::MatchOp;
    use proptest::prelude::*;

    use super::*;

    fn set(pod: &str) -> Labels {
        Labels::new([("__name__", "up"), ("pod", pod), ("job", "x")])
    }

    #[test]
    fn series_are_found_by_what_they_have_and_by_what_they_have_not() {
        let (a, b) = (set("a"), set(""));
        let block = encode([(7, &a), (9, &b)].into_iter()).expect("compresses");

        let block = Block::decode(&block).expect("its own encoding");

        assert_eq!(block.all().collect::<Vec<_>>(), [(7, a.clone()), (9, b.clone())]);
        let select = |op, name, value| {
            let found = block.select(&[Matcher::new(op, name, value)], |_| true);
            found.into_iter().map(|cold| (cold.id, cold.hash, cold.labels)).collect::<Vec<_>>()
        };
        let is = |id, labels: &Labels| [(id, label_hash(labels.iter()), labels.clone())];
        assert_eq!(select(MatchOp::Equal, "pod", "a"), is(7, &a));
        assert_eq!(select(MatchOp::NotEqual, "pod", "a"), is(9, &b));
        assert_eq!(select(MatchOp::Equal, "pod", ""), is(9, &b));
        assert!(select(MatchOp::Equal, "job", "y").is_empty());
        assert!(block.select(&[], |id| id > 9).is_empty());
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Block::decode(&bytes).is_none());
            let _ = Block::decode(&zstd::bulk::compress(&bytes, 1).expect("compresses"));
        }
    }
}
