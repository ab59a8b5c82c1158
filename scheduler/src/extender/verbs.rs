//! The verbs of the extender protocol.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wattle_contract::{Decision, PodRequest, Reason};

use super::Shared;
use super::body;
use super::call::Call;
use crate::decide::{decide, neutral_scores};
use crate::filter::refused;
use crate::metrics::Verb;
use crate::pod;
use crate::wire::{self, Candidates, ExtenderArgs, PreemptArgs};

/// Bodies from this size on are read by a thread that may take its time.
const BLOCKING_FROM: usize = 256 << 10;

/// More nodes than any Kubernetes cluster has (5,000 are supported; the largest known have 130,000).
const MOST_CANDIDATES: usize = 200_000;

pub(super) async fn filter(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let call = Call::begin(&shared, Verb::Filter);
    let body = match body::read(body, shared.config.max_body_bytes, call.until()).await {
        Ok(body) => body,
        Err(why) => return call.unread(why),
    };
    on_fitting_thread(body.len(), || match ExtenderArgs::parse(&body) {
        Ok(args) => {
            shared.note_whole_nodes(&args.candidates);
            let nodes = args.candidates.names();
            let refused = shared.refused(&args, &nodes);
            call.answer(StatusCode::OK, wire::filter_answer(&args.candidates, &refused))
        }
        Err(error) => call.malformed(&error),
    })
}

pub(super) async fn prioritize(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let call = Call::begin(&shared, Verb::Prioritize);
    let body = match body::read(body, shared.config.max_body_bytes, call.until()).await {
        Ok(body) => body,
        Err(why) => return call.unread(why),
    };
    on_fitting_thread(body.len(), || {
        let args = match ExtenderArgs::parse(&body) {
            Ok(args) => args,
            Err(error) => return call.malformed(&error),
        };
        shared.note_whole_nodes(&args.candidates);
        let nodes = shared.distinct(args.candidates.names());
        let Some(pod) = shared.read_pod(&args).filter(|_| shared.is_sane(&nodes)) else {
            let scores = neutral_scores(&nodes, &shared.config.policy());
            return call.answer(StatusCode::OK, wire::prioritize_answer(scores.into_iter()));
        };
        let Some(decision) = shared.decide(pod, &nodes, &|| call.is_late()) else {
            call.missed_deadline();
            let scores = neutral_scores(&nodes, &shared.config.policy());
            return call.answer(StatusCode::OK, wire::prioritize_answer(scores.into_iter()));
        };
        let scores = nodes.iter().zip(&decision.candidates).map(|(node, candidate)| (*node, candidate.score));
        let answer = wire::prioritize_answer(scores);
        shared.keep(decision);
        call.answer(StatusCode::OK, answer)
    })
}

pub(super) async fn preempt(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let call = Call::begin(&shared, Verb::Preempt);
    let body = match body::read(body, shared.config.max_body_bytes, call.until()).await {
        Ok(body) => body,
        Err(why) => return call.unread(why),
    };
    on_fitting_thread(body.len(), || match PreemptArgs::parse(&body) {
        Ok(args) => call.answer(StatusCode::OK, wire::preempt_answer(&args.victims)),
        Err(error) => call.malformed(&error),
    })
}

