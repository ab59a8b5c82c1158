//! `testbed`: see docs/testbed.md.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod compare;

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
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => compare::compare(&run),
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
