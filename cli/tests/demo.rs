//! From an empty folder to the first improved placement, and on from there.

mod support;

use std::io::{Read as _, Write as _};
use std::path::Path;

use serde_json::Value;
use support::{Background, eventually, get_json, port_base, wattle};

/// Everything on consecutive ports, in the order in which `up` binds.
struct Addresses {
    own: String,
    api: String,
    scheduler: String,
    proxy_metrics: String,
}

fn addresses(base: u16) -> Addresses {
    let at = |offset: u16| format!("127.0.0.1:{}", base + offset);
    Addresses { own: at(0), api: at(1), scheduler: at(7), proxy_metrics: at(9) }
}

fn vector_len(api: &str, query: &str) -> usize {
    let path = format!("/api/v1/query?query={query}");
    get_json(api, &path).and_then(|answer| answer["data"]["result"].as_array().map(Vec::len)).unwrap_or(0)
}

/// Placements that the model decided: the scores differ, and no candidate would have cost fewer watts and been scored.
fn decided_by_the_model(told: &Value) -> usize {
    let placements = told["placements"].as_array().expect("a list");
    let differs = |placement: &&Value| {
        let scores: Vec<&Value> = placement["scores"].as_object().expect("an object").values().collect();
        scores.iter().any(|score| *score != scores[0])
    };
    placements.iter().filter(differs).count()
}

#[test]
fn the_loop_closes_from_an_empty_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data").display().to_string();
    let port = port_base(0).to_string();
    let at = addresses(port_base(0));
    // A slow rate: the test may share its machine with a build.
    let up = ["up", "--demo", "--port-base", &port, "--data", &data, "--set", "demo.rate=16"];

    // First life: everything is new, and somebody looks while it runs.
    let mut first = Background::start(dir.path(), "first", &[&up[..], &["--for", "80s", "--json"]].concat());
    is_ready(&at, &first);
    let learnt = eventually(70, || first.log().contains("model trained on").then_some(()));
    assert!(learnt.is_some() && first.is_running(), "no model within 70 s: {}", first.log());
    somebody_sends_garbage(port_base(0));
    let metrics = somebody_looks(&at);
    somebody_asks_why(dir.path(), &at, &first);
    the_dashboards_show_something(&at.api);
    the_reference_names_what_is_shown(&at.own);
    let run = first.wait();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let told: Value = serde_json::from_str(&run.stdout).expect("one JSON object");
    looks_right(&told);
    assert!(decided_by_the_model(&told) > 0, "no placement was decided by the model: {}", told["placements"]);
    the_canary_got_its_share(&told, &metrics);

    learns_by_hand(dir.path(), &format!("sqlite://{data}/wattle.db"));

    // Second life: goes on with data and model, and ends on Ctrl-C.
    let second = Background::start(dir.path(), "second", &up);
    is_ready(&at, &second);
    let decided = eventually(30, || second.log().contains("predicted").then_some(()));
    assert!(decided.is_some(), "the model of the first life was not used: {}", second.log());
    somebody_looks_back(dir.path(), &at, &format!("sqlite://{data}/wattle.db"));
    let old_samples = vector_len(&at.api, "count_over_time(up%5B5m%5D)%20%3E%2040");
    assert!(old_samples > 0, "the samples of the first life are not there");
    let log = second.log();
    let (code, seconds) = second.interrupt();
    assert_eq!(code, Some(0), "{log}");
    assert!(seconds < 10.0, "it took {seconds} s to end");
}

fn is_ready(at: &Addresses, process: &Background) {
    let ready = eventually(30, || support::http(&at.own, "GET", "/readyz", &[], b"").filter(|a| a.0 == 200));
    assert!(ready.is_some(), "{}", process.log());
}

/// Sends what no listener understands to each of the first fourteen, from the process's own to the exporters. What comes
/// after shows that the process lives.
fn somebody_sends_garbage(base: u16) {
    let garbage: [&[u8]; 5] = [
        b"\x00\xff\xfe garbage \r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/write HTTP/1.1\r\nHost: a\r\nContent-Encoding: snappy\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
        b"POST /scheduler/prioritize HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n{\"Pod\":",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\xff\x42\x00\x00\x00\x00\x00 not a frame",
    ];
    for port in base..base + 14 {
        for bytes in garbage {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it still listens");
            stream.set_read_timeout(Some(std::time::Duration::from_millis(300))).expect("a timeout");
            // The other side may close at the first byte; the answer, if any, must not be a success.
            let _ = stream.write_all(bytes);
            let mut answer = [0; 12];
            let read = stream.read(&mut answer).unwrap_or(0);
            assert!(!answer[..read].starts_with(b"HTTP/1.1 200"), "port {port} took {bytes:?}");
        }
    }
}

