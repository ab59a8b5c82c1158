//! Random queries, half of them sense and half of them none: the same law as the fuzz target `promql`, without its
//! compiler. `WATTLE_FUZZ_SECONDS` makes it longer.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::time::Instant;
use wattle_collector::probe::Queries;

const NAMES: [&str; 4] = ["c_total", "g", "h_bucket", "{__name__=~\"c_.+|g\"}"];
const MATCHERS: [&str; 5] = ["", "{pod=\"1\"}", "{job=~\"a|b\"}", "{pod!~\"[12]\"}", "{pod=\"none\"}"];
const SPANS: [&str; 5] = ["[1m]", "[5m]", "[17s]", "[1h]", "[2m] offset 1m"];
const OF_RANGE: [&str; 18] = [
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
    "resets",
    "changes",
    "sum_over_time",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "absent_over_time",
];
const OF_VALUE: [&str; 14] =
    ["abs", "ceil", "exp", "ln", "sqrt", "sgn", "round", "timestamp", "hour", "absent", "sort", "-", "+", "deg"];
const AGGREGATIONS: [&str; 13] = [
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk(2, ",
    "bottomk(1, ",
    "quantile(0.9, ",
    "count_values(\"v\", ",
    "topk(NaN, ",
];
const GROUPINGS: [&str; 5] = ["", " by (job)", " by (pod, le)", " without (pod)", " by ()"];
const OPERATORS: [&str; 16] =
    ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "> bool", "<", ">=", "<= bool", "and", "or", "unless"];
const MATCHINGS: [&str; 6] =
    ["", " on (pod)", " ignoring (le)", " on (job) group_left ()", " on ()", " ignoring (pod)"];
const NUMBERS: [&str; 8] = ["0", "1", "-2.5", "NaN", "Inf", "time()", "scalar(g{pod=\"1\"})", "1e300"];

fn one(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(of)
}

/// Draws queries that parse, most of them.
fn query() -> impl Strategy<Value = String> {
    let selector = (one(&NAMES), one(&MATCHERS)).prop_map(|(name, matchers)| {
        // A name that is a matcher has no other braces behind it.
        if name.starts_with('{') { name.to_owned() } else { format!("{name}{matchers}") }
    });
    let selector = prop_oneof![8 => selector.clone(), 1 => selector.clone().prop_map(|s| format!("{s} offset -2m")),
        1 => selector.prop_map(|s| format!("{s} @ 600"))];
    let range = (one(&OF_RANGE), one(&NAMES), one(&SPANS)).prop_map(|(f, name, span)| format!("{f}({name}{span})"));
    prop_oneof![selector, range].prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (one(&OF_VALUE), inner.clone()).prop_map(|(f, v)| format!("{f}({v})")),
            (one(&AGGREGATIONS), one(&GROUPINGS), inner.clone()).prop_map(|(f, by, v)| match f.ends_with(' ') {
                true => format!("{f}{v}){by}"),
                false => format!("{f}{by}({v})"),
            }),
            (inner.clone(), one(&OPERATORS), one(&MATCHINGS), inner.clone())
                .prop_map(|(a, op, on, b)| format!("({a} {op}{on} {b})")),
            (inner.clone(), one(&OPERATORS), one(&NUMBERS)).prop_map(|(a, op, n)| format!("({a} {op} {n})")),
            (one(&OF_RANGE), inner.clone()).prop_map(|(f, v)| format!("{f}(({v})[3m:20s])")),
            (one(&NUMBERS), inner.clone()).prop_map(|(n, v)| format!("histogram_quantile({n}, {v})")),
            (one(&NUMBERS), inner.clone()).prop_map(|(n, v)| format!("clamp({v}, {n}, 3)")),
            inner.clone().prop_map(|v| format!("label_replace({v}, \"job\", \"$1\", \"pod\", \"(.).*\")")),
            inner.prop_map(|v| format!("label_join({v}, \"new\", \"-\", \"pod\", \"job\")")),
        ]
    })
}

/// Cuts, doubles and swaps parts of a query, so that it is none, or another one.
fn broken() -> impl Strategy<Value = String> {
    (query(), any::<[prop::sample::Index; 3]>(), "\\PC{0,3}").prop_map(|(query, places, noise)| {
        let chars: Vec<char> = query.chars().collect();
        let mut cuts = places.map(|place| place.index(chars.len() + 1));
        cuts.sort_unstable();
        let part = |from: usize, to: usize| chars[from..to].iter().collect::<String>();
        format!("{}{noise}{}{}", part(0, cuts[0]), part(cuts[1], cuts[2]), part(cuts[1], chars.len()))
    })
}

#[test]
fn a_range_has_at_each_step_what_the_step_alone_gives_and_nothing_panics() {
    let folder = tempfile::tempdir().expect("a folder");
    let queries = Queries::over(&folder.path().join("wattle.db"));
    let seconds = std::env::var("WATTLE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let (begun, mut asked) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        for text in [query().boxed(), broken().boxed()] {
            let text = text.new_tree(&mut runner).expect("a query").current();
            queries.ask(&text);
            asked += 1;
        }
    }

    println!("{asked} queries asked in {seconds} s");
    assert!(asked > 100, "{asked}");
}
