//! `GET /explain`: the newest decision for a pod. `POST /explain`: the decision there would be, without a trace.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use wattle_contract::{Decision, PodKey};

use super::Shared;
use super::body;
use super::call::Call;
use super::verbs::on_fitting_thread;
use crate::metrics::Verb;
use crate::wire::ExtenderArgs;

/// Which pod. The namespace is `default` where none is given.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    pod: Option<String>,
}

pub(super) async fn newest(State(shared): State<Arc<Shared>>, Query(which): Query<Which>) -> Response {
    let call = Call::begin(&shared, Verb::Explain);
    let Some(name) = which.pod.filter(|name| !name.is_empty()) else {
        return call.answer(StatusCode::BAD_REQUEST, said("which pod? Ask with ?namespace=NAMESPACE&pod=NAME"));
    };
    let pod = PodKey::new(which.namespace.as_deref().unwrap_or("default"), &name);
    match shared.record.newest(&pod) {
        Some(made) => call.answer(StatusCode::OK, json(&made.decision())),
        None => call.answer(StatusCode::NOT_FOUND, said(&format!("no decision for pod {pod} is remembered"))),
    }
}

pub(super) async fn afresh(State(shared): State<Arc<Shared>>, body: Body) -> Response {
    let call = Call::begin(&shared, Verb::Explain);
    let body = match body::read(body, shared.config.max_body_bytes, call.until()).await {
        Ok(body) => body,
        Err(why) => return call.unread(why),
    };
    on_fitting_thread(body.len(), || {
        let view = shared.view.load();
        let args = match ExtenderArgs::parse(&body, &view.names) {
            Ok(args) => args,
            Err(error) => return call.malformed(&error),
        };
        let Some(pod) = shared.read_pod(&args) else {
            return call.answer(StatusCode::BAD_REQUEST, said("the body holds no pod that can be read"));
        };
        if !shared.is_sane(&args.candidates) {
            return call.answer(StatusCode::BAD_REQUEST, said("these cannot be the nodes of a cluster"));
        }
        match shared.decide(&view, pod, &args.candidates, &|| call.is_late()) {
            Some(made) => call.answer(StatusCode::OK, json(&made.decision())),
            None => {
                call.missed_deadline();
                call.answer(StatusCode::SERVICE_UNAVAILABLE, said("the time for an answer ran out"))
            }
        }
    })
}

fn json(decision: &Decision) -> Vec<u8> {
    serde_json::to_vec(decision).expect("a decision holds finite numbers and text keys only")
}

fn said(error: &str) -> Vec<u8> {
    serde_json::json!({ "error": error }).to_string().into_bytes()
}
