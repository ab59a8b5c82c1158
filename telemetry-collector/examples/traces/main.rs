//! Measures traces: spans per CPU-second stored and searchable, and bytes per span on disk.
//!
//!     traces SPANS STORE-URL [POSTMASTER-PID]
//!
//! The collector runs in a process of its own, with its real OTLP listener; the sender's time is not counted. With a
//! postmaster's pid, the time of the server's processes is. Prints one JSON object.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its figures")]

mod load;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Listeners, Store};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Senders at the same time.
const SENDERS: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode, url] if mode == "serve" => serve(url).await,
        [spans, url] => measure(spans.parse()?, url, None).await,
        [spans, url, postmaster] => measure(spans.parse()?, url, Some(postmaster.parse()?)).await,
        _ => Err("usage: traces SPANS STORE-URL [POSTMASTER-PID]".into()),
    }
}

/// Runs the collector until its input ends.
async fn serve(url: &str) -> Outcome<()> {
    let (api, grpc) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    let jaeger = TcpListener::bind("127.0.0.1:0").await?;
    let told = format!("{} {}", grpc.local_addr()?, jaeger.local_addr()?);
    let listeners = Listeners { otlp_grpc: Some(grpc), jaeger_http: Some(jaeger), ..Listeners::only(api) };
    let config = Config { store_url: url.to_owned(), ..Config::default() };
    let shutdown = CancellationToken::new();
    let collector = Collector::start(config, listeners, &Registry::new(), shutdown.clone()).await?;
    println!("{told}");
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
    shutdown.cancel();
    collector.join().await;
    Ok(())
}

struct Served {
    child: Child,
    grpc: String,
    jaeger: String,
}

fn start(url: &str) -> Outcome<Served> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["serve", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let (grpc, jaeger) = line.trim().split_once(' ').ok_or("the collector did not start")?;
    Ok(Served { grpc: grpc.to_owned(), jaeger: jaeger.to_owned(), child })
}

async fn measure(spans: usize, url: &str, postmaster: Option<u32>) -> Outcome<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let requests = load::requests(spans, u64::try_from(now.as_nanos())?, &mut load::Chance::new(0x5eed));
    let count: usize = requests.iter().map(|request| request.resource_spans[0].scope_spans[0].spans.len()).sum();
    let wire: usize = requests.iter().map(prost::Message::encoded_len).sum();
    let mut served = start(url)?;
    let empty = size(url).await?;
    let server_before = postmaster.map_or(0.0, server_seconds);
    let own_before = cpu_seconds(served.child.id());
    send(&served.grpc, requests).await?;
    let store = Store::open(url).await?;
    for _ in 0..600 {
        if store.stats().await?.spans_waiting == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let stats = store.stats().await?;
    let cpu = cpu_seconds(served.child.id()) - own_before + postmaster.map_or(0.0, server_seconds) - server_before;
    let search_ms = search(&served.jaeger).await?;
    let memory = peak_memory(served.child.id());
    drop(store);
    drop(served.child.stdin.take());
    served.child.wait()?;
    let bytes = size(url).await? - empty;
    println!(
        "{{\"spans\":{count},\"stored\":{},\"waiting\":{},\"cpu_seconds\":{cpu:.3},\"spans_per_cpu_second\":{:.0},\
         \"bytes_per_span\":{:.1},\"wire_bytes_per_span\":{:.0},\"search_ms\":{search_ms:.1},\"peak_mib\":{memory:.0}}}",
        stats.spans,
        stats.spans_waiting,
        count as f64 / cpu,
        bytes as f64 / count as f64,
        wire as f64 / count as f64,
    );
    Ok(())
}

/// Sends every request and waits for its acknowledgement.
async fn send(address: &str, requests: Vec<ExportTraceServiceRequest>) -> Outcome<()> {
    let channel = tonic::transport::Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let queue = std::sync::Arc::new(tokio::sync::Mutex::new(requests.into_iter()));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (mut client, queue) = (TraceServiceClient::new(channel.clone()), queue.clone());
        senders.spawn(async move {
            loop {
                let Some(request) = queue.lock().await.next() else { return Ok(()) };
                while let Err(status) = client.export(request.clone()).await {
                    if status.code() != tonic::Code::ResourceExhausted {
                        return Err(status);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Ok(())
}

/// Searches as Grafana does; gives the time that it took.
async fn search(address: &str) -> Outcome<f64> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let question = "service=rate&operation=find&tags=%7B%22db.system.name%22%3A%22mongodb%22%7D&limit=20";
    let started = tokio::time::Instant::now();
    let answer = client.get(format!("http://{address}/api/traces?{question}").parse()?).await?;
    let body = answer.into_body().collect().await?.to_bytes();
    let took = started.elapsed().as_secs_f64() * 1e3;
    let found: serde_json::Value = serde_json::from_slice(&body)?;
    match found["data"].as_array().map(Vec::len) {
        Some(20) => Ok(took),
        found => Err(format!("a search for what was stored found {found:?} traces instead of 20").into()),
    }
}

/// Gives the processor time that a process had so far.
fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime of proc(5), in hundredths of a second; those of children that ended after them.
    [11, 12, 13, 14].iter().filter_map(|&at| fields.get(at)?.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Gives the processor time of a PostgreSQL server: the postmaster and its children.
fn server_seconds(postmaster: u32) -> f64 {
    let mut sum = cpu_seconds(postmaster);
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = text.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).map(str::to_owned);
        if parent.and_then(|parent| parent.parse().ok()) == Some(postmaster) {
            sum += cpu_seconds(pid);
        }
    }
    sum
}

fn peak_memory(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Gives what the store takes on disk.
async fn size(url: &str) -> Outcome<i64> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        let of = |ending: &str| std::fs::metadata(format!("{path}{ending}")).map_or(0, |file| file.len());
        return Ok(i64::try_from(of("") + of("-wal"))?);
    }
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(url).await?;
    // What autovacuum does in time: the journal's rows are gone, their room is not yet.
    sqlx::query("vacuum").execute(&mut connection).await?;
    let ours = "select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class \
        where relkind = 'r' and relnamespace = current_schema()::regnamespace";
    Ok(sqlx::query_scalar(ours).fetch_one(&mut connection).await?)
}
