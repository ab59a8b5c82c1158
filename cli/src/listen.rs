//! Binds every listener before any role starts, so that a port in use is told before anything is touched.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// Binds listeners, remembers what each is for, and hands out ports when all are moved.
#[derive(Debug)]
pub(crate) struct Ports {
    next: Option<u16>,
    bound: Vec<(String, SocketAddr)>,
}

impl Ports {
    /// Binds where the settings say, or on consecutive ports from `base` on.
    pub(crate) const fn new(base: Option<u16>) -> Self {
        Self { next: base, bound: Vec::new() }
    }

    /// Binds one listener. `key` is the setting that would move it.
    ///
    /// # Errors
    /// The address cannot be bound; the message names it, what it is for and how to move it.
    pub(crate) async fn bind(&mut self, name: &str, key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
        let address = self.place(address)?;
        self.keep(TcpListener::bind(address).await, name, key, address)
    }

    /// Binds one listener whose address may be bound once more by each thread of this process (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// The address cannot be bound, or somebody else listens there.
    pub(crate) async fn bind_shared(
        &mut self,
        name: &str,
        key: &str,
        address: SocketAddr,
    ) -> anyhow::Result<TcpListener> {
        let address = self.place(address)?;
        // Another process of ours would share it too, unnoticed: who binds it alone first finds out.
        let alone = TcpListener::bind(address).await;
        let shared = alone.and_then(|alone| {
            let address = alone.local_addr()?;
            drop(alone);
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        self.keep(shared, name, key, address)
    }

    fn place(&mut self, address: SocketAddr) -> anyhow::Result<SocketAddr> {
        let address = match self.next.as_mut() {
            Some(next) => {
                let port = *next;
                *next = next.checked_add(1).context("--port-base leaves too few ports; choose a lower one")?;
                SocketAddr::new(address.ip(), port)
            }
            None => address,
        };
        Ok(address)
    }

    fn keep(
        &mut self,
        bound: std::io::Result<TcpListener>,
        name: &str,
        key: &str,
        address: SocketAddr,
    ) -> anyhow::Result<TcpListener> {
        let listener = bound.with_context(|| {
            format!(
                "cannot listen on {address} for {name}: choose another address with --set {key}=ADDR or --port-base"
            )
        })?;
        let actual = listener.local_addr().with_context(|| format!("cannot read the address bound for {name}"))?;
        self.bound.push((name.to_owned(), actual));
        Ok(listener)
    }

    /// Notes a listener that a room has bound itself.
    pub(crate) fn note(&mut self, name: impl Into<String>, address: SocketAddr) {
        self.bound.push((name.into(), address));
    }

    /// Gives the port that comes next, when ports are consecutive.
    pub(crate) const fn next_port(&self) -> Option<u16> {
        self.next
    }

    /// Gives what was bound: name and address.
    pub(crate) fn bound(&self) -> &[(String, SocketAddr)] {
        &self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_told_with_its_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = taken.local_addr().expect("an address");

        let error = Ports::new(None).bind("the extender", "scheduler.listen", address).await.expect_err("in use");

        let text = format!("{error:#}");
        assert!(text.contains(&address.to_string()) && text.contains("scheduler.listen"), "{text}");
    }
}
