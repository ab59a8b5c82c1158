//! Windows are computed when they close, stored, and published as ClusterSnapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wattle_contract::{ClusterSnapshot, EnergySource, Joules, NodeName, PodPlacement, Timestamp, Window};

use crate::Error;
use crate::catalog;
use crate::config::Config;
use crate::graph::edge::{self, Rollups, Table};
use crate::graph::report;
use crate::kubernetes::Kubernetes;
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

/// A window and what goes with it.
struct Computed {
    window: Window,
    placements: Vec<PodPlacement>,
    traffic: Table,
}

/// Computes, stores and publishes.
pub(crate) struct Publisher {
    intake: Intake,
    config: Arc<Config>,
    kubernetes: Kubernetes,
    sender: watch::Sender<Option<Arc<ClusterSnapshot>>>,
    published: Arc<Mutex<Published>>,
    version: u64,
    /// Start of the newest window there is.
    newest: i64,
    /// Start of the newest window that is in the graph's roll-ups from before the start.
    rolled_up: i64,
    /// What each window added to the roll-ups, for as long as it may be computed again.
    added: BTreeMap<i64, Table>,
}

impl Publisher {
    /// Goes on where the store ends: its newest window is published again under its version.
    pub(crate) async fn open(
        intake: Intake,
        config: Arc<Config>,
        kubernetes: Kubernetes,
        sender: watch::Sender<Option<Arc<ClusterSnapshot>>>,
        published: Arc<Mutex<Published>>,
    ) -> Result<Self, Error> {
        let mut this = Self {
            intake,
            config,
            kubernetes,
            sender,
            published,
            version: 0,
            newest: i64::MIN,
            rolled_up: i64::MIN,
            added: BTreeMap::new(),
        };
        if let Some((version, window)) = this.intake.store.newest_window().await? {
            (this.version, this.newest, this.rolled_up) = (version, window.start.0, window.start.0);
            let placements = this.compute(window.start.0).await?.map(|computed| computed.placements);
            let placements = placements.unwrap_or_default();
            let mut snapshot = window::snapshot(version, now(), window, placements);
            this.kubernetes.tell(&mut snapshot);
            this.sender.send_replace(Some(Arc::new(snapshot)));
        }
        // An orderly end cuts samples into chunks before their window closes: no journal row tells of it any more.
        if let Some(end) = this.intake.store.newest_cut().await? {
            let oldest = now().minus(LOOK_BACK).0.max(this.newest.saturating_add(1));
            let mut start = oldest - oldest.rem_euclid(this.length());
            while start <= end.min(now().0) {
                this.intake.samples.mark_dirty(start);
                start += this.length();
            }
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
        let mut dirty = self.intake.samples.take_dirty(now.minus(self.config.window_lag));
        dirty.retain(|&start| start >= now.minus(LOOK_BACK).0);
        let due = with_reach(&dirty, self.newest, self.length());
        for (at, &start) in due.iter().enumerate() {
            if let Err(error) = self.publish_one(start).await {
                due[at..].iter().for_each(|&start| self.intake.samples.mark_dirty(start));
                return Err(error);
            }
        }
        Ok(())
    }

    async fn publish_one(&mut self, start: i64) -> Result<(), Error> {
        let Some(Computed { mut window, placements, traffic }) = self.compute(start).await? else { return Ok(()) };
        let (graph, _) = report::both(&self.intake, window.end.0 - report::RECENT_MS, window.end.0, now()).await?;
        graph.complete(&mut window.edges);
        self.kubernetes.complete(&mut window);
        let stored = self.intake.store.windows(Timestamp(start), Timestamp(start + 1)).await?;
        if stored.first().is_some_and(|stored| is_same(stored, &window)) {
            return Ok(());
        }
        self.intake.store.put_window(&window, self.version + 1).await?;
        self.version += 1;
        self.roll_up(start, traffic).await?;
        self.count(&window, stored.first());
        self.intake.metrics.windows.inc();
        if start >= self.newest {
            self.newest = start;
            let mut snapshot = window::snapshot(self.version, now(), window, placements);
            self.kubernetes.tell(&mut snapshot);
            self.sender.send_replace(Some(Arc::new(snapshot)));
        }
        Ok(())
    }

    /// Adds a window's traffic to the graph's roll-ups, in place of what it added when it was computed before.
    async fn roll_up(&mut self, start: i64, traffic: Table) -> Result<(), Error> {
        let before = self.added.get(&start);
        if before.is_none() && start <= self.rolled_up {
            // Its part was added before the start and is not known any more: rather late samples less than twice.
            return Ok(());
        }
        let mut difference = traffic.clone();
        if let Some(before) = before {
            difference.take_off(before);
        }
        let mut rollups = Rollups::new();
        edge::roll_up(&mut rollups, edge::METRICS, start, &difference);
        self.intake.store.add_rollups(&rollups).await?;
        self.added.insert(start, traffic);
        let oldest = now().minus(2 * LOOK_BACK).0;
        self.added = self.added.split_off(&oldest);
        Ok(())
    }

    async fn compute(&self, start: i64) -> Result<Option<Computed>, Error> {
        let (length, wanted) = (self.length(), catalog::wanted());
        let (from, end) = (start - Inputs::reach(length), start + length);
        let Some(series) = self.intake.samples.select(&wanted, from, end - 1, SAMPLES_LIMIT).await? else {
            tracing::error!(limit = SAMPLES_LIMIT, "a window has too many samples to be computed");
            return Ok(None);
        };
        let config = self.config.clone();
        let task = tokio::task::spawn_blocking(move || {
            let inputs = Inputs { start, end, series: &series, machines: &config.machines };
            let (window, placements) = window::compute(&inputs)?;
            let traffic = window::traffic(&inputs, &window);
            Some(Computed { window, placements, traffic })
        });
        task.await.map_err(|error| Error::row("a new window", error))
    }

    fn count(&self, window: &Window, before: Option<&Window>) {
        let source = |of: Option<EnergySource>| window.nodes.iter().filter(|node| node.energy_source == of).count();
        for (word, of) in [
            ("measured", Some(EnergySource::Measured)),
            ("simulated", Some(EnergySource::Simulated)),
            ("estimated", Some(EnergySource::Estimated)),
            ("none", None),
        ] {
            self.intake.metrics.nodes.with_label_values(&[word]).set(i64::try_from(source(of)).unwrap_or(i64::MAX));
        }
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

/// Adds the windows that read samples of those given: late samples are also what later growth starts from.
fn with_reach(dirty: &[i64], newest: i64, length: i64) -> Vec<i64> {
    let mut due: BTreeSet<i64> = dirty.iter().copied().collect();
    for &start in dirty {
        let (mut later, beyond) = (start + length, start + length + Inputs::reach(length));
        while later <= newest && later < beyond {
            due.insert(later);
            later += length;
        }
    }
    due.into_iter().collect()
}

/// Tells whether a window read back is the one just computed: JSON may lose the last bit of a number.
fn is_same(stored: &Window, computed: &Window) -> bool {
    let text = serde_json::to_string(computed).unwrap_or_default();
    serde_json::from_str::<Window>(&text).is_ok_and(|computed| computed == *stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_samples_touch_the_windows_that_reach_back_to_them_and_no_more() {
        let seconds = |starts: &[i64]| starts.iter().map(|start| start * 1_000).collect::<Vec<_>>();

        assert_eq!(with_reach(&seconds(&[300]), 300_000, 15_000), seconds(&[300]));
        assert_eq!(with_reach(&seconds(&[300]), 330_000, 15_000), seconds(&[300, 315, 330]));
        assert_eq!(with_reach(&seconds(&[300]), 900_000, 15_000), seconds(&[300, 315, 330, 345, 360]));
        assert_eq!(
            with_reach(&seconds(&[300, 330, 915]), 900_000, 15_000),
            seconds(&[300, 315, 330, 345, 360, 375, 390, 915])
        );
    }
}
