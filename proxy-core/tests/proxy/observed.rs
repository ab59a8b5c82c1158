//! What a real Envoy 1.40 did with Istio-shaped routes, done again here: the same codes, flags and upstream requests.
//!
//! Counts that Envoy itself draws by chance are held to bounds: shares to five standard deviations, ejections to which
//! endpoint may be hit how often.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use serde_json::Value;
use wattle_contract::route::{
    Abort, Action, Cluster, Fault, HeaderMatch, HttpMatch, Limits, Mirror, Outlier, PathMatch, PercentMillionths,
    RetryOn, Rewrite, Route, StringMatch,
};

use crate::kit::{Behaviour, Bench, Got, Upstream, ask, closed, corpus};
use crate::table::{HOST, cluster, default_on, gateway_error, outlier, prefix, retries, table, weighted};

/// Backends by the port they had when Envoy was watched.
type Backends = BTreeMap<u16, Upstream>;

/// What one case did.
struct Done {
    statuses: BTreeMap<String, u64>,
    hits: BTreeMap<String, u64>,
    flags: Vec<String>,
    answers: Vec<Got>,
    ms: u128,
}

#[tokio::test(start_paused = true)]
async fn what_envoy_did_is_done_here_too() {
    let Some(text) = corpus("istio/envoy-observed/observed.json") else { return };
    let observed: Value = serde_json::from_str(&text).expect("the corpus is JSON");
    let cases = observed["cases"].as_array().expect("a list of cases");
    let backends = backends().await;
    let bench = Bench::start(table("observed", routes(), clusters(&backends, closed().await))).await;

    let (mut passed, mut unknown, mut wrong) = (0, Vec::new(), Vec::new());
    for case in cases {
        let name = case["case"].as_str().expect("a name");
        let Some((requests, parallel)) = plan(name, case) else {
            unknown.push(name);
            continue;
        };
        let done = run(&bench, &backends, requests, parallel).await;
        match judge(name, case, &done) {
            Ok(()) => passed += 1,
            Err(difference) => wrong.push(format!("{name}: {difference}")),
        }
    }

    println!("envoy-observed: {passed} of {} cases; not replayed: {unknown:?}", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(unknown.is_empty(), "cases that this test does not know: {unknown:?}");
}

async fn backends() -> Backends {
    let mut backends = Backends::new();
    for (port, behaviour) in [
        (19001, Behaviour::Answer(200)),
        (19002, Behaviour::Answer(200)),
        (19003, Behaviour::Answer(503)),
        (19004, Behaviour::After(Duration::from_secs(10))),
        (19005, Behaviour::Answer(500)),
        (19006, Behaviour::Answer(200)),
        (19008, Behaviour::After(Duration::from_secs(1))),
        (19010, Behaviour::Close),
    ] {
        backends.insert(port, Upstream::start(behaviour).await);
    }
    backends
}

fn clusters(backends: &Backends, refused: std::net::SocketAddr) -> Vec<Cluster> {
    let of =
        |name: &str, ports: &[u16]| cluster(name, &ports.iter().map(|port| backends[port].address).collect::<Vec<_>>());
    let watched = |name: &str, ports: &[u16], rule: Outlier| Cluster { outlier: Some(rule), ..of(name, ports) };
    let limits =
        Limits { max_connections: Some(1), max_pending_requests: Some(1), max_retries: Some(3), ..Limits::default() };
    vec![
        of("v1", &[19001]),
        of("v2", &[19002]),
        of("bad503", &[19003]),
        of("slow", &[19004]),
        of("empty", &[]),
        of("reset", &[19010]),
        cluster("refused", &[refused]),
        watched("od10", &[19006, 19005], outlier(5, 10)),
        watched("od50", &[19006, 19005], outlier(3, 50)),
        watched("od50all", &[19003, 19005], outlier(3, 50)),
        watched("od100all", &[19003, 19005], outlier(3, 100)),
        Cluster { limits, ..of("pend", &[19008]) },
    ]
}

fn routes() -> Vec<Route> {
    let retried =
        |path: &str, to: &str, attempts, on| Route { retries: Some(retries(attempts, on)), ..prefix(path, to) };
    let bounded = |mut route: Route, per_try| {
        route.timeout = Some(Duration::from_secs(5));
        route.retries.as_mut().expect("tries").per_try_timeout = Some(Duration::from_secs(per_try));
        route
    };
    let abort = |path: &str, percentage| {
        let abort = Abort { http_status: Some(555), grpc_status: None, percentage };
        Route { fault: Some(Fault { delay: None, abort: Some(abort) }), ..prefix(path, "v1") }
    };
    let split = |path: &str, one, other| Route {
        action: Action::Forward(vec![weighted("v1", one), weighted("v2", other)]),
        ..prefix(path, "v1")
    };
    let header = |name: &str, value, invert, to: &str| {
        let headers = vec![HeaderMatch { name: name.to_owned(), value, invert }];
        let path = Some(PathMatch::Prefix("/hdr".to_owned()));
        Route { matches: vec![HttpMatch { path, headers, ..HttpMatch::default() }], ..prefix("/hdr", to) }
    };
    let regex = Some(PathMatch::Regex("/re/[0-9]+".to_owned()));
    let reset = RetryOn { reset: true, ..RetryOn::default() };
    let code = RetryOn { statuses: [503].into(), ..reset.clone() };
    vec![
        prefix("/chat", "v1"),
        Route { matches: vec![HttpMatch { path: regex, ..HttpMatch::default() }], ..prefix("", "v1") },
        Route { rewrite: Some(Rewrite { path: Some("/".to_owned()), ..Rewrite::default() }), ..prefix("/strip", "v1") },
        prefix("/nocluster", "nope"),
        retried("/empty", "empty", 2, default_on()),
        retried("/def503", "bad503", 2, default_on()),
        retried("/gw503", "bad503", 3, gateway_error()),
        retried("/code503", "bad503", 2, code),
        bounded(retried("/ptdef", "slow", 2, default_on()), 1),
        bounded(retried("/ptgw", "slow", 3, gateway_error()), 2),
        retried("/refused", "refused", 2, default_on()),
        retried("/reset", "reset", 2, default_on()),
        retried("/rstr", "reset", 2, reset),
        split("/weighted", 90, 10),
        split("/weightsum", 3, 1),
        Route {
            mirrors: vec![Mirror { cluster: "v2".into(), percentage: PercentMillionths::ALL }],
            ..prefix("/mirror", "v1")
        },
        prefix("/od10", "od10"),
        prefix("/od50x", "od50"),
        prefix("/odall50", "od50all"),
        prefix("/odall100", "od100all"),
        prefix("/pend", "pend"),
        abort("/fault0", PercentMillionths::NONE),
        abort("/fault100", PercentMillionths::ALL),
        header("x-a", StringMatch::Regex("ab".to_owned()), false, "v2"),
        header("x-b", StringMatch::Exact("1".to_owned()), true, "v1"),
    ]
}

/// The requests of a case, and whether they are sent at once.
fn plan(name: &str, case: &Value) -> Option<(Vec<http::request::Builder>, bool)> {
    if name.starts_with("pending overflow") {
        let path = |_| Request::get("/pend").header("host", HOST);
        return Some(((0..5).map(path).collect(), true));
    }
    let path = case["path"].as_str()?;
    let count = case["status"].as_object().map_or(1, |statuses| statuses.values().filter_map(Value::as_u64).sum());
    let method = if name.ends_with("POST") { "POST" } else { "GET" };
    let headers: &[(&str, &str)] = match name {
        "header regex full-match miss" => &[("x-a", "abc"), ("x-b", "1")],
        "header regex hit" => &[("x-a", "ab")],
        _ => &[],
    };
    let request = |_| {
        let request = Request::builder().method(method).uri(path).header("host", HOST);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    Some(((0..count).map(request).collect(), false))
}

async fn run(bench: &Bench, backends: &Backends, requests: Vec<http::request::Builder>, parallel: bool) -> Done {
    let hits = || -> BTreeMap<u16, u64> { backends.iter().map(|(port, backend)| (*port, backend.hits())).collect() };
    let so_far = bench.proxy.summary().requests;
    let (flags, before) = (flags(&bench.metrics_after(so_far).await), hits());
    let (count, started) = (requests.len() as u64, tokio::time::Instant::now());
    let mut answers = Vec::new();
    if parallel {
        answers =
            futures_util::future::join_all(requests.into_iter().map(|request| ask(bench.outbound, request))).await;
    } else {
        for request in requests {
            answers.push(ask(bench.outbound, request).await);
        }
    }
    let ms = started.elapsed().as_millis();
    let metrics = bench.metrics_after(so_far + count).await;
    let after = self::flags(&metrics);
    let new = after.into_iter().filter(|(word, count)| flags.get(word) != Some(count)).map(|(word, _)| word);
    let mut statuses = BTreeMap::new();
    answers.iter().for_each(|got| *statuses.entry(got.status.to_string()).or_default() += 1);
    // A mirror is not waited for: give it the turns it needs.
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    let hits = hits().into_iter().filter(|(port, count)| before[port] != *count);
    let hits = hits.map(|(port, count)| (port.to_string(), count - before[&port])).collect();
    Done { statuses, hits, flags: new.collect(), answers, ms }
}

/// Requests by their flags.
fn flags(metrics: &str) -> BTreeMap<String, u64> {
    let mut flags = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("istio_requests_total{")) {
        let word = line.split("response_flags=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or_default();
        *flags.entry(word.to_owned()).or_default() += count;
    }
    flags
}

fn judge(name: &str, case: &Value, done: &Done) -> Result<(), String> {
    let same = |what: &str, holds: bool, seen: &dyn std::fmt::Debug| {
        if holds { Ok(()) } else { Err(format!("{what} {seen:?}")) }
    };
    if let Some(ms) = case["ms"].as_u64().filter(|ms| *ms > 500) {
        same("took", done.ms.abs_diff(u128::from(ms)) <= 150, &done.ms)?;
    }
    if let Some(flags) = case["response_flags"].as_str().filter(|flags| !flags.contains("on the")) {
        let word = flags.split(' ').next().unwrap_or_default();
        same("flags", done.flags == [word], &done.flags)?;
    }
    if name.starts_with("pending overflow") {
        let statuses: BTreeMap<String, u64> = [("200".to_owned(), 2), ("503".to_owned(), 3)].into();
        let said =
            done.answers.iter().filter(|got| got.status == 503).all(|got| got.headers["x-envoy-overloaded"] == "true");
        return same("statuses", done.statuses == statuses && said, &done.statuses);
    }
    if name.starts_with("outlier") || name.starts_with("weights") {
        return chance(name, case, done);
    }
    let status = case["status"].as_u64().map(|status| status.to_string());
    same("statuses", done.statuses.keys().next() == status.as_ref(), &done.statuses)?;
    let hits: BTreeMap<String, u64> = serde_json::from_value(case["upstream_requests"].clone()).unwrap_or_default();
    same("upstream requests", done.hits == hits, &done.hits)
}

/// Cases in which Envoy draws too.
fn chance(name: &str, case: &Value, done: &Done) -> Result<(), String> {
    let hit = |port: &str| done.hits.get(port).copied().unwrap_or_default();
    let near = |port: &str, share: f64| {
        let total = done.statuses.values().sum::<u64>() as f64;
        let (mean, deviation) = (total * share, (total * share * (1.0 - share)).sqrt());
        (hit(port) as f64 - mean).abs() <= 5.0 * deviation
    };
    let holds = match name {
        "weights 90/10" => near("19002", 0.1),
        "weights 3/1" => near("19002", 0.25),
        "outlier od10" | "outlier od10 after" => near("19005", 0.5) && hit("19005") + hit("19006") > 0,
        "outlier od50" => hit("19005") == 3 && hit("19006") == 57,
        "outlier od50 after" => hit("19005") == 0 && hit("19006") == 20,
        // Whichever fails three times first is out; the other must stay.
        "outlier od50all" => hit("19003").min(hit("19005")) <= 5 && hit("19003") + hit("19005") == 60,
        "outlier od50all after" => hit("19003").min(hit("19005")) == 0 && hit("19003") + hit("19005") == 20,
        // Both are out after three failures in a row each; the rest is answered here.
        "outlier od100all" => hit("19003") >= 3 && hit("19005") >= 3 && hit("19003") + hit("19005") < 60,
        "outlier od100all after" => done.hits.is_empty() && done.statuses.keys().eq(["503"]),
        _ => return Err(format!("no bound is known for {case}")),
    };
    if holds { Ok(()) } else { Err(format!("{:?} {:?}", done.hits, done.statuses)) }
}
