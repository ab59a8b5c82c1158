//! One workload: its listeners, its reloads, its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use wattle_contract::{RouteTable, WorkloadIdentity};

use crate::carrier::{Carrier, Life};
use crate::connection;
use crate::forward::{Client, Side};
use crate::listener;

/// How often idle upstream connections are looked at.
const PRUNE: Duration = Duration::from_secs(10);
/// How often it is looked whether certificates were renewed.
const RENEW: Duration = Duration::from_secs(1);

/// A workload whose traffic is to be carried.
#[derive(Debug)]
pub struct Workload {
    /// Who it is.
    pub identity: WorkloadIdentity,
    /// Its configuration, now and later. A table is taken whole or refused; the last good one stays.
    pub table: watch::Receiver<Arc<RouteTable>>,
    /// Where its application sends its requests, routed by their `Host`.
    pub outbound: Option<TcpListener>,
    /// Where others send requests to its application.
    pub inbound: Vec<InboundListener>,
    /// Where a gateway is asked.
    pub gateway: Vec<GatewayListener>,
}

/// A listener in front of one port of the workload's application.
#[derive(Debug)]
pub struct InboundListener {
    /// The workload's port, by which the table describes it.
    pub port: u16,
    /// Where requests arrive.
    pub listener: TcpListener,
    /// Where the application listens.
    pub application: SocketAddr,
}

/// A listener of a gateway.
#[derive(Debug)]
pub struct GatewayListener {
    /// The port by which the table describes it.
    pub port: u16,
    /// Where requests arrive.
    pub listener: TcpListener,
}

/// The tasks of one workload.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) carrier: Arc<Carrier>,
}

impl Running {
    /// Starts to carry. The first table is taken before the first connection.
    pub(crate) fn start(
        carrier: Arc<Carrier>,
        table: watch::Receiver<Arc<RouteTable>>,
        listeners: Vec<(Side, TcpListener)>,
        threads: &[Handle],
    ) -> Self {
        let running = Self { carrier };
        let mut table = table;
        let first = Arc::clone(&table.borrow_and_update());
        take(&running.carrier, &first);
        let life = &running.carrier.life;
        life.tasks.spawn(follow(Arc::clone(&running.carrier), table, life.drain.clone()));
        for (side, listener) in listeners {
            running.listen(&side, listener, threads);
        }
        running
    }

    /// Accepts on every thread: each has a socket of its own where the address can be shared, else all take turns at one.
    fn listen(&self, side: &Side, listener: TcpListener, threads: &[Handle]) {
        for (socket, thread) in listener::spread(listener, threads) {
            self.accept(side.clone(), socket, &thread);
        }
    }

    fn accept(&self, side: Side, socket: listener::Socket, thread: &Handle) {
        let (carrier, Life { tasks, drain, cut }) = (Arc::clone(&self.carrier), self.carrier.life.clone());
        let word = match side {
            Side::Outbound => "outbound",
            Side::Inbound { .. } => "inbound",
            Side::Gateway { .. } => "gateway",
        };
        let metrics = Arc::clone(&carrier.metrics);
        let open = metrics.connections.with_label_values(&[word]);
        let accepted = metrics.accepted.with_label_values(&[word]);
        let stop = drain.clone();
        let serve = move |stream: tokio::net::TcpStream, peer: SocketAddr, local: SocketAddr| {
            let peer_text = peer.ip().to_string().into();
            let client =
                Client { carrier: Arc::clone(&carrier), side: side.clone(), peer, peer_text, local, scheme: "http" };
            let (drain, cut) = (drain.clone(), cut.clone());
            let open = open.clone();
            accepted.inc();
            tasks.spawn(async move {
                open.inc();
                tokio::select! {
                    biased;
                    () = connection::run(stream, client, drain) => {}
                    () = cut.cancelled() => {}
                }
                open.dec();
            });
        };
        let failed = move |error: &std::io::Error| {
            metrics.accept_errors.inc();
            tracing::warn!(listener = word, %error, "a connection could not be accepted");
        };
        self.carrier.life.tasks.spawn_on(listener::accept(socket, stop, serve, failed), thread);
    }

    /// Says that no further requests are taken.
    pub(crate) fn begin_drain(&self) {
        self.carrier.life.drain.cancel();
    }

    /// Waits for requests in flight, at most `bound`; then cuts what is left and says so.
    pub(crate) async fn drain(&self, bound: Duration) {
        let Life { tasks, drain, cut } = &self.carrier.life;
        drain.cancel();
        tasks.close();
        if timeout(bound, tasks.wait()).await.is_ok() {
            return;
        }
        let active = self.carrier.sink.active();
        self.carrier.sink.cut();
        cut.cancel();
        tasks.wait().await;
        if active > 0 {
            let workload = &self.carrier.sink.identity.workload;
            tracing::warn!(%workload, requests = active, "requests were cut: the drain was over before they were");
        }
    }
}

/// Takes each new table, and looks after idle connections.
async fn follow(carrier: Arc<Carrier>, mut table: watch::Receiver<Arc<RouteTable>>, stop: CancellationToken) {
    let (mut prune, mut renew) = (interval(PRUNE), interval(RENEW));
    let workload = carrier.sink.identity.workload.clone();
    let mut more = true;
    loop {
        tokio::select! {
            changed = table.changed(), if more => {
                more = changed.is_ok();
                if more {
                    let next = Arc::clone(&table.borrow_and_update());
                    take(&carrier, &next);
                }
            }
            _ = prune.tick() => carrier.prune(Instant::now()),
            _ = renew.tick() => {
                let refused = carrier.refusal();
                match carrier.refresh() {
                    Some(Ok(())) => tracing::info!(%workload, "changed certificates were taken"),
                    // Once: it is tried again and again.
                    Some(Err(error)) if refused.is_none_or(|before| before.reason != error.to_string()) => {
                        tracing::error!(%workload, %error, "changed certificates were refused; the last good ones stay");
                    }
                    _ => {}
                }
            }
            () = stop.cancelled() => return,
        }
    }
}

fn take(carrier: &Carrier, table: &Arc<RouteTable>) {
    let workload = &carrier.sink.identity.workload;
    match carrier.reload(table) {
        Ok(()) => tracing::info!(%workload, version = table.version, "a route table was taken"),
        Err(error) => tracing::error!(%workload, %error, "a route table was refused; the last good one stays"),
    }
}
