//! `testbed`: see docs/testbed.md.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod compare;
mod reachable;

/// A cluster to try schedulers on.
#[derive(Debug, Parser)]
#[command(name = "testbed")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario under several policies and compares what came of it.
    Run(compare::Run),
    /// Says how much of the bound's saving can be had while the 95th percentile stays that of an even split.
    Reach(reachable::Reachable),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => compare::compare(&run),
        Command::Reach(reach) => reachable::print(&reach),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the program's own error channel")]
            {
                eprintln!("testbed: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
