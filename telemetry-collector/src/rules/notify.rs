//! Alertmanager: alerts as it takes them (`POST /api/v2/alerts`).

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use wattle_contract::Timestamp;

use super::alert::{Alert, State};
use super::report::rfc3339;

/// How long Alertmanager may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long until a firing alert is told again (as in Prometheus).
pub(super) const AGAIN: Duration = Duration::from_secs(60);

/// Tells alerts to one Alertmanager.
#[derive(Clone)]
pub(super) struct Notifier {
    client: Client<HttpConnector, Full<Bytes>>,
    uri: Uri,
}

impl Notifier {
    /// Gives a notifier; `None`, said in the log, where the address is none.
    pub(super) fn new(base: &str) -> Option<Self> {
        let uri = format!("{}/api/v2/alerts", base.trim_end_matches('/')).parse::<Uri>().ok();
        let Some(uri) = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.authority().is_some()) else {
            tracing::error!(alertmanager = base, "alertmanager is no http:// address: alerts are told to nobody");
            return None;
        };
        Some(Self { client: Client::builder(TokioExecutor::new()).build_http(), uri })
    }

    /// Tells alerts; tells whether they were taken.
    pub(super) async fn send(&self, alerts: &[Alert], now: Timestamp, interval: Duration) -> bool {
        let list: Vec<serde_json::Value> = alerts.iter().map(|alert| body_of(alert, now, interval)).collect();
        let request = Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(serde_json::Value::from(list).to_string())));
        let Ok(request) = request else { return false };
        let outcome = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        match outcome {
            Ok(Ok(answer)) if answer.status().is_success() => true,
            Ok(Ok(answer)) => {
                tracing::warn!(status = answer.status().as_u16(), "alertmanager did not take the alerts");
                false
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "alertmanager was not reached");
                false
            }
            Err(_) => {
                tracing::warn!("alertmanager did not answer in time");
                false
            }
        }
    }
}

fn body_of(alert: &Alert, now: Timestamp, interval: Duration) -> serde_json::Value {
    let labels: std::collections::BTreeMap<&str, &str> = alert.labels.iter().collect();
    // An alert that is told no more ends by itself.
    let ends = match alert.state {
        State::Resolved => alert.resolved.unwrap_or(now),
        _ => now.plus(4 * AGAIN.max(interval)),
    };
    serde_json::json!({
        "labels": labels,
        "annotations": alert.annotations,
        "startsAt": rfc3339(alert.fired.unwrap_or(alert.active)),
        "endsAt": rfc3339(ends),
        "generatorURL": "",
    })
}
