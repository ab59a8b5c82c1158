//! hotelres-cilantro: p99 against the processor shares of 19 services; a set on which no model beats a constant.
//!
//! It is here to show exactly that: allocation alone does not explain the tail, and a low p99 is censored.

use super::learn::{Blend, BlendOptions};
use super::{Fitted, Guess, Look, Task, TaskScore, group_folds};
use crate::Error;
use crate::boost::{BoostOptions, Loss};
use crate::csv::Csv;
use crate::features::Monotone;

pub(super) fn score(csv: &Csv, split: &str, look: Look) -> Result<TaskScore, Error> {
    let names = csv.names_with("alloc_");
    let shares: Vec<Vec<f64>> = names.iter().map(|name| csv.numbers(name)).collect::<Result<_, _>>()?;
    let (runs, number) = (csv.text("run")?, |name: &str| csv.numbers(name));
    let (seq, p99, mean) = (number("seq")?, number("p99_latency_ms")?, number("avg_latency_ms")?);
    let (deviation, done, window) = (number("stddev_latency_ms")?, number("completed_requests")?, number("window_s")?);
    let usable: Vec<usize> = (0..csv.len())
        .filter(|row| p99[*row] >= mean[*row] && deviation[*row] > 0.0 && done[*row] > 1000.0 && window[*row] < 31.0)
        .collect();
    let rows: Vec<Vec<f64>> = usable.iter().map(|row| shares.iter().map(|share| share[*row]).collect()).collect();
    let truth: Vec<f64> = usable.iter().map(|row| p99[*row]).collect();
    let block = |at: usize| (seq[usable[at]] / 50.0) as usize;
    let is_test = |at: &usize| match split {
        "CIL-A" => block(*at).is_multiple_of(5),
        _ => runs[usable[*at]] == "msevoopt",
    };
    let (test, train): (Vec<usize>, Vec<usize>) = (0..usable.len()).partition(is_test);
    let folds = group_folds(&train, &block, 5);
    let ms = truth.clone();
    let fit = Box::new(|seen: &[usize]| fit(&rows, &ms, seen));
    Task { truth, train, test, folds, fit }.score("hotelres-cilantro", split, "p99, ms", look)
}

fn fit<'a>(rows: &'a [Vec<f64>], ms: &[f64], seen: &[usize]) -> Result<Fitted<'a>, Error> {
    let x: Vec<Vec<f64>> = seen.iter().map(|row| rows[*row].clone()).collect();
    let y: Vec<f64> = seen.iter().map(|row| ms[*row].ln()).collect();
    let boost = BoostOptions {
        trees: 100,
        learning_rate: 0.05,
        leaves: 8,
        least_rows: 50,
        loss: Loss::Pinball(0.5),
        ..BoostOptions::default()
    };
    let down = vec![Monotone::Down; rows.first().map_or(0, Vec::len)];
    let blend = Blend::fit(&x, &y, &down, &BlendOptions { bags: 1, boost, forest: None })?;
    Ok(Box::new(move |row| Guess { value: blend.at(&rows[row]).exp(), distance: 0.0 }))
}
