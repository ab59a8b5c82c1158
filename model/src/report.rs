//! A model as one page to look at, and as text.
//!
//! [`html`] is one self-contained file: no script, no font, no address is loaded. Every figure on it comes from the rows
//! that it is given; give it held-out rows.

mod plots;
mod svg;
mod text;

use std::fmt::Write;

use crate::Error;
use crate::artifact::Artifact;
use crate::dataset::{Dataset, LatencyRow, PowerRow};
use crate::evaluate::{Evaluation, evaluate};

pub use text::{card, show, table};

const STYLE: &str = include_str!("report/style.css");

/// Rows with what was predicted for them.
struct Predicted<'a> {
    /// Rows of power, watts.
    power: Vec<(&'a PowerRow, f64)>,
    /// Rows of latency: measured and predicted milliseconds.
    latency: Vec<(&'a LatencyRow, f64, f64)>,
}

impl<'a> Predicted<'a> {
    fn of(artifact: &Artifact, data: &'a Dataset) -> Self {
        let power = match &artifact.power {
            Some(model) => data.power.iter().filter_map(|row| Some((row, model.predict(row)?.0))).collect(),
            None => Vec::new(),
        };
        let latency = match &artifact.p95 {
            Some(model) => {
                let guess =
                    |row: &LatencyRow| model.ln_ms(Some(&row.service), &row.node, &row.features, row.rate).exp();
                data.latency.iter().filter_map(|row| Some((row, row.p95?.mid.exp(), guess(row)))).collect()
            }
            None => Vec::new(),
        };
        Self { power, latency }
    }
}

/// Draws a model on rows that it has not learnt from; `history` is everything there was, for the learning curve.
///
/// # Errors
/// [`Error::Schema`] when the artifact does not fit this program.
pub fn html(artifact: &Artifact, held_out: &Dataset, history: &Dataset) -> Result<String, Error> {
    let evaluation = evaluate(artifact, held_out)?;
    let predicted = Predicted::of(artifact, held_out);
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>wattle model</title><style>",
    );
    page.push_str(STYLE);
    page.push_str("</style></head><body><header><h1>What this model knows</h1>");
    let _ = write!(page, "<p>{}</p></header>", escape(&text::origin(artifact)));
    page.push_str(&tiles(&evaluation));
    section(&mut page, "Predicted against measured", &[plots::power(&predicted), plots::latency(&predicted)]);
    section(
        &mut page,
        "Where it errs, and how sure it is",
        &[plots::residuals(&predicted), plots::coverage(artifact, &predicted)],
    );
    section(
        &mut page,
        "What it has learnt",
        &[
            plots::curves(artifact, held_out),
            plots::queues(artifact, held_out),
            plots::parts(artifact, held_out),
            plots::learning(history),
        ],
    );
    let _ = write!(
        page,
        "<section><h2>Provenance</h2><details><summary>layers, features, units, rows left out</summary>\
         <pre>{}</pre></details></section></body></html>",
        escape(&show(artifact))
    );
    Ok(page)
}

fn section(page: &mut String, title: &str, figures: &[String]) {
    let _ = write!(page, "<section><h2>{title}</h2><div class=\"figures\">{}</div></section>", figures.concat());
}

/// Makes text safe inside HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Puts the few figures that a person asks for first into large letters.
fn tiles(evaluation: &Evaluation) -> String {
    let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} %"));
    let tile = |class: &str, name: &str, ours: Option<f64>, theirs: Option<f64>, what: &str| {
        let verdict = match ours.zip(theirs) {
            Some((ours, theirs)) if ours < theirs => {
                format!("<b class=\"good\">{:.1}× better</b> than", theirs / ours.max(1e-6))
            }
            Some(_) => "<b class=\"bad\">no better</b> than".to_owned(),
            None => "not scored against".to_owned(),
        };
        format!(
            "<div class=\"tile {class}\"><h3>{name}</h3><strong>{}</strong><p>{verdict} {} ({})</p></div>",
            percent(ours),
            escape(what),
            percent(theirs)
        )
    };
    let inside = |class: &str, name: &str, share: Option<f64>| {
        let verdict = match share {
            Some(share) if share < 85.0 => "<b class=\"bad\">too narrow</b>: 90 % were promised",
            Some(share) if share > 95.0 => "<b class=\"bad\">wider</b> than the 90 % that were promised",
            Some(_) => "<b class=\"good\">as promised</b>: 90 %",
            None => "not scored",
        };
        format!("<div class=\"tile {class}\"><h3>{name}</h3><strong>{}</strong><p>{verdict}</p></div>", percent(share))
    };
    format!(
        "<section class=\"tiles\">{}{}{}{}</section><p class=\"note\">Scored on {} rows that the model has not seen, learnt from {}.</p>",
        tile(
            "power",
            "error of power",
            evaluation.power_mape,
            evaluation.power_mape_baseline,
            &evaluation.power_baseline
        ),
        inside("power", "power inside its interval", evaluation.power_coverage),
        tile(
            "latency",
            "error of p95",
            evaluation.latency_mape,
            evaluation.latency_mape_baseline,
            &evaluation.latency_baseline
        ),
        inside("latency", "p95 inside its interval", evaluation.latency_coverage),
        evaluation.rows_held_out,
        evaluation.rows
    )
}
