//! Serves a collector alone, for bench/promql: `serve_alone STORE_URL [RETENTION_DAYS]`.
//!
//! Prints the address of its read API on stdout and runs until its standard input ends.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Listeners};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the bench reads the address here")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let store_url = arguments.next().ok_or("usage: serve_alone STORE_URL [RETENTION_DAYS]")?;
    let days: u64 = arguments.next().map_or(Ok(15), |days| days.parse())?;
    let api = TcpListener::bind("127.0.0.1:0").await?;
    let address = api.local_addr()?;
    let config = Config { store_url, retention: Duration::from_secs(days * 86_400), ..Config::default() };
    let listeners = Listeners::only(api);
    let shutdown = CancellationToken::new();
    let collector = Collector::start(config, listeners, &prometheus::Registry::new(), shutdown.clone()).await?;
    println!("{address}");
    let ended = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    tokio::task::spawn_blocking(ended).await??;
    shutdown.cancel();
    collector.join().await;
    Ok(())
}
