//! A small HTTP/1.1 client bound to one address: a pod's outbound proxy, or the extender.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The longest answer that is read.
const MAX_BODY_BYTES: usize = 4 << 20;

/// Sends requests to one address, whatever host they are for.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: SocketAddr,
    deadline: Duration,
    pool: Pool<HttpConnector, Full<Bytes>>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The request could not be put into words.
    #[error("not a valid request for {path}")]
    Request { path: String, source: http::Error },
    /// Nobody there, or gone in the middle of it.
    #[error("no answer from {address}: {reason}")]
    NoAnswer { address: SocketAddr, reason: String },
    /// Too slow.
    #[error("no answer from {address} within {deadline:?}")]
    TooSlow { address: SocketAddr, deadline: Duration },
}

impl Client {
    /// Makes a client; each of its calls ends within the deadline.
    pub(crate) fn new(address: SocketAddr, deadline: Duration) -> Self {
        Self { address, deadline, pool: Pool::builder(TokioExecutor::new()).build_http() }
    }

    /// Asks `host` (an authority) for a path, through the address of this client.
    pub(crate) async fn call(
        &self,
        method: Method,
        host: &str,
        path: &str,
        headers: HeaderMap,
    ) -> Result<Answer, CallError> {
        let request = self.request(method, host, path, headers, Bytes::new());
        self.send(request.map_err(|source| CallError::Request { path: path.to_owned(), source })?).await
    }

    /// Posts JSON to the address itself.
    pub(crate) async fn post_json(&self, path: &str, body: Vec<u8>) -> Result<Answer, CallError> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let request = self.request(Method::POST, &self.address.to_string(), path, headers, body.into());
        self.send(request.map_err(|source| CallError::Request { path: path.to_owned(), source })?).await
    }

    fn request(
        &self,
        method: Method,
        host: &str,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, http::Error> {
        let uri = Uri::builder().scheme("http").authority(self.address.to_string()).path_and_query(path).build()?;
        let mut request = Request::builder().method(method).uri(uri).body(Full::new(body))?;
        *request.headers_mut() = headers;
        request.headers_mut().insert(HOST, HeaderValue::from_str(host)?);
        Ok(request)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
        let (address, deadline) = (self.address, self.deadline);
        let exchange = async {
            let response = self.pool.request(request).await.map_err(|error| chain(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(Answer { status: head.status, body: body.to_bytes() })
        };
        match tokio::time::timeout(deadline, exchange).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(CallError::NoAnswer { address, reason }),
            Err(_) => Err(CallError::TooSlow { address, deadline }),
        }
    }
}

/// Tells an error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
