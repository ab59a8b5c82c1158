//! The part of the cost that is power, or carbon where its intensity is known.

use wattle_contract::Watts;

use super::relative::Scale;
use crate::predict::Interval;

/// Watts add up over nodes, so differences count and not ratios; four times the middle candidate's watts more than the best
/// is as dear as counts. Under a hundredth of a watt nothing is told apart.
pub(super) const SCALE: Scale = Scale::Middle { whole: 4.0, floor: 0.01 };

/// formula: (mid + doubt · (1 + doubt) · (high - mid)) · carbon. Units: watts, at the cluster's mean carbon intensity.
///
/// With age the interval widens to twice its width, and its bad end counts more and more.
pub(super) fn part(added: Option<Interval<Watts>>, doubt: f64, carbon: f64) -> Option<f64> {
    let added = added?;
    let (mid, high) = (added.mid.get(), added.high.get().max(added.mid.get()));
    let doubt = doubt.clamp(0.0, 1.0);
    Some((mid + doubt * (1.0 + doubt) * (high - mid)) * carbon.max(0.0))
}
