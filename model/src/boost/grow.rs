//! Grows one tree, best leaf first, from histograms of gradients.

use super::BoostOptions;
use super::bins::{Binned, UNKNOWN};
use super::random::Random;
use super::tree::{Split, Tree};
use crate::features::Monotone;

/// Limits of one tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) leaves: usize,
    pub(super) depth: usize,
    pub(super) least_rows: usize,
    pub(super) l2: f64,
    pub(super) column_share: f64,
}

impl Limits {
    pub(super) const fn of(options: &BoostOptions) -> Self {
        let BoostOptions { leaves, depth, least_rows, l2, column_share, .. } = *options;
        Self { leaves, depth, least_rows, l2, column_share }
    }
}

/// Gradients of the rows of one bin.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    sum: f64,
    rows: u32,
}

type Histogram = Vec<[Bin; 256]>;

/// A grown tree and which rows ended where.
#[derive(Debug)]
pub(super) struct Grown {
    pub(super) tree: Tree,
    pub(super) leaves: Vec<(u32, Vec<u32>)>,
}

impl Grown {
    /// Adds each leaf's value to the predictions of its rows.
    pub(super) fn spread(&self, predicted: &mut [f64]) {
        for (leaf, rows) in &self.leaves {
            let value = self.tree.value(*leaf);
            for row in rows {
                predicted[*row as usize] += value;
            }
        }
    }
}

/// A leaf that may still be split.
#[derive(Debug)]
struct Leaf {
    node: u32,
    depth: usize,
    rows: Vec<u32>,
    sum: f64,
    bounds: (f64, f64),
    histogram: Histogram,
    best: Option<Best>,
}

/// The best way to part a leaf.
#[derive(Clone, Copy, Debug)]
struct Best {
    gain: f64,
    split: Split,
    left: Side,
    right: Side,
}

/// One side of a split.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    sum: f64,
    rows: u32,
    value: f64,
}

/// Grows trees on one matrix, reusing histograms.
#[derive(Debug)]
pub(super) struct Grower<'a> {
    binned: &'a Binned,
    monotone: &'a [Monotone],
    limits: Limits,
    spare: Vec<Histogram>,
}

impl<'a> Grower<'a> {
    pub(super) const fn new(binned: &'a Binned, monotone: &'a [Monotone], limits: Limits) -> Self {
        Self { binned, monotone, limits, spare: Vec::new() }
    }

    pub(super) fn grow(&mut self, rows: Vec<u32>, gradient: &[f32], random: &mut Random) -> Grown {
        let mut tree = Tree::default();
        let sum: f64 = rows.iter().map(|row| f64::from(gradient[*row as usize])).sum();
        let value = self.value(sum, rows.len() as u32, (f64::NEG_INFINITY, f64::INFINITY));
        let node = tree.push(value, rows.len() as u32);
        let histogram = self.histogram(&rows, gradient);
        let bounds = (f64::NEG_INFINITY, f64::INFINITY);
        let mut root = Leaf { node, depth: 0, rows, sum, bounds, histogram, best: None };
        self.search(&mut root, random);
        let mut open = vec![root];
        while open.len() < self.limits.leaves {
            let gain = |leaf: &Leaf| leaf.best.as_ref().map_or(f64::NEG_INFINITY, |best| best.gain);
            let Some(at) = (0..open.len())
                .filter(|at| open[*at].best.is_some())
                .reduce(|a, b| if gain(&open[b]) > gain(&open[a]) { b } else { a })
            else {
                break;
            };
            let mut leaf = open.swap_remove(at);
            if let Some(best) = leaf.best.take() {
                open.extend(self.part(leaf, best, &mut tree, gradient, random));
            }
        }
        let mut leaves = Vec::with_capacity(open.len());
        for leaf in open {
            self.spare.push(leaf.histogram);
            leaves.push((leaf.node, leaf.rows));
        }
        Grown { tree, leaves }
    }

    fn value(&self, sum: f64, rows: u32, bounds: (f64, f64)) -> f64 {
        (-sum / (f64::from(rows) + self.limits.l2).max(1e-12)).clamp(bounds.0, bounds.1)
    }

