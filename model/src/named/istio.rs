//! istio-acmeair: p95 of three services against request rate and replicas, as Istio's histograms give it.
//!
//! Trees with the median loss, up with the rate and down with replicas. The mean absolute error of milliseconds is the
//! score, so that is what is minimised; the constraint keeps the steps between histogram buckets in order where nothing
//! was seen.

use super::learn::{Blend, BlendOptions};
use super::{Fitted, Guess, Look, Task, TaskScore, forward_folds, group_folds};
use crate::Error;
use crate::boost::{BoostOptions, Loss};
use crate::csv::Csv;
use crate::features::Monotone;

pub(super) fn score(csv: &Csv, split: &str, look: Look) -> Result<TaskScore, Error> {
    let services = csv.text("service")?;
    let number = |name: &str| csv.numbers(name);
    let (users, replicas, rate) = (number("users")?, number("replicas")?, number("request_rate")?);
    let (limit, p95) = (number("cpu_limit")?, number("p95_latency")?);
    let usable: Vec<usize> =
        (0..csv.len()).filter(|row| p95[*row] > 0.0 && limit[*row] > 0.0 && rate[*row] > 0.0).collect();
    let rows: Vec<Vec<f64>> = usable
        .iter()
        .map(|row| {
            let is = |name: &str| f64::from(u8::from(services[*row] == name));
            vec![is("task1"), is("task2"), replicas[*row], rate[*row], rate[*row] / replicas[*row], limit[*row]]
        })
        .collect();
    let truth: Vec<f64> = usable.iter().map(|row| p95[*row]).collect();
    let is_test = |at: &usize| {
        let row = usable[*at];
        match split {
            "IST-A" => users[row] == 4.0 || users[row] == 7.0,
            "IST-B" => users[row] >= 9.0,
            _ => replicas[row] == 2.0,
        }
    };
    let (test, train): (Vec<usize>, Vec<usize>) = (0..usable.len()).partition(is_test);
    let row_users = |at: usize| users[usable[at]];
    let folds = match split {
        // The split leaves out numbers of users of which both neighbours stay, so the folds do.
        "IST-A" => {
            let mut folds = group_folds(&train, &|at| row_users(at) as usize, 10);
            let known = |wanted: f64| train.iter().any(|at| row_users(*at) == wanted);
            folds.retain(|(_, out)| out.iter().all(|at| known(row_users(*at) - 1.0) && known(row_users(*at) + 1.0)));
            folds
        }
        "IST-B" => forward_folds(&train, &row_users, &[5.0, 6.0, 7.0, 8.0, 9.0]),
        _ => group_folds(&train, &|at| replicas[usable[at]] as usize, 10),
    };
    let ms = truth.clone();
    let fit = Box::new(|seen: &[usize]| fit(&rows, &ms, seen));
    Task { truth, train, test, folds, fit }.score("istio-acmeair", split, "p95, ms", look)
}

fn fit<'a>(rows: &'a [Vec<f64>], ms: &[f64], seen: &[usize]) -> Result<Fitted<'a>, Error> {
    let x: Vec<Vec<f64>> = seen.iter().map(|row| rows[*row].clone()).collect();
    let y: Vec<f64> = seen.iter().map(|row| ms[*row].ln()).collect();
    let monotone = [Monotone::Free, Monotone::Free, Monotone::Down, Monotone::Up, Monotone::Up, Monotone::Down];
    let boost = BoostOptions {
        trees: 200,
        learning_rate: 0.05,
        least_rows: 5,
        loss: Loss::Pinball(0.5),
        ..BoostOptions::default()
    };
    let blend = Blend::fit(&x, &y, &monotone, &BlendOptions { bags: 1, boost, forest: None })?;
    Ok(Box::new(move |row| {
        // How much another rate the nearest known row of the same service and replicas had.
        let like = x.iter().filter(|known| known[..3] == rows[row][..3]);
        let distance = like.map(|known| (known[3] / rows[row][3]).ln().abs()).fold(f64::INFINITY, f64::min);
        Guess { value: blend.at(&rows[row]).exp(), distance: distance.min(9.0) }
    }))
}
