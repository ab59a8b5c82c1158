//! `wattle consolidate`: nodes worth emptying, as the scheduler sees them. Nothing is evicted.

use std::process::ExitCode;

use anyhow::Context as _;
use wattle_scheduler::consolidate::Advice;

use crate::args::Consolidate;
use crate::http;
use crate::settings::Settings;

/// Asks the scheduler and prints the report.
///
/// # Errors
/// The scheduler does not answer.
pub(crate) async fn run(args: Consolidate, settings: Settings) -> anyhow::Result<ExitCode> {
    let base = args.scheduler.unwrap_or_else(|| format!("http://{}", settings.scheduler.listen));
    let (status, body) = http::get(&format!("{}/consolidate", base.trim_end_matches('/'))).await?;
    if !status.is_success() {
        anyhow::bail!("the scheduler at {base} answered {status}: {}", String::from_utf8_lossy(&body));
    }
    let advice: Advice = serde_json::from_slice(&body).context("the scheduler's answer is no advice")?;
    match args.json {
        true => println!("{}", serde_json::to_string(&advice)?),
        false => print!("{}", table(&advice)),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(advice: &Advice) -> String {
    let mut text = format!(
        "{} nodes, {:.0} W; emptying {} in this order would save {:.0} W, {:.1} kWh a day\n",
        advice.looked_at,
        advice.watts_now.get(),
        advice.nodes.len(),
        advice.saved_watts.get(),
        advice.saved_kwh_per_day
    );
    if advice.nodes.is_empty() {
        return text;
    }
    text += &format!(
        "\n{:<24}  {:>8}  {:>8}  {:>8}  {:>9}  {:>16}  {}\n",
        "NODE", "NOW W", "ADDS W", "SAVES W", "KWH/DAY", "P95 MS NOW THEN", "ITS LOAD GOES TO"
    );
    for node in &advice.nodes {
        let ms = |value: Option<wattle_contract::Milliseconds>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{:.1}", value.get()))
        };
        let targets: Vec<&str> = node.targets.iter().map(|(name, _)| name.as_str()).collect();
        text += &format!(
            "{:<24}  {:>8.1}  {:>8.1}  {:>8.1}  {:>9.2}  {:>16}  {}\n",
            node.node,
            node.watts_now.get(),
            node.added_watts.get(),
            node.saved_watts.get(),
            node.saved_kwh_per_day,
            format!("{} {}", ms(node.p95_now_ms), ms(node.p95_then_ms)),
            targets.join(", ")
        );
    }
    text
}
