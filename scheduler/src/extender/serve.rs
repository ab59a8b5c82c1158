//! The accept loop: connections, TLS, keep-alive and a drain that ends.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::patient::{PATIENCE, Patient};

/// kube-scheduler keeps a handful; beyond this many somebody else is calling.
const MOST_CONNECTIONS: usize = 1_024;
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Pause after an accept that failed, as when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`; connections finish the request they are at.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Router,
    connections: TaskTracker,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) if connections.len() >= MOST_CONNECTIONS => {
                tracing::warn!(most = MOST_CONNECTIONS, "refused a connection to the extender: too many are open");
                drop(stream);
            }
            Ok((stream, _)) => {
                let (tls, routes, shutdown) = (tls.clone(), routes.clone(), shutdown.clone());
                connections.spawn(welcome(stream, tls, routes, shutdown));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection to the extender");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(stream: TcpStream, tls: Option<TlsAcceptor>, routes: Router, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn Nagle's algorithm off");
    }
    let Some(tls) = tls else { return connection(stream, routes, shutdown).await };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, routes, shutdown).await,
        Ok(Err(error)) => tracing::warn!(%error, "a TLS handshake with the extender failed"),
        Err(_) => tracing::warn!("a TLS handshake with the extender took longer than 5 s"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    routes: Router,
    shutdown: CancellationToken,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE.idle);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(64);
    let stream = TokioIo::new(Patient::new(stream, PATIENCE));
    let served = builder.serve_connection(stream, TowerToHyperService::new(routes));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection to the extender ended early");
    }
}
