//! Consistent hashing: the same key goes to the same endpoint, and few keys move when endpoints change.
//!
//! Sources: Karger et al., "Consistent hashing and random trees", STOC 1997 (the ring, with many points for each endpoint);
//! Eisenbud et al., "Maglev", NSDI 2016, 3.4 (the table). An endpoint that may not be used passes its keys to others.

use wattle_contract::route::HashTable;

use crate::dice::mix;

/// Envoy's bounds on a ring and on a table.
const LARGEST_RING: u64 = 8 << 20;
const LARGEST_TABLE: u64 = 5_000_011;
/// Places of a table that are tried before it is searched in order.
const TRIES: u64 = 32;

/// Where keys belong.
#[derive(Debug)]
pub(crate) enum Places {
    /// Points by hash, each with its endpoint.
    Ring(Vec<(u64, usize)>),
    /// An endpoint for each remainder.
    Maglev(Vec<usize>),
}

impl Places {
    /// Lays out endpoints, given by name and weight.
    pub(crate) fn new(spec: HashTable, endpoints: &[(String, u32)]) -> Self {
        match spec {
            HashTable::Ring { minimum_size } => Self::ring(minimum_size.clamp(1, LARGEST_RING), endpoints),
            HashTable::Maglev { size } => Self::maglev(size.clamp(2, LARGEST_TABLE), endpoints),
        }
    }

    /// Gives the endpoint of a key, or the next that may be used.
    pub(crate) fn pick(&self, hash: u64, usable: impl Fn(usize) -> bool) -> Option<usize> {
        match self {
            Self::Ring(points) => {
                let start = points.partition_point(|(point, _)| *point < hash);
                points[start..].iter().chain(&points[..start]).map(|(_, index)| *index).find(|index| usable(*index))
            }
            Self::Maglev(table) => {
                let size = u64::try_from(table.len()).ok().filter(|size| *size > 0)?;
                let place = |n: u64| table[((if n == 0 { hash } else { mix(hash ^ n) }) % size) as usize];
                (0..TRIES)
                    .map(place)
                    .find(|index| usable(*index))
                    .or_else(|| table.iter().copied().find(|index| usable(*index)))
            }
        }
    }

    fn ring(size: u64, endpoints: &[(String, u32)]) -> Self {
        let total: u64 = endpoints.iter().map(|(_, weight)| u64::from((*weight).max(1))).sum();
        let mut points = Vec::new();
        for (index, (name, weight)) in endpoints.iter().enumerate() {
            let own = (size * u64::from((*weight).max(1))).div_ceil(total.max(1));
            points.extend((0..own).map(|n| (hash_of(format!("{name}_{n}").as_bytes()), index)));
        }
        points.sort_unstable();
        Self::Ring(points)
    }

    fn maglev(size: u64, endpoints: &[(String, u32)]) -> Self {
        if endpoints.is_empty() {
            return Self::Maglev(Vec::new());
        }
        let most = endpoints.iter().map(|(_, weight)| u64::from((*weight).max(1))).max().unwrap_or(1);
        let permutation = |name: &str| {
            let first = hash_of(name.as_bytes());
            (first % size, mix(first) % (size - 1) + 1)
        };
        let mut turns: Vec<_> = endpoints
            .iter()
            .map(|(name, weight)| (permutation(name), 0_u64, 0_u64, u64::from((*weight).max(1))))
            .collect();
        let (mut table, mut filled) = (vec![usize::MAX; size as usize], 0);
        while filled < size {
            for (index, ((offset, skip), next, credit, weight)) in turns.iter_mut().enumerate() {
                *credit += *weight;
                if *credit < most || filled == size {
                    continue;
                }
                *credit -= most;
                // The size is prime, so the walk meets every place; a place is free as long as the table is not full.
                while filled < size {
                    let place = ((*offset + *next * *skip) % size) as usize;
                    *next += 1;
                    if table[place] == usize::MAX {
                        table[place] = index;
                        filled += 1;
                        break;
                    }
                }
            }
        }
        Self::Maglev(table)
    }
}

/// FNV-1a, scrambled: the same in every process, so that all proxies agree.
pub(crate) fn hash_of(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: usize) -> Vec<(String, u32)> {
        (0..count).map(|n| (format!("10.0.0.{n}:80"), 1)).collect()
    }

    #[test]
    fn keys_spread_evenly_and_few_move_when_an_endpoint_goes() {
        for spec in [HashTable::Ring { minimum_size: 4096 }, HashTable::Maglev { size: 65537 }] {
            let (five, four) = (Places::new(spec, &endpoints(5)), Places::new(spec, &endpoints(4)));
            let keys: Vec<u64> = (0..10_000_u64).map(|n| hash_of(&n.to_be_bytes())).collect();

            let mut counts = [0_u32; 5];
            let mut moved = 0;
            for key in &keys {
                let place = five.pick(*key, |_| true).expect("a place");
                counts[place] += 1;
                moved += u32::from(place != 4 && four.pick(*key, |_| true) != Some(place));
            }

            assert!(counts.iter().all(|count| (1500..2500).contains(count)), "{spec:?}: {counts:?}");
            // By remainder alone four of five would move. A ring of fixed size gives those who stay more points.
            assert!(moved < 1500, "{spec:?}: {moved} keys moved that did not have to");
        }
    }

    #[test]
    fn what_may_not_be_used_passes_its_keys_on_and_weights_count() {
        for spec in [HashTable::Ring { minimum_size: 1024 }, HashTable::Maglev { size: 1021 }] {
            let places = Places::new(spec, &[("a".to_owned(), 3), ("b".to_owned(), 1)]);

            let first = (0..4000_u64).filter(|n| places.pick(mix(*n), |_| true) == Some(0)).count();

            assert!((2600..3400).contains(&first), "{spec:?}: {first}");
            assert!((0..100_u64).all(|n| places.pick(mix(n), |index| index == 1) == Some(1)));
            assert_eq!(places.pick(7, |_| false), None);
            assert_eq!(Places::new(spec, &[]).pick(7, |_| true), None);
        }
    }
}
