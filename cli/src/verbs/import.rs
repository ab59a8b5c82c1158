//! `wattle import`: history from a file or from a server that answers remote read.

use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::body::Bytes;
use wattle_collector::{Imported, RemoteRead, Unanswered};

use crate::args::Import;
use crate::http::{Exchange, ask};
use crate::learn;
use crate::progress::Bar;
use crate::settings::Settings;
use crate::verbs::rows::redact;

const EXCHANGE: Exchange = Exchange { authorization: None, timeout: Duration::from_secs(300), max_bytes: 256 << 20 };
/// Pauses before a server that did not answer, or is too busy, is asked again.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];
const HOUR_MS: u64 = 3_600_000;

/// Imports what the arguments name.
///
/// # Errors
/// The file or the server cannot be read or is not understood, or the store cannot be written or is in use.
pub(crate) async fn run(args: Import, settings: Settings) -> anyhow::Result<ExitCode> {
    let url = settings.store_url();
    let (from, imported) = match (&args.file, &args.remote_read) {
        (Some(path), _) => (path.display().to_string(), file(path, &url).await),
        (None, Some(server)) => (redact(server), remote(server, &args, &url, settings.collector.retention).await),
        (None, None) => anyhow::bail!("nothing to import: name a file, or a server with --remote-read"),
    };
    let imported = imported.with_context(|| format!("cannot import {from} into {}", redact(&url)))?;
    println!("{} samples of {from} are in {}", imported.samples, redact(&url));
    if let Some(first) = imported.first {
        println!("{} samples were rejected; the first: {first}", imported.rejected);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn file(path: &Path, store: &str) -> anyhow::Result<Imported> {
    let opened = std::fs::File::open(path).context("cannot open it")?;
    let bar = Bar::bytes("import", opened.metadata().map_or(0, |file| file.len()));
    Ok(wattle_collector::import(store, BufReader::new(opened), |bytes| bar.at(bytes)).await?)
}

async fn remote(server: &str, args: &Import, store: &str, retention: Duration) -> anyhow::Result<Imported> {
    let (address, exchange) = EXCHANGE.with(server, args.token.as_deref())?;
    let now = learn::now();
    let (start, end) = (now.minus(args.since.unwrap_or(retention)), now.minus(args.until.unwrap_or_default()));
    anyhow::ensure!(start < end, "--until must be less than --since: nothing lies between them");
    let asked = RemoteRead::new(&args.selectors, (start, end))?;
    let hours = |to: i64| (to - start.0).max(0).unsigned_abs().div_ceil(HOUR_MS);
    let bar = Bar::hours("import", hours(end.0));
    let headers = headers(&args.header)?;
    let exchanged = async |body: Vec<u8>| read(&address, &headers, body.into(), &exchange).await;
    Ok(wattle_collector::import_remote(store, &asked, exchanged, |to| bar.at(hours(to.0))).await?)
}

fn headers(pairs: &[(String, String)]) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let named = HeaderName::try_from(name).with_context(|| format!("--header: {name:?} is no name"))?;
        headers.insert(named, HeaderValue::try_from(value).with_context(|| format!("--header {name}: no value"))?);
    }
    Ok(headers)
}

/// Sends a read request, again where that may help.
async fn read(address: &str, headers: &HeaderMap, body: Bytes, exchange: &Exchange) -> Result<Bytes, Unanswered> {
    let mut pauses = PAUSES.iter();
    loop {
        let failed = |reason: String| Unanswered { reason, is_too_much: false };
        let mut request = http::Request::post(address)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::CONTENT_ENCODING, "snappy")
            .header(header::USER_AGENT, concat!("wattle/", env!("CARGO_PKG_VERSION")))
            .header("x-prometheus-remote-read-version", "0.1.0")
            .body(http_body_util::Full::new(body.clone()))
            .map_err(|error| failed(format!("'{address}' cannot be asked: {error}")))?;
        request.headers_mut().extend(headers.clone());
        let unanswered = match ask(request, exchange).await {
            Ok((StatusCode::OK, answer)) => return Ok(answer),
            Ok((status, answer)) => {
                let said: String = String::from_utf8_lossy(&answer).trim().chars().take(300).collect();
                let reason = format!("{address} answers {status}: {said}");
                if !matches!(status.as_u16(), 429 | 502..=504) {
                    // Prometheus says 400 where there are more samples than it may read at once, others 413 or 422.
                    let is_too_much = matches!(status.as_u16(), 413 | 422) || said.contains("limit");
                    return Err(Unanswered { reason, is_too_much });
                }
                reason
            }
            Err(error) if format!("{error:#}").contains("limit") => {
                let reason = format!("{address} answers with more than {} MiB", exchange.max_bytes >> 20);
                return Err(Unanswered { reason, is_too_much: true });
            }
            Err(error) => format!("{address}: {error:#}"),
        };
        let Some(pause) = pauses.next() else { return Err(failed(unanswered)) };
        tracing::warn!(error = unanswered, pause_s = pause.as_secs(), "the server is asked again");
        tokio::time::sleep(*pause).await;
    }
}
