//! Watts of a node at a utilisation: prior, then what its class and the node itself have shown.
//!
//! Formula: `P(u) = scale * (idle + w1 s(u) + w2 u + w3 u^2 + w4 min(u / 0.1, 1))` with `w >= 0`, `s` the prior's curve. Every
//! term rises with `u`, so fewer watts at more load cannot be learnt. A class is drawn to the prior of its machines, a
//! node to its class, a node of no class to its own prior; `scale` is the prior's span, or the span that was seen.

use std::collections::BTreeMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use wattle_contract::{MachineFacts, NodeName};

use crate::Error;
use crate::boost::Targets;
use crate::dataset::PowerRow;
use crate::features::NodeFeatures;
use crate::linear::{Term, bounded};
use crate::prior::{Prior, PriorSource, Shape};
use crate::residual::Residual;

/// Rising functions of utilisation that a curve is made of.
const BASIS: usize = 4;

/// A learnt power curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Watts that one unit of the weights stands for.
    pub scale: f64,
    /// Power at rest, in units of `scale`.
    pub idle: f64,
    /// Weights of the rising functions, never negative.
    pub weights: [f64; BASIS],
    /// The prior's curve.
    pub shape: Shape,
    /// Rows it was learnt from.
    pub rows: usize,
    /// Least and greatest utilisation it was learnt from.
    pub seen: (f64, f64),
}

impl Curve {
    /// Gives the power at a utilisation, in watts.
    #[must_use]
    pub fn watts(&self, utilisation: f64) -> f64 {
        let terms = basis(&self.shape, utilisation);
        let rise: f64 = terms.iter().zip(self.weights).map(|(term, weight)| term * weight).sum();
        (self.scale * (self.idle + rise)).max(0.0)
    }

    /// Gives what a prior says, as a curve that nothing was learnt for.
    #[must_use]
    pub fn of_prior(prior: &Prior) -> Self {
        let scale = prior.peak - prior.idle;
        let weights = [1.0, 0.0, 0.0, 0.0];
        Self { scale, idle: prior.idle / scale, weights, shape: prior.shape, rows: 0, seen: (0.0, 0.0) }
    }
}

fn basis(shape: &Shape, utilisation: f64) -> [f64; BASIS] {
    let u = utilisation.max(0.0);
    [shape.at(u), u, u * u, (u / 0.1).min(1.0)]
}

/// What was learnt about power.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PowerModel {
    /// Nodes that were measured.
    pub nodes: BTreeMap<NodeName, Curve>,
    /// Machine classes that were measured.
    pub classes: BTreeMap<String, Curve>,
    /// What trees add to the curves, as a share of the curve's scale; `None` when they did not help.
    pub residual: Option<Residual>,
    /// Half-width of the 90 % interval of a power, as a share of it.
    pub margin: f64,
    /// Half-width of the 90 % interval of a difference of powers, as a share of the curve's scale per utilisation.
    pub slope_margin: f64,
}

/// Where a curve for a node was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// The node itself was measured.
    Node,
    /// Its class was.
    Class,
    /// Only its facts are known.
    Prior,
}

impl PowerModel {
    /// Fits class and node curves; the residual is fitted on what they leave.
    #[must_use]
    pub fn fit(rows: &[&PowerRow]) -> Self {
        let mut by_class: BTreeMap<&str, Vec<&PowerRow>> = BTreeMap::new();
        let mut by_node: BTreeMap<&NodeName, Vec<&PowerRow>> = BTreeMap::new();
        for row in rows {
            if let Some(class) = &row.machine.class {
                by_class.entry(class).or_default().push(row);
            }
            by_node.entry(&row.node).or_default().push(row);
        }
        let mut model = Self::default();
        for (class, rows) in by_class {
            model.classes.insert(class.to_owned(), fit_curve(&rows, None));
        }
        for (node, rows) in by_node {
            let newest = rows.last().and_then(|row| row.machine.class.as_ref());
            let class = newest.and_then(|class| model.classes.get(class));
            model.nodes.insert(node.clone(), fit_curve(&rows, class));
        }
        model
    }

    /// Finds the best curve for a node: its own, its class's, or its prior; `None` when nothing is known of it.
    #[must_use]
    pub fn curve(&self, node: &NodeName, machine: &MachineFacts) -> Option<(Curve, Layer)> {
        if let Some(curve) = self.nodes.get(node) {
            return Some((curve.clone(), Layer::Node));
        }
        if let Some(curve) = machine.class.as_ref().and_then(|class| self.classes.get(class)) {
            return Some((curve.clone(), Layer::Class));
        }
        Prior::infer(machine).map(|prior| (Curve::of_prior(&prior), Layer::Prior))
    }

