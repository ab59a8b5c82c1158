//! A small client for the verbs that ask a running role.

use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Bound on one exchange.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MAX_BYTES: usize = 16 << 20;

/// Gets a page: status and body.
///
/// # Errors
/// Nobody answers, or not within ten seconds, or with more than 16 MiB.
pub(crate) async fn get(address: &str) -> anyhow::Result<(::http::StatusCode, Bytes)> {
    let uri: ::http::Uri = address.parse().with_context(|| format!("'{address}' is not an address"))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let exchange = async {
        let response = client.get(uri).await.with_context(|| format!("nobody answers at {address}; is it running?"))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
        let body = body.map_err(|e| anyhow::anyhow!("cannot read the answer of {address}: {e}"))?;
        Ok((status, body.to_bytes()))
    };
    tokio::time::timeout(TIMEOUT, exchange).await.with_context(|| format!("{address} did not answer within 10 s"))?
}
