//! `wattle migrate`: brings a database's schema up to date.

use std::process::ExitCode;

use anyhow::Context as _;
use wattle_collector::store::Store;

use crate::settings::Settings;
use crate::verbs::rows::redact;

/// Opens the store, which runs the migrations that are missing.
///
/// # Errors
/// The database cannot be reached, or its schema is newer than this program.
pub(crate) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    let url = settings.store_url();
    Store::open(&url).await.with_context(|| format!("cannot open the store {}", redact(&url)))?;
    println!("the schema of {} is up to date", redact(&url));
    Ok(ExitCode::SUCCESS)
}
