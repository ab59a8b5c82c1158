//! Types of expressions, checked from the leaves up as Prometheus does.

use super::Fault;
use super::signatures;
use super::tree::{Node, Operator, Selector, Tree, Type};

/// Checks an expression and all inside it.
pub(super) fn check(tree: &Tree) -> Result<(), Fault> {
    match &tree.kind {
        Node::Literal => Ok(()),
        Node::Selector(selector) | Node::Range(selector) => selects(selector, tree.at),
        Node::Paren(inner) => check(inner),
        Node::Subquery(inner, _) => {
            check(inner)?;
            let text = || format!("subquery is only allowed on instant vector, got {} instead", inner.of.plain());
            if inner.of == Type::Vector { Ok(()) } else { Err(Fault { at: tree.at, text: text() }) }
        }
        Node::Unary(inner) => {
            check(inner)?;
            if matches!(inner.of, Type::Scalar | Type::Vector) {
                return Ok(());
            }
            let allowed = "unary expression only allowed on expressions of type scalar or instant vector";
            Err(Fault { at: tree.at, text: format!("{allowed}, got {:?}", inner.of.documented()) })
        }
        Node::Binary(operator, sides) => binary(operator, &sides[0], &sides[1]),
        Node::Call(name, arguments) => call(name, arguments, tree.at),
        Node::Aggregate(name, arguments) => {
            if let Some(aggregated) = arguments.last() {
                expect(aggregated, Type::Vector, "aggregation expression")?;
            }
            if let [parameter, _] = arguments.as_slice() {
                let wanted = if name == "count_values" { Type::Text } else { Type::Scalar };
                expect(parameter, wanted, "aggregation parameter")?;
            }
            Ok(())
        }
    }
}

fn expect(tree: &Tree, wanted: Type, place: &str) -> Result<(), Fault> {
    check(tree)?;
    if tree.of == wanted {
        return Ok(());
    }
    let (wanted, got) = (wanted.documented(), tree.of.documented());
    Err(Fault { at: tree.at, text: format!("expected type {wanted} in {place}, got {got}") })
}

fn selects(selector: &Selector, at: usize) -> Result<(), Fault> {
    match (&selector.name, &selector.second_name) {
        (Some(name), Some(second)) => {
            Err(Fault { at, text: format!("metric name must not be set twice: {name:?} or {second:?}") })
        }
        (None, _) if !selector.is_narrow => {
            Err(Fault { at, text: "vector selector must contain at least one non-empty matcher".to_owned() })
        }
        _ => Ok(()),
    }
}

fn binary(operator: &Operator, left: &Tree, right: &Tree) -> Result<(), Fault> {
    check(left)?;
    check(right)?;
    let at_operator = |text: String| Err(Fault { at: operator.at, text });
    let at_left = |text: String| Err(Fault { at: left.at, text });
    let name = operator.name.as_str();
    let compares = matches!(name, "==" | "!=" | "<" | "<=" | ">" | ">=");
    let is_set = matches!(name, "and" | "or" | "unless");
    if operator.has_bool && !compares {
        return at_operator("bool modifier can only be used on comparison operators".to_owned());
    }
    if compares && !operator.has_bool && left.of == Type::Scalar && right.of == Type::Scalar {
        return at_operator("comparisons between scalars must use BOOL modifier".to_owned());
    }
    if let Some(matching) = operator.matching.as_ref().filter(|matching| matching.is_on)
        && let Some(label) = matching.labels.iter().find(|label| matching.taken.contains(label))
    {
        return at_operator(format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    for side in [left, right] {
        if !matches!(side.of, Type::Scalar | Type::Vector) {
            let text = "binary expression must contain only scalar and instant vector types".to_owned();
            return Err(Fault { at: side.at, text });
        }
    }
    let is_between_vectors = left.of == Type::Vector && right.of == Type::Vector;
    match &operator.matching {
        Some(matching) if !is_between_vectors && !matching.labels.is_empty() => {
            return at_left("vector matching only allowed between instant vectors".to_owned());
        }
        Some(matching) if is_between_vectors && is_set && matching.is_grouped => {
            return at_left(format!("no grouping allowed for {name:?} operation"));
        }
        _ => {}
    }
    if is_set && !is_between_vectors {
        return at_left(format!("set operator {name:?} not allowed in binary scalar expression"));
    }
    Ok(())
}

fn call(name: &str, arguments: &[Tree], at: usize) -> Result<(), Fault> {
    let Some(signature) = signatures::of(name) else { return Ok(()) };
    let (least, most, got) = (signature.least, signature.most, arguments.len());
    let wrong = |wanted: String| {
        Err(Fault { at, text: format!("expected {wanted} argument(s) in call to {name:?}, got {got}") })
    };
    if least == most && got != least {
        return wrong(least.to_string());
    }
    if got < least {
        return wrong(format!("at least {least}"));
    }
    if got > most {
        return wrong(format!("at most {most}"));
    }
    let last = signature.takes.len().saturating_sub(1);
    for (place, argument) in arguments.iter().enumerate() {
        expect(argument, signature.takes[place.min(last)], &format!("call to function {name:?}"))?;
    }
    Ok(())
}
