//! `testbed run`: policies side by side on the same plans.

use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use wattle_scheduler::decide::Policy as Settings;
use wattle_testbed::ablation;
use wattle_testbed::contenders::{POLICIES, default_settings};
use wattle_testbed::report::{self, Section};
use wattle_testbed::scenario::Scenario;
use wattle_testbed::study::Study;
use wattle_testbed::table;
use wattle_testbed::telemetry::Faults;

/// `testbed run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// `hotel-3`, `alibaba-1000` or a file.
    scenario: String,
    /// Policies, separated by commas; the first is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_values_t = POLICIES.map(str::to_owned))]
    policies: Vec<String>,
    /// Runs of each policy, each on a plan of its own.
    #[arg(long, default_value_t = 10)]
    seeds: u64,
    /// Seed of the first plan.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only combinations whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Windows arrive this many seconds late.
    #[arg(long, default_value_t = 0)]
    stale: u64,
    /// Share of nodes without an energy meter.
    #[arg(long, default_value_t = 0.0)]
    without_meter: f64,
    /// The model's power is wrong by up to this share, up or down, for each node.
    #[arg(long, default_value_t = 0.0)]
    model_error: f64,
    /// The model's power is wrong by this share on every node, upwards or, below zero, downwards.
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    model_bias: f64,
    /// What the operator says of each machine is that of another one.
    #[arg(long)]
    wrong_class: bool,
    /// Also runs `full` under each fault alone, against the default on the same plans.
    #[arg(long, conflicts_with_all = ["stale", "without_meter", "model_error", "model_bias", "wrong_class"])]
    ablations: bool,
    /// Also draws everything on one page, written here after each combination.
    #[arg(long, value_name = "FILE")]
    report: Option<std::path::PathBuf>,
    /// Weight of the extender in kube-scheduler's configuration.
    #[arg(long, default_value_t = 5)]
    weight: i64,
    /// Another weight of the extender's cost than the default: `headroom=3`, `latency=0`; may be given again.
    #[arg(long, value_name = "PART=WEIGHT", value_parser = part)]
    set: Vec<(String, f64)>,
    /// Plans run at the same time; as many as there are processors by default.
    #[arg(long)]
    threads: Option<usize>,
}

/// Runs and prints.
///
/// # Errors
/// The scenario cannot be read, or a policy is not known.
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) fn compare(args: &Run) -> anyhow::Result<()> {
    args.check()?;
    let study = args.study()?;
    let scenario = Scenario::read(&args.scenario)?;
    let mut sections = Vec::new();
    for cell in scenario.cells()?.into_iter().filter(|cell| cell.name.contains(&args.only)) {
        let outcomes = study.run(&cell)?;
        println!("\n{} {}\n{}", scenario.name, cell.name, table::of(&study, &outcomes));
        let ablations = if args.ablations { ablation::run(&study, &cell)? } else { Vec::new() };
        if args.ablations {
            println!("\n{}", ablation::table(&ablations));
        }
        sections.push(Section { cell, outcomes, ablations });
        // After each combination: what is there can be looked at, and is not lost when a long run is stopped.
        if let Some(path) = &args.report {
            let page = report::page(&scenario.name, &study, &sections);
            std::fs::write(path, page).with_context(|| format!("cannot write the report {}", path.display()))?;
        }
    }
    Ok(())
}

impl Run {
    /// Refuses shares that mean nothing.
    fn check(&self) -> anyhow::Result<()> {
        let shares = [("without-meter", self.without_meter, 0.0), ("model-error", self.model_error, 0.0)];
        for (flag, share, least) in shares.into_iter().chain([("model-bias", self.model_bias, -0.99)]) {
            anyhow::ensure!((least..=1.0).contains(&share), "--{flag} is {share}, not {least} to 1");
        }
        Ok(())
    }

    fn study(&self) -> anyhow::Result<Study> {
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Study {
            policies: self.policies.clone(),
            seeds: self.first_seed..=self.first_seed + self.seeds.max(1) - 1,
            faults: Faults {
                stale: Duration::from_secs(self.stale),
                without_meter: self.without_meter,
                model_error: self.model_error,
                model_bias: self.model_bias,
                wrong_class: self.wrong_class,
                ..Faults::usual()
            },
            settings: self.settings()?,
            weight: self.weight,
            threads: self.threads.unwrap_or_else(processors),
        })
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = default_settings();
        for (part, weight) in &self.set {
            let weights = &mut settings.weights;
            let place = match part.as_str() {
                "energy" => &mut weights.energy,
                "latency" => &mut weights.latency,
                "affinity" => &mut weights.affinity,
                "slo" => &mut weights.slo,
                "headroom" => &mut weights.headroom,
                "neighbours" => &mut weights.neighbours,
                _ => anyhow::bail!("--set {part}: no part of the cost is called that"),
            };
            anyhow::ensure!((0.0..=100.0).contains(weight), "--set {part} is {weight}, not 0 to 100");
            *place = *weight;
        }
        Ok(settings)
    }
}

fn part(text: &str) -> Result<(String, f64), String> {
    let (part, weight) = text.split_once('=').ok_or("expected PART=WEIGHT")?;
    Ok((part.to_owned(), weight.parse().map_err(|_| format!("{weight:?} is not a number"))?))
}
