//! The command line of the scheduler role and of the verbs about its decisions.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{duration, pod};

/// `wattle scheduler`.
#[derive(Debug, Args)]
pub(crate) struct SchedulerArgs {
    /// Address of the extender webhook.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Collector to follow.
    #[arg(long, value_name = "URL")]
    pub collector: Option<String>,
    /// Model artifact; loaded again when it changes.
    #[arg(long, value_name = "FILE")]
    pub model: Option<String>,
    /// Instead of running: looks for what is wrong.
    #[command(subcommand)]
    pub verb: Option<SchedulerVerb>,
}

/// `wattle scheduler …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulerVerb {
    /// Looks through a KubeSchedulerConfiguration for what makes the extender useless or harmful, and prints a mended one.
    Doctor {
        /// The file that kube-scheduler is started with (--config).
        #[arg(value_name = "FILE")]
        configuration: PathBuf,
        /// Nodes of the cluster, where the extender does not know: tells how many of them a pod's call names.
        #[arg(long, value_name = "N")]
        nodes: Option<usize>,
        /// The extender's own metrics, which tell whether it is really called [default: general.listen of the settings].
        #[arg(long, value_name = "URL")]
        metrics: Option<String>,
        /// Only looks at the file: asks neither the extender nor its metrics.
        #[arg(long)]
        offline: bool,
    },
}

/// `wattle explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The pod.
    #[arg(long, value_name = "NS/NAME", value_parser = pod, required_unless_present = "outcomes")]
    pub pod: Option<(String, String)>,
    /// Instead: what became of the last placements, prediction against measurement.
    #[arg(long, conflicts_with = "pod")]
    pub outcomes: bool,
    /// Scheduler to ask [default: scheduler.listen of the settings].
    #[arg(long, value_name = "URL")]
    pub scheduler: Option<String>,
    /// Prints the decision as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wattle replay`.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Decisions of the last DURATION, such as 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: std::time::Duration,
    /// Settings file whose `scheduler` section is the other policy [default: the settings in use].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Predicts anew with this model, by the windows that were measured then.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Database: sqlite://FILE or postgres://….
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wattle consolidate`.
#[derive(Debug, Args)]
pub(crate) struct Consolidate {
    /// Scheduler to ask [default: scheduler.listen of the settings].
    #[arg(long, value_name = "URL")]
    pub scheduler: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}
