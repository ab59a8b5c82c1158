//! A request of metrics as samples.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, ResourceMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use wattle_contract::{Labels, METRIC_NAME, Sample, Timestamp};

use super::delta::Deltas;
use super::names;
use super::points::{Kind, Points};
use crate::receive::intake::MetricMetadata;
use crate::store::exemplars;

/// What a request holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) samples: Vec<Sample>,
    pub(super) exemplars: Vec<exemplars::Of>,
    pub(super) metadata: Vec<(String, MetricMetadata)>,
    /// Points that cannot be kept, and why the first of them.
    pub(super) rejected: i64,
    pub(super) reason: Option<String>,
}

impl Found {
    /// Counts points that cannot be kept.
    pub(super) fn reject(&mut self, points: usize, metric: &str, reason: &str) {
        self.rejected += i64::try_from(points).unwrap_or(i64::MAX);
        self.reason.get_or_insert_with(|| format!("{metric}: {reason}"));
    }
}

/// Gives the samples of a request.
pub(super) fn samples(request: ExportMetricsServiceRequest, deltas: &mut Deltas) -> Found {
    let mut found = Found::default();
    for resource in request.resource_metrics {
        of_resource(resource, deltas, &mut found);
    }
    found
}

fn of_resource(from: ResourceMetrics, deltas: &mut Deltas, found: &mut Found) {
    let resource = from.resource.unwrap_or_default();
    let identity = identity(&resource);
    let before = found.samples.len();
    for scope in from.scope_metrics {
        let mut base = identity.clone();
        base.extend(scope_labels(scope.scope.unwrap_or_default()));
        for metric in scope.metrics {
            of_metric(metric, &base, deltas, found);
        }
    }
    let newest = found.samples[before..].iter().map(|sample| sample.timestamp.0).max();
    if let Some(newest) = newest.filter(|_| !identity.is_empty()) {
        found.samples.extend(target_info(&resource, identity, newest));
    }
}

/// Gives `job` and `instance`.
fn identity(resource: &Resource) -> Vec<(String, String)> {
    let text = |key: &str| {
        let attribute = resource.attributes.iter().find(|attribute| attribute.key == key)?;
        attribute.value.as_ref().map(names::text).filter(|text| !text.is_empty())
    };
    let job = match (text("service.namespace"), text("service.name")) {
        (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
        (_, name) => name,
    };
    let labels = [("job", job), ("instance", text("service.instance.id"))];
    labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The resource's other attributes, to be joined by `job` and `instance`.
fn target_info(resource: &Resource, identity: Vec<(String, String)>, newest: i64) -> Option<Sample> {
    const IDENTITY: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];
    let others: Vec<_> =
        resource.attributes.iter().filter(|attribute| !IDENTITY.contains(&attribute.key.as_str())).cloned().collect();
    if others.is_empty() {
        return None;
    }
    let name = (METRIC_NAME.to_owned(), "target_info".to_owned());
    let labels = Labels::new(names::labels(&others).into_iter().chain(identity).chain([name]));
    Some(Sample { labels, timestamp: Timestamp(newest), value: 1.0 })
}

fn scope_labels(scope: InstrumentationScope) -> Vec<(String, String)> {
    if scope.name.is_empty() {
        return Vec::new();
    }
    let mut labels = vec![("otel_scope_name".to_owned(), scope.name)];
    if !scope.version.is_empty() {
        labels.push(("otel_scope_version".to_owned(), scope.version));
    }
    let own = names::labels(&scope.attributes).into_iter();
    labels.extend(own.map(|(name, value)| (format!("otel_scope_{name}"), value)));
    labels
}

fn of_metric(metric: Metric, base: &[(String, String)], deltas: &mut Deltas, found: &mut Found) {
    let Some(data) = metric.data else { return found.reject(0, &metric.name, "a metric without data") };
    let (is_counter, is_gauge) = match &data {
        Data::Sum(sum) => (sum.is_monotonic, false),
        Data::Gauge(_) => (false, true),
        _ => (false, false),
    };
    let (name, unit) = names::metric(&metric.name, &metric.unit, is_counter, is_gauge);
    if name.is_empty() {
        return found.reject(count(&data), &metric.name, "no name is left of it");
    }
    let kind = match &data {
        Data::Sum(_) if is_counter => "counter",
        Data::Sum(_) | Data::Gauge(_) => "gauge",
        Data::Histogram(_) | Data::ExponentialHistogram(_) => "histogram",
        Data::Summary(_) => "summary",
    };
    let metadata = MetricMetadata { kind: kind.to_owned(), help: metric.description, unit };
    found.metadata.push((name.clone(), metadata));
    let temporality = |value: i32| match AggregationTemporality::try_from(value) {
        Ok(AggregationTemporality::Cumulative) => Ok(Kind::Cumulative),
        Ok(AggregationTemporality::Delta) => Ok(Kind::Delta),
        _ => Err("its aggregation temporality is not said"),
    };
    let kind = match &data {
        Data::Sum(sum) => temporality(sum.aggregation_temporality),
        Data::Histogram(histogram) => temporality(histogram.aggregation_temporality),
        Data::ExponentialHistogram(histogram) => temporality(histogram.aggregation_temporality),
        Data::Gauge(_) | Data::Summary(_) => Ok(Kind::Cumulative),
    };
    let kind = match kind {
        Ok(kind) => kind,
        Err(reason) => return found.reject(count(&data), &metric.name, reason),
    };
    let mut points = Points { name: &name, base, kind, is_counter, deltas, found };
    match data {
        Data::Sum(sum) => points.numbers(&sum.data_points),
        Data::Gauge(gauge) => points.numbers(&gauge.data_points),
        Data::Histogram(histogram) => points.histograms(&histogram.data_points),
        Data::ExponentialHistogram(histogram) => points.exponential(&histogram.data_points),
        Data::Summary(summary) => points.summaries(&summary.data_points),
    }
}

fn count(data: &Data) -> usize {
    match data {
        Data::Sum(sum) => sum.data_points.len(),
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        Data::Summary(summary) => summary.data_points.len(),
    }
}

#[cfg(test)]
mod tests;
