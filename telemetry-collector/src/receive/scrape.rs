//! The scrape loop: one task a target.
//!
//! A target's first scrape is offset inside the interval by a hash of its name, so that targets do not answer all at
//! once. A series that was there at the last scrape and is not at this one gets a stale marker; a target that is down
//! ends all its series that way, and has `up` 0.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use wattle_contract::{Labels, METRIC_NAME, Sample, Timestamp};

use super::exposition::{Format, Item, Parser, labels_of};
use super::intake::{Intake, MetricMetadata, now};
use super::scrape_body::{HttpClient, ScrapeError, fetch};
use crate::config::{ScrapeJob, ScrapeTarget};
use crate::store::outcome::Reason;

/// The bits by which Prometheus marks the end of a series (`model/value`, `StaleNaN`).
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The reason by which scraped samples are counted that the store did not take.
const NOT_STORED: &str = "not_stored";

/// Metrics whose help is kept; a target with more has them counted but not described.
const METADATA_LIMIT: usize = 20_000;

/// Declares every reason in the metrics before it happens.
pub(crate) fn declare(intake: &Intake) {
    for label in ScrapeError::LABELS {
        intake.metrics.scrape_failures.with_label_values(&[label]);
    }
    intake.metrics.rejected.with_label_values(&[NOT_STORED]);
    for reason in Reason::ALL {
        intake.metrics.rejected.with_label_values(&[reason.label()]);
    }
}

/// One target and what the last scrape of it showed.
pub(crate) struct Scraper {
    intake: Intake,
    client: HttpClient,
    uri: Uri,
    job: Arc<ScrapeJob>,
    /// `job`, `instance` and the configured labels.
    target: Vec<(String, String)>,
    /// Series as written to what it is stored as.
    known: HashMap<String, Labels>,
    /// What the last scrape brought without a time of its own.
    live: HashSet<Labels>,
    was_up: Option<bool>,
}

impl Scraper {
    pub(crate) fn new(intake: Intake, client: HttpClient, job: Arc<ScrapeJob>, target: &ScrapeTarget) -> Option<Self> {
        let uri = format!("http://{}{}", target.address, job.path).parse().ok()?;
        let mut labels = vec![("job".to_owned(), job.name.clone()), ("instance".to_owned(), target.address.clone())];
        labels.retain(|(name, _)| !target.labels.iter().any(|(own, _)| own == name));
        labels.extend(target.labels.iter().cloned());
        Some(Self {
            intake,
            client,
            uri,
            job,
            target: labels,
            known: HashMap::new(),
            live: HashSet::new(),
            was_up: None,
        })
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
        let fetched = fetch(&self.client, &self.uri, self.job.timeout, self.job.body_limit_bytes).await;
        let taken = fetched.and_then(|(body, format)| self.read(&body, format, time).map_err(ScrapeError::from));
        let (mut batch, live, outcome) = match taken {
            Ok((batch, live)) => (batch, live, Ok(())),
            Err(error) => (Vec::new(), HashSet::new(), Err(error)),
        };
        let scraped = batch.len();
        let ended = self.live.difference(&live).map(|labels| sample(labels.clone(), time, f64::from_bits(STALE)));
        batch.extend(ended);
        for (name, value) in [
            ("up", f64::from(u8::from(outcome.is_ok()))),
            ("scrape_duration_seconds", started.elapsed().as_secs_f64()),
            ("scrape_samples_scraped", scraped as f64),
        ] {
            let own = [(METRIC_NAME.to_owned(), name.to_owned())];
            batch.push(sample(Labels::new(own.into_iter().chain(self.target.iter().cloned())), time, value));
        }
        let count = batch.len() as u64;
        let stored = self.intake.samples("scrape", batch).await.map(|_| self.live = live);
        if stored.is_err() {
            // Nobody sends them again.
            self.intake.metrics.rejected.with_label_values(&[NOT_STORED]).inc_by(count);
        }
        self.report(outcome.and(stored.map_err(ScrapeError::from)));
    }

    /// Reads a whole exposition, or nothing of it.
    fn read(
        &mut self,
        body: &str,
        format: Format,
        time: Timestamp,
    ) -> Result<(Vec<Sample>, HashSet<Labels>), super::exposition::ParseError> {
        let (mut batch, mut live) = (Vec::new(), HashSet::with_capacity(self.live.len()));
        let mut metadata: Vec<(&str, &str, std::borrow::Cow<'_, str>)> = Vec::new();
        let mut seen = 0;
        for item in Parser::new(body, format) {
            match item? {
                Item::Metadata(keyword, metric, text) => metadata.push((keyword, metric, text)),
                Item::Sample(raw) => {
                    seen += 1;
                    let labels = match self.known.get(raw.series) {
                        Some(labels) => labels.clone(),
                        None => {
                            let labels = self.labels(raw.series);
                            self.known.insert(raw.series.to_owned(), labels.clone());
                            labels
                        }
                    };
                    if raw.time.is_none() {
                        live.insert(labels.clone());
                    }
                    batch.push(sample(labels, raw.time.map_or(time, Timestamp), raw.value));
                }
            }
        }
        // Series come and go (a process each): what is known is bounded by what is there.
        if self.known.len() > 2 * seen + 1_000 {
            self.known.retain(|_, labels| live.contains(labels));
        }
        self.describe(metadata);
        Ok((batch, live))
    }

    /// Puts the target's labels to those of a series; of two with one name the collector's wins unless told otherwise.
    fn labels(&self, series: &str) -> Labels {
        let mut labels = labels_of(series).unwrap_or_default();
        for (name, value) in &self.target {
            match labels.iter_mut().find(|(own, _)| own == name) {
                Some(_) if self.job.honor_labels => continue,
                Some(own) => own.0 = format!("exported_{name}"),
                None => {}
            }
            labels.push((name.clone(), value.clone()));
        }
        Labels::new(labels)
    }

    fn describe(&self, metadata: Vec<(&str, &str, std::borrow::Cow<'_, str>)>) {
        let mut known = self.intake.metadata.write();
        for (keyword, metric, text) in metadata {
            if !known.contains_key(metric) {
                if known.len() >= METADATA_LIMIT {
                    continue;
                }
                known.insert(metric.to_owned(), MetricMetadata { kind: "unknown".to_owned(), ..Default::default() });
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
    }

    fn report(&mut self, outcome: Result<(), ScrapeError>) {
        let is_up = outcome.is_ok();
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

const fn sample(labels: Labels, timestamp: Timestamp, value: f64) -> Sample {
    Sample { labels, timestamp, value }
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

        // `up` and the other two of a target that is down.
        assert_eq!(intake.metrics.rejected.with_label_values(&[NOT_STORED]).get(), 3);
    }
}
