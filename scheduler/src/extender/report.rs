//! What else can be asked: outcomes of placements, consolidation advice, weights for the data plane.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::Shared;

/// Outcomes that are given.
const MOST: usize = 1_000;

pub(super) async fn outcomes(State(shared): State<Arc<Shared>>) -> Response {
    let newest = shared.outcomes.lock().newest(MOST);
    json(&newest)
}

pub(super) async fn consolidate(State(shared): State<Arc<Shared>>) -> Response {
    json(&*shared.advice.load_full())
}

/// Gives the weights; 304 while they are those of the ETag that is given, 404 where steering is off.
pub(super) async fn steering(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if shared.config.steer_ratio.is_none() {
        return (StatusCode::NOT_FOUND, "steering is off (scheduler.steer)").into_response();
    }
    let steering = Arc::clone(&shared.steering.borrow());
    // By content: a scheduler that was started anew counts from the beginning.
    let tag = format!("\"{:016x}\"", steering.fingerprint());
    let mut response = match headers.get(header::IF_NONE_MATCH) {
        Some(known) if known.as_bytes() == tag.as_bytes() => StatusCode::NOT_MODIFIED.into_response(),
        _ => json(&*steering),
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn json(value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).expect("plain values with text keys serialize");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

impl Shared {
    /// Looks again for nodes worth emptying; gives how many nodes are known well enough to be looked at.
    pub(crate) fn advise(&self) -> usize {
        let view = self.view.load_full();
        let assumed = self.assumed.read().all(&view);
        let advice = crate::consolidate::advise(&view, &assumed);
        let looked_at = advice.looked_at;
        self.metrics.consolidation(&advice);
        self.advice.store(Arc::new(advice));
        looked_at
    }
}
