//! Rule files of Prometheus: series recorded, alerts that fire and end, told to an Alertmanager.

mod common;

use std::time::Duration;

use axum::Router;
use axum::routing::post;
use common::{get, query, sqlite, start, until, write};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wattle_collector::{Config, RuleConfig};

const RULES: &str = r#"
groups:
- name: energy
  interval: 1s
  labels: {team: power}
  rules:
  - record: node:watts:sum
    expr: sum by (node) (watts)
    labels: {kind: recorded}
  - alert: TooHot
    expr: node:watts:sum > 100
    for: 1s
    labels: {severity: page}
    annotations: {summary: '{{ $labels.node }} takes {{ $value | printf "%.1f" }} W'}
"#;

/// An Alertmanager that hands on what it is told.
async fn alertmanager() -> (String, mpsc::Receiver<Value>) {
    let (sender, receiver) = mpsc::channel(100);
    let take = async move |axum::Json(alerts): axum::Json<Value>| drop(sender.send(alerts).await);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("bound"));
    let app = Router::new().route("/api/v2/alerts", post(take));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, receiver)
}

async fn data(api: &str, path: &str) -> Value {
    let (status, body) = get(api, path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).expect("JSON")["data"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_fires_is_told_and_ends() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("rules.yml");
    std::fs::write(&file, RULES).expect("a file");
    let (alertmanager, mut told) = alertmanager().await;
    let rules = RuleConfig {
        files: vec![file],
        interval: Duration::from_secs(60),
        alertmanager: Some(alertmanager),
        kepler: None,
    };
    let running = start(Config { store_url: sqlite(dir.path()), rules, ..Config::default() }).await;
    let watts = async |value: f64| {
        let labels = vec![("__name__", "watts"), ("node", "a")];
        write(&running.api, &[(labels, vec![(common::now_ms(), value)])]).await;
    };

    watts(150.0).await;
    let first = tokio::time::timeout(Duration::from_secs(20), told.recv()).await.expect("in time").expect("alerts");

    assert_eq!(first[0]["labels"]["alertname"], "TooHot");
    assert_eq!(first[0]["labels"]["node"], "a");
    assert_eq!((&first[0]["labels"]["severity"], &first[0]["labels"]["team"]), (&"page".into(), &"power".into()));
    assert_eq!(first[0]["annotations"]["summary"], "a takes 150.0 W");
    let rules = data(&running.api, "/api/v1/rules").await;
    let group = &rules["groups"][0];
    assert_eq!((&group["name"], &group["interval"]), (&"energy".into(), &1.0.into()));
    assert_eq!((&group["rules"][0]["type"], &group["rules"][0]["health"]), (&"recording".into(), &"ok".into()));
    assert_eq!((&group["rules"][1]["state"], &group["rules"][1]["duration"]), (&"firing".into(), &1.0.into()));
    assert_eq!(data(&running.api, "/api/v1/alerts").await["alerts"][0]["state"], "firing");
    let recorded =
        query(&running.api, "node:watts:sum{kind=\"recorded\",team=\"power\"}", common::now_ms() as f64 / 1e3);
    assert_eq!(recorded.await["data"]["result"][0]["value"][1], "150");
    let series = query(&running.api, "ALERTS{alertstate=\"firing\"}", common::now_ms() as f64 / 1e3).await;
    assert_eq!(series["data"]["result"][0]["metric"]["alertname"], "TooHot");

    watts(50.0).await;
    let ended = until("the end", async || {
        let alerts = told.recv().await?;
        let ends: k8s_openapi::jiff::Timestamp = alerts[0]["endsAt"].as_str()?.parse().ok()?;
        (ends.as_millisecond() <= common::now_ms()).then_some(())
    });
    ended.await;
    assert_eq!(data(&running.api, "/api/v1/alerts").await["alerts"], serde_json::json!([]));
    until("the stale marker", async || {
        let series = query(&running.api, "ALERTS", common::now_ms() as f64 / 1e3).await;
        series["data"]["result"].as_array()?.is_empty().then_some(())
    })
    .await;
    running.stop().await;
}
