//! Who answers, how it is set up, and what it holds; rules, alerts and the form of queries.

use std::collections::HashMap;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::form::Form;
use super::{Api, respond};
use crate::query::promql::{self, QueryError};
use crate::receive::intake::now;
use crate::rules::{self, Wanted};

/// Gives the routes.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v1/status/buildinfo", get(buildinfo))
        .route("/api/v1/status/config", get(config))
        .route("/api/v1/status/flags", get(flags))
        .route("/api/v1/status/runtimeinfo", get(runtimeinfo))
        .route("/api/v1/status/tsdb", get(tsdb))
        .route("/api/v1/status/walreplay", get(walreplay))
        .route("/api/v1/format_query", get(format_query).post(format_query))
        .route("/api/v1/rules", get(of_rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/alertmanagers", get(alertmanagers))
}

fn answer(api: &Api, data: &Value) -> Response {
    respond(api, Ok(data.to_string()))
}

async fn buildinfo(State(api): State<Api>) -> Response {
    let data = json!({
        "version": env!("CARGO_PKG_VERSION"), "revision": "", "branch": "", "buildUser": "",
        // A build tells no time, so that it can be repeated; clients want one all the same.
        "buildDate": "19700101-00:00:00",
        "goVersion": "", "application": "wattle",
    });
    answer(&api, &data)
}

/// The configuration as Prometheus would have it: clients read the scrape interval from it.
async fn config(State(api): State<Api>) -> Response {
    let first = api.config.scrape.first();
    let (interval, timeout) = first.map_or((15, 10), |job| (job.interval.as_secs(), job.timeout.as_secs()));
    let evaluation = api.config.rules.interval.as_secs();
    let mut yaml = format!(
        "global:\n  scrape_interval: {}s\n  scrape_timeout: {}s\n  evaluation_interval: {evaluation}s\n",
        interval.max(1),
        timeout.max(1)
    );
    if !api.config.scrape.is_empty() {
        yaml.push_str("scrape_configs:\n");
    }
    for job in &api.config.scrape {
        let quoted = |text: &str| Value::from(text).to_string();
        let targets: Vec<String> = job.targets.iter().map(|target| quoted(&target.address)).collect();
        yaml.push_str(&format!(
            "- job_name: {}\n  scrape_interval: {}ms\n  metrics_path: {}\n  honor_labels: {}\n  static_configs:\n  - targets: [{}]\n",
            quoted(&job.name), job.interval.as_millis(), quoted(&job.path), job.honor_labels, targets.join(", ")
        ));
    }
    answer(&api, &json!({ "yaml": yaml }))
}

async fn flags(State(api): State<Api>) -> Response {
    let limits = &api.limits;
    let data = json!({
        "query.lookback-delta": format!("{}s", limits.lookback.as_secs()),
        "query.max-concurrency": limits.max_concurrent.to_string(),
        "query.max-samples": limits.max_samples.to_string(),
        "query.timeout": format!("{}s", limits.timeout.as_secs()),
        "storage.tsdb.retention.time": retention(&api),
        "web.enable-remote-write-receiver": "true",
    });
    answer(&api, &data)
}

fn retention(api: &Api) -> String {
    let seconds = api.config.retention.as_secs();
    if seconds.is_multiple_of(86_400) { format!("{}d", seconds / 86_400) } else { format!("{seconds}s") }
}

async fn runtimeinfo(State(api): State<Api>) -> Response {
    let data = json!({
        "startTime": rules::rfc3339(api.started), "CWD": "", "hostname": "", "serverTime": rules::rfc3339(now()),
        "reloadConfigSuccess": true, "lastConfigTime": rules::rfc3339(api.started), "corruptionCount": 0,
        "goroutineCount": 0, "GOMAXPROCS": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "GOMEMLIMIT": 0, "GOGC": "", "GODEBUG": "", "storageRetention": retention(&api),
    });
    answer(&api, &data)
}

/// The journal is replayed before the listener opens: who can ask this is told that it is done.
async fn walreplay(State(api): State<Api>) -> Response {
    answer(&api, &json!({ "min": 0, "max": 0, "current": 0 }))
}

async fn tsdb(State(api): State<Api>, form: Form) -> Response {
    let data = || {
        let limit = form.limit()?.min(10_000);
        let limit = if form.get("limit").is_none() { 10 } else { limit };
        let (mut by_metric, mut by_pair, mut bytes) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut values: HashMap<String, std::collections::HashSet<String>> = HashMap::new();
        let count = api.intake.samples.active(&promql_parser::label::Matchers::empty()).into_iter().map(|found| {
            *by_metric.entry(found.labels.metric_name().to_owned()).or_insert(0_usize) += 1;
            for (name, value) in found.labels.iter() {
                *by_pair.entry(format!("{name}={value}")).or_insert(0_usize) += 1;
                if values.entry(name.to_owned()).or_default().insert(value.to_owned()) {
                    *bytes.entry(name.to_owned()).or_insert(0_usize) += value.len();
                }
            }
        });
        let count = count.count();
        let names: HashMap<String, usize> = values.iter().map(|(name, values)| (name.clone(), values.len())).collect();
        Ok(json!({
            "headStats": {
                "numSeries": count, "numLabelPairs": by_pair.len(), "chunkCount": 0, "minTime": 0, "maxTime": now().0,
            },
            "seriesCountByMetricName": top(by_metric, limit),
            "labelValueCountByLabelName": top(names, limit),
            "memoryInBytesByLabelName": top(bytes, limit),
            "seriesCountByLabelValuePair": top(by_pair, limit),
        })
        .to_string())
    };
    respond(&api, data())
}

fn top(counts: HashMap<String, usize>, limit: usize) -> Value {
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.into_iter().take(limit).map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

async fn format_query(State(api): State<Api>, form: Form) -> Response {
    let query = form.get("query").unwrap_or("");
    let written = promql::parse_into(query, |query| Value::from(query.prettify()).to_string()).await;
    respond(&api, written)
}

async fn of_rules(State(api): State<Api>, form: Form) -> Response {
    let data = || match form.get("type") {
        kind @ (None | Some("alert" | "record")) => {
            let all = |name| form.all(name).collect();
            let (names, groups, files) = (all("rule_name[]"), all("rule_group[]"), all("file[]"));
            Ok(rules::groups(&api.groups, &Wanted { kind, names, groups, files }).to_string())
        }
        Some(other) => Err(QueryError::BadData(format!("invalid parameter \"type\": not supported value {other:?}"))),
    };
    respond(&api, data())
}

async fn alerts(State(api): State<Api>) -> Response {
    answer(&api, &rules::alerts(&api.groups))
}

async fn alertmanagers(State(api): State<Api>) -> Response {
    let url = |base: &String| json!({ "url": format!("{}/api/v2/alerts", base.trim_end_matches('/')) });
    let active: Vec<Value> = api.config.rules.alertmanager.iter().map(url).collect();
    answer(&api, &json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] }))
}
