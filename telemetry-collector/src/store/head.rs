//! The active series, in memory: their labels, and their newest samples encoded.
//!
//! Series whose ids share all but the last six bits are a group: they were created one after the other, mostly by one
//! target, and their samples are cut into one pack. What was cut last stays in memory too, as it is asked for most.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use promql_parser::label::Matchers;
use wattle_contract::Labels;

use super::chunk::Point;
use super::index::{Index, Pair, Position};
use super::pack::{Pack, SLOTS};
use super::tail::Tail;

/// How far behind the newest sample of its series a sample may arrive.
pub(crate) const OUT_OF_ORDER_MS: i64 = 3_600_000;
const NOBODY: Position = Position::MAX;

/// A series as those remember it who bring samples of it; stale once the series is gone, which [`Head::get`] notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesRef {
    pub(crate) position: Position,
    pub(crate) id: i64,
}

/// One series in memory.
pub(crate) struct Series {
    pub(crate) id: i64,
    pub(crate) pairs: Box<[Pair]>,
    /// Samples that are in the journal only.
    pub(crate) tail: Tail,
    /// Newest sample's time; the least there is when none came since the start.
    pub(crate) newest: i64,
}

/// Series that are cut together.
pub(crate) struct Group {
    pub(crate) members: [Position; SLOTS],
    /// Samples of the member that has most in its tail.
    pub(crate) longest: usize,
    /// Journal number of the oldest sample in a tail.
    pub(crate) open_seq: i64,
    /// Wall clock when it came, in milliseconds.
    pub(crate) opened: i64,
    /// Wall clock when the newest sample came, in milliseconds.
    pub(crate) touched: i64,
    /// Every sample journalled up to here is in a pack; zero when there is none.
    pub(crate) cut_seq: i64,
    /// The newest pack.
    kept: Option<(Arc<Pack>, i64)>,
    /// Newest time that a sample in an older pack may have.
    older_to: i64,
}

/// What an appended sample meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is new.
    New,
    /// The same value is there at the same time.
    Same,
    /// Another value is there at the same time.
    Conflict,
    /// It is further behind the newest than is accepted.
    TooOld,
}

/// A series that was looked for.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) labels: Labels,
    /// Newest sample's time; the least there is when none came since the start.
    pub(crate) newest: i64,
}

/// Gives the group of a series.
pub(crate) const fn group_of(id: i64) -> i64 {
    id.div_euclid(SLOTS as i64)
}

/// Gives the place of a series in its group.
pub(crate) const fn slot_of(id: i64) -> u8 {
    id.rem_euclid(SLOTS as i64) as u8
}

impl Group {
    /// A group whose samples up to the journal number `cut_seq` are in packs, none of them newer than `older_to`.
    pub(crate) const fn stored(cut_seq: i64, older_to: i64) -> Self {
        let members = [NOBODY; SLOTS];
        Self { members, longest: 0, open_seq: 0, opened: 0, touched: 0, cut_seq, kept: None, older_to }
    }

    fn cut(&mut self, pack: Arc<Pack>, (end, older_to): (i64, i64), cut_seq: i64) {
        let kept_to = self.kept.take().map_or(older_to, |(_, kept_to)| kept_to.max(older_to));
        self.older_to = self.older_to.max(kept_to);
        self.kept = Some((pack, end));
        self.cut_seq = cut_seq;
        self.longest = 0;
    }

    /// Tells whether samples from `start` on may be in packs that are not in memory.
    const fn reaches_into_packs(&self, start: i64) -> bool {
        self.cut_seq > 0 && start <= self.older_to
    }
}

/// All active series.
#[derive(Default)]
pub(crate) struct Head {
    series: Vec<Option<Series>>,
    free: Vec<Position>,
    groups: HashMap<i64, Group, RandomState>,
    by_pairs: HashTable<Position>,
    hasher: RandomState,
    index: Index,
}

impl Head {
    /// Counts the series.
    pub(crate) fn len(&self) -> usize {
        self.series.len() - self.free.len()
    }

    pub(crate) fn get(&self, at: SeriesRef) -> Option<&Series> {
        self.series.get(at.position as usize)?.as_ref().filter(|series| series.id == at.id)
    }

