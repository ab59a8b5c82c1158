//! Which series have which labels: postings in memory.

use std::collections::HashMap;
use std::sync::Arc;

use promql_parser::label::{MatchOp, Matcher};
use wattle_contract::Labels;

/// Position of a series in the head.
pub(crate) type Position = u32;

/// Label name to value to the positions of the series that have it, in rising order.
#[derive(Default)]
pub(crate) struct Index {
    postings: HashMap<Arc<str>, HashMap<Arc<str>, Vec<Position>>>,
}

impl Index {
    /// Adds a series; positions must be added in rising order.
    pub(crate) fn insert(&mut self, labels: &Labels, position: Position) {
        for (name, value) in labels.pairs() {
            self.postings.entry(name.clone()).or_default().entry(value.clone()).or_default().push(position);
        }
    }

    /// Gives series among which are all that match: the shortest list one of the matchers leads to; `None` for all.
    pub(crate) fn candidates(&self, matchers: &[Matcher]) -> Option<Vec<Position>> {
        let mut best: Option<Vec<Position>> = None;
        for matcher in matchers.iter().filter(|matcher| !matcher.is_match("")) {
            let values = self.postings.get(matcher.name.as_str());
            let found = match (&matcher.op, values) {
                (_, None) => Vec::new(),
                (MatchOp::Equal, Some(values)) => values.get(matcher.value.as_str()).cloned().unwrap_or_default(),
                (_, Some(values)) if best.is_none() => {
                    let matching = values.iter().filter(|(value, _)| matcher.is_match(value));
                    let mut union: Vec<Position> = matching.flat_map(|(_, list)| list.iter().copied()).collect();
                    union.sort_unstable();
                    union
                }
                _ => continue,
            };
            if best.as_ref().is_none_or(|best| found.len() < best.len()) {
                best = Some(found);
            }
        }
        best
    }

    /// Gives every value of a label.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.postings.get(name).into_iter().flat_map(|values| values.keys().map(AsRef::as_ref))
    }

    /// Gives every label name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.postings.keys().map(AsRef::as_ref)
    }
}

/// Tells whether a series has what all matchers ask for.
pub(crate) fn matches(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.is_match(labels.get(&matcher.name).unwrap_or("")))
}
