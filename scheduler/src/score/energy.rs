//! The part of the cost that is power.

use wattle_contract::Watts;

use super::relative::LeastSpan;
use crate::predict::Interval;

/// Differences under a twentieth are within what a power model errs by (held-out errors of 3-6 % are usual).
pub(super) const LEAST_SPAN: LeastSpan = LeastSpan(0.05);

/// formula: mid + doubt · (high - mid). Units: watts.
pub(super) fn part(added: Option<Interval<Watts>>, doubt: f64) -> Option<f64> {
    let added = added?;
    let (mid, high) = (added.mid.get(), added.high.get().max(added.mid.get()));
    Some(mid + doubt.clamp(0.0, 1.0) * (high - mid))
}
