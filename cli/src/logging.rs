//! Logs go to standard error; standard output is for data.

use std::io::{IsTerminal as _, stderr};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::settings::General;

/// Starts logging.
///
/// # Errors
/// The filter is not understood.
pub(crate) fn start(general: &General) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&general.log).with_context(|| {
        format!("general.log '{}' is not a log filter; try info or info,wattle_proxy=debug", general.log)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_target(true);
    if general.log_json {
        builder.json().init();
    } else {
        builder.with_ansi(stderr().is_terminal()).init();
    }
    Ok(())
}
