//! One pod's application: works on its node, then calls the next services through its own outbound proxy.
//!
//! Like the real application it forwards the trace headers of the request it answers, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, body::Body};
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_contract::PodKey;

use crate::client::{CallError, Client};
use crate::node::Node;
use crate::service::{Call, Service, Workload, find};

/// The headers that carry a trace from request to request (W3C, B3, Envoy).
const TRACE_HEADERS: [&str; 9] = [
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-request-id",
];

/// The application of one pod.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) pod: PodKey,
    pub(crate) workload: &'static Workload,
    pub(crate) node: Arc<Node>,
    /// Sends to the pod's outbound proxy.
    pub(crate) outbound: Client,
    pub(crate) random: Mutex<StdRng>,
}

/// Answers requests until told to stop, then finishes those it has.
pub(crate) async fn serve(app: App, listener: TcpListener, stop: CancellationToken) {
    let pod = app.pod.clone();
    let router = Router::new().fallback(answer).with_state(Arc::new(app));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::warn!(pod.namespace = %pod.namespace, pod.name = %pod.name, %error, "demo application ended");
    }
}

async fn answer(State(app): State<Arc<App>>, request: Request<Body>) -> Response {
    let service = app.workload.service();
    let Some(route) = service.route(request.method().as_str(), request.uri().path()) else {
        let error = format!("{} has no {} {}", service.name, request.method(), request.uri().path());
        return (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response();
    };

    app.node.work(&app.pod, app.draw_work(service)).await;
    let headers = trace_headers(request.headers());
    for call in route.calls {
        if let Err((status, error)) = app.call(call, headers.clone()).await {
            return (status, Json(json!({ "error": error }))).into_response();
        }
    }
    Json(json!({
        "service": service.name,
        "version": app.workload.version,
        "pod": app.pod.name.as_ref(),
        "node": app.node.name().as_str(),
    }))
    .into_response()
}

impl App {
    /// Draws how long one request works: half of the mean is fixed, half exponentially distributed.
    fn draw_work(&self, service: &Service) -> Duration {
        let uniform: f64 = self.random.lock().random();
        let milliseconds = service.work_ms * 0.5 * (1.0 - (1.0 - uniform).ln());
        Duration::from_secs_f64(milliseconds / 1000.0)
    }

    /// Calls another service; a failure is 503 when it was not to be had, 502 when its answer was of no use.
    async fn call(&self, call: &Call, headers: HeaderMap) -> Result<(), (StatusCode, String)> {
        let service = find(call.service).expect("every call names a service of the table");
        let answer = self.outbound.call(Method::GET, &service.authority(), call.path, headers).await;
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) if answer.status == StatusCode::SERVICE_UNAVAILABLE => {
                Err((StatusCode::SERVICE_UNAVAILABLE, format!("{} is unavailable", call.service)))
            }
            Ok(answer) => Err((StatusCode::BAD_GATEWAY, format!("{} answered {}", call.service, answer.status))),
            Err(error @ CallError::TooSlow { .. }) => Err((StatusCode::SERVICE_UNAVAILABLE, error.to_string())),
            Err(error) => Err((StatusCode::BAD_GATEWAY, error.to_string())),
        }
    }
}

fn trace_headers(headers: &HeaderMap) -> HeaderMap {
    headers.iter().filter(|(name, _)| TRACE_HEADERS.contains(&name.as_str())).map(clone_pair).collect()
}

fn clone_pair<N: Clone, V: Clone>((name, value): (&N, &V)) -> (N, V) {
    (name.clone(), value.clone())
}
