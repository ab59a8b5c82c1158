//! Aggregations: a stream of series folded into groups, found once a series and not once a step.

mod select;

use std::collections::HashMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_COUNT_VALUES, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier};
use wattle_contract::{Labels, METRIC_NAME};

use super::QueryError;
use super::eval::{Context, present, text};
use super::series::kept;
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
    let mut groups: Groups<Vec<C>> = Groups::default();
    context.each(&expr.expr, grid, &mut |series| {
        let (cells, is_new) = groups.of(&series, expr.modifier.as_ref());
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
    places: HashMap<Labels, usize>,
    list: Vec<(Labels, bool, T)>,
}

impl<T> Default for Groups<T> {
    fn default() -> Self {
        Self { places: HashMap::new(), list: Vec::new() }
    }
}

impl<T: Default> Groups<T> {
    /// Gives the group of a series, and whether it is a new one.
    fn of(&mut self, series: &Series, modifier: Option<&LabelModifier>) -> (&mut T, bool) {
        let (labels, drop_name) = group_of(series, modifier);
        let next = self.list.len();
        let at = *self.places.entry(labels).or_insert_with_key(|labels| {
            self.list.push((labels.clone(), drop_name, T::default()));
            next
        });
        let group = &mut self.list[at];
        group.1 |= drop_name;
        (&mut group.2, at == next)
    }
}

/// Gives the labels of the group that a series belongs to, and whether its name is one that is to go.
fn group_of(series: &Series, modifier: Option<&LabelModifier>) -> (Labels, bool) {
    match modifier {
        None => (Labels::default(), false),
        Some(LabelModifier::Include(names)) => {
            let has_name = names.labels.iter().any(|name| name == METRIC_NAME);
            let labels = kept(&series.labels, |name| names.labels.iter().any(|other| other == name));
            (labels, has_name && series.drop_name)
        }
        Some(LabelModifier::Exclude(names)) => {
            let wanted = |name: &str| name != METRIC_NAME && !names.labels.iter().any(|other| other == name);
            (kept(&series.labels, wanted), false)
        }
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
    let mut groups: Groups<Vec<Series>> = Groups::default();
    context.each(vector, grid, &mut |series| {
        context.share.take(grid.count)?;
        groups.of(&series, modifier).0.push(series);
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
