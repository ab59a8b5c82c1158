//! Holds the model in use against every new window; where it has drifted, its trees are left out.

use std::collections::BTreeSet;

use wattle_contract::{Timestamp, Window};
use wattle_model::drift::{Alarm, DriftMonitor};
use wattle_model::{Dataset, Predictor};

use crate::metrics::Metrics;

/// Watches one model after the other: a new model starts without alarms.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Watched {
    model: String,
    monitor: DriftMonitor,
    until: Option<Timestamp>,
    alarms: BTreeSet<Alarm>,
}

impl Drift {
    /// Takes a window, each once, and gives the alarms that are on for the model; new ones are logged and counted.
    pub(crate) fn observe(&mut self, model: &Predictor, window: &Window, metrics: &Metrics) -> &BTreeSet<Alarm> {
        let watched = self.watched.take().filter(|watched| watched.model == model.id());
        let watched = self.watched.insert(watched.unwrap_or_else(|| Watched {
            model: model.id().to_owned(),
            monitor: DriftMonitor::new(model.artifact().clone()),
            until: None,
            alarms: BTreeSet::new(),
        }));
        if watched.until.is_none_or(|until| window.start >= until) {
            watched.until = Some(window.end);
            let alarms = watched.monitor.observe(&Dataset::from_windows(std::slice::from_ref(window)));
            metrics.predicted(watched.monitor.newest_errors());
            for alarm in alarms.difference(&watched.alarms) {
                metrics.drift_alarms.with_label_values(&[alarm.label()]).inc();
                let node = alarm.node().map_or("all", |node| node.as_str());
                tracing::warn!(
                    node.name = node,
                    drift.target = alarm.label(),
                    model = watched.model,
                    "the model has drifted: predictions fall back to physics and the linear layer until it is trained again"
                );
            }
            watched.alarms = alarms;
        }
        metrics.drift_alarms_on.set(i64::try_from(watched.alarms.len()).unwrap_or(i64::MAX));
        &watched.alarms
    }
}
