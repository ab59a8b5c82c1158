//! One connection from a client: HTTP/1.1, or HTTP/2 when it begins with the preface.

use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::forward::{Client, Side, serve};
use crate::http1::Guard;

/// Streams one HTTP/2 connection may have open at once (Envoy's default for Istio's listeners is far higher; this bounds
/// what one client can hold).
const STREAMS: u32 = 1024;

/// Bound on connecting to an application whose bytes are carried as they are (Istio's default).
const CONNECT: Duration = Duration::from_secs(10);

/// Serves a connection to its end. After `drain` it takes no further requests, and is dropped by who owns the task.
pub(crate) async fn run(stream: TcpStream, client: Client, drain: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection went away as it came");
        return;
    }
    if let Some(application) = opaque(&client) {
        return carry(stream, application, &drain).await;
    }
    let metrics = Arc::clone(&client.carrier.metrics);
    let (builder, bounds) = (builder(&client), client.carrier.bounds);
    let client = Arc::new(client);
    let service = service_fn(move |request| serve(Arc::clone(&client), request));
    let socket = Guard::new(stream, bounds.max_head_bytes, bounds.header_timeout, Arc::clone(&metrics));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        metrics.protocol_errors.inc();
        tracing::debug!(%error, "a client's connection ended badly");
    }
}

fn builder(client: &Client) -> Builder<TokioExecutor> {
    let bounds = &client.carrier.bounds;
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_timeout)
        .max_buf_size(bounds.max_head_bytes)
        .max_headers(bounds.max_headers)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(bounds.max_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20);
    builder
}

/// Gives the application's address when its port is declared not to be HTTP.
fn opaque(client: &Client) -> Option<std::net::SocketAddr> {
    let Side::Inbound { port, application } = client.side else { return None };
    client.carrier.table()?.inbound.get(&port).filter(|inbound| inbound.opaque).map(|_| application)
}

async fn carry(mut downstream: TcpStream, application: std::net::SocketAddr, drain: &CancellationToken) {
    let connecting = timeout(CONNECT, TcpStream::connect(application));
    match connecting.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(mut upstream) => {
            tokio::select! {
                ended = copy_bidirectional(&mut downstream, &mut upstream) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a carried connection ended badly");
                    }
                }
                // Bytes have no end of a request to wait for.
                () = drain.cancelled() => {}
            }
        }
        Err(error) => tracing::debug!(%application, %error, "the application took no connection"),
    }
}
