//! What every call shares: its time, its account, its answer.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::Shared;
use super::body::Unread;
use crate::metrics::{Metrics, Verb};
use crate::wire;

/// One call under way. Dropped before it is answered, it counts the caller as gone.
pub(super) struct Call<'a> {
    metrics: &'a Metrics,
    verb: Verb,
    began: Instant,
    until: Instant,
    is_answered: bool,
}

impl<'a> Call<'a> {
    pub(super) fn begin(shared: &'a Shared, verb: Verb) -> Self {
        let began = Instant::now();
        Self { metrics: &shared.metrics, verb, began, until: began + shared.config.deadline, is_answered: false }
    }

    pub(super) const fn until(&self) -> Instant {
        self.until
    }

    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    pub(super) fn missed_deadline(&self) {
        self.metrics.deadline_misses.with_label_values(&[self.verb.label()]).inc();
    }

    /// Sends a JSON value and ends the call.
    pub(super) fn answer(mut self, code: StatusCode, json: Vec<u8>) -> Response {
        self.is_answered = true;
        self.metrics.answered(self.verb, code, self.began.elapsed());
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = code;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    pub(super) fn unread(self, why: Unread) -> Response {
        self.metrics.rejected(why.label());
        let (code, text) = match why {
            Unread::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than the limit of this server"),
            Unread::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
            Unread::CutOff => (StatusCode::BAD_REQUEST, "the body was cut off"),
        };
        let mut response = self.answer(code, wire::bind_answer(text));
        if why != Unread::CutOff {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    pub(super) fn malformed(self, error: &wire::Error) -> Response {
        self.metrics.rejected(error.label());
        tracing::warn!(verb = self.verb.label(), %error, "refused a call that cannot be read");
        self.answer(StatusCode::BAD_REQUEST, wire::bind_answer(&error.to_string()))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.metrics.clients_gone.with_label_values(&[self.verb.label()]).inc();
        }
    }
}