/// Runs every expression of deploy/grafana, as Grafana sends it: each gives series.
fn the_dashboards_show_something(api: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/dashboards");
    let mut empty = Vec::new();
    for file in std::fs::read_dir(folder).expect("the dashboards") {
        let path = file.expect("a file").path();
        let dashboard: Value = serde_json::from_slice(&std::fs::read(&path).expect("a file")).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().expect("targets") {
                let expr = target["expr"].as_str().expect("an expression");
                let sent = expr.replace("$__rate_interval", "10s").replace("$__range", "60s");
                let query: String = sent.bytes().map(|byte| format!("%{byte:02X}")).collect();
                if eventually(5, || (vector_len(api, &query) > 0).then_some(())).is_none() {
                    empty.push(format!("{}: {}: {sent}", path.display(), panel["title"]));
                }
            }
        }
    }
    assert!(empty.is_empty(), "no series: {}", empty.join("\n"));
}

/// Holds docs/metrics.md against what a running wattle shows: each of its metrics is there, with its kind.
fn the_reference_names_what_is_shown(own: &str) {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let reference = std::fs::read_to_string(reference).expect("docs/metrics.md");
    let (status, shown) = support::http(own, "GET", "/metrics", &[], b"").expect("an answer");
    assert_eq!(status, 200);
    let shown = String::from_utf8(shown).expect("text");
    let kinds = shown.lines().filter_map(|line| line.strip_prefix("# TYPE wattle_")?.split_once(' '));
    let missing: Vec<_> =
        kinds.clone().filter(|(name, kind)| !reference.contains(&format!("| `wattle_{name}` | {kind} |"))).collect();
    assert!(missing.is_empty() && kinds.count() > 30, "not in docs/metrics.md: {missing:?}");
}

/// Asks every way in that the README names; gives the data plane's metrics.
fn somebody_looks(at: &Addresses) -> Vec<u8> {
    let watts = "sum%20by%20(node_name)(rate(kepler_node_cpu_joules_total%7Bzone%3D%22psys%22%7D%5B10s%5D))";
    assert_eq!(vector_len(&at.api, watts), 3);
    assert_eq!(vector_len(&at.api, "sum%20by%20(node_name)(kepler_node_cpu_watts%7Bzone%3D%22psys%22%7D)"), 3);
    assert!(vector_len(&at.api, "sum%20by%20(destination_service)(rate(istio_requests_total%5B10s%5D))") >= 8);
    let range = get_json(&at.api, "/api/v1/query_range?query=up&start=0&end=10&step=5").expect("an answer");
    assert_eq!(range["data"]["resultType"], "matrix");
    let snapshot = get_json(&at.api, "/api/v1/snapshot").expect("a snapshot");
    assert_eq!(snapshot["window"]["nodes"].as_array().expect("nodes").len(), 3);
    let (status, metrics) = support::http(&at.proxy_metrics, "GET", "/stats/prometheus", &[], b"").expect("an answer");
    assert_eq!(status, 200);
    metrics
}

fn somebody_asks_why(folder: &Path, at: &Addresses, process: &Background) {
    let pod = eventually(20, || newest_placed(&process.log())).expect("a placement");
    let scheduler = format!("http://{}", at.scheduler);
    let explained = wattle(folder, &["explain", "--pod", &pod, "--scheduler", &scheduler]);
    assert_eq!(explained.code, Some(0), "{}", explained.stderr);
    assert!(explained.stdout.contains("node-a") && explained.stdout.contains("node-c"), "{}", explained.stdout);
    let nobody = wattle(folder, &["explain", "--pod", "hotel/nobody", "--scheduler", &scheduler]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.stderr.contains("no decision for hotel/nobody"), "{}", nobody.stderr);
}

