//! Published data sets with fixed split rules, to compare this model with others on equal rows.
//!
//! Every task fits on its training rows only. What is chosen (features, number of trees, widths of intervals) was chosen
//! by cross-validation inside the training rows, with folds of the same kind as the split: whole machines, whole blocks
//! of time, later years. The test rows are scored once, at the end.

mod cilantro;
mod istio;
mod kepler;
mod learn;
mod specpower;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::csv::Csv;
use crate::evaluate::share;
use crate::score::{conformal_quantile, mae, mape, quantile, r2};
use crate::{COVERAGE, Error};

/// Scores of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskScore {
    /// Data set.
    pub dataset: String,
    /// Split rule.
    pub split: String,
    /// Target and its unit.
    pub target: String,
    /// Training rows.
    pub rows: usize,
    /// Test rows.
    pub rows_test: usize,
    /// Mean absolute percentage error. Units: percent.
    pub mape: Option<f64>,
    /// Mean absolute error, in the target's unit.
    pub mae: Option<f64>,
    /// Coefficient of determination.
    pub r2: Option<f64>,
    /// Share of test rows inside their 90 % interval. Units: percent.
    pub coverage: Option<f64>,
    /// Mean absolute percentage error of training rows, each predicted by a fold that has not seen it. Units: percent.
    pub mape_inner: Option<f64>,
    /// Mean absolute error of the same, in the target's unit.
    pub mae_inner: Option<f64>,
    /// Mean absolute percentage error of the training median. Units: percent.
    pub mape_constant: Option<f64>,
    /// Mean absolute error of the training median, in the target's unit.
    pub mae_constant: Option<f64>,
}

/// What of a task is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Folds of the training rows only: what everything is chosen by.
    Folds,
    /// The test rows too.
    Test,
}

/// A prediction, and how far the row is from what was learnt from (in any measure that grows with it).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guess {
    pub(crate) value: f64,
    pub(crate) distance: f64,
}

/// A fitted predictor of a task's rows.
pub(crate) type Fitted<'a> = Box<dyn Fn(usize) -> Guess + 'a>;

/// Learns from rows and gives what predicts rows.
type Fit<'a> = dyn Fn(&[usize]) -> Result<Fitted<'a>, Error> + 'a;

/// What is to be learnt: rows by index.
pub(crate) struct Task<'a> {
    /// Truths, all above zero.
    pub(crate) truth: Vec<f64>,
    /// Rows to learn from.
    pub(crate) train: Vec<usize>,
    /// Rows to score.
    pub(crate) test: Vec<usize>,
    /// Splits of the training rows into rows to learn from and rows to set the widths of intervals by.
    pub(crate) folds: Vec<Fold>,
    /// Learns from rows.
    pub(crate) fit: Box<Fit<'a>>,
}

/// Rows to learn from, and rows that are predicted without having been seen.
pub(crate) type Fold = (Vec<usize>, Vec<usize>);

/// Leaves whole groups out, every group once, in at most `most` folds.
pub(crate) fn group_folds(train: &[usize], group: &dyn Fn(usize) -> usize, most: usize) -> Vec<Fold> {
    let mut groups: Vec<usize> = train.iter().map(|row| group(*row)).collect();
    groups.sort_unstable();
    groups.dedup();
    let held = |row: &usize, fold: usize| groups.binary_search(&group(*row)).is_ok_and(|at| at % most == fold);
    let fold = |fold: usize| train.iter().copied().partition(|row| !held(row, fold));
    (0..most).map(fold).filter(|(kept, out): &Fold| !kept.is_empty() && !out.is_empty()).collect()
}

/// Learns from what is before each origin and predicts as far ahead of it as the split does.
pub(crate) fn rolling_folds(train: &[usize], time: &dyn Fn(usize) -> f64, origins: &[f64], ahead: f64) -> Vec<Fold> {
    let fold = |origin: &f64| {
        let before = train.iter().copied().filter(|row| time(*row) < *origin).collect();
        let next = train.iter().copied().filter(|row| (*origin..origin + ahead).contains(&time(*row))).collect();
        (before, next)
    };
    origins.iter().map(fold).filter(|(kept, out): &Fold| !kept.is_empty() && !out.is_empty()).collect()
}

/// Learns from what is before each edge and predicts what lies from it to the next.
pub(crate) fn forward_folds(train: &[usize], time: &dyn Fn(usize) -> f64, edges: &[f64]) -> Vec<Fold> {
    let fold = |pair: &[f64]| {
        let before = train.iter().copied().filter(|row| time(*row) < pair[0]).collect();
        let next = train.iter().copied().filter(|row| time(*row) >= pair[0] && time(*row) < pair[1]).collect();
        (before, next)
    };
    edges.windows(2).map(fold).filter(|(kept, out): &Fold| !kept.is_empty() && !out.is_empty()).collect()
}

