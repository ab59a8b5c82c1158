//! `wattle store verify | stats | backup`, and `wattle import`: what is in a store, and what is not in it yet.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use wattle_collector::store::Store;

use crate::args::StoreVerb;
use crate::progress;
use crate::settings::Settings;
use crate::verbs::rows::redact;

/// Does what a verb asks for.
///
/// # Errors
/// The store cannot be opened or read, or the copy cannot be written.
pub(crate) async fn run(verb: StoreVerb, settings: Settings) -> anyhow::Result<ExitCode> {
    let url = settings.store_url();
    let store = Store::open(&url).await.with_context(|| format!("cannot open the store {}", redact(&url)))?;
    match verb {
        StoreVerb::Stats => {
            let stats = store.stats().await?;
            println!("store         {}", redact(&url));
            println!("series        {}", stats.series);
            println!("samples       {} in {} packs", stats.samples, stats.packs);
            println!("journal rows  {}", stats.journal_rows);
            println!("windows       {}", stats.windows);
            println!("spans         {}", stats.spans);
        }
        StoreVerb::Verify => {
            let found = store.verify().await?;
            for problem in &found.told {
                println!("{problem}");
            }
            println!(
                "{} series, {} packs with {} samples, {} journal rows: {} problems",
                found.series, found.packs, found.samples, found.journal_rows, found.problems
            );
            if found.problems > 0 {
                return Ok(ExitCode::FAILURE);
            }
        }
        StoreVerb::Backup { to } => {
            store.backup(&to).await?;
            println!("{} is a copy of {}", to.display(), redact(&url));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Imports a file of OpenMetrics with timestamps.
///
/// # Errors
/// The file cannot be read or is not understood, or the store cannot be written or is in use.
pub(crate) async fn import(file: PathBuf, settings: Settings) -> anyhow::Result<ExitCode> {
    let url = settings.store_url();
    let opened = std::fs::File::open(&file).with_context(|| format!("cannot open {}", file.display()))?;
    let length = opened.metadata().map_or(0, |file| file.len());
    let bar = progress::Bar::bytes("import", length);
    let imported = wattle_collector::import(&url, BufReader::new(opened), |bytes| bar.at(bytes)).await;
    drop(bar);
    let imported = imported.with_context(|| told(&file, &url))?;
    println!("{} samples of {} are in {}", imported.samples, file.display(), redact(&url));
    if let Some(first) = imported.first {
        println!("{} samples were rejected; the first: {first}", imported.rejected);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn told(file: &Path, url: &str) -> String {
    format!("cannot import {} into {}", file.display(), redact(url))
}
