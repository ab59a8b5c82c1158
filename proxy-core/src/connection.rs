//! One connection from a client: HTTP/1.1, HTTP/2 when it begins with the preface, or bytes that are carried as they are.

mod http1;
mod http2;
mod prefixed;

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::forward::{Client, Downstream, Side, both_ways};
use crate::head::{Fields, Response};
use crate::http1::Wire;
use crate::io::Io;
use crate::policy::{Subject, Verdict};
use crate::stream::{Http1, Stream};
use crate::timer::Timer;

/// What an HTTP/2 connection begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How long a client may take to be told that a TLS connection ends.
const PARTING: Duration = Duration::from_secs(1);

/// Bound on connecting to an application whose bytes are carried as they are (Istio's default).
const CONNECT: Duration = Duration::from_secs(10);

/// Serves a connection to its end. After `drain` it takes no further requests, and is dropped by who owns the task.
pub(crate) async fn run(stream: TcpStream, mut client: Client, drain: CancellationToken) {
    let Some(io) = secured(stream, &mut client, &drain).await else { return };
    let mut down = Downstream {
        stream: Stream::Http1(Box::new(Http1::new(io))),
        timer: Timer::default(),
        response: Response::default(),
        close: false,
    };
    if let Some(application) = opaque(&client) {
        return carry(&client, down.stream, application, &drain).await;
    }
    down.timer.set(Instant::now().checked_add(client.carrier.bounds.header_timeout));
    match begins(&mut down, &drain).await {
        Some(false) => {
            http1::serve(&client, &mut down, &drain).await;
            part(down.stream).await;
        }
        Some(true) => {
            if let Stream::Http1(stream) = down.stream {
                Box::pin(http2::serve(client, stream.wire, drain)).await;
            }
        }
        None => {}
    }
}

/// Ends TLS where the gateway's port has it; `None` when the client did not get that far.
async fn secured(stream: TcpStream, client: &mut Client, drain: &CancellationToken) -> Option<Io> {
    let Side::Gateway { port } = client.side else { return Some(Io::Tcp(stream)) };
    let Some(terminator) = client.carrier.table().and_then(|table| table.terminators.get(&port).cloned()) else {
        return Some(Io::Tcp(stream));
    };
    client.scheme = "https";
    let shaking = timeout(client.carrier.bounds.header_timeout, terminator.accept(stream));
    let shaken = tokio::select! {
        shaken = shaking => shaken.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())),
        () = drain.cancelled() => return None,
    };
    match shaken {
        Ok(io) => Some(io),
        Err(error) => {
            client.carrier.metrics.rejected.with_label_values(&["tls_handshake"]).inc();
            tracing::debug!(client.address = %client.peer, %error, "a client's TLS handshake failed");
            None
        }
    }
}

/// Tells the client of a TLS connection that nothing was cut off its end.
async fn part(stream: Stream) {
    let Stream::Http1(mut stream) = stream else { return };
    if stream.wire.io.clear().is_none() {
        let parting = poll_fn(|cx| std::pin::Pin::new(&mut stream.wire.io).poll_shutdown(cx));
        drop(timeout(PARTING, parting).await);
    }
}

/// Waits for the first bytes and says whether they are HTTP/2's; `None` when there will be none.
async fn begins(down: &mut Downstream, drain: &CancellationToken) -> Option<bool> {
    let Downstream { stream, timer, .. } = down;
    let Stream::Http1(stream) = stream else { return None };
    let wire = &mut stream.wire;
    let reading = poll_fn(|cx| {
        loop {
            let data = wire.input.data();
            if data.starts_with(PREFACE) {
                return std::task::Poll::Ready(Some(true));
            }
            if !data.is_empty() && !PREFACE.starts_with(data) {
                return std::task::Poll::Ready(Some(false));
            }
            match wire.poll_fill(cx) {
                std::task::Poll::Ready(Ok(1..)) => {}
                std::task::Poll::Ready(_) => return std::task::Poll::Ready(None),
                // What began like the preface and went no further is half a head.
                std::task::Poll::Pending => {
                    return timer.poll(cx).map(|()| (!wire.input.is_empty()).then_some(false));
                }
            }
        }
    });
    tokio::select! {
        begun = reading => begun,
        () = drain.cancelled() => None,
    }
}

/// Gives the application's address when its port is declared not to be HTTP.
fn opaque(client: &Client) -> Option<std::net::SocketAddr> {
    let Side::Inbound { port, application } = client.side else { return None };
    client.carrier.table()?.inbound.get(&port).filter(|inbound| inbound.opaque).map(|_| application)
}

/// Asks the policies about a connection of which nothing but its ends is known.
fn admits(client: &Client) -> bool {
    let (Some(table), Side::Inbound { port, .. }) = (client.carrier.table(), &client.side) else { return false };
    let subject = Subject {
        host: "",
        method: "",
        path: "",
        headers: &Fields::default(),
        peer: client.peer.ip(),
        local: client.local.ip(),
        port: *port,
    };
    table.policies.decide(&subject) == Verdict::Allowed
}

async fn carry(client: &Client, downstream: Stream, application: std::net::SocketAddr, drain: &CancellationToken) {
    let Stream::Http1(mut downstream) = downstream else { return };
    if !admits(client) {
        client.carrier.metrics.rejected.with_label_values(&["policy_of_tcp_port"]).inc();
        return;
    }
    let connecting = timeout(CONNECT, TcpStream::connect(application));
    match connecting.await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(upstream) => {
            let mut upstream = Wire::new(Io::Tcp(upstream));
            tokio::select! {
                _moved = both_ways(&mut downstream.wire, &mut upstream) => {}
                // Bytes have no end of a request to wait for.
                () = drain.cancelled() => {}
            }
        }
        Err(error) => tracing::debug!(%application, %error, "the application took no connection"),
    }
}
