//! `wattle explain`: prints why a pod was scored as it was.

use std::process::ExitCode;

use anyhow::Context as _;
use wattle_contract::Decision;
use wattle_scheduler::outcome::Outcome;

use crate::args::Explain;
use crate::http;
use crate::settings::Settings;

/// Asks the scheduler and prints the table.
///
/// # Errors
/// The scheduler does not answer, or does not know the pod.
pub(crate) async fn run(args: Explain, settings: Settings) -> anyhow::Result<ExitCode> {
    let base = args.scheduler.unwrap_or_else(|| format!("http://{}", settings.scheduler.listen));
    let Some((namespace, name)) = &args.pod else { return outcomes(&base, args.json).await };
    let address =
        format!("{}/explain?namespace={}&pod={}", base.trim_end_matches('/'), escape(namespace), escape(name));
    let (status, body) = http::get(&address).await?;
    if status == ::http::StatusCode::NOT_FOUND {
        anyhow::bail!("the scheduler has made no decision for {namespace}/{name}; it keeps the newest ones in memory");
    }
    if !status.is_success() {
        anyhow::bail!("the scheduler at {base} answered {status}: {}", String::from_utf8_lossy(&body));
    }
    let decision: Decision = serde_json::from_slice(&body).context("the scheduler's answer is not a decision")?;
    if args.json {
        println!("{}", serde_json::to_string(&decision)?);
    } else {
        println!("{}", wattle_scheduler::explain::table(&decision));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what became of the last placements.
async fn outcomes(base: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let (status, body) = http::get(&format!("{}/outcomes", base.trim_end_matches('/'))).await?;
    if !status.is_success() {
        anyhow::bail!("the scheduler at {base} answered {status}: {}", String::from_utf8_lossy(&body));
    }
    let outcomes: Vec<Outcome> =
        serde_json::from_slice(&body).context("the scheduler's answer is no list of outcomes")?;
    match as_json {
        true => println!("{}", serde_json::to_string(&outcomes)?),
        false => print!("{}", wattle_scheduler::explain::outcomes(&outcomes)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Escapes what may not stand in a query.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
