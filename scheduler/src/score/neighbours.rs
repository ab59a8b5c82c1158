//! The part of the cost that is the neighbours: services that run slower on this node than elsewhere are a warning.

use std::collections::HashMap;

use wattle_contract::{ServiceName, Window};

use crate::names::Names;

/// At this many times the latency elsewhere a node is as noisy as any worse one.
const NOISY: f64 = 2.0;

/// formula: (slowdown - 1) / (2 - 1), within 0..=1.
pub(super) fn part(slowdown: f64) -> f64 {
    ((slowdown - 1.0) / (NOISY - 1.0)).clamp(0.0, 1.0)
}

/// Gives, by number of the node, how much slower its services are than the same services on the median node: the mean
/// over its services, by requests. `None` where no service of the node runs elsewhere too.
#[must_use]
pub fn slowdowns(window: &Window, names: &Names) -> Vec<Option<f64>> {
    let mut by_service: HashMap<&ServiceName, Vec<f64>> = HashMap::new();
    let busy = || window.services.iter().filter(|service| service.requests_per_second > 0.0);
    for service in busy() {
        if let Some(p95) = service.p95_ms {
            by_service.entry(&service.service).or_default().push(p95.estimate.get());
        }
    }
    by_service.values_mut().for_each(|all| all.sort_by(f64::total_cmp));
    let mut sums = vec![(0.0, 0.0); names.len()];
    for service in busy() {
        let (Some(number), Some(p95)) = (names.find(service.node.as_str()), service.p95_ms) else { continue };
        let Some(all) = by_service.get(&service.service).filter(|all| all.len() > 1) else { continue };
        let median = all[(all.len() - 1) / 2];
        if median > 0.0 {
            let rate = service.requests_per_second;
            sums[number] = (sums[number].0 + rate * p95.estimate.get() / median, sums[number].1 + rate);
        }
    }
    sums.into_iter().map(|(slow, rate)| (rate > 0.0).then(|| slow / rate)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{LatencyBracket, Milliseconds, NodeName, ServiceWindow, Timestamp};

    #[test]
    fn a_node_on_which_everybody_is_slow_is_noisy() {
        let served = |service: &str, node: &str, ms: f64| ServiceWindow {
            service: service.into(),
            node: node.into(),
            requests_per_second: 10.0,
            error_ratio: 0.0,
            p50_ms: None,
            p95_ms: Milliseconds::new(ms).map(|estimate| LatencyBracket { low: estimate, estimate, high: None }),
            cpu_used_millicores: None,
            power_watts: None,
        };
        let window = Window {
            start: Timestamp(0),
            end: Timestamp(1),
            nodes: Vec::new(),
            services: vec![
                served("geo", "a", 5.0),
                served("geo", "b", 5.0),
                served("geo", "c", 9.0),
                served("rate", "a", 2.0),
                served("rate", "b", 2.0),
                served("rate", "c", 4.0),
                served("alone", "d", 70.0),
            ],
            edges: Vec::new(),
        };
        let names = Names::new(["a", "b", "c", "d"].map(NodeName::from));

        let slow = slowdowns(&window, &names);

        assert_eq!((slow[0], slow[1], slow[3]), (Some(1.0), Some(1.0), None));
        assert!((slow[2].expect("seen") - 1.9).abs() < 1e-9);
        assert_eq!((part(1.0), part(0.5), part(9.0)), (0.0, 0.0, 1.0));
    }
}
