//! Counting what is in flight: a guard that counts on creation and uncounts on drop, so a cancelled request is uncounted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What is in flight towards one cluster. Survives a reload.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    pub(crate) requests: Gauge,
    pub(crate) pending: Gauge,
    pub(crate) retries: Gauge,
    pub(crate) connections: Gauge,
}

/// A number of things in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicU32>);

/// One thing in flight.
#[derive(Debug)]
#[must_use = "dropping it at once counts nothing"]
pub(crate) struct Held(Arc<AtomicU32>);

impl Gauge {
    pub(crate) fn value(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub(crate) fn hold(&self) -> Held {
        self.0.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(&self.0))
    }

    /// Counts one more unless the bound is reached.
    pub(crate) fn try_hold(&self, bound: Option<u32>) -> Option<Held> {
        let bound = bound.unwrap_or(u32::MAX);
        let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now < bound).then_some(now + 1));
        counted.ok().map(|_| Held(Arc::clone(&self.0)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_kept_and_a_drop_makes_room() {
        let gauge = Gauge::default();

        let first = gauge.try_hold(Some(1));

        assert!(first.is_some() && gauge.try_hold(Some(1)).is_none());
        drop(first);
        assert!(gauge.try_hold(Some(1)).is_some());
        assert_eq!(gauge.value(), 0);
    }
}
