//! Latency of a service on a node: a service's own time, the node's queue, and what is left.
//!
//! Formula: `ln T = base + service + node + c1 q(u, k) + c2 q(u, 1) - c3 ln(speed) + c4 ln(1 + rate)`, `q` the M/G/k wait of
//! [`queueing`] for all cores and for one (a thread that shares its core), with `c >= 0` drawn to 1, 0, 1 and 0;
//! services and nodes are offsets drawn to zero. So the latency
//! never falls with load. The part of the node and the part of the service are a sum of logarithms: serving needs one
//! table a node and one number a service.
//!
//! Targets are brackets, because Istio's quantiles are interpolated inside histogram buckets: a prediction inside the
//! bucket has (almost) no loss. Each round, targets are moved to the point of their bracket next to the prediction and
//! the squares are fitted again, which never increases the interval loss.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use wattle_contract::{NodeName, ServiceName};

use crate::Error;
use crate::boost::Targets;
use crate::dataset::{Bracket, LatencyRow};
use crate::features::NodeFeatures;
use crate::linear::{Term, bounded};
use crate::prior::queueing;
use crate::residual::Residual;

/// How much of a target is the interpolated value rather than the nearest point of its bracket.
const INTERPOLATED: f64 = 0.25;
/// Coefficients beside the offsets, and where they are drawn to.
const TERMS: usize = 4;
const DRAWN_TO: [f64; TERMS] = [1.0, 0.0, 1.0, 0.0];
/// Rounds of moving targets inside brackets.
const ROUNDS: usize = 30;

/// Which quantile of latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantile {
    /// The median.
    P50,
    /// The 95th percentile.
    P95,
}

impl Quantile {
    /// Gives the bracket of this quantile in a row.
    #[must_use]
    pub const fn of(self, row: &LatencyRow) -> Option<Bracket> {
        match self {
            Self::P50 => row.p50,
            Self::P95 => row.p95,
        }
    }
}

/// What was learnt about one quantile of latency. Units: logarithms of milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyModel {
    /// Where an unknown service stands.
    pub base: f64,
    /// Offsets of services.
    pub services: BTreeMap<ServiceName, f64>,
    /// Offsets of nodes.
    pub nodes: BTreeMap<NodeName, f64>,
    /// Coefficients of the node's queue, of one core's queue, of slowness and of the service's rate; never negative.
    pub terms: [f64; TERMS],
    /// What trees add; `None` when they did not help.
    pub residual: Option<Residual>,
    /// Half-width of the 90 % interval.
    pub margin: f64,
    /// Rows it was learnt from.
    pub rows: usize,
}

fn terms_of(features: &NodeFeatures, rate: f64) -> [f64; TERMS] {
    let u = features.utilisation();
    [queueing(u, features.capacity_cores()), queueing(u, 1.0), -features.speed().ln(), rate]
}

impl LatencyModel {
    /// Fits offsets and coefficients; `None` without rows.
    #[must_use]
    pub fn fit(rows: &[&LatencyRow], quantile: Quantile) -> Option<Self> {
        let rows: Vec<(&LatencyRow, Bracket)> = rows.iter().filter_map(|row| Some((*row, quantile.of(row)?))).collect();
        if rows.is_empty() {
            return None;
        }
        let mut fitting = Fitting::new(&rows);
        for _ in 0..ROUNDS {
            fitting.refit();
            fitting.move_targets();
        }
        let Fitting { base, terms, services, nodes, .. } = fitting;

        Some(Self {
            base,
            services: services.names.iter().map(|name| (*name).clone()).zip(services.offsets).collect(),
            nodes: nodes.names.iter().map(|name| (*name).clone()).zip(nodes.offsets).collect(),
            terms,
            rows: rows.len(),
            ..Self::default()
        })
    }

    /// Gives the part of the node: queue, slowness, its offset, and trees as far as they are to be trusted.
    #[must_use]
    pub fn node_part(&self, node: &NodeName, features: &NodeFeatures, trust: f64) -> f64 {
        let trees = self.residual.as_ref().filter(|_| trust > 0.0).map_or(0.0, |residual| residual.at(features));
        let own: f64 = terms_of(features, 0.0).iter().zip(self.terms).map(|(value, c)| value * c).sum();
        self.nodes.get(node).copied().unwrap_or(0.0) + own + trust * trees
    }

    /// Gives how far trees are to be trusted for a node as it was measured. Range: 0..=1; 0 without trees.
    #[must_use]
    pub fn trust(&self, node: &NodeName, measured: &NodeFeatures) -> f64 {
        let residual = self.residual.as_ref().filter(|_| self.nodes.contains_key(node));
        residual.map_or(0.0, |residual| residual.trust(measured))
    }

