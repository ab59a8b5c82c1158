//! The part of the cost that is crowding: neighbours disturb each other before a node is full.

/// Utilisation from which latency under interference begins to rise.
const CROWDED: f64 = 0.8;

/// formula: ((u - 0.8) / 0.2)² from 80 % to 100 % utilisation, 0 below, 1 above.
pub(super) fn part(utilisation: f64) -> f64 {
    ((utilisation - CROWDED) / (1.0 - CROWDED)).clamp(0.0, 1.0).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_node_costs_nothing_and_a_full_one_all() {
        assert_eq!(part(0.0), 0.0);
        assert_eq!(part(0.8), 0.0);
        assert!(part(0.9) > 0.2 && part(0.9) < 0.3);
        assert_eq!(part(3.0), 1.0);
    }
}
