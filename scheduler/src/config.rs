//! The checked settings of the scheduler.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wattle_contract::{Millicores, Timestamp};

use crate::decide::Policy;
use crate::error::Error;
use crate::filter::PowerCap;
use crate::score::Weights;

/// What the scheduler is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Highest score. kube-scheduler adds score × weight × 10 to the sum of its own plugins. Range: 1..=1000. Default: 10.
    pub top_score: u32,
    /// Weight of added power for pods without an own wish. Range: 0..=100. Default: 1.
    pub weight_energy: f64,
    /// Weight of latency for pods without an own wish. Range: 0..=100. Default: 0.25.
    pub weight_latency: f64,
    /// Weight of traffic that leaves the node, as a share of the latency weight. Range: 0..=100. Default: 0.4.
    pub weight_affinity: f64,
    /// Weight of a latency that nears or breaks the pod's own objective. Range: 0..=100. Default: 2.
    pub weight_slo: f64,
    /// Weight of crowding: requests that wait for each other, and memory that ends. Range: 0..=100. Default: 2.
    pub weight_headroom: f64,
    /// Weight of neighbours that run slower than elsewhere. Range: 0..=100. Default: 0.25.
    pub weight_neighbours: f64,
    /// Whether nodes without pods are switched off: a pod then costs its share of all of its node's power. Default: no.
    pub empty_nodes_off: bool,
    /// Where carbon intensities come from. Default: nowhere.
    pub carbon: Option<CarbonSource>,
    /// Limits on the power of groups of nodes. Default: none.
    pub power_caps: Vec<PowerCap>,
    /// Age from which measurements are no longer used. Default: 2 minutes.
    pub stale_after: Duration,
    /// Time for an answer, well under kube-scheduler's `httpTimeout` (5 s by default). Default: 500 ms.
    pub deadline: Duration,
    /// How long a bound pod is assumed on a node whose measurements never include it. Default: 5 minutes.
    pub assumed_ttl: Duration,
    /// Use of a pod without request and measurement. Default: 100 m, as kube-scheduler assumes.
    pub default_pod_cpu: Millicores,
    /// Longest body that is read. A call with 5,000 whole Nodes of 15 kB is 75 MB. Units: bytes. Default: 100 MiB.
    pub max_body_bytes: usize,
    /// Candidates kept in memory over all decisions, for explanations. Default: 100,000 (about 10 MB).
    pub kept_candidates: usize,
    /// Candidates of a decision that are handed on to be recorded: the best by score, by power and by latency. Default: 120.
    pub recorded_candidates: usize,
    /// Events on placed pods, a minute at most; `None` writes none. Default: 300. Needs a connection to Kubernetes.
    pub events_per_minute: Option<u32>,
    /// Greatest ratio of the weights that two nodes' endpoints of a service may get; `None` makes no weights. Default: none.
    pub steer_ratio: Option<f64>,
    /// Whether the bind verb is answered; needs a connection to Kubernetes. Default: no.
    pub bind: bool,
    /// Certificate for HTTPS; plain HTTP without.
    pub tls: Option<TlsFiles>,
    /// Domain of service names. Default: `cluster.local`.
    pub cluster_domain: String,
    /// Start value of decision ids: two runs with the same give the same ids. Default: 0.
    pub seed: u64,
    /// Where the time comes from.
    pub clock: Clock,
}

impl Default for Config {
    fn default() -> Self {
        let weights = Weights::default();
        Self {
            top_score: 10,
            weight_energy: weights.energy,
            weight_latency: weights.latency,
            weight_affinity: weights.affinity,
            weight_slo: weights.slo,
            weight_headroom: weights.headroom,
            weight_neighbours: weights.neighbours,
            empty_nodes_off: false,
            carbon: None,
            power_caps: Vec::new(),
            stale_after: Duration::from_secs(120),
            deadline: Duration::from_millis(500),
            assumed_ttl: Duration::from_secs(300),
            default_pod_cpu: Millicores::new(100.0).unwrap_or(Millicores::ZERO),
            max_body_bytes: 100 << 20,
            kept_candidates: 100_000,
            recorded_candidates: 120,
            events_per_minute: Some(300),
            steer_ratio: None,
            bind: false,
            tls: None,
            cluster_domain: "cluster.local".to_owned(),
            seed: 0,
            clock: Clock::system(),
        }
    }
}

/// Where carbon intensities come from, and what a zone is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarbonSource {
    /// A file, or an `http://` address.
    pub from: String,
    /// The node label whose values are the zones; empty means `topology.kubernetes.io/zone`.
    pub label: String,
    /// Time between two readings.
    pub every: Duration,
}

/// Files for HTTPS, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate chain, own certificate first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities whose client certificates are demanded; none are asked for without.
    pub client_ca: Option<PathBuf>,
}

/// Files for speaking HTTPS to a server, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Authorities that the server's certificate must be signed by.
    pub ca: PathBuf,
    /// Certificate chain and key to show where the server demands them.
    pub own: Option<(PathBuf, PathBuf)>,
}

impl Config {
    /// Checks the ranges.
    ///
    /// # Errors
    /// A value is out of its range: the first such.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |key: &'static str, value: String, range: &'static str| Err(Error::Setting { key, value, range });
        if !(1..=1000).contains(&self.top_score) {
            return refuse("top_score", self.top_score.to_string(), "1..=1000");
        }
        for (key, weight) in [
            ("weight_energy", self.weight_energy),
            ("weight_latency", self.weight_latency),
            ("weight_affinity", self.weight_affinity),
            ("weight_slo", self.weight_slo),
            ("weight_headroom", self.weight_headroom),
            ("weight_neighbours", self.weight_neighbours),
        ] {
            if !(0.0..=100.0).contains(&weight) {
                return refuse(key, weight.to_string(), "0..=100");
            }
        }
        if self.weight_energy + self.weight_latency <= 0.0 {
            return refuse("weight_energy", "0".to_owned(), "above 0 when weight_latency is 0");
        }
        if let Some(cap) = self.power_caps.iter().find(|cap| cap.watts.get() <= 0.0 || cap.label.is_empty()) {
            return refuse("power_caps", format!("{} for label {:?}", cap.watts, cap.label), "above 0 W for a label");
        }
        for (key, span) in
            [("stale_after", self.stale_after), ("deadline", self.deadline), ("assumed_ttl", self.assumed_ttl)]
        {
            if span.is_zero() {
                return refuse(key, "0".to_owned(), "above 0");
            }
        }
        if let Some(ratio) = self.steer_ratio.filter(|ratio| !(1.0..=100.0).contains(ratio)) {
            return refuse("steer_ratio", ratio.to_string(), "1..=100");
        }
        Ok(())
    }

    /// Gives what decisions need of the settings.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        Policy {
            top_score: self.top_score,
            weights: Weights {
                energy: self.weight_energy,
                latency: self.weight_latency,
                affinity: self.weight_affinity,
                slo: self.weight_slo,
                headroom: self.weight_headroom,
                neighbours: self.weight_neighbours,
            },
            stale_after: self.stale_after,
            default_pod_cpu: self.default_pod_cpu,
            empty_nodes_off: self.empty_nodes_off,
        }
    }
}

/// Tells the time; replaceable, so that tests and accelerated runs have their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::default().plus(since)
        })
    }

    /// A clock of one's own.
    #[must_use]
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Gives the present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
