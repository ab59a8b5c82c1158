//! Prometheus's own PromQL tests, through the API as a client sees it; prints the score.
//!
//! Evaluations that need native histograms or experimental functions are counted apart, decided from their text alone;
//! all others must be right. `WATTLE_PROMQLTEST=verbose` lists what is apart and what differs.

#[path = "promqltest/apart.rs"]
#[allow(unreachable_pub, reason = "a part of this test")]
mod apart;
mod common;
#[path = "promqltest/script.rs"]
#[allow(unreachable_pub, reason = "a part of this test")]
mod script;

use apart::Apart;
use common::{Running, corpus, query, query_range, start, write};
use script::{Command, Eval};
use serde_json::Value;
use wattle_collector::{Config, QueryLimits};

/// Evaluations of classic samples in the files, each of which must be right, and those apart that are right all the same.
/// The files have 1,244 evaluations; "about 1,240 classic ones" are these files, not what in them is classic.
const HELD: (usize, usize) = (844, 59);

async fn fresh(dir: &std::path::Path, number: usize) -> Running {
    let query = QueryLimits { delayed_name_removal: true, ..QueryLimits::default() };
    let store_url = format!("sqlite://{}", dir.join(format!("{number}.db")).display());
    start(Config { store_url, query, retention: common::FOR_EVER, ..Config::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_score_of_prometheus_own_tests() {
    let Some(folder) = corpus("promqltest") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let is_verbose = std::env::var("WATTLE_PROMQLTEST").is_ok();
    let (mut right, mut total, mut native, mut experimental, mut lucky, mut number) = (0, 0, 0, 0, 0, 0);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "test")) {
        let text = std::fs::read_to_string(file).expect("a test file");
        let (mut file_right, mut file_total, mut file_native, mut file_experimental) = (0, 0, 0, 0);
        let mut running = fresh(dir.path(), number).await;
        let mut histograms: Vec<script::Labels> = Vec::new();
        for command in script::parse(&text) {
            match command {
                Command::Clear => {
                    number += 1;
                    running.shutdown.cancel();
                    running = fresh(dir.path(), number).await;
                    histograms.clear();
                }
                Command::Load(series, native) => {
                    histograms.extend(native);
                    load(&running, &series).await;
                }
                Command::Eval(eval) => {
                    let why = apart::why(&eval, &histograms);
                    let checked = check(&running, &eval).await;
                    match (why, &checked) {
                        (None, _) => file_total += 1,
                        (Some(Apart::Native), _) => file_native += 1,
                        (Some(Apart::Experimental), _) => file_experimental += 1,
                    }
                    match (why, checked) {
                        (None, Ok(())) => file_right += 1,
                        (Some(_), Ok(())) => lucky += 1,
                        (why, Err(reason)) if is_verbose => {
                            let why = why.map_or_else(|| "DIFFERS".to_owned(), |why| format!("apart: {why:?}"));
                            println!("{}:{}: {why}: {}\n    {reason}", file.display(), eval.line, eval.query);
                        }
                        _ => {}
                    }
                }
            }
        }
        number += 1;
        running.shutdown.cancel();
        println!(
            "{:32} {file_right:4} of {file_total:4} right; apart: {file_native} native histograms, {file_experimental} experimental",
            file.file_name().expect("a name").display()
        );
        (right, total) = (right + file_right, total + file_total);
        (native, experimental) = (native + file_native, experimental + file_experimental);
    }
    println!("classic PromQL: {right} of {total} right");
    println!(
        "apart: {native} of native histograms, {experimental} of experimental functions ({lucky} of them right, too)"
    );
    println!("all evaluations of the files: {}", total + native + experimental);
    assert_eq!(right, total, "evaluations differ: WATTLE_PROMQLTEST=verbose lists them");
    assert_eq!((total, lucky), HELD, "the files or what is apart changed");
}

async fn load(running: &Running, series: &[script::Loaded]) {
    let written: Vec<common::Written<'_>> = series
        .iter()
        .map(|(labels, points)| (labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect(), points.clone()))
        .collect();
    write(&running.api, &written).await;
}

/// Makes sure that an evaluation is right.
async fn check(running: &Running, eval: &Eval) -> Result<(), String> {
    let seconds = |time: i64| time as f64 / 1000.0;
    let answer = if eval.step == 0 {
        query(&running.api, &eval.query, seconds(eval.start)).await
    } else {
        query_range(&running.api, &eval.query, seconds(eval.start), seconds(eval.end), seconds(eval.step)).await
    };
    if answer["status"] == "error" {
        let error = answer["error"].as_str().unwrap_or("");
        return if eval.must_fail { Ok(()) } else { Err(error.to_owned()) };
    }
    if eval.must_fail {
        return Err(format!("must fail, gave {}", answer["data"]));
    }
    if eval.is_native {
        return Err("needs native histograms".to_owned());
    }
    for (wanted, notes) in [(eval.must_warn, &answer["warnings"]), (eval.must_inform, &answer["infos"])] {
        if wanted.is_some_and(|wanted| wanted == notes.is_null()) {
            return Err(format!("notes are {notes}, wanted: {wanted:?}"));
        }
    }
    let (kind, result) = (answer["data"]["resultType"].as_str().unwrap_or(""), &answer["data"]["result"]);
    match kind {
        "scalar" => {
            let expected = eval.expected.first().and_then(|(_, points)| points.first().copied().flatten());
            same(expected, value(&result[1])).then_some(()).ok_or_else(|| format!("gave {result}"))
        }
        "string" => (eval.text.as_deref() == result[1].as_str()).then_some(()).ok_or_else(|| format!("gave {result}")),
        _ => compare(eval, kind, result).map_err(|what| format!("{what}; gave {result}")),
    }
}

fn compare(eval: &Eval, kind: &str, result: &Value) -> Result<(), String> {
    let found = result.as_array().ok_or("no list")?;
    let expected: Vec<_> = eval.expected.iter().filter(|(_, points)| points.iter().any(Option::is_some)).collect();
    if found.len() != expected.len() {
        return Err(format!("{} series, not {}", expected.len(), found.len()));
    }
    for (place, (labels, points)) in expected.into_iter().enumerate() {
        let mut labels = labels.clone().unwrap_or_default();
        labels.retain(|(_, value)| !value.is_empty());
        let is_it = |one: &&Value| {
            let metric = one["metric"].as_object();
            metric.is_some_and(|metric| {
                metric.len() == labels.len()
                    && labels.iter().all(|(n, v)| metric.get(n).and_then(Value::as_str) == Some(v))
            })
        };
        let one = found.iter().find(is_it).ok_or_else(|| format!("no {labels:?}"))?;
        if eval.is_ordered && !is_it(&&found[place]) {
            return Err(format!("{labels:?} is not at its place"));
        }
        for (step, wanted) in points.iter().enumerate() {
            let (start, between) = eval.range.unwrap_or((eval.start, eval.step));
            let time = (start + step as i64 * between) as f64 / 1000.0;
            let got = if kind == "vector" { value(&one["value"][1]) } else { at(&one["values"], time) };
            if !same(*wanted, got) {
                return Err(format!("{labels:?} at {time}: {wanted:?}, not {got:?}"));
            }
        }
    }
    Ok(())
}

fn value(text: &Value) -> Option<f64> {
    text.as_str()?.parse().ok()
}

fn at(values: &Value, time: f64) -> Option<f64> {
    let pair =
        values.as_array()?.iter().find(|pair| pair[0].as_f64().is_some_and(|other| (other - time).abs() < 1e-4))?;
    value(&pair[1])
}

fn same(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
        }
        (a, b) => a.is_none() && b.is_none(),
    }
}
