//! `wattle train`: learns from stored measurements and writes an artifact.

use std::process::ExitCode;

use anyhow::Context as _;
use wattle_collector::store::Store;
use wattle_contract::Timestamp;
use wattle_model::{Dataset, TrainOptions};

use crate::args::Train;
use crate::learn;
use crate::progress;
use crate::settings::Settings;

/// Trains and writes.
///
/// # Errors
/// The store cannot be read, there is too little to learn from, the model is no better than its baseline, or the
/// artifact cannot be written.
pub(crate) async fn run(args: Train, settings: Settings) -> anyhow::Result<ExitCode> {
    let url = settings.store_url();
    let store = Store::open(&url).await.with_context(|| format!("cannot open the store {}", redact(&url)))?;
    let now = learn::now();
    let since = args.since.map_or(Timestamp(i64::MIN), |span| now.minus(span));
    let until = args.until.map_or(Timestamp(i64::MAX), |span| now.minus(span));
    let windows = store.windows(since, until).await.context("cannot read the measured windows")?;
    let data = Dataset::from_windows(&windows);
    let options = TrainOptions { seed: args.seed.unwrap_or(settings.model.seed), ..TrainOptions::default() };
    let out = args.out.unwrap_or_else(|| settings.model_path());
    let trained = tokio::task::spawn_blocking(move || {
        let bar = progress::Bar::start("training");
        wattle_model::train(&data, &options, &mut |step| bar.show(&step))
    })
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
    progress::say(&format!("{} -> {}", progress::scores(&trained.evaluation), out.display()));
    if args.json {
        println!("{}", serde_json::to_string(&trained.evaluation)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Hides the password of a database address.
pub(crate) fn redact(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let user = url[scheme + 3..at].split(':').next().unwrap_or_default();
            format!("{}{user}:***{}", &url[..scheme + 3], &url[at..])
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(redact("postgres://wattle:secret@db/wattle"), "postgres://wattle:***@db/wattle");
        assert_eq!(redact("sqlite://wattle.db"), "sqlite://wattle.db");
    }
}
