//! What `bench/model/run` times: training on a given matrix, and look-ups of 5,000 nodes.
//!
//! `bench lookups` prints the milliseconds that one thread needs for 5,000 nodes x 4 look-ups (power and p95, before and
//! after a pod), the median of 200 rounds, and the milliseconds that compiling the tables took.
//! `bench task DATASET SPLIT DIRECTORY` scores one published task, `bench folds …` its folds of training rows only, `bench card
//! DIRECTORY` all of them as a page.
//! `bench fit FILE ROWS COLUMNS` reads ROWS x COLUMNS, then ROWS little-endian doubles, runs the whole pipeline on the
//! first 100,000 rows (ridge on nine tenths, trees on what it leaves, the tenth sets the intervals) and prints the R2 and
//! the coverage in percent on the rest.
#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::io;
use std::path::Path;
use std::time::Instant;

use ndarray::ArrayView2;
use wattle_contract::{
    ClusterSnapshot, LatencyBracket, MachineFacts, Millicores, Milliseconds, NodeWindow, ServiceWindow, Timestamp,
    Watts, Window,
};
use wattle_model::boost::{BoostOptions, Boosted, Targets};
use wattle_model::features::Monotone;
use wattle_model::linear::ridge;
use wattle_model::named::Look;
use wattle_model::{COVERAGE, Dataset, Predictor, TrainOptions, named, report, score, train};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["fit", file, rows, columns] => fit(file, rows.parse().unwrap_or(0), columns.parse().unwrap_or(0)),
        ["card", directory] => card(directory),
        ["lookups"] => lookups(),
        ["task", dataset, split, directory] => task(dataset, split, directory, Look::Test),
        ["folds", dataset, split, directory] => task(dataset, split, directory, Look::Folds),
        _ => Err(io::Error::other(
            "usage: bench fit FILE ROWS COLUMNS | bench lookups | bench task DATASET SPLIT DIRECTORY",
        )),
    }
}

fn task(dataset: &str, split: &str, directory: &str, look: Look) -> io::Result<()> {
    let score = named::bench_task(dataset, split, Path::new(directory), look).map_err(io::Error::other)?;
    println!("{}", serde_json::to_string(&score)?);
    Ok(())
}

/// Prints the model card: every task.
fn card(directory: &str) -> io::Result<()> {
    let mut scores = Vec::new();
    for (dataset, splits) in named::TASKS {
        for split in splits {
            scores.push(named::bench_task(dataset, split, Path::new(directory), Look::Test).map_err(io::Error::other)?);
        }
    }
    print!("{}", report::card(&scores));
    Ok(())
}

fn fit(file: &str, rows: usize, columns: usize) -> io::Result<()> {
    let bytes = std::fs::read(file)?;
    let values: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|eight| f64::from_le_bytes(*eight)).collect();
    let (x, y) = values.split_at_checked(rows * columns).ok_or_else(|| io::Error::other("the file is too short"))?;
    let seen = rows.min(100_000);
    let fitted = seen - seen / 10;
    let part = |from: usize, until: usize| {
        ArrayView2::from_shape((until - from, columns), &x[from * columns..until * columns])
    };
    let learn = part(0, fitted).map_err(io::Error::other)?;
    let (start, weights) = ridge(learn, &y[..fitted], 1.0).map_err(io::Error::other)?;
    let line = |row: &[f64]| start + row.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>();
    let left: Vec<f64> = x.chunks_exact(columns).zip(&y[..fitted]).map(|(row, y)| y - line(row)).collect();
    let trees = Boosted::fit(learn, &Targets::Exact(&left), &vec![Monotone::Free; columns], &BoostOptions::default())
        .map_err(io::Error::other)?;
    let predict = |row: &[f64]| line(row) + trees.at(row);
    let unseen = |from: usize, until: usize| -> Vec<(f64, f64)> {
        let rows = x.chunks_exact(columns).zip(y).take(until).skip(from);
        rows.map(|(row, y)| (*y, predict(row))).collect()
    };
    let calibration = unseen(fitted, seen);
    let width = score::conformal_quantile(calibration.iter().map(|(y, guess)| (y - guess).abs()).collect(), COVERAGE)
        .unwrap_or(0.0);
    let test = unseen(seen, rows);
    let inside = test.iter().filter(|(y, guess)| (y - guess).abs() <= width).count() as f64 / test.len().max(1) as f64;
    println!("{} {}", score::r2(&test).unwrap_or(f64::NAN), 100.0 * inside);
    Ok(())
}