/// Runs work on a long body where it does not hold up other connections.
pub(super) fn on_fitting_thread<T>(body_len: usize, work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::current().runtime_flavor();
    if body_len >= BLOCKING_FROM && runtime == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

impl Shared {
    /// Gives the candidates to refuse; the pod is read only where there is anything to refuse for.
    fn refused<'n>(&self, args: &ExtenderArgs<'_>, nodes: &[&'n str]) -> BTreeMap<&'n str, &'static str> {
        let view = self.view.load();
        if view.caps.is_empty() {
            return BTreeMap::new();
        }
        let Some(pod) = self.read_pod(args) else { return BTreeMap::new() };
        let refused = refused(&view, &self.assumed.read(), &self.config.policy(), &pod, nodes, self.config.clock.now());
        self.metrics.refused_nodes.inc_by(refused.len() as u64);
        refused
    }

    /// Decides without leaving a trace; `None` when the time ran out.
    pub(super) fn decide(&self, pod: PodRequest, nodes: &[&str], is_late: &dyn Fn() -> bool) -> Option<Decision> {
        let view = self.view.load();
        let now = self.config.clock.now();
        let policy = self.config.policy();
        let candidates = decide(&view, &self.assumed.read(), &policy, &pod, nodes, now, is_late).ok()?;
        Some(Decision {
            id: self.record.next_id(),
            at: now,
            pod,
            snapshot_version: view.snapshot_version,
            model: view.model.as_ref().map(|model| model.id.clone()),
            candidates,
        })
    }

    /// Reads the pod of a call; `None`, counted, when there is none to be read.
    pub(super) fn read_pod(&self, args: &ExtenderArgs<'_>) -> Option<PodRequest> {
        let Some(raw) = args.pod else {
            self.metrics.rejected("no_pod");
            return None;
        };
        match pod::read(raw.get(), &self.config.cluster_domain) {
            Ok(reading) => {
                for ignored in &reading.ignored {
                    self.metrics.rejected("absurd_value");
                    let pod = &reading.request.pod;
                    tracing::warn!(pod.namespace = %pod.namespace, pod.name = %pod.name, what = ignored.what, value = ignored.value, "ignored a value of a pod that cannot be used");
                }
                Some(reading.request)
            }
            Err(error) => {
                self.metrics.rejected("bad_pod");
                tracing::warn!(%error, "scored neutrally: the pod of a call cannot be read");
                None
            }
        }
    }

    /// Tells whether these can be the nodes of a cluster: nothing absurd is decided about, or kept.
    pub(super) fn is_sane(&self, nodes: &[&str]) -> bool {
        let is_sane = nodes.len() <= MOST_CANDIDATES && nodes.iter().all(|node| node.len() <= pod::LONGEST_NAME);
        if !is_sane {
            self.metrics.rejected("absurd_candidates");
        }
        is_sane
    }

    /// Leaves out names that were given before, counted.
    pub(super) fn distinct<'a>(&self, mut names: Vec<&'a str>) -> Vec<&'a str> {
        let asked = names.len();
        let mut seen = HashSet::with_capacity(asked);
        names.retain(|name| !name.is_empty() && seen.insert(*name));
        if names.len() < asked {
            self.metrics.rejected("duplicate_node");
        }
        names
    }

    fn keep(&self, decision: Decision) {
        let mut spread = (u32::MAX, 0);
        for candidate in &decision.candidates {
            spread = (candidate.score.min(spread.0), candidate.score.max(spread.1));
        }
        self.metrics.score_spread.observe(f64::from(spread.1.saturating_sub(spread.0)));
        self.count_reasons(&decision);
        tracing::debug!(
            decision.id = %decision.id,
            pod.namespace = %decision.pod.pod.namespace,
            pod.name = %decision.pod.pod.name,
            candidates = decision.candidates.len(),
            "scored the candidates for a pod"
        );
        if !self.record.add(decision) {
            self.metrics.decisions_dropped.inc();
        }
    }

    fn count_reasons(&self, decision: &Decision) {
        for reason in REASONS {
            let count = decision.candidates.iter().filter(|candidate| candidate.reason == reason).count() as u64;
            if count > 0 {
                self.metrics.candidates.with_label_values(&[reason.label()]).inc_by(count);
            }
            if count > 0 && reason == Reason::NoMeasurement {
                self.metrics.unknown_nodes.inc_by(count);
            }
        }
    }

    fn note_whole_nodes(&self, candidates: &Candidates<'_>) {
        if let Candidates::Nodes(_) = candidates {
            if self.metrics.whole_node_calls.get().is_multiple_of(1000) {
                tracing::warn!(
                    "kube-scheduler sends whole Node objects: set nodeCacheCapable: true, or its own resource scoring \
                     sees empty nodes (kubernetes/kubernetes #141781)"
                );
            }
            self.metrics.whole_node_calls.inc();
        }
    }
}

const REASONS: [Reason; 7] = [
    Reason::Predicted,
    Reason::Drifted,
    Reason::NoModel,
    Reason::NoMeasurement,
    Reason::StaleMeasurement,
    Reason::NoSnapshot,
    Reason::Overload,
];
