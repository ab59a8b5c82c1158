//! The part of the cost that is crowding: neighbours wait for each other long before a node is full.

/// Share of the memory from which a node is near evicting pods (the kubelet's default is at 100 MiB left).
const MEMORY_CROWDED: f64 = 0.85;
/// Share of the processors from which a node is near its end: the next pod of a burst may be what saturates it.
const CPU_CROWDED: f64 = 0.8;
/// Share of requests beyond the 95th percentile.
const ONE_IN_TWENTY: f64 = 0.05;
/// Utilisation from which the queue grows in a straight line, so that overload stays finite.
const MOST: f64 = 0.98;

/// formula: (w / (1 + w) + 2 · the greater of ((u - 0.8) / 0.2)² and ((m - 0.85) / 0.15)²) / 3, the squares 0 below and 1
/// above their range.
///
/// `waiting` (w) is what [`Processors::added_waiting`] gives; it tells little between nearly full and full. `utilisation` (u) and `memory`
/// (m) are the shares in use with the pod there.
pub(crate) fn part(waiting: Option<f64>, utilisation: Option<f64>, memory: Option<f64>) -> f64 {
    let waiting = waiting.map_or(0.0, |w| w / (1.0 + w));
    let near_end =
        |used: Option<f64>, from: f64| used.map_or(0.0, |u| ((u - from) / (1.0 - from)).clamp(0.0, 1.0).powi(2));
    let full = near_end(utilisation, CPU_CROWDED).max(near_end(memory, MEMORY_CROWDED));
    (waiting + 2.0 * full) / 3.0
}

/// The processors of a node, as requests queue for them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Processors {
    count: f64,
    exponent: i32,
}

impl Processors {
    /// Takes a number of processors; `None` when there are none.
    #[expect(clippy::cast_possible_truncation, reason = "the root of a number of processors")]
    pub(crate) fn new(count: f64) -> Option<Self> {
        let exponent = ((2.0 * (count + 1.0)).sqrt() - 1.0).round().clamp(1.0, f64::from(i32::MAX)) as i32;
        (count > 0.0 && count.is_finite()).then_some(Self { count, exponent })
    }

    /// Gives how many more requests wait at any moment for each processor that a pod keeps busy, its own and its
    /// neighbours', as far as a 95th percentile feels it: what crowding costs everybody, not only who comes.
    ///
    /// formula: (L(after) - L(before)) / ((after - before) k) · P(after) / 0.05, with `P(u) = u^b` the share of requests that
    /// wait, `L(u) = u^(b + 1) / (1 - u)` the mean queue of k processors, and `b = sqrt(2 (k + 1)) - 1`, rounded. While fewer
    /// than one request in twenty waits, the 95th percentile hardly moves. 0 for a pod that uses nothing.
    /// Units: requests per processor. Range: 0 and above; of eight processors 0.04 at 40 %, 0.3 at half, 10 at 70 %.
    /// Source: Sakasegawa, "An approximation formula L = alpha * rho^beta / (1 - rho)", 1977.
    pub(crate) fn added_waiting(self, before: f64, after: f64) -> f64 {
        let used = (after - before) * self.count;
        if used <= 0.0 || used.is_nan() {
            return 0.0;
        }
        let (queue, waits) = self.queue(after);
        ((queue - self.queue(before).0) / used * waits / ONE_IN_TWENTY).max(0.0)
    }

    /// Gives the mean queue at a utilisation, and the share of requests that wait.
    fn queue(self, utilisation: f64) -> (f64, f64) {
        let held = utilisation.clamp(0.0, MOST);
        let waits = held.powi(self.exponent);
        let queue = waits * held / (1.0 - held);
        if utilisation <= MOST {
            return (queue, waits);
        }
        // Beyond, as steeply as it ended.
        let beyond = 1.0 + (utilisation - held) / (1.0 - MOST);
        (queue * beyond, utilisation.min(1.0).powi(self.exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processors(count: f64) -> Processors {
        Processors::new(count).expect("a machine has some")
    }

    #[test]
    fn crowding_costs_more_the_fuller_a_node_is_and_never_all_before_the_end() {
        let at = |u: f64| part(Some(processors(8.0).added_waiting(u - 0.05, u)), Some(u), None);
        let seen: Vec<f64> = (1..=24).map(|step| at(0.05 * f64::from(step))).collect();

        assert!(seen.is_sorted(), "{seen:?}");
        assert!(at(0.3) < 0.01 && at(0.5) > 0.03 && at(0.5) < 0.14 && at(0.8) < 0.34 && at(0.97) > 0.75, "{seen:?}");
        assert!(at(1.2) < 1.0, "{seen:?}");
        assert_eq!(part(None, None, None), 0.0);
        assert_eq!(processors(8.0).added_waiting(0.5, 0.5), 0.0);
        assert!([0.0, -1.0, f64::NAN, f64::INFINITY].iter().all(|count| Processors::new(*count).is_none()));
    }

    #[test]
    fn many_processors_can_be_busier_than_few() {
        assert!(processors(96.0).added_waiting(0.70, 0.71) < 0.2 * processors(8.0).added_waiting(0.70, 0.71));
    }

    #[test]
    fn memory_that_ends_needs_room_too() {
        assert_eq!(part(Some(0.0), Some(0.5), Some(0.85)), 0.0);
        assert_eq!(part(Some(0.0), Some(0.5), Some(1.2)), 2.0 / 3.0);
    }
}
