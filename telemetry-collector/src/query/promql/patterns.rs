//! Regular expressions that would take long to compile, refused before they are.

use super::QueryError;

/// Most characters that a pattern may stand for, its repetitions counted out. Compiling this many takes milliseconds.
const MOST: usize = 50_000;

/// Checks the patterns of a query's matchers (`=~`, `!~`).
///
/// Errors: one is too large.
pub(super) fn check_query(query: &str) -> Result<(), QueryError> {
    for (at, _) in query.match_indices('~') {
        let rest = query[at + 1..].trim_start();
        let Some(quote) = rest.chars().next().filter(|char| matches!(char, '"' | '\'' | '`')) else { continue };
        check(rest[1..].split(quote).next().unwrap_or(""))?;
    }
    Ok(())
}

/// Checks one pattern.
pub(super) fn check(pattern: &str) -> Result<(), QueryError> {
    let size = size(pattern);
    if size > MOST {
        return Err(QueryError::BadData(format!(
            "regular expression too large: its repetitions come to {size} characters (limit {MOST})"
        )));
    }
    Ok(())
}

/// Gives the length of a pattern with its counted repetitions written out.
fn size(pattern: &str) -> usize {
    // Of each open group: what was counted before its last part, and that part.
    let mut open = vec![(0_usize, 0_usize)];
    let mut rest = pattern;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            '(' => open.push((0, 0)),
            ')' if open.len() > 1 => {
                let (before, last) = open.pop().unwrap_or_default();
                add(&mut open, before.saturating_add(last));
            }
            '{' => {
                let inside = rest.split('}').next().unwrap_or("");
                let most = inside.split(',').filter_map(|number| number.trim().parse::<usize>().ok()).max();
                if let (Some(times), Some(top)) = (most, open.last_mut()) {
                    top.1 = top.1.saturating_mul(times.max(1));
                    rest = rest.get(inside.len() + 1..).unwrap_or("");
                }
            }
            '\\' => {
                rest = rest.chars().next().map_or("", |escaped| &rest[escaped.len_utf8()..]);
                // A class of Unicode is many ranges.
                add(&mut open, 30);
            }
            _ => add(&mut open, 1),
        }
    }
    open.into_iter().fold(0, |sum: usize, (before, last)| sum.saturating_add(before).saturating_add(last))
}

fn add(open: &mut [(usize, usize)], size: usize) {
    if let Some(top) = open.last_mut() {
        *top = (top.0.saturating_add(top.1), size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_too_large_and_what_people_write_is_not() {
        assert!(check("(a{900}){900}").is_err());
        assert!(check(r"((\w{100}){100}){100}").is_err());
        assert!(check_query("x{a=~\"(((a{99}){99}){99}){99}\"}").is_err());
        for fine in ["^.+\\.default\\..+$", "[0-9]{1,3}(\\.[0-9]{1,3}){3}", "a{b", "x{9999}", "(a|b)*", ")("] {
            assert!(check(fine).is_ok(), "{fine}");
        }
    }
}
