//! The policies by their names, and the models that ours need.

use std::collections::HashMap;

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wattle_contract::Window;
use wattle_model::latency::LatencyModel;
use wattle_model::power::PowerModel;
use wattle_model::{Artifact, Dataset, Predictor, TrainOptions};
use wattle_scheduler::Config;
use wattle_scheduler::decide::Policy as Settings;

use crate::plan::Plan;
use crate::policy::Policy;
use crate::policy::kube::{Fit, KubeScheduler};
use crate::policy::ours::{Knowledge, Ours};
use crate::policy::rivals::{ByHand, Peaks, Random, TargetLoadPacking};
use crate::run::run;
use crate::telemetry::Faults;

/// Every policy, in the order of the tables; the first is what the others are compared with.
pub const POLICIES: [&str; 14] = [
    "default",
    "most-allocated",
    "tlp-40",
    "tlp-60",
    "peaks",
    "random",
    "by-hand",
    "prior",
    "linear",
    "full",
    "full-off",
    "full-steer",
    "perfect",
    "perfect-off",
];

/// Greatest ratio of two endpoints' weights where requests are steered.
const STEER_RATIO: f64 = 10.0;

/// Rows that a model is trained on at most: more windows of many nodes add time and no knowledge.
const ROWS: usize = 30_000;

/// What our policies know and how they are set.
#[derive(Clone, Debug)]
pub struct Contenders {
    /// Settings of the extender's decisions.
    pub settings: Settings,
    /// Weight of the extender in kube-scheduler's configuration.
    pub weight: i64,
    full: Option<Predictor>,
    linear: Option<Predictor>,
    prior: Option<Predictor>,
}

impl Contenders {
    /// Makes the policies for machines whose past is `training`, measured with the same faults.
    ///
    /// # Errors
    /// No model can be trained on it.
    pub fn train(training: &Plan, faults: Faults, settings: Settings, weight: i64) -> anyhow::Result<Self> {
        let mut windows: Vec<Window> = Vec::new();
        let on_time = Faults { stale: std::time::Duration::ZERO, ..faults };
        run(training, &mut KubeScheduler::new(Fit::LeastAllocated), on_time, 9001, Some(&mut windows));
        let every = (windows.len() * training.nodes.len()).div_ceil(ROWS).max(1);
        let windows: Vec<Window> = windows.into_iter().step_by(every).collect();
        let trained = wattle_model::train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| {})
            .context("cannot train a model on the simulated past")?;
        let prior = Artifact {
            power: Some(PowerModel { margin: 0.45, slope_margin: 0.5, ..PowerModel::default() }),
            p50: None,
            p95: Some(LatencyModel { terms: [1.0, 0.0, 1.0, 0.0], margin: 1.0, ..LatencyModel::default() }),
            ..trained.artifact.clone()
        };
        let mut linear = trained.artifact.clone();
        if let Some(power) = &mut linear.power {
            power.residual = None;
        }
        for latency in [&mut linear.p50, &mut linear.p95].into_iter().flatten() {
            latency.residual = None;
        }
        Ok(Self {
            settings,
            weight,
            full: Some(Predictor::new(&trained.artifact)?),
            linear: Some(Predictor::new(&linear)?),
            prior: Some(Predictor::new(&prior)?),
        })
    }

    /// Makes those that need no model.
    #[must_use]
    pub fn without_model(settings: Settings, weight: i64) -> Self {
        Self { settings, weight, full: None, linear: None, prior: None }
    }

    /// Makes a policy by its name; `None` where it does not apply to a plan.
    ///
    /// # Errors
    /// No policy has that name.
    pub fn policy(
        &self,
        name: &str,
        plan: &Plan,
        faults: Faults,
        seed: u64,
    ) -> anyhow::Result<Option<Box<dyn Policy>>> {
        let (settings, weight) = (self.settings, self.weight);
        let ours = |knowledge: Knowledge| -> Box<dyn Policy> { Box::new(Ours::new(knowledge, settings, weight)) };
        let off = Settings { empty_nodes_off: true, ..settings };
        let ours_off = |knowledge: Knowledge| -> Box<dyn Policy> { Box::new(Ours::new(knowledge, off, weight)) };
        let full = || self.full.clone().context("this policy needs a trained model");
        let linear = || self.linear.clone().context("this policy needs a trained model");
        let spoiled = |predictor: Predictor| {
            if faults.model_error == 0.0 && faults.model_bias == 0.0 {
                return Knowledge::Model(predictor);
            }
            let mut random = StdRng::seed_from_u64(seed ^ 0xbad);
            let bias = 1.0 + faults.model_bias;
            let mut factor = || bias + if random.random::<bool>() { faults.model_error } else { -faults.model_error };
            let factors: HashMap<_, _> = plan.nodes.iter().map(|(name, _)| (name.clone(), factor())).collect();
            Knowledge::Wrong(predictor, factors)
        };
        Ok(Some(match name {
            "default" => Box::new(KubeScheduler::new(Fit::LeastAllocated)),
            "most-allocated" => Box::new(KubeScheduler::new(Fit::MostAllocated)),
            "tlp-40" => Box::new(TargetLoadPacking::new(40.0)),
            "tlp-60" => Box::new(TargetLoadPacking::new(60.0)),
            "peaks" => Box::new(Peaks::new(plan)),
            "random" => Box::new(Random::default()),
            "by-hand" if plan.app.is_some() => Box::new(ByHand::default()),
            "by-hand" => return Ok(None),
            "prior" => ours(Knowledge::Model(self.prior.clone().context("this policy needs a model")?)),
            "linear" => ours(spoiled(linear()?)),
            "full" => ours(spoiled(full()?)),
            "full-off" => ours_off(spoiled(full()?)),
            "full-steer" if plan.app.is_some() => {
                Box::new(Ours::new(spoiled(full()?), settings, weight).steering_within(STEER_RATIO))
            }
            "full-steer" => return Ok(None),
            "perfect" => ours(Knowledge::Perfect(plan.nodes.clone())),
            "perfect-off" => ours_off(Knowledge::Perfect(plan.nodes.clone())),
            _ => anyhow::bail!("no policy is called {name:?}; there are: {}", POLICIES.join(", ")),
        }))
    }
}

/// Tells whether a policy is one of ours, which need a model.
#[must_use]
pub fn needs_model(name: &str) -> bool {
    matches!(name, "prior" | "linear" | "full" | "full-off" | "full-steer")
}

/// Gives the extender's default settings.
#[must_use]
pub fn default_settings() -> Settings {
    Config::default().policy()
}
