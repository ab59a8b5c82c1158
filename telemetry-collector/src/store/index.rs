//! Which series have which labels: label pairs written once, and postings as compressed sets.
//!
//! A series is a short list of pair numbers; a pair is a name, a value and the set of positions of the series that have
//! it. Positions are used again after a series is gone, so the sets stay dense.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use promql_parser::label::{MatchOp, Matcher};
use roaring::RoaringBitmap;
use wattle_contract::Labels;

/// Position of a series in the head.
pub(crate) type Position = u32;
/// Number of a label pair.
pub(crate) type Pair = u32;

type Map<K, V> = std::collections::HashMap<K, V, RandomState>;

/// The series that have a label pair; most values of some labels (pods, processes) have one only.
enum Postings {
    One(Position),
    Many(Box<RoaringBitmap>),
}

struct Entry {
    name: Arc<str>,
    value: Arc<str>,
    postings: Postings,
}

/// Label pairs and their postings.
#[derive(Default)]
pub(crate) struct Index {
    names: Map<Arc<str>, Map<Arc<str>, Pair>>,
    entries: Vec<Option<Entry>>,
    free: Vec<Pair>,
}

impl Index {
    /// Finds the pairs of a label set; `None` when no series has one of them.
    pub(crate) fn pairs(&self, labels: &Labels) -> Option<Box<[Pair]>> {
        labels.iter().map(|(name, value)| self.names.get(name)?.get(value).copied()).collect()
    }

    /// Adds a series; gives its pairs.
    pub(crate) fn insert(&mut self, labels: &Labels, position: Position) -> Box<[Pair]> {
        labels.pairs().iter().map(|(name, value)| self.add(name, value, position)).collect()
    }

    fn add(&mut self, name: &Arc<str>, value: &Arc<str>, position: Position) -> Pair {
        if let Some(pair) = self.names.get(name).and_then(|values| values.get(value)).copied() {
            if let Some(entry) = &mut self.entries[pair as usize] {
                entry.postings.insert(position);
            }
            return pair;
        }
        let name = self.names.get_key_value(name).map_or_else(|| name.clone(), |(known, _)| known.clone());
        let entry = Entry { name: name.clone(), value: value.clone(), postings: Postings::One(position) };
        let pair = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            Pair::try_from(self.entries.len() - 1).unwrap_or(Pair::MAX)
        });
        self.entries[pair as usize] = Some(entry);
        self.names.entry(name).or_default().insert(value.clone(), pair);
        pair
    }

    /// Takes series out of the postings of their pairs; pairs that no series has any more are gone.
    pub(crate) fn remove<'a>(&mut self, series: impl Iterator<Item = (Position, &'a [Pair])>) {
        for (position, pairs) in series {
            for &pair in pairs {
                let Some(entry) = &mut self.entries[pair as usize] else { continue };
                if entry.postings.remove(position) {
                    continue;
                }
                if let Some(values) = self.names.get_mut(&entry.name) {
                    values.remove(&entry.value);
                    if values.is_empty() {
                        let name = entry.name.clone();
                        self.names.remove(&name);
                    }
                }
                self.entries[pair as usize] = None;
                self.free.push(pair);
            }
        }
    }

    /// Gives the text of a pair.
    pub(crate) fn text(&self, pair: Pair) -> (&Arc<str>, &Arc<str>) {
        let entry = self.entries[pair as usize].as_ref().expect("a series holds its pairs");
        (&entry.name, &entry.value)
    }

    /// Puts the labels of a series together.
    pub(crate) fn labels(&self, pairs: &[Pair]) -> Labels {
        Labels::new(pairs.iter().map(|&pair| self.text(pair)).map(|(name, value)| (name.clone(), value.clone())))
    }

    /// Gives the series for which every matcher is true; `None` for all of them.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> Option<RoaringBitmap> {
        let (needed, excluded): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|m| !m.is_match(""));
        let mut found: Option<RoaringBitmap> = None;
        // Equality first: it is one look-up, and what it leaves is mostly little.
        let (equal, other): (Vec<&Matcher>, Vec<&Matcher>) =
            needed.into_iter().partition(|matcher| matcher.op == MatchOp::Equal);
        for matcher in equal.into_iter().chain(other) {
            let matching = self.union(matcher, |value| matcher.is_match(value));
            found = Some(match found {
                Some(found) => found & matching,
                None => matching,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return found;
            }
        }
        for matcher in excluded {
            let against = self.union(matcher, |value| !matcher.is_match(value));
            if against.is_empty() {
                continue;
            }
            found = Some(found.unwrap_or_else(|| self.all()) - against);
        }
        found
    }

    fn union(&self, matcher: &Matcher, fits: impl Fn(&str) -> bool) -> RoaringBitmap {
        let mut union = RoaringBitmap::new();
        let Some(values) = self.names.get(matcher.name.as_str()) else { return union };
        if matcher.op == MatchOp::Equal && !matcher.value.is_empty() {
            if let Some(&pair) = values.get(matcher.value.as_str()) {
                self.add_to(&mut union, pair);
            }
            return union;
        }
        for (_, &pair) in values.iter().filter(|(value, _)| fits(value)) {
            self.add_to(&mut union, pair);
        }
        union
    }

    fn add_to(&self, union: &mut RoaringBitmap, pair: Pair) {
        match self.entries[pair as usize].as_ref().map(|entry| &entry.postings) {
            Some(Postings::One(position)) => drop(union.insert(*position)),
            Some(Postings::Many(set)) => *union |= set.as_ref(),
            None => {}
        }
    }

    fn all(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        for &pair in self.names.get(wattle_contract::METRIC_NAME).into_iter().flat_map(|values| values.values()) {
            self.add_to(&mut all, pair);
        }
        all
    }

    /// Gives every value of a label.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.names.get(name).into_iter().flat_map(|values| values.keys().map(AsRef::as_ref))
    }

    /// Counts the series that have a value of a label.
    pub(crate) fn count(&self, name: &str, value: &str) -> u64 {
        let pair = self.names.get(name).and_then(|values| values.get(value));
        pair.and_then(|&pair| self.entries[pair as usize].as_ref()).map_or(0, |entry| entry.postings.len())
    }

    /// Gives every label name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let sorted: BTreeSet<&str> = self.names.keys().map(AsRef::as_ref).collect();
        sorted.into_iter()
    }
}

