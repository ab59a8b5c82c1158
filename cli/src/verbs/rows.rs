//! Where the rows for training and scoring come from: a store, a Prometheus server, or files.

mod prometheus;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use wattle_collector::store::Store;
use wattle_contract::{Timestamp, Window};
use wattle_model::import::{windows_from_csv, windows_from_kepler_json, windows_from_parquet};

use crate::args::Rows;
use crate::learn;
use crate::settings::Settings;

/// How far back a server is asked for where it is not said: a server has no end of its own.
const ASKED_FOR: Duration = Duration::from_secs(24 * 3600);

/// Reads the windows between two points in time from where the arguments say.
///
/// # Errors
/// The store, the server or a file cannot be read.
pub(crate) async fn windows(
    rows: &Rows,
    settings: &Settings,
    (since, until): (Timestamp, Timestamp),
) -> anyhow::Result<Vec<Window>> {
    let windows = if let Some(path) = &rows.csv {
        windows_from_csv(&path.display().to_string(), BufReader::new(open(path)?))?
    } else if let Some(path) = &rows.kepler {
        let machines = &settings.collector.machines.0;
        windows_from_kepler_json(&path.display().to_string(), BufReader::new(open(path)?), machines)?
    } else if let Some(path) = &rows.parquet {
        windows_from_parquet(&path.display().to_string(), open(path)?)?
    } else if let Some(url) = &rows.prometheus {
        let now = learn::now();
        let span = (since.max(now.minus(ASKED_FOR.max(asked_for(since, now)))), until.min(now));
        return prometheus::Prometheus::new(url, rows.prometheus_token.as_deref())?.windows(span, settings).await;
    } else {
        let url = settings.store_url();
        let store = Store::open(&url).await.with_context(|| format!("cannot open the store {}", redact(&url)))?;
        return store.windows(since, until).await.context("cannot read the measured windows");
    };
    Ok(windows.into_iter().filter(|window| since <= window.start && window.start < until).collect())
}

/// Gives how far back `since` lies; nothing where it was not said.
fn asked_for(since: Timestamp, now: Timestamp) -> Duration {
    if since.0 == i64::MIN { Duration::ZERO } else { now.since(since) }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
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
