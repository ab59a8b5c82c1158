//! `wattle train`: learns from measurements and writes an artifact.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use wattle_contract::Timestamp;
use wattle_model::named::Look;
use wattle_model::{Dataset, TrainOptions, Trained, named, report};

use crate::args::Train;
use crate::learn;
use crate::progress;
use crate::settings::Settings;
use crate::verbs::rows;

/// Trains and writes.
///
/// # Errors
/// The rows cannot be read, there are too few, the model is no better than its baseline, or the artifact cannot be
/// written.
pub(crate) async fn run(args: Train, settings: Settings) -> anyhow::Result<ExitCode> {
    if let (Some(dataset), Some(split)) = (&args.dataset, &args.split) {
        return score_published(dataset, split, &args);
    }
    let now = learn::now();
    let since = args.since.map_or(Timestamp(i64::MIN), |span| now.minus(span));
    let until = args.until.map_or(Timestamp(i64::MAX), |span| now.minus(span));
    let windows = rows::windows(&args.rows, &settings, (since, until)).await?;
    let data = Dataset::from_windows(&windows);
    let options = TrainOptions { seed: args.seed.unwrap_or(settings.model.seed), ..TrainOptions::default() };
    let out = args.out.unwrap_or_else(|| settings.model_path());
    let wants_report = args.report.is_some();
    let (trained, page) = tokio::task::spawn_blocking(move || learn(&data, &options, wants_report))
        .await
        .context("training was cut off")?
        .with_context(|| format!("no model was written from {} windows", windows.len()))?;
    if let Some(target) = trained.evaluation.worse_than_baseline().filter(|_| !args.allow_worse) {
        anyhow::bail!(
            "no model was written: {target} is predicted no better than by its baseline ({}); measure for longer, or \
             write it all the same with --allow-worse",
            progress::scores(&trained.evaluation)
        );
    }
    learn::write_artifact(&trained.artifact, &out)?;
    if let (Some(page), Some(path)) = (page, &args.report) {
        std::fs::write(path, page).with_context(|| format!("cannot write the report {}", path.display()))?;
    }
    progress::say(&format!("{} -> {}", progress::scores(&trained.evaluation), out.display()));
    if args.json {
        println!("{}", serde_json::to_string(&trained.evaluation)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Trains, and draws the report on the held-out rows if it is wanted.
fn learn(data: &Dataset, options: &TrainOptions, wants_report: bool) -> anyhow::Result<(Trained, Option<String>)> {
    let bar = progress::Bar::start("training");
    let trained = wattle_model::train(data, options, &mut |step| bar.show(&step))?;
    let page = match wants_report {
        true => Some(report::html(&trained.artifact, &data.split(options.holdout).1, data)?),
        false => None,
    };
    Ok((trained, page))
}

/// Trains and scores one published data set by its split rule, as docs/model-card.md lists them; writes no artifact.
fn score_published(dataset: &str, split: &str, args: &Train) -> anyhow::Result<ExitCode> {
    let folder = args.corpus.as_deref().unwrap_or_else(|| Path::new("../shared/data"));
    let score = named::bench_task(dataset, split, folder, if args.folds { Look::Folds } else { Look::Test })
        .with_context(|| format!("cannot score {dataset} {split} from {} (--corpus DIR)", folder.display()))?;
    println!("{}", if args.json { serde_json::to_string(&score)? } else { serde_json::to_string_pretty(&score)? });
    Ok(ExitCode::SUCCESS)
}
