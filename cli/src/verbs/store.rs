//! `wattle store verify | stats | backup`: what is in a store.

use std::process::ExitCode;

use anyhow::Context as _;
use wattle_collector::store::Store;

use crate::args::StoreVerb;
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
