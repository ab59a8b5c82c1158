//! Functions of classic histograms, as Prometheus computes them.

use std::collections::HashMap;

use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::eval::Context;
use super::series::without;
use super::value::{ABSENT, Series, is_absent};

/// Upper bound and count of observations at or below it.
type Bucket = (f64, f64);

/// The buckets of one histogram, in rising order of their bounds.
struct Histogram {
    labels: Labels,
    drop_name: bool,
    buckets: Vec<(f64, Series)>,
}

/// Evaluates `histogram_quantile(q, buckets)`.
pub(super) fn quantile(context: &Context, q: &[f64], buckets: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    q.iter().for_each(|&q| context.notes.quantile(q));
    each_histogram(context, buckets, |name, step, buckets| {
        let (value, was_forced) = of_buckets(q[step], buckets);
        if was_forced {
            context.notes.forced_monotonic(name);
        }
        value
    })
}

/// Evaluates `histogram_fraction(lower, upper, buckets)`.
pub(super) fn fraction(
    context: &Context,
    lower: &[f64],
    upper: &[f64],
    buckets: Vec<Series>,
) -> Result<Vec<Series>, QueryError> {
    each_histogram(context, buckets, |_, step, buckets| fraction_of(lower[step], upper[step], buckets))
}

fn each_histogram(
    context: &Context,
    buckets: Vec<Series>,
    function: impl Fn(&str, usize, &mut Vec<Bucket>) -> f64,
) -> Result<Vec<Series>, QueryError> {
    let mut found = Vec::new();
    let mut there: Vec<Bucket> = Vec::new();
    for histogram in group(context, buckets) {
        context.check()?;
        let steps = histogram.buckets.first().map_or(0, |(_, series)| series.values.len());
        let name = histogram.labels.metric_name().to_owned();
        let at_step = |step: usize| {
            there.clear();
            let counts = histogram.buckets.iter().map(|(bound, series)| (*bound, series.values[step]));
            there.extend(counts.filter(|(_, count)| !is_absent(*count)));
            if there.is_empty() { ABSENT } else { function(&name, step, &mut there) }
        };
        let values = (0..steps).map(at_step).collect();
        context.share.take(steps)?;
        context.share.give(steps * histogram.buckets.len());
        found.push(Series { labels: histogram.labels, drop_name: histogram.drop_name, values });
    }
    context.unnamed(found)
}

/// Puts buckets together that differ in nothing but their bound.
fn group(context: &Context, buckets: Vec<Series>) -> Vec<Histogram> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Histogram> = Vec::new();
    // A series without a value says nothing, not even that its bound is missing.
    for series in buckets.into_iter().filter(|series| !series.is_empty()) {
        let le = series.labels.get("le").unwrap_or("");
        let Some(bound) = bound(le) else {
            context.notes.bad_bucket(series.labels.metric_name(), le);
            continue;
        };
        // Histograms of different metrics stay apart, whether or not the name goes at the end.
        let labels = without(&series.labels, &["le"]);
        let at = *places.entry(labels).or_insert_with_key(|labels| {
            groups.push(Histogram { labels: labels.clone(), drop_name: series.drop_name, buckets: Vec::new() });
            groups.len() - 1
        });
        groups[at].buckets.push((bound, series));
    }
    for histogram in &mut groups {
        histogram.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if histogram.labels.get(METRIC_NAME).is_none() {
            histogram.drop_name = false;
        }
    }
    groups
}

/// Reads a bound as Go does: its words for infinity, no surrounding space.
fn bound(le: &str) -> Option<f64> {
    le.parse().ok()
}

/// Computes a quantile from buckets; tells whether counts that fell had to be lifted.
fn of_buckets(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return (f64::NAN, false);
    }
    coalesce(buckets);
    let was_forced = make_monotonic(buckets);
    if buckets.len() < 2 {
        return (f64::NAN, false);
    }
    let observations = buckets[buckets.len() - 1].1;
    if observations == 0.0 {
        return (f64::NAN, false);
    }
    let rank = q * observations;
    let at = first_at_least(&buckets[..buckets.len() - 1], rank);
    if at == buckets.len() - 1 {
        return (buckets[buckets.len() - 2].0, was_forced);
    }
    if at == 0 && buckets[0].0 <= 0.0 {
        return (buckets[0].0, was_forced);
    }
    let (end, mut count) = buckets[at];
    let (mut start, mut rank) = (0.0, rank);
    if at > 0 {
        start = buckets[at - 1].0;
        count -= buckets[at - 1].1;
        rank -= buckets[at - 1].1;
    }
    (start + (end - start) * (rank / count), was_forced)
}

/// Gives the first bucket with a count of at least `rank`; a count that is NaN is none.
#[expect(clippy::neg_cmp_op_on_partial_ord, reason = "NaN compares as Go's sort.Search does")]
fn first_at_least(buckets: &[Bucket], rank: f64) -> usize {
    buckets.partition_point(|bucket| !(bucket.1 >= rank))
}

/// Computes the share of observations between two values (`BucketFraction`).
fn fraction_of(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return f64::NAN;
    }
    coalesce(buckets);
    let count = buckets[buckets.len() - 1].1;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |value: f64| {
        let (mut rank, mut start) = (0.0, f64::NEG_INFINITY);
        for (at, &(end, count)) in buckets.iter().enumerate() {
            // The lowest bucket is taken to begin at zero, unless it ends there or below.
            if at == 0 && end > 0.0 {
                start = 0.0;
            }
            if start >= value {
                return rank;
            }
            if start < value && end > value {
                // A bucket without bound on one side is left out whole: there is no line to draw in it.
                return if start.is_infinite() {
                    count
                } else {
                    rank + (count - rank) * (value - start) / (end - start)
                };
            }
            (rank, start) = (count, end);
        }
        count
    };
    let within = |rank: f64| if rank > count { count } else { rank };
    (within(rank_of(upper)) - within(rank_of(lower))) / count
}

/// Adds the counts of buckets with the same bound.
fn coalesce(buckets: &mut Vec<Bucket>) {
    buckets.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
        }
        is_same
    });
}

/// Lifts counts that are below the one before, as rates of buckets scraped apart may be
/// (`ensureMonotonicAndIgnoreSmallDeltas`); tells whether one was so by more than rounding.
fn make_monotonic(buckets: &mut [Bucket]) -> bool {
    let (mut before, mut was_forced) = (buckets[0].1, false);
    for bucket in &mut buckets[1..] {
        if is_almost_equal(bucket.1, before) {
            bucket.1 = before;
        } else if bucket.1 < before {
            bucket.1 = before;
            was_forced = true;
        }
        before = bucket.1;
    }
    was_forced
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
