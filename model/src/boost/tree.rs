//! One tree as columns of numbers.

use serde::{Deserialize, Serialize};

use super::bins::UNKNOWN;
use crate::features::Monotone;

/// A regression tree; node 0 is the root, a node without children is a leaf.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    /// Column that a node splits on.
    column: Vec<u16>,
    /// Values up to it go left.
    threshold: Vec<f64>,
    /// The same as a bin of the training matrix.
    #[serde(skip)]
    bin: Vec<u8>,
    /// Whether unknown values go left.
    unknown_left: Vec<bool>,
    /// The left child, the right one follows it; 0 for a leaf.
    child: Vec<u32>,
    /// What a node adds: of a leaf the prediction, of others the mean below it.
    value: Vec<f64>,
    /// Rows that came through in training.
    cover: Vec<u32>,
}

/// A way to part rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) column: u16,
    pub(super) bin: u8,
    pub(super) threshold: f64,
    pub(super) unknown_left: bool,
}

impl Split {
    pub(super) const fn left(&self, bin: u8) -> bool {
        if bin == UNKNOWN { self.unknown_left } else { bin <= self.bin }
    }
}

impl Tree {
    pub(super) fn push(&mut self, value: f64, cover: u32) -> u32 {
        self.column.push(0);
        self.threshold.push(0.0);
        self.bin.push(0);
        self.unknown_left.push(false);
        self.child.push(0);
        self.value.push(value);
        self.cover.push(cover);
        (self.value.len() - 1) as u32
    }

    pub(super) fn split(&mut self, node: u32, split: &Split, left_child: u32) {
        let node = node as usize;
        self.column[node] = split.column;
        self.threshold[node] = split.threshold;
        self.bin[node] = split.bin;
        self.unknown_left[node] = split.unknown_left;
        self.child[node] = left_child;
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.child.first().is_none_or(|child| *child == 0)
    }

    pub(super) fn set(&mut self, node: u32, value: f64) {
        self.value[node as usize] = value;
    }

    pub(super) fn value(&self, node: u32) -> f64 {
        self.value[node as usize]
    }

    pub(super) fn scale(&mut self, factor: f64) {
        self.gather();
        self.value.iter_mut().for_each(|value| *value *= factor);
    }

    /// Forgets the bins, which only training needs.
    pub(super) fn without_bins(mut self) -> Self {
        self.bin = Vec::new();
        self
    }

    /// Sets every inner node to the mean of what is below it; children always follow their parent.
    fn gather(&mut self) {
        for node in (0..self.value.len()).rev() {
            let left = self.child[node] as usize;
            if left > 0 {
                let (a, b) = (f64::from(self.cover[left]), f64::from(self.cover[left + 1]));
                self.value[node] = (a * self.value[left] + b * self.value[left + 1]) / (a + b).max(1.0);
            }
        }
    }

    /// Bounds leaves so that no prediction turns against a monotone column, after leaves were replaced.
    pub(super) fn restore(&mut self, monotone: &[Monotone]) {
        self.gather();
        let mut open = vec![(0_usize, f64::NEG_INFINITY, f64::INFINITY)];
        while let Some((node, low, high)) = open.pop() {
            self.value[node] = self.value[node].clamp(low, high);
            let left = self.child[node] as usize;
            if left == 0 {
                continue;
            }
            let middle = (f64::midpoint(self.value[left], self.value[left + 1])).clamp(low, high);
            let (below, above) = ((low, high.min(middle)), (low.max(middle), high));
            let (to_left, to_right) = match monotone[usize::from(self.column[node])] {
                Monotone::Free => ((low, high), (low, high)),
                Monotone::Up => (below, above),
                Monotone::Down => (above, below),
            };
            open.push((left, to_left.0, to_left.1));
            open.push((left + 1, to_right.0, to_right.1));
        }
    }

    fn next(&self, node: usize, row: &[f64]) -> usize {
        let value = row[usize::from(self.column[node])];
        let left = if value.is_nan() { self.unknown_left[node] } else { value <= self.threshold[node] };
        self.child[node] as usize + usize::from(!left)
    }

    /// Gives what the tree adds for a row, NaN where unknown.
    pub(super) fn at(&self, row: &[f64]) -> f64 {
        let mut node = 0;
        while self.child[node] > 0 {
            node = self.next(node, row);
        }
        self.value[node]
    }

    /// Gives the same for a row of bins of the training matrix.
    pub(super) fn of_bins(&self, row: &[u8]) -> f64 {
        let mut node = 0;
        while self.child[node] > 0 {
            let bin = row[usize::from(self.column[node])];
            let left = if bin == UNKNOWN { self.unknown_left[node] } else { bin <= self.bin[node] };
            node = self.child[node] as usize + usize::from(!left);
        }
        self.value[node]
    }

    /// Adds what each split on the way changed to the part of its column; gives the root's value.
    pub(super) fn explain(&self, row: &[f64], parts: &mut [f64]) -> f64 {
        let mut node = 0;
        while self.child[node] > 0 {
            let next = self.next(node, row);
            parts[usize::from(self.column[node])] += self.value[next] - self.value[node];
            node = next;
        }
        self.value[0]
    }

    /// Tells whether columns, children and values are such that a walk always ends inside the tree.
    #[must_use]
    pub fn is_sound(&self, columns: usize) -> bool {
        let nodes = self.value.len();
        let lengths =
            [self.column.len(), self.threshold.len(), self.unknown_left.len(), self.child.len(), self.cover.len()];
        nodes > 0
            && lengths.iter().all(|length| *length == nodes)
            && self.value.iter().chain(&self.threshold).all(|value| value.is_finite())
            && self.child.iter().enumerate().all(|(node, child)| {
                let left = *child as usize;
                left == 0 || (left > node && left + 1 < nodes && usize::from(self.column[node]) < columns)
            })
    }
}