    /// Finds a series by its labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<SeriesRef> {
        let pairs = self.index.pairs(labels)?;
        let is_same = |&at: &Position| self.series[at as usize].as_ref().is_some_and(|series| series.pairs == pairs);
        let &position = self.by_pairs.find(self.hasher.hash_one(&pairs), is_same)?;
        self.series[position as usize].as_ref().map(|series| SeriesRef { position, id: series.id })
    }

    /// Finds a series by its id.
    pub(crate) fn by_id(&self, id: i64) -> Option<SeriesRef> {
        let position = self.groups.get(&group_of(id))?.members[usize::from(slot_of(id))];
        (position != NOBODY).then_some(SeriesRef { position, id })
    }

    /// Adds a series; its group is taken from `group` when nobody is in it yet.
    pub(crate) fn insert(&mut self, id: i64, labels: &Labels, group: impl FnOnce() -> Group) -> SeriesRef {
        let position = self.free.pop().unwrap_or_else(|| {
            self.series.push(None);
            Position::try_from(self.series.len() - 1).unwrap_or(NOBODY)
        });
        let pairs = self.index.insert(labels, position);
        let hash = self.hasher.hash_one(&pairs);
        let series = &self.series;
        let hasher = &self.hasher;
        self.by_pairs.insert_unique(hash, position, |&at| {
            series[at as usize].as_ref().map_or(hash, |series| hasher.hash_one(&series.pairs))
        });
        self.series[position as usize] = Some(Series { id, pairs, tail: Tail::default(), newest: i64::MIN });
        self.groups.entry(group_of(id)).or_insert_with(group).members[usize::from(slot_of(id))] = position;
        SeriesRef { position, id }
    }

    /// Tells what a sample of a series meets; it may be as far behind the newest as `reach`.
    pub(crate) fn fit(&self, series: &Series, (time, value): Point, reach: i64) -> Fit {
        if time > series.newest || (series.newest == i64::MIN && series.tail.is_empty()) {
            return Fit::New;
        }
        if time < series.newest.saturating_sub(reach) {
            return Fit::TooOld;
        }
        let same = |other: f64| if other.to_bits() == value.to_bits() { Fit::Same } else { Fit::Conflict };
        if let Some(last) = series.tail.last().filter(|last| last.0 == time) {
            return same(last.1);
        }
        let mut points = Vec::new();
        self.points(series, time, time, &mut points);
        points.first().map_or(Fit::New, |point| same(point.1))
    }

    /// Takes a sample into a series.
    pub(crate) fn push(&mut self, at: SeriesRef, point: Point, seq: i64, now: i64) {
        let Some(Some(series)) = self.series.get_mut(at.position as usize) else { return };
        if series.id != at.id {
            return;
        }
        let is_late = point.0 <= series.newest && !(series.newest == i64::MIN && series.tail.is_empty());
        series.newest = series.newest.max(point.0);
        series.tail.push(point, is_late);
        let length = series.tail.len();
        if let Some(group) = self.groups.get_mut(&group_of(at.id)) {
            if group.longest == 0 {
                (group.open_seq, group.opened) = (seq, now);
            }
            group.longest = group.longest.max(length);
            group.touched = now;
        }
    }

    /// Gives the pack of a series that is in memory, where it may have samples from `start` on.
    pub(crate) fn kept(&self, id: i64, start: i64) -> Option<&Arc<Pack>> {
        let kept = self.groups.get(&group_of(id)).and_then(|group| group.kept.as_ref());
        kept.filter(|(_, kept_to)| *kept_to >= start).map(|(pack, _)| pack)
    }

    /// Appends the points in memory between two times, both included, in order, one of each time.
    pub(crate) fn points(&self, series: &Series, start: i64, end: i64, out: &mut Vec<Point>) {
        if let Some(pack) = self.kept(series.id, start) {
            let kept = pack.one(slot_of(series.id)).unwrap_or_default();
            out.extend(kept.into_iter().filter(|point| (start..=end).contains(&point.0)));
        }
        let kept = out.len();
        series.tail.between(start, end, out);
        if kept > 0 && kept < out.len() && out[kept - 1].0 >= out[kept].0 {
            out.sort_by_key(|point| point.0);
        }
        out.dedup_by_key(|point| point.0);
    }

    /// Tells whether samples of a series from `start` on may be in packs that are not in memory.
    pub(crate) fn reaches_into_packs(&self, id: i64, start: i64) -> bool {
        self.groups.get(&group_of(id)).is_some_and(|group| group.reaches_into_packs(start))
    }

    /// Gives the series that match, in order of position.
    pub(crate) fn select(&self, matchers: &Matchers) -> impl Iterator<Item = Found> {
        let one = std::slice::from_ref(&matchers.matchers);
        let groups = if matchers.or_matchers.is_empty() { one } else { &matchers.or_matchers };
        let mut found: Option<roaring::RoaringBitmap> = Some(roaring::RoaringBitmap::new());
        for group in groups {
            found = match (found, self.index.select(group)) {
                (Some(found), Some(more)) => Some(found | more),
                _ => None,
            };
        }
        let positions: Vec<Position> = match found {
            Some(found) => found.iter().collect(),
            None => (0..Position::try_from(self.series.len()).unwrap_or(NOBODY)).collect(),
        };
        positions.into_iter().filter_map(|position| {
            let series = self.series[position as usize].as_ref()?;
            let labels = self.index.labels(&series.pairs);
            Some(Found { id: series.id, labels, newest: series.newest })
        })
    }

    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// Gives every series with its reference.
    pub(crate) fn all(&self) -> impl Iterator<Item = (SeriesRef, &Series)> {
        self.series.iter().zip(0..).filter_map(|(series, position)| {
            series.as_ref().map(|series| (SeriesRef { position, id: series.id }, series))
        })
    }

    /// Gives the labels of a series.
    pub(crate) fn labels(&self, series: &Series) -> Labels {
        self.index.labels(&series.pairs)
    }

    /// Gives the groups by their number.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (i64, &Group)> {
        self.groups.iter().map(|(&id, group)| (id, group))
    }

    /// Gives the members of a group that have samples in their tails, in order of their slots.
    pub(crate) fn tails(&self, group: &Group) -> Vec<(u8, Vec<Point>)> {
        let members = group.members.iter().zip(0_u8..).filter(|(position, _)| **position != NOBODY);
        let tails = members.filter_map(|(&position, slot)| Some((slot, self.series[position as usize].as_ref()?)));
        tails.filter(|(_, series)| !series.tail.is_empty()).map(|(slot, s)| (slot, s.tail.points())).collect()
    }

    /// Empties the tails of a group, which are in a pack now with what was journalled up to `cut_seq`; `until` are the
    /// newest time in it, and in what was cut before it.
    pub(crate) fn cut(&mut self, id: i64, pack: Arc<Pack>, until: (i64, i64), cut_seq: i64) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.cut(pack, until, cut_seq);
        for &position in group.members.iter().filter(|&&position| position != NOBODY) {
            if let Some(series) = &mut self.series[position as usize] {
                series.tail = Tail::default();
            }
        }
    }

    /// Forgets series; gives the groups that nobody is in any more.
    pub(crate) fn remove(&mut self, gone: &[SeriesRef]) -> Vec<i64> {
        let mut taken = Vec::with_capacity(gone.len());
        let mut empty = Vec::new();
        for &at in gone {
            let Some(slot) = self.series.get_mut(at.position as usize) else { continue };
            let Some(series) = slot.take_if(|series| series.id == at.id) else { continue };
            let hash = self.hasher.hash_one(&series.pairs);
            if let Ok(entry) = self.by_pairs.find_entry(hash, |&position| position == at.position) {
                entry.remove();
            }
            if let Some(group) = self.groups.get_mut(&group_of(at.id)) {
                group.members[usize::from(slot_of(at.id))] = NOBODY;
                if group.members.iter().all(|&position| position == NOBODY) {
                    self.groups.remove(&group_of(at.id));
                    empty.push(group_of(at.id));
                }
            }
            self.free.push(at.position);
            taken.push((at.position, series.pairs));
        }
        self.index.remove(taken.iter().map(|(position, pairs)| (*position, pairs.as_ref())));
        empty
    }
}

/// Orders points by time and keeps one of each time.
pub(crate) fn sort_unique(points: &mut Vec<Point>) {
    points.sort_by_key(|point| point.0);
    points.dedup_by_key(|point| point.0);
}
