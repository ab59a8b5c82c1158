//! Points of each kind as samples of classic series.
//!
//! An exponential histogram becomes a classic one whose bounds are powers of two: bounds that are the same whatever
//! scale the sender is at, so that its rates add up.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint, SummaryDataPoint, number_data_point,
};
use wattle_contract::{Labels, METRIC_NAME, Sample, Timestamp};

use super::delta::Deltas;
use super::exemplars;
use super::names;
use super::walk::Found;

/// `DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`: the series has ended.
const NO_VALUE: u32 = 1;
/// Prometheus's stale marker.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// Powers of two beyond it are no finite numbers.
const EXPONENTS: std::ops::RangeInclusive<i64> = -1_074..=1_023;

/// Whether values are sums since a start, or since the last point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cumulative,
    Delta,
}

/// The points of one metric on their way.
pub(super) struct Points<'a> {
    pub(super) name: &'a str,
    /// Labels of the resource and the scope.
    pub(super) base: &'a [(String, String)],
    pub(super) kind: Kind,
    /// A sum that only grows.
    pub(super) is_counter: bool,
    pub(super) deltas: &'a mut Deltas,
    pub(super) found: &'a mut Found,
}

/// What a point has beside its values: attributes, nanoseconds since 1970, exemplars.
type At<'a> = (&'a [KeyValue], u64, &'a [Exemplar]);

/// One value of a point: suffix of the name, a label more, and the value.
type Part = (&'static str, Option<(&'static str, String)>, f64);

