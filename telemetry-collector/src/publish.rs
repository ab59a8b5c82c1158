//! Windows are computed when they close, stored, and published as ClusterSnapshots.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wattle_contract::{ClusterSnapshot, Joules, NodeName, PodPlacement, Timestamp, Window};

use crate::Error;
use crate::catalog;
use crate::config::Config;
use crate::receive::intake::{Intake, now};
use crate::window::{self, Inputs};

/// How far back a window that was missed, or got late samples, is still computed.
const LOOK_BACK: Duration = Duration::from_secs(3600);
/// Samples read for one window; a cluster of a thousand nodes has a tenth of it.
const SAMPLES_LIMIT: usize = 50_000_000;

/// What was published since the start.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) windows: u64,
    pub(crate) joules: BTreeMap<NodeName, Joules>,
}

/// Computes, stores and publishes.
pub(crate) struct Publisher {
    intake: Intake,
    config: Arc<Config>,
    sender: watch::Sender<Option<Arc<ClusterSnapshot>>>,
    published: Arc<Mutex<Published>>,
    version: u64,
    /// Start of the newest window there is.
    newest: i64,
}

impl Publisher {
    /// Goes on where the store ends: its newest window is published again under its version.
    pub(crate) async fn open(
        intake: Intake,
        config: Arc<Config>,
        sender: watch::Sender<Option<Arc<ClusterSnapshot>>>,
        published: Arc<Mutex<Published>>,
    ) -> Result<Self, Error> {
        let mut this = Self { intake, config, sender, published, version: 0, newest: i64::MIN };
        if let Some((version, window)) = this.intake.store.newest_window().await? {
            (this.version, this.newest) = (version, window.start.0);
            let placements = match this.compute(window.start.0).await? {
                Some((_, placements)) => placements,
                None => Vec::new(),
            };
            let snapshot = window::snapshot(version, now(), window, placements);
            this.sender.send_replace(Some(Arc::new(snapshot)));
        }
        Ok(this)
    }

    /// Publishes until told to stop.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.publish(now()).await {
                self.intake.metrics.store_errors.with_label_values(&[error.label()]).inc();
                tracing::error!(%error, "windows were not published");
            }
        }
    }

    /// Computes every window that is closed and has new samples.
    async fn publish(&mut self, now: Timestamp) -> Result<(), Error> {
        let length = self.length();
        let mut due = self.intake.samples.take_dirty(now.minus(self.config.window_lag));
        due.retain(|&start| start >= now.minus(LOOK_BACK).0);
        let mut at = 0;
        while let Some(&start) = due.get(at) {
            at += 1;
            // Late samples are also what the growth of the next window starts from.
            if start < self.newest && !due.contains(&(start + length)) {
                due.insert(at, start + length);
            }
            if let Err(error) = self.publish_one(start).await {
                due[at - 1..].iter().for_each(|&start| self.intake.samples.mark_dirty(start));
                return Err(error);
            }
        }
        Ok(())
    }

    async fn publish_one(&mut self, start: i64) -> Result<(), Error> {
        let Some((window, placements)) = self.compute(start).await? else { return Ok(()) };
        let stored = self.intake.store.windows(Timestamp(start), Timestamp(start + 1)).await?;
        if stored.first().is_some_and(|stored| is_same(stored, &window)) {
            return Ok(());
        }
        self.intake.store.put_window(&window, self.version + 1).await?;
        self.version += 1;
        self.count(&window, stored.first());
        self.intake.metrics.windows.inc();
        if start >= self.newest {
            self.newest = start;
            let snapshot = window::snapshot(self.version, now(), window, placements);
            self.sender.send_replace(Some(Arc::new(snapshot)));
        }
        Ok(())
    }

    async fn compute(&self, start: i64) -> Result<Option<(Window, Vec<PodPlacement>)>, Error> {
        let (length, wanted) = (self.length(), catalog::wanted());
        let (from, end) = (start - Inputs::reach(length), start + length);
        let Some(series) = self.intake.samples.select(&wanted, from, end - 1, SAMPLES_LIMIT).await? else {
            tracing::error!(limit = SAMPLES_LIMIT, "a window has too many samples to be computed");
            return Ok(None);
        };
        let config = self.config.clone();
        let task = tokio::task::spawn_blocking(move || {
            window::compute(&Inputs { start, end, series: &series, machines: &config.machines })
        });
        task.await.map_err(|error| Error::row("a new window", error))
    }

    fn count(&self, window: &Window, before: Option<&Window>) {
        let mut published = self.published.lock();
        published.windows += u64::from(before.is_none());
        for node in &window.nodes {
            let was = before.and_then(|window| window.nodes.iter().find(|other| other.node == node.node));
            if let Some(energy) = node.energy_joules {
                let more = energy - was.and_then(|node| node.energy_joules).unwrap_or_default();
                *published.joules.entry(node.node.clone()).or_default() += more;
            }
        }
    }

    fn length(&self) -> i64 {
        i64::try_from(self.config.window.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Tells whether a window read back is the one just computed: JSON may lose the last bit of a number.
fn is_same(stored: &Window, computed: &Window) -> bool {
    let text = serde_json::to_string(computed).unwrap_or_default();
    serde_json::from_str::<Window>(&text).is_ok_and(|computed| computed == *stored)
}
