//! A small client for the verbs that ask a running role.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Bytes;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::verbs::rows::redact;

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

impl Exchange {
    /// Takes the address of a server apart: it without user, password and trailing slashes, and the exchange that says
    /// who asks. A token, read from a file, goes before the address's user.
    ///
    /// # Errors
    /// It is none of http or https, or the token cannot be read.
    pub(crate) fn with(self, url: &str, token: Option<&Path>) -> anyhow::Result<(String, Self)> {
        let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))
        else {
            anyhow::bail!("'{}' is not the address of a Prometheus server, such as http://127.0.0.1:9090", redact(url));
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (user, host) =
            rest[..end].rsplit_once('@').map_or((None, rest), |(user, _)| (Some(user), &rest[user.len() + 1..]));
        let authorization = match (token, user) {
            (Some(path), _) => {
                let token = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the token {}", path.display()))?;
                Some(format!("Bearer {}", token.trim()))
            }
            (None, Some(user)) => Some(format!("Basic {}", STANDARD.encode(user))),
            (None, None) => None,
        };
        Ok((format!("{scheme}://{}", host.trim_end_matches('/')), Self { authorization, ..self }))
    }
}

/// Gets a page over http or https, trusting what the system trusts: status and body.
///
/// # Errors
/// Nobody answers, not in time, or with more than is read.
pub(crate) async fn fetch(address: &str, exchange: &Exchange) -> anyhow::Result<(::http::StatusCode, Bytes)> {
    ask(::http::Request::get(address).body(Full::default()).context("cannot be asked for")?, exchange).await
}

/// Sends a request over http or https, as [`fetch`] does.
///
/// # Errors
/// Nobody answers, not in time, or with more than is read.
pub(crate) async fn ask(
    mut request: ::http::Request<Full<Bytes>>,
    exchange: &Exchange,
) -> anyhow::Result<(::http::StatusCode, Bytes)> {
    if let Some(authorization) = &exchange.authorization {
        let value = ::http::HeaderValue::try_from(authorization).context("the credentials are no header's value")?;
        request.headers_mut().insert(::http::header::AUTHORIZATION, value);
    }
    let answered = async {
        // A machine without trusted certificates can still speak http.
        let pending = if request.uri().scheme_str() == Some("https") {
            let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_only().enable_http1().build();
            Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(connector).request(request)
        } else {
            Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>().request(request)
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
