//! What the demo is to do, and where its energy figures come from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wattle_contract::{MachineFacts, Millicores, NodeName};

use crate::error::Error;
use crate::machines::{self, MACHINES};
use crate::rapl::RaplPaths;

/// More requests per second than this are a mistake.
const MAX_RATE: f64 = 10_000.0;

/// What the demo is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// The mesh resources are written to `demo-mesh` in here.
    pub data_dir: PathBuf,
    /// The same seed gives the same arrivals and service times.
    pub seed: u64,
    /// Mean requests per second of the users; each causes about five calls. Range: above 0, at most 10000.
    pub rate: f64,
    /// The scheduler extender that is asked where pods go.
    pub extender: SocketAddr,
    /// Between two placements. Range: above 0.
    pub place_every: Duration,
    /// Between taking a pod out of the endpoints and stopping it: proxies must have read of it.
    pub leave: Duration,
    /// Where energy figures come from.
    pub energy: Energy,
    /// Pods listen on ports from here on; on any free port when `None`.
    pub first_port: Option<u16>,
}

impl Config {
    /// Gives the usual demo: 50 requests per second, a placement every 4 s, simulated energy.
    #[must_use]
    pub const fn new(data_dir: PathBuf, extender: SocketAddr) -> Self {
        Self {
            data_dir,
            seed: 1,
            rate: 50.0,
            extender,
            place_every: Duration::from_secs(4),
            leave: Duration::from_secs(3),
            energy: Energy::Simulated,
            first_port: None,
        }
    }

    /// Refuses what nothing can be done with.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !(self.rate > 0.0 && self.rate <= MAX_RATE) {
            let expected = "requests per second above 0, at most 10000";
            return Err(Error::Setting { setting: "rate", value: self.rate.to_string(), expected });
        }
        if self.place_every.is_zero() {
            let expected = "a span above zero";
            return Err(Error::Setting { setting: "place_every", value: "zero".to_owned(), expected });
        }
        Ok(())
    }
}

/// Where energy figures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Energy {
    /// Three simulated machines with the power curves of real ones.
    Simulated,
    /// The RAPL counters of this machine, which is then the only node. The services wait rather than compute: the watts are
    /// those of everything that runs on the machine.
    Rapl(RaplPaths),
}

impl Energy {
    /// Gives what is known of each node's hardware; there is one exporter a node, in this order.
    #[must_use]
    pub fn facts(&self) -> BTreeMap<NodeName, MachineFacts> {
        match self {
            Self::Simulated => machines::facts(),
            Self::Rapl(paths) => {
                let capacity = Millicores::new(f64::from(paths.processors()) * 1000.0);
                let facts = MachineFacts { cpu_capacity_millicores: capacity, ..MachineFacts::default() };
                BTreeMap::from([(paths.host(), facts)])
            }
        }
    }

    /// Says in a few words where each node's energy comes from, for a banner.
    #[must_use]
    pub fn describe(&self) -> Vec<(NodeName, String)> {
        match self {
            Self::Simulated => {
                let describe = |machine: &machines::Machine| {
                    (machine.node.into(), format!("simulated: {} ({})", machine.model, machine.year))
                };
                MACHINES.iter().map(describe).collect()
            }
            Self::Rapl(paths) => vec![(paths.host(), format!("measured: {}", paths.powercap.display()))],
        }
    }
}
