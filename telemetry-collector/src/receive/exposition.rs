//! Parser of what targets expose: Prometheus text 0.0.4 and OpenMetrics 1.0.
//!
//! The body is walked once, from line end to line end and quote to quote; a sample borrows its text from it. The raw
//! text of a series (`name{…}`) is the key of the scrape's cache: whether it is well-formed is looked at, and its labels
//! are unescaped, only when a series is new.

use std::borrow::Cow;

mod exemplar;

use super::exposition_text::{Cursor, unescape};
pub(crate) use exemplar::exemplar_of;

/// Which of the two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4: times are milliseconds.
    Text,
    /// OpenMetrics 1.0: times are seconds, the body ends with `# EOF`.
    OpenMetrics,
}

impl Format {
    /// Reads the format off a Content-Type; text when it says nothing else.
    pub(crate) fn from_content_type(content_type: Option<&str>) -> Self {
        match content_type {
            Some(text) if text.trim_start().starts_with("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Text,
        }
    }
}

/// Where a body stops being an exposition, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct ParseError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What was expected.
    pub(crate) reason: &'static str,
}

/// One thing found in a body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    /// A value.
    Sample(RawSample<'a>),
    /// `# TYPE`, `# HELP` or `# UNIT`: (keyword, metric, text).
    Metadata(&'a str, &'a str, Cow<'a, str>),
}

/// One value as it stands in the body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawSample<'a> {
    /// Name and labels as written.
    pub(crate) series: &'a str,
    /// The value.
    pub(crate) value: f64,
    /// Its own time in milliseconds, where it has one.
    pub(crate) time: Option<i64>,
    /// What stands behind the `#` of an exemplar; read by [`exemplar_of`].
    pub(crate) exemplar: Option<&'a str>,
}

/// Walks a body; ends after the first error.
pub(crate) struct Parser<'a> {
    rest: &'a str,
    line: usize,
    format: Format,
    ended: bool,
    failed: bool,
}

impl<'a> Parser<'a> {
    /// Starts at the beginning of a body.
    pub(crate) fn new(body: &'a str, format: Format) -> Self {
        Self { rest: body, line: 0, format, ended: false, failed: false }
    }

    /// Gives the next thing; whether the text of a series is well-formed is told by [`labels_of`].
    pub(crate) fn next_unchecked(&mut self) -> Option<Result<Item<'a>, ParseError>> {
        if self.failed {
            return None;
        }
        match self.next_item() {
            Ok(item) => item.map(Ok),
            Err(reason) => Some(Err(self.fail(reason))),
        }
    }

    /// Ends the walk at this line.
    pub(crate) const fn fail(&mut self, reason: &'static str) -> ParseError {
        self.failed = true;
        ParseError { line: self.line, reason }
    }

    fn next_item(&mut self) -> Result<Option<Item<'a>>, &'static str> {
        loop {
            if self.rest.is_empty() {
                let open = self.format == Format::OpenMetrics && !self.ended;
                return if open { Err("the body ends without # EOF") } else { Ok(None) };
            }
            let end = memchr::memchr(b'\n', self.rest.as_bytes());
            let (line, rest) = end.map_or((self.rest, ""), |at| (&self.rest[..at], &self.rest[at + 1..]));
            self.rest = rest;
            self.line += 1;
            if self.ended {
                return Err("text after # EOF");
            }
            let line = line.strip_suffix('\r').unwrap_or(line);
            let trimmed = blanks(line);
            if let Some(comment) = trimmed.strip_prefix('#') {
                if self.format == Format::OpenMetrics && comment.trim() == "EOF" {
                    self.ended = true;
                } else if let Some(item) = metadata(comment) {
                    return Ok(Some(item));
                }
            } else if !trimmed.is_empty() {
                return sample(trimmed, self.format).map(|sample| Some(Item::Sample(sample)));
            }
        }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Item<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_unchecked()?;
        Some(match item {
            Ok(Item::Sample(sample)) => match well_formed(&sample) {
                Ok(()) => Ok(Item::Sample(sample)),
                Err(reason) => Err(self.fail(reason)),
            },
            other => other,
        })
    }
}

fn well_formed(sample: &RawSample<'_>) -> Result<(), &'static str> {
    whole_series(sample.series, &mut |_, _| ())?;
    sample.exemplar.map_or(Ok(()), |text| exemplar_of(text).map(drop))
}

fn metadata(comment: &str) -> Option<Item<'_>> {
    let comment = comment.trim_start();
    let (keyword, rest) = comment.split_once([' ', '\t'])?;
    if !matches!(keyword, "TYPE" | "HELP" | "UNIT") {
        return None;
    }
    let rest = rest.trim_start();
    let (metric, text) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    Some(Item::Metadata(keyword, metric.trim_matches('"'), unescape(text.trim())?))
}

