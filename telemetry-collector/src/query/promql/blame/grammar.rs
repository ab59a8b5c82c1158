//! The grammar, followed as far as a query keeps to it.

use super::Fault;
use super::tree::{Matching, Node, Operator, Tree, Type};
use super::words::{Kind, Word, Words};

/// Deepest nesting that is followed: each level takes stack, and a worker thread has 2 MiB.
const DEEPEST: usize = 100;

/// Reads a query word by word.
pub(super) struct Reader<'a> {
    words: Words<'a>,
    ahead: Option<Word<'a>>,
    depth: usize,
    /// Aggregations around this place: they change the words of a complaint.
    pub(super) aggregations: usize,
}

/// Reads a whole query.
pub(super) fn read(query: &str) -> Result<Tree, Fault> {
    let words = Words::new(query);
    let mut reader = Reader { words, ahead: None, depth: 0, aggregations: 0 };
    if reader.peek()?.kind == Kind::End {
        let text = "no expression found in input".to_owned();
        return Err(Fault { at: if query.is_empty() { usize::MAX } else { 0 }, text });
    }
    let tree = reader.expression(0)?;
    match reader.peek()? {
        word if word.kind == Kind::End => Ok(tree),
        word => Err(reader.unexpected(&word, None)),
    }
}

/// Binds tighter with a higher number; `^` from the right.
fn strength(word: &Word<'_>) -> Option<usize> {
    if word.kind != Kind::Operator {
        return None;
    }
    Some(match word.text.to_ascii_lowercase().as_str() {
        "or" => 1,
        "and" | "unless" => 2,
        "==" | "!=" | "<" | "<=" | ">" | ">=" => 3,
        "+" | "-" => 4,
        "*" | "/" | "%" | "atan2" => 5,
        "^" => 6,
        _ => return None,
    })
}

impl<'a> Reader<'a> {
    pub(super) fn peek(&mut self) -> Result<Word<'a>, Fault> {
        match self.ahead {
            Some(word) => Ok(word),
            None => Ok(*self.ahead.insert(self.words.next()?)),
        }
    }

    pub(super) fn take(&mut self) -> Result<Word<'a>, Fault> {
        let word = self.peek()?;
        self.ahead = None;
        Ok(word)
    }

    /// Takes the next word if it is this one.
    pub(super) fn takes(&mut self, text: &str) -> Result<bool, Fault> {
        let is_it = self.peek()?.is(text);
        if is_it {
            self.ahead = None;
        }
        Ok(is_it)
    }

    /// Complains about a word: where it stands, and what was expected there.
    pub(super) fn unexpected(&self, word: &Word<'_>, expected: Option<(&str, &str)>) -> Fault {
        let text = match expected {
            Some((place, expected)) => format!("unexpected {} in {place}, expected {expected}", word.description()),
            None if self.aggregations > 0 => format!("unexpected {} in aggregation", word.description()),
            None => format!("unexpected {}", word.description()),
        };
        Fault { at: word.at, text }
    }

    /// Reads an expression whose operators bind at least this tightly.
    pub(super) fn expression(&mut self, least: usize) -> Result<Tree, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            // Only brackets and quotes are looked at from here on.
            while self.take()?.kind != Kind::End {}
            return Err(Fault { at: usize::MAX, text: format!("invalid promql query, nested deeper than {DEEPEST}") });
        }
        let mut left = self.operand()?;
        loop {
            let operator = self.peek()?;
            let Some(strength) = strength(&operator).filter(|&strength| strength >= least) else { break };
            self.take()?;
            let (has_bool, matching) = self.modifiers()?;
            let right = self.expression(if strength == 6 { 6 } else { strength + 1 })?;
            let of = if left.of == Type::Vector || right.of == Type::Vector { Type::Vector } else { Type::Scalar };
            let at = left.at;
            let operator = Operator { name: operator.text.to_ascii_lowercase(), at: operator.at, has_bool, matching };
            left = Tree { at, of, kind: Node::Binary(operator, Box::new([left, right])) };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Reads `bool`, `on (…)`, `group_left (…)` and the like behind an operator.
    fn modifiers(&mut self) -> Result<(bool, Option<Matching>), Fault> {
        let has_bool = self.takes("bool")?;
        let is_on = self.takes("on")?;
        if !is_on && !self.takes("ignoring")? {
            return Ok((has_bool, None));
        }
        let labels = self.labels()?;
        let is_grouped = self.takes("group_left")? || self.takes("group_right")?;
        let taken = if is_grouped && self.peek()?.is("(") { self.labels()? } else { Vec::new() };
        Ok((has_bool, Some(Matching { is_on, labels, is_grouped, taken })))
    }

    /// Reads the labels of a grouping, with their parentheses.
    pub(super) fn labels(&mut self) -> Result<Vec<String>, Fault> {
        let open = self.take()?;
        if !open.is("(") {
            return Err(self.unexpected(&open, Some(("grouping opts", "\"(\""))));
        }
        let mut found = Vec::new();
        loop {
            let word = self.take()?;
            if word.is(")") {
                return Ok(found);
            }
            let is_name = word.text.starts_with(|char: char| char == '_' || char.is_ascii_alphabetic());
            if word.kind != Kind::Text && (!is_name || word.kind == Kind::Metric) {
                return Err(self.unexpected(&word, Some(("grouping opts", "label"))));
            }
            found.push(word.text.to_owned());
            let next = self.peek()?;
            if !next.is(",") && !next.is(")") {
                return Err(self.unexpected(&next, Some(("grouping opts", "\",\" or \")\""))));
            }
            self.takes(",")?;
        }
    }
}
