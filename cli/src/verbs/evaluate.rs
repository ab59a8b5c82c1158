//! `wattle evaluate`: scores an artifact on stored measurements.

use std::process::ExitCode;

use anyhow::Context as _;
use wattle_collector::store::Store;
use wattle_contract::Timestamp;
use wattle_model::Dataset;

use crate::args::Evaluate;
use crate::learn;
use crate::progress;
use crate::settings::Settings;
use crate::verbs::train::redact;

/// Scores and prints.
///
/// # Errors
/// The artifact or the store cannot be read, or there is nothing to score on.
pub(crate) async fn run(args: Evaluate, settings: Settings) -> anyhow::Result<ExitCode> {
    let path = args.model.unwrap_or_else(|| settings.model_path());
    let artifact = learn::read_artifact(&path)?
        .with_context(|| format!("there is no model at {}; train one with `wattle train`", path.display()))?;
    let url = settings.store_url();
    let store = Store::open(&url).await.with_context(|| format!("cannot open the store {}", redact(&url)))?;
    let since = args.since.map_or(Timestamp(i64::MIN), |span| learn::now().minus(span));
    let windows = store.windows(since, Timestamp(i64::MAX)).await.context("cannot read the measured windows")?;
    let evaluation = wattle_model::evaluate(&artifact, &Dataset::from_windows(&windows))?;
    if args.json {
        println!("{}", serde_json::to_string(&evaluation)?);
    } else {
        println!("{}", progress::scores(&evaluation));
    }
    Ok(ExitCode::SUCCESS)
}
