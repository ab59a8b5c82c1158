//! Any text, and any run of PromQL's words, as a query: refused with a reason or evaluated over a small store. A range
//! query has at each step what the step alone gives.
//!
//!     cargo +nightly fuzz run promql -- -detect_leaks=0
//!
//! Without leaks, because a query's own thread still ends when its answer is there: what it is about to free looks lost.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use wattle_collector::probe::Queries;

/// Words that random queries are made of, so that many parse.
const WORDS: &[&str] = &[
    "c_total",
    "g",
    "h_bucket",
    "{pod=\"1\"}",
    "{job=~\"a|b\"}",
    "{__name__=~\".+\"}",
    "[1m]",
    "[5m]",
    "[10m:30s]",
    "[5m:]",
    "(",
    ")",
    "(",
    ")",
    "(",
    ")",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    ">",
    "<",
    ">= bool ",
    "and",
    "or",
    "unless",
    "atan2",
    "on (pod)",
    "ignoring (pod)",
    "on (job)",
    "group_left (pod)",
    "group_right ()",
    "by (job)",
    "by (pod, le)",
    "without (pod)",
    "offset 1m",
    "offset -1m",
    "@ 600",
    "@ start()",
    "@ end()",
    "sum",
    "avg",
    "min",
    "max",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
    "rate",
    "increase",
    "irate",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
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
    "quantile_over_time",
    "absent_over_time",
    "absent",
    "abs",
    "ceil",
    "exp",
    "ln",
    "sqrt",
    "round",
    "clamp",
    "clamp_min",
    "timestamp",
    "hour",
    "day_of_month",
    "sort",
    "label_replace",
    "label_join",
    "histogram_quantile",
    "histogram_fraction",
    "vector",
    "scalar",
    "time()",
    "pi()",
    "0",
    "1",
    "2",
    "0.9",
    "1e3",
    "NaN",
    "Inf",
    "-1",
    "\"a\"",
    "\"pod\"",
    "\"(.*)\"",
    "\"$1\"",
    "\"\"",
    "sum(g) by (job)",
    "rate(c_total[5m])",
    "topk(2, g)",
];

static QUERIES: OnceLock<Queries> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let queries = QUERIES.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("wattle-fuzz-promql-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Queries::over(&folder.join("wattle.db"))
    });
    match data {
        [0, words @ ..] => {
            let words = words.iter().take(60).map(|&byte| WORDS[usize::from(byte) % WORDS.len()]);
            queries.ask(&words.collect::<Vec<_>>().join(" "));
        }
        text => queries.ask(&String::from_utf8_lossy(text)),
    }
});
