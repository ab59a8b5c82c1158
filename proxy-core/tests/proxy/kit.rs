//! A proxy with one workload, upstreams that behave as told, and clients.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wattle_contract::RouteTable;
use wattle_proxy::{Config, GatewayListener, InboundListener, Listeners, Proxy, Workload, WorkloadHandle};

use crate::table::{HOST, identity};

/// How an upstream answers.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Answer(u16),
    /// 200 after this long.
    After(Duration),
    /// Reads the head of a request and closes.
    Close,
    /// Writes these bytes, whatever was asked, and closes.
    Raw(&'static [u8]),
    /// 200 when a permit is added for it.
    Held(Arc<tokio::sync::Semaphore>),
    /// Answers with the body it was sent, as it comes.
    Echo,
}

/// What an upstream saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

/// An upstream on a port of its own.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    hits: Arc<AtomicU64>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Upstream {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = listener().await;
        let address = listener.local_addr().expect("bound");
        let upstream = Self { address, hits: Arc::default(), seen: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, behaviour) = (serving.clone(), behaviour.clone());
                tokio::spawn(async move { serving.serve(stream, behaviour).await });
            }
        });
        upstream
    }

    pub(crate) fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    async fn serve(&self, mut stream: TcpStream, behaviour: Behaviour) {
        if let Behaviour::Close | Behaviour::Raw(_) = behaviour {
            let mut head = Vec::new();
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            self.hits.fetch_add(1, Ordering::SeqCst);
            if let Behaviour::Raw(bytes) = behaviour {
                let _gone = stream.write_all(bytes).await;
            }
            return;
        }
        let serving = self.clone();
        let service = service_fn(move |request| {
            let (serving, behaviour) = (serving.clone(), behaviour.clone());
            async move { serving.answer(request, behaviour).await }
        });
        let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let _ended = builder.serve_connection(TokioIo::new(stream), service).await;
    }

    async fn answer(&self, request: Request<Incoming>, behaviour: Behaviour) -> Result<Response<Answer>, Infallible> {
        self.hits.fetch_add(1, Ordering::SeqCst);
        let (head, body) = request.into_parts();
        if let Behaviour::Echo = behaviour {
            return Ok(Response::new(body.boxed_unsync()));
        }
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let (method, uri) = (head.method.to_string(), head.uri.to_string());
        self.seen.lock().push(Seen { method, uri, headers: head.headers, body });
        let mut response = Response::new(Full::from("hello").map_err(|never| match never {}).boxed_unsync());
        match behaviour {
            Behaviour::After(time) => tokio::time::sleep(time).await,
            Behaviour::Held(gate) => gate.acquire().await.expect("never closed").forget(),
            Behaviour::Answer(status) => *response.status_mut() = StatusCode::from_u16(status).expect("a status"),
            _ => {}
        }
        Ok(response)
    }
}

type Answer = http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>;

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback")
}

/// An address where nobody listens.
pub(crate) async fn closed() -> SocketAddr {
    listener().await.local_addr().expect("bound")
}

/// A proxy that carries one workload.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) proxy: Proxy,
    pub(crate) handle: WorkloadHandle,
    pub(crate) table: watch::Sender<Arc<RouteTable>>,
    pub(crate) outbound: SocketAddr,
    pub(crate) inbound: SocketAddr,
    pub(crate) gateway: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) stop: CancellationToken,
}

impl Bench {
    pub(crate) async fn start(table: RouteTable) -> Self {
        Self::with(table, Config { seed: Some(11), ..Config::default() }, None).await
    }

    pub(crate) async fn with(table: RouteTable, config: Config, application: Option<SocketAddr>) -> Self {
        let stop = CancellationToken::new();
        let (own, metrics) = (listener().await, listener().await);
        let admin = own.local_addr().expect("bound");
        let listeners = Listeners { admin: own, metrics, health: None };
        let proxy = Proxy::start(config, listeners, &Registry::new(), stop.clone()).await.expect("a proxy");
        let (out, inn, gate) = (listener().await, listener().await, listener().await);
        let addresses = [&out, &inn, &gate].map(|listener| listener.local_addr().expect("bound"));
        let (sender, receiver) = watch::channel(Arc::new(table));
        let application = application.unwrap_or(addresses[0]);
        let handle = proxy.add(Workload {
            identity: identity("frontend"),
            table: receiver,
            outbound: Some(out),
            inbound: vec![InboundListener { port: 8080, listener: inn, application }],
            gateway: vec![GatewayListener { port: 80, listener: gate }],
        });
        let [outbound, inbound, gateway] = addresses;
        Self { proxy, handle, table: sender, outbound, inbound, gateway, admin, stop }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        get(self.outbound, path).await
    }

    /// Waits until this many requests have ended, and gives the metrics.
    pub(crate) async fn metrics_after(&self, requests: u64) -> String {
        while self.proxy.summary().requests < requests {
            tokio::task::yield_now().await;
        }
        ask(self.admin, Request::get("/stats/prometheus").header("host", "admin")).await.text()
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Got {
    ask(address, Request::get(path).header("host", HOST)).await
}

pub(crate) async fn ask(address: SocketAddr, request: http::request::Builder) -> Got {
    send(address, request.body(Full::default()).expect("a request")).await
}

pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Got {
    let stream = TcpStream::connect(address).await.expect("the proxy listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("an answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Got { status: head.status.as_u16(), headers: head.headers, body }
}

/// Writes bytes and reads until the connection is closed, or nothing more comes for a while.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
    let _gone = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    loop {
        // The answer comes in one piece, but on a loaded machine not at once.
        let patience = Duration::from_millis(if answer.is_empty() { 10_000 } else { 300 });
        let read = tokio::time::timeout(patience, stream.read_buf(&mut answer)).await;
        if !matches!(read, Ok(Ok(count)) if count > 0) {
            return String::from_utf8_lossy(&answer).into_owned();
        }
    }
}

/// Gives the value of the one series whose name and labels hold all of `parts`.
pub(crate) fn series(metrics: &str, name: &str, parts: &[&str]) -> Option<f64> {
    let start = format!("{name}{{");
    let mut found =
        metrics.lines().filter(|line| line.starts_with(&start) && parts.iter().all(|part| line.contains(part)));
    let line = found.next()?;
    assert!(found.next().is_none(), "several series of {name} hold {parts:?}");
    line.rsplit(' ').next()?.parse().ok()
}

/// Where the shared corpora are, if they are; says so once when not.
#[expect(clippy::print_stdout, reason = "the one line that says what was not replayed")]
pub(crate) fn corpus(file: &str) -> Option<String> {
    static SAID: OnceLock<()> = OnceLock::new();
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let folder = std::env::var("WATTLE_CORPUS").unwrap_or_else(|_| default.to_owned());
    let text = std::fs::read_to_string(format!("{folder}/{file}")).ok();
    if text.is_none() {
        SAID.get_or_init(|| println!("no corpus at {folder}: {file} is not replayed (set WATTLE_CORPUS)"));
    }
    text
}

/// Sends one request and reads to the end of the connection, however long that takes.
pub(crate) async fn raw_once(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the proxy listens");
    stream.write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let _cut = stream.read_to_string(&mut answer).await;
    answer
}
