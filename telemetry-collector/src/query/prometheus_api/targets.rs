//! What is scraped and how it went.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use promql_parser::label::Matcher;
use promql_parser::util::display_duration;
use serde_json::{Value as Json, json};
use wattle_contract::Timestamp;

use super::form::Form;
use super::{Api, metadata, respond};
use crate::config::{ScrapeJob, ScrapeTarget};
use crate::query::promql::QueryError;
use crate::receive::scrape::Status;
use crate::rules::rfc3339;

/// Gives the routes.
pub(super) fn routes() -> Router<Api> {
    Router::new().route("/api/v1/targets", get(targets)).route("/api/v1/targets/metadata", get(of_targets))
}

/// Labels by name.
type Labels<'a> = BTreeMap<&'a str, &'a str>;

async fn targets(State(api): State<Api>, form: Form) -> Response {
    let state = form.get("state").unwrap_or("any").to_ascii_lowercase();
    let (with_active, with_dropped) = (state != "dropped", state != "active");
    let wanted = form.get("scrapePool");
    let jobs = || api.config.scrape.iter().filter(|job| wanted.is_none_or(|wanted| wanted == job.name));
    let known = api.intake.targets.read();
    let (mut active, mut dropped, mut counts) = (Vec::new(), Vec::new(), BTreeMap::new());
    for job in jobs() {
        counts.insert(job.name.as_str(), 0);
        for target in &job.targets {
            let url = target_url(job, target);
            if url.parse::<http::Uri>().is_err() {
                // What is no address is never scraped.
                dropped.push(json!({ "discoveredLabels": discovered(job, target), "scrapePool": job.name }));
                *counts.entry(job.name.as_str()).or_insert(0) += 1;
                continue;
            }
            let status = known.get(&(job.name.clone(), target.address.clone()));
            active.push(written(job, target, &url, status));
        }
    }
    if !with_active {
        active.clear();
    }
    if !with_dropped {
        dropped.clear();
    }
    let counts = if with_dropped { json!(counts) } else { Json::Null };
    let data = json!({ "activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts });
    respond(&api, Ok(data.to_string()))
}

fn target_url(job: &ScrapeJob, target: &ScrapeTarget) -> String {
    format!("http://{}{}", target.address, job.path)
}

fn written(job: &ScrapeJob, target: &ScrapeTarget, url: &str, status: Option<&Status>) -> Json {
    let health = match status {
        Some(Status { error: None, .. }) => "up",
        Some(_) => "down",
        None => "unknown",
    };
    json!({
        "discoveredLabels": discovered(job, target),
        "labels": labels(job, target),
        "scrapePool": job.name,
        "scrapeUrl": url,
        "globalUrl": url,
        "lastError": status.and_then(|status| status.error.as_deref()).unwrap_or(""),
        "lastScrape": status.map_or("0001-01-01T00:00:00Z".to_owned(), |status| rfc3339(Timestamp(status.at))),
        "lastScrapeDuration": status.map_or(0.0, |status| status.took.as_secs_f64()),
        "health": health,
        "scrapeInterval": display_duration(&job.interval),
        "scrapeTimeout": display_duration(&job.timeout),
    })
}

/// The labels that every sample of a target gets.
fn labels<'a>(job: &'a ScrapeJob, target: &'a ScrapeTarget) -> Labels<'a> {
    let mut labels = Labels::from([("job", job.name.as_str()), ("instance", target.address.as_str())]);
    labels.extend(target.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    labels
}

/// What a target is before labels are made of it, in Prometheus's names.
fn discovered(job: &ScrapeJob, target: &ScrapeTarget) -> BTreeMap<String, String> {
    let own = target.labels.iter().cloned();
    let made = [
        ("__address__", target.address.clone()),
        ("__metrics_path__", job.path.clone()),
        ("__scheme__", "http".to_owned()),
        ("__scrape_interval__", display_duration(&job.interval)),
        ("__scrape_timeout__", display_duration(&job.timeout)),
        ("job", job.name.clone()),
    ];
    made.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(own).collect()
}

/// Answers `/api/v1/targets/metadata`: what each target says of its metrics.
async fn of_targets(State(api): State<Api>, form: Form) -> Response {
    let answer = || {
        let matchers = match form.get("match_target") {
            Some(text) => metadata::selector(text, "match_target")?.matchers,
            None => Vec::new(),
        };
        let (metric, mut left) = (form.get("metric"), form.limit()?);
        let (known, described) = (api.intake.targets.read(), api.intake.metadata.read());
        let mut entries = Vec::new();
        for (job, target) in
            api.config.scrape.iter().flat_map(|job| job.targets.iter().map(move |target| (job, target)))
        {
            let labels = labels(job, target);
            let is_wanted = |one: &Matcher| one.is_match(labels.get(one.name.as_str()).copied().unwrap_or(""));
            if !matchers.iter().all(is_wanted) {
                continue;
            }
            let Some(status) = known.get(&(job.name.clone(), target.address.clone())) else { continue };
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