    /// Parts a leaf by its best split; the larger side's histogram is the parent's less the smaller side's.
    fn part(&mut self, leaf: Leaf, best: Best, tree: &mut Tree, gradient: &[f32], random: &mut Random) -> [Leaf; 2] {
        let Leaf { node, depth, rows, bounds, mut histogram, .. } = leaf;
        let Best { split, left, right, .. } = best;
        let (left_rows, right_rows): (Vec<u32>, Vec<u32>) = {
            let mut sides = (Vec::with_capacity(left.rows as usize), Vec::with_capacity(right.rows as usize));
            let column = usize::from(split.column);
            for row in rows {
                if split.left(self.binned.row(row as usize)[column]) { sides.0.push(row) } else { sides.1.push(row) }
            }
            sides
        };
        let (a, b) = (tree.push(left.value, left.rows), tree.push(right.value, right.rows));
        tree.split(node, &split, a);
        let middle = f64::midpoint(left.value, right.value);
        let (left_bounds, right_bounds) = match self.monotone[usize::from(split.column)] {
            Monotone::Free => (bounds, bounds),
            Monotone::Up => ((bounds.0, middle), (middle, bounds.1)),
            Monotone::Down => ((middle, bounds.1), (bounds.0, middle)),
        };
        let small_is_left = left_rows.len() <= right_rows.len();
        let small = self.histogram(if small_is_left { &left_rows } else { &right_rows }, gradient);
        for (large, small) in histogram.iter_mut().zip(&small) {
            for (large, small) in large.iter_mut().zip(small) {
                large.sum -= small.sum;
                large.rows -= small.rows;
            }
        }
        let (left_histogram, right_histogram) = if small_is_left { (small, histogram) } else { (histogram, small) };
        let child = |node, rows, sum, bounds, histogram| Leaf {
            node,
            depth: depth + 1,
            rows,
            sum,
            bounds,
            histogram,
            best: None,
        };
        let mut left = child(a, left_rows, left.sum, left_bounds, left_histogram);
        let mut right = child(b, right_rows, right.sum, right_bounds, right_histogram);
        self.search(&mut left, random);
        self.search(&mut right, random);
        [left, right]
    }

    fn histogram(&mut self, rows: &[u32], gradient: &[f32]) -> Histogram {
        let columns = self.binned.cuts.len();
        let mut histogram = self.spare.pop().unwrap_or_default();
        histogram.clear();
        histogram.resize(columns, [Bin::default(); 256]);
        for row in rows {
            let gradient = f64::from(gradient[*row as usize]);
            for (bins, bin) in histogram.iter_mut().zip(self.binned.row(*row as usize)) {
                let bin = &mut bins[usize::from(*bin)];
                bin.sum += gradient;
                bin.rows += 1;
            }
        }
        histogram
    }

    fn search(&self, leaf: &mut Leaf, random: &mut Random) {
        if leaf.depth >= self.limits.depth || leaf.rows.len() < 2 * self.limits.least_rows {
            return;
        }
        let allowed = random.mask(leaf.histogram.len(), self.limits.column_share);
        for (column, bins) in leaf.histogram.iter().enumerate().filter(|(column, _)| allowed[*column]) {
            if let Some(found) = self.scan(leaf, column, bins)
                && leaf.best.as_ref().is_none_or(|best| found.gain > best.gain)
            {
                leaf.best = Some(found);
            }
        }
    }

    /// Finds a column's best split.
    ///
    /// Formula: the gain is what the split takes off `sum(g w) + rows w^2 / 2` at the values that the bounds allow.
    fn scan(&self, leaf: &Leaf, column: usize, bins: &[Bin; 256]) -> Option<Best> {
        let cuts = &self.binned.cuts[column];
        let (all_sum, all_rows) = (leaf.sum, leaf.rows.len() as u32);
        let unknown = bins[usize::from(UNKNOWN)];
        let least = self.limits.least_rows as u32;
        let before = self.gain(all_sum, all_rows, self.value(all_sum, all_rows, leaf.bounds));
        let mut best: Option<Best> = None;
        let sides: &[bool] = if unknown.rows > 0 { &[false, true] } else { &[false] };
        for unknown_left in sides {
            let (mut sum, mut rows) = if *unknown_left { (unknown.sum, unknown.rows) } else { (0.0, 0) };
            for (bin, cut) in cuts.iter().enumerate() {
                sum += bins[bin].sum;
                rows += bins[bin].rows;
                if rows < least || bins[bin].rows == 0 {
                    continue;
                }
                if all_rows - rows < least {
                    break;
                }
                let left = Side { sum, rows, value: self.value(sum, rows, leaf.bounds) };
                let (sum, rows) = (all_sum - sum, all_rows - rows);
                let right = Side { sum, rows, value: self.value(sum, rows, leaf.bounds) };
                if (right.value - left.value) * self.monotone[column].sign() < 0.0 {
                    continue;
                }
                let gain =
                    self.gain(left.sum, left.rows, left.value) + self.gain(right.sum, right.rows, right.value) - before;
                if gain > 1e-12 * (1.0 + before.abs()) && best.as_ref().is_none_or(|best| gain > best.gain) {
                    let split =
                        Split { column: column as u16, bin: bin as u8, threshold: *cut, unknown_left: *unknown_left };
                    best = Some(Best { gain, split, left, right });
                }
            }
        }
        best
    }

    fn gain(&self, sum: f64, rows: u32, value: f64) -> f64 {
        -(sum * value + 0.5 * (f64::from(rows) + self.limits.l2) * value * value)
    }
}