fn sample(line: &str, format: Format) -> Result<RawSample<'_>, &'static str> {
    let end = series_end(line.as_bytes())?;
    let (series, rest) = line.split_at(end);
    let (word, rest) = word(rest).ok_or("expected a value")?;
    let value = number(word).ok_or("expected a number as value")?;
    let is_exemplar = |word: &str| word == "#" && format == Format::OpenMetrics;
    let (time, rest) = match self::word(rest) {
        None => return Ok(RawSample { series, value, time: None, exemplar: None }),
        Some((word, rest)) if is_exemplar(word) => {
            return Ok(RawSample { series, value, time: None, exemplar: Some(rest) });
        }
        Some((word, rest)) => match format {
            Format::Text => (word.parse().ok(), rest),
            Format::OpenMetrics => (seconds(word), rest),
        },
    };
    let time = time.ok_or("expected a time after the value")?;
    let exemplar = match self::word(rest) {
        None => None,
        Some((word, rest)) if is_exemplar(word) => Some(rest),
        Some(_) => return Err("unexpected text after the time"),
    };
    Ok(RawSample { series, value, time: Some(time), exemplar })
}

/// Gives where the text of a series ends: after its labels, or after its name.
fn series_end(line: &[u8]) -> Result<usize, &'static str> {
    let Some(name) = memchr::memchr3(b'{', b' ', b'\t', line) else { return Ok(line.len()) };
    let mut at = name;
    // Blanks may stand before the labels.
    while line.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        at += 1;
    }
    if line.get(at) != Some(&b'{') {
        return Ok(name);
    }
    loop {
        at += 1;
        let found = line.get(at..).and_then(|rest| memchr::memchr2(b'"', b'}', rest));
        at += found.ok_or("the labels of a series do not end")?;
        if line[at] == b'}' {
            return Ok(at + 1);
        }
        loop {
            at += 1;
            let found = line.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest));
            at += found.ok_or("a text in double quotes does not end")?;
            if line[at] == b'"' {
                break;
            }
            at += 1;
        }
    }
}

fn blanks(text: &str) -> &str {
    if text.starts_with([' ', '\t']) { text.trim_start_matches([' ', '\t']) } else { text }
}

/// Takes a word and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = blanks(text);
    if text.is_empty() {
        return None;
    }
    Some(memchr::memchr2(b' ', b'\t', text.as_bytes()).map_or((text, ""), |at| text.split_at(at)))
}

fn number(word: &str) -> Option<f64> {
    // Counts are most of what there is; up to 15 digits they are exact.
    let bytes = word.as_bytes();
    if bytes.len() <= 15 && bytes.iter().all(u8::is_ascii_digit) && !bytes.is_empty() {
        let integer = bytes.iter().fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
        #[expect(clippy::cast_precision_loss, reason = "below two to the power of 53")]
        return Some(integer as f64);
    }
    word.parse().ok()
}

fn seconds(word: &str) -> Option<i64> {
    let millis = word.parse::<f64>().ok()? * 1000.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in the range of real times")]
    (millis.abs() < 1e15).then(|| millis.round() as i64)
}

/// Gives the name (as label `__name__`) and labels of a series as written.
pub(crate) fn labels_of(series: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut labels = Vec::new();
    whole_series(series, &mut |name, value| labels.push((name.into_owned(), value.into_owned())))?;
    Ok(labels)
}

/// Walks a series that takes the whole text.
fn whole_series<'a>(series: &'a str, found: &mut dyn FnMut(Cow<'a, str>, Cow<'a, str>)) -> Result<(), &'static str> {
    let mut cursor = Cursor::new(series);
    walk_series(&mut cursor, found)?;
    if cursor.rest().is_empty() { Ok(()) } else { Err("unexpected text after the name or labels of a series") }
}

/// Walks `name{a="b",…}` or `{"name",a="b",…}`.
fn walk_series<'a>(
    cursor: &mut Cursor<'a>,
    found: &mut dyn FnMut(Cow<'a, str>, Cow<'a, str>),
) -> Result<(), &'static str> {
    const NAME: &str = wattle_contract::METRIC_NAME;
    let name = cursor.name(true);
    if !name.is_empty() {
        found(Cow::Borrowed(NAME), Cow::Borrowed(name));
    }
    let mut named = !name.is_empty();
    cursor.blanks();
    if !cursor.eat('{') {
        return if named { Ok(()) } else { Err("expected a metric name") };
    }
    loop {
        cursor.blanks();
        if cursor.eat('}') {
            break;
        }
        let label = if cursor.peek() == Some('"') { cursor.quoted()? } else { Cow::Borrowed(cursor.name(false)) };
        if label.is_empty() {
            return Err("expected a label name");
        }
        cursor.blanks();
        if cursor.eat('=') {
            cursor.blanks();
            found(label, cursor.quoted()?);
        } else if named {
            return Err("expected = after the label name");
        } else {
            found(Cow::Borrowed(NAME), label);
            named = true;
        }
        cursor.blanks();
        if !cursor.eat(',') && cursor.peek() != Some('}') {
            return Err("expected , or } after a label");
        }
    }
    if named { Ok(()) } else { Err("expected a metric name") }
}

#[cfg(test)]
mod tests;
