//! `wattle`: one binary that measures, learns, schedules and carries traffic.
//!
//! This room holds arguments, settings and lifecycles; what the roles do is in their own crates.

#![allow(clippy::print_stdout, reason = "the program's data goes to standard output")]

mod args;
mod banner;
mod demo;
mod http;
mod learn;
mod listen;
mod logging;
mod mesh;
mod own;
mod progress;
mod roles;
mod settings;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command, ModelArgs, ModelVerb, SchedulerArgs, SchedulerVerb};
use settings::{Problems, Settings, Sources};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let settings = match settings::load(sources(&cli)) {
        Ok(settings) => settings,
        Err(problems) => return wrong_settings(&problems),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let done = logging::start(&settings.general).and_then(|()| runtime.block_on(run(cli.command, settings)));
    // Tasks that outlive their role's deadline are not waited for a second time.
    runtime.shutdown_background();
    match done {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        // The largest of all roles, for it is all of them.
        Command::Up(args) => Box::pin(roles::up::run(args, settings)).await,
        Command::Collector(_) => roles::collector::run(settings).await,
        Command::Scheduler(SchedulerArgs {
            verb: Some(SchedulerVerb::Doctor { configuration, nodes, metrics, offline }),
            ..
        }) => {
            let asked = verbs::doctor::Asked { configuration, nodes, metrics, offline };
            verbs::doctor::run(asked, &settings).await
        }
        Command::Scheduler(_) => roles::scheduler::run(settings).await,
        Command::Proxy(_) => roles::proxy::run(settings).await,
        Command::Train(args) => verbs::train::run(args, settings).await,
        Command::Evaluate(args) => verbs::evaluate::run(args, settings).await,
        Command::Model(ModelArgs { verb: ModelVerb::Show { model } }) => verbs::evaluate::show(model, &settings),
        Command::Explain(args) => verbs::explain::run(args, settings).await,
        Command::Replay(args) => verbs::replay::run(args, settings).await,
        Command::Consolidate(args) => verbs::consolidate::run(args, settings).await,
        Command::Check(args) => verbs::check::run(&args),
        Command::Migrate(_) => verbs::migrate::run(settings).await,
        Command::Store(args) => verbs::store::run(args.verb, settings).await,
        Command::Import(args) => verbs::import::run(args, settings).await,
    }
}

fn sources(cli: &Cli) -> Sources {
    let presets = match &cli.command {
        Command::Up(args) if args.demo => demo::presets(),
        _ => Vec::new(),
    };
    Sources {
        file: cli.global.config.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        presets,
        flags: cli.flags(),
    }
}

fn wrong_settings(problems: &Problems) -> ExitCode {
    progress::say(&format!("wattle: {problems}"));
    ExitCode::from(2)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    progress::say(&format!("wattle: {error:#}"));
    ExitCode::FAILURE
}
