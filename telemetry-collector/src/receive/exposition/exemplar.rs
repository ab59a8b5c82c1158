//! Exemplars of OpenMetrics: `{trace_id="…"} 0.67 1520879607.789` behind a `#`.

use super::super::exposition_text::Cursor;
use super::{number, seconds, word};

/// Labels, value and time of an exemplar.
type Exemplar = (Vec<(String, String)>, f64, Option<i64>);

/// Reads the text behind the `#`; its time is in milliseconds.
pub(crate) fn exemplar_of(text: &str) -> Result<Exemplar, &'static str> {
    let mut cursor = Cursor::new(text);
    let mut labels = Vec::new();
    cursor.blanks();
    if !cursor.eat('{') {
        return Err("expected the labels of an exemplar");
    }
    loop {
        cursor.blanks();
        if cursor.eat('}') {
            break;
        }
        let name = if cursor.peek() == Some('"') { cursor.quoted()? } else { cursor.name(false).into() };
        cursor.blanks();
        if name.is_empty() || !cursor.eat('=') {
            return Err("expected a label of an exemplar");
        }
        cursor.blanks();
        labels.push((name.into_owned(), cursor.quoted()?.into_owned()));
        cursor.blanks();
        if !cursor.eat(',') && cursor.peek() != Some('}') {
            return Err("expected , or } after a label of an exemplar");
        }
    }
    let (value, rest) = word(cursor.rest()).ok_or("expected the value of an exemplar")?;
    let value = number(value).ok_or("expected a number as value of an exemplar")?;
    let Some((time, rest)) = word(rest) else { return Ok((labels, value, None)) };
    let time = seconds(time).ok_or("expected a time after the value of an exemplar")?;
    match word(rest) {
        None => Ok((labels, value, Some(time))),
        Some(_) => Err("unexpected text after the time of an exemplar"),
    }
}
