//! specpower: watts of a server at a load level, from what its data sheet says.
//!
//! Per machine, a base is taken off the logarithm of watts: design power for unseen machines of known years, a ridge
//! regression on logarithms of the sheet (linfa) for machines of the future, which trees alone cannot reach. Trees and a
//! forest learn the rest, never falling with load, with two views of the nearest known machines among their columns: the
//! mean of other machines of the same processor, and the mean of the five nearest sheets.

mod machine;

use super::learn::{Blend, BlendOptions};
use super::{Fitted, Task, TaskScore};
use crate::Error;
use crate::boost::BoostOptions;
use crate::csv::Csv;
use crate::features::Monotone;
use crate::linear::ridge;
use machine::{LEVELS, Machine, machines};
use ndarray::Array2;

/// Levels that the shape task predicts: 10 % to 90 %.
const INNER: usize = LEVELS - 2;

pub(super) fn watts(csv: &Csv, split: &str) -> Result<TaskScore, Error> {
    let machines = machines(csv)?;
    let count = machines.len() * LEVELS;
    let of = |row: usize| &machines[row / LEVELS];
    let is_test = |row: &usize| match split {
        "SPEC-A" => of(*row).number.is_multiple_of(5),
        "SPEC-B" => of(*row).year >= 2018.0,
        _ => (11 * of(*row).number + row % LEVELS).is_multiple_of(5),
    };
    let (test, train) = (0..count).partition(is_test);
    let truth = (0..count).map(|row| of(row).watts[row % LEVELS]).collect();
    let group = (0..count).map(|row| if split == "SPEC-C" { row } else { row / LEVELS }).collect();
    let future = split == "SPEC-B";
    // With rows of one machine on both sides, views of known machines would hand over the test rows.
    let views = split != "SPEC-C";
    let known = machines.clone();
    let fit = Box::new(move |seen: &[usize]| fit_watts(&known, seen, future, views));
    Task { truth, train, test, group, fit }.score("specpower", split, "watts, W")
}

fn known_machines(seen: &[usize], levels: usize) -> Vec<usize> {
    let mut known: Vec<usize> = seen.iter().map(|row| row / levels).collect();
    known.dedup();
    known
}

fn trees(leaves: usize, least_rows: usize) -> BoostOptions {
    BoostOptions {
        trees: 300,
        learning_rate: 0.05,
        leaves,
        least_rows,
        l2: 1.0,
        column_share: 0.4,
        row_share: 0.8,
        ..BoostOptions::default()
    }
}

fn forest(least_rows: usize) -> BoostOptions {
    BoostOptions {
        trees: 150,
        leaves: 4096,
        depth: 32,
        least_rows,
        column_share: 0.5,
        row_share: 0.8,
        ..BoostOptions::default()
    }
}

fn fit_watts(machines: &[Machine], seen: &[usize], future: bool, views: bool) -> Result<Fitted<'static>, Error> {
    let known = known_machines(seen, LEVELS);
    let target = |machine: &Machine| {
        let (idle, half, full) = (machine.watts[0].ln(), machine.watts[5].ln(), machine.watts[10].ln());
        vec![full - machine.design.ln(), idle - full, half - full]
    };
    let base = if future { sheet_trend(machines, &known)? } else { design(machines) };
    let columns: Vec<Vec<f64>> = (0..machines.len())
        .map(|at| {
            let mut columns = machines[at].sheet();
            if views {
                columns.extend(machine::same_processor(machines, &known, at, &target));
                columns.extend(machine::nearest(machines, &known, at, &|machine| machine.place(), &target));
            }
            columns
        })
        .collect();
    let row = move |row: usize| {
        let mut cells = vec![(row % LEVELS) as f64 / 10.0];
        cells.extend_from_slice(&columns[row / LEVELS]);
        cells
    };
    let x: Vec<Vec<f64>> = seen.iter().map(|at| row(*at)).collect();
    let y: Vec<f64> = seen.iter().map(|at| machines[at / LEVELS].watts[at % LEVELS].ln() - base[*at]).collect();
    let monotone = monotone(x.first().map_or(1, Vec::len));
    // A trend in the years may be steeper at one level than at the next; only without it is a row's load itself enough.
    let blend =
        Blend::fit(&x, &y, &monotone, &BlendOptions { bags: 3, boost: trees(31, 20), forest: Some(forest(3)) })?;
    Ok(Box::new(move |at| (base[at] + blend.at(&row(at))).exp()))
}

/// Rising with load, free otherwise.
fn monotone(columns: usize) -> Vec<Monotone> {
    let mut monotone = vec![Monotone::Free; columns];
    monotone[0] = Monotone::Up;
    monotone
}