impl Points<'_> {
    pub(super) fn numbers(&mut self, points: &[NumberDataPoint]) {
        for point in points {
            let value = match point.value {
                _ if point.flags & NO_VALUE != 0 => STALE,
                Some(number_data_point::Value::AsDouble(value)) => value,
                Some(number_data_point::Value::AsInt(value)) => value as f64,
                None => {
                    self.found.reject(1, self.name, "a point without a value");
                    continue;
                }
            };
            // As in Prometheus: a gauge's say nothing that it does not say itself.
            let exemplars = if self.is_counter { point.exemplars.as_slice() } else { &[] };
            self.put((&point.attributes, point.time_unix_nano, exemplars), vec![("", None, value)]);
        }
    }

    pub(super) fn histograms(&mut self, points: &[HistogramDataPoint]) {
        for point in points {
            let counts = &point.bucket_counts;
            if !counts.is_empty() && counts.len() != point.explicit_bounds.len() + 1 {
                self.found.reject(1, self.name, "a histogram needs one count more than bounds");
                continue;
            }
            if !point.explicit_bounds.is_sorted() {
                self.found.reject(1, self.name, "a histogram's bounds must grow");
                continue;
            }
            let mut below = 0_u64;
            let mut buckets = Vec::with_capacity(counts.len());
            for (bound, count) in point.explicit_bounds.iter().zip(counts) {
                below = below.saturating_add(*count);
                buckets.push((*bound, below));
            }
            let is_over = point.flags & NO_VALUE != 0;
            let at = (point.attributes.as_slice(), point.time_unix_nano, point.exemplars.as_slice());
            self.histogram(at, (point.count, point.sum, is_over), &buckets);
        }
    }

    pub(super) fn exponential(&mut self, points: &[ExponentialHistogramDataPoint]) {
        for point in points {
            let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
            let positive = point.positive.as_ref();
            for (exponent, count) in positive.into_iter().flat_map(|buckets| powers(buckets, point.scale)) {
                let sum = counts.entry(exponent).or_default();
                *sum = sum.saturating_add(count);
            }
            let negative = point.negative.as_ref().map_or(&[][..], |buckets| buckets.bucket_counts.as_slice());
            let mut below = negative.iter().fold(point.zero_count, |sum, count| sum.saturating_add(*count));
            let mut buckets = Vec::with_capacity(counts.len() + 1);
            if below > 0 {
                buckets.push((point.zero_threshold.max(0.0), below));
            }
            for (exponent, count) in counts {
                below = below.saturating_add(count);
                buckets.push(((exponent as f64).exp2(), below));
            }
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            let is_over = point.flags & NO_VALUE != 0;
            let at = (point.attributes.as_slice(), point.time_unix_nano, point.exemplars.as_slice());
            self.histogram(at, (point.count, point.sum, is_over), &buckets);
        }
    }

    fn histogram(&mut self, at: At<'_>, (count, sum, is_over): (u64, Option<f64>, bool), buckets: &[(f64, u64)]) {
        let value = |value: f64| if is_over { STALE } else { value };
        let finite = buckets.iter().filter(|(bound, _)| bound.is_finite());
        let mut parts: Vec<Part> =
            finite.map(|(bound, below)| ("_bucket", Some(("le", bound.to_string())), value(*below as f64))).collect();
        parts.push(("_bucket", Some(("le", "+Inf".to_owned())), value(count as f64)));
        parts.push(("_count", None, value(count as f64)));
        parts.extend(sum.map(|sum| ("_sum", None, value(sum))));
        self.put(at, parts);
    }

    pub(super) fn summaries(&mut self, points: &[SummaryDataPoint]) {
        for point in points {
            let value = |value: f64| if point.flags & NO_VALUE != 0 { STALE } else { value };
            let quantile = |quantile: f64| Some(("quantile", quantile.to_string()));
            let mut parts: Vec<Part> =
                point.quantile_values.iter().map(|one| ("", quantile(one.quantile), value(one.value))).collect();
            parts.push(("_sum", None, value(point.sum)));
            parts.push(("_count", None, value(point.count as f64)));
            self.put((&point.attributes, point.time_unix_nano, &[]), parts);
        }
    }

    /// Adds the values of one point.
    fn put(&mut self, (attributes, nanos, exemplars): At<'_>, parts: Vec<Part>) {
        let time = i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX);
        if time == 0 {
            return self.found.reject(1, self.name, "a point without a time");
        }
        let own = names::labels(attributes);
        let mut lower = f64::NEG_INFINITY;
        for (suffix, more, value) in parts {
            let name = (METRIC_NAME.to_owned(), format!("{}{suffix}", self.name));
            let upper = match &more {
                Some(("le", bound)) => bound.parse().unwrap_or(f64::NEG_INFINITY),
                None if suffix.is_empty() => f64::INFINITY,
                _ => f64::NEG_INFINITY,
            };
            let more = more.map(|(name, value)| (name.to_owned(), value));
            // Of a label that comes twice, the identity of the resource stays.
            let labels = Labels::new(own.iter().cloned().chain(self.base.iter().cloned()).chain(more).chain([name]));
            let value = match self.kind {
                Kind::Delta if !value.is_nan() => match self.deltas.add(&labels, time, value) {
                    Ok(sum) => sum,
                    Err(reason) => return self.found.reject(1, self.name, reason),
                },
                _ => value,
            };
            if upper > lower && !exemplars.is_empty() {
                let own = exemplars::between(exemplars, lower, upper);
                self.found.exemplars.extend(own.map(|exemplar| (labels.clone(), exemplar)));
                lower = upper;
            }
            self.found.samples.push(Sample { labels, timestamp: Timestamp(time), value });
        }
    }
}

/// Gives the counts of exponential buckets by the power of two at or above their upper bound.
fn powers(buckets: &Buckets, scale: i32) -> impl Iterator<Item = (i64, u64)> {
    let filled = buckets.bucket_counts.iter().enumerate().filter(|(_, count)| **count > 0);
    filled.map(move |(at, &count)| {
        let index = i64::from(buckets.offset).saturating_add(at as i64);
        let exponent = match scale {
            0.. => (index >> scale.min(62)) + 1,
            _ => (index + 1).saturating_mul(1_i64.checked_shl(scale.unsigned_abs()).unwrap_or(i64::MAX)),
        };
        (exponent.clamp(*EXPONENTS.start(), *EXPONENTS.end()), count)
    })
}
