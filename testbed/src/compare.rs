//! `testbed run`: policies side by side on the same plans.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use wattle_testbed::contenders::{Contenders, POLICIES, default_settings, needs_model};
use wattle_testbed::outcome::{FIGURES, Outcome};
use wattle_testbed::run::run;
use wattle_testbed::scenario::{Cell, Scenario};
use wattle_testbed::statistics::{mean, paired};
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
    /// What the operator says of each machine is that of another one.
    #[arg(long)]
    wrong_class: bool,
    /// Weight of the extender in kube-scheduler's configuration.
    #[arg(long, default_value_t = 5)]
    weight: i64,
}

/// Outcomes of one combination: policy -> one outcome a seed.
pub(crate) type Outcomes = BTreeMap<usize, Vec<Outcome>>;

/// Runs and prints.
///
/// # Errors
/// The scenario cannot be read, or a policy is not known.
pub(crate) fn compare(args: &Run) -> anyhow::Result<()> {
    let faults = Faults {
        stale: Duration::from_secs(args.stale),
        without_meter: args.without_meter,
        model_error: args.model_error,
        wrong_class: args.wrong_class,
        ..Faults::usual()
    };
    let scenario = Scenario::read(&args.scenario)?;
    for cell in scenario.cells()?.iter().filter(|cell| cell.name.contains(&args.only)) {
        let outcomes = one(args, cell, faults)?;
        print(args, cell, &outcomes);
    }
    Ok(())
}

fn one(args: &Run, cell: &Cell, faults: Faults) -> anyhow::Result<Outcomes> {
    let contenders = if args.policies.iter().any(|name| needs_model(name)) {
        Contenders::train(&cell.training(9001), faults, default_settings(), args.weight)?
    } else {
        Contenders::without_model(default_settings(), args.weight)
    };
    let mut outcomes = Outcomes::new();
    for seed in 1..=args.seeds {
        let plan = cell.plan(seed);
        for (at, name) in args.policies.iter().enumerate() {
            let faults = if name == "perfect" { Faults::none() } else { faults };
            if let Some(mut policy) = contenders.policy(name, &plan, faults, seed)? {
                outcomes.entry(at).or_default().push(run(&plan, policy.as_mut(), faults, seed, None));
            }
        }
    }
    Ok(outcomes)
}

#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
fn print(args: &Run, cell: &Cell, outcomes: &Outcomes) {
    println!("\n{} {}", args.scenario, cell.name);
    print!("{:<15}", "policy");
    FIGURES.iter().for_each(|figure| print!(" {:>13}", figure.name));
    println!(" {:>20} {:>20} {:>20}", "all on %", "empty off %", "p95 %");
    let Some(base) = outcomes.get(&0) else { return };
    for (at, theirs) in outcomes {
        print!("{:<15}", args.policies[*at]);
        let column = |of: fn(&Outcome) -> f64, outcomes: &[Outcome]| outcomes.iter().map(of).collect::<Vec<f64>>();
        for figure in &FIGURES {
            print!(" {:>13.3}", mean(&column(figure.of, theirs)).mean);
        }
        for figure in [&FIGURES[0], &FIGURES[1], &FIGURES[6]] {
            let difference = paired(&column(figure.of, base), &column(figure.of, theirs));
            print!(" {:>11.2} ±{:>7.2}", difference.mean, difference.half);
        }
        println!();
    }
}
