//! kepler-nx12: watts of one bare-metal node from Kepler's counters, every 3 s.
//!
//! One recipe for every split: non-negative least squares on the four counters of work, each held to the range that was
//! seen, is what is true of any workload; boosted trees (median loss, logarithm of watts) are better wherever something
//! similar was seen, and are trusted only there ([`Support`]): by the row itself, and by the last minute of rows, whose
//! features (never their watts) tell a workload that is new as a whole.

use ndarray::Array2;

use super::learn::{Blend, BlendOptions};
use super::{Fitted, Guess, Look, Task, TaskScore, group_folds};
use crate::Error;
use crate::boost::{BoostOptions, Loss};
use crate::csv::Csv;
use crate::features::Monotone;
use crate::linear::{Term, bounded};
use crate::score::quantile;
use crate::support::Support;

const COUNTERS: [&str; 8] = [
    "bpf_cpu_time_us",
    "cache_miss",
    "cpu_cycles",
    "cpu_instructions",
    "cgroupfs_cpu_usage_us",
    "cgroupfs_memory_usage_bytes",
    "kubelet_cpu_usage",
    "kubelet_memory_bytes",
];
/// The first counters: work that the processor did, and so what linear power may rise with.
const WORK: usize = 4;
/// Rows that are left out together, and not compared with each other: 5 minutes.
const BLOCK: usize = 100;
/// Rows by which a new workload is told: the last minute, from features alone.
const RUN: usize = 20;

pub(super) fn score(csv: &Csv, split: &str, target: &str, look: Look) -> Result<TaskScore, Error> {
    let columns: Vec<Vec<f64>> = COUNTERS.iter().map(|name| csv.numbers(name)).collect::<Result<_, _>>()?;
    let truth = csv.numbers(target)?;
    let count = csv.len();
    let raw: Vec<Vec<f64>> = (0..count).map(|row| columns.iter().map(|column| column[row]).collect()).collect();
    let rows: Vec<Vec<f64>> = (0..count).map(|row| features(&raw[row], &raw[row.saturating_sub(1)])).collect();
    let is_test = |row: &usize| match split {
        "KNX-A" => (row / BLOCK).is_multiple_of(5),
        "KNX-B" => *row >= 1762,
        _ => row.is_multiple_of(5),
    };
    let (test, train): (Vec<usize>, Vec<usize>) = (0..count).partition(is_test);
    // Blocks of 100 rows are left out together: neighbours in time are too alike to judge by.
    let folds = group_folds(&train, &|row| if split == "KNX-C" { row } else { row / BLOCK }, 20);
    let watts = truth.clone();
    let fit = Box::new(|seen: &[usize]| fit(&raw, &rows, &watts, seen));
    Task { truth, train, test, folds, fit }.score("kepler-nx12", split, &format!("{target}, W"), look)
}

/// Counters, their ratios (instructions per cycle, cycles and instructions per processor time, misses per cycle), and
/// the work of the sample before: the platform's meter lags.
fn features(now: &[f64], before: &[f64]) -> Vec<f64> {
    let ratio = |a: f64, b: f64| ((a + 1.0) / (b + 1.0)).ln();
    let mut row = now.to_vec();
    row.extend([ratio(now[3], now[2]), ratio(now[2], now[0]), ratio(now[1], now[2]), ratio(now[3], now[0])]);
    row.extend_from_slice(&before[..WORK]);
    row
}

/// What rows are compared by: logarithms of the work, and the ratios.
fn similar(raw: &[f64], row: &[f64]) -> Vec<f64> {
    let mut similar: Vec<f64> = raw[..WORK].iter().map(|value| value.ln_1p()).collect();
    similar.extend_from_slice(&row[COUNTERS.len()..COUNTERS.len() + WORK]);
    similar
}

fn fit<'a>(raw: &'a [Vec<f64>], rows: &'a [Vec<f64>], watts: &[f64], seen: &[usize]) -> Result<Fitted<'a>, Error> {
    let linear = Linear::fit(raw, watts, seen);
    let x: Vec<Vec<f64>> = seen.iter().map(|row| rows[*row].clone()).collect();
    let y: Vec<f64> = seen.iter().map(|row| watts[*row].ln()).collect();
    let boost = BoostOptions {
        trees: 200,
        learning_rate: 0.05,
        column_share: 0.7,
        row_share: 0.8,
        loss: Loss::Pinball(0.5),
        ..BoostOptions::default()
    };
    let columns = rows.first().map_or(0, Vec::len);
    let trees = Blend::fit(&x, &y, &vec![Monotone::Free; columns], &BlendOptions { bags: 3, boost, forest: None })?;
    let blocks: Vec<usize> = seen.iter().map(|row| row / BLOCK).collect();
    let support =
        Support::fit(&seen.iter().map(|row| similar(&raw[*row], &rows[*row])).collect::<Vec<_>>(), &blocks, 2000);
    let usual: Vec<bool> = raw.iter().zip(rows).map(|(raw, row)| support.is_usual(&similar(raw, row))).collect();
    Ok(Box::new(move |row| {
        let run = Support::run(&usual[(row + 1).saturating_sub(RUN)..=row]);
        let trust = run * support.trust(&similar(&raw[row], &rows[row]));
        let ln = trust * trees.at(&rows[row]) + (1.0 - trust) * linear.at(&raw[row]).max(1.0).ln();
        Guess { value: ln.exp(), distance: support.distance(&similar(&raw[row], &rows[row])) }
    }))
}

/// Non-negative watts a unit of work, on relative errors, never beyond the work that was seen.
struct Linear {
    range: Vec<(f64, f64)>,
    weights: Vec<f64>,
}

impl Linear {
    fn fit(raw: &[Vec<f64>], watts: &[f64], seen: &[usize]) -> Self {
        let column = |at: usize| seen.iter().map(|row| raw[*row][at]).collect::<Vec<f64>>();
        let range: Vec<(f64, f64)> = (0..WORK)
            .map(|at| (quantile(column(at), 0.005).unwrap_or(0.0), quantile(column(at), 0.995).unwrap_or(1.0)))
            .collect();
        let mut model = Self { range, weights: Vec::new() };
        let lines: Vec<Vec<f64>> = seen.iter().map(|row| model.line(&raw[*row])).collect();
        let x = Array2::from_shape_fn((seen.len(), WORK + 1), |(at, column)| lines[at][column] / watts[seen[at]]);
        let free = Term { prior: 0.0, pull: 0.0, free: false };
        model.weights = bounded(x.view(), &vec![1.0; seen.len()], &[free; WORK + 1]);
        model
    }

    fn line(&self, raw: &[f64]) -> Vec<f64> {
        let mut line = vec![1.0];
        line.extend(self.range.iter().zip(raw).map(|((low, high), value)| value.clamp(*low, *high) / high.max(1e-9)));
        line
    }

    fn at(&self, raw: &[f64]) -> f64 {
        self.line(raw).iter().zip(&self.weights).map(|(value, weight)| value * weight).sum()
    }
}
