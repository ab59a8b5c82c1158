//! What a person at a terminal sees of training.

use std::io::Write as _;

use indicatif::{ProgressBar, ProgressStyle};
use wattle_model::{Evaluation, Progress};

/// A bar on standard error; silent where that is not a terminal.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Shows an empty bar.
    pub(crate) fn start(what: &'static str) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        Self(ProgressBar::new(1).with_style(style).with_prefix(what))
    }

    /// Shows an empty bar of bytes.
    pub(crate) fn bytes(what: &'static str, length: u64) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {bytes}/{total_bytes} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        Self(ProgressBar::new(length).with_style(style).with_prefix(what))
    }

    /// Shows an empty bar of a time to go through.
    pub(crate) fn hours(what: &'static str, hours: u64) -> Self {
        let style = ProgressStyle::with_template("{prefix} [{bar:30}] {pos}/{len} h, {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        Self(ProgressBar::new(hours).with_style(style).with_prefix(what))
    }

    /// Shows how many bytes or hours are done.
    pub(crate) fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Shows how far it is.
    pub(crate) fn show(&self, step: &Progress) {
        self.0.set_length(step.total);
        self.0.set_position(step.done);
        self.0.set_message(step.step);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Gives the scores of a model as one line, each against its baseline.
pub(crate) fn scores(evaluation: &Evaluation) -> String {
    let percent = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |v| format!("{v:.1} %"));
    format!(
        "model trained on {} rows: power MAPE {} (baseline {}), p95 latency MAPE {} (baseline {})",
        evaluation.rows,
        percent(evaluation.power_mape),
        percent(evaluation.power_mape_baseline),
        percent(evaluation.latency_mape),
        percent(evaluation.latency_mape_baseline),
    )
}

/// Tells a person something, on standard error, beside bars and logs. A closed standard error is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
