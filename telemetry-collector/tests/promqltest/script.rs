//! The format of Prometheus's own PromQL tests, as far as classic samples go.

/// Names and values.
pub type Labels = Vec<(String, String)>;

/// Labels, and (time in ms, value) points.
pub type Loaded = (Labels, Vec<(i64, f64)>);

/// Labels, or `None` for a plain number, and one value a step.
pub type Expected = (Option<Labels>, Vec<Option<f64>>);

/// One step of a test file.
#[derive(Debug)]
pub enum Command {
    Clear,
    /// Series and points (time in ms, value), and the series that have native histograms besides.
    Load(Vec<Loaded>, Vec<Labels>),
    Eval(Eval),
}

/// One evaluation and what it must give.
#[derive(Debug, Default)]
pub struct Eval {
    pub line: usize,
    pub query: String,
    pub start: i64,
    pub end: i64,
    /// Zero for an instant query.
    pub step: i64,
    pub must_fail: bool,
    pub is_ordered: bool,
    pub text: Option<String>,
    /// Time of the first expected point and from one to the next, where points of a range are expected.
    pub range: Option<(i64, i64)>,
    pub must_warn: Option<bool>,
    pub must_inform: Option<bool>,
    /// In the order of the file.
    pub expected: Vec<Expected>,
    /// Names native histograms, in the query or in what it must give.
    pub is_native: bool,
}

const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Reads a file.
pub fn parse(text: &str) -> Vec<Command> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut commands, mut at) = (Vec::new(), 0);
    while at < lines.len() {
        let head = lines[at].trim();
        let first = at;
        at += 1;
        if head.is_empty() || head.starts_with('#') {
            continue;
        }
        let mut body = Vec::new();
        while at < lines.len() && !lines[at].trim().is_empty() && lines[at].starts_with([' ', '\t']) {
            if !lines[at].trim().starts_with('#') {
                body.push(lines[at].trim());
            }
            at += 1;
        }
        if head == "clear" {
            commands.push(Command::Clear);
        } else if let Some(step) = head.strip_prefix("load ").or_else(|| head.strip_prefix("load_with_nhcb ")) {
            let (is_custom, lines) = (head.starts_with("load_with_nhcb"), body.iter());
            let native = lines.filter_map(|line| native_series(line, is_custom)).collect();
            let mut loaded: Vec<Loaded> = Vec::new();
            for (labels, points) in body.iter().filter_map(|line| load(line, duration(step))) {
                // A series given twice counts as it was given last.
                loaded.retain(|(other, _)| *other != labels);
                loaded.push((labels, points));
            }
            commands.push(Command::Load(loaded, native));
        } else if head.starts_with("eval") {
            commands.push(Command::Eval(eval(head, first + 1, &body)));
        }
    }
    commands
}

/// Gives the labels of the series of native histograms that a line loads; with `is_custom` also of those that are made
/// of its classic buckets.
fn native_series(line: &str, is_custom: bool) -> Option<Labels> {
    let (mut labels, _) = series(line)?;
    if line.contains("{{") {
        return Some(labels);
    }
    let name = labels.iter_mut().find(|(name, _)| name == "__name__")?;
    name.1 = name.1.strip_suffix("_bucket")?.to_owned();
    labels.retain(|(name, _)| name != "le");
    is_custom.then_some(labels)
}

fn load(line: &str, step: i64) -> Option<Loaded> {
    let (metric, rest) = series(line)?;
    let points = points(rest)?;
    let timed = points.into_iter().enumerate().filter_map(|(at, value)| value.map(|value| (at as i64 * step, value)));
    Some((metric, timed.collect()))
}

fn eval(head: &str, line: usize, body: &[&str]) -> Eval {
    let words: Vec<&str> = head.split_whitespace().collect();
    let mut eval =
        Eval { line, must_fail: words[0] == "eval_fail", is_ordered: words[0] == "eval_ordered", ..Eval::default() };
    eval.must_warn = (words[0] == "eval_warn").then_some(true);
    eval.must_inform = (words[0] == "eval_info").then_some(true);
    let value_after = |word: &str| words.iter().position(|other| *other == word).map(|at| words[at + 1]);
    let skip = if words.get(1) == Some(&"range") {
        (eval.start, eval.end) =
            (duration(value_after("from").unwrap_or("0")), duration(value_after("to").unwrap_or("0")));
        eval.step = duration(value_after("step").unwrap_or("1m"));
        8
    } else {
        eval.start = duration(value_after("at").unwrap_or("0"));
        eval.end = eval.start;
        4
    };
    let mut rest = head;
    for _ in 0..skip {
        rest = rest.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    }
    eval.query = rest.trim().to_owned();
    for line in body {
        if let Some(expected) = line.strip_prefix("expect ") {
            eval.must_fail |= expected.starts_with("fail");
            eval.is_ordered |= expected.starts_with("ordered");
            if let Some(range) = expected.strip_prefix("range vector") {
                let words: Vec<&str> = range.split_whitespace().collect();
                let after =
                    |word: &str| words.iter().position(|other| *other == word).map(|at| duration(words[at + 1]));
                eval.range = after("from").zip(after("step"));
            }
            match expected.split_whitespace().next() {
                Some("warn") => eval.must_warn = Some(true),
                Some("no_warn") => eval.must_warn = Some(false),
                Some("info") => eval.must_inform = Some(true),
                Some("no_info") => eval.must_inform = Some(false),
                _ => {}
            }
            if let Some(text) = expected.strip_prefix("string ") {
                eval.text = Some(text.trim_matches(['"', '`', '\'']).to_owned());
            }
        } else if line.contains("{{") {
            eval.is_native = true;
        } else if let Some((metric, rest)) = series(line).filter(|_| !line.starts_with("expected_fail")) {
            let points = points(rest).unwrap_or_else(|| panic!("{}: no points: {line}", eval.line));
            eval.expected.push((Some(metric), points));
        } else if let Some(points) = points(line) {
            eval.expected.push((None, points));
        } else {
            assert!(line.starts_with("expected_fail"), "{}: no such expectation: {line}", eval.line);
        }
    }
    eval.is_native |= eval.query.contains("{{");
    eval
}