    /// Gives the power of a curve at a feature row, in watts, with trees as far as they are to be trusted.
    #[must_use]
    pub fn watts(&self, curve: &Curve, features: &NodeFeatures, trust: f64) -> f64 {
        let trees = self.residual.as_ref().filter(|_| trust > 0.0).map_or(0.0, |residual| residual.at(features));
        (curve.watts(features.utilisation()) + curve.scale * trust * trees).max(0.0)
    }

    /// Gives how far trees are to be trusted for a node as it was measured. Range: 0..=1; 0 without trees.
    #[must_use]
    pub fn trust(&self, layer: Layer, measured: &NodeFeatures) -> f64 {
        let residual = self.residual.as_ref().filter(|_| layer == Layer::Node);
        residual.map_or(0.0, |residual| residual.trust(measured))
    }

    /// Gives the prediction for a measured row; `None` when nothing is known of its node.
    #[must_use]
    pub fn predict(&self, row: &PowerRow) -> Option<(f64, Layer)> {
        let (curve, layer) = self.curve(&row.node, &row.machine)?;
        Some((self.watts(&curve, &row.features, self.trust(layer, &row.features)), layer))
    }

    /// Grows trees on what the curves leave, and keeps them.
    ///
    /// # Errors
    /// Those of the trees.
    pub fn grow(&mut self, rows: &[&PowerRow], seed: u64) -> Result<(), Error> {
        let mut features = Vec::with_capacity(rows.len());
        let mut left = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some((curve, _)) = self.curve(&row.node, &row.machine) {
                features.push(&row.features);
                left.push((row.watts - curve.watts(row.features.utilisation())) / curve.scale);
            }
        }
        self.residual = Residual::fit(&features, &Targets::Exact(&left), seed)?;
        Ok(())
    }

    /// Gives the half-width of the 90 % interval of a power of a curve, as a share of it.
    #[must_use]
    pub fn margin_of(&self, layer: Layer, machine: &MachineFacts) -> f64 {
        match layer {
            Layer::Node => self.margin,
            Layer::Class => (2.0 * self.margin).max(0.05),
            Layer::Prior => Prior::infer(machine).map_or(1.0, |prior| prior.margin()).max(self.margin),
        }
    }
}

/// Fits one curve, drawn to `toward` or else to the prior of the newest row's machine.
fn fit_curve(rows: &[&PowerRow], toward: Option<&Curve>) -> Curve {
    let machine = rows.last().map(|row| row.machine.clone()).unwrap_or_default();
    let seen =
        rows.iter().map(|row| row.features.utilisation()).fold((1.0, 0.0), |(low, high), u| (u.min(low), u.max(high)));
    let prior = Prior::infer(&machine);
    let (base, pull, level) = match (toward, prior) {
        (Some(class), _) => (class.clone(), 1.0, 1.0),
        (None, Some(prior)) => {
            let trust = if prior.source == PriorSource::Facts { 1.0 } else { 0.05 };
            (Curve::of_prior(&prior), trust, trust)
        }
        (None, None) => (unknown_machine(rows, seen), 0.02, 1e-6),
    };
    let mut x = Array2::ones((rows.len(), BASIS + 1));
    for (mut line, row) in x.rows_mut().into_iter().zip(rows) {
        for (cell, value) in line.iter_mut().skip(1).zip(basis(&base.shape, row.features.utilisation())) {
            *cell = value;
        }
    }
    let y: Vec<f64> = rows.iter().map(|row| row.watts / base.scale).collect();
    let mut terms = vec![Term { prior: base.idle, pull: level, free: false }];
    terms.extend(base.weights.iter().map(|weight| Term { prior: *weight, pull, free: false }));
    let fitted = bounded(x.view(), &y, &terms);
    let mut weights = [0.0; BASIS];
    weights.copy_from_slice(&fitted[1..]);
    Curve { idle: fitted[0], weights, rows: rows.len(), seen, ..base }
}

/// Guesses the scale of a machine without facts from the span of what it drew.
fn unknown_machine(rows: &[&PowerRow], seen: (f64, f64)) -> Curve {
    let (least, most) =
        rows.iter().fold((f64::MAX, 0.0_f64), |(low, high), row| (row.watts.min(low), row.watts.max(high)));
    let steep = (most - least) / (seen.1 - seen.0).max(0.1);
    let scale = steep.max(0.05 * most).max(1e-3);
    let weights = [1.0, 0.0, 0.0, 0.0];
    Curve { scale, idle: least / scale, weights, shape: Shape::of_year(None), rows: 0, seen }
}
