//! The part of the cost that is crowding: neighbours disturb each other before a node is full.

/// Utilisation from which latency under interference begins to rise.
const CROWDED: f64 = 0.8;
/// Share of the memory from which a node is near evicting pods (the kubelet's default is at 100 MiB left).
const MEMORY_CROWDED: f64 = 0.85;

/// formula: the greater of ((u + σ - 0.8) / 0.2)² and ((m - 0.85) / 0.15)², each 0 below and 1 above its range.
///
/// `utilisation` and `memory` are shares with the pod there; `deviation` (σ) is the standard deviation of the utilisation
/// over the last windows: a load that swings needs more room.
pub(super) fn part(utilisation: Option<f64>, deviation: f64, memory: Option<f64>) -> f64 {
    let cpu = utilisation.map_or(0.0, |u| beyond(u + deviation.max(0.0), CROWDED));
    let memory = memory.map_or(0.0, |m| beyond(m, MEMORY_CROWDED));
    cpu.max(memory)
}

fn beyond(share: f64, from: f64) -> f64 {
    ((share - from) / (1.0 - from)).clamp(0.0, 1.0).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_node_costs_nothing_and_a_full_one_all() {
        let cpu = |share| part(Some(share), 0.0, None);
        assert_eq!(cpu(0.0), 0.0);
        assert_eq!(cpu(0.8), 0.0);
        assert!(cpu(0.9) > 0.2 && cpu(0.9) < 0.3);
        assert_eq!(cpu(3.0), 1.0);
        assert_eq!(part(None, 0.5, None), 0.0);
    }

    #[test]
    fn a_load_that_swings_and_memory_that_ends_need_room_too() {
        assert!(part(Some(0.75), 0.1, None) > 0.0);
        assert_eq!(part(Some(0.1), 0.0, Some(0.85)), 0.0);
        assert_eq!(part(Some(0.1), 0.0, Some(1.2)), 1.0);
    }
}
