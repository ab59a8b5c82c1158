//! Matchers between braces.

use super::Fault;
use super::grammar::Reader;
use super::tree::Selector;
use super::words::{Kind, Word};

const PLACE: &str = "label matching";

/// Reads matchers up to the closing brace, the opening one being read.
pub(super) fn matchers(reader: &mut Reader<'_>, selector: &mut Selector) -> Result<(), Fault> {
    loop {
        let label = reader.take()?;
        if label.is("}") {
            return Ok(());
        }
        if !matches!(label.kind, Kind::Identifier | Kind::Text) {
            return Err(reader.unexpected(&label, Some((PLACE, "identifier or \"}\""))));
        }
        let operator = reader.peek()?;
        if matches!(operator.text, "=" | "!=" | "=~" | "!~") && operator.kind != Kind::Text {
            reader.take()?;
            let value = reader.take()?;
            if value.kind != Kind::Text {
                return Err(reader.unexpected(&value, Some((PLACE, "string"))));
            }
            matcher(selector, &label, operator.text, inside(&value))?;
        } else if label.kind == Kind::Text {
            named(selector, inside(&label));
        } else {
            return Err(reader.unexpected(&operator, Some((PLACE, "label matching operator"))));
        }
        let next = reader.peek()?;
        if !next.is(",") && !next.is("}") {
            return Err(reader.unexpected(&next, Some((PLACE, "\",\" or \"}\""))));
        }
        reader.takes(",")?;
    }
}

/// Gives a quoted text without its quotes.
fn inside<'a>(word: &Word<'a>) -> &'a str {
    word.text.get(1..word.text.len() - 1).unwrap_or("")
}

fn named(selector: &mut Selector, name: &str) {
    selector.is_narrow = true;
    selector.second_name = Some(name.to_owned());
}

fn matcher(selector: &mut Selector, label: &Word<'_>, operator: &str, value: &str) -> Result<(), Fault> {
    let is_name = label.text.trim_matches(['"', '\'', '`']) == "__name__";
    let is_pattern = operator.ends_with('~');
    // Patterns match whole values; Prometheus says what is wrong of the pattern alone.
    let plain = if label.text.contains('\\') { value.to_owned() } else { value.replace("\\\\", "\\") };
    let matches_empty = if is_pattern {
        let compiled = regex::Regex::new(&format!("^(?:{plain})$"));
        let complaint = |_| Fault { at: label.at, text: format!("error parsing regexp: {}", wrong(&plain)) };
        compiled.map_err(complaint)?.is_match("")
    } else {
        value.is_empty()
    };
    selector.is_narrow |= matches_empty == operator.starts_with('!');
    if is_name && operator == "=" && !value.is_empty() {
        selector.second_name = Some(value.to_owned());
    }
    Ok(())
}

/// Says what is wrong with a pattern, in the words of Go's regular expressions as far as it is known.
fn wrong(pattern: &str) -> String {
    let (mut open, mut class, mut before) = (0_usize, None, None);
    let mut chars = pattern.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' if chars.next().is_none() => return "trailing backslash at end of expression: ``".to_owned(),
            ']' if class.is_some_and(|start| at > start + 1) => class = None,
            _ if class.is_some() => {}
            '[' => class = Some(at),
            '(' => open += 1,
            ')' if open == 0 => return format!("unexpected ): `{pattern}`"),
            ')' => open -= 1,
            '*' | '+' | '?' if matches!(before, None | Some('(' | '|')) && !(char == '?' && before == Some('(')) => {
                return format!("missing argument to repetition operator: `{char}`");
            }
            '*' | '+' if matches!(before, Some('*' | '+')) => {
                return format!("invalid nested repetition operator: `{}{char}`", before.unwrap_or(char));
            }
            _ => {}
        }
        before = Some(char);
    }
    match class {
        Some(start) => format!("missing closing ]: `{}`", &pattern[start..]),
        None if open > 0 && pattern.contains("(?") => "invalid or unsupported Perl syntax: `(?P`".to_owned(),
        None if open > 0 => format!("missing closing ): `{pattern}`"),
        None => format!("`{pattern}` is not supported"),
    }
}
