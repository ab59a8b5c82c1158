//! The command line.

mod import;
mod scheduler;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;

use crate::settings::parse_duration;

pub(crate) use import::Import;
pub(crate) use scheduler::{Consolidate, Explain, ReplayArgs, SchedulerArgs, SchedulerVerb};

/// Measures a Kubernetes cluster's traffic and energy, learns what each placement costs, scores nodes, carries traffic.
#[derive(Debug, Parser)]
#[command(name = "wattle", version, about, max_term_width = 110)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What concerns every command.
    #[command(flatten)]
    pub global: Global,
}

/// Flags of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Settings file [default: wattle.yaml, if it is there].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sets one key of docs/config.md; may be given again.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Folder for the embedded database and the model.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<String>,
    /// Which messages are logged, such as `debug` or `info,wattle_proxy=trace`.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

/// The nouns run until they are stopped; the verbs finish.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs every role in this process, over one embedded database.
    Up(Up),
    /// Runs the collector: takes measurements in and answers queries.
    Collector(CollectorArgs),
    /// Runs the scheduler extender, following a collector.
    Scheduler(SchedulerArgs),
    /// Runs the proxy, obeying mesh resources.
    Proxy(ProxyArgs),
    /// Trains a model from stored measurements.
    Train(Train),
    /// Scores a model on stored measurements.
    Evaluate(Evaluate),
    /// Tells about a model.
    Model(ModelArgs),
    /// Prints why a pod was scored as it was.
    Explain(Explain),
    /// Takes recorded decisions again under another policy or model.
    Replay(ReplayArgs),
    /// Lists nodes that are worth emptying; evicts nothing.
    Consolidate(Consolidate),
    /// Checks settings, or the mesh resources in files and folders.
    Check(Check),
    /// Brings a database's schema up to date.
    Migrate(Migrate),
    /// Looks a database through, counts what is in it, or copies it.
    Store(StoreArgs),
    /// Stores the samples of a file (OpenMetrics with timestamps) or of a Prometheus (remote read).
    Import(Import),
}

/// `wattle up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Brings a small cluster along: eight services, three simulated machines, load, and placements.
    #[arg(long)]
    pub demo: bool,
    /// Ends by itself after this time, such as 60s.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub run_for: Option<std::time::Duration>,
    /// Prints one JSON object at the end.
    #[arg(long)]
    pub json: bool,
    /// Moves every listener to consecutive ports from here, so that two can run.
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..=65_000))]
    pub port_base: Option<u16>,
    /// Where the demo's power comes from: simulated or rapl.
    #[arg(long, value_name = "SOURCE")]
    pub energy: Option<String>,
    /// Mesh resources: files or folders of YAML; may be given again.
    #[arg(long, value_name = "PATH")]
    pub mesh: Vec<PathBuf>,
    /// Database: sqlite://FILE or postgres://….
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
}

/// `wattle collector`.
#[derive(Debug, Args)]
pub(crate) struct CollectorArgs {
    /// Address of the read API.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Database: sqlite://FILE or postgres://….
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
}

/// `wattle proxy`.
#[derive(Debug, Args)]
pub(crate) struct ProxyArgs {
    /// Address for requests that leave the workload.
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Address of the admin interface.
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<String>,
    /// Address of the data plane's metrics.
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
    /// Mesh resources: files or folders of YAML; may be given again.
    #[arg(long, value_name = "PATH")]
    pub mesh: Vec<PathBuf>,
}

/// Where rows for training and scoring come from.
#[derive(Debug, Args)]
pub(crate) struct Rows {
    /// Database: sqlite://FILE or postgres://….
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// A CSV file with a row a node and window, in place of a database; docs/model.md names its columns.
    #[arg(long, value_name = "FILE", conflicts_with = "store")]
    pub csv: Option<PathBuf>,
    /// A Prometheus server, or what answers like one, in place of a database: http://HOST:9090, https://USER:PASSWORD@HOST/PATH.
    #[arg(long, value_name = "URL", conflicts_with_all = ["store", "csv", "kepler", "parquet"])]
    pub prometheus: Option<String>,
    /// A file with the bearer token for that server.
    #[arg(long, value_name = "FILE", requires = "prometheus")]
    pub prometheus_token: Option<PathBuf>,
    /// A Parquet file with the columns of --csv, in place of a database.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["store", "csv", "kepler"])]
    pub parquet: Option<PathBuf>,
    /// A file of Prometheus answers as the Kepler model server keeps them, in place of a database.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["store", "csv"])]
    pub kepler: Option<PathBuf>,
}

/// `wattle model`.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// What to tell.
    #[command(subcommand)]
    pub verb: ModelVerb,
}

/// `wattle model …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelVerb {
    /// Layers, features with units and ranges, scores, provenance.
    Show {
        /// The artifact [default: model.path of the settings].
        #[arg(value_name = "FILE")]
        model: Option<PathBuf>,
    },
}

