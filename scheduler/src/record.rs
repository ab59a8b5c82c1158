//! Decisions that were made: the newest of each pod in memory, every one to whoever records them.
//!
//! On the path of a request a decision is only kept, as numbers; names are put in when somebody asks, or by the task
//! that hands decisions on.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use prometheus::IntCounter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wattle_contract::{Decision, DecisionId, Millicores, NodeName, PodKey, PodRequest, Timestamp, Watts};

use crate::decide::Scored;
use crate::names::Names;

/// Decisions that wait for the task that hands them on.
const WAITING: usize = 1_024;

/// A decision as it was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: DecisionId,
    pub(crate) at: Timestamp,
    pub(crate) pod: PodRequest,
    pub(crate) snapshot_version: Option<u64>,
    pub(crate) model: Option<String>,
    pub(crate) cpu: Millicores,
    /// How often the pod was asked about so far, this time included.
    pub(crate) calls: u32,
    pub(crate) names: Arc<Names>,
    /// Number of each candidate; beyond the names it is one of `unknown`.
    pub(crate) numbers: Vec<u32>,
    pub(crate) unknown: Vec<NodeName>,
    pub(crate) scored: Vec<Scored>,
    /// Whether it was followed up after the pod was placed.
    pub(crate) is_followed: AtomicBool,
}

impl Made {
    /// Tells whether it is the first time that its pod is seen on a node.
    pub(crate) fn first_placed(&self) -> bool {
        !self.is_followed.swap(true, Ordering::Relaxed)
    }

    /// Gives the decision with all candidates.
    pub(crate) fn decision(&self) -> Decision {
        self.with(0..self.scored.len())
    }

    /// Gives the decision with the candidates that matter most, in the order they were asked about: a third of `most` by
    /// score, by added power and by latency each, so that it can be taken again under other weights.
    pub(crate) fn shortened(&self, most: usize) -> Decision {
        if self.scored.len() <= most {
            return self.decision();
        }
        let each = (most / 3).max(1);
        let mut is_kept = vec![false; self.scored.len()];
        let mut keep = |key: &dyn Fn(&Scored) -> f64| {
            let mut by_key: Vec<usize> = (0..self.scored.len()).collect();
            by_key.select_nth_unstable_by(each - 1, |a, b| {
                key(&self.scored[*a]).total_cmp(&key(&self.scored[*b])).then(a.cmp(b))
            });
            by_key[..each].iter().for_each(|at| is_kept[*at] = true);
        };
        keep(&|scored| -f64::from(scored.score));
        keep(&|scored| scored.added_watts.map_or(f64::INFINITY, |watts| watts.mid.get()));
        keep(&|scored| scored.p95.map_or(f64::INFINITY, f64::from));
        self.with((0..self.scored.len()).filter(|at| is_kept[*at]))
    }

    fn with(&self, places: impl Iterator<Item = usize>) -> Decision {
        let candidate = |at: usize| Some(self.scored.get(at)?.candidate(self.node(at)?));
        Decision {
            id: self.id,
            at: self.at,
            pod: self.pod.clone(),
            snapshot_version: self.snapshot_version,
            model: self.model.clone(),
            expected_millicores: Some(self.cpu),
            candidates: places.filter_map(candidate).collect(),
        }
    }

    /// Gives the candidate at a place.
    pub(crate) fn node(&self, at: usize) -> Option<NodeName> {
        let number = *self.numbers.get(at)? as usize;
        match number.checked_sub(self.names.len()) {
            Some(unknown) => self.unknown.get(unknown).cloned(),
            None => self.names.name(number).cloned(),
        }
    }
}

impl Made {
    /// Gives what was decided about a node.
    pub(crate) fn about(&self, node: &NodeName) -> Option<&Scored> {
        let number = u32::try_from(self.names.find(node.as_str())?).ok()?;
        self.scored.get(self.numbers.iter().position(|asked| *asked == number)?)
    }

    /// Gives the least power that the pod was predicted to add on any candidate.
    pub(crate) fn least_watts(&self) -> Option<Watts> {
        self.scored.iter().filter_map(|scored| scored.added_watts).map(|watts| watts.mid).reduce(Watts::min)
    }
}

/// Keeps and hands on decisions.
#[derive(Debug)]
pub(crate) struct Record {
    kept: Mutex<Kept>,
    queue: mpsc::Sender<Arc<Made>>,
    seed: u64,
    made: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    newest: HashMap<PodKey, Arc<Made>>,
    order: VecDeque<(PodKey, DecisionId)>,
    candidates: usize,
    most_candidates: usize,
}

impl Record {
    /// Gives the record and what the task that hands decisions on takes them from.
    pub(crate) fn new(seed: u64, kept_candidates: usize) -> (Self, mpsc::Receiver<Arc<Made>>) {
        let kept =
            Kept { newest: HashMap::new(), order: VecDeque::new(), candidates: 0, most_candidates: kept_candidates };
        let (queue, waiting) = mpsc::channel(WAITING);
        (Self { kept: Mutex::new(kept), queue, seed, made: AtomicU64::new(0) }, waiting)
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
    pub(crate) fn add(&self, mut made: Made) -> bool {
        let earlier = self.newest(&made.pod.pod).filter(|earlier| earlier.pod.uid == made.pod.uid);
        made.calls = earlier.map_or(0, |earlier| earlier.calls).saturating_add(1);
        let made = Arc::new(made);
        let dropped = self.kept.lock().add(&made);
        drop(dropped);
        self.queue.try_send(made).is_ok()
    }

    /// Gives the newest decision for a pod.
    pub(crate) fn newest(&self, pod: &PodKey) -> Option<Arc<Made>> {
        self.kept.lock().newest.get(pod).cloned()
    }
}

impl Kept {
    /// Adds a decision and gives back those it takes the place of, to be dropped without the lock.
    fn add(&mut self, made: &Arc<Made>) -> Vec<Arc<Made>> {
        let weight = |made: &Made| made.scored.len() + 1;
        let mut dropped = Vec::new();
        self.candidates += weight(made);
        self.order.push_back((made.pod.pod.clone(), made.id));
        if let Some(old) = self.newest.insert(made.pod.pod.clone(), Arc::clone(made)) {
            self.candidates -= weight(&old);
            dropped.push(old);
        }
        while self.candidates > self.most_candidates && self.newest.len() > 1 {
            let Some((pod, id)) = self.order.pop_front() else { break };
            if self.newest.get(&pod).is_some_and(|kept| kept.id == id)
                && let Some(old) = self.newest.remove(&pod)
            {
                self.candidates -= weight(&old);
                dropped.push(old);
            }
        }
        if self.order.len() > 2 * self.newest.len() + 16 {
            self.order.retain(|(pod, id)| self.newest.get(pod).is_some_and(|kept| kept.id == *id));
        }
        dropped
    }
}

/// Hands decisions on until `shutdown`, each with its `most` most telling candidates; those that nobody takes are counted.
pub(crate) async fn hand_on(
    mut waiting: mpsc::Receiver<Arc<Made>>,
    decisions: mpsc::Sender<Decision>,
    most: usize,
    dropped: IntCounter,
    shutdown: CancellationToken,
) {
    loop {
        let made = tokio::select! {
            biased;
            made = waiting.recv() => made,
            () = shutdown.cancelled() => return,
        };
        let Some(made) = made else { return };
        match decisions.try_reserve() {
            Ok(permit) => permit.send(made.shortened(most)),
            Err(_) => dropped.inc(),
        }
    }
}

#[cfg(test)]
mod tests;
