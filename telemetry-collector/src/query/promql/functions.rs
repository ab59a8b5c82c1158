//! Functions: which there are, and those that look at one value at a time.

use promql_parser::parser::{Call, Expr};
use wattle_contract::Labels;

use super::eval::{Context, Sink, unwrap_parens};
use super::selector::{self, Read};
use super::value::{ABSENT, Grid, Series, is_absent};
use super::{QueryError, histogram, labels, range, time};

/// Tells whether a function treats each of its series alone.
pub(super) fn is_streamed(call: &Call) -> bool {
    let name = call.func.name;
    of_value(name).is_some()
        || (time::part(name).is_some() && !call.args.args.is_empty())
        || range::is_range_function(name)
        || matches!(name, "round" | "clamp" | "clamp_min" | "clamp_max" | "timestamp")
}

/// Tells whether the series of a function keep their metric's name.
pub(super) fn keeps_name(name: &str) -> bool {
    matches!(name, "last_over_time" | "label_replace" | "label_join" | "sort" | "sort_desc")
}

/// Streams a function that treats each series alone.
pub(super) fn each(context: &Context, call: &Call, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
    let name = call.func.name;
    if range::is_range_function(name) {
        return range::each(context, call, grid, sink);
    }
    let args: Vec<&Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    let [vector, numbers @ ..] = args.as_slice() else { return Err(wrong(name)) };
    if let Some(function) = of_value(name).or_else(|| time::part(name)) {
        one(&args, name)?;
        return context.renamed(vector, sink, &mut |sink| {
            context.each(vector, grid, &mut |mut series| {
                series.change(function);
                sink(series)
            })
        });
    }
    if name == "timestamp" {
        return timestamp(context, one(&args, name)?, grid, sink);
    }
    bounded(context, name, vector, numbers, grid, sink)
}

/// Evaluates a function that needs all series at once, or none.
pub(super) fn eval(context: &Context, call: &Call, grid: Grid) -> Result<Vec<Series>, QueryError> {
    let name = call.func.name;
    let args: Vec<&Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    if let Some(function) = time::part(name) {
        return Ok(vec![Series::new(Labels::default(), seconds(grid).map(function).collect())]);
    }
    match name {
        "vector" => Ok(vec![Series::new(Labels::default(), context.scalar(one(&args, name)?, grid)?)]),
        "absent" => labels::absent(context, one(&args, name)?, grid),
        "absent_over_time" => range::absent_over_time(context, one(&args, name)?, grid),
        "label_replace" => labels::replace(context, call, grid),
        "label_join" => labels::join(context, call, grid),
        "sort" | "sort_desc" => {
            if context.query.count > 1 {
                context.notes.sort();
            }
            Ok(sorted(context.vector(one(&args, name)?, grid)?, grid, name == "sort_desc"))
        }
        "histogram_quantile" => {
            let [q, buckets] = args.as_slice() else { return Err(wrong(name)) };
            histogram::quantile(context, &context.scalar(q, grid)?, context.vector(buckets, grid)?)
        }
        "histogram_fraction" => {
            let [lower, upper, buckets] = args.as_slice() else { return Err(wrong(name)) };
            let (lower, upper) = (context.scalar(lower, grid)?, context.scalar(upper, grid)?);
            histogram::fraction(context, &lower, &upper, context.vector(buckets, grid)?)
        }
        _ => Err(QueryError::unsupported(format!("function {name}()"))),
    }
}

/// Evaluates a function that gives a number.
pub(super) fn numbers(context: &Context, call: &Call, grid: Grid) -> Result<Vec<f64>, QueryError> {
    let name = call.func.name;
    let args: Vec<&Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    match name {
        "time" => Ok(seconds(grid).collect()),
        "pi" => Ok(vec![std::f64::consts::PI; grid.count]),
        "scalar" => scalar(context, one(&args, name)?, grid),
        _ => Err(QueryError::unsupported(format!("function {name}()"))),
    }
}

fn wrong(name: &str) -> QueryError {
    QueryError::BadData(format!("wrong number of arguments for {name}()"))
}

fn one<'a>(args: &[&'a Expr], name: &str) -> Result<&'a Expr, QueryError> {
    match args {
        [only] => Ok(only),
        _ => Err(wrong(name)),
    }
}

