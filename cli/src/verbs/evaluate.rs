//! `wattle evaluate`: scores an artifact on measurements. `wattle model show`: tells what is in one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use wattle_contract::Timestamp;
use wattle_model::{Artifact, Dataset, report};

use crate::args::Evaluate;
use crate::learn;
use crate::settings::Settings;
use crate::verbs::rows;

/// Scores and prints.
///
/// # Errors
/// The artifact or the rows cannot be read, or there is nothing to score on.
pub(crate) async fn run(args: Evaluate, settings: Settings) -> anyhow::Result<ExitCode> {
    let artifact = artifact(args.model, &settings)?;
    let since = args.since.map_or(Timestamp(i64::MIN), |span| learn::now().minus(span));
    let windows = rows::windows(&args.rows, &settings, (since, Timestamp(i64::MAX))).await?;
    let evaluation = wattle_model::evaluate(&artifact, &Dataset::from_windows(&windows))?;
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        print!("{}", report::table(&evaluation));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what is in an artifact.
///
/// # Errors
/// The artifact cannot be read.
pub(crate) fn show(model: Option<PathBuf>, settings: &Settings) -> anyhow::Result<ExitCode> {
    print!("{}", report::show(&artifact(model, settings)?));
    Ok(ExitCode::SUCCESS)
}

fn artifact(path: Option<PathBuf>, settings: &Settings) -> anyhow::Result<Artifact> {
    let path = path.unwrap_or_else(|| settings.model_path());
    learn::read_artifact(&path)?
        .with_context(|| format!("there is no model at {}; train one with `wattle train`", path.display()))
}
