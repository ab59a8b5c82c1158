//! Series as senders write them, by a hash of the bytes: labels are read only of those that are new.

use std::hash::BuildHasher;

use hashbrown::HashMap;
use parking_lot::RwLock;

use crate::store::head::SeriesRef;
use crate::store::samples::Samples;

/// Different texts of the same series that are remembered, for each series there is.
const TEXTS: usize = 2;

/// A 128-bit hash under keys of this process: two texts of a million series meet with a chance of one in 2^88.
pub(super) type Key = u128;

/// Hashes texts of series.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    high: foldhash::quality::RandomState,
    low: foldhash::quality::RandomState,
}

impl Keys {
    pub(super) fn of(&self, text: &(impl std::hash::Hash + ?Sized)) -> Key {
        Key::from(self.high.hash_one(text)) << 64 | Key::from(self.low.hash_one(text))
    }
}

/// What a key is hashed by: it is a hash.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AsItIs;

impl BuildHasher for AsItIs {
    type Hasher = Low;

    fn build_hasher(&self) -> Low {
        Low(0)
    }
}

/// Takes the low half of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Low(u64);

impl std::hash::Hasher for Low {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// Series by the hash of what a sender writes.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(super) keys: Keys,
    series: RwLock<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    map: HashMap<Key, SeriesRef, AsItIs>,
    generation: u64,
}

impl Known {
    /// Looks keys up, many at once.
    pub(super) fn look<T>(&self, look: impl FnOnce(&dyn Fn(Key) -> Option<SeriesRef>) -> T) -> T {
        let remembered = self.series.read();
        look(&|key| remembered.map.get(&key).copied())
    }

    /// Remembers series; forgets those that are gone.
    pub(super) fn remember(&self, samples: &Samples, new: impl Iterator<Item = (Key, SeriesRef)>) {
        let mut remembered = self.series.write();
        remembered.map.extend(new);
        let generation = samples.generation();
        if remembered.generation != generation {
            remembered.generation = generation;
            samples.read(|head| remembered.map.retain(|_, at| head.get(*at).is_some()));
        }
        // A sender that writes its labels in ever another order fills no memory.
        if remembered.map.len() > 100_000 + TEXTS * samples.series_count() {
            remembered.map = HashMap::default();
        }
    }

    /// Forgets series that are gone.
    pub(super) fn purge(&self, samples: &Samples) {
        let mut remembered = self.series.write();
        samples.read(|head| remembered.map.retain(|_, at| head.get(*at).is_some()));
    }
}
