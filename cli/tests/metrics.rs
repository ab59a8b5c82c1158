//! docs/metrics.md is made from where metrics are declared, and says what a running wattle shows.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where each role declares its metrics, and what its names begin with where the declaration leaves it out.
const DECLARED: [(&str, &str, &str); 3] = [
    ("Collector", "telemetry-collector/src/metrics.rs", ""),
    ("Scheduler", "scheduler/src/metrics.rs", "wattle_scheduler_"),
    ("Proxy", "proxy-core/src/metrics.rs", ""),
];

/// A metric as it is declared.
#[derive(Debug, PartialEq, Eq)]
struct Metric {
    name: String,
    kind: &'static str,
    labels: Vec<String>,
    help: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate").to_owned()
}

/// Reads a quoted text at the start; gives it and what follows.
fn literal(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('"')?.split_once('"')
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
}

/// Gives what stands before the parenthesis that closes the one before the text.
fn inside(text: &str) -> &str {
    let mut depth = 1;
    let close = text.char_indices().find(|(_, char)| {
        depth += i32::from(*char == '(') - i32::from(*char == ')');
        depth == 0
    });
    &text[..close.map_or(text.len(), |(at, _)| at)]
}

/// Gives the quoted names in a text.
fn names(text: &str) -> Vec<String> {
    text.split('"').skip(1).step_by(2).filter(|text| is_name(text)).map(str::to_owned).collect()
}

fn kind(function: &str) -> &'static str {
    match function.to_lowercase() {
        name if name.contains("gauge") => "gauge",
        name if name.contains("histogram") || name == "seconds" => "histogram",
        name if name.contains("counter") || name == "reasons" => "counter",
        name => panic!("what {name} declares is not known here"),
    }
}

/// Finds calls with a metric's name and its help as their first arguments.
fn declared(source: &str, prefix: &str) -> Vec<Metric> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices('(') {
        let arguments = &source[at + 1..];
        let Some((name, rest)) = literal(arguments).filter(|(name, _)| is_name(name)) else { continue };
        let Some((help, rest)) = rest.trim_start().strip_prefix(',').and_then(literal) else { continue };
        let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
        let function = source[..at].rsplit(|char| !is_word(char)).next().unwrap_or("");
        // Of `Opts::new` the next constructor tells the rest.
        let (function, labels) = match function {
            "Opts::new" => {
                let (before, after) = rest.split_once("Vec::new(").expect("a constructor takes the options");
                (before.rsplit(|char| !is_word(char)).next().unwrap_or(""), names(inside(after)))
            }
            "reasons" => (function, vec!["reason".to_owned()]),
            _ => (function.trim_end_matches("::new"), names(inside(rest))),
        };
        let name = if name.starts_with("wattle_") { name.to_owned() } else { format!("{prefix}{name}") };
        found.push(Metric { name, kind: kind(function), labels, help: help.trim_end_matches('.').to_owned() });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn reference() -> String {
    let mut text = "# Metrics\n\nWhat wattle tells of itself, at `:9464/metrics` of each role. Made from the declarations by \
                    `WATTLE_UPDATE=1 cargo test -p wattle --test metrics`. A histogram is `_bucket`, `_sum` and `_count`. \
                    The proxies' Istio metrics are in [proxy.md](proxy.md), what the service graph adds to the samples in \
                    [collector.md](collector.md).\n"
        .to_owned();
    for (role, path, prefix) in DECLARED {
        let source = std::fs::read_to_string(root().join(path)).expect("the source");
        write!(text, "\n## {role}\n\n| metric | kind | labels | what |\n|---|---|---|---|\n").expect("text");
        for Metric { name, kind, labels, help } in declared(&source, prefix) {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            writeln!(text, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).expect("text");
        }
    }
    text
}

#[test]
fn the_reference_of_metrics_is_up_to_date() {
    let (made, path) = (reference(), root().join("docs/metrics.md"));
    if std::env::var_os("WATTLE_UPDATE").is_some() {
        std::fs::write(&path, &made).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/metrics.md is old: run WATTLE_UPDATE=1 cargo test -p wattle --test metrics");
}

#[test]
fn every_declared_name_is_found_whatever_the_way_it_is_declared() {
    let source = r#"
        a: counter("wattle_x_a_total", "Things.")?,
        let opts = Opts::new("wattle_x_b", "Others");
        let b = IntGaugeVec::new(opts, &["reason"])?;
        c: with.histograms("c_seconds", "Time (all of it)", "verb", CALL)?, d: IntGauge::new("wattle_x_d", "More")?,
    "#;

    let found = declared(source, "wattle_x_");

    let metric = |name: &str, kind, labels: &[&str], help: &str| Metric {
        name: name.to_owned(),
        kind,
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        help: help.to_owned(),
    };
    assert_eq!(
        found,
        [
            metric("wattle_x_a_total", "counter", &[], "Things"),
            metric("wattle_x_b", "gauge", &["reason"], "Others"),
            metric("wattle_x_c_seconds", "histogram", &["verb"], "Time (all of it)"),
            metric("wattle_x_d", "gauge", &[], "More"),
        ]
    );
}
