//! Accepting connections until told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Pause after an accept that failed for want of something, most often file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that may wait to be accepted, on one thread.
const BACKLOG: i32 = 4096;

/// A listening socket for one thread.
#[derive(Debug)]
pub(crate) enum Socket {
    /// As it was given, on the runtime it was made on.
    Given(TcpListener),
    /// To be used on the thread that accepts.
    Loose(std::net::TcpListener),
}

/// Gives every thread a socket. One whose address may be shared (`SO_REUSEPORT`) is bound again for each thread, so that
/// the kernel spreads connections; another one is shared by its descriptor.
pub(crate) fn spread(listener: TcpListener, threads: &[Handle]) -> Vec<(Socket, Handle)> {
    let [only] = threads else {
        return each(listener, threads);
    };
    if only.id() == Handle::current().id() {
        return vec![(Socket::Given(listener), only.clone())];
    }
    each(listener, threads)
}

fn each(listener: TcpListener, threads: &[Handle]) -> Vec<(Socket, Handle)> {
    let address = listener.local_addr();
    let Ok(first) = listener.into_std() else { return Vec::new() };
    let shared = SockRef::from(&first).reuse_port().unwrap_or(false);
    let mut sockets = Vec::new();
    for thread in &threads[1..] {
        let another = match &address {
            Ok(address) if shared => again(*address).or_else(|_| first.try_clone()),
            _ => first.try_clone(),
        };
        match another {
            Ok(socket) => sockets.push((Socket::Loose(socket), thread.clone())),
            Err(error) => tracing::warn!(%error, "a thread has no listener"),
        }
    }
    sockets.push((Socket::Loose(first), threads[0].clone()));
    sockets
}

fn again(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Hands every accepted connection to `serve`, with the addresses of both its ends. A failed accept is counted by `failed` and does not end the listener.
pub(crate) async fn accept(
    socket: Socket,
    stop: CancellationToken,
    mut serve: impl FnMut(TcpStream, SocketAddr, SocketAddr),
    mut failed: impl FnMut(&io::Error),
) {
    let listener = match socket {
        Socket::Given(listener) => listener,
        Socket::Loose(socket) => match TcpListener::from_std(socket) {
            Ok(listener) => listener,
            Err(error) => return failed(&error),
        },
    };
    // What is accepted inherits it.
    if let Err(error) = SockRef::from(&listener).set_tcp_nodelay(true) {
        failed(&error);
    }
    let here = listener.local_addr().ok().filter(|address| !address.ip().is_unspecified());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                // The address it came to is the listener's, unless that stands for all.
                match here.map_or_else(|| stream.local_addr(), Ok) {
                    Ok(local) => serve(stream, peer, local),
                    Err(error) => failed(&error),
                }
            }
            Err(error) => {
                failed(&error);
                if !belongs_to_one_connection(&error) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

fn belongs_to_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
