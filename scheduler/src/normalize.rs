//! From costs to scores: the one place where lower-is-better becomes higher-is-better.

use crate::score::Cost;

/// What is known of a candidate once costs are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// It has a cost.
    Known(Cost),
    /// Nothing that counts is known of it.
    Unknown,
    /// The pod would load it beyond its capacity.
    Overloaded,
}

/// So much dearer than the best is as bad as any worse: twice the middle candidate's watts, where energy and latency weigh
/// alike. A fixed span tells the good ones apart, however bad the worst is.
const SPAN: f64 = 0.25;

/// Gives the score of an unknown candidate: the middle of the range, rounded down.
#[must_use]
pub const fn neutral(top: u32) -> u32 {
    top / 2
}

/// Turns standings into scores.
///
/// formula: top · max(0, 1 - (cost - least cost) / 0.25), rounded. The cheapest known candidate always
/// gets `top`, an unknown one the neutral score, an overloaded one 0; where one is overloaded, the known ones get at
/// least 1.
/// Range: 0..=top; `top` is at least 1.
#[must_use]
pub fn normalize(standings: &[Standing], top: u32) -> Vec<u32> {
    let known = standings.iter().filter_map(|standing| match standing {
        Standing::Known(cost) => Some(cost.get()),
        Standing::Unknown | Standing::Overloaded => None,
    });
    let least = known.fold(f64::INFINITY, f64::min);
    let floor = u32::from(standings.contains(&Standing::Overloaded)).min(top);
    let score = |standing: &Standing| match standing {
        Standing::Known(cost) => scaled(1.0 - (cost.get() - least) / SPAN, top).clamp(floor, top),
        Standing::Unknown => neutral(top),
        Standing::Overloaded => 0,
    };
    standings.iter().map(score).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=top before the cast")]
fn scaled(share: f64, top: u32) -> u32 {
    (share.clamp(0.0, 1.0) * f64::from(top)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(cost: f64) -> Standing {
        Standing::Known(Cost::new(cost).expect("finite"))
    }

    #[test]
    fn the_cheapest_gets_the_top_and_unknown_is_never_best() {
        assert_eq!(normalize(&[known(0.0), known(0.25), known(0.125), Standing::Unknown], 10), [10, 0, 5, 5]);
        assert_eq!(normalize(&[known(7.0), Standing::Unknown], 10), [10, 5]);
        assert_eq!(normalize(&[Standing::Unknown; 3], 10), [5, 5, 5]);
        assert_eq!(normalize(&[known(2.0), known(2.0)], 10), [10, 10]);
        assert!(normalize(&[], 10).is_empty());
    }

    #[test]
    fn overload_is_below_everything_that_is_known() {
        assert_eq!(normalize(&[known(0.0), known(9.0), Standing::Overloaded], 10), [10, 1, 0]);
        assert_eq!(normalize(&[Standing::Overloaded, Standing::Unknown], 1), [0, 0]);
        assert_eq!(normalize(&[Standing::Overloaded; 2], 10), [0, 0]);
    }

    #[test]
    fn a_small_difference_is_a_small_step() {
        assert_eq!(normalize(&[known(0.50), known(0.525)], 10), [10, 9]);
    }
}