impl Postings {
    fn insert(&mut self, position: Position) {
        match self {
            Self::One(only) if *only == position => {}
            Self::One(only) => *self = Self::Many(Box::new(RoaringBitmap::from_iter([*only, position]))),
            Self::Many(set) => drop(set.insert(position)),
        }
    }

    /// Takes a series out; tells whether another one is left.
    fn remove(&mut self, position: Position) -> bool {
        match self {
            Self::One(only) => *only != position,
            Self::Many(set) => {
                set.remove(position);
                !set.is_empty()
            }
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(set) => set.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pod: &str, job: &str) -> Labels {
        Labels::new([(wattle_contract::METRIC_NAME, "up"), ("pod", pod), ("job", job)])
    }

    fn found(index: &Index, matchers: &[Matcher]) -> Vec<Position> {
        index.select(matchers).map_or_else(|| vec![Position::MAX], |found| found.iter().collect())
    }

    #[test]
    fn a_series_that_is_gone_is_not_found_and_leaves_no_pair() {
        let mut index = Index::default();
        let first = index.insert(&labels("a", "x"), 0);
        index.insert(&labels("b", "x"), 1);

        index.remove([(0, first.as_ref())].into_iter());

        assert_eq!(found(&index, &[Matcher::new(MatchOp::Equal, "job", "x")]), [1]);
        assert!(found(&index, &[Matcher::new(MatchOp::Equal, "pod", "a")]).is_empty());
        assert_eq!(index.values("pod").collect::<Vec<_>>(), ["b"]);
        assert_eq!((index.count("job", "x"), index.count("pod", "a")), (1, 0));
    }

    #[test]
    fn what_must_not_be_there_excludes() {
        let mut index = Index::default();
        index.insert(&labels("a", "x"), 0);
        index.insert(&labels("b", "y"), 1);
        index.insert(&labels("", "y"), 2);

        assert_eq!(found(&index, &[Matcher::new(MatchOp::NotEqual, "pod", "a")]), [1, 2]);
        assert_eq!(found(&index, &[Matcher::new(MatchOp::Equal, "pod", "")]), [2]);
        assert_eq!(
            found(&index, &[Matcher::new(MatchOp::Equal, "job", "y"), Matcher::new(MatchOp::NotEqual, "pod", "")]),
            [1]
        );
    }
}
