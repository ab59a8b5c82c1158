//! Making a connection to an endpoint.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use wattle_contract::EndpointAddress;
use wattle_contract::route;

use crate::io::Io;
use crate::tls::Originator;

/// Connects within the cluster's bound. A name is resolved for each connection, and its addresses are tried in turn.
///
/// The bound counts the handshake of TLS too, where the cluster has it.
pub(crate) async fn connect(
    address: &EndpointAddress,
    spec: &route::Cluster,
    tls: Option<&Originator>,
    http2: bool,
) -> io::Result<Io> {
    // No bound in the table means Istio's default.
    let bound = if spec.connect_timeout.is_zero() { Duration::from_secs(10) } else { spec.connect_timeout };
    let connecting = async {
        match address {
            EndpointAddress::Socket(address) => TcpStream::connect(address).await,
            EndpointAddress::Dns(host, port) => resolve(host, *port).await,
            EndpointAddress::Unix(path) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, format!("{} is a Unix socket", path.display())))
            }
        }
    };
    let secured = async {
        let stream = connecting.await?;
        stream.set_nodelay(true)?;
        if let Some(keepalive) = &spec.keepalive {
            SockRef::from(&stream).set_tcp_keepalive(&probes(keepalive))?;
        }
        match tls {
            Some(tls) => tls.connect(stream, http2).await,
            None => Ok(Io::Tcp(stream)),
        }
    };
    timeout(bound, secured).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn resolve(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"));
    for address in lookup_host((host, port)).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn probes(spec: &route::TcpKeepalive) -> TcpKeepalive {
    let mut probes = TcpKeepalive::new();
    if let Some(time) = spec.time {
        probes = probes.with_time(time);
    }
    if let Some(interval) = spec.interval {
        probes = probes.with_interval(interval);
    }
    if let Some(count) = spec.probes {
        probes = probes.with_retries(count);
    }
    probes
}
