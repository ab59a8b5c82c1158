//! Reading carbon intensities from a file or over HTTP, again and again; the last good ones stay.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio_util::sync::CancellationToken;

use super::{Carbon, Unusable};
use crate::config::CarbonSource;
use crate::extender::Shared;

const WITHIN: Duration = Duration::from_secs(10);
/// A year of hours for a hundred zones is about 6 MB.
const MOST_BYTES: usize = 32 << 20;

/// Why there are no new intensities.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error("cannot read {path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{0} is no address: {1}")]
    Address(String, http::uri::InvalidUri),
    #[error("{0} cannot be reached: {1}")]
    Unreachable(String, hyper_util::client::legacy::Error),
    #[error("{0} answered {1}")]
    Refused(String, http::StatusCode),
    #[error("the answer of {0} was cut off: {1}")]
    CutOff(String, Box<dyn std::error::Error + Send + Sync>),
    #[error("{0} did not answer within 10 s")]
    TooSlow(String),
    #[error("{0}: {1}")]
    Unusable(String, Unusable),
}

/// Keeps the intensities up to date until `shutdown`.
pub(crate) async fn keep_carbon(shared: Arc<Shared>, source: CarbonSource, shutdown: CancellationToken) {
    let mut is_up = true;
    loop {
        let read = tokio::select! {
            () = shutdown.cancelled() => return,
            read = tokio::time::timeout(WITHIN, read(&source)) => read,
        };
        match read.unwrap_or_else(|_| Err(Missed::TooSlow(source.from.clone()))) {
            Ok(carbon) => {
                shared.carbon.store(Some(Arc::new(carbon)));
                shared.metrics.carbon_up.set(1);
                is_up = true;
            }
            Err(error) => {
                if is_up {
                    tracing::warn!(%error, "no new carbon intensities: the last good ones stay");
                }
                shared.metrics.carbon_up.set(0);
                is_up = false;
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(source.every) => {}
        }
    }
}

async fn read(source: &CarbonSource) -> Result<Carbon, Missed> {
    let from = &source.from;
    let text = match from.starts_with("http://") {
        true => fetch(from).await?,
        false => {
            let file = |source| Missed::File { path: from.clone(), source };
            tokio::fs::read(from).await.map(Bytes::from).map_err(file)?
        }
    };
    Carbon::parse(&text, &source.label).map_err(|why| Missed::Unusable(from.clone(), why))
}

async fn fetch(from: &str) -> Result<Bytes, Missed> {
    let address = from.parse().map_err(|why| Missed::Address(from.to_owned(), why))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(address).await.map_err(|why| Missed::Unreachable(from.to_owned(), why))?;
    if response.status() != http::StatusCode::OK {
        return Err(Missed::Refused(from.to_owned(), response.status()));
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
    Ok(body.map_err(|why| Missed::CutOff(from.to_owned(), why))?.to_bytes())
}
