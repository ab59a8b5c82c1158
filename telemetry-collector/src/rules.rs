//! Recording and alerting rules from Prometheus's rule files, evaluated here.
//!
//! ```text
//! file ─► Group ─► every interval: PromQL ─► recorded series ─► store
//!                                      └──► Alert: pending ─► firing ─► resolved ─► ALERTS series, Alertmanager
//! ```
//!
//! Rules of a group run one after the other, at times that are whole intervals: a rule sees what the one before it
//! recorded a moment ago. A series that a rule no longer gives ends with a stale marker.

mod alert;
mod evaluate;
mod file;
mod notify;
mod report;
mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::config::QueryLimits;
use crate::query::promql::Budget;
use crate::receive::intake::Intake;
use evaluate::Evaluator;
use file::Group;
use notify::Notifier;
pub(crate) use report::{Wanted, alerts, groups, rfc3339};

/// Aliases for dashboards of both generations of Kepler, and whether energy is conserved.
const KEPLER: &str = include_str!("rules/kepler.yml");

/// What rules are evaluated, and who hears of their alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleConfig {
    /// Rule files.
    pub files: Vec<PathBuf>,
    /// Interval of groups that name none.
    pub interval: Duration,
    /// Interval of the rules that are here for Kepler: what dashboards of its other generation ask for, and whether energy is
    /// conserved. `None` evaluates none.
    pub kepler: Option<Duration>,
    /// Alertmanager's address, such as `http://alertmanager:9093`; `None` tells nobody.
    pub alertmanager: Option<String>,
}

impl Default for RuleConfig {
    fn default() -> Self {
        Self { files: Vec::new(), interval: Duration::from_secs(60), kepler: None, alertmanager: None }
    }
}

/// Groups and the state of their rules, as the API tells it.
pub(crate) type Groups = Arc<Vec<RwLock<Group>>>;

/// Reads the rule files.
///
/// Errors: a file cannot be read, is no rule file, or an expression does not parse; the message names file and rule.
pub(crate) fn load(config: &RuleConfig) -> Result<Groups, Error> {
    let mut groups = Vec::new();
    for path in &config.files {
        let refuse =
            |reason: String| Error::Setting { setting: "rules", reason: format!("{}: {reason}", path.display()) };
        let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
        groups.extend(file::parse(&text, path, config.interval).map_err(refuse)?.into_iter().map(RwLock::new));
    }
    if let Some(interval) = config.kepler {
        let refuse = |reason: String| Error::Setting { setting: "kepler_aliases", reason };
        let built_in = file::parse(KEPLER, Path::new("kepler.yml (built in)"), interval).map_err(refuse)?;
        groups.extend(built_in.into_iter().map(RwLock::new));
    }
    Ok(Arc::new(groups))
}

/// Starts a task for each group.
pub(crate) fn start(
    tasks: &mut JoinSet<()>,
    groups: &Groups,
    intake: &Intake,
    limits: QueryLimits,
    config: &RuleConfig,
    shutdown: &CancellationToken,
) {
    let budget = Budget::new(limits.max_samples);
    let notifier = config.alertmanager.as_deref().and_then(Notifier::new);
    for at in 0..groups.len() {
        let (intake, budget, notifier) = (intake.clone(), budget.clone(), notifier.clone());
        let evaluator = Evaluator { groups: groups.clone(), at, intake, limits, budget, notifier };
        tasks.spawn(evaluator.run(shutdown.clone()));
    }
}
