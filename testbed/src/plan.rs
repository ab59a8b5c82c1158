//! What happens in a run, whatever the policy does: machines, pods that come and go, and the load.

pub mod hotel;
pub mod openb;

use std::time::Duration;

use wattle_contract::{NodeName, PodKey, WorkloadName};

use crate::app::App;
use crate::server::Server;

/// Everything that is the same for every policy.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The machines, by their nodes' names.
    pub nodes: Vec<(NodeName, Server)>,
    /// Every pod that will be there, in the order of arrival.
    pub pods: Vec<PodPlan>,
    /// The workloads that pods belong to.
    pub workloads: Vec<WorkloadName>,
    /// Length of a step, which is also the length of a measurement window.
    pub step: Duration,
    /// Number of steps.
    pub steps: usize,
    /// Steps before measuring begins.
    pub warm_up: usize,
    /// The application whose services the pods are; `None` when pods use a fixed amount each.
    pub app: Option<App>,
    /// User requests per second in each step; empty without an application.
    pub rates: Vec<f64>,
    /// 95th percentile that the whole request, or a sensitive pod, should keep. Units: milliseconds.
    pub slo_p95_ms: f64,
}

/// One pod.
#[derive(Clone, Debug)]
pub struct PodPlan {
    /// Its name.
    pub key: PodKey,
    /// Its place among [`Plan::workloads`].
    pub workload: usize,
    /// The service it is a pod of.
    pub service: Option<usize>,
    /// What it asks for.
    pub asks: Amount,
    /// Processors it uses; those of a service follow from the load.
    pub uses: f64,
    /// Whether somebody waits for its answers.
    pub is_sensitive: bool,
    /// The step in which it comes, and the one in which it goes.
    pub span: (usize, usize),
}

/// Processors and memory, as Kubernetes counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Thousandths of a processor.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory: i64,
}

impl Amount {
    /// Adds.
    pub const fn add(&mut self, other: Self) {
        self.cpu_milli += other.cpu_milli;
        self.memory += other.memory;
    }

    /// Subtracts.
    pub const fn subtract(&mut self, other: Self) {
        self.cpu_milli -= other.cpu_milli;
        self.memory -= other.memory;
    }
}