/// `wattle train`.
#[derive(Debug, Args)]
pub(crate) struct Train {
    /// Where the rows come from.
    #[command(flatten)]
    pub rows: Rows,
    /// Where the artifact is written [default: model.path of the settings].
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Learns from the last DURATION only, such as 7d.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<std::time::Duration>,
    /// Leaves the last DURATION out, such as 1h.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub until: Option<std::time::Duration>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Draws the model on its held-out rows as one page (HTML).
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Instead: trains and scores a published data set, such as specpower; writes no artifact.
    #[arg(long, value_name = "NAME", requires = "split")]
    pub dataset: Option<String>,
    /// The split rule of that data set, such as SPEC-A.
    #[arg(long, value_name = "RULE", requires = "dataset")]
    pub split: Option<String>,
    /// Scores folds of that data set's training rows only: what to choose by, while the test rows stay unseen.
    #[arg(long, requires = "dataset")]
    pub folds: bool,
    /// Folder that holds a folder a data set.
    #[arg(long, value_name = "DIR", env = "WATTLE_CORPUS")]
    pub corpus: Option<PathBuf>,
    /// Writes the artifact even if it is no better than the baseline.
    #[arg(long)]
    pub allow_worse: bool,
    /// Prints the scores as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wattle evaluate`.
#[derive(Debug, Args)]
pub(crate) struct Evaluate {
    /// The artifact [default: model.path of the settings].
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Where the rows come from.
    #[command(flatten)]
    pub rows: Rows,
    /// Scores on the last DURATION only.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<std::time::Duration>,
    /// Prints the scores as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `wattle check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Mesh resources; without any the settings are checked.
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
    /// Prints the findings as SARIF 2.1.0, for code hosts.
    #[arg(long, conflicts_with_all = ["json", "explain", "diff"])]
    pub sarif: bool,
    /// Says which rule handles a request, such as 'GET http://reviews:9080/x', and why the others do not.
    #[arg(long, value_name = "REQUEST", requires = "paths")]
    pub explain: Option<String>,
    /// A header of that request; may be given again.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", requires = "explain", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// Who sends that request.
    #[arg(long, value_name = "NS/WORKLOAD", requires = "explain", value_parser = pod)]
    pub from: Option<(String, String)>,
    /// Says what would change for traffic from the first path to the second.
    #[arg(long, value_names = ["OLD", "NEW"], num_args = 2, conflicts_with_all = ["paths", "explain"])]
    pub diff: Vec<PathBuf>,
    /// Prints the reference of all settings (Markdown).
    #[arg(long, conflicts_with = "paths")]
    pub reference: bool,
}

/// `wattle migrate`.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Database: sqlite://FILE or postgres://….
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
}

/// `wattle store …`.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Database: sqlite://FILE or postgres://….
    #[arg(long, value_name = "URL", global = true)]
    pub store: Option<String>,
    /// What to do with it.
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// What to do with a store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Reads everything about samples and tells what is damaged.
    Verify,
    /// Counts what is in it.
    Stats,
    /// Copies an SQLite database into a new file, also while a collector writes to it.
    Backup {
        /// The new file.
        to: PathBuf,
    },
}

impl Cli {
    /// Gives the flags that stand for settings: key, value and the flag as written.
    pub(crate) fn flags(&self) -> Vec<(String, Value, String)> {
        let mut flags: Vec<(String, Value, String)> = Vec::new();
        let mut flag = |key: &str, value: Option<&String>, name: &str| {
            if let Some(value) = value {
                flags.push((key.to_owned(), Value::from(value.as_str()), format!("--{name}")));
            }
        };
        flag("general.data", self.global.data.as_ref(), "data");
        flag("general.log", self.global.log.as_ref(), "log");
        let mesh = match &self.command {
            Command::Up(up) => {
                flag("demo.energy", up.energy.as_ref(), "energy");
                flag("collector.store", up.store.as_ref(), "store");
                Some(&up.mesh)
            }
            Command::Collector(args) => {
                flag("collector.listen", args.listen.as_ref(), "listen");
                flag("collector.store", args.store.as_ref(), "store");
                None
            }
            Command::Scheduler(args) => {
                flag("scheduler.listen", args.listen.as_ref(), "listen");
                flag("scheduler.collector", args.collector.as_ref(), "collector");
                flag("model.path", args.model.as_ref(), "model");
                None
            }
            Command::Proxy(args) => {
                flag("proxy.listen", args.listen.as_ref(), "listen");
                flag("proxy.admin", args.admin.as_ref(), "admin");
                flag("proxy.metrics", args.metrics.as_ref(), "metrics");
                Some(&args.mesh)
            }
            Command::Train(args) => {
                flag("collector.store", args.rows.store.as_ref(), "store");
                None
            }
            Command::Evaluate(args) => {
                flag("collector.store", args.rows.store.as_ref(), "store");
                None
            }
            Command::Migrate(Migrate { store })
            | Command::Store(StoreArgs { store, .. })
            | Command::Import(Import { store, .. }) => {
                flag("collector.store", store.as_ref(), "store");
                None
            }
            Command::Replay(args) => {
                flag("collector.store", args.store.as_ref(), "store");
                None
            }
            Command::Explain(_) | Command::Consolidate(_) | Command::Check(_) | Command::Model(_) => None,
        };
        if let Some(paths) = mesh.filter(|paths| !paths.is_empty()) {
            let list = paths.iter().map(|path| Value::from(path.to_string_lossy())).collect();
            flags.push(("proxy.mesh".to_owned(), Value::Array(list), "--mesh".to_owned()));
        }
        for (key, value) in &self.global.set {
            flags.push((key.clone(), Value::from(value.as_str()), format!("--set {key}")));
        }
        flags
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected SECTION.KEY=VALUE, such as collector.window=5s".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        }
        _ => Err("expected 'NAME: VALUE', such as 'end-user: jason'".to_owned()),
    }
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 500ms, 15s, 10m, 2h or 7d".to_owned())
}

fn pod(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("expected NAMESPACE/NAME, such as hotel/search-7d9f-1".to_owned()),
    }
}
