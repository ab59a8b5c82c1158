//! What people and Kubernetes ask the proxy itself: `:15000` administration, `:15090` metrics, `:15021` health.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use prometheus::{Encoder, TextEncoder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::proxy::{Inner, Listeners};
use crate::telemetry::render;

/// Starts the proxy's own listeners, which answer until after the drain.
pub(crate) fn start(inner: &Arc<Inner>, listeners: Listeners, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let admin = Router::new()
        .route("/ready", get(ready))
        .route("/stats", get(stats))
        .route("/stats/prometheus", get(prometheus))
        .route("/clusters", get(clusters))
        .route("/config_dump", get(config_dump))
        .route("/drain", post(drain));
    let metrics = Router::new().route("/stats/prometheus", get(prometheus)).route("/metrics", get(prometheus));
    let health = Router::new().route("/healthz/ready", get(ready));
    let mut tasks = vec![serve(listeners.admin, admin, inner, stop), serve(listeners.metrics, metrics, inner, stop)];
    tasks.extend(listeners.health.map(|listener| serve(listener, health, inner, stop)));
    tasks
}

fn serve(
    listener: TcpListener,
    router: Router<Arc<Inner>>,
    inner: &Arc<Inner>,
    stop: &CancellationToken,
) -> JoinHandle<()> {
    let (router, stop) = (router.with_state(Arc::clone(inner)), stop.clone());
    tokio::spawn(async move {
        // Not graceful: a scraper's idle connection must not hold up the end.
        let serving = axum::serve(listener, router).into_future();
        tokio::select! {
            ended = serving => if let Err(error) = ended {
                tracing::error!(%error, "a listener of the proxy itself ended");
            },
            () = stop.cancelled() => {}
        }
    })
}

/// Ready means: not draining, and every workload has a table.
async fn ready(State(inner): State<Arc<Inner>>) -> Response {
    if inner.drain.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "DRAINING\n").into_response();
    }
    let waiting: Vec<String> = inner
        .carriers()
        .iter()
        .filter(|carrier| carrier.table().is_none())
        .map(|carrier| carrier.sink.identity.workload.to_string())
        .collect();
    if waiting.is_empty() {
        return "LIVE\n".into_response();
    }
    let text = format!("INITIALIZING: no configuration was accepted for {}\n", waiting.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn prometheus(State(inner): State<Arc<Inner>>) -> Response {
    let carriers = inner.carriers();
    let mut text = render(carriers.iter().map(|carrier| carrier.sink.as_ref()));
    let encoder = TextEncoder::new();
    let mut own = Vec::new();
    if let Err(error) = encoder.encode(&inner.registry.gather(), &mut own) {
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    text.push_str(&String::from_utf8_lossy(&own));
    ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response()
}

async fn stats(State(inner): State<Arc<Inner>>) -> String {
    let mut out = String::new();
    for family in inner.registry.gather().iter().filter(|family| family.name().starts_with("wattle_proxy_")) {
        for metric in family.get_metric() {
            let labels: Vec<_> = metric.get_label().iter().map(|label| label.value().to_owned()).collect();
            let name = std::iter::once(family.name().to_owned()).chain(labels).collect::<Vec<_>>().join(".");
            let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
            put(&mut out, format_args!("{name}: {value}"));
        }
    }
    for carrier in inner.carriers() {
        let (workload, active) = (&carrier.sink.identity.workload, carrier.sink.active());
        put(&mut out, format_args!("workload.{workload}.active_requests: {active}"));
        for cluster in carrier.table().iter().flat_map(|table| table.all_clusters()) {
            let (name, in_flight) = (&cluster.spec.name, &cluster.shared.in_flight);
            for (what, gauge) in [
                ("requests", &in_flight.requests),
                ("pending", &in_flight.pending),
                ("retries", &in_flight.retries),
                ("connections", &in_flight.connections),
            ] {
                put(&mut out, format_args!("workload.{workload}.cluster.{name}.{what}: {}", gauge.value()));
            }
        }
    }
    out
}

/// Envoy's format: one fact a line, fields parted by `::`.
async fn clusters(State(inner): State<Arc<Inner>>) -> String {
    let (mut out, now) = (String::new(), Instant::now());
    for carrier in inner.carriers() {
        for cluster in carrier.table().iter().flat_map(|table| table.all_clusters()) {
            describe(&mut out, cluster, now);
        }
    }
    out
}

fn describe(out: &mut String, cluster: &Cluster, now: Instant) {
    let name = &cluster.spec.name;
    for member in &cluster.endpoints {
        let address = &member.address;
        let ejected = member.state.outlier.lock().is_ejected(now);
        let flags = match (ejected, member.spec.health) {
            (true, _) => "/failed_outlier_check",
            (false, wattle_contract::Health::Healthy) => "healthy",
            (false, _) => "/failed_eds_health",
        };
        for (what, value) in [
            ("health_flags", flags.to_owned()),
            ("weight", member.spec.weight.to_string()),
            ("rq_active", member.state.requests.value().to_string()),
            ("cx_active", member.state.connections.value().to_string()),
            ("zone", member.spec.locality.zone.clone()),
        ] {
            put(out, format_args!("{name}::{address}::{what}::{value}"));
        }
    }
}

/// Writing to a `String` cannot fail.
fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(line);
    out.push('\n');
}

async fn config_dump(State(inner): State<Arc<Inner>>) -> Json<Value> {
    let workloads: Vec<_> = inner
        .carriers()
        .iter()
        .map(|carrier| {
            json!({
                "identity": carrier.sink.identity,
                "table": carrier.table().map(|table| Arc::clone(&table.source)),
                "refused": carrier.refusal(),
            })
        })
        .collect();
    Json(json!({ "workloads": workloads }))
}

async fn drain(State(inner): State<Arc<Inner>>) -> &'static str {
    tracing::info!("asked to drain");
    inner.drain.cancel();
    "OK\n"
}
