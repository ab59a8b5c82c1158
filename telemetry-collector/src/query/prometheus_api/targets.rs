//! What is scraped and how it went, read from the series that each scrape leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value as Json, json};

use super::form::Form;
use super::{Api, respond};
use crate::query::promql::{self, Grid, QueryError, Run, Value};
use crate::receive::intake::now;
use crate::rules::rfc3339;

/// Job and instance to a number.
type ByTarget = BTreeMap<(String, String), f64>;

/// Answers `/api/v1/targets`.
pub(super) async fn targets(State(api): State<Api>, form: Form) -> Response {
    let answer = async {
        let up = ask(&api, "up").await?;
        let at = ask(&api, "timestamp(up)").await?;
        let took = ask(&api, "scrape_duration_seconds").await?;
        let is_wanted = !matches!(form.get("state"), Some("dropped"));
        let mut active = Vec::new();
        for job in api.config.scrape.iter().filter(|_| is_wanted) {
            for target in &job.targets {
                let own = target.labels.iter().find(|(name, _)| name == "instance");
                let instance = own.map_or(&target.address, |(_, value)| value);
                let key = (job.name.clone(), instance.clone());
                let health = match up.get(&key) {
                    Some(1.0) => "up",
                    Some(_) => "down",
                    None => "unknown",
                };
                let mut labels: BTreeMap<&str, &str> =
                    target.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                labels.insert("job", &job.name);
                labels.insert("instance", instance);
                let last = at.get(&key).map_or(0, |seconds| (seconds * 1000.0) as i64);
                active.push(json!({
                    "discoveredLabels": {
                        "__address__": target.address, "__metrics_path__": job.path, "__scheme__": "http",
                        "job": job.name,
                    },
                    "labels": labels, "scrapePool": job.name,
                    "scrapeUrl": format!("http://{}{}", target.address, job.path),
                    "globalUrl": format!("http://{}{}", target.address, job.path),
                    "lastError": if health == "down" { "the last scrape failed: see the log" } else { "" },
                    "lastScrape": rfc3339(wattle_contract::Timestamp(last)),
                    "lastScrapeDuration": took.get(&key).copied().unwrap_or(0.0), "health": health,
                    "scrapeInterval": format!("{}ms", job.interval.as_millis()),
                    "scrapeTimeout": format!("{}ms", job.timeout.as_millis()),
                }));
            }
        }
        let data = json!({ "activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {} });
        Ok::<String, QueryError>(Json::to_string(&data))
    };
    respond(&api, answer.await)
}

async fn ask(api: &Api, query: &str) -> Result<ByTarget, QueryError> {
    let grid = Grid { start: now().0, step: 1, count: 1 };
    let run = Run { limits: api.limits, timeout: api.limits.timeout, budget: api.budget.clone() };
    let (value, _) = promql::evaluate(&api.intake.samples, Arc::new(promql::parse(query)?), grid, run).await?;
    let Value::Vector(series) = value else { return Ok(ByTarget::new()) };
    let mut found = ByTarget::new();
    for one in series {
        let label = |name: &str| one.labels.get(name).unwrap_or("").to_owned();
        if let Some(&value) = one.values.first().filter(|value| !promql::is_absent(**value)) {
            found.insert((label("job"), label("instance")), value);
        }
    }
    Ok(found)
}
