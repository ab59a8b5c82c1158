//! The scheduler's own metrics. kube-scheduler exports nothing about an extender, so this is the only place to look.

use std::time::Duration;

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use wattle_contract::Reason;

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
    /// `wattle_scheduler_carbon_up`: 1 while carbon intensities can be read; 0 also when none are asked for.
    pub(crate) carbon_up: IntGauge,
    /// `wattle_scheduler_decisions_dropped_total`: decisions that nobody took to record.
    pub(crate) decisions_dropped: IntCounter,
    /// `wattle_scheduler_cluster_nodes`: nodes that Kubernetes lists.
    pub(crate) cluster_nodes: IntGauge,
    /// `wattle_scheduler_cluster_pods`: pods on nodes that Kubernetes lists.
    pub(crate) cluster_pods: IntGauge,
    /// `wattle_scheduler_watch_up{resource}`: 1 while the watch on Kubernetes works.
    pub(crate) watch_up: IntGaugeVec,
    /// `wattle_scheduler_watch_errors_total{resource}`: failures of the watch on Kubernetes.
    pub(crate) watch_errors: IntCounterVec,
    /// `wattle_scheduler_drift_alarms_total{target}`: alarms that went on, each a node (or all nodes) served without trees.
    pub(crate) drift_alarms: IntCounterVec,
    /// `wattle_scheduler_drift_alarms`: alarms that are on.
    pub(crate) drift_alarms_on: IntGauge,
    /// `wattle_scheduler_compile_duration_seconds`: from a new snapshot or model to predictions in use.
    pub(crate) compile_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let with = Declare { registry };
        let call_seconds =
            with.histograms("call_duration_seconds", "Time from a request's head to its answer", CALL)?;
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
            carbon_up: with.int_gauge("carbon_up", "1 while carbon intensities can be read")?,
            decisions_dropped: with.counter("decisions_dropped_total", "Decisions that nobody took to record")?,
            cluster_nodes: with.int_gauge("cluster_nodes", "Nodes that Kubernetes lists")?,
            cluster_pods: with.int_gauge("cluster_pods", "Pods on nodes that Kubernetes lists")?,
            watch_up: with.int_gauges("watch_up", "1 while the watch on Kubernetes works", &["resource"])?,
            watch_errors: with.counters("watch_errors_total", "Failures of the watch on Kubernetes", &["resource"])?,
            drift_alarms: with.counters("drift_alarms_total", "Alarms of model drift that went on", &["target"])?,
            drift_alarms_on: with.int_gauge("drift_alarms", "Alarms of model drift that are on")?,
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
const COMPILE: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

struct Declare<'a> {
    registry: &'a Registry,
}

impl Declare<'_> {
    fn opts(name: &str, help: &str) -> Opts {
        Opts::new(format!("wattle_scheduler_{name}"), help)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::with_opts(Self::opts(name, help))?;
        self.registry.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let counters = IntCounterVec::new(Self::opts(name, help), labels)?;
        self.registry.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn reasons(&self, name: &str, help: &str) -> prometheus::Result<[IntCounter; 7]> {
        let counters = self.counters(name, help, &["reason"])?;
        Ok(REASONS.map(|reason| counters.with_label_values(&[reason.label()])))
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        let gauge = Gauge::with_opts(Self::opts(name, help))?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn int_gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::with_opts(Self::opts(name, help))?;
        self.registry.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn int_gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let gauges = IntGaugeVec::new(Self::opts(name, help), labels)?;
        self.registry.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        let opts = HistogramOpts::from(Self::opts(name, help)).buckets(buckets.to_vec());
        let histogram = Histogram::with_opts(opts)?;
        self.registry.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    fn histograms(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<HistogramVec> {
        let opts = HistogramOpts::from(Self::opts(name, help)).buckets(buckets.to_vec());
        let histograms = HistogramVec::new(opts, &["verb"])?;
        self.registry.register(Box::new(histograms.clone()))?;
        Ok(histograms)
    }
}

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
