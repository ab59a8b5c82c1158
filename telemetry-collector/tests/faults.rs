//! What goes wrong around a collector: a database that is gone or does not answer, a disk that is full, bad clocks.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use common::{now_ms, query, start, stores, until, write};
use http::StatusCode;
use prometheus::Registry;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use wattle_collector::{Collector, Config, Listeners};

/// Set in the process whose disk is full: the store it opens.
const STORE: &str = "WATTLE_TEST_FULL_STORE";

/// What stands between a collector and its database.
struct Relay {
    address: String,
    mode: Arc<AtomicU8>,
    cut: Arc<tokio::sync::Notify>,
}

const OPEN: u8 = 0;
const GONE: u8 = 1;

impl Relay {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (mode, cut) = (Arc::new(AtomicU8::new(OPEN)), Arc::new(tokio::sync::Notify::new()));
        let (is, when) = (mode.clone(), cut.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if is.load(Ordering::SeqCst) == GONE {
                    continue;
                }
                let (server, when) = (server.clone(), when.clone());
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        () = when.notified() => {}
                    }
                });
            }
        });
        Self { address, mode, cut }
    }

    /// Ends every connection and takes no new one.
    fn cut(&self) {
        self.mode.store(GONE, Ordering::SeqCst);
        self.cut.notify_waiters();
    }

    fn mend(&self) {
        self.mode.store(OPEN, Ordering::SeqCst);
    }
}

fn config(store_url: &str) -> Config {
    Config { store_url: store_url.to_owned(), retention: common::FOR_EVER, ..Config::default() }
}

async fn write_one(api: &str, second: i64) -> (StatusCode, String) {
    write(api, &[(vec![("__name__", "x")], vec![(second * 1_000, second as f64)])]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_for_a_while_loses_nothing_acknowledged() {
    for store in stores::each().await.iter().filter(|store| !store.is_sqlite) {
        let rest = store.url.split_once('@').expect("postgres://USER@HOST/DATABASE").1;
        let (server, database) = rest.split_once('/').expect("a database");
        let relay = Relay::to(server.to_owned()).await;
        let running = start(config(&format!("postgres://wattle@{}/{database}", relay.address))).await;
        let mut acknowledged = Vec::new();
        for second in 0..5 {
            assert!(write_one(&running.api, second).await.0.is_success());
            acknowledged.push(second);
        }

        relay.cut();
        for second in 5..8 {
            let (status, body) = write_one(&running.api, second).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
        }
        relay.mend();

        let second = until("a store that is back", async || {
            let second = 100 + acknowledged.len() as i64;
            write_one(&running.api, second).await.0.is_success().then_some(second)
        })
        .await;
        acknowledged.push(second);
        let answer = query(&running.api, "x[1h]", 3_000.0).await;
        let values = answer["data"]["result"][0]["values"].as_array().expect("points").clone();
        let times: Vec<i64> = values.iter().filter_map(|point| point[0].as_i64()).collect();
        assert!(acknowledged.iter().all(|second| times.contains(second)), "{acknowledged:?} in {times:?}");
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "none twice: {times:?}");
        running.stop().await;
    }
}

/// Not a test of its own: what runs in the process whose disk is full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_a_full_child() {
    let Ok(store_url) = std::env::var(STORE) else { return };
    let api = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = api.local_addr().expect("bound");
    let listeners = Listeners::only(api);
    let _collector = Collector::start(config(&store_url), listeners, &Registry::new(), CancellationToken::new())
        .await
        .expect("starts");
    let mut out = std::io::stdout();
    writeln!(out, "\nlistening on {address}").and_then(|()| out.flush()).expect("told");
    std::future::pending::<()>().await;
}

/// Starts a collector that may write files of some KiB only; gives it and its address.
fn full_child(store: &str, kib: u32) -> (Child, String) {
    let program = std::env::current_exe().expect("this program");
    // Ignored, the signal for a file too long becomes an error, as of a disk that is full.
    let script = format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" --exact as_a_full_child --nocapture");
    let mut child = Command::new("bash")
        .args(["-c", &script])
        .arg(program)
        .env(STORE, store)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let address =
        out.lines().map_while(Result::ok).find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
    (child, address.expect("an address"))
}

/// Writes series with values that do not compress.
async fn fill(api: &str, round: i64) -> StatusCode {
    let mut random = (round as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let points: Vec<(i64, f64)> = (0..2_000)
        .map(|at| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (round * 10_000 + at, f64::from_bits(random >> 2))
        })
        .collect();
    write(api, &[(vec![("__name__", "filler")], points)]).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_answers_reads_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut child, api) = full_child(&common::sqlite(dir.path()), 400);
    assert!(write_one(&api, 1).await.0.is_success());
    let mut round = 0;
    while fill(&api, round).await.is_success() {
        round += 1;
        assert!(round < 1_000, "the disk is never full");
    }

    assert_eq!(fill(&api, round).await, StatusCode::SERVICE_UNAVAILABLE);
    let answer = query(&api, "x", 1.0).await;
    assert_eq!(answer["data"]["result"][0]["value"][1], "1", "reads go on");

    let raised =
        Command::new("prlimit").args([format!("--pid={}", child.id()), "--fsize=unlimited".to_owned()]).status();
    if raised.is_ok_and(|status| status.success()) {
        until("room", async || write_one(&api, 2).await.0.is_success().then_some(())).await;
    } else {
        println!("prlimit is not there: the recovery from a full disk was not tested");
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absurd_times_values_and_labels_are_taken_or_named_and_never_end_it() {
    for store in stores::each().await {
        let running = start(config(&store.url)).await;
        let named = || vec![("__name__", "x")];
        let now = now_ms();
        let long = "v".repeat(10 << 20);
        for (labels, points, status) in [
            (named(), vec![(now, f64::NAN)], StatusCode::NO_CONTENT),
            (named(), vec![(now + 1, f64::INFINITY)], StatusCode::NO_CONTENT),
            (named(), vec![(now + 2, -5.0)], StatusCode::NO_CONTENT),
            (named(), vec![(i64::MAX, 1.0)], StatusCode::BAD_REQUEST),
            (named(), vec![(i64::MIN, 1.0)], StatusCode::BAD_REQUEST),
            // A clock that jumped a day ahead, and one that jumped a day back.
            (named(), vec![(now + 86_400_000, 1.0)], StatusCode::BAD_REQUEST),
            (named(), vec![(now - 86_400_000, 1.0)], StatusCode::BAD_REQUEST),
            (vec![("__name__", "x"), ("a", long.as_str())], vec![(now, 1.0)], StatusCode::BAD_REQUEST),
            (vec![("a", "b")], vec![(now, 1.0)], StatusCode::BAD_REQUEST),
            (vec![("__name__", "other")], vec![(i64::MIN, 1.0)], StatusCode::NO_CONTENT),
            (named(), vec![(now + 3, 1.0)], StatusCode::NO_CONTENT),
        ] {
            let what = format!("{:?} {points:?}", labels.first());
            assert_eq!(write(&running.api, &[(labels, points)]).await.0, status, "{what}");
        }
        let answer = query(&running.api, "x", (now + 3) as f64 / 1000.0).await;
        assert_eq!(answer["data"]["result"][0]["value"][1], "1");
        running.stop().await;
    }
}
