//! The verbs of the extender protocol.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use wattle_contract::{PodRequest, Reason};

use super::Shared;
use super::body;
use super::call::Call;
use crate::assume::favourites;
use crate::decide::{pod_cpu, weigh};
use crate::filter::{OVER_CAP, refused};
use crate::metrics::{REASONS, Verb};
use crate::normalize::neutral;
use crate::pod;
use crate::record::Made;
use crate::view::View;
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
    on_fitting_thread(body.len(), || {
        let view = shared.view.load();
        match ExtenderArgs::parse(&body, &view.names) {
            Ok(args) => {
                shared.note(&args.candidates);
                let refused = shared.refused(&view, &args);
                call.answer(StatusCode::OK, wire::filter_answer(&view.names, &args.candidates, &refused, OVER_CAP))
            }
            Err(error) => call.malformed(&error),
        }
    })
}

pub(super) async fn prioritize(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let call = Call::begin(&shared, Verb::Prioritize);
    let body = match body::read(body, shared.config.max_body_bytes, call.until()).await {
        Ok(body) => body,
        Err(why) => return call.unread(why),
    };
    on_fitting_thread(body.len(), || {
        let view = shared.view.load();
        let args = match ExtenderArgs::parse(&body, &view.names) {
            Ok(args) => args,
            Err(error) => return call.malformed(&error),
        };
        shared.note(&args.candidates);
        let neutral = || {
            let score = neutral(shared.config.top_score);
            wire::prioritize_answer(&view.names, &args.candidates, |_| score)
        };
        let Some(pod) = shared.read_pod(&args).filter(|_| shared.is_sane(&args.candidates)) else {
            return call.answer(StatusCode::OK, neutral());
        };
        let Some(made) = shared.decide(&view, pod, &args.candidates, &|| call.is_late()) else {
            call.missed_deadline();
            return call.answer(StatusCode::OK, neutral());
        };
        let score = |at: usize| made.scored.get(at).map_or(0, |scored| scored.score);
        let answer = wire::prioritize_answer(&view.names, &args.candidates, score);
        shared.expect(&made);
        shared.keep(made);
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
    /// Tells of each candidate whether it is refused; the pod is read only where there is anything to refuse for.
    fn refused(&self, view: &View, args: &ExtenderArgs<'_>) -> Vec<bool> {
        if view.caps.is_empty() {
            return Vec::new();
        }
        let Some(pod) = self.read_pod(args) else { return Vec::new() };
        let (policy, now) = (self.config.policy(), self.config.clock.now());
        let refused = refused(view, &self.assumed.read(), &policy, &pod, &args.candidates.numbers, now);
        self.metrics.refused_nodes.inc_by(refused.iter().filter(|is_refused| **is_refused).count() as u64);
        refused
    }

    /// Decides without leaving a trace; `None` when the time ran out.
    pub(super) fn decide(
        &self,
        view: &View,
        pod: PodRequest,
        candidates: &Candidates<'_>,
        is_late: &dyn Fn() -> bool,
    ) -> Option<Made> {
        let (policy, now) = (self.config.policy(), self.config.clock.now());
        let scored = weigh(view, &self.assumed.read(), &policy, &pod, &candidates.numbers, now, is_late).ok()?;
        Some(Made {
            id: self.record.next_id(),
            at: now,
            cpu: pod_cpu(view, &policy, &pod),
            calls: 0,
            pod,
            snapshot_version: view.snapshot_version,
            model: view.model.as_ref().map(|model| model.id.clone()),
            names: Arc::clone(&view.names),
            numbers: candidates.numbers.clone(),
            unknown: candidates.unknown.iter().map(|name| name.as_str().into()).collect(),
            scored,
            is_followed: AtomicBool::new(false),
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
    pub(super) fn is_sane(&self, candidates: &Candidates<'_>) -> bool {
        let fits = |name: &wire::Name<'_>| name.as_str().len() <= pod::LONGEST_NAME;
        let is_sane = candidates.len() <= MOST_CANDIDATES && candidates.unknown.iter().all(fits);
        if !is_sane {
            self.metrics.rejected("absurd_candidates");
        }
        is_sane
    }

    /// Counts a pod provisionally where it will most likely go, until it is seen on a node.
    fn expect(&self, made: &Made) {
        let nodes = favourites(&made.scored).into_iter().filter_map(|place| made.node(place)).collect();
        let memory = made.pod.memory_request_bytes.unwrap_or_default();
        self.assumed.write().expect(made.pod.pod.clone(), nodes, made.cpu, memory, made.at);
    }

    fn keep(&self, made: Made) {
        let mut spread = (u32::MAX, 0);
        let mut counts = [0_u64; REASONS.len()];
        for scored in &made.scored {
            spread = (scored.score.min(spread.0), scored.score.max(spread.1));
            counts[scored.reason as usize] += 1;
        }
        self.metrics.score_spread.observe(f64::from(spread.1.saturating_sub(spread.0)));
        for (counter, count) in self.metrics.candidates.iter().zip(counts).filter(|(_, count)| *count > 0) {
            counter.inc_by(count);
        }
        self.metrics.unknown_nodes.inc_by(counts[Reason::NoMeasurement as usize]);
        tracing::debug!(
            decision.id = %made.id,
            pod.namespace = %made.pod.pod.namespace,
            pod.name = %made.pod.pod.name,
            candidates = made.scored.len(),
            "scored the candidates for a pod"
        );
        if !self.record.add(made) {
            self.metrics.decisions_dropped.inc();
        }
    }

    /// Counts what is unusual about the candidates of a call.
    fn note(&self, candidates: &Candidates<'_>) {
        if candidates.left_out > 0 {
            self.metrics.rejected("duplicate_node");
        }
        if candidates.objects.is_some() {
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
