//! What stands between operators: literals, calls, aggregations, parentheses, and the modifiers behind them.

use super::Fault;
use super::grammar::Reader;
use super::selector::matchers;
use super::signatures;
use super::tree::{Node, Placed, Selector, Tree, Type};
use super::words::{Kind, Word};

/// How tightly `-x` and `+x` bind: as `*` does.
const UNARY: usize = 6;

impl Reader<'_> {
    /// Reads an operand and the modifiers behind it.
    pub(super) fn operand(&mut self) -> Result<Tree, Fault> {
        let word = self.peek()?;
        if word.kind == Kind::Operator && matches!(word.text, "+" | "-") {
            self.take()?;
            let inner = self.expression(UNARY)?;
            return Ok(Tree { at: word.at, of: inner.of, kind: Node::Unary(Box::new(inner)) });
        }
        let mut tree = self.plain()?;
        loop {
            let word = self.peek()?;
            if word.kind == Kind::Keyword && word.is("offset") {
                self.take()?;
                self.span("offset", "number or duration")?;
                place(&mut tree, "offset modifier", "offset", |placed| &mut placed.has_offset)?;
            } else if word.is("@") {
                self.take()?;
                self.moment(tree.at)?;
                place(&mut tree, "@ modifier", "@ <timestamp>", |placed| &mut placed.has_at)?;
            } else if word.is("[") {
                tree = self.brackets(tree)?;
            } else {
                return Ok(tree);
            }
        }
    }

    fn plain(&mut self) -> Result<Tree, Fault> {
        let word = self.take()?;
        let at = word.at;
        let literal = |of| Ok(Tree { at, of, kind: Node::Literal });
        match word.kind {
            Kind::Number | Kind::Duration => return literal(Type::Scalar),
            Kind::Text => return literal(Type::Text),
            Kind::Mark if word.text == "(" => {
                let inner = self.expression(0)?;
                let close = self.take()?;
                return match close.text {
                    ")" => Ok(Tree { at, of: inner.of, kind: Node::Paren(Box::new(inner)) }),
                    _ => Err(self.unexpected(&close, None)),
                };
            }
            Kind::Mark if word.text == "{" => {
                let mut selector = Selector::default();
                matchers(self, &mut selector)?;
                return Ok(Tree { at, of: Type::Vector, kind: Node::Selector(selector) });
            }
            _ => {}
        }
        // Most keywords and operators that are words may also be a metric's name.
        let is_name = word.text.starts_with(|char: char| char == '_' || char == ':' || char.is_ascii_alphabetic());
        if !is_name || ["bool", "on", "ignoring", "group_left", "group_right", "atan2"].iter().any(|no| word.is(no)) {
            return Err(self.unexpected(&word, None));
        }
        let next = self.peek()?;
        if word.kind == Kind::Aggregator && ["(", "by", "without"].iter().any(|one| next.is(one)) {
            return self.aggregation(&word);
        }
        if word.kind == Kind::Identifier && next.is("(") {
            return self.call(&word);
        }
        let mut selector = Selector { name: Some(word.text.to_owned()), ..Selector::default() };
        if self.takes("{")? {
            matchers(self, &mut selector)?;
        }
        Ok(Tree { at, of: Type::Vector, kind: Node::Selector(selector) })
    }

    fn call(&mut self, name: &Word<'_>) -> Result<Tree, Fault> {
        let arguments = self.arguments()?;
        let Some(signature) = signatures::of(name.text) else {
            return Err(Fault { at: name.at, text: format!("unknown function with name {:?}", name.text) });
        };
        Ok(Tree { at: name.at, of: signature.gives, kind: Node::Call(name.text.to_owned(), arguments) })
    }

    fn aggregation(&mut self, word: &Word<'_>) -> Result<Tree, Fault> {
        self.aggregations += 1;
        let mut is_grouped = false;
        if self.takes("by")? || self.takes("without")? {
            self.labels()?;
            is_grouped = true;
        }
        let open = self.peek()?;
        if !open.is("(") {
            return Err(self.unexpected(&open, None));
        }
        let arguments = self.arguments()?;
        if !is_grouped && (self.takes("by")? || self.takes("without")?) {
            self.labels()?;
        }
        self.aggregations -= 1;
        let name = word.text.to_ascii_lowercase();
        let with_parameter = ["topk", "bottomk", "quantile", "count_values", "limitk", "limit_ratio"];
        let wanted = 1 + usize::from(with_parameter.contains(&name.as_str()));
        let fault = |text: String| Err(Fault { at: word.at, text });
        match arguments.len() {
            0 => fault("no arguments for aggregate expression provided".to_owned()),
            many if many != wanted => fault(format!(
                "wrong number of arguments for aggregate expression provided, expected {wanted}, got {many}"
            )),
            _ => Ok(Tree { at: word.at, of: Type::Vector, kind: Node::Aggregate(name, arguments) }),
        }
    }

    /// Reads arguments with their parentheses.
    fn arguments(&mut self) -> Result<Vec<Tree>, Fault> {
        self.take()?;
        let mut found = Vec::new();
        if self.takes(")")? {
            return Ok(found);
        }
        loop {
            found.push(self.expression(0)?);
            let next = self.take()?;
            match next.text {
                ")" => return Ok(found),
                "," => {}
                _ => return Err(self.unexpected(&next, None)),
            }
            let beyond = self.peek()?;
            if beyond.is(")") || beyond.is(",") {
                return Err(Fault {
                    at: next.at,
                    text: "trailing commas not allowed in function call args".to_owned(),
                });
            }
        }
    }

    /// Reads a span of time; tells where it begins and whether it is above zero.
    fn span(&mut self, place: &str, expected: &str) -> Result<(usize, bool), Fault> {
        let sign = self.peek()?;
        let is_signed = sign.kind == Kind::Operator && matches!(sign.text, "+" | "-");
        if is_signed {
            self.take()?;
        }
        let word = self.take()?;
        if !matches!(word.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected(&word, Some((place, expected))));
        }
        let at = if is_signed { sign.at } else { word.at };
        let is_zero = word.text.trim_matches(|char: char| !char.is_ascii_digit()).trim_matches('0').is_empty();
        Ok((at, !is_zero && sign.text != "-"))
    }

    /// Reads what follows an `@`.
    fn moment(&mut self, tree: usize) -> Result<(), Fault> {
        const PLACE: (&str, &str) = ("@", "timestamp");
        if self.peek()?.kind == Kind::Operator && matches!(self.peek()?.text, "+" | "-") {
            self.take()?;
        }
        let word = self.take()?;
        if word.is("start") || word.is("end") {
            for wanted in ["(", ")"] {
                let next = self.take()?;
                if !next.is(wanted) {
                    return Err(self.unexpected(&next, Some(PLACE)));
                }
            }
            return Ok(());
        }
        if !matches!(word.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected(&word, Some(PLACE)));
        }
        let name = match word.text.to_ascii_lowercase().as_str() {
            "inf" => "+Inf",
            "nan" => "NaN",
            _ => return Ok(()),
        };
        Err(Fault { at: tree, text: format!("timestamp out of bounds for @ modifier: {name}") })
    }

    /// Reads `[5m]` or `[5m:1m]` behind an expression.
    fn brackets(&mut self, inner: Tree) -> Result<Tree, Fault> {
        let open = self.take()?;
        let above_zero = |(at, is_positive): (usize, bool)| {
            let text = "duration must be greater than 0".to_owned();
            if is_positive { Ok(()) } else { Err(Fault { at, text }) }
        };
        above_zero(self.span("subquery selector", "number or duration")?)?;
        let at = inner.at;
        let next = self.take()?;
        if next.is("]") {
            let complain = |text: &str| Err(Fault { at: open.at, text: text.to_owned() });
            return match inner.kind {
                Node::Selector(selector) if selector.placed.has_offset => {
                    complain("no offset modifiers allowed before range")
                }
                Node::Selector(selector) if selector.placed.has_at => complain("no @ modifiers allowed before range"),
                Node::Selector(selector) => Ok(Tree { at, of: Type::Matrix, kind: Node::Range(selector) }),
                _ => complain("ranges only allowed for vector selectors"),
            };
        }
        if !next.is(":") {
            return Err(self.unexpected(&next, Some(("subquery or range", "\":\" or \"]\""))));
        }
        if !self.takes("]")? {
            above_zero(self.span("subquery selector", "number or duration or \"]\"")?)?;
            let close = self.take()?;
            if !close.is("]") {
                return Err(self.unexpected(&close, Some(("subquery selector", "\"]\""))));
            }
        }
        Ok(Tree { at, of: Type::Matrix, kind: Node::Subquery(Box::new(inner), Placed::default()) })
    }
}

/// Marks a selector or subquery as having a modifier, which it may have once.
fn place(tree: &mut Tree, name: &str, short: &str, which: fn(&mut Placed) -> &mut bool) -> Result<(), Fault> {
    let at = tree.at;
    let placed = match &mut tree.kind {
        Node::Selector(selector) | Node::Range(selector) => &mut selector.placed,
        Node::Subquery(_, placed) => placed,
        _ => {
            let before = "must be preceded by an instant vector selector or range vector selector or a subquery";
            return Err(Fault { at, text: format!("{name} {before}") });
        }
    };
    if std::mem::replace(which(placed), true) {
        return Err(Fault { at, text: format!("{short} may not be set multiple times") });
    }
    Ok(())
}
