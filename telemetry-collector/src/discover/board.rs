//! What is scraped and how it went last, for those who ask.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use wattle_contract::Timestamp;

use super::relabel::Labelled;
use super::target::Target;

/// Dropped targets that are shown of a job; all of them are counted.
const DROPPED_SHOWN: usize = 1_000;

/// Whether the last scrape of a target worked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// It was not scraped yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    /// Gives the word of Prometheus's API.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// How the last scrape of a target went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) health: Health,
    /// Why it failed; empty where it did not.
    pub(crate) error: String,
    pub(crate) at: Timestamp,
    pub(crate) took: Duration,
    /// Names of the metrics that it describes.
    pub(crate) described: Arc<[Arc<str>]>,
}

/// A target that is scraped.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) target: Arc<Target>,
    pub(crate) status: Arc<Mutex<Status>>,
}

/// The targets of one job.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfJob {
    pub(crate) active: Vec<Active>,
    /// Discovered labels of targets that the rules drop, or that cannot be scraped.
    pub(crate) dropped: Vec<Labelled>,
    pub(crate) dropped_count: usize,
}

/// The targets of all jobs, by job.
#[derive(Debug, Default)]
pub(crate) struct Board {
    jobs: RwLock<BTreeMap<String, OfJob>>,
}

impl Board {
    pub(super) fn set(&self, job: &str, active: Vec<Active>, mut dropped: Vec<Labelled>) {
        let dropped_count = dropped.len();
        dropped.truncate(DROPPED_SHOWN);
        self.jobs.write().insert(job.to_owned(), OfJob { active, dropped, dropped_count });
    }

    /// Gives the targets of all jobs, by job.
    pub(crate) fn all(&self) -> BTreeMap<String, OfJob> {
        self.jobs.read().clone()
    }
}
