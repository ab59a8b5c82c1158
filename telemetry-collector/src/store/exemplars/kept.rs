//! What is kept of exemplars: the newest of each series, and of all of them those that came last.

use std::collections::{BTreeMap, VecDeque};

use promql_parser::label::{Matcher, Matchers};
use wattle_contract::Labels;

use super::{Exemplar, OF_SERIES, Of};

/// Exemplars in memory.
pub(super) struct Kept {
    most: usize,
    /// In order of time, each with its number.
    series: BTreeMap<Labels, VecDeque<(u64, Exemplar)>>,
    /// Series by the number of an exemplar: the lowest came first.
    arrived: BTreeMap<u64, Labels>,
    next: u64,
}

impl Kept {
    pub(super) fn new(most: usize) -> Self {
        Self { most, series: BTreeMap::new(), arrived: BTreeMap::new(), next: 0 }
    }

    pub(super) const fn most(&self) -> usize {
        self.most
    }

    pub(super) fn len(&self) -> usize {
        self.arrived.len()
    }

    /// Tells whether an exemplar would be kept: it is not there, and not older than all of a series that has enough.
    pub(super) fn is_new(&self, series: &Labels, exemplar: &Exemplar) -> bool {
        let Some(there) = self.series.get(series) else { return self.most > 0 };
        let is_too_old =
            there.len() >= OF_SERIES && there.front().is_some_and(|(_, oldest)| exemplar.time < oldest.time);
        !is_too_old && !there.iter().rev().any(|(_, other)| other.is_same(exemplar))
    }

    /// Adds an exemplar, if it is new; the oldest goes where there are too many.
    pub(super) fn add(&mut self, series: Labels, exemplar: Exemplar) {
        if !self.is_new(&series, &exemplar) {
            return;
        }
        let number = self.next;
        self.next += 1;
        let there = self.series.entry(series.clone()).or_default();
        let at = there.partition_point(|(_, other)| other.time <= exemplar.time);
        there.insert(at, (number, exemplar));
        self.arrived.insert(number, series);
        if there.len() > OF_SERIES
            && let Some((oldest, _)) = there.pop_front()
        {
            self.arrived.remove(&oldest);
        }
        while self.arrived.len() > self.most {
            let Some((number, series)) = self.arrived.pop_first() else { break };
            self.forget(&series, |(other, _)| *other == number);
        }
    }

    fn forget(&mut self, series: &Labels, is_gone: impl Fn(&(u64, Exemplar)) -> bool) {
        let Some(there) = self.series.get_mut(series) else { return };
        there.retain(|one| !is_gone(one));
        if there.is_empty() {
            self.series.remove(series);
        }
    }

    /// Drops those from before a time.
    pub(super) fn drop_before(&mut self, before: i64) {
        let arrived = &mut self.arrived;
        self.series.retain(|_, there| {
            while there.front().is_some_and(|(_, oldest)| oldest.time < before) {
                if let Some((number, _)) = there.pop_front() {
                    arrived.remove(&number);
                }
            }
            !there.is_empty()
        });
    }

    /// Gives all in the order in which they came.
    pub(super) fn all(&self) -> Vec<Of> {
        let mut numbered: Vec<(u64, Of)> = Vec::with_capacity(self.len());
        for (series, there) in &self.series {
            numbered.extend(there.iter().map(|(number, exemplar)| (*number, (series.clone(), exemplar.clone()))));
        }
        numbered.sort_unstable_by_key(|(number, _)| *number);
        numbered.into_iter().map(|(_, of)| of).collect()
    }

    pub(super) fn select(&self, selectors: &[Matchers], start: i64, end: i64) -> Vec<(Labels, Vec<Exemplar>)> {
        let mut found = Vec::new();
        for (series, there) in &self.series {
            if !selectors.iter().any(|selector| matches(selector, series)) {
                continue;
            }
            let within = there.iter().filter(|(_, exemplar)| (start..=end).contains(&exemplar.time));
            let within: Vec<Exemplar> = within.map(|(_, exemplar)| exemplar.clone()).collect();
            if !within.is_empty() {
                found.push((series.clone(), within));
            }
        }
        found
    }
}

fn matches(selector: &Matchers, series: &Labels) -> bool {
    let all = |group: &[Matcher]| group.iter().all(|one| one.is_match(series.get(&one.name).unwrap_or("")));
    if selector.or_matchers.is_empty() {
        return all(&selector.matchers);
    }
    selector.or_matchers.iter().any(|group| all(group))
}
