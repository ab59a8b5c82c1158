//! `histogram_quantile` of classic histograms, as Prometheus computes it.

use std::collections::HashMap;

use wattle_contract::Labels;

use super::QueryError;
use super::eval::{Context, without};
use super::value::Series;

/// Evaluates `histogram_quantile(q, buckets)`.
pub(super) fn quantile(context: &Context, q: &[f64], buckets: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<(Labels, Vec<(f64, Series)>)> = Vec::new();
    for series in buckets {
        let Some(bound) = series.labels.get("le").and_then(|le| le.parse::<f64>().ok()) else { continue };
        // Histograms of different metrics stay apart, whether or not the name goes at the end.
        let labels = without(&series.labels, &["le"]);
        let at = *places.entry(labels.clone()).or_insert_with(|| {
            groups.push((labels, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push((bound, series));
    }
    let mut found = Vec::with_capacity(groups.len());
    for (labels, group) in groups {
        context.check()?;
        let at_step = |(step, &q): (usize, &f64)| {
            let mut bounds: Vec<(f64, f64)> =
                group.iter().filter_map(|(bound, series)| series.values[step].map(|count| (*bound, count))).collect();
            (!bounds.is_empty()).then(|| of_buckets(q, &mut bounds))
        };
        let values = q.iter().enumerate().map(at_step).collect();
        found.push(Series::new(labels, values));
    }
    context.unnamed(found)
}

/// Computes a quantile from (upper bound, count) pairs.
fn of_buckets(q: f64, buckets: &mut Vec<(f64, f64)>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    make_monotonic(buckets);
    if buckets.len() < 2 {
        return f64::NAN;
    }
    let observations = buckets[buckets.len() - 1].1;
    if observations == 0.0 {
        return f64::NAN;
    }
    let rank = q * observations;
    let at = buckets[..buckets.len() - 1].partition_point(|bucket| bucket.1 < rank);
    if at == buckets.len() - 1 {
        return buckets[buckets.len() - 2].0;
    }
    if at == 0 && buckets[0].0 <= 0.0 {
        return buckets[0].0;
    }
    let (end, mut count) = buckets[at];
    let (mut start, mut rank) = (0.0, rank);
    if at > 0 {
        start = buckets[at - 1].0;
        count -= buckets[at - 1].1;
        rank -= buckets[at - 1].1;
    }
    start + (end - start) * (rank / count)
}

/// Adds the counts of buckets with the same bound.
fn coalesce(buckets: &mut Vec<(f64, f64)>) {
    buckets.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
}

/// Lifts counts that are below the one before: rates of buckets scraped apart may be (`ensureMonotonicAndIgnoreSmallDeltas`).
fn make_monotonic(buckets: &mut [(f64, f64)]) {
    let mut before = buckets[0].1;
    for bucket in &mut buckets[1..] {
        if bucket.1 < before || is_almost_equal(bucket.1, before) {
            bucket.1 = before;
        }
        before = bucket.1;
    }
}

/// Prometheus's `almost.Equal` with its tolerance of 1e-12 for bucket counts.
fn is_almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
