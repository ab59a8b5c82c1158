//! A small client for the verbs that ask a running role.

use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// Bound on one exchange.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MAX_BYTES: usize = 16 << 20;

/// What else an exchange needs than an address.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Value of the header `Authorization`.
    pub authorization: Option<String>,
    /// Bound on it.
    pub timeout: Duration,
    /// Largest answer that is read.
    pub max_bytes: usize,
}

/// Gets a page over http or https, trusting what the system trusts: status and body.
///
/// # Errors
/// Nobody answers, not in time, or with more than is read.
pub(crate) async fn fetch(address: &str, exchange: &Exchange) -> anyhow::Result<(::http::StatusCode, Bytes)> {
    let mut request = ::http::Request::get(address);
    if let Some(authorization) = &exchange.authorization {
        request = request.header(::http::header::AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::new()).context("cannot be asked for")?;
    let answered = async {
        // A machine without trusted certificates can still speak http.
        let pending = if address.starts_with("https:") {
            let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().build();
            Client::builder(TokioExecutor::new()).build::<_, Empty<Bytes>>(connector).request(request)
        } else {
            Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>().request(request)
        };
        let response = pending.await.context("nobody answers")?;
        let status = response.status();
        let body = Limited::new(response.into_body(), exchange.max_bytes).collect().await;
        Ok((status, body.map_err(|e| anyhow::anyhow!("cannot read the answer: {e}"))?.to_bytes()))
    };
    let within = exchange.timeout;
    tokio::time::timeout(within, answered).await.with_context(|| format!("no answer within {} s", within.as_secs()))?
}

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
