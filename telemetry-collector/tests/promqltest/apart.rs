//! Which evaluations need what is not there: native histograms or experimental functions. Decided from the text, before
//! anything is asked.

use promql_parser::label::Matchers;
use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::script::{Eval, Labels};

/// Functions that Prometheus has behind a switch.
const EXPERIMENTAL: [&str; 21] = [
    "limitk",
    "limit_ratio",
    "info",
    "mad_over_time",
    "double_exponential_smoothing",
    "sort_by_label",
    "sort_by_label_desc",
    "first_over_time",
    "ts_of_min_over_time",
    "ts_of_max_over_time",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "histogram_quantiles",
    "step",
    "range",
    "start",
    "end",
    "min_of",
    "max_of",
    "fill_left",
    "fill_right",
];

/// Functions that give something of native histograms only.
const NATIVE: [&str; 5] = ["histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar"];

/// Why an evaluation is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    Native,
    Experimental,
}

/// Tells why an evaluation is counted apart; `None` when it is one of classic samples. `native`: the labels of the series
/// with native histograms that are loaded.
pub fn why(eval: &Eval, native: &[Labels]) -> Option<Apart> {
    // `@ start()` is a modifier, not the function.
    let query = eval.query.replace("@ start()", "").replace("@ end()", "");
    let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
    let calls = |names: &[&str]| {
        names.iter().any(|name| {
            let is_call = |(at, _): (usize, &str)| {
                let rest = query[at + name.len()..].trim_start();
                !query[..at].ends_with(is_word) && (rest.starts_with('(') || rest.starts_with("by"))
            };
            query.match_indices(name).any(is_call)
        })
    };
    if calls(&EXPERIMENTAL) {
        return Some(Apart::Experimental);
    }
    if eval.is_native || calls(&NATIVE) {
        return Some(Apart::Native);
    }
    let mut selects = Selects { native, found: false };
    // What does not parse selects nothing: it must fail, and is scored.
    let expr = promql_parser::parser::parse(&eval.query).ok()?;
    walk_expr(&mut selects, &expr).expect("a visitor that cannot fail");
    selects.found.then_some(Apart::Native)
}

struct Selects<'a> {
    native: &'a [Labels],
    found: bool,
}

impl ExprVisitor for Selects<'_> {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let selector = match expr {
            Expr::VectorSelector(selector) => selector,
            Expr::MatrixSelector(matrix) => &matrix.vs,
            _ => return Ok(true),
        };
        self.found |= self.native.iter().any(|labels| is_selected(selector, labels));
        Ok(true)
    }
}

fn is_selected(selector: &VectorSelector, labels: &Labels) -> bool {
    let value = |name: &str| labels.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value.as_str());
    let Matchers { matchers, or_matchers } = &selector.matchers;
    let all = |matchers: &[promql_parser::label::Matcher]| matchers.iter().all(|m| m.is_match(value(&m.name)));
    let is_named = selector.name.as_ref().is_none_or(|name| value("__name__") == name);
    is_named && (or_matchers.is_empty() || or_matchers.iter().any(|group| all(group))) && all(matchers)
}
