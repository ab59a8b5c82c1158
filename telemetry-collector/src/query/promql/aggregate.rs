//! Aggregations: a stream of series folded into groups, found once a series and not once a step.

mod select;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};
use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::eval::{Context, present, text};
use super::statistics::{Mean, Sum, quantile};
use super::value::{ABSENT, Grid, Series, is_absent};

/// Tells whether an aggregation keeps some of its series as they are.
pub(super) fn selects(expr: &AggregateExpr) -> bool {
    matches!(expr.op.id(), T_TOPK | T_BOTTOMK)
}

/// Evaluates an aggregation.
pub(super) fn eval(context: &Context, expr: &AggregateExpr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    context.check()?;
    let op = expr.op.id();
    let parameter = || {
        let missing = || QueryError::BadData(format!("{} needs a parameter", expr.op));
        expr.param.as_deref().ok_or_else(missing)
    };
    match op {
        T_TOPK | T_BOTTOMK => {
            let k = context.scalar(parameter()?, grid)?;
            select::best(context, &k, &expr.expr, expr.modifier.as_ref(), grid, op == T_TOPK)
        }
        T_COUNT_VALUES => {
            let label = text(parameter()?)?;
            select::count_values(context, label, &expr.expr, expr.modifier.as_ref(), grid)
        }
        T_QUANTILE => {
            let q = context.scalar(parameter()?, grid)?;
            quantiles(context, &q, &expr.expr, expr.modifier.as_ref(), grid)
        }
        T_SUM => fold::<Total>(context, expr, grid),
        T_AVG => fold::<Mean>(context, expr, grid),
        T_MIN => fold::<Least>(context, expr, grid),
        T_MAX => fold::<Most>(context, expr, grid),
        T_COUNT => fold::<Count>(context, expr, grid),
        T_GROUP => fold::<One>(context, expr, grid),
        T_STDVAR => fold::<Variance>(context, expr, grid),
        T_STDDEV => {
            let mut series = fold::<Variance>(context, expr, grid)?;
            series.iter_mut().for_each(|one| one.change(f64::sqrt));
            Ok(series)
        }
        _ => Err(QueryError::unsupported(format!("experimental aggregation {}", expr.op))),
    }
}

/// What one group has gathered at one step.
trait Cell: Clone + Default {
    fn add(&mut self, value: f64);
    /// Gives [`ABSENT`] where nothing was added.
    fn get(&self) -> f64;
}

fn fold<C: Cell>(context: &Context, expr: &AggregateExpr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    /// A cell is up to five numbers long.
    const CELL: usize = 5;
    let mut groups: Groups<Vec<C>> = Groups::new(expr.modifier.as_ref());
    context.each(&expr.expr, grid, &mut |series| {
        let (cells, is_new) = groups.of(&series);
        if is_new {
            context.share.take(grid.count * CELL)?;
            cells.resize(grid.count, C::default());
        }
        for (cell, &value) in cells.iter_mut().zip(&series.values) {
            if !is_absent(value) {
                cell.add(value);
            }
        }
        Ok(())
    })?;
    let mut found = Vec::with_capacity(groups.list.len());
    for (labels, drop_name, cells) in groups.list {
        found.push(Series { labels, drop_name, values: cells.iter().map(C::get).collect() });
        drop(cells);
        context.share.give(grid.count * (CELL - 1));
    }
    Ok(found)
}

/// Groups in the order they appear.
struct Groups<T> {
    by: By,
    /// Hash of the labels of a group, and its place in the list.
    places: HashTable<(u64, usize)>,
    hasher: RandomState,
    list: Vec<(Labels, bool, T)>,
}

/// Which labels make a group; names in order.
enum By {
    With(Vec<String>),
    Without(Vec<String>),
}

impl By {
    fn of(modifier: Option<&LabelModifier>) -> Self {
        let sorted = |names: &[String], more: &[&str]| {
            let names: BTreeSet<&str> = names.iter().map(String::as_str).chain(more.iter().copied()).collect();
            names.into_iter().map(str::to_owned).collect()
        };
        match modifier {
            None => Self::With(Vec::new()),
            Some(LabelModifier::Include(names)) => Self::With(sorted(&names.labels, &[])),
            Some(LabelModifier::Exclude(names)) => Self::Without(sorted(&names.labels, &[METRIC_NAME])),
        }
    }

