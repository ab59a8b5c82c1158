//! What is wrong with a query, and where, in Prometheus's words.
//!
//! The parser tells no positions. The errors that people make most (brackets and quotes left open, an operator without
//! its right side, a function that is not there) are found here; of the others its message is given as it is.

/// Says what is wrong with a query that the parser refused with `reason`.
pub(super) fn explain(query: &str, reason: &str) -> String {
    let found = lexical(query).or_else(|| by_reason(query, reason));
    match found {
        Some((at, text)) => format!("{}: parse error: {text}", position(query, at)),
        None if is_blank(query) => "unknown position: parse error: no expression found in input".to_owned(),
        None => format!("parse error: {reason}"),
    }
}

/// Writes `LINE:COLUMN` of a byte, both from one.
fn position(query: &str, at: usize) -> String {
    let before = query.get(..at.min(query.len())).unwrap_or(query);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    format!("{}:{}", before.matches('\n').count() + 1, at - line_start + 1)
}

fn is_blank(query: &str) -> bool {
    query.lines().all(|line| line.split('#').next().unwrap_or("").trim().is_empty())
}

type Found = Option<(usize, String)>;

/// Finds brackets and quotes that do not close, or close what was not opened.
fn lexical(query: &str) -> Found {
    let (mut parens, mut in_braces, mut bracket, mut in_comment) = (0_usize, false, None, false);
    let mut chars = query.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '\n' => in_comment = false,
            _ if in_comment => {}
            '#' => in_comment = true,
            // The guard reads on to the quote's end.
            '"' | '\'' | '`' if !skip_quoted(&mut chars, char) => {
                return Some((at, "unterminated quoted string".to_owned()));
            }
            '{' => in_braces = true,
            '}' if in_braces => in_braces = false,
            '}' => return Some((at, "unexpected character: '}'".to_owned())),
            '[' => bracket = Some(at),
            ']' if bracket.is_some() => bracket = None,
            ']' => return Some((at, "unexpected right bracket ']'".to_owned())),
            '(' => parens += 1,
            ')' if parens > 0 => parens -= 1,
            ')' => return Some((at + 1, "unexpected right parenthesis ')'".to_owned())),
            _ => {}
        }
    }
    let end = query.len();
    if in_braces {
        return Some((end, "unexpected end of input inside braces".to_owned()));
    }
    if let Some(open) = bracket {
        let is_bare = query[open + 1..].trim().is_empty();
        let text = if is_bare { "unexpected end of input in duration expression" } else { "unclosed left bracket" };
        return Some((end, text.to_owned()));
    }
    (parens > 0).then(|| (end, "unclosed left parenthesis".to_owned()))
}

/// Reads to the end of a quoted text; tells whether there is one.
fn skip_quoted(chars: &mut std::str::CharIndices<'_>, quote: char) -> bool {
    while let Some((_, char)) = chars.next() {
        match char {
            '\\' if quote != '`' => drop(chars.next()),
            _ if char == quote => return true,
            _ => {}
        }
    }
    false
}

fn by_reason(query: &str, reason: &str) -> Found {
    if let Some(name) = between(reason, "unknown function with name '", "'") {
        return call(query, name).map(|at| (at, format!("unknown function with name \"{name}\"")));
    }
    if let Some(function) = between(reason, "in call to function '", "'") {
        let after = call(query, function).map(|at| at + function.len() + 1)?;
        return Some((after, reason.replace('\'', "\"")));
    }
    if reason.contains("at least one non-empty matcher") {
        return query
            .find('{')
            .map(|at| (at, "vector selector must contain at least one non-empty matcher".to_owned()));
    }
    let trimmed = query.trim_end();
    let last = trimmed.rsplit(|char: char| char.is_whitespace() || char == ')').next().unwrap_or("");
    let is_operator = trimmed.ends_with(['+', '-', '*', '/', '%', '^', '=', '<', '>', ','])
        || ["and", "or", "unless", "atan2", "bool"].contains(&last.to_ascii_lowercase().as_str());
    is_operator.then(|| (query.len(), "unexpected end of input".to_owned()))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inside, _)| inside)
}

/// Finds where a function is called.
fn call(query: &str, name: &str) -> Option<usize> {
    let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == ':';
    query.match_indices(name).map(|(at, _)| at).find(|&at| {
        let is_start = !query[..at].ends_with(is_word);
        is_start && query[at + name.len()..].trim_start().starts_with('(')
    })
}

#[cfg(test)]
mod tests {
    use crate::query::promql::parse;

    /// What Prometheus 3.5.3 answers to each.
    #[test]
    fn errors_have_the_position_and_the_words_of_prometheus() {
        for (query, error) in [
            ("sum(", "1:5: parse error: unclosed left parenthesis"),
            ("foo)", "1:5: parse error: unexpected right parenthesis ')'"),
            ("foo{", "1:5: parse error: unexpected end of input inside braces"),
            ("foo{a=\"b\"", "1:10: parse error: unexpected end of input inside braces"),
            ("foo}", "1:4: parse error: unexpected character: '}'"),
            ("foo]", "1:4: parse error: unexpected right bracket ']'"),
            ("foo[5m", "1:7: parse error: unclosed left bracket"),
            ("foo[", "1:5: parse error: unexpected end of input in duration expression"),
            ("nofunc(x)", "1:1: parse error: unknown function with name \"nofunc\""),
            ("1 +", "1:4: parse error: unexpected end of input"),
            ("", "unknown position: parse error: no expression found in input"),
            ("x{a=\"b}", "1:5: parse error: unterminated quoted string"),
            ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
            ("x > bool", "1:9: parse error: unexpected end of input"),
            ("\n sum(", "2:6: parse error: unclosed left parenthesis"),
        ] {
            let told = parse(query).expect_err("refused").to_string();
            assert_eq!(told, format!("invalid parameter \"query\": {error}"), "{query}");
        }
    }
}