/// A cluster at one point in time; node `number` draws as its number tells.
fn window(at: i64, nodes: u32) -> Window {
    let node = |number: u32| {
        let u = 0.1 + 0.6 * (f64::from(number).mul_add(0.7, at as f64 * 0.3)).sin().abs();
        NodeWindow {
            node: format!("node-{number}").into(),
            machine: MachineFacts {
                cpu_capacity_millicores: Millicores::new(32_000.0),
                class: Some(format!("class-{}", number % 20)),
                ..MachineFacts::default()
            },
            power_watts: Watts::new(f64::from(number % 20).mul_add(3.0, 200.0f64.mul_add(u, 80.0))),
            energy_joules: None,
            energy_source: None,
            cpu_used_millicores: Millicores::new(u * 32_000.0),
            memory_used_bytes: None,
            requests_per_second: Some(1000.0 * u),
            pods: Some(20),
        }
    };
    let service = |number: u32| {
        let ms = |value: f64| Milliseconds::new(value).unwrap_or_default();
        ServiceWindow {
            service: "search.hotel.svc.cluster.local".into(),
            node: format!("node-{number}").into(),
            requests_per_second: 100.0,
            error_ratio: 0.0,
            p50_ms: None,
            p95_ms: Some(LatencyBracket { low: ms(2.5), estimate: ms(4.0), high: Some(ms(5.0)) }),
            cpu_used_millicores: Millicores::new(500.0),
            power_watts: None,
        }
    };
    let services = (0..nodes.min(40)).map(service).collect();
    Window {
        start: Timestamp(at * 15_000),
        end: Timestamp(at * 15_000 + 15_000),
        nodes: (0..nodes).map(node).collect(),
        services,
        edges: Vec::new(),
    }
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn lookups() -> io::Result<()> {
    let windows: Vec<Window> = (0..30).map(|at| window(at, 40)).collect();
    let trained =
        train(&Dataset::from_windows(&windows), &TrainOptions::default(), &mut |_| ()).map_err(io::Error::other)?;
    let predictor = Predictor::new(&trained.artifact).map_err(io::Error::other)?;
    let newest = window(31, 5000);
    let snapshot = ClusterSnapshot::of(1, newest);
    let start = Instant::now();
    let predictions = predictor.compile(&snapshot);
    let compiled = start.elapsed();
    let extra = Millicores::new(500.0).unwrap_or_default();
    let service = predictions.service_time(Some(&"search.hotel.svc.cluster.local".into()));
    let service = service.ok_or_else(|| io::Error::other("the service is unknown"))?;
    let mut rounds: Vec<f64> = (0..200)
        .map(|_| {
            let start = Instant::now();
            let mut sum = 0.0;
            for node in predictions.iter() {
                let watts =
                    [node.watts(Millicores::ZERO), node.watts(extra)].map(|watts| watts.map_or(0.0, |w| w.mid.get()));
                let ms =
                    [Millicores::ZERO, extra].map(|extra| node.p95_of(service, extra).map_or(0.0, |ms| ms.mid.get()));
                sum += watts[1] - watts[0] + ms[1] - ms[0];
            }
            std::hint::black_box(sum);
            start.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    rounds.sort_unstable_by(f64::total_cmp);
    println!("{} {}", rounds[100], compiled.as_secs_f64() * 1000.0);
    Ok(())
}
