//! `wattle scheduler doctor`: what is wrong with kube-scheduler's configuration of the extender.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use wattle_scheduler::doctor::{Facts, Severity, examine};

use crate::progress;
use crate::settings::Settings;

/// Examines the file; findings go to standard error, the mended configuration to standard output.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn run(configuration: &Path, nodes: Option<usize>, settings: &Settings) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(configuration)
        .with_context(|| format!("cannot read the configuration {}", configuration.display()))?;
    let facts = Facts {
        deadline: settings.scheduler.deadline,
        top_score: u32::try_from(settings.scheduler.top_score).unwrap_or(u32::MAX),
        nodes,
        refuses_nodes: !settings.scheduler.power_caps.0.is_empty(),
    };
    let diagnosis = examine(&text, &facts);
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
