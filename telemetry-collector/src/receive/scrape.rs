//! The scrape loop: one task a target.
//!
//! A target's first scrape is offset inside the interval by a hash of its name, so that targets do not answer all at
//! once. A series that was there at the last scrape and is not at this one gets a stale marker; a target that is down
//! ends all its series that way, and has `up` 0.

mod reader;
mod status;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wattle_contract::{Labels, METRIC_NAME};

use super::exposition::Format;
use super::intake::{Intake, METADATA_LIMIT, MetricMetadata, NOT_STORED, now};
use super::scrape_body::{HttpClient, ScrapeError, fetch};
use crate::config::{ScrapeJob, ScrapeTarget};
use crate::store::batch::{Batch, Which};
use crate::store::exemplars;
use crate::store::outcome::Reason;

pub(crate) use reader::{Reader, Reading, Refused, Rules, STALE};
pub(crate) use status::{Status, Statuses};

/// Declares every reason in the metrics before it happens.
pub(crate) fn declare(intake: &Intake) {
    for label in ScrapeError::LABELS {
        intake.metrics.scrape_failures.with_label_values(&[label]);
    }
    intake.metrics.rejected.with_label_values(&[NOT_STORED]);
    for reason in ["labels_too_long", "too_new", "no_series", NOT_STORED] {
        intake.metrics.exemplars_rejected.with_label_values(&[reason]);
    }
    for reason in Reason::ALL {
        intake.metrics.rejected.with_label_values(&[reason.label()]);
    }
}

/// One target and what the scrapes of it showed.
pub(crate) struct Scraper {
    intake: Intake,
    client: HttpClient,
    uri: Uri,
    job: Arc<ScrapeJob>,
    address: String,
    reader: Reader,
    was_up: Option<bool>,
    described: Arc<[Arc<str>]>,
}

/// What is told of a scrape beside its samples.
struct Report {
    scraped: usize,
    added: usize,
    body_bytes: usize,
}

impl Scraper {
    pub(crate) fn new(intake: Intake, client: HttpClient, job: Arc<ScrapeJob>, target: &ScrapeTarget) -> Option<Self> {
        let uri = format!("http://{}{}", target.address, job.path).parse().ok()?;
        let mut labels = vec![("job".to_owned(), job.name.clone()), ("instance".to_owned(), target.address.clone())];
        labels.retain(|(name, _)| !target.labels.iter().any(|(own, _)| own == name));
        labels.extend(target.labels.iter().cloned());
        let reader = Reader::new(Rules {
            target: labels,
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            sample_limit: job.sample_limit,
            label_limit: job.label_limit,
        });
        let address = target.address.clone();
        Some(Self { intake, client, uri, job, address, reader, was_up: None, described: Arc::default() })
    }

