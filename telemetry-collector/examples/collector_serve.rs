//! Runs a collector alone: `collector_serve STORE ADDRESS`.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Listeners};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(store_url), Some(address)) = (arguments.next(), arguments.next()) else { return Err("usage".into()) };
    let listeners = Listeners::only(TcpListener::bind(address).await?);
    let shutdown = CancellationToken::new();
    let config = Config { store_url, ..Config::default() };
    let collector = Collector::start(config, listeners, &prometheus::Registry::new(), shutdown.clone()).await?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    terminate.recv().await;
    shutdown.cancel();
    collector.join().await;
    Ok(())
}
