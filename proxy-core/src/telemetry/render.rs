//! The standard metrics as Prometheus text.
//!
//! Names, labels and buckets are Istio's, so that its dashboards, Kiali and Flagger read them; `pod`, `node` and
//! `namespace` are the proxy's own, where it knows them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::series::{BOUNDS, Cells, Histogram, Key};
use super::{Party, Protocol, Reporter, Sink};

/// Writes the series of some workloads; those that carry the same labels are summed.
pub(crate) fn render<'a>(sinks: impl Iterator<Item = &'a Sink>) -> String {
    let mut all: BTreeMap<String, Cells> = BTreeMap::new();
    for sink in sinks {
        for (key, cells) in sink.series.snapshot() {
            let sum = all.entry(labels(sink, &key)).or_default();
            sum.duration_ms.add(&cells.duration_ms);
            sum.request_bytes.add(&cells.request_bytes);
            sum.response_bytes.add(&cells.response_bytes);
        }
    }
    let mut out = String::new();
    if all.is_empty() {
        return out;
    }
    out.push_str("# TYPE istio_requests_total counter\n");
    for (labels, cells) in &all {
        line(&mut out, "istio_requests_total", labels, "", cells.duration_ms.count);
    }
    histograms(&mut out, "istio_request_duration_milliseconds", &all, |cells| &cells.duration_ms);
    histograms(&mut out, "istio_request_bytes", &all, |cells| &cells.request_bytes);
    histograms(&mut out, "istio_response_bytes", &all, |cells| &cells.response_bytes);
    out
}

fn histograms(out: &mut String, name: &str, all: &BTreeMap<String, Cells>, of: fn(&Cells) -> &Histogram) {
    line_of(out, format_args!("# TYPE {name} histogram"));
    let (bucket, sum, count) = (format!("{name}_bucket"), format!("{name}_sum"), format!("{name}_count"));
    for (labels, cells) in all {
        let histogram = of(cells);
        let mut below = 0;
        for (bound, more) in BOUNDS.iter().zip(histogram.buckets) {
            below += more;
            line(out, &bucket, labels, &format!(",le=\"{bound}\""), below);
        }
        line(out, &bucket, labels, ",le=\"+Inf\"", histogram.count);
        line(out, &sum, labels, "", histogram.sum);
        line(out, &count, labels, "", histogram.count);
    }
}

fn line(out: &mut String, name: &str, labels: &str, more: &str, value: impl std::fmt::Display) {
    line_of(out, format_args!("{name}{{{labels}{more}}} {value}"));
}

/// Writing to a `String` cannot fail.
fn line_of(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
    out.push('\n');
}

fn labels(sink: &Sink, key: &Key) -> String {
    let (reporter, source, destination, security) = match key.reporter {
        Reporter::Source => ("source", &sink.party, &key.peer, "unknown"),
        Reporter::Destination => ("destination", &key.peer, &sink.party, "none"),
    };
    let mut out = String::with_capacity(1024);
    put(&mut out, "reporter", reporter);
    party(&mut out, "source", source);
    party(&mut out, "destination", destination);
    put(&mut out, "destination_service", &key.service.host);
    put(&mut out, "destination_service_name", &key.service.name);
    put(&mut out, "destination_service_namespace", &key.service.namespace);
    put(&mut out, "request_protocol", if key.protocol == Protocol::Grpc { "grpc" } else { "http" });
    put(&mut out, "response_code", &key.code.to_string());
    put(&mut out, "grpc_response_status", &key.grpc.map_or(String::new(), |code| code.to_string()));
    put(&mut out, "response_flags", &key.flags.to_string());
    put(&mut out, "connection_security_policy", security);
    let identity = &sink.identity;
    let node = identity.node.as_ref().map_or("", |node| node.as_str());
    for (name, value) in [("pod", identity.pod.as_str()), ("node", node), ("namespace", identity.namespace.as_str())] {
        if !value.is_empty() {
            put(&mut out, name, value);
        }
    }
    out
}

fn party(out: &mut String, side: &str, party: &Party) {
    for (name, value) in [
        ("workload", party.workload.as_str()),
        ("workload_namespace", &party.namespace),
        ("canonical_service", &party.canonical_service),
        ("canonical_revision", &party.canonical_revision),
        ("app", &party.app),
        ("version", &party.version),
        ("cluster", &party.cluster),
        // Identities are proved by mesh TLS alone.
        ("principal", "unknown"),
    ] {
        put(out, &format!("{side}_{name}"), value);
    }
}

fn put(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(name);
    out.push_str("=\"");
    for char in value.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
}
