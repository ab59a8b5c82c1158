//! The proxy's own metrics, beside Istio's standard ones.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Counters and gauges of one proxy process.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Requests that were accepted and have ended.
    pub(crate) requests: IntCounter,
    /// Of those, the ones answered 5xx or not at all.
    pub(crate) request_errors: IntCounter,
    /// Requests in flight.
    pub(crate) active_requests: IntGauge,
    /// Open connections from clients, by listener.
    pub(crate) connections: IntGaugeVec,
    /// Connections accepted, by listener.
    pub(crate) accepted: IntCounterVec,
    /// Failed accepts, mostly for want of file descriptors.
    pub(crate) accept_errors: IntCounter,
    /// Connections that ended with an error of the client's HTTP.
    pub(crate) protocol_errors: IntCounter,
    /// Requests refused before routing, by reason.
    pub(crate) rejected: IntCounterVec,
    /// Route tables taken or refused.
    pub(crate) reloads: IntCounterVec,
    /// Workloads carried.
    pub(crate) workloads: IntGauge,
    /// Endpoints ejected since the start.
    pub(crate) ejections: IntCounter,
    /// Further tries.
    pub(crate) retries: IntCounter,
    /// Requests that a limit of a cluster refused.
    pub(crate) overflows: IntCounter,
    /// Copies of requests, by how they went.
    pub(crate) mirrors: IntCounterVec,
    /// Requests cut when a drain was over.
    pub(crate) drain_cut: IntCounter,
    /// Requests whose series was one too many.
    pub(crate) series_overflow: IntCounter,
    /// Spans, by what became of them.
    pub(crate) spans: IntCounterVec,
    /// Lines that the access log dropped.
    pub(crate) log_dropped: IntCounter,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let counters = |name: &str, help: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let connections = Opts::new("wattle_proxy_connections", "Open connections from clients.");
        let connections = IntGaugeVec::new(connections, &["listener"])?;
        registry.register(Box::new(connections.clone()))?;
        Ok(Self {
            requests: counter("wattle_proxy_requests_total", "Requests accepted and ended.")?,
            request_errors: counter("wattle_proxy_request_errors_total", "Requests answered 5xx or not at all.")?,
            active_requests: gauge("wattle_proxy_active_requests", "Requests in flight.")?,
            connections,
            accepted: counters("wattle_proxy_connections_accepted_total", "Connections accepted.", "listener")?,
            accept_errors: counter("wattle_proxy_accept_errors_total", "Accepts that failed.")?,
            protocol_errors: counter("wattle_proxy_protocol_errors_total", "Connections whose HTTP was broken.")?,
            rejected: counters("wattle_proxy_requests_rejected_total", "Requests refused before routing.", "reason")?,
            reloads: counters("wattle_proxy_reloads_total", "Route tables taken or refused.", "result")?,
            workloads: gauge("wattle_proxy_workloads", "Workloads carried.")?,
            ejections: counter("wattle_proxy_ejections_total", "Endpoints ejected for their answers.")?,
            retries: counter("wattle_proxy_retries_total", "Further tries.")?,
            overflows: counter("wattle_proxy_overflows_total", "Requests refused by a limit of a cluster.")?,
            mirrors: counters("wattle_proxy_mirrored_requests_total", "Copies of requests.", "result")?,
            drain_cut: counter("wattle_proxy_drain_cut_total", "Requests cut when a drain was over.")?,
            series_overflow: counter("wattle_proxy_series_overflow_total", "Requests not counted for want of series.")?,
            spans: counters("wattle_proxy_spans_total", "Spans by what became of them.", "result")?,
            log_dropped: counter("wattle_proxy_access_log_dropped_total", "Access log lines dropped.")?,
        })
    }
}
