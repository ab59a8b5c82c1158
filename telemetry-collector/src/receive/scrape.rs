//! The scrape loop: one task a target.
//!
//! A target's first scrape is offset inside the interval by a hash of its name, so that targets do not answer all at
//! once. A series that was there at the last scrape and is not at this one gets a stale marker; a target that is down
//! ends all its series that way, and has `up` 0.

mod client;
mod reader;
mod trust;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wattle_contract::{Labels, METRIC_NAME, Timestamp};

use super::exposition::Format;
use super::intake::{Intake, METADATA_LIMIT, MetricMetadata, NOT_STORED, now};
use super::scrape_body::{ScrapeError, fetch};
use crate::config::ScrapeJob;
use crate::discover::{Health, Status, Target};
use crate::store::batch::{Batch, Which};
use crate::store::exemplars;
use crate::store::outcome::Reason;

pub(crate) use client::Client;
pub(crate) use reader::{Reader, Reading, Refused, Rules, STALE};

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
    client: Client,
    uri: Uri,
    job: Arc<ScrapeJob>,
    target: Arc<Target>,
    reader: Reader,
    status: Arc<Mutex<Status>>,
    described: Arc<[Arc<str>]>,
}

/// The series that tell of a scrape.
const OWN: [(Own, &str); 7] = [
    (Own::Up, "up"),
    (Own::Duration, "scrape_duration_seconds"),
    (Own::Scraped, "scrape_samples_scraped"),
    (Own::Kept, "scrape_samples_post_metric_relabeling"),
    (Own::Added, "scrape_series_added"),
    (Own::Timeout, "scrape_timeout_seconds"),
    (Own::Body, "scrape_body_size_bytes"),
];

/// One of the series that tell of a scrape.
#[derive(Clone, Copy)]
enum Own {
    Up,
    Duration,
    Scraped,
    Kept,
    Added,
    Timeout,
    Body,
}

/// What is told of a scrape beside its samples.
struct Report {
    scraped: usize,
    kept: usize,
    added: usize,
    body_bytes: usize,
}

impl Scraper {
    pub(crate) fn new(
        intake: Intake,
        client: Client,
        job: Arc<ScrapeJob>,
        target: Arc<Target>,
        status: Arc<Mutex<Status>>,
    ) -> Self {
        let reader = Reader::new(Rules {
            target: target.labels.clone().into_iter().collect(),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            sample_limit: job.sample_limit,
            label_limit: job.label_limit,
            relabel: job.metric_relabel.clone(),
        });
        // Looked at when the target was made of what was discovered.
        let uri = target.url.parse().unwrap_or_default();
        Self { intake, client, uri, job, target, reader, status, described: Arc::default() }
    }

    /// Scrapes until told to stop. A target that is `gone` has its series ended; at a `shutdown` it goes on.
    pub(crate) async fn run(mut self, gone: CancellationToken, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval_at(Instant::now() + self.offset(), self.target.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = gone.cancelled() => return self.end().await,
                _ = tick.tick() => {}
            }
            // Not broken off when the target goes: what is stored of it is to be known, so that it can be ended.
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.scrape() => {}
            }
        }
    }

    /// Ends every series of the target.
    async fn end(&mut self) {
        let time = now().0;
        let mut batch = Batch::default();
        self.reader.begin();
        self.reader.end_missing(&mut batch, time);
        if self.status.lock().health != Health::Unknown {
            self.add_own(&mut batch, time, |_| f64::from_bits(STALE));
        }
        if let Err(error) = self.intake.append(batch).await {
            tracing::warn!(target.url = %self.uri, %error, "the series of a target that is gone were not ended");
        }
    }

    fn offset(&self) -> Duration {
        let mut hasher = DefaultHasher::new();
        self.uri.hash(&mut hasher);
        self.target.interval.mul_f64((hasher.finish() % 1_000) as f64 / 1_000.0)
    }

    async fn scrape(&mut self) {
        let (time, started) = (now(), Instant::now());
        self.intake.metrics.scrapes.inc();
        self.reader.begin();
        let fetched = fetch(&self.client, &self.uri, self.target.timeout, self.job.body_limit_bytes).await;
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
        self.report(outcome.and(stored.map(drop).map_err(ScrapeError::from)), time, started.elapsed());
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
        let report = Report {
            scraped: reading.scraped,
            kept: reading.batch.rows.len(),
            added: reading.added(),
            body_bytes: body.len(),
        };
        let exemplars = self.owners(&mut reading);
        let mut batch = std::mem::take(&mut reading.batch);
        self.reader.end_missing(&mut batch, time);
        let is_up = f64::from(u8::from(outcome.is_ok()));
        self.add_own(&mut batch, time, |own| match own {
            Own::Up => is_up,
            Own::Duration => started.elapsed().as_secs_f64(),
            Own::Scraped => report.scraped as f64,
            Own::Kept => report.kept as f64,
            Own::Added => report.added as f64,
            Own::Timeout => self.target.timeout.as_secs_f64(),
            Own::Body => report.body_bytes as f64,
        });
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
    fn add_own(&self, batch: &mut Batch, time: i64, value: impl Fn(Own) -> f64) {
        for (own, name) in OWN {
            let target = self.target.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let labels = Labels::new(std::iter::once((METRIC_NAME, name)).chain(target));
            let series = batch.name(labels);
            batch.push(series, time, value(own));
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

    fn report(&mut self, outcome: Result<(), ScrapeError>, time: Timestamp, took: Duration) {
        let mut status = self.status.lock();
        let was = status.health;
        *status =
            Status { health: Health::Up, error: String::new(), at: time, took, described: self.described.clone() };
        if let Err(error) = outcome {
            self.intake.metrics.scrape_failures.with_label_values(&[error.label()]).inc();
            status.health = Health::Down;
            status.error = error.to_string();
            if was != Health::Down {
                tracing::warn!(target.url = %self.uri, %error, "scrape failed");
            }
        } else if was == Health::Down {
            tracing::info!(target.url = %self.uri, "target is back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_scraped_while_the_store_failed_is_counted() {
        let dir = tempfile::tempdir().expect("a folder");
        let intake = Intake::of_a_closed_store(dir.path()).await;
        let job = Arc::new(ScrapeJob::default());
        let client = Client::new(&job).expect("a client");
        let target = Target {
            url: "http://127.0.0.1:1/metrics".to_owned(),
            labels: [("job".to_owned(), "a".to_owned())].into(),
            interval: job.interval,
            timeout: job.timeout,
            discovered: std::collections::BTreeMap::new(),
        };
        let status = Arc::<Mutex<Status>>::default();
        let mut scraper = Scraper::new(intake.clone(), client, job, Arc::new(target), status.clone());

        scraper.scrape().await;

        // `up` and the others of a target that is down.
        assert_eq!(intake.metrics.rejected.with_label_values(&[NOT_STORED]).get(), 7);
        assert_eq!(status.lock().health, Health::Down);
        assert!(status.lock().error.contains("connection"), "{}", status.lock().error);
    }
}