impl Task<'_> {
    /// Learns, predicts the folds and, where the test rows are looked at, those once, and scores both.
    ///
    /// Intervals are `prediction * exp(+-w)`, `w` the conformal quantile of `|ln truth - ln prediction|` over training
    /// rows, each predicted by a model of a fold that has not seen it; rows of like distance from what the fold had seen
    /// set the width for each other (Mondrian conformal prediction, Vovk et al., 2003), because a fold leaves more out
    /// than the test does.
    pub(crate) fn score(&self, dataset: &str, split: &str, target: &str, look: Look) -> Result<TaskScore, Error> {
        let mut left_out = Vec::with_capacity(self.train.len());
        for (kept, out) in &self.folds {
            let fitted = (self.fit)(kept)?;
            left_out.extend(out.iter().map(|row| (self.truth[*row], fitted(*row))));
        }
        let plain = |guesses: &[(f64, Guess)]| -> Vec<(f64, f64)> {
            guesses.iter().map(|(truth, guess)| (*truth, guess.value)).collect()
        };
        let inner = plain(&left_out);
        let score = TaskScore {
            dataset: dataset.to_owned(),
            split: split.to_owned(),
            target: target.to_owned(),
            rows: self.train.len(),
            rows_test: self.test.len(),
            mape_inner: mape(&inner),
            mae_inner: mae(&inner),
            ..TaskScore::default()
        };
        if look == Look::Folds {
            return Ok(score);
        }
        let widths = Widths::fit(&left_out);
        let fitted = (self.fit)(&self.train)?;
        let guesses: Vec<(f64, Guess)> = self.test.iter().map(|row| (self.truth[*row], fitted(*row))).collect();
        let pairs = plain(&guesses);
        let inside: Vec<bool> =
            guesses.iter().map(|(truth, guess)| off(*truth, *guess) <= widths.at(guess.distance)).collect();
        let middle = quantile(self.train.iter().map(|row| self.truth[*row]).collect(), 0.5).unwrap_or(0.0);
        let constant: Vec<(f64, f64)> = pairs.iter().map(|(truth, _)| (*truth, middle)).collect();
        Ok(TaskScore {
            mape: mape(&pairs),
            mae: mae(&pairs),
            r2: r2(&pairs),
            coverage: share(&inside),
            mape_constant: mape(&constant),
            mae_constant: mae(&constant),
            ..score
        })
    }
}

/// Gives the error of a prediction on the logarithm.
fn off(truth: f64, guess: Guess) -> f64 {
    (truth.ln() - guess.value.ln()).abs()
}

/// Half-widths of intervals by distance.
struct Widths {
    cuts: Vec<f64>,
    widths: Vec<f64>,
}

/// Parts of equal count by distance.
const PARTS: usize = 5;

impl Widths {
    fn fit(left_out: &[(f64, Guess)]) -> Self {
        let distances: Vec<f64> = left_out.iter().map(|(_, guess)| guess.distance).collect();
        let mut cuts: Vec<f64> =
            (1..PARTS).filter_map(|part| quantile(distances.clone(), part as f64 / PARTS as f64)).collect();
        cuts.dedup();
        let mut parts = vec![Vec::new(); cuts.len() + 1];
        for (truth, guess) in left_out {
            parts[cuts.partition_point(|cut| *cut < guess.distance)].push(off(*truth, *guess));
        }
        let widths = parts.into_iter().map(|part| conformal_quantile(part, COVERAGE).unwrap_or(f64::INFINITY));
        Self { widths: widths.collect(), cuts }
    }

    fn at(&self, distance: f64) -> f64 {
        self.widths[self.cuts.partition_point(|cut| *cut < distance)]
    }
}

/// Data sets and their splits.
pub const TASKS: [(&str, &[&str]); 6] = [
    ("specpower", &["SPEC-A", "SPEC-B", "SPEC-C"]),
    ("specpower-shape", &["SPEC-A", "SPEC-B"]),
    ("kepler-nx12", &["KNX-A", "KNX-B", "KNX-C"]),
    ("kepler-nx12-package", &["KNX-A", "KNX-B", "KNX-C"]),
    ("istio-acmeair", &["IST-A", "IST-B", "IST-C"]),
    ("hotelres-cilantro", &["CIL-A", "CIL-B"]),
];

/// Trains and scores one task; `directory` holds a folder a data set.
///
/// # Errors
/// [`Error::UnknownName`] for a data set or split that is not in [`TASKS`], [`Error::Read`] when its file cannot be
/// read, [`Error::Import`] when it is not what is expected.
pub fn bench_task(dataset: &str, split: &str, directory: &Path, look: Look) -> Result<TaskScore, Error> {
    let splits = TASKS.iter().find(|(name, _)| *name == dataset).map(|(_, splits)| *splits).ok_or_else(|| {
        let known = TASKS.map(|(name, _)| name).join(", ");
        Error::UnknownName { what: "data set", name: dataset.to_owned(), known }
    })?;
    if !splits.contains(&split) {
        return Err(Error::UnknownName { what: "split", name: split.to_owned(), known: splits.join(", ") });
    }
    let open = |folder: &str, file: &str| {
        let path = directory.join(folder).join(file);
        let name = path.display().to_string();
        match File::open(&path) {
            Ok(file) => Csv::read(&name, BufReader::new(file)),
            Err(source) => Err(Error::Read { name, source }),
        }
    };
    match dataset {
        "specpower" => specpower::watts(&open("specpower", "specpower_machines.csv")?, split, look),
        "specpower-shape" => specpower::shape(&open("specpower", "specpower_machines.csv")?, split, look),
        "kepler-nx12" => kepler::score(&open("kepler-nx12", "kepler_nx12.csv")?, split, "platform_w", look),
        "kepler-nx12-package" => kepler::score(&open("kepler-nx12", "kepler_nx12.csv")?, split, "package_w", look),
        "istio-acmeair" => istio::score(&open("istio-acmeair", "istio_acmeair.csv")?, split, look),
        _ => cilantro::score(&open("hotelres-cilantro", "hotelres_cilantro.csv")?, split, look),
    }
}
