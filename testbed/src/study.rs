//! Policies side by side: every policy runs the same plans, one a seed, and what came of them is compared pair by pair.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use wattle_scheduler::decide::Policy as Settings;

use crate::contenders::{Contenders, needs_model};
use crate::outcome::Outcome;
use crate::run::run;
use crate::scenario::Cell;
use crate::statistics::{Mean, mean, paired};
use crate::telemetry::Faults;

/// Seed of the plan that models are trained on; no reported run has it.
const TRAINING: u64 = 9001;

/// What came of one plan, by the place of the policy.
type Placed = Vec<(usize, Outcome)>;

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Study {
    /// Names of the policies; the first is what the others are compared with.
    pub policies: Vec<String>,
    /// Seeds of the plans.
    pub seeds: std::ops::RangeInclusive<u64>,
    /// How measurements are spoiled; `perfect` is spared.
    pub faults: Faults,
    /// Settings of the extender's decisions.
    pub settings: Settings,
    /// Weight of the extender in kube-scheduler's configuration.
    pub weight: i64,
    /// Plans that are run at the same time.
    pub threads: usize,
}

/// What came of one combination: place of the policy -> one outcome a seed, in the order of the seeds.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(pub BTreeMap<usize, Vec<Outcome>>);

impl Study {
    /// Trains the models of a combination on a plan that no reported run has.
    ///
    /// # Errors
    /// No model can be trained on it.
    pub fn trained(&self, cell: &Cell, faults: Faults) -> anyhow::Result<Contenders> {
        Contenders::train(&cell.training(TRAINING), faults, self.settings, self.weight)
    }

    /// Runs every policy on every plan of a combination.
    ///
    /// # Errors
    /// A policy is not known, or no model can be trained.
    pub fn run(&self, cell: &Cell) -> anyhow::Result<Outcomes> {
        let contenders = if self.policies.iter().any(|name| needs_model(name)) {
            self.trained(cell, self.faults)?
        } else {
            Contenders::without_model(self.settings, self.weight)
        };
        self.run_with(cell, &contenders)
    }

    /// Runs every policy on every plan of a combination, with models that are there.
    ///
    /// # Errors
    /// A policy is not known, or needs a model that is not there.
    pub fn run_with(&self, cell: &Cell, contenders: &Contenders) -> anyhow::Result<Outcomes> {
        let next = AtomicU64::new(*self.seeds.start());
        let take = || {
            let mut done = BTreeMap::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed > *self.seeds.end() {
                    return done;
                }
                done.insert(seed, self.one(cell, contenders, seed));
            }
        };
        let done: BTreeMap<u64, anyhow::Result<Placed>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads.max(1)).map(|_| scope.spawn(take)).collect();
            // A run that panicked is a defect of the testbed: its panic goes on here.
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut outcomes = Outcomes::default();
        for seed in done.into_values() {
            seed?.into_iter().for_each(|(at, outcome)| outcomes.0.entry(at).or_default().push(outcome));
        }
        Ok(outcomes)
    }

    fn one(&self, cell: &Cell, contenders: &Contenders, seed: u64) -> anyhow::Result<Placed> {
        let plan = cell.plan(seed);
        let mut outcomes = Vec::new();
        for (at, name) in self.policies.iter().enumerate() {
            let faults = if name.starts_with("perfect") { Faults::none() } else { self.faults };
            if let Some(mut policy) = contenders.policy(name, &plan, faults, seed)? {
                outcomes.push((at, run(&plan, policy.as_mut(), faults, seed, None)));
            }
        }
        Ok(outcomes)
    }
}

impl Outcomes {
    /// Reads a figure of a policy, one value a seed.
    #[must_use]
    pub fn column(&self, policy: usize, of: impl Fn(&Outcome) -> f64) -> Vec<f64> {
        self.0.get(&policy).map(|outcomes| outcomes.iter().map(of).collect()).unwrap_or_default()
    }

    /// Gives a figure's mean and interval.
    #[must_use]
    pub fn mean(&self, policy: usize, of: impl Fn(&Outcome) -> f64) -> Mean {
        mean(&self.column(policy, of))
    }

    /// Gives by how much a figure differs from the first policy's, plan by plan. Units: percent.
    #[must_use]
    pub fn against_first(&self, policy: usize, of: impl Fn(&Outcome) -> f64) -> Mean {
        paired(&self.column(0, &of), &self.column(policy, &of))
    }

    /// Gives how much of what the bound saves against the first policy this one saves, plan by plan. Units: percent.
    #[must_use]
    pub fn of_bound(&self, policy: usize, energy: impl Fn(&Outcome) -> f64, bound: impl Fn(&Outcome) -> f64) -> Mean {
        let (base, theirs, least) = (self.column(0, &energy), self.column(policy, &energy), self.column(0, &bound));
        let shares: Vec<f64> = base
            .iter()
            .zip(&theirs)
            .zip(&least)
            .filter(|((base, _), least)| *base > *least)
            .map(|((base, theirs), least)| 100.0 * (base - theirs) / (base - least))
            .collect();
        mean(&shares)
    }
}
