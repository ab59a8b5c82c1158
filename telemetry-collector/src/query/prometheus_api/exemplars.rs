//! `/api/v1/query_exemplars`: exemplars of the series that a query selects.

use std::fmt::Write;

use axum::extract::State;
use axum::response::Response;
use promql_parser::label::Matchers;
use promql_parser::parser::Expr;
use promql_parser::util::visitor::{ExprVisitor, walk_expr};
use wattle_contract::Labels;

use super::form::Form;
use super::{Api, number, render, respond};
use crate::query::promql::{self, QueryError};
use crate::store::exemplars::Exemplar;

/// Answers `/api/v1/query_exemplars`.
pub(super) async fn exemplars(State(api): State<Api>, form: Form) -> Response {
    let answer = async {
        let start = form.time("start")?.unwrap_or(i64::MIN);
        let end = form.time("end")?.unwrap_or(i64::MAX);
        if end < start {
            return Err(QueryError::BadData("end timestamp must not be before start timestamp".to_owned()));
        }
        let selectors = promql::parse_into(form.get("query").unwrap_or(""), selectors).await?;
        Ok(written(&api.intake.exemplars.select(&selectors, start, end)))
    };
    let answer = answer.await;
    respond(&api, answer)
}

/// Gives what each selector of a query matches, wherever it stands; modifiers do not count, as in Prometheus.
fn selectors(query: &Expr) -> Vec<Matchers> {
    struct Selectors(Vec<Matchers>);
    impl ExprVisitor for Selectors {
        type Error = std::convert::Infallible;

        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            match expr {
                // The walk leaves the parameter of an aggregation out.
                Expr::Aggregate(aggregate) => {
                    if let Some(param) = &aggregate.param {
                        walk_expr(self, param)?;
                    }
                }
                Expr::VectorSelector(selector) => self.0.push(promql::matchers(selector)),
                Expr::MatrixSelector(range) => self.0.push(promql::matchers(&range.vs)),
                _ => {}
            }
            Ok(true)
        }
    }
    let mut found = Selectors(Vec::new());
    let Ok(_) = walk_expr(&mut found, query);
    found.0
}

fn written(found: &[(Labels, Vec<Exemplar>)]) -> String {
    let mut out = String::from("[");
    for (at, (series, exemplars)) in found.iter().enumerate() {
        out.push_str(if at > 0 { ",{\"seriesLabels\":" } else { "{\"seriesLabels\":" });
        render::labels(&mut out, series);
        out.push_str(",\"exemplars\":[");
        for (at, exemplar) in exemplars.iter().enumerate() {
            out.push_str(if at > 0 { ",{\"labels\":" } else { "{\"labels\":" });
            render::labels(&mut out, &exemplar.labels);
            let _ = write!(out, ",\"value\":\"{}\",\"timestamp\":", number(exemplar.value));
            render::seconds(&mut out, exemplar.time);
            out.push('}');
        }
        out.push_str("]}");
    }
    out.push(']');
    out
}
