//! Requests as Grafana, Kiali, promtool and Prometheus's page send them, to the collector and to a real Prometheus over
//! the same data: the same status, the same JSON where the data say it, the same keys and types elsewhere.

mod common;
#[path = "shapes/table.rs"]
mod table;

use common::programs::{Program, peers};
use common::{now_ms, send, sqlite, start, write};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use table::{Alike, Asked};
use wattle_collector::Config;

/// Sends a request; gives status, headers and body.
async fn ask(address: &str, asked: &Asked) -> (StatusCode, http::HeaderMap, Value) {
    let is_posted = asked.method == Method::POST;
    let query = if asked.form.is_empty() || is_posted { String::new() } else { format!("?{}", asked.form) };
    let mut request = Request::builder().method(&asked.method).uri(format!("http://{address}{}{query}", asked.path));
    if is_posted {
        request = request.header("content-type", "application/x-www-form-urlencoded");
    }
    for (name, value) in &asked.headers {
        request = request.header(*name, *value);
    }
    let body = if is_posted { asked.form.clone() } else { String::new() };
    let (status, headers, body) = send(request.body(Full::new(body.into())).expect("a request")).await;
    let json = serde_json::from_str(&body).unwrap_or(Value::String(body));
    (status, headers, json)
}

/// Reduces a value to its keys and types; a list to those of its first entry.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(_) => "number".into(),
        Value::String(_) => "string".into(),
        Value::Array(list) => list.iter().take(1).map(shape).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
    }
}

/// Leaves keys out that the other value does not have.
fn narrowed(value: Value, to: &Value) -> Value {
    match (value, to) {
        (Value::Object(map), Value::Object(to)) => {
            let both = map.into_iter().filter_map(|(key, value)| Some((narrowed(value, to.get(&key)?), key)));
            Value::Object(both.map(|(value, key)| (key, value)).collect())
        }
        (value, _) => value,
    }
}

/// Sorts what has no order: the series of an instant vector.
fn ordered(mut value: Value) -> Value {
    if value["data"]["resultType"] == "vector"
        && let Some(series) = value["data"]["result"].as_array_mut()
    {
        series.sort_by_key(ToString::to_string);
    }
    value
}

fn difference(alike: &Alike, ours: (StatusCode, Value), theirs: (StatusCode, Value)) -> Option<String> {
    if ours.0 != theirs.0 {
        return Some(format!("{} instead of {}; {} instead of {}", ours.0, theirs.0, ours.1, theirs.1));
    }
    let (ours, theirs) = (ordered(ours.1), ordered(theirs.1));
    let (ours, theirs) = match alike {
        Alike::Same => (ours, theirs),
        Alike::Shape => {
            let theirs = shape(&theirs);
            (narrowed(shape(&ours), &theirs), theirs)
        }
        Alike::Error => {
            let is_whole = ours["error"].as_str().is_some_and(|text| !text.is_empty());
            let kinds = |value: &Value| [value["status"].clone(), value["errorType"].clone(), is_whole.into()].into();
            (kinds(&ours), kinds(&theirs))
        }
        Alike::Status => return None,
    };
    (ours != theirs).then(|| format!("{ours}\n     instead of {theirs}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_send_is_answered_as_a_real_prometheus_does() {
    let Some(bin) = peers(&["prometheus"]) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let ours = start(Config { store_url: sqlite(dir.path()), ..Config::default() }).await;
    let theirs = Program::prometheus(&bin, "{}", &[]).await;
    let end = now_ms() / 15_000 * 15;
    let points =
        |factor: f64| (0..=60).map(|at| ((end - 900 + at * 15) * 1000, at as f64 * factor)).collect::<Vec<_>>();
    let series = [
        (vec![("__name__", "http_requests_total"), ("job", "web"), ("pod", "a")], points(15.0)),
        (vec![("__name__", "http_requests_total"), ("job", "web"), ("pod", "b")], points(30.5)),
        (vec![("__name__", "temperature"), ("a.b", "dotted"), ("pod", "a")], vec![(end * 1000, f64::INFINITY)]),
        (vec![("__name__", "a:b.c"), ("pod", "\"q\"\n\\")], vec![(end * 1000, 1e-9)]),
        (vec![("__name__", "a:3"), ("instance", "i")], vec![(end * 1000, 1e300)]),
        (vec![("__name__", "big")], vec![(end * 1000, 1_234_567.5)]),
        (vec![("__name__", "small")], vec![(end * 1000, -0.000_123)]),
    ];
    for address in [&ours.api, &theirs.address] {
        let (status, body) = write(address, &series).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }

    let mut differences = Vec::new();
    let all = table::all(end);
    let count = all.len();
    for asked in all {
        let (mine, _, mine_json) = ask(&ours.api, &asked).await;
        let (real, _, real_json) = ask(&theirs.address, &asked).await;
        if let Some(found) = difference(&asked.alike, (mine, mine_json), (real, real_json)) {
            differences.push(format!("{} {}?{}\n     {found}", asked.method, asked.path, asked.form));
        }
    }
    assert!(differences.is_empty(), "{} of {count} differ:\n{}", differences.len(), differences.join("\n"));

    headers_are_those_of_prometheus(&ours.api, &theirs.address).await;
    ours.stop().await;
}

async fn headers_are_those_of_prometheus(ours: &str, theirs: &str) {
    let from_a_page = |method: Method| Asked {
        headers: vec![("origin", "http://grafana")],
        ..Asked::new(method, "/api/v1/query", "query=1")
    };
    for asked in [from_a_page(Method::OPTIONS), from_a_page(Method::GET), from_a_page(Method::POST)] {
        let (mine, real) = (ask(ours, &asked).await, ask(theirs, &asked).await);
        assert_eq!(mine.0, real.0, "{}", asked.method);
        for name in [
            "access-control-allow-origin",
            "access-control-allow-methods",
            "access-control-allow-headers",
            "access-control-expose-headers",
            "content-type",
            "vary",
        ] {
            assert_eq!(mine.1.get(name), real.1.get(name), "{} {name}", asked.method);
        }
    }
    let packed = Asked {
        headers: vec![("accept-encoding", "gzip")],
        ..Asked::new(Method::GET, "/api/v1/query_range", "query=vector(1)&start=0&end=9000&step=1")
    };
    let (mine, real) = (ask(ours, &packed).await, ask(theirs, &packed).await);
    assert_eq!(mine.1.get("content-encoding"), real.1.get("content-encoding"));
}
