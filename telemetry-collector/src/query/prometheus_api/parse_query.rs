//! `/api/v1/parse_query`: a query as the tree that Prometheus's own page draws.

use axum::extract::State;
use axum::response::Response;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{
    AtModifier, BinaryExpr, Expr, LabelModifier, Offset, VectorMatchCardinality, VectorSelector, value::ValueType,
};
use serde_json::{Value, json};
use wattle_contract::METRIC_NAME;

use super::form::Form;
use super::{Api, plain_number, respond};
use crate::query::promql::{self, at_millis, millis, offset_ms};

/// Answers `/api/v1/parse_query`.
pub(super) async fn parse_query(State(api): State<Api>, form: Form) -> Response {
    let written = promql::parse_into(form.get("query").unwrap_or(""), |query| tree(query).to_string()).await;
    respond(&api, written)
}

/// Writes an expression and what is in it; the parser bounds how deep it nests.
fn tree(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(aggregate) => {
            let (grouping, is_without) = match &aggregate.modifier {
                Some(LabelModifier::Include(labels)) => (labels.labels.as_slice(), false),
                Some(LabelModifier::Exclude(labels)) => (labels.labels.as_slice(), true),
                None => (&[][..], false),
            };
            json!({
                "type": "aggregation", "op": aggregate.op.to_string(), "expr": tree(&aggregate.expr),
                "param": aggregate.param.as_ref().map(|param| tree(param)), "grouping": grouping, "without": is_without,
            })
        }
        Expr::Unary(unary) => json!({ "type": "unaryExpr", "op": "-", "expr": tree(&unary.expr) }),
        Expr::Binary(binary) => json!({
            "type": "binaryExpr", "op": binary.op.to_string(), "lhs": tree(&binary.lhs), "rhs": tree(&binary.rhs),
            "matching": matching(binary), "bool": binary.modifier.as_ref().is_some_and(|modifier| modifier.return_bool),
        }),
        Expr::Paren(paren) => json!({ "type": "parenExpr", "expr": tree(&paren.expr) }),
        Expr::Subquery(subquery) => {
            let mut written = json!({
                "type": "subquery", "expr": tree(&subquery.expr), "range": millis(subquery.range),
                "step": subquery.step.map_or(0, millis),
            });
            add_modifiers(&mut written, subquery.offset.as_ref(), subquery.at.as_ref());
            written
        }
        Expr::NumberLiteral(number) => json!({ "type": "numberLiteral", "val": plain_number(number.val) }),
        Expr::StringLiteral(text) => json!({ "type": "stringLiteral", "val": text.val }),
        Expr::VectorSelector(selector) => self::selector("vectorSelector", selector),
        Expr::MatrixSelector(range) => {
            let mut written = selector("matrixSelector", &range.vs);
            written["range"] = millis(range.range).into();
            written
        }
        Expr::Call(call) => {
            let types: Vec<String> = call.func.arg_types.iter().map(ToString::to_string).collect();
            let args: Vec<Value> = call.args.args.iter().map(|arg| tree(arg)).collect();
            json!({
                "type": "call", "args": args,
                "func": {
                    "name": call.func.name, "argTypes": types, "variadic": call.func.variadic,
                    "returnType": call.func.return_type.to_string(),
                },
            })
        }
        Expr::Extension(extension) => json!({ "type": extension.expr.name() }),
    }
}

/// How series of both sides find each other; nothing where one side is a number.
fn matching(binary: &BinaryExpr) -> Value {
    let is_vector = |side: &Expr| side.value_type() == ValueType::Vector;
    if !is_vector(&binary.lhs) || !is_vector(&binary.rhs) {
        return Value::Null;
    }
    let is_set = ["and", "or", "unless"].contains(&binary.op.to_string().as_str());
    let modifier = binary.modifier.as_ref();
    let (card, include) = match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(labels)) => ("many-to-one", labels.labels.as_slice()),
        Some(VectorMatchCardinality::OneToMany(labels)) => ("one-to-many", labels.labels.as_slice()),
        _ if is_set => ("many-to-many", &[][..]),
        _ => ("one-to-one", &[][..]),
    };
    let (labels, is_on) = match modifier.and_then(|modifier| modifier.matching.as_ref()) {
        Some(LabelModifier::Include(labels)) => (labels.labels.as_slice(), true),
        Some(LabelModifier::Exclude(labels)) => (labels.labels.as_slice(), false),
        None => (&[][..], false),
    };
    json!({ "card": card, "labels": labels, "on": is_on, "include": include })
}

fn selector(kind: &str, selector: &VectorSelector) -> Value {
    let matcher = |one: &Matcher| json!({ "type": one.op.to_string(), "name": one.name, "value": one.value });
    let mut matchers: Vec<Value> = selector.matchers.matchers.iter().map(matcher).collect();
    let name = selector.name.as_deref().unwrap_or("");
    if !name.is_empty() {
        matchers.push(matcher(&Matcher::new(MatchOp::Equal, METRIC_NAME, name)));
    }
    let mut written = json!({ "type": kind, "name": name, "matchers": matchers });
    add_modifiers(&mut written, selector.offset.as_ref(), selector.at.as_ref());
    written
}

fn add_modifiers(written: &mut Value, offset: Option<&Offset>, at: Option<&AtModifier>) {
    written["offset"] = offset_ms(offset).into();
    written["timestamp"] = match at {
        Some(AtModifier::At(time)) => at_millis(*time).into(),
        _ => Value::Null,
    };
    written["startOrEnd"] = match at {
        Some(AtModifier::Start) => "start".into(),
        Some(AtModifier::End) => "end".into(),
        _ => Value::Null,
    };
}