    /// Scrapes until told to stop; the target goes on, so its series are not ended.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval_at(Instant::now() + self.offset(), self.job.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.scrape() => {}
            }
        }
    }

    fn offset(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        self.uri.hash(&mut hasher);
        self.job.interval.mul_f64((hasher.finish() % 1_000) as f64 / 1_000.0)
    }

    async fn scrape(&mut self) {
        let (time, started) = (now(), Instant::now());
        self.intake.metrics.scrapes.inc();
        self.reader.begin();
        let fetched = fetch(&self.client, &self.uri, self.job.timeout, self.job.body_limit_bytes).await;
        let mut outcome = Ok(());
        let (body, format) = fetched.unwrap_or_else(|error| {
            outcome = Err(error);
            (String::new(), Format::Text)
        });
        let mut stored = self.store(&body, format, time.0, started, &mut outcome).await;
        if matches!(stored, Ok(gone) if gone > 0) {
            // Series left the memory while the target was away; what was stored is a duplicate now.
            let samples = &self.intake.samples;
            self.reader.purge(|at| samples.read(|head| head.get(at).is_some()));
            stored = self.store(&body, format, time.0, started, &mut outcome).await;
        }
        self.report(time.0, started.elapsed(), outcome.and(stored.map(drop).map_err(ScrapeError::from)));
    }

    /// Reads and stores; gives for how many samples the series were not in the store any more.
    async fn store(
        &mut self,
        body: &str,
        format: Format,
        time: i64,
        started: Instant,
        outcome: &mut Result<(), ScrapeError>,
    ) -> Result<usize, crate::Error> {
        let mut reading = Reading::default();
        if outcome.is_ok() {
            match self.reader.read(body, format, time) {
                Ok(read) => reading = read,
                Err(refused) => *outcome = Err(refused.into()),
            }
        }
        self.describe(std::mem::take(&mut reading.metadata));
        let report = Report { scraped: reading.scraped, added: reading.added(), body_bytes: body.len() };
        let exemplars = self.owners(&mut reading);
        let mut batch = std::mem::take(&mut reading.batch);
        self.reader.end_missing(&mut batch, time);
        self.add_own(&mut batch, time, started, outcome.is_ok(), &report);
        let count = batch.rows.len() as u64;
        match self.intake.append(batch).await {
            Ok(appended) => {
                self.intake.count("scrape", &appended);
                self.reader.settle(&reading, &appended.refs);
                self.intake.exemplars("scrape", exemplars).await?;
                Ok(appended.gone)
            }
            Err(error) => {
                // Nobody sends them again.
                self.intake.metrics.rejected.with_label_values(&[NOT_STORED]).inc_by(count);
                self.reader.unsettle();
                Err(error)
            }
        }
    }

    /// Gives each exemplar with the labels of its series.
    fn owners(&self, reading: &mut Reading<'_>) -> Vec<exemplars::Of> {
        let found = std::mem::take(&mut reading.exemplars);
        let named = &reading.batch.labels;
        self.intake.samples.read(|head| {
            let labels = |which| match which {
                Which::Known(at) => head.get(at).map(|series| head.labels(series)),
                Which::Named(at) => named.get(at as usize).cloned(),
            };
            found.into_iter().filter_map(|(which, exemplar)| Some((labels(which)?, exemplar))).collect()
        })
    }

    /// Adds the series that tell of the scrape, as Prometheus has them.
    fn add_own(&self, batch: &mut Batch, time: i64, started: Instant, is_up: bool, report: &Report) {
        for (name, value) in [
            ("up", f64::from(u8::from(is_up))),
            ("scrape_duration_seconds", started.elapsed().as_secs_f64()),
            ("scrape_samples_scraped", report.scraped as f64),
            ("scrape_samples_post_metric_relabeling", report.scraped as f64),
            ("scrape_series_added", report.added as f64),
            ("scrape_timeout_seconds", self.job.timeout.as_secs_f64()),
            ("scrape_body_size_bytes", report.body_bytes as f64),
        ] {
            let target = self.reader.rules().target.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels = Labels::new(std::iter::once((METRIC_NAME, name)).chain(target));
            let series = batch.name(labels);
            batch.push(series, time, value);
        }
    }

    fn describe(&mut self, metadata: Vec<reader::Described<'_>>) {
        if metadata.is_empty() {
            return;
        }
        let mut described: Vec<Arc<str>> = Vec::new();
        let mut known = self.intake.metadata.write();
        for (keyword, metric, text) in metadata {
            if !known.contains_key(metric) {
                if known.len() >= METADATA_LIMIT {
                    continue;
                }
                known.insert(metric.into(), MetricMetadata { kind: "unknown".to_owned(), ..Default::default() });
            }
            if described.last().is_none_or(|last| **last != *metric) {
                described.extend(known.get_key_value(metric).map(|(name, _)| name.clone()));
            }
            let Some(entry) = known.get_mut(metric) else { continue };
            let field = match keyword {
                "TYPE" => &mut entry.kind,
                "HELP" => &mut entry.help,
                _ => &mut entry.unit,
            };
            if *field != text {
                *field = text.into_owned();
            }
        }
        self.described = described.into();
    }

    fn report(&mut self, at: i64, took: Duration, outcome: Result<(), ScrapeError>) {
        let is_up = outcome.is_ok();
        let error = outcome.as_ref().err().map(ToString::to_string);
        let status = Status { at, took, error, described: self.described.clone() };
        self.intake.targets.write().insert((self.job.name.clone(), self.address.clone()), status);
        if let Err(error) = outcome {
            self.intake.metrics.scrape_failures.with_label_values(&[error.label()]).inc();
            if self.was_up != Some(false) {
                tracing::warn!(target.url = %self.uri, %error, "scrape failed");
            }
        } else if self.was_up == Some(false) {
            tracing::info!(target.url = %self.uri, "target is back");
        }
        self.was_up = Some(is_up);
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::client::legacy::Client;
    use hyper_util::client::legacy::connect::HttpConnector;
    use hyper_util::rt::TokioExecutor;

    use super::*;

    #[tokio::test]
    async fn what_was_scraped_while_the_store_failed_is_counted() {
        let dir = tempfile::tempdir().expect("a folder");
        let intake = Intake::of_a_closed_store(dir.path()).await;
        let target = ScrapeTarget { address: "127.0.0.1:1".to_owned(), labels: Vec::new() };
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        let mut scraper = Scraper::new(intake.clone(), client, Arc::default(), &target).expect("an address");

        scraper.scrape().await;

        // `up` and the others of a target that is down.
        assert_eq!(intake.metrics.rejected.with_label_values(&[NOT_STORED]).get(), 7);
    }
}
