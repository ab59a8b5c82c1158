//! Templates of labels and annotations: the part of Go's language that rule files use.
//!
//! `{{ $labels.NAME }}`, `{{ $value }}`, `{{ .Labels.NAME }}`, `{{ .Value }}`, each through any of `humanize`,
//! `humanize1024`, `humanizePercentage`, `humanizeDuration`, `toUpper`, `toLower`, `title` and `printf "%.2f"`. Anything else is said
//! in the text, as Prometheus does, and the alert goes out all the same.

use wattle_contract::Labels;

use crate::query::prometheus_api::plain_number;

/// Fills a template in.
pub(super) fn fill(template: &str, labels: &Labels, value: f64) -> String {
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((inside, after)) = after.split_once("}}") else {
            return format!("<error expanding template: unclosed action in {template:?}>");
        };
        match action(inside.trim_matches('-').trim(), labels, value) {
            Some(text) => out.push_str(&text),
            None => return format!("<error expanding template: not supported: {{{{{inside}}}}}>"),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[derive(Clone)]
enum Term {
    Text(String),
    Number(f64),
}

fn action(text: &str, labels: &Labels, value: f64) -> Option<String> {
    let mut stages = text.split('|').map(str::trim);
    let mut current = first(stages.next()?, labels, value)?;
    for stage in stages {
        current = apply(stage, current)?;
    }
    Some(match current {
        Term::Text(text) => text,
        Term::Number(number) => plain_number(number),
    })
}

fn first(text: &str, labels: &Labels, value: f64) -> Option<Term> {
    if let Some(term) = operand(text, labels, value) {
        return Some(term);
    }
    // `humanize $value`, `printf "%.2f" $value`
    let (function, argument) = text.rsplit_once(char::is_whitespace)?;
    apply(function.trim(), operand(argument, labels, value)?)
}

fn operand(text: &str, labels: &Labels, value: f64) -> Option<Term> {
    if matches!(text, "$value" | ".Value") {
        return Some(Term::Number(value));
    }
    let name = text.strip_prefix("$labels.").or_else(|| text.strip_prefix(".Labels."))?;
    let is_name = name.chars().all(|char| char.is_alphanumeric() || char == '_');
    is_name.then(|| Term::Text(labels.get(name).unwrap_or("").to_owned()))
}

fn apply(function: &str, term: Term) -> Option<Term> {
    let number = match &term {
        Term::Number(number) => Some(*number),
        Term::Text(text) => text.parse().ok(),
    };
    Some(Term::Text(match (function, term) {
        ("toUpper", Term::Text(text)) => text.to_uppercase(),
        ("toLower", Term::Text(text)) => text.to_lowercase(),
        ("title", Term::Text(text)) => {
            let mut chars = text.chars();
            chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
        }
        ("humanize", _) => scaled(number?, 1000.0, &["", "k", "M", "G", "T", "P", "E", "Z", "Y"]),
        ("humanize1024", _) => scaled(number?, 1024.0, &["", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"]),
        ("humanizePercentage", _) => format!("{}%", digits(number? * 100.0)),
        ("humanizeDuration", _) => span(number?),
        (printf, _) => {
            let format = printf.strip_prefix("printf")?.trim().strip_prefix('"')?.strip_suffix('"')?;
            formatted(format, number?)?
        }
    }))
}

/// Writes four significant digits, as Go's `%.4g`.
fn digits(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return plain_number(number);
    }
    let places = (3 - number.abs().log10().floor() as i32).max(0) as usize;
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn scaled(number: f64, base: f64, prefixes: &[&str]) -> String {
    let (mut size, mut at) = (number, 0);
    while size.abs() >= base && at + 1 < prefixes.len() {
        size /= base;
        at += 1;
    }
    let small = ["", "m", "u", "n", "p", "f", "a"];
    let mut below = 0;
    while base == 1000.0 && size != 0.0 && size.abs() < 1.0 && below + 1 < small.len() {
        size *= 1000.0;
        below += 1;
    }
    format!("{}{}", digits(size), if below > 0 { small[below] } else { prefixes[at] })
}

fn span(seconds: f64) -> String {
    if !seconds.is_finite() {
        return plain_number(seconds);
    }
    if seconds.abs() < 1.0 {
        return format!("{}s", scaled(seconds, 1000.0, &[""]));
    }
    let (sign, whole) = (if seconds < 0.0 { "-" } else { "" }, seconds.abs() as u64);
    let (days, hours, minutes, left) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", digits(seconds.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {left}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {left}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {left}s"),
    }
}

/// Fills `%.2f`, `%f` or `%g` into a text.
fn formatted(format: &str, number: f64) -> Option<String> {
    let at = format.find('%')?;
    let rest = &format[at + 1..];
    let end = rest.find(['f', 'g', 'v'])?;
    let places = match &rest[..end] {
        "" if rest[end..].starts_with('f') => Some(6),
        "" => None,
        places => Some(places.strip_prefix('.')?.parse::<usize>().ok()?),
    };
    let shown = places.map_or_else(|| plain_number(number), |places| format!("{number:.*}", places.min(50)));
    let after = rest[end + 1..].replace("%%", "%");
    Some(format!("{}{shown}{after}", &format[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rule_files_use_is_filled_in() {
        let labels = Labels::new([("job", "web"), ("instance", "a:1")]);
        for (template, filled) in [
            ("{{ $labels.job }} on {{.Labels.instance}}", "web on a:1"),
            ("{{ $value }}", "1234.5"),
            ("{{ $value | humanize }}B", "1.234kB"),
            ("{{ humanizeDuration $value }}", "20m 34s"),
            ("{{ $value | printf \"%.2f%%\" }}", "1234.50%"),
            ("{{ printf \"%.1f\" $value }}", "1234.5"),
            ("{{ $labels.none }}-", "-"),
        ] {
            assert_eq!(fill(template, &labels, 1234.5), filled, "{template}");
        }
        assert_eq!(fill("{{ $value | humanizePercentage }}", &labels, 0.1234), "12.34%");
        assert!(fill("{{ query \"up\" }}", &labels, 1.0).contains("not supported"));
    }
}
