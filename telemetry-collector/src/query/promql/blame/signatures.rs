//! What functions take and give: Prometheus's table, as far as messages need it.

use super::tree::Type;

/// What a function takes and gives.
pub(super) struct Signature {
    /// Types of its arguments; the last stands for all beyond.
    pub(super) takes: Vec<Type>,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) gives: Type,
}

/// Functions by what they take: `v` instant vector, `m` range vector, `s` scalar, `t` text; `?` before what may be
/// left out, `*` before what may come any number of times.
const TABLE: [(&str, &str); 19] = [
    ("", "pi time"),
    (
        "v",
        "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count \
         histogram_stddev histogram_stdvar histogram_sum ln log10 log2 rad scalar sgn sin sinh sort sort_desc sqrt tan \
         tanh timestamp",
    ),
    ("?v", "day_of_month day_of_week day_of_year days_in_month hour minute month year"),
    (
        "m",
        "absent_over_time avg_over_time changes count_over_time delta deriv first_over_time idelta increase irate \
         last_over_time mad_over_time max_over_time min_over_time present_over_time rate resets stddev_over_time \
         stdvar_over_time sum_over_time ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time \
         ts_of_min_over_time",
    ),
    ("s", "vector"),
    ("vss", "clamp"),
    ("vs", "clamp_max clamp_min"),
    ("mss", "double_exponential_smoothing"),
    ("ssv", "histogram_fraction"),
    ("sv", "histogram_quantile"),
    ("v?v", "info"),
    ("vtt*t", "label_join"),
    ("vtttt", "label_replace"),
    ("ms", "predict_linear"),
    ("sm", "quantile_over_time"),
    ("v?s", "round"),
    ("v*t", "sort_by_label sort_by_label_desc"),
    ("vts*s", "histogram_quantiles"),
    ("ss", "max_of min_of"),
];

/// Gives the signature of a function; `None` when there is none of that name.
pub(super) fn of(name: &str) -> Option<Signature> {
    let (text, _) = TABLE.iter().find(|(_, names)| names.split(' ').any(|other| other == name))?;
    let takes = text.chars().filter_map(|char| match char {
        'v' => Some(Type::Vector),
        'm' => Some(Type::Matrix),
        's' => Some(Type::Scalar),
        't' => Some(Type::Text),
        _ => None,
    });
    let takes: Vec<Type> = takes.collect();
    let (least, most) = match (text.contains('?'), text.contains('*')) {
        (true, _) => (takes.len() - 1, takes.len()),
        (_, true) => (takes.len() - 1, usize::MAX),
        _ => (takes.len(), takes.len()),
    };
    let gives =
        if matches!(name, "pi" | "time" | "scalar" | "max_of" | "min_of") { Type::Scalar } else { Type::Vector };
    Some(Signature { takes, least, most, gives })
}
