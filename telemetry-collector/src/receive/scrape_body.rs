//! Fetching a target's exposition: one GET, bounded in time and size.

use std::io::Read;
use std::time::Duration;

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};

use super::exposition::Format;
use super::scrape::{Client, Refused};
use crate::Error;

/// What a target is asked for, best first.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// Why a scrape brought nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    #[error("no connection or a broken one: {0}")]
    Http(String),
    #[error("cannot say who is asking: {0}")]
    Authorization(String),
    #[error("the target answered {0}")]
    Status(StatusCode),
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the answer is neither UTF-8 text nor gzip of it")]
    Encoding,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Store(#[from] Error),
}

impl ScrapeError {
    /// Gives the fixed word for metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Http(_) => "connection",
            Self::Authorization(_) => "authorization",
            Self::Status(_) => "status",
            Self::Timeout(_) => "timeout",
            Self::TooLong(_) => "too_long",
            Self::Encoding => "encoding",
            Self::Refused(Refused::Parse(_)) => "parse",
            Self::Refused(Refused::Samples(_)) => "too_many_samples",
            Self::Refused(Refused::Labels(_)) => "too_many_labels",
            Self::Store(_) => "store",
        }
    }

    /// The words of [`label`](Self::label), so that every counter exists from the start.
    pub(super) const LABELS: [&'static str; 10] = [
        "connection",
        "authorization",
        "status",
        "timeout",
        "too_long",
        "encoding",
        "parse",
        "too_many_samples",
        "too_many_labels",
        "store",
    ];
}

/// Fetches an exposition.
pub(super) async fn fetch(
    client: &Client,
    uri: &Uri,
    timeout: Duration,
    limit: usize,
) -> Result<(String, Format), ScrapeError> {
    let mut request = Request::get(uri.clone())
        .header(header::ACCEPT, ACCEPT)
        .header(header::ACCEPT_ENCODING, "gzip")
        .header(header::USER_AGENT, concat!("wattle/", env!("CARGO_PKG_VERSION")))
        .header("x-prometheus-scrape-timeout-seconds", timeout.as_secs_f64().to_string())
        .body(Empty::new())
        .map_err(|error| ScrapeError::Http(error.to_string()))?;
    if let Some(value) = client.authorization().await.map_err(ScrapeError::Authorization)? {
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let exchange = async {
        let response = client.http.request(request).await.map_err(|error| ScrapeError::Http(reason(&error)))?;
        if response.status() != StatusCode::OK {
            return Err(ScrapeError::Status(response.status()));
        }
        let (head, body) = response.into_parts();
        let body = Limited::new(body, limit).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ScrapeError::TooLong(limit)
            } else {
                ScrapeError::Http(error.to_string())
            }
        })?;
        Ok((head, body.to_bytes()))
    };
    let (head, body) = tokio::time::timeout(timeout, exchange).await.map_err(|_| ScrapeError::Timeout(timeout))??;
    let text = |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    let format = Format::from_content_type(text(header::CONTENT_TYPE));
    let body = match text(header::CONTENT_ENCODING) {
        Some(encoding) if encoding.eq_ignore_ascii_case("gzip") => gunzip(&body, limit)?,
        _ => body.into(),
    };
    String::from_utf8(body).map(|body| (body, format)).map_err(|_| ScrapeError::Encoding)
}

fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, ScrapeError> {
    let mut plain = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(body).take(limit as u64 + 1);
    reader.read_to_end(&mut plain).map_err(|_| ScrapeError::Encoding)?;
    if plain.len() > limit { Err(ScrapeError::TooLong(limit)) } else { Ok(plain) }
}

/// Gives an error and what is behind it in one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