    /// Hands over the labels that decide, in order of their names.
    fn pairs<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = &'a (Arc<str>, Arc<str>)> {
        let (with, without) = match self {
            Self::With(names) => (names.as_slice(), None),
            Self::Without(names) => (&[] as &[String], Some(names)),
        };
        let wanted = with.iter().filter_map(|name| labels.pair(name));
        let others = without.into_iter().flat_map(|names| {
            let is_kept = |name: &str| names.binary_search_by(|other| other.as_str().cmp(name)).is_err();
            labels.pairs().iter().filter(move |(name, _)| is_kept(name))
        });
        wanted.chain(others)
    }

    /// Tells whether the metric's name is one of the labels that decide.
    fn has_name(&self) -> bool {
        matches!(self, Self::With(names) if names.iter().any(|name| name == METRIC_NAME))
    }
}

impl<T: Default> Groups<T> {
    fn new(modifier: Option<&LabelModifier>) -> Self {
        let (places, hasher) = (HashTable::new(), RandomState::default());
        Self { by: By::of(modifier), places, hasher, list: Vec::new() }
    }

    /// Gives the group of a series, and whether it is a new one.
    fn of(&mut self, series: &Series) -> (&mut T, bool) {
        let Self { by, places, hasher, list } = self;
        let mut state = hasher.build_hasher();
        by.pairs(&series.labels).for_each(|pair| pair.hash(&mut state));
        let hash = state.finish();
        let is_same = |&(other, at): &(u64, usize)| other == hash && by.pairs(&series.labels).eq(list[at].0.pairs());
        let known = places.find(hash, is_same).map(|&(_, at)| at);
        let at = known.unwrap_or_else(|| {
            let labels = Labels::new(by.pairs(&series.labels).cloned());
            list.push((labels, false, T::default()));
            places.insert_unique(hash, (hash, list.len() - 1), |&(hash, _)| hash);
            list.len() - 1
        });
        let group = &mut list[at];
        // Whether its name is one that is to go.
        group.1 |= by.has_name() && series.drop_name;
        (&mut group.2, known.is_none())
    }
}

fn quantiles(
    context: &Context,
    q: &[f64],
    vector: &Expr,
    modifier: Option<&LabelModifier>,
    grid: Grid,
) -> Result<Vec<Series>, QueryError> {
    q.iter().for_each(|&q| context.notes.quantile(q));
    let mut groups: Groups<Vec<Series>> = Groups::new(modifier);
    context.each(vector, grid, &mut |series| {
        context.share.take(grid.count)?;
        groups.of(&series).0.push(series);
        Ok(())
    })?;
    let mut found = Vec::with_capacity(groups.list.len());
    for (labels, drop_name, members) in groups.list {
        context.check()?;
        let at_step = |(step, &q): (usize, &f64)| {
            let values: Vec<f64> = members.iter().flat_map(|member| present(&member.values[step..=step])).collect();
            if values.is_empty() { ABSENT } else { quantile(q, values) }
        };
        found.push(Series { labels, drop_name, values: q.iter().enumerate().map(at_step).collect() });
        context.share.give(grid.count * (members.len() - 1));
    }
    Ok(found)
}

#[derive(Clone, Default)]
struct Total(Option<Sum>);

impl Cell for Total {
    fn add(&mut self, value: f64) {
        self.0.get_or_insert_default().add(value);
    }
    fn get(&self) -> f64 {
        self.0.map_or(ABSENT, Sum::get)
    }
}

impl Cell for Mean {
    fn add(&mut self, value: f64) {
        Self::add(self, value);
    }
    fn get(&self) -> f64 {
        Self::get(*self).unwrap_or(ABSENT)
    }
}

macro_rules! cell {
    ($name:ident, $first:expr, $next:expr) => {
        #[derive(Clone)]
        struct $name(f64);

        impl Default for $name {
            fn default() -> Self {
                Self(ABSENT)
            }
        }

        impl Cell for $name {
            fn add(&mut self, value: f64) {
                self.0 = if is_absent(self.0) { $first(value) } else { $next(self.0, value) };
            }
            fn get(&self) -> f64 {
                self.0
            }
        }
    };
}

cell!(Least, |value: f64| value, |a: f64, b: f64| if b < a || a.is_nan() { b } else { a });
cell!(Most, |value: f64| value, |a: f64, b: f64| if b > a || a.is_nan() { b } else { a });
cell!(Count, |_| 1.0, |count: f64, _| count + 1.0);
cell!(One, |_| 1.0, |_, _| 1.0);

/// Population variance (Welford), without the correction that `stdvar_over_time` has: as Prometheus aggregates.
#[derive(Clone, Default)]
struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Cell for Variance {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }
    fn get(&self) -> f64 {
        if self.count == 0.0 { ABSENT } else { self.squares / self.count }
    }
}
