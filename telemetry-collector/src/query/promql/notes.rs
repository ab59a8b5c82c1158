//! Annotations: what a query's author should know of its answer, in Prometheus's words.

use std::cell::RefCell;
use std::collections::BTreeSet;

/// Most notes of a kind that an answer carries, as in Prometheus.
const MOST: usize = 10;

/// Notes gathered while a query runs.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
}

/// Notes of a query that is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) warnings: Vec<String>,
    pub(crate) infos: Vec<String>,
}

impl Notes {
    fn warn(&self, text: &str) {
        self.warnings.borrow_mut().insert(format!("PromQL warning: {text}"));
    }

    fn inform(&self, text: &str) {
        self.infos.borrow_mut().insert(format!("PromQL info: {text}"));
    }

    /// Notes a quantile that is none.
    pub(super) fn quantile(&self, q: f64) {
        if q.is_nan() || !(0.0..=1.0).contains(&q) {
            let q = crate::query::prometheus_api::number(q);
            self.warn(&format!("quantile value should be between 0 and 1, got {q}"));
        }
    }

    /// Notes that a range query has an order of its own.
    pub(super) fn sort(&self) {
        self.warn("sort is ineffective for range queries since results are always ordered by labels");
    }

    /// Notes a metric whose name is not that of a counter.
    pub(super) fn counter(&self, metric: &str) {
        let is_counter = ["_total", "_sum", "_count", "_bucket"].iter().any(|ending| metric.ends_with(ending));
        if !metric.is_empty() && !is_counter {
            self.inform(&format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric:?}"
            ));
        }
    }

    /// Notes a bucket without a bound.
    pub(super) fn bad_bucket(&self, metric: &str, le: &str) {
        self.warn(&format!(
            "bucket label \"le\" is missing or has a malformed value of {le:?}{}",
            named(metric, " for metric name ")
        ));
    }

    /// Notes counts that fell from one bucket to the next.
    pub(super) fn forced_monotonic(&self, metric: &str) {
        self.inform(&format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
            named(metric, " for metric name ")
        ));
    }

    /// Gives what was noted.
    pub(super) fn told(&self) -> Told {
        let first = |notes: &RefCell<BTreeSet<String>>| notes.borrow().iter().take(MOST).cloned().collect();
        Told { warnings: first(&self.warnings), infos: first(&self.infos) }
    }
}

fn named(metric: &str, before: &str) -> String {
    if metric.is_empty() { String::new() } else { format!("{before}{metric:?}") }
}
