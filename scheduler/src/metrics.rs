//! The scheduler's own metrics. kube-scheduler exports nothing about an extender, so this is the only place to look.

mod declare;

use std::time::Duration;

use prometheus::{Counter, Gauge, GaugeVec, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use wattle_contract::Reason;
use wattle_model::drift::Errors;

use crate::consolidate::Advice;
use crate::outcome::{Outcome, ReadFrom};

use declare::Declare;

/// Verbs of the extender protocol, as label values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Filter,
    Prioritize,
    Preempt,
    Bind,
    Explain,
}

/// In the order of their numbers.
const VERBS: [Verb; 5] = [Verb::Filter, Verb::Prioritize, Verb::Preempt, Verb::Bind, Verb::Explain];

impl Verb {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Prioritize => "prioritize",
            Self::Preempt => "preempt",
            Self::Bind => "bind",
            Self::Explain => "explain",
        }
    }
}

/// Everything the scheduler counts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// `wattle_scheduler_call_duration_seconds{verb}`: from the request's head to its answer.
    call_seconds: [Histogram; 5],
    /// `wattle_scheduler_calls_total{verb,code}`: calls by HTTP status.
    calls: IntCounterVec,
    /// The same for status 200, looked up once.
    calls_ok: [IntCounter; 5],
    /// `wattle_scheduler_deadline_misses_total{verb}`: answered neutrally because the time ran out.
    pub(crate) deadline_misses: IntCounterVec,
    /// `wattle_scheduler_clients_gone_total{verb}`: the caller went away before the answer.
    pub(crate) clients_gone: IntCounterVec,
    /// `wattle_scheduler_rejections_total{reason}`: bodies that could not be used, whole or in part.
    pub(crate) rejections: IntCounterVec,
    /// `wattle_scheduler_candidates_total{reason}`: scored candidates by reason, in the order of the reasons.
    pub(crate) candidates: [IntCounter; 7],
    /// `wattle_scheduler_unknown_nodes_total`: candidates that no snapshot has heard of.
    pub(crate) unknown_nodes: IntCounter,
    /// `wattle_scheduler_refused_nodes_total`: candidates refused for a power cap.
    pub(crate) refused_nodes: IntCounter,
    /// `wattle_scheduler_whole_node_calls_total`: calls with whole Node objects (`nodeCacheCapable: false`).
    pub(crate) whole_node_calls: IntCounter,
    /// `wattle_scheduler_score_spread`: highest minus lowest score of a decision.
    pub(crate) score_spread: Histogram,
    /// `wattle_scheduler_data_age_seconds`: age of the newest measurement; -1 before the first.
    pub(crate) data_age_seconds: Gauge,
    /// `wattle_scheduler_assumed_pods`: bound pods that no measurement includes yet.
    pub(crate) assumed_pods: IntGauge,
    /// `wattle_scheduler_provisional_pods`: pods that were scored and are not seen on a node yet.
    pub(crate) provisional_pods: IntGauge,
    /// `wattle_scheduler_carbon_up`: 1 while carbon intensities can be read; 0 also when none are asked for.
    pub(crate) carbon_up: IntGauge,
    /// `wattle_scheduler_decisions_dropped_total`: decisions that nobody took to record.
    pub(crate) decisions_dropped: IntCounter,
    /// `wattle_scheduler_cluster_nodes`: nodes that Kubernetes lists.
    pub(crate) cluster_nodes: IntGauge,
    /// `wattle_scheduler_cluster_pods`: pods on nodes that Kubernetes lists.
    pub(crate) cluster_pods: IntGauge,
    /// `wattle_scheduler_watch_up{resource}`: 1 while the API server answers the watch on it.
    pub(crate) watch_up: IntGaugeVec,
    /// `wattle_scheduler_watch_errors_total{resource}`: failures of the watch on Kubernetes.
    pub(crate) watch_errors: IntCounterVec,
    /// `wattle_scheduler_drift_alarms_total{target}`: alarms that went on, each a node (or all nodes) served without trees.
    pub(crate) drift_alarms: IntCounterVec,
    /// `wattle_scheduler_drift_alarms`: alarms that are on.
    pub(crate) drift_alarms_on: IntGauge,
    /// `wattle_scheduler_prediction_error_ratio{target}`: error of the model's predictions for each new window, as a share
    /// of what was measured: power of nodes, 95th percentile of services.
    prediction_error: [Histogram; 2],
    /// `wattle_scheduler_calls_per_pod`: prioritize calls for a pod until it was placed.
    pub(crate) calls_per_pod: Histogram,
    /// `wattle_scheduler_events_total{result}`: Kubernetes Events on placed pods: written, failed, dropped.
    pub(crate) events: IntCounterVec,
    /// `wattle_scheduler_predicted_joules_total`: predicted power of placed pods over the window that settled each.
    predicted_joules: Counter,
    /// `wattle_scheduler_realised_joules_total`: power that came with them over the same windows; may fall.
    realised_joules: Gauge,
    /// `wattle_scheduler_outcome_error_watts`: realised less predicted power of a placed pod, without its sign.
    outcome_error: Histogram,
    /// `wattle_scheduler_regret_watts`: realised power less the least that was predicted on any candidate; 0 when below.
    regret: Histogram,
    /// `wattle_scheduler_outcomes_total{read_from}`: settled placements by where their power was read.
    outcomes: IntCounterVec,
    /// `wattle_scheduler_steered_services`: services whose endpoints get weights.
    pub(crate) steered_services: IntGauge,
    /// `wattle_scheduler_steering_changes_total`: changes of those weights.
    pub(crate) steering_changes: IntCounter,
    /// `wattle_scheduler_consolidation_nodes`: nodes that are worth emptying.
    consolidation_nodes: IntGauge,
    /// `wattle_scheduler_consolidation_watts`: power that emptying all of them would save.
    consolidation_watts: Gauge,
    /// `wattle_scheduler_consolidation_node_watts{node}`: the same for each of at most 64 nodes.
    consolidation_node_watts: GaugeVec,
    /// `wattle_scheduler_compile_duration_seconds`: from a new snapshot or model to predictions in use.
    pub(crate) compile_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let with = Declare { registry };
        let call_seconds =
            with.histograms("call_duration_seconds", "Time from a request's head to its answer", "verb", CALL)?;
        let errors = with.histograms(
            "prediction_error_ratio",
            "Error of predictions for new windows, as a share of what was measured",
            "target",
            ERRORS,
        )?;
        let calls = with.counters("calls_total", "Calls by verb and HTTP status", &["verb", "code"])?;
        Ok(Self {
            call_seconds: VERBS.map(|verb| call_seconds.with_label_values(&[verb.label()])),
            calls_ok: VERBS.map(|verb| calls.with_label_values(&[verb.label(), "200"])),
            calls,
            deadline_misses: with.counters("deadline_misses_total", "Neutral answers for want of time", &["verb"])?,
            clients_gone: with.counters("clients_gone_total", "Callers gone before the answer", &["verb"])?,
            rejections: with.counters("rejections_total", "Bodies not usable, whole or in part", &["reason"])?,
            candidates: with.reasons("candidates_total", "Scored candidates by reason")?,
            unknown_nodes: with.counter("unknown_nodes_total", "Candidates that no snapshot has heard of")?,
            refused_nodes: with.counter("refused_nodes_total", "Candidates refused for a power cap")?,
            whole_node_calls: with.counter("whole_node_calls_total", "Calls with nodeCacheCapable false")?,
            score_spread: with.histogram(
                "score_spread",
                "Highest minus lowest score of a decision",
                &[0.0, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 100.0, 1000.0],
            )?,
            data_age_seconds: with.gauge("data_age_seconds", "Age of the newest measurement, -1 before the first")?,
            assumed_pods: with.int_gauge("assumed_pods", "Bound pods that no measurement includes yet")?,
            provisional_pods: with.int_gauge("provisional_pods", "Scored pods that are not seen on a node yet")?,
            carbon_up: with.int_gauge("carbon_up", "1 while carbon intensities can be read")?,
            decisions_dropped: with.counter("decisions_dropped_total", "Decisions that nobody took to record")?,
            cluster_nodes: with.int_gauge("cluster_nodes", "Nodes that Kubernetes lists")?,
            cluster_pods: with.int_gauge("cluster_pods", "Pods on nodes that Kubernetes lists")?,
            watch_up: with.int_gauges("watch_up", "1 while the watch on Kubernetes works", &["resource"])?,
            watch_errors: with.counters("watch_errors_total", "Failures of the watch on Kubernetes", &["resource"])?,
            drift_alarms: with.counters("drift_alarms_total", "Alarms of model drift that went on", &["target"])?,
            drift_alarms_on: with.int_gauge("drift_alarms", "Alarms of model drift that are on")?,
            prediction_error: ["power", "latency"].map(|target| errors.with_label_values(&[target])),
            calls_per_pod: with.histogram("calls_per_pod", "Prioritize calls for a pod until it was placed", CALLS)?,
            events: with.counters("events_total", "Kubernetes Events on placed pods", &["result"])?,
            predicted_joules: with.float_counter("predicted_joules_total", "Predicted energy of placed pods")?,
            realised_joules: with.gauge("realised_joules_total", "Energy that came with them in the same windows")?,
            outcome_error: with.histogram("outcome_error_watts", "Realised less predicted power, unsigned", WATTS)?,
            regret: with.histogram("regret_watts", "Realised power above the least predicted anywhere", WATTS)?,
            outcomes: with.counters("outcomes_total", "Settled placements by source of power", &["read_from"])?,
            steered_services: with.int_gauge("steered_services", "Services whose endpoints get weights")?,
            steering_changes: with.counter("steering_changes_total", "Changes of those weights")?,
            consolidation_nodes: with.int_gauge("consolidation_nodes", "Nodes that are worth emptying")?,
            consolidation_watts: with.gauge("consolidation_watts", "Power that emptying all of them would save")?,
            consolidation_node_watts: with.gauges("consolidation_node_watts", "The same by node", &["node"])?,
            compile_seconds: with.histogram("compile_duration_seconds", "Time to compile predictions", COMPILE)?,
        })
    }

    pub(crate) fn answered(&self, verb: Verb, code: http::StatusCode, took: Duration) {
        self.call_seconds[verb as usize].observe(took.as_secs_f64());
        match code {
            http::StatusCode::OK => self.calls_ok[verb as usize].inc(),
            code => self.calls.with_label_values(&[verb.label(), code.as_str()]).inc(),
        }
    }

    /// Counts how far predictions were from a new window.
    pub(crate) fn predicted(&self, errors: &Errors) {
        let [power, latency] = &self.prediction_error;
        errors.power.iter().for_each(|&error| power.observe(error));
        errors.latency.iter().for_each(|&error| latency.observe(error));
    }

    /// Counts what became of a placement.
    pub(crate) fn settled(&self, outcome: &Outcome) {
        let read_from = match outcome.read_from {
            ReadFrom::Service => "service",
            ReadFrom::Node => "node",
            ReadFrom::Nothing => "nothing",
        };
        self.outcomes.with_label_values(&[read_from]).inc();
        if let (Some(predicted), Some(realised)) = (outcome.predicted_joules, outcome.realised_joules) {
            self.predicted_joules.inc_by(predicted.get().max(0.0));
            self.realised_joules.add(realised.get());
        }
        if let (Some(predicted), Some(realised)) = (outcome.predicted_watts, outcome.realised_watts) {
            self.outcome_error.observe((realised - predicted).get().abs());
        }
        if let Some(regret) = outcome.regret_watts {
            self.regret.observe(regret.get().max(0.0));
        }
    }

    /// Tells what emptying nodes would save.
    pub(crate) fn consolidation(&self, advice: &Advice) {
        self.consolidation_nodes.set(i64::try_from(advice.nodes.len()).unwrap_or(i64::MAX));
        self.consolidation_watts.set(advice.saved_watts.get());
        self.consolidation_node_watts.reset();
        for emptied in &advice.nodes {
            self.consolidation_node_watts.with_label_values(&[emptied.node.as_str()]).set(emptied.saved_watts.get());
        }
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        self.rejections.with_label_values(&[reason]).inc();
    }
}

/// In the order of their numbers.
pub(crate) const REASONS: [Reason; 7] = [
    Reason::Predicted,
    Reason::Drifted,
    Reason::NoModel,
    Reason::NoMeasurement,
    Reason::StaleMeasurement,
    Reason::NoSnapshot,
    Reason::Overload,
];

/// The budget is one millisecond at 500 names and six at 5,000.
const CALL: &[f64] = &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.006, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const ERRORS: &[f64] = &[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0];
const CALLS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0];
const WATTS: &[f64] = &[0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0];
const COMPILE: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_reasons_are_counted_under_their_own_names() {
        for (number, verb) in VERBS.into_iter().enumerate() {
            assert_eq!(verb as usize, number);
        }
        for (number, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
        }
    }
}
