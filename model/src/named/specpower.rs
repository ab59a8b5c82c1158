//! specpower: watts of a server at a load level, from what its data sheet says.
//!
//! Trees that never fall with load, a forest and a Gaussian process, averaged on logarithms of watts per design power. For
//! machines of the future, which trees cannot reach, half of the trend of the sheets (ridge regression, linfa) is taken
//! off first.

mod kriging;
mod machine;

use super::learn::{Blend, BlendOptions};
use super::{Fitted, Fold, Guess, Look, Task, TaskScore, group_folds, rolling_folds};
use crate::Error;
use crate::boost::BoostOptions;
use crate::csv::Csv;
use crate::features::Monotone;
use crate::linear::ridge;
use kriging::Kriging;
use machine::{LEVELS, Machine, machines};
use ndarray::Array2;

/// Levels that the shape task predicts: 10 % to 90 %.
const INNER: usize = LEVELS - 2;

pub(super) fn watts(csv: &Csv, split: &str, look: Look) -> Result<TaskScore, Error> {
    let machines = machines(csv)?;
    let count = machines.len() * LEVELS;
    let of = |row: usize| &machines[row / LEVELS];
    let is_test = |row: &usize| match split {
        "SPEC-A" => of(*row).number.is_multiple_of(5),
        "SPEC-B" => of(*row).year >= 2018.0,
        _ => (11 * of(*row).number + row % LEVELS).is_multiple_of(5),
    };
    let (test, train): (Vec<usize>, Vec<usize>) = (0..count).partition(is_test);
    let truth = (0..count).map(|row| of(row).watts[row % LEVELS]).collect();
    let folds = folds(split, &train, &|row| of(row).year, LEVELS);
    let known = machines.clone();
    let fit = Box::new(move |seen: &[usize]| fit_watts(&known, seen, split));
    Task { truth, train, test, folds, fit }.score("specpower", split, "watts, W", look)
}

/// Leaves out what the split leaves out: later years, rows, or whole machines.
fn folds(split: &str, train: &[usize], year: &dyn Fn(usize) -> f64, levels: usize) -> Vec<Fold> {
    match split {
        "SPEC-B" => rolling_folds(train, year, &[2013.0, 2014.0, 2015.0, 2016.0], 2.0),
        "SPEC-C" => group_folds(train, &|row| row, 10),
        _ => group_folds(train, &|row| row / levels, 10),
    }
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

/// Half trees, half what machines like it draw: a forest and a Gaussian process; all on the logarithm of watts.
fn fit_watts(machines: &[Machine], seen: &[usize], split: &str) -> Result<Fitted<'static>, Error> {
    let known = known_machines(seen, LEVELS);
    let base = base(machines, &known, split)?;
    let columns: Vec<Vec<f64>> = machines.iter().map(Machine::sheet).collect();
    let row = |row: usize| {
        let mut cells = vec![(row % LEVELS) as f64 / 10.0];
        cells.extend_from_slice(&columns[row / LEVELS]);
        cells
    };
    let x: Vec<Vec<f64>> = seen.iter().map(|at| row(*at)).collect();
    let y: Vec<f64> = seen.iter().map(|at| machines[at / LEVELS].watts[at % LEVELS].ln() - base[*at]).collect();
    let monotone = monotone(x.first().map_or(1, Vec::len));
    let boosted = Blend::fit(&x, &y, &monotone, &BlendOptions { bags: 2, boost: trees(31, 20), forest: None })?;
    let free = vec![Monotone::Free; monotone.len()];
    let forest = Blend::fit(&x, &y, &free, &BlendOptions { bags: 0, boost: trees(31, 20), forest: Some(forest(3)) })?;
    // Rows of one machine on both sides (SPEC-C): a process over whole machines would have seen the test rows.
    let process = (split != "SPEC-C").then(|| {
        let left = |at: usize, level: usize| machines[at].watts[level].ln() - base[at * LEVELS + level];
        let targets: Vec<Vec<f64>> =
            known.iter().map(|at| (0..LEVELS).map(|level| left(*at, level)).collect()).collect();
        let places: Vec<Vec<f64>> = known.iter().map(|at| machines[*at].full_place()).collect();
        // What has its trend taken off needs no other.
        let trend = if split == "SPEC-B" { 0.0 } else { kriging::TREND };
        Kriging::fit(&places, &targets, trend)
    });
    let curves: Vec<Vec<f64>> = (0..machines.len())
        .map(|at| {
            let like = process.as_ref().map(|process| process.at(&machines[at].full_place()));
            let level = |level: usize| {
                let cells = row(at * LEVELS + level);
                let trees = 0.5 * (boosted.at(&cells) + forest.at(&cells));
                base[at * LEVELS + level] + like.as_ref().map_or(trees, |like| (2.0 * trees + like[level]) / 3.0)
            };
            rising((0..LEVELS).map(level).collect())
        })
        .collect();
    let none = |_: &Machine| Vec::new();
    let apart =
        |at: usize| machine::nearest(machines, &known, at, &Machine::place, &none).last().copied().unwrap_or(0.0);
    let apart: Vec<f64> = (0..machines.len()).map(apart).collect();
    Ok(Box::new(move |row| Guess { value: curves[row / LEVELS][row % LEVELS].exp(), distance: apart[row / LEVELS] }))
}

