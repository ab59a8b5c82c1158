//! What is scraped and how it went.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use promql_parser::label::Matcher;
use promql_parser::util::display_duration;
use serde_json::{Value as Json, json};

use super::form::Form;
use super::{Api, metadata, respond};
use crate::discover::{Active, Health};
use crate::query::promql::QueryError;
use crate::rules::rfc3339;

/// Gives the routes.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/targets", get(targets)).route("/api/v1/targets/metadata", get(of_targets))
}

async fn targets(State(api): State<Api>, form: Form) -> Response {
    let state = form.get("state").unwrap_or("any").to_ascii_lowercase();
    let (with_active, with_dropped) = (state != "dropped", state != "active");
    let wanted = form.get("scrapePool");
    let (mut active, mut dropped, mut counts) = (Vec::new(), Vec::new(), BTreeMap::new());
    let jobs = api.intake.board.all();
    for (job, targets) in jobs.iter().filter(|(job, _)| wanted.is_none_or(|wanted| wanted == job.as_str())) {
        counts.insert(job.as_str(), targets.dropped_count);
        if with_active {
            active.extend(targets.active.iter().map(|one| written(job, one)));
        }
        if with_dropped {
            let labels = targets.dropped.iter();
            dropped.extend(labels.map(|labels| json!({ "discoveredLabels": labels, "scrapePool": job })));
        }
    }
    let counts = if with_dropped { json!(counts) } else { Json::Null };
    let data = json!({ "activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts });
    respond(&api, Ok(data.to_string()))
}

fn written(job: &str, Active { target, status }: &Active) -> Json {
    let status = status.lock();
    let last = match status.health {
        Health::Unknown => "0001-01-01T00:00:00Z".to_owned(),
        _ => rfc3339(status.at),
    };
    json!({
        "discoveredLabels": target.discovered,
        "labels": target.labels,
        "scrapePool": job,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": status.error,
        "lastScrape": last,
        "lastScrapeDuration": status.took.as_secs_f64(),
        "health": status.health.word(),
        "scrapeInterval": display_duration(&target.interval),
        "scrapeTimeout": display_duration(&target.timeout),
    })
}

/// Answers `/api/v1/targets/metadata`: what each target says of its metrics.
async fn of_targets(State(api): State<Api>, form: Form) -> Response {
    let answer = || {
        let matchers = match form.get("match_target") {
            Some(text) => metadata::selector(text, "match_target")?.matchers,
            None => Vec::new(),
        };
        let (metric, mut left) = (form.get("metric"), form.limit()?);
        let described = api.intake.metadata.read();
        let mut entries = Vec::new();
        for Active { target, status } in api.intake.board.all().values().flat_map(|job| &job.active) {
            let labels = &target.labels;
            let is_wanted = |one: &Matcher| one.is_match(labels.get(&one.name).map_or("", String::as_str));
            if !matchers.iter().all(is_wanted) {
                continue;
            }
            let status = status.lock();
            for name in status.described.iter().filter(|name| metric.is_none_or(|metric| *metric == ***name)) {
                let Some(entry) = described.get(name).filter(|_| left > 0) else { continue };
                left -= 1;
                let mut written =
                    json!({ "target": labels, "type": entry.kind, "help": entry.help, "unit": entry.unit });
                if metric.is_none() {
                    written["metric"] = name.as_ref().into();
                }
                entries.push(written);
            }
        }
        Ok::<String, QueryError>(Json::from(entries).to_string())
    };
    respond(&api, answer())
}