/// Takes the recorded decisions again, and asks which nodes are worth emptying.
fn somebody_looks_back(folder: &Path, at: &Addresses, store: &str) {
    let replay = wattle(folder, &["replay", "--since", "1h", "--store", store, "--json"]);
    let told: Value = serde_json::from_str(&replay.stdout).unwrap_or_else(|_| panic!("{}", replay.stderr));
    assert!(told["compared"].as_u64() > Some(0), "{told}");
    assert_eq!(told["moves"], serde_json::json!([]), "the policy in use decides as it did");
    // Looked for beside the decisions: within a second or two of the first measurements.
    let scheduler = format!("http://{}", at.scheduler);
    let advice = eventually(20, || {
        let advice = wattle(folder, &["consolidate", "--scheduler", &scheduler]);
        (advice.code == Some(0) && advice.stdout.starts_with("3 nodes, ")).then_some(())
    });
    assert!(advice.is_some(), "no advice on three nodes");
}

/// Trains and scores from the same store, as the README says; power must be better than its baseline.
fn learns_by_hand(folder: &Path, store: &str) {
    let trained = wattle(folder, &["train", "--store", store, "--out", "by-hand.wattle", "--allow-worse", "--json"]);
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let scores: Value = serde_json::from_str(&trained.stdout).expect("JSON");
    assert!(scores["power_mape"].as_f64() < scores["power_mape_baseline"].as_f64(), "{scores}");
    let report = ["train", "--store", store, "--out", "again.wattle", "--allow-worse", "--report", "report.html"];
    assert_eq!(wattle(folder, &report).code, Some(0));
    let page = std::fs::read_to_string(folder.join("report.html")).expect("a report");
    assert!(page.contains("<svg") && page.contains("Predicted against measured"), "{page}");
    let shown = wattle(folder, &["model", "show", "by-hand.wattle"]);
    assert!(shown.code == Some(0) && shown.stdout.contains("power"), "{}{}", shown.stdout, shown.stderr);
    let evaluated = wattle(folder, &["evaluate", "--model", "by-hand.wattle", "--store", store]);
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    assert!(evaluated.stdout.starts_with("TARGET") && evaluated.stdout.contains("power"), "{}", evaluated.stdout);
}

fn newest_placed(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains("hotel/") && line.contains(" -> node-"))?;
    let start = line.find("hotel/")?;
    line[start..].split_whitespace().next().map(str::to_owned)
}

fn looks_right(told: &Value) {
    let number = |key: &str| told[key].as_u64().unwrap_or_else(|| panic!("{key} is a number: {told}"));
    assert!(number("requests") > 1_000, "{told}");
    assert!(number("request_errors") * 50 < number("requests"), "more than 2 % failed: {told}");
    assert!(number("samples") > 1_000 && number("series") > 100 && number("spans") > 0, "{told}");
    let joules = told["joules"].as_object().expect("an object");
    assert_eq!(joules.len(), 3);
    assert!(joules.values().all(|j| j.as_f64().is_some_and(|j| j > 0.0)), "{told}");
    assert!(told["model"]["power_mape"].as_f64() < told["model"]["power_mape_baseline"].as_f64(), "{}", told["model"]);
    assert!(told["listeners"].as_object().expect("an object").len() > 10);
}

/// The 90/10 VirtualService of the repository: of the requests to recommendation about one in ten goes to v2.
fn the_canary_got_its_share(told: &Value, metrics: &[u8]) {
    let text = String::from_utf8_lossy(metrics);
    let count = |version: &str| -> f64 {
        text.lines()
            .filter(|line| line.starts_with("istio_requests_total{") && line.contains("reporter=\"destination\""))
            .filter(|line| line.contains("destination_app=\"recommendation\""))
            .filter(|line| line.contains(&format!("destination_version=\"{version}\"")))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    let (stable, canary) = (count("v1"), count("v2"));
    let share = canary / (stable + canary);
    // 150 requests or more by then: four standard deviations of a fair 90/10 draw are 10 points.
    assert!(stable + canary > 150.0, "{stable} + {canary} requests to recommendation of {}", told["requests"]);
    assert!((0.002..0.2).contains(&share), "{canary} of {} requests went to the canary", stable + canary);
}
