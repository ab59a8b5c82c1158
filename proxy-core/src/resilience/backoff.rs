//! Pauses between tries: doubling, jittered, bounded (Envoy: full jitter, at most ten times the base).

use std::time::Duration;

use crate::dice::Dice;

/// The longest pause, in multiples of the first.
const MOST: u32 = 10;

/// Gives the pause before a further try. `tries` is how many further tries went before.
pub(crate) fn pause(base: Duration, tries: u32, dice: &Dice) -> Duration {
    let factor = 1_u32.checked_shl(tries).unwrap_or(MOST).min(MOST);
    let longest = u64::try_from((base * factor).as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(dice.below(longest.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_stays_below_its_bound_which_doubles_to_ten_times_the_base() {
        let (dice, base) = (Dice::new(3), Duration::from_millis(25));

        for (tries, bound) in [(0, 25), (1, 50), (2, 100), (3, 200), (4, 250), (40, 250)] {
            assert!((0..500).all(|_| pause(base, tries, &dice) < Duration::from_millis(bound)), "{tries}");
        }
    }
}
