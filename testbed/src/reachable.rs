//! `testbed reach`: what of the bound's saving the 95th percentile allows.

use clap::Args;
use wattle_testbed::reach::reach;
use wattle_testbed::scenario::Scenario;
use wattle_testbed::statistics::mean;

/// `testbed reach`.
#[derive(Debug, Args)]
pub(crate) struct Reachable {
    /// `hotel-3` or a file.
    scenario: String,
    /// Plans of each combination.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Seed of the first plan.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only combinations whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Requests drawn for each split and level, at 1000 requests/s.
    #[arg(long, default_value_t = 200)]
    draws: usize,
}

/// Looks and prints.
///
/// # Errors
/// The scenario cannot be read.
#[expect(clippy::print_stdout, reason = "the table is what the program is for")]
pub(crate) fn print(args: &Reachable) -> anyhow::Result<()> {
    let scenario = Scenario::read(&args.scenario)?;
    println!(
        "{:<24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "even W", "bound W", "p95 ms", "fixed %", "moving %", "local %"
    );
    for cell in scenario.cells()?.into_iter().filter(|cell| cell.name.contains(&args.only)) {
        let plans = (args.first_seed..args.first_seed + args.seeds.max(1)).map(|seed| cell.plan(seed));
        let found: Vec<_> = plans.filter_map(|plan| reach(&plan, args.draws)).collect();
        let of = |figure: fn(&wattle_testbed::reach::Reach) -> f64| {
            mean(&found.iter().map(figure).collect::<Vec<f64>>()).mean
        };
        println!(
            "{:<24} {:>8.1} {:>8.1} {:>8.2} {:>8.1} {:>8.1} {:>8.1}",
            cell.name,
            of(|found| found.watts.0),
            of(|found| found.watts.1),
            of(|found| found.p95_ms),
            of(|found| found.fixed),
            of(|found| found.moving),
            of(|found| found.local)
        );
    }
    Ok(())
}