fn design(machines: &[Machine]) -> Vec<f64> {
    machines.iter().flat_map(|machine| [machine.design.ln(); LEVELS]).collect()
}

/// Gives, for every row, a ridge regression of its level on logarithms of the sheet.
fn sheet_trend(machines: &[Machine], known: &[usize]) -> Result<Vec<f64>, Error> {
    let lines: Vec<Vec<f64>> = machines.iter().map(Machine::logarithms).collect();
    let columns = lines.first().map_or(0, Vec::len);
    let mut x = Array2::from_shape_fn((known.len(), columns), |(at, column)| lines[known[at]][column]);
    let mut scale = Vec::with_capacity(columns);
    for mut column in x.columns_mut() {
        let mean = column.mean().unwrap_or(0.0);
        let width = column.std(0.0).max(1e-9);
        column.mapv_inplace(|value| (value - mean) / width);
        scale.push((mean, width));
    }
    let mut base = vec![0.0; machines.len() * LEVELS];
    for level in 0..LEVELS {
        let y: Vec<f64> = known.iter().map(|at| (machines[*at].watts[level] / machines[*at].design).ln()).collect();
        let (start, weights) = ridge(x.view(), &y, 1.0)?;
        for (at, line) in lines.iter().enumerate() {
            let standard = line.iter().zip(&scale).map(|(value, (mean, width))| (value - mean) / width);
            let trend: f64 = standard.zip(&weights).map(|(value, weight)| value * weight).sum();
            base[at * LEVELS + level] = machines[at].design.ln() + start + trend;
        }
    }
    Ok(base)
}

pub(super) fn shape(csv: &Csv, split: &str) -> Result<TaskScore, Error> {
    let machines = machines(csv)?;
    let count = machines.len() * INNER;
    let of = |row: usize| &machines[row / INNER];
    let is_test = |row: &usize| match split {
        "SPEC-A" => of(*row).number.is_multiple_of(5),
        _ => of(*row).year >= 2018.0,
    };
    let (test, train) = (0..count).partition(is_test);
    let truth = (0..count).map(|row| of(row).watts[1 + row % INNER]).collect();
    let group = (0..count).map(|row| row / INNER).collect();
    let known = machines.clone();
    let fit = Box::new(move |seen: &[usize]| fit_shape(&known, seen));
    Task { truth, train, test, group, fit }.score("specpower-shape", split, "watts with idle and peak known, W")
}

/// Learns the way between idle and peak on logarithms, so that an error weighs what it is of the power.
fn fit_shape(machines: &[Machine], seen: &[usize]) -> Result<Fitted<'static>, Error> {
    let known = known_machines(seen, INNER);
    let way = |machine: &Machine, level: usize| {
        let [idle, full] = [machine.watts[0], machine.watts[LEVELS - 1]];
        (machine.watts[level] / idle).ln() / (full / idle).ln()
    };
    let target = |machine: &Machine| [1, 3, 5, 7, 9].map(|level| way(machine, level)).to_vec();
    let ends = |machine: &Machine| {
        let [idle, full] = [machine.watts[0], machine.watts[LEVELS - 1]];
        [(idle / full), idle.ln(), full.ln(), full / machine.design, idle / machine.design]
    };
    let place = |machine: &Machine| {
        let mut place = machine.place();
        let [ratio, _, _, full, _] = ends(machine);
        place.extend([6.0 * ratio, 2.0 * full.ln()]);
        place
    };
    let columns: Vec<Vec<f64>> = (0..machines.len())
        .map(|at| {
            let mut columns = machines[at].sheet();
            columns.extend(ends(&machines[at]));
            columns.extend(machine::nearest(machines, &known, at, &place, &target));
            columns
        })
        .collect();
    let row = move |row: usize| {
        let mut cells = vec![(1 + row % INNER) as f64 / 10.0];
        cells.extend_from_slice(&columns[row / INNER]);
        cells
    };
    let x: Vec<Vec<f64>> = seen.iter().map(|at| row(*at)).collect();
    let y: Vec<f64> = seen.iter().map(|at| way(&machines[at / INNER], 1 + at % INNER)).collect();
    let monotone = monotone(x.first().map_or(1, Vec::len));
    let blend = Blend::fit(
        &x,
        &y,
        &monotone,
        &BlendOptions { bags: 3, boost: BoostOptions { l2: 0.1, ..trees(31, 10) }, forest: None },
    )?;
    let ends: Vec<(f64, f64)> = machines.iter().map(|machine| (machine.watts[0], machine.watts[LEVELS - 1])).collect();
    Ok(Box::new(move |at| {
        let (idle, full) = ends[at / INNER];
        idle * (full / idle).powf(blend.at(&row(at)).clamp(0.0, 1.0))
    }))
}
