//! Following the snapshots of a collector in another process.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_contract::ClusterSnapshot;

const EVERY: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A snapshot of 5,000 nodes and 50,000 pods is about 10 MB.
const MOST_BYTES: usize = 256 << 20;

/// Why a snapshot did not come.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error("the collector cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the collector did not answer within 10 s")]
    TooSlow,
    #[error("the collector answered {0}")]
    Refused(StatusCode),
    #[error("the answer was cut off: {0}")]
    CutOff(Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer is no snapshot: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Polls `GET /api/v1/snapshot` of a collector and sends what is new, until `shutdown` or until nobody listens.
///
/// It asks once a second. While the collector is gone the last good snapshot stays; attempts then slow down to one in 30 s.
pub async fn follow_snapshots(
    collector: Uri,
    sender: watch::Sender<Option<Arc<ClusterSnapshot>>>,
    shutdown: CancellationToken,
) {
    follow_snapshots_every(EVERY, collector, sender, shutdown).await;
}

/// Does the same at another pace: one question each `every`, while the collector is gone one each 30 times that.
pub async fn follow_snapshots_every(
    every: Duration,
    collector: Uri,
    sender: watch::Sender<Option<Arc<ClusterSnapshot>>>,
    shutdown: CancellationToken,
) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let url = format!("{}/api/v1/snapshot", collector.to_string().trim_end_matches('/'));
    let mut etag: Option<String> = None;
    let mut failures = 0_u32;
    loop {
        let fetched = tokio::select! {
            () = shutdown.cancelled() => return,
            fetched = tokio::time::timeout(ANSWER_WITHIN, fetch(&client, &url, etag.as_deref())) => fetched,
        };
        match fetched.unwrap_or(Err(Missed::TooSlow)) {
            Ok(new) => {
                if failures > 0 {
                    tracing::info!(target.url = url, "the collector answers again");
                }
                failures = 0;
                if let Some((snapshot, tag)) = new {
                    etag = tag;
                    if sender.send(Some(Arc::new(snapshot))).is_err() {
                        return;
                    }
                }
            }
            Err(missed) => {
                if failures == 0 {
                    tracing::warn!(target.url = url, error = %missed, "no new snapshot: the last good one stays");
                }
                failures = failures.saturating_add(1);
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            () = tokio::time::sleep(pause(every, failures)) => {}
        }
    }
}

fn pause(every: Duration, failures: u32) -> Duration {
    every.saturating_mul((1 << failures.min(5)).min(30))
}

type Fetched = Option<(ClusterSnapshot, Option<String>)>;

async fn fetch(client: &Client<HttpConnector, Empty<Bytes>>, url: &str, etag: Option<&str>) -> Result<Fetched, Missed> {
    let mut request = Request::get(url).header(header::ACCEPT, "application/json");
    if let Some(etag) = etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    let request = request.body(Empty::new()).map_err(|why| Missed::CutOff(why.into()))?;
    let response = client.request(request).await?;
    match response.status() {
        StatusCode::NOT_MODIFIED => return Ok(None),
        // 503: the collector is there and has no complete window yet.
        StatusCode::SERVICE_UNAVAILABLE => return Ok(None),
        StatusCode::OK => {}
        status => return Err(Missed::Refused(status)),
    }
    let tag = response.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(Missed::CutOff)?.to_bytes();
    Ok(Some((serde_json::from_slice(&body)?, tag)))
}
