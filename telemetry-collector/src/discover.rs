//! What is scraped: targets that are named, in files or in Kubernetes, made of what is discovered by the job's rules.
//!
//! A job has a [`Pool`]. Its sources say all they know whenever that changes; the pool starts a scraper for each target
//! that is new and ends those that are gone, their series with stale markers. A target that stays is not disturbed.

mod board;
mod file;
pub(crate) mod kubernetes;
mod relabel;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::{ScrapeJob, ScrapeTarget};
use crate::metrics::Metrics;
use crate::receive::intake::Intake;
use crate::receive::scrape::{Client, Scraper};

pub(crate) use board::{Active, Board, Health, Status};
pub use file::FileDiscovery;
pub use kubernetes::{KubernetesDiscovery, Role, Selector};
pub use relabel::Relabel;
pub(crate) use relabel::{Labelled, relabel};
pub(crate) use target::Target;
use target::{Made, target_of};

/// How long news are waited for before they are acted on: sources tell a burst of them.
const SETTLE: Duration = Duration::from_millis(200);

/// All that a source knows, before relabelling.
type Found = Vec<Labelled>;

/// What makes a target another one.
type Key = (String, Labelled, Duration, Duration);

/// Where a source tells what it knows.
struct Source {
    at: usize,
    sender: mpsc::Sender<(usize, Found)>,
    metrics: Metrics,
    job: String,
}

/// Nobody listens to a source any more.
struct NobodyListens;

impl Source {
    /// Tells all that is known now.
    async fn found(&self, found: Found) -> Result<(), NobodyListens> {
        self.sender.send((self.at, found)).await.map_err(|_| NobodyListens)
    }

    /// Tells that looking failed: what was known stays.
    fn failed(&self, way: &'static str, reason: &str) {
        self.metrics.discovery_failures.with_label_values(&[way]).inc();
        tracing::warn!(job = self.job, way, reason, "targets were not discovered; what was known of them stays");
    }
}

/// Gives the labels of a target that is named with its address.
fn labels_of(target: &ScrapeTarget) -> Labelled {
    let mut labels: Labelled = target.labels.iter().cloned().collect();
    labels.insert("__address__".to_owned(), target.address.clone());
    labels
}

/// The targets of one job.
pub(crate) struct Pool {
    intake: Intake,
    client: Client,
    job: Arc<ScrapeJob>,
    /// What each source knows.
    found: Vec<Found>,
    running: BTreeMap<Key, Running>,
    scrapers: JoinSet<()>,
}

struct Running {
    /// Ends the scraper: the target is gone.
    gone: CancellationToken,
    active: Active,
}

impl Pool {
    pub(crate) fn new(intake: Intake, client: Client, job: Arc<ScrapeJob>) -> Self {
        Self { intake, client, job, found: Vec::new(), running: BTreeMap::new(), scrapers: JoinSet::new() }
    }

    /// Scrapes the job's targets, whatever they are, until told to stop.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let (sender, mut news) = mpsc::channel(16);
        let mut sources = JoinSet::new();
        self.found.push(self.job.targets.iter().map(labels_of).collect());
        for discovery in self.job.files.clone() {
            let source = self.source(&sender);
            sources.spawn(file::watch(discovery, source));
        }
        for discovery in self.job.kubernetes.clone() {
            let source = self.source(&sender);
            sources.spawn(kubernetes::watch(discovery, source));
        }
        self.act(&shutdown);
        loop {
            let (at, found) = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(new) = news.recv() => new,
                // One that has ended is of a target that is gone.
                Some(_) = self.scrapers.join_next() => continue,
            };
            self.found[at] = found;
            tokio::time::sleep(SETTLE).await;
            while let Ok((at, found)) = news.try_recv() {
                self.found[at] = found;
            }
            self.act(&shutdown);
        }
        while self.scrapers.join_next().await.is_some() {}
    }

    fn source(&mut self, sender: &mpsc::Sender<(usize, Found)>) -> Source {
        self.found.push(Found::new());
        Source {
            at: self.found.len() - 1,
            sender: sender.clone(),
            metrics: self.intake.metrics.clone(),
            job: self.job.name.clone(),
        }
    }

    /// Starts and ends scrapers so that they are those of the targets there are.
    fn act(&mut self, shutdown: &CancellationToken) {
        let mut wanted = BTreeMap::new();
        let mut dropped = Vec::new();
        for labels in self.found.iter().flatten() {
            match target_of(&self.job, labels.clone()) {
                Made::Target(target) => {
                    wanted.insert(key(&target), *target);
                }
                Made::Dropped(labels) => dropped.push(labels),
                Made::Invalid(labels, reason) => {
                    let address = labels.get("__address__").map_or("", String::as_str);
                    tracing::error!(job = self.job.name, address, reason, "target cannot be scraped");
                    dropped.push(labels);
                }
            }
        }
        self.running.retain(|key, running| {
            let stays = wanted.contains_key(key);
            if !stays {
                running.gone.cancel();
            }
            stays
        });
        for (key, target) in wanted {
            if let Some(running) = self.running.get_mut(&key) {
                running.active.target = Arc::new(target);
                continue;
            }
            let (target, gone) = (Arc::new(target), CancellationToken::new());
            let status = Arc::default();
            let scraper = Scraper::new(
                self.intake.clone(),
                self.client.clone(),
                self.job.clone(),
                target.clone(),
                Arc::clone(&status),
            );
            self.scrapers.spawn(scraper.run(gone.clone(), shutdown.clone()));
            self.running.insert(key, Running { gone, active: Active { target, status } });
        }
        let active = self.running.values().map(|running| running.active.clone()).collect();
        self.intake.board.set(&self.job.name, active, dropped);
        let count = i64::try_from(self.running.len()).unwrap_or(i64::MAX);
        self.intake.metrics.targets.with_label_values(&[&self.job.name]).set(count);
    }
}

fn key(target: &Target) -> Key {
    (target.url.clone(), target.labels.clone(), target.interval, target.timeout)
}
