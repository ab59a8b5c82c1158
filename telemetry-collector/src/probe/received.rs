//! Any bytes as what OTLP's and Zipkin's listeners get.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use wattle_contract::Timestamp;

use crate::graph::spans::SpanGraph;
use crate::receive::{otlp, zipkin};
use crate::store::traces::block::Block;
use crate::store::traces::{codec, count_valid, rows};

/// When the spans arrive.
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Reads bytes as requests of spans, in protobuf and in JSON, and takes what is read as the store does.
///
/// Panics: spans do not come back from a block as they were.
pub fn otlp_spans(body: &[u8]) {
    let requests = [ExportTraceServiceRequest::decode(body).ok(), serde_json::from_slice(body).ok()];
    requests.iter().flatten().for_each(take);
}

/// Reads bytes as requests of metrics, in protobuf and in JSON; gives how many samples each has.
#[must_use]
pub fn otlp_metrics(body: &[u8]) -> [Option<usize>; 2] {
    let requests: [Option<ExportMetricsServiceRequest>; 2] =
        [ExportMetricsServiceRequest::decode(body).ok(), serde_json::from_slice(body).ok()];
    requests.map(|request| request.map(otlp::probe))
}

/// Reads bytes as lists of spans of both of Zipkin's versions, and takes what is read as the store does.
///
/// Panics: spans do not come back from a block as they were.
pub fn zipkin_spans(body: &[u8]) {
    for request in zipkin::probe(body).iter().flatten() {
        // It goes through the journal as protobuf.
        let again = ExportTraceServiceRequest::decode(request.encode_to_vec().as_slice());
        assert_eq!(again.as_ref(), Ok(request));
        take(request);
    }
}

fn take(request: &ExportTraceServiceRequest) {
    let mut block = Block::default();
    let taken: usize = request.resource_spans.iter().map(|resource| block.push(resource)).sum();
    assert_eq!(taken, count_valid(request));
    let graph = SpanGraph::default();
    graph.observe(&block, 0, NOW);
    graph.expire(Timestamp(i64::MAX));
    drop((graph.samples(NOW), graph.take_pending(), rows::search_rows(&block, &["http.status_code".to_owned()])));
    let read = codec::decode(&codec::encode(&block).expect("packed")).expect("its own encoding");
    // The order of a block is another one, within a trace too.
    let all = |block: &Block| {
        let one = |record| (block.service(record).to_owned(), block.span(record).encode_to_vec());
        let mut spans: Vec<(String, Vec<u8>)> = block.records.iter().map(one).collect();
        spans.sort_unstable();
        spans
    };
    assert_eq!(all(&read), all(&block));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZIPKIN: &str = r#"[{"traceId":"5af7183fb1d4cf5f","id":"352bff9a74ca9ad2","kind":"CLIENT","name":"get",
        "timestamp":1500000000000000,"duration":1500,"localEndpoint":{"serviceName":"front"},"tags":{"a":"b"},
        "remoteEndpoint":{"serviceName":"back","port":80},"annotations":[{"timestamp":1,"value":"x"}]}]"#;
    const SPANS: &str = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":
        {"stringValue":"search"}}]},"scopeSpans":[{"spans":[{"name":"GET /","traceId":"5b8efff798038103d269b633813fc60c",
        "spanId":"eee19b7ec3c1b174","startTimeUnixNano":"9","endTimeUnixNano":"5","kind":3,"status":{"code":2}}]}]}]}"#;
    const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":
        {"stringValue":"shop"}}]},"scopeMetrics":[{"metrics":[{"name":"orders","sum":{"aggregationTemporality":1,
        "isMonotonic":true,"dataPoints":[{"timeUnixNano":"9000000","asInt":"7"}]}}]}]}]}"#;

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            for text in [ZIPKIN, SPANS, METRICS] {
                let mut body = text.as_bytes().to_vec();
                let at = at.index(body.len());
                body[at] = byte;
                zipkin_spans(&body);
                otlp_spans(&body);
                let _ = otlp_metrics(&body);
            }
        }
    }

    #[test]
    fn what_is_right_is_read() {
        zipkin_spans(ZIPKIN.as_bytes());
        otlp_spans(SPANS.as_bytes());
        assert_eq!(otlp_metrics(METRICS.as_bytes())[1], Some(1));
        let spans: ExportTraceServiceRequest = serde_json::from_str(SPANS).expect("spans");
        otlp_spans(&spans.encode_to_vec());
    }
}
