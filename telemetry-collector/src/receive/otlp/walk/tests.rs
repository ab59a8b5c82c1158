use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, NumberDataPoint,
    ScopeMetrics, Sum, Summary, SummaryDataPoint, number_data_point,
};

use super::*;

const AT: u64 = 1_700_000_000_000_000_000;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn number(value: i64, after_ms: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: vec![attribute("http.route", "/a")],
        time_unix_nano: AT + after_ms * 1_000_000,
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    }
}

fn request(name: &str, unit: &str, data: Data) -> ExportMetricsServiceRequest {
    let metric = Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Metric::default() };
    let scope = InstrumentationScope { name: "lib".to_owned(), ..InstrumentationScope::default() };
    let attributes = vec![
        attribute("service.name", "geo"),
        attribute("service.namespace", "hotel"),
        attribute("service.instance.id", "geo-0"),
        attribute("k8s.node.name", "n1"),
    ];
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// Writes what was found as one line a sample, without what all have.
fn lines(found: &Found) -> Vec<String> {
    let mut lines: Vec<String> = found
        .samples
        .iter()
        .filter(|sample| sample.labels.metric_name() != "target_info")
        .map(|sample| {
            assert_eq!(
                ["job", "instance", "otel_scope_name", "http_route"].map(|name| sample.labels.get(name)),
                [Some("hotel/geo"), Some("geo-0"), Some("lib"), Some("/a")]
            );
            let le = ["le", "quantile"].iter().find_map(|name| sample.labels.get(name)).unwrap_or("");
            format!("{} {le} {}", sample.labels.metric_name(), sample.value)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn counters_and_gauges_get_their_names_units_and_identity() {
    let sum = Sum { data_points: vec![number(7, 0)], aggregation_temporality: 2, is_monotonic: true };
    let found = samples(request("http.requests", "{request}", Data::Sum(sum)), &mut Deltas::default());

    assert_eq!(lines(&found), ["http_requests_total  7"]);
    let info = found.samples.iter().find(|sample| sample.labels.metric_name() == "target_info").expect("it");
    assert_eq!((info.labels.get("k8s_node_name"), info.labels.get("job")), (Some("n1"), Some("hotel/geo")));
    assert_eq!(found.metadata[0].1.kind, "counter");

    let gauge = Gauge { data_points: vec![number(7, 0)] };
    let found = samples(request("memory", "By", Data::Gauge(gauge)), &mut Deltas::default());
    assert_eq!(lines(&found), ["memory_bytes  7"]);
}

#[test]
fn deltas_sum_up_to_a_counter() {
    let mut deltas = Deltas::default();
    let sum = |value, after| {
        let sum = Sum { data_points: vec![number(value, after)], aggregation_temporality: 1, is_monotonic: true };
        request("x", "", Data::Sum(sum))
    };

    assert_eq!(lines(&samples(sum(2, 0), &mut deltas)), ["x_total  2"]);
    assert_eq!(lines(&samples(sum(3, 1), &mut deltas)), ["x_total  5"]);
    let late = samples(sum(3, 1), &mut deltas);
    assert_eq!((late.rejected, late.samples.len()), (1, 0));
    assert!(late.reason.is_some_and(|reason| reason.contains("not newer")));
}

#[test]
fn histograms_are_cumulative_over_their_bounds() {
    let point = HistogramDataPoint {
        attributes: vec![attribute("http.route", "/a")],
        time_unix_nano: AT,
        count: 6,
        sum: Some(1.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.005, 1.0],
        ..HistogramDataPoint::default()
    };
    let broken = HistogramDataPoint { bucket_counts: vec![1, 2], ..point.clone() };
    let histogram = Histogram { data_points: vec![point, broken], aggregation_temporality: 2 };

    let found = samples(request("d", "s", Data::Histogram(histogram)), &mut Deltas::default());

    let wanted = [
        "d_seconds_bucket +Inf 6",
        "d_seconds_bucket 0.005 1",
        "d_seconds_bucket 1 3",
        "d_seconds_count  6",
        "d_seconds_sum  1.5",
    ];
    assert_eq!(lines(&found), wanted);
    assert_eq!(found.rejected, 1);
}

#[test]
fn exponential_histograms_have_powers_of_two_as_bounds() {
    // Scale 1: bounds are powers of the root of 2, so buckets 0 and 1 lie at or below 2, bucket 2 at or below 4.
    let point = ExponentialHistogramDataPoint {
        attributes: vec![attribute("http.route", "/a")],
        time_unix_nano: AT,
        count: 11,
        sum: Some(20.0),
        scale: 1,
        zero_count: 1,
        positive: Some(Buckets { offset: 0, bucket_counts: vec![2, 3, 5] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let histogram = ExponentialHistogram { data_points: vec![point], aggregation_temporality: 2 };

    let found = samples(request("e", "", Data::ExponentialHistogram(histogram)), &mut Deltas::default());

    let wanted = ["e_bucket +Inf 11", "e_bucket 0 1", "e_bucket 2 6", "e_bucket 4 11", "e_count  11", "e_sum  20"];
    assert_eq!(lines(&found), wanted);
}

#[test]
fn summaries_keep_their_quantiles_and_an_end_is_a_stale_marker() {
    let point = SummaryDataPoint {
        attributes: vec![attribute("http.route", "/a")],
        time_unix_nano: AT,
        count: 4,
        sum: 2.0,
        quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 0.25 }],
        ..SummaryDataPoint::default()
    };
    let found = samples(request("s", "", Data::Summary(Summary { data_points: vec![point] })), &mut Deltas::default());
    assert_eq!(lines(&found), ["s 0.5 0.25", "s_count  4", "s_sum  2"]);

    let ended = NumberDataPoint { flags: 1, value: None, ..number(0, 0) };
    let found = samples(request("g", "", Data::Gauge(Gauge { data_points: vec![ended] })), &mut Deltas::default());
    assert_eq!(found.samples[0].value.to_bits(), 0x7ff0_0000_0000_0002);
}

#[test]
fn what_has_no_time_or_no_temporality_is_refused_with_its_reason() {
    let timeless = NumberDataPoint { time_unix_nano: 0, ..number(1, 0) };
    let found = samples(request("g", "", Data::Gauge(Gauge { data_points: vec![timeless] })), &mut Deltas::default());
    assert_eq!((found.rejected, found.reason.as_deref()), (1, Some("g: a point without a time")));

    let sum = Sum { data_points: vec![number(1, 0), number(2, 1)], aggregation_temporality: 0, is_monotonic: true };
    let found = samples(request("x", "", Data::Sum(sum)), &mut Deltas::default());
    assert_eq!((found.rejected, found.samples.len()), (2, 0));
}