/// What is taken off the logarithm of every row before trees: design power; and, for machines of the future, half of
/// the way to the trend of the sheets. Later years inside the training rows prefer the whole trend, but by how much
/// changes from fold to fold, and no trend in the years goes on for ever.
fn base(machines: &[Machine], known: &[usize], split: &str) -> Result<Vec<f64>, Error> {
    let design = machines.iter().flat_map(|machine| [machine.design.ln(); LEVELS]);
    if split != "SPEC-B" {
        return Ok(design.collect());
    }
    Ok(design.zip(sheet_trend(machines, known)?).map(|(design, trend)| 0.5 * (design + trend)).collect())
}

/// Pools neighbours until no level is below the one before it.
fn rising(levels: Vec<f64>) -> Vec<f64> {
    let mut pools: Vec<(f64, usize)> = Vec::with_capacity(levels.len());
    for level in levels {
        let mut pool = (level, 1);
        while let Some((before, count)) = pools.last().copied().filter(|(before, _)| *before > pool.0) {
            pools.pop();
            pool = ((before * count as f64 + pool.0 * pool.1 as f64) / (count + pool.1) as f64, count + pool.1);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(level, count)| vec![level; count]).collect()
}

/// Rising with load, free otherwise.
fn monotone(columns: usize) -> Vec<Monotone> {
    let mut monotone = vec![Monotone::Free; columns];
    monotone[0] = Monotone::Up;
    monotone
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

pub(super) fn shape(csv: &Csv, split: &str, look: Look) -> Result<TaskScore, Error> {
    let machines = machines(csv)?;
    let count = machines.len() * INNER;
    let of = |row: usize| &machines[row / INNER];
    let is_test = |row: &usize| match split {
        "SPEC-A" => of(*row).number.is_multiple_of(5),
        _ => of(*row).year >= 2018.0,
    };
    let (test, train): (Vec<usize>, Vec<usize>) = (0..count).partition(is_test);
    let truth = (0..count).map(|row| of(row).watts[1 + row % INNER]).collect();
    let folds = folds(split, &train, &|row| of(row).year, INNER);
    let known = machines.clone();
    let fit = Box::new(move |seen: &[usize]| fit_shape(&known, seen, split));
    Task { truth, train, test, folds, fit }.score("specpower-shape", split, "watts with idle and peak known, W", look)
}

/// Learns the way between idle and peak on logarithms, so that an error weighs what it is of the power.
fn fit_shape(machines: &[Machine], seen: &[usize], split: &str) -> Result<Fitted<'static>, Error> {
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
    let boost = BoostOptions { l2: 0.1, ..trees(31, 10) };
    // By folds of the training rows: later years are better off with a forest alone, whole machines with boosting and a process.
    let (bags, forest, trees_share) = if split == "SPEC-B" { (0, Some(forest(3)), 1.0) } else { (3, None, 2.0 / 3.0) };
    let columns = x.first().map_or(1, Vec::len);
    let directions = if forest.is_some() { vec![Monotone::Free; columns] } else { monotone(columns) };
    let blend = Blend::fit(&x, &y, &directions, &BlendOptions { bags, boost, forest })?;
    let targets: Vec<Vec<f64>> =
        known.iter().map(|at| (1..=INNER).map(|level| way(&machines[*at], level)).collect()).collect();
    let process =
        Kriging::fit(&known.iter().map(|at| place(&machines[*at])).collect::<Vec<_>>(), &targets, kriging::TREND);
    let views: Vec<Vec<f64>> = machines.iter().map(|machine| process.at(&place(machine))).collect();
    let curves: Vec<Vec<f64>> = (0..machines.len())
        .map(|at| {
            let level = |level: usize| {
                let share = trees_share * blend.at(&row(at * INNER + level)) + (1.0 - trees_share) * views[at][level];
                share.clamp(0.0, 1.0)
            };
            rising((0..INNER).map(level).collect())
        })
        .collect();
    let ends: Vec<(f64, f64)> = machines.iter().map(|machine| (machine.watts[0], machine.watts[LEVELS - 1])).collect();
    Ok(Box::new(move |at| {
        let (idle, full) = ends[at / INNER];
        let distance = row(at).last().copied().unwrap_or(0.0);
        Guess { value: idle * (full / idle).powf(curves[at / INNER][at % INNER]), distance }
    }))
}
