//! Following what another process publishes: the snapshots of a collector, the weights of a scheduler.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wattle_contract::ClusterSnapshot;

use crate::config::Trust;
use crate::error::Error;
use crate::steer::Steering;
use crate::tls;

const EVERY: Duration = Duration::from_secs(1);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A snapshot of 5,000 nodes and 50,000 pods is about 10 MB.
const MOST_BYTES: usize = 256 << 20;

/// Why nothing came.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error("it cannot be reached: {0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("it did not answer within 10 s")]
    TooSlow,
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("the answer was cut off: {0}")]
    CutOff(Box<dyn std::error::Error + Send + Sync>),
    #[error("the answer cannot be read: {0}")]
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
    let source = Source { url: address(&collector, "/api/v1/snapshot"), every, what: "snapshot", gone: None };
    let wrap = |snapshot: ClusterSnapshot| Some(Arc::new(snapshot));
    let client = Client::builder(TokioExecutor::new()).build_http();
    follow(&client, source, sender, wrap, shutdown).await;
}

/// A scheduler elsewhere that says where requests go.
#[derive(Clone, Debug)]
pub struct Steerer {
    url: String,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Steerer {
    /// Takes its address; with `trust` over https alone, without over http alone.
    ///
    /// # Errors
    /// A file cannot be used, or address and trust do not belong together.
    pub fn new(scheduler: &Uri, trust: Option<&Trust>) -> Result<Self, Error> {
        let refuse = |range| Error::Setting { key: "steering", value: scheduler.to_string(), range };
        match (scheduler.scheme_str(), trust) {
            (Some("http"), None) | (Some("https"), Some(_)) => {}
            (Some("https"), None) => return Err(refuse("an authority beside an address with https://")),
            _ => return Err(refuse("http:// without an authority, or https:// with one")),
        }
        // Over http nobody is trusted, and nobody needs to be.
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls::client(trust)?);
        let connector = match trust {
            Some(_) => tls.https_only().enable_http1().build(),
            None => tls.https_or_http().enable_http1().build(),
        };
        Ok(Self {
            url: address(scheduler, "/steering"),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }
}

/// Polls `GET /steering` of a scheduler and sends what is new, until `shutdown` or until nobody listens.
///
/// It asks each `every`; while the scheduler is gone attempts slow down to one each 30 times that, and after `gone_after`
/// there are no weights any more: nobody is steered by what nobody measures.
pub async fn follow_steering(
    every: Duration,
    gone_after: Duration,
    scheduler: Steerer,
    sender: watch::Sender<Arc<Steering>>,
    shutdown: CancellationToken,
) {
    let gone = Some((gone_after, Arc::default as fn() -> Arc<Steering>));
    let source = Source { url: scheduler.url, every, what: "weights", gone };
    follow(&scheduler.client, source, sender, Arc::<Steering>::new, shutdown).await;
}

fn address(base: &Uri, path: &str) -> String {
    format!("{}{path}", base.to_string().trim_end_matches('/'))
}

/// What is followed.
struct Source<V> {
    url: String,
    every: Duration,
    /// What comes from there, for the log.
    what: &'static str,
    /// What holds instead once the source has been gone for so long.
    gone: Option<(Duration, fn() -> V)>,
}

async fn follow<T: DeserializeOwned, V>(
    client: &Client<impl Connect + Clone + Send + Sync + 'static, Empty<Bytes>>,
    source: Source<V>,
    sender: watch::Sender<V>,
    wrap: impl Fn(T) -> V,
    shutdown: CancellationToken,
) {
    let (url, what) = (source.url.as_str(), source.what);
    let mut etag: Option<String> = None;
    let (mut failures, mut heard) = (0_u32, Instant::now());
    loop {
        let fetched = tokio::select! {
            () = shutdown.cancelled() => return,
            fetched = tokio::time::timeout(ANSWER_WITHIN, fetch(client, url, etag.as_deref())) => fetched,
        };
        match fetched.unwrap_or(Err(Missed::TooSlow)) {
            Ok(new) => {
                if failures > 0 {
                    tracing::info!(target.url = url, what, "the source answers again");
                }
                (failures, heard) = (0, Instant::now());
                if let Some((new, tag)) = new {
                    etag = tag;
                    if sender.send(wrap(new)).is_err() {
                        return;
                    }
                }
            }
            Err(missed) => {
                if failures == 0 {
                    tracing::warn!(target.url = url, what, error = %missed, "nothing new came: the last that was good stays");
                }
                failures = failures.saturating_add(1);
                if let Some((_, none)) =
                    source.gone.filter(|(after, _)| heard.elapsed() > *after && etag.take().is_some())
                {
                    tracing::warn!(
                        target.url = url,
                        what,
                        "the source has been gone for too long: what it said no longer holds"
                    );
                    if sender.send(none()).is_err() {
                        return;
                    }
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sender.closed() => return,
            () = tokio::time::sleep(pause(source.every, failures)) => {}
        }
    }
}

fn pause(every: Duration, failures: u32) -> Duration {
    every.saturating_mul((1 << failures.min(5)).min(30))
}

/// What is new, with its tag.
type Fetched<T> = Option<(T, Option<String>)>;

async fn fetch<T: DeserializeOwned>(
    client: &Client<impl Connect + Clone + Send + Sync + 'static, Empty<Bytes>>,
    url: &str,
    etag: Option<&str>,
) -> Result<Fetched<T>, Missed> {
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
