//! `wattle replay`: recorded decisions under another policy or model.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use wattle_collector::store::Store;
use wattle_contract::{ClusterSnapshot, Decision, Timestamp, Window};
use wattle_model::Predictor;
use wattle_scheduler::decide::Policy;
use wattle_scheduler::replay::{Replay, Sums, predicted_by, replay};

use crate::args::ReplayArgs;
use crate::learn;
use crate::roles::scheduler;
use crate::settings::{self, Settings, Sources};
use crate::verbs::rows::redact;

/// Moves that are listed.
const LISTED: usize = 20;
/// A window older than this at a decision says nothing about it.
const NEAR: std::time::Duration = std::time::Duration::from_secs(600);

/// Reads, takes again, prints.
///
/// # Errors
/// The store, the policy or the model cannot be read.
pub(crate) async fn run(args: ReplayArgs, settings: Settings) -> anyhow::Result<ExitCode> {
    let policy = policy(args.policy.as_deref(), &settings)?;
    let url = settings.store_url();
    let store = Store::open(&url).await.with_context(|| format!("cannot open the store {}", redact(&url)))?;
    let until = learn::now();
    let since = until.minus(args.since);
    let mut decisions = store.decisions(since, until).await.context("cannot read the recorded decisions")?;
    if let Some(path) = &args.model {
        let artifact = learn::read_artifact(path)?.with_context(|| format!("there is no model {}", path.display()))?;
        let predictor =
            Predictor::new(&artifact).with_context(|| format!("cannot use the model {}", path.display()))?;
        let windows = store.windows(since.minus(NEAR), until).await.context("cannot read the measured windows")?;
        decisions = predicted(decisions, &windows, &predictor);
    }
    let replay = replay(&decisions, &policy);
    match args.json {
        true => println!("{}", json(&replay)),
        false => print!("{}", table(&replay)),
    }
    Ok(ExitCode::SUCCESS)
}

fn policy(file: Option<&Path>, settings: &Settings) -> anyhow::Result<Policy> {
    let Some(file) = file else { return Ok(scheduler::config(&settings.scheduler).policy()) };
    let sources =
        Sources { file: Some(file.to_owned()), environment: Vec::new(), presets: Vec::new(), flags: Vec::new() };
    let other = settings::load(sources).map_err(|problems| anyhow::anyhow!("{}: {problems}", file.display()))?;
    Ok(scheduler::config(&other.scheduler).policy())
}

/// Gives the decisions as another model predicts them, each by the last window before it; without one it is left out.
fn predicted(decisions: Vec<Decision>, windows: &[Window], predictor: &Predictor) -> Vec<Decision> {
    let mut compiled = None;
    let mut again = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let before = windows.partition_point(|window| window.end <= decision.at);
        let Some(window) = before.checked_sub(1).map(|at| &windows[at]) else { continue };
        if decision.at.since(window.end) > NEAR {
            continue;
        }
        if compiled.as_ref().is_none_or(|(end, _): &(Timestamp, _)| *end != window.end) {
            let snapshot = ClusterSnapshot::of(0, window.clone());
            compiled = Some((window.end, predictor.compile(&snapshot)));
        }
        if let Some((_, predictions)) = &compiled {
            again.push(predicted_by(&decision, predictions, predictor.id()));
        }
    }
    again
}

fn json(replay: &Replay) -> serde_json::Value {
    let sums = |sums: &Sums| {
        json!({"added_watts": sums.added_watts, "joules_per_hour": sums.added_watts.get() * 3600.0,
            "mean_p95_ms": sums.mean_p95_ms, "slo_broken": sums.slo_broken})
    };
    let moves: Vec<_> = replay
        .moves
        .iter()
        .map(|moved| {
            json!({"decision": moved.decision.to_string(), "pod": moved.pod.to_string(), "from": moved.from,
                "to": moved.to})
        })
        .collect();
    json!({"decisions": replay.decisions, "compared": replay.compared, "recorded": sums(&replay.recorded),
        "replayed": sums(&replay.replayed), "moves": moves})
}

fn table(replay: &Replay) -> String {
    let (was, now) = (&replay.recorded, &replay.replayed);
    let mut text = format!(
        "{} decisions, {} predicted under both, {} would have gone elsewhere\n\n",
        replay.decisions,
        replay.compared,
        replay.moves.len()
    );
    text += &format!("{:<22}  {:>12}  {:>12}  {:>12}\n", "", "RECORDED", "REPLAYED", "DIFFERENCE");
    let mut line = |name: &str, was: Option<f64>, now: Option<f64>| {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let difference = was.zip(now).map(|(was, now)| now - was);
        text += &format!("{name:<22}  {:>12}  {:>12}  {:>12}\n", number(was), number(now), number(difference));
    };
    let (was_watts, now_watts) = (was.added_watts.get(), now.added_watts.get());
    line("added power, W", Some(was_watts), Some(now_watts));
    line("joules in an hour", Some(was_watts * 3600.0), Some(now_watts * 3600.0));
    line("mean p95, ms", was.mean_p95_ms.map(f64::from), now.mean_p95_ms.map(f64::from));
    #[expect(clippy::cast_precision_loss, reason = "a count of pods")]
    line("objectives broken", Some(was.slo_broken as f64), Some(now.slo_broken as f64));
    for moved in replay.moves.iter().take(LISTED) {
        text += &format!("\n{}: {} -> {}", moved.pod, moved.from, moved.to);
    }
    if replay.moves.len() > LISTED {
        text += &format!("\nand {} more (--json lists them all)", replay.moves.len() - LISTED);
    }
    if !replay.moves.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_is_a_table_too() {
        let table = table(&Replay::default());

        assert!(table.starts_with("0 decisions, 0 predicted under both, 0 would have gone elsewhere\n"), "{table}");
        assert!(table.contains("mean p95, ms                       -             -             -"), "{table}");
    }
}
