//! `wattle scheduler doctor`: what is wrong with kube-scheduler's use of the extender.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use wattle_scheduler::doctor::{Facts, Finding, Severity, calls, examine, nodes, reach};

use crate::http;
use crate::progress;
use crate::settings::Settings;

/// What the doctor is asked.
#[derive(Debug)]
pub(crate) struct Asked {
    pub configuration: PathBuf,
    pub nodes: Option<usize>,
    pub metrics: Option<String>,
    pub offline: bool,
}

/// Examines the file, and asks the extender that it names; findings go to standard error, the mended configuration to
/// standard output.
///
/// # Errors
/// The file cannot be read.
pub(crate) async fn run(asked: Asked, settings: &Settings) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&asked.configuration)
        .with_context(|| format!("cannot read the configuration {}", asked.configuration.display()))?;
    let exposition = match asked.offline {
        true => None,
        false => Some(exposition(asked.metrics.as_deref(), settings).await),
    };
    let known = exposition.as_ref().and_then(|text| text.as_ref().ok()).and_then(|text| nodes(text));
    let facts = Facts {
        deadline: settings.scheduler.deadline,
        top_score: u32::try_from(settings.scheduler.top_score).unwrap_or(u32::MAX),
        nodes: asked.nodes.or(known),
        refuses_nodes: !settings.scheduler.power_caps.0.is_empty(),
    };
    let mut diagnosis = examine(&text, &facts);
    match exposition {
        None => {}
        Some(Ok(exposition)) => diagnosis.findings.extend(calls(&exposition)),
        Some(Err(error)) => diagnosis.findings.push(Finding {
            severity: Severity::Warning,
            label: "metrics",
            message: format!("whether the extender is called cannot be told: {error:#}"),
            remedy: "give the address of its metrics (--metrics http://HOST:9464/metrics)".to_owned(),
        }),
    }
    if !asked.offline {
        diagnosis.findings.extend(reach(&text).await);
    }
    diagnosis.findings.sort();
    for finding in &diagnosis.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        progress::say(&format!("{severity}[{}]: {}\n  remedy: {}", finding.label, finding.message, finding.remedy));
    }
    if let Some(mended) = &diagnosis.mended {
        println!("{mended}");
    }
    let errors = diagnosis.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn exposition(address: Option<&str>, settings: &Settings) -> anyhow::Result<String> {
    let address = address.map_or_else(|| format!("http://{}/metrics", settings.general.listen), str::to_owned);
    let (status, body) = http::get(&address).await?;
    anyhow::ensure!(status.is_success(), "{address} answered {status}");
    Ok(String::from_utf8_lossy(&body).into_owned())
}
