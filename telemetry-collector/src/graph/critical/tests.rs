use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::*;

/// (id, parent, service, kind, start, end), times in milliseconds.
type Drawn = (u8, u8, &'static str, u8, u64, u64);

fn paths(spans: &[Drawn]) -> Table {
    let mut block = Block::default();
    for &(id, parent, service, kind, start, end) in spans {
        let name = AnyValue { value: Some(any_value::Value::StringValue(service.to_owned())) };
        let attribute = KeyValue { key: "service.name".to_owned(), value: Some(name), ..KeyValue::default() };
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![id; 8],
            parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
            kind: i32::from(kind),
            start_time_unix_nano: start * 1_000_000,
            end_time_unix_nano: end * 1_000_000,
            ..Span::default()
        };
        block.push(&ResourceSpans {
            resource: Some(Resource { attributes: vec![attribute], ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        });
    }
    let mut rollups = Rollups::new();
    add(&block, &mut rollups);
    rollups.remove(&(edge::SPANS, edge::STEPS_MS[0], 0)).unwrap_or_default()
}

fn milliseconds(table: &Table, client: &str, server: &str) -> f64 {
    let edge = table.edges.iter().find(|(key, _)| key.client == client && key.server == server);
    edge.map_or(0.0, |(_, stats)| (stats.critical_seconds * 1e3).round())
}

#[test]
fn of_two_calls_at_once_only_the_one_waited_for_is_on_the_path() {
    let table = paths(&[
        (1, 0, "front", 2, 0, 100),
        (2, 1, "fast", 2, 10, 50),
        (3, 1, "slow", 2, 10, 90),
        (4, 3, "db", 2, 20, 60),
    ]);

    assert_eq!(table.trace_seconds, 0.1);
    assert_eq!(milliseconds(&table, "front", "slow"), 40.0);
    assert_eq!(milliseconds(&table, "slow", "db"), 40.0);
    assert_eq!(milliseconds(&table, "front", "fast"), 0.0);
}

#[test]
fn one_call_after_the_other_are_both_on_the_path() {
    let table = paths(&[(1, 0, "front", 2, 0, 100), (2, 1, "a", 2, 10, 40), (3, 1, "b", 2, 40, 90)]);

    assert_eq!((milliseconds(&table, "front", "a"), milliseconds(&table, "front", "b")), (30.0, 50.0));
}

#[test]
fn a_clock_that_is_ahead_counts_no_more_than_the_parent_took() {
    let table = paths(&[(1, 0, "front", 2, 0, 100), (2, 1, "ahead", 2, 50, 500)]);

    assert_eq!(milliseconds(&table, "front", "ahead"), 50.0);
}

#[test]
fn ends_that_share_an_id_are_parent_and_child() {
    let table = paths(&[(1, 0, "front", 3, 0, 100), (1, 0, "back", 2, 10, 90), (2, 1, "deep", 2, 20, 30)]);

    assert_eq!(milliseconds(&table, "front", "back"), 70.0);
    assert_eq!(milliseconds(&table, "back", "deep"), 10.0);
}

#[test]
fn parents_in_a_circle_end() {
    let table = paths(&[(1, 2, "a", 2, 0, 10), (2, 1, "b", 2, 0, 10), (3, 3, "c", 2, 0, 10)]);

    assert_eq!(table, Table::default());
}
