//! Any text as a query over a small store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::{Labels, Timestamp};

use crate::config::QueryLimits;
use crate::query::promql::{self, Budget, Grid, QueryError, Run, Value, is_absent};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::samples::Samples;

/// Length of the data, in steps of 15 s.
const LENGTH: i64 = 60;

/// A small store and what it takes to ask it.
pub struct Queries {
    runtime: tokio::runtime::Runtime,
    samples: Arc<Samples>,
    budget: Arc<Budget>,
}

impl std::fmt::Debug for Queries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queries").finish_non_exhaustive()
    }
}

impl Queries {
    /// Fills a store in a file that is not there yet: counters, gauges with gaps and odd numbers, a histogram.
    ///
    /// Panics: the store cannot be made.
    #[must_use]
    pub fn over(path: &std::path::Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let samples = runtime.block_on(async {
            let store = Store::open(&format!("sqlite://{}", path.display())).await.expect("a store");
            let now = Timestamp(LENGTH * 15_000);
            let samples = Samples::open(Arc::new(store), 15_000, now).await.expect("a store");
            samples.append(data(), now).await.expect("small data");
            Arc::new(samples)
        });
        Self { runtime, samples, budget: Budget::new(2_000_000) }
    }

    /// Asks for a range, and for its steps one by one: what a range has at a step is what the step alone gives.
    ///
    /// Panics: it is not, or the evaluator broke its own rules.
    pub fn ask(&self, query: &str) {
        let range = Grid { start: 300_000, step: 45_000, count: 4 };
        let all = match self.evaluate(query, range) {
            Ok(Value::Vector(all)) => all,
            Ok(Value::Scalar(values)) => return assert_eq!(values.len(), range.count),
            Ok(Value::Text(_) | Value::Matrix(_)) => return,
            Err(error) => {
                let text = error.to_string();
                return assert!(!text.is_empty() && !text.contains("ended unexpectedly"), "{query:?}: {text}");
            }
        };
        // The bounds of a step alone are the step; and a sorted step is summed up in another order than a range.
        let is_bound = ["start", "end", "sort"].iter().any(|word| query.to_ascii_lowercase().contains(word));
        for step in 0..if is_bound { 0 } else { range.count } {
            let at_step = |series: &promql::Series| {
                let value = series.values[step];
                (!is_absent(value)).then(|| (series.labels.clone(), bits(value)))
            };
            let wanted: BTreeMap<Labels, u64> = all.iter().filter_map(at_step).collect();
            let alone = match self.evaluate(query, Grid { start: range.at(step), step: 1, count: 1 }) {
                Ok(Value::Vector(alone)) => alone,
                // One step alone holds less than four.
                other => panic!("{query:?}: a range has what step {step} alone refuses: {other:?}"),
            };
            let count = alone.len();
            let found: BTreeMap<Labels, u64> =
                alone.into_iter().map(|series| (series.labels, bits(series.values[0]))).collect();
            assert_eq!(found.len(), count, "{query:?}: a series twice");
            assert_eq!(found, wanted, "{query:?} at step {step}");
        }
    }

    fn evaluate(&self, query: &str, grid: Grid) -> Result<Value, QueryError> {
        let expr = Arc::new(promql::parse(query)?);
        let limits = QueryLimits { max_samples: 200_000, ..QueryLimits::default() };
        let run = Run { limits, timeout: Duration::from_secs(20), budget: self.budget.clone() };
        let (value, told) = self.runtime.block_on(promql::evaluate(&self.samples, expr, grid, run))?;
        assert!(told.warnings.len() <= 10 && told.infos.len() <= 10);
        if let Value::Vector(series) = &value {
            assert!(series.iter().all(|one| one.values.len() == grid.count && !one.is_empty()), "{query:?}");
        }
        Ok(value)
    }
}

/// Gives a number's bits, all NaN being one.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn data() -> Batch {
    let mut batch = Batch::default();
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX];
    for pod in 0..4_u8 {
        let labels = |name: &str, more: Option<(&str, &str)>| {
            let pod = pod.to_string();
            let mut pairs =
                vec![("__name__", name), ("pod", pod.as_str()), ("job", if pod == "0" { "a" } else { "b" })];
            pairs.extend(more);
            Labels::new(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
        };
        let (counter, gauge) = (batch.name(labels("c_total", None)), batch.name(labels("g", None)));
        let buckets = ["0.1", "1", "+Inf"].map(|le| batch.name(labels("h_bucket", Some(("le", le)))));
        for at in 0..LENGTH {
            let time = at * 15_000;
            // It starts again after ten minutes, and one in seven is missing.
            batch.push(counter, time, ((at % 40) * i64::from(pod + 1)) as f64);
            if at % 7 != i64::from(pod) {
                let odd = odd.get((at + i64::from(pod)) as usize % 20).copied();
                batch.push(gauge, time, odd.unwrap_or((at as f64 * 0.7 + f64::from(pod)).sin() * 10.0));
            }
            for (place, bucket) in buckets.into_iter().enumerate() {
                batch.push(bucket, time, (at * (place as i64 + 1)) as f64);
            }
        }
    }
    batch
}
