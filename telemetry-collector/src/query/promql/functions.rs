//! Functions: which there are, and those that look at one value at a time.

use promql_parser::parser::{Call, Expr};

use super::eval::{Context, unwrap_parens};
use super::value::{Grid, Series, Value};
use super::{QueryError, histogram, labels, range, time};

/// Evaluates a call.
pub(super) fn eval(context: &Context, call: &Call, grid: Grid) -> Result<Value, QueryError> {
    let name = call.func.name;
    let args: Vec<&Expr> = call.args.args.iter().map(AsRef::as_ref).collect();
    if let Some(function) = of_value(name) {
        return context.map(context.vector(one(&args, name)?, grid)?, |value| Some(function(value))).map(Value::Vector);
    }
    if let Some(function) = time::part(name) {
        let series = match args.first() {
            Some(vector) => context.vector(vector, grid)?,
            None => vec![Series::new(wattle_contract::Labels::default(), seconds(grid).map(Some).collect())],
        };
        return context.map(series, |value| Some(function(value))).map(Value::Vector);
    }
    if range::is_range_function(name) {
        return range::eval(context, call, grid).map(Value::Vector);
    }
    Ok(match name {
        "time" => Value::Scalar(seconds(grid).collect()),
        "pi" => Value::Scalar(vec![std::f64::consts::PI; grid.count]),
        "scalar" => Value::Scalar(scalar(&context.vector(one(&args, name)?, grid)?, grid)),
        "vector" => {
            let numbers = context.scalar(one(&args, name)?, grid)?;
            Value::Vector(vec![Series::new(
                wattle_contract::Labels::default(),
                numbers.into_iter().map(Some).collect(),
            )])
        }
        "round" | "clamp" | "clamp_min" | "clamp_max" => Value::Vector(bounded(context, name, &args, grid)?),
        "timestamp" => Value::Vector(timestamp(context, one(&args, name)?, grid)?),
        "absent" => Value::Vector(labels::absent(context, one(&args, name)?, grid)?),
        "absent_over_time" => Value::Vector(range::absent_over_time(context, one(&args, name)?, grid)?),
        "label_replace" => Value::Vector(labels::replace(context, call, grid)?),
        "label_join" => Value::Vector(labels::join(context, call, grid)?),
        "sort" | "sort_desc" => {
            Value::Vector(sorted(context.vector(one(&args, name)?, grid)?, grid, name == "sort_desc"))
        }
        "histogram_quantile" => {
            let [q, buckets] = args.as_slice() else { return Err(wrong(name)) };
            Value::Vector(histogram::quantile(context, &context.scalar(q, grid)?, context.vector(buckets, grid)?)?)
        }
        _ => return Err(QueryError::unsupported(format!("function {name}()"))),
    })
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
        "deg" => f64::to_degrees,
        "rad" => f64::to_radians,
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
fn scalar(series: &[Series], grid: Grid) -> Vec<f64> {
    let at = |step: usize| {
        let mut values = series.iter().filter_map(|one| one.values[step]);
        values.next().filter(|_| values.next().is_none()).unwrap_or(f64::NAN)
    };
    (0..grid.count).map(at).collect()
}

/// Evaluates functions of a vector and numbers.
fn bounded(context: &Context, name: &str, args: &[&Expr], grid: Grid) -> Result<Vec<Series>, QueryError> {
    let (vector, numbers) = args.split_first().ok_or_else(|| wrong(name))?;
    let mut parameters = Vec::with_capacity(2);
    for number in numbers {
        parameters.push(context.scalar(number, grid)?);
    }
    let function: fn(f64, f64, f64) -> Option<f64> = match (name, parameters.len()) {
        ("round", 0 | 1) => |value, to, _| {
            let inverse = 1.0 / to;
            Some((value * inverse + 0.5).floor() / inverse)
        },
        ("clamp", 2) => {
            |value, low, high| (low <= high || low.is_nan() || high.is_nan()).then(|| least(most(value, low), high))
        }
        ("clamp_min", 1) => |value, low, _| Some(most(value, low)),
        ("clamp_max", 1) => |value, high, _| Some(least(value, high)),
        _ => return Err(wrong(name)),
    };
    let default = vec![1.0; grid.count];
    let first = parameters.first().unwrap_or(&default);
    let second = parameters.get(1).unwrap_or(&default);
    let mut series = context.vector(vector, grid)?;
    for one in &mut series {
        for (value, (first, second)) in one.values.iter_mut().zip(first.iter().zip(second)) {
            *value = value.and_then(|value| function(value, *first, *second));
        }
    }
    series.retain(|one| !one.is_empty());
    context.unnamed(series)
}

/// Gives the larger; NaN when either is, as Go's `math.Max`.
fn most(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// Gives the smaller; NaN when either is.
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// Gives the time of each sample: the scrape's for a selector as it stands, the step's for anything computed.
fn timestamp(context: &Context, arg: &Expr, grid: Grid) -> Result<Vec<Series>, QueryError> {
    if let Expr::VectorSelector(selector) = unwrap_parens(arg) {
        let series = context.instant(selector, grid, |point, _| point.0 as f64 / 1000.0)?;
        return context.unnamed(series);
    }
    let mut series = context.vector(arg, grid)?;
    for one in &mut series {
        for (value, time) in one.values.iter_mut().zip(seconds(grid)) {
            *value = value.map(|_| time);
        }
    }
    context.unnamed(series)
}

/// Orders series by value; a range query has no order.
fn sorted(mut series: Vec<Series>, grid: Grid, is_descending: bool) -> Vec<Series> {
    if grid.count == 1 {
        series.sort_by(|a, b| {
            let (a, b) = (a.values[0].unwrap_or(f64::NAN), b.values[0].unwrap_or(f64::NAN));
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