fn seconds(grid: Grid) -> impl Iterator<Item = f64> {
    grid.times().map(|time| time as f64 / 1000.0)
}

fn of_value(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sgn" => |value| {
            if value > 0.0 {
                1.0
            } else if value < 0.0 {
                -1.0
            } else {
                value
            }
        },
        // In Go's order, which differs from `to_degrees` in the last digit.
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        _ => return None,
    })
}

/// Gives the value of a vector with one series at each step, else NaN.
fn scalar(context: &Context, vector: &Expr, grid: Grid) -> Result<Vec<f64>, QueryError> {
    let (mut only, mut counts) = (vec![f64::NAN; grid.count], vec![0_u32; grid.count]);
    context.each(vector, grid, &mut |series| {
        for (step, &value) in series.values.iter().enumerate().filter(|(_, value)| !is_absent(**value)) {
            counts[step] += 1;
            only[step] = if counts[step] == 1 { value } else { f64::NAN };
        }
        Ok(())
    })?;
    Ok(only)
}

/// Streams functions of a vector and numbers.
fn bounded(
    context: &Context,
    name: &str,
    vector: &Expr,
    numbers: &[&Expr],
    grid: Grid,
    sink: &mut Sink<'_>,
) -> Result<(), QueryError> {
    let mut parameters = Vec::with_capacity(2);
    for number in numbers {
        parameters.push(context.scalar(number, grid)?);
    }
    let function: fn(f64, f64, f64) -> f64 = match (name, parameters.len()) {
        ("round", 0 | 1) => |value, to, _| {
            let inverse = 1.0 / to;
            (value * inverse + 0.5).floor() / inverse
        },
        ("clamp", 2) => |value, low, high| if low > high { ABSENT } else { most(low, least(high, value)) },
        ("clamp_min", 1) => |value, low, _| most(value, low),
        ("clamp_max", 1) => |value, high, _| least(value, high),
        _ => return Err(wrong(name)),
    };
    let default = vec![1.0; grid.count];
    let first = parameters.first().unwrap_or(&default);
    let second = parameters.get(1).unwrap_or(&default);
    context.renamed(vector, sink, &mut |sink| {
        context.each(vector, grid, &mut |mut series| {
            for (value, (&first, &second)) in series.values.iter_mut().zip(first.iter().zip(second)) {
                if !is_absent(*value) {
                    *value = function(*value, first, second);
                }
            }
            sink(series)
        })
    })
}

/// Gives the larger as Go's `math.Max`: infinity beats NaN, NaN beats all else.
fn most(a: f64, b: f64) -> f64 {
    let is_unknown = (a.is_nan() || b.is_nan()) && a != f64::INFINITY && b != f64::INFINITY;
    if is_unknown { f64::NAN } else { a.max(b) }
}

/// Gives the smaller as Go's `math.Min`.
fn least(a: f64, b: f64) -> f64 {
    -most(-a, -b)
}

/// Streams the time of each sample: the scrape's for a selector as it stands, the step's for anything computed.
fn timestamp(context: &Context, arg: &Expr, grid: Grid, sink: &mut Sink<'_>) -> Result<(), QueryError> {
    context.renamed(arg, sink, &mut |sink| match unwrap_parens(arg) {
        Expr::VectorSelector(vector) => selector::instant(context, vector, grid, Read::Time, sink),
        _ => context.each(arg, grid, &mut |mut series| {
            for (value, time) in series.values.iter_mut().zip(seconds(grid)) {
                if !is_absent(*value) {
                    *value = time;
                }
            }
            sink(series)
        }),
    })
}

/// Orders series by value; a range query has no order.
fn sorted(mut series: Vec<Series>, grid: Grid, is_descending: bool) -> Vec<Series> {
    if grid.count == 1 {
        series.retain(|one| !one.is_empty());
        series.sort_by(|a, b| {
            let (a, b) = (a.values[0], b.values[0]);
            match (a.is_nan(), b.is_nan()) {
                (true, true) => std::cmp::Ordering::Equal,
                (true, false) => std::cmp::Ordering::Greater,
                (false, true) => std::cmp::Ordering::Less,
                _ if is_descending => b.total_cmp(&a),
                _ => a.total_cmp(&b),
            }
        });
    }
    series
}