    /// Grows trees on what the layers below leave of the brackets, and keeps them.
    ///
    /// # Errors
    /// Those of the trees.
    pub fn grow(&mut self, rows: &[&LatencyRow], quantile: Quantile, seed: u64) -> Result<(), Error> {
        let mut features = Vec::with_capacity(rows.len());
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(Bracket { low, mid, high }) = quantile.of(row) {
                let below = self.ln_ms(Some(&row.service), &row.node, &row.features, row.rate);
                features.push(&row.features);
                left.push(Bracket { low: low - below, mid: mid - below, high: high - below });
            }
        }
        self.residual = Residual::fit(&features, &Targets::Brackets(&left), seed)?;
        Ok(())
    }

    /// Gives the part of the service: its own time and its rate.
    #[must_use]
    pub fn service_part(&self, service: Option<&ServiceName>, rate: f64) -> f64 {
        let offset = service.and_then(|service| self.services.get(service)).copied().unwrap_or(0.0);
        self.base + offset + self.terms[3] * rate
    }

    /// Gives the logarithm of the predicted milliseconds of a node as it was measured.
    #[must_use]
    pub fn ln_ms(&self, service: Option<&ServiceName>, node: &NodeName, features: &NodeFeatures, rate: f64) -> f64 {
        self.service_part(service, rate) + self.node_part(node, features, self.trust(node, features))
    }
}

/// Moves a target to where its bracket is nearest to the prediction, but a little toward the interpolated value.
#[must_use]
pub(crate) fn moved(bracket: Bracket, predicted: f64) -> f64 {
    INTERPOLATED * bracket.mid + (1.0 - INTERPOLATED) * predicted.clamp(bracket.low, bracket.high)
}

/// Offsets of groups, and which group each row is of.
struct Groups<'a, K> {
    names: Vec<&'a K>,
    of: Vec<usize>,
    offsets: Vec<f64>,
}

impl<'a, K: Ord> Groups<'a, K> {
    fn new(keys: impl Iterator<Item = &'a K> + Clone) -> Self {
        let mut names: Vec<&K> = keys.clone().collect();
        names.sort_unstable();
        names.dedup();
        let of = keys.map(|key| names.binary_search(&key).unwrap_or(0)).collect();
        Self { offsets: vec![0.0; names.len()], of, names }
    }

    fn at(&self, row: usize) -> f64 {
        self.offsets[self.of[row]]
    }

    /// Moves every offset by the mean of what is left in its group, shrunk as if `pull` rows had nothing left.
    fn shift(&mut self, left: &[f64], pull: f64) {
        let mut sums = vec![(0.0, 0.0); self.offsets.len()];
        for (group, left) in self.of.iter().zip(left) {
            sums[*group] = (sums[*group].0 + left, sums[*group].1 + 1.0);
        }
        for (offset, (sum, count)) in self.offsets.iter_mut().zip(sums) {
            *offset = (sum + count * *offset) / (count + pull);
        }
    }
}

/// A fit under way: coefficients and offsets in turn, until both agree.
struct Fitting<'a> {
    x: Array2<f64>,
    brackets: Vec<Bracket>,
    targets: Vec<f64>,
    services: Groups<'a, ServiceName>,
    nodes: Groups<'a, NodeName>,
    base: f64,
    terms: [f64; TERMS],
}

impl<'a> Fitting<'a> {
    fn new(rows: &[(&'a LatencyRow, Bracket)]) -> Self {
        let mut x = Array2::ones((rows.len(), TERMS + 1));
        for (mut line, (row, _)) in x.rows_mut().into_iter().zip(rows) {
            for (cell, value) in line.iter_mut().skip(1).zip(terms_of(&row.features, row.rate)) {
                *cell = value;
            }
        }
        let brackets: Vec<Bracket> = rows.iter().map(|(_, bracket)| *bracket).collect();
        let targets: Vec<f64> = brackets.iter().map(|bracket| bracket.mid).collect();
        Self {
            x,
            services: Groups::new(rows.iter().map(|(row, _)| &row.service)),
            nodes: Groups::new(rows.iter().map(|(row, _)| &row.node)),
            base: crate::score::mean(targets.iter().copied()).unwrap_or(0.0),
            terms: DRAWN_TO,
            brackets,
            targets,
        }
    }

    fn line(&self, row: usize) -> f64 {
        self.base + self.x.row(row).iter().skip(1).zip(self.terms).map(|(value, c)| value * c).sum::<f64>()
    }

    fn left(&self) -> Vec<f64> {
        let left = |(row, target): (usize, &f64)| target - self.line(row) - self.services.at(row) - self.nodes.at(row);
        self.targets.iter().enumerate().map(left).collect()
    }

    fn refit(&mut self) {
        let offset = |(row, target): (usize, &f64)| target - self.services.at(row) - self.nodes.at(row);
        let y: Vec<f64> = self.targets.iter().enumerate().map(offset).collect();
        let mut terms = vec![Term { prior: self.base, pull: 1e-3, free: true }];
        terms.extend(DRAWN_TO.map(|prior| Term { prior, pull: 0.5, free: false }));
        let fitted = bounded(self.x.view(), &y, &terms);
        self.base = fitted[0];
        self.terms.copy_from_slice(&fitted[1..]);
        let left = self.left();
        self.services.shift(&left, 1.0);
        let left = self.left();
        self.nodes.shift(&left, 5.0);
    }

    fn move_targets(&mut self) {
        for row in 0..self.targets.len() {
            let predicted = self.line(row) + self.services.at(row) + self.nodes.at(row);
            self.targets[row] = moved(self.brackets[row], predicted);
        }
    }
}
