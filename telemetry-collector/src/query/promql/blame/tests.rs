use crate::query::promql::parse;

/// Queries and what Prometheus 3.5.3 answers to each, a tab between them.
const REFUSED: &str = include_str!("refused.txt");

#[test]
fn errors_have_the_position_and_the_words_of_prometheus() {
    let mut wrong = Vec::new();
    let lines: Vec<(&str, &str)> = REFUSED.lines().filter_map(|line| line.rsplit_once('\t')).collect();
    for (query, error) in &lines {
        let told = match parse(query) {
            Ok(_) => "accepted".to_owned(),
            Err(told) => told.to_string(),
        };
        if told != format!("invalid parameter \"query\": {error}") {
            wrong.push(format!("{query}\n   theirs {error}\n   ours   {told}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    assert!(lines.len() > 150, "only {} queries", lines.len());
}

#[test]
fn lines_count_from_the_last_break() {
    let told = parse("sum by (a) (\n  rate(x[5m])\n").expect_err("refused").to_string();

    assert_eq!(told, "invalid parameter \"query\": 3:1: parse error: unclosed left parenthesis");
}

#[test]
fn the_deepest_query_that_is_read_fits_a_worker_threads_stack() {
    for part in ["(", "sum(", "-", "x+", "abs((x)+", "x^"] {
        let deep = part.repeat(500 / part.matches(['(', '-', '+', '^']).count());
        let told = parse(&format!("{deep} y z")).expect_err("refused").to_string();

        assert!(told.contains("parse error"), "{told}");
    }
}
