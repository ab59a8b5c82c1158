//! What is kept, and what is handed on.

use super::*;
use crate::predict::Interval;
use wattle_contract::{Milliseconds, Objective, Reason, Watts};

fn made(record: &Record, pod: &str, figures: &[(u32, f64, f64)]) -> Made {
    let scored = |&(score, watts, p95): &(u32, f64, f64)| {
        let watts = Watts::new(watts).expect("finite");
        Scored {
            added_watts: Some(Interval { low: watts, mid: watts, high: watts }),
            p95: Milliseconds::new(p95),
            assumed: Millicores::ZERO,
            parts: None,
            score,
            reason: Reason::Predicted,
        }
    };
    let count = u32::try_from(figures.len()).expect("few");
    Made {
        id: record.next_id(),
        at: Timestamp(0),
        pod: PodRequest {
            pod: PodKey::new("hotel", pod),
            uid: String::new(),
            workload: None,
            service: None,
            cpu_request_millicores: None,
            memory_request_bytes: None,
            objective: Objective::Balanced,
            slo_p95_ms: None,
            weight_energy: None,
            weight_latency: None,
        },
        snapshot_version: None,
        model: None,
        cpu: Millicores::ZERO,
        calls: 0,
        names: Arc::new(Names::new((1..count).map(|i| NodeName::from(format!("n{i}"))))),
        // The last one is unknown.
        numbers: (0..count).collect(),
        unknown: vec!["new".into()],
        scored: figures.iter().map(scored).collect(),
        is_followed: AtomicBool::new(false),
    }
}

#[test]
fn ids_are_unique_and_the_same_for_the_same_seed() {
    let ids = |seed| {
        let (record, _waiting) = Record::new(seed, 1);
        (0..1000).map(|_| record.next_id()).collect::<Vec<_>>()
    };

    let unique: std::collections::HashSet<_> = ids(7).into_iter().collect();

    assert_eq!(unique.len(), 1000);
    assert_eq!(ids(7), ids(7));
    assert_ne!(ids(7), ids(8));
}

#[test]
fn memory_is_bounded_by_candidates_and_the_newest_stay() {
    let (record, _waiting) = Record::new(0, 22);

    for pod in ["a", "b", "a", "a", "c", "b"] {
        record.add(made(&record, pod, &[(1, 1.0, 1.0); 10]));
    }

    assert!(record.newest(&PodKey::new("hotel", "a")).is_none());
    assert!(record.newest(&PodKey::new("hotel", "b")).is_some());
    assert!(record.newest(&PodKey::new("hotel", "c")).is_some());
    for _ in 0..10_000 {
        record.add(made(&record, "b", &[(1, 1.0, 1.0); 10]));
    }
    assert!(record.kept.lock().order.len() < 32);
    assert_eq!(record.kept.lock().candidates, 22);
}

#[test]
fn a_long_decision_is_handed_on_with_its_most_telling_candidates_in_order() {
    let (record, _waiting) = Record::new(0, 1000);
    let figures =
        [(2, 9.0, 9.0), (9, 8.0, 8.0), (1, 1.0, 7.0), (7, 5.0, 6.0), (8, 6.0, 0.5), (0, 7.0, 5.0), (3, 9.0, 9.0)];

    let made = made(&record, "a", &figures);

    let nodes = |decision: &Decision| -> Vec<String> {
        decision.candidates.iter().map(|candidate| candidate.node.to_string()).collect()
    };
    assert_eq!(nodes(&made.shortened(3)), ["n2", "n3", "n5"]);
    assert_eq!(made.about(&"n4".into()).map(|scored| scored.score), Some(7));
    assert_eq!(made.about(&"new".into()), None);
    assert_eq!(made.least_watts(), Watts::new(1.0));
    assert_eq!(nodes(&made.decision()), ["n1", "n2", "n3", "n4", "n5", "n6", "new"]);
}
