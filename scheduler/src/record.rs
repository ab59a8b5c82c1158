//! Decisions that were made: the newest of each pod in memory, every one to whoever records them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use wattle_contract::{Decision, DecisionId, PodKey, PodRequest};

/// Keeps and hands on decisions.
#[derive(Debug)]
pub(crate) struct Record {
    kept: Mutex<Kept>,
    sender: mpsc::Sender<Decision>,
    recorded_candidates: usize,
    seed: u64,
    made: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    newest: HashMap<PodKey, Arc<Decision>>,
    order: VecDeque<(PodKey, DecisionId)>,
    candidates: usize,
    most_candidates: usize,
}

impl Record {
    pub(crate) fn new(
        sender: mpsc::Sender<Decision>,
        seed: u64,
        kept_candidates: usize,
        recorded_candidates: usize,
    ) -> Self {
        let kept =
            Kept { newest: HashMap::new(), order: VecDeque::new(), candidates: 0, most_candidates: kept_candidates };
        Self { kept: Mutex::new(kept), sender, recorded_candidates, seed, made: AtomicU64::new(0) }
    }

    /// Gives a name that no other decision of this run has, and that the same seed gives again.
    ///
    /// Source: SplitMix64 (Steele, Lea, Flood 2014), a bijection of the counter.
    pub(crate) fn next_id(&self) -> DecisionId {
        let count = self.made.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut z = self.seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        DecisionId(z ^ (z >> 31))
    }

    /// Keeps a decision and hands it on; tells whether it could be handed on.
    pub(crate) fn add(&self, decision: Decision) -> bool {
        let decision = Arc::new(decision);
        self.kept.lock().add(&decision);
        match self.sender.try_reserve() {
            Ok(permit) => {
                permit.send(shortened(&decision, self.recorded_candidates));
                true
            }
            Err(_) => false,
        }
    }

    /// Gives the newest decision for a pod.
    pub(crate) fn newest(&self, pod: &PodKey) -> Option<Arc<Decision>> {
        self.kept.lock().newest.get(pod).cloned()
    }

    /// Gives what is known of a pod that was asked about.
    pub(crate) fn request(&self, pod: &PodKey) -> Option<PodRequest> {
        self.newest(pod).map(|decision| decision.pod.clone())
    }
}

impl Kept {
    fn add(&mut self, decision: &Arc<Decision>) {
        let weight = |decision: &Decision| decision.candidates.len() + 1;
        self.candidates += weight(decision);
        self.order.push_back((decision.pod.pod.clone(), decision.id));
        if let Some(old) = self.newest.insert(decision.pod.pod.clone(), Arc::clone(decision)) {
            self.candidates -= weight(&old);
        }
        while self.candidates > self.most_candidates && self.newest.len() > 1 {
            let Some((pod, id)) = self.order.pop_front() else { break };
            if self.newest.get(&pod).is_some_and(|kept| kept.id == id) {
                let old = self.newest.remove(&pod);
                self.candidates -= old.map_or(0, |old| weight(&old));
            }
        }
        if self.order.len() > 2 * self.newest.len() + 16 {
            self.order.retain(|(pod, id)| self.newest.get(pod).is_some_and(|kept| kept.id == *id));
        }
    }
}

/// Keeps the best candidates, in the order they were asked about.
fn shortened(decision: &Decision, most: usize) -> Decision {
    if decision.candidates.len() <= most {
        return decision.clone();
    }
    let mut by_score: Vec<usize> = (0..decision.candidates.len()).collect();
    by_score.sort_by_key(|&i| (std::cmp::Reverse(decision.candidates[i].score), i));
    by_score.truncate(most);
    by_score.sort_unstable();
    let candidates = by_score.into_iter().map(|i| decision.candidates[i].clone()).collect();
    Decision { candidates, pod: decision.pod.clone(), model: decision.model.clone(), ..*decision }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wattle_contract::{Candidate, Objective, Reason, Timestamp};

    fn decision(record: &Record, pod: &str, scores: &[u32]) -> Decision {
        let candidate = |(i, score): (usize, &u32)| Candidate {
            node: format!("n{i}").into(),
            added_watts: None,
            p95_ms: None,
            added_watts_margin: None,
            score: *score,
            reason: Reason::NoModel,
        };
        Decision {
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
            candidates: scores.iter().enumerate().map(candidate).collect(),
        }
    }

    fn record(seed: u64, kept: usize, recorded: usize) -> (Record, mpsc::Receiver<Decision>) {
        let (sender, receiver) = mpsc::channel(1000);
        (Record::new(sender, seed, kept, recorded), receiver)
    }

    #[test]
    fn ids_are_unique_and_the_same_for_the_same_seed() {
        let ids = |seed| {
            let (record, _receiver) = record(seed, 1, 1);
            (0..1000).map(|_| record.next_id()).collect::<Vec<_>>()
        };

        let unique: std::collections::HashSet<_> = ids(7).into_iter().collect();

        assert_eq!(unique.len(), 1000);
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
    }

    #[test]
    fn memory_is_bounded_by_candidates_and_the_newest_stay() {
        let (record, _receiver) = record(0, 22, 100);

        for pod in ["a", "b", "a", "a", "c", "b"] {
            record.add(decision(&record, pod, &[1; 10]));
        }

        assert!(record.newest(&PodKey::new("hotel", "a")).is_none());
        assert!(record.newest(&PodKey::new("hotel", "b")).is_some());
        assert!(record.newest(&PodKey::new("hotel", "c")).is_some());
        for _ in 0..10_000 {
            record.add(decision(&record, "b", &[1; 10]));
        }
        assert!(record.kept.lock().order.len() < 32);
        assert_eq!(record.kept.lock().candidates, 22);
    }

    #[test]
    fn a_long_decision_is_handed_on_with_its_best_candidates_in_order() {
        let (record, mut receiver) = record(0, 1000, 3);

        record.add(decision(&record, "a", &[2, 9, 1, 7, 9, 0]));

        let handed_on = receiver.try_recv().expect("handed on");
        let nodes: Vec<&str> = handed_on.candidates.iter().map(|candidate| candidate.node.as_str()).collect();
        assert_eq!(nodes, ["n1", "n3", "n4"]);
        assert_eq!(record.newest(&PodKey::new("hotel", "a")).expect("kept").candidates.len(), 6);
    }
}