/// Splits a line into a metric and the rest; `None` when it starts with a number.
fn series(line: &str) -> Option<(Vec<(String, String)>, &str)> {
    let name_end = line.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if name.is_empty() && !rest.starts_with('{') {
        return None;
    }
    if !name.is_empty() {
        if name.parse::<f64>().is_ok() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        labels.push(("__name__".to_owned(), name.to_owned()));
    }
    let mut rest = rest;
    if let Some(inside) = rest.strip_prefix('{') {
        let mut left = inside;
        loop {
            left = left.trim_start_matches([' ', ',']);
            if let Some(after) = left.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = if let Some(after) = left.strip_prefix('"') {
                quoted(after, '"')?
            } else {
                let end = left.find(['=', ' ', ',', '}'])?;
                (left[..end].to_owned(), &left[end..])
            };
            match after.trim_start().strip_prefix('=') {
                Some(value) => {
                    let value = value.trim_start();
                    let quote = value.chars().next()?;
                    let (value, after) = quoted(&value[1..], quote)?;
                    labels.push((label, value));
                    left = after;
                }
                None => {
                    labels.push(("__name__".to_owned(), label));
                    left = after;
                }
            }
        }
    }
    Some((labels, rest.trim()))
}

fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut plain = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => return Some((plain, &text[at + 1..])),
            '\\' if quote != '`' => match chars.next()?.1 {
                'n' => plain.push('\n'),
                other => plain.push(other),
            },
            _ => plain.push(char),
        }
    }
    None
}

/// Reads `1 2 _ 0+10x5 stale NaN`; `None` when there is something else.
fn points(text: &str) -> Option<Vec<Option<f64>>> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        if word == "stale" {
            found.push(Some(f64::from_bits(STALE)));
        } else if let Some(rest) = word.strip_prefix('_') {
            let times = rest.strip_prefix('x').map_or(Some(1), |times| times.parse().ok())?;
            found.extend(std::iter::repeat_n(None, times));
        } else if let Ok(value) = word.parse::<f64>() {
            found.push(Some(value));
        } else {
            let (series, times) = word.rsplit_once('x')?;
            let times: usize = times.parse().ok()?;
            if let Ok(value) = series.parse::<f64>() {
                found.extend(std::iter::repeat_n(Some(value), times + 1));
                continue;
            }
            if series == "stale" {
                found.extend(std::iter::repeat_n(Some(f64::from_bits(STALE)), times + 1));
                continue;
            }
            let at = series
                .rmatch_indices(['+', '-'])
                .map(|(at, _)| at)
                .find(|&at| at > 0 && !series[..at].ends_with(['e', 'E']) && series[..at].parse::<f64>().is_ok())?;
            let (start, change): (f64, f64) = (series[..at].parse().ok()?, series[at..].parse().ok()?);
            let mut value = start;
            for _ in 0..=times {
                found.push(Some(value));
                value += change;
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Reads `5m`, `1h30m`, `10` (seconds) or `1e3`; gives milliseconds.
pub fn duration(text: &str) -> i64 {
    let (text, sign) = text.strip_prefix('-').map_or((text, 1.0), |rest| (rest, -1.0));
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds * sign * 1000.0) as i64;
    }
    let (mut total, mut number, mut unit) = (0.0, String::new(), String::new());
    let mut add = |number: &mut String, unit: &mut String| {
        let factor = match unit.as_str() {
            "ms" => 1.0,
            "m" => 60e3,
            "h" => 3600e3,
            "d" => 86_400e3,
            "w" => 604_800e3,
            "y" => 31_536_000e3,
            _ => 1e3,
        };
        total += number.parse::<f64>().unwrap_or(0.0) * factor;
        number.clear();
        unit.clear();
    };
    for char in text.chars() {
        if char.is_ascii_digit() || char == '.' {
            if !unit.is_empty() {
                add(&mut number, &mut unit);
            }
            number.push(char);
        } else {
            unit.push(char);
        }
    }
    add(&mut number, &mut unit);
    (total * sign) as i64
}
