use proptest::prelude::*;

use super::*;

fn samples(body: &str, format: Format) -> Result<Vec<RawSample<'_>>, ParseError> {
    let mut found = Vec::new();
    for item in Parser::new(body, format) {
        if let Item::Sample(sample) = item? {
            found.push(sample);
        }
    }
    Ok(found)
}

#[test]
fn text_gives_values_times_and_labels() {
    let body = "# HELP a_total what\\nit is\n# TYPE a_total counter\na_total{x=\"1\",y=\"a\\\"b\\\\c\\nd,}\",} 3 1700000000123\nb -Inf\nc{} NaN\n\n";

    let found = samples(body, Format::Text).expect("a well-formed body");

    assert_eq!(found.len(), 3);
    assert_eq!((found[0].value, found[0].time), (3.0, Some(1_700_000_000_123)));
    assert_eq!(
        labels_of(found[0].series).expect("labels"),
        [("__name__", "a_total"), ("x", "1"), ("y", "a\"b\\c\nd,}")].map(|(n, v)| (n.to_owned(), v.to_owned()))
    );
    assert_eq!(found[1].value, f64::NEG_INFINITY);
    assert!(found[2].value.is_nan());
    assert_eq!(found[2].series, "c{}");
}

#[test]
fn metadata_is_unescaped() {
    let items: Vec<_> = Parser::new("# HELP a what\\nit is\n# TYPE a gauge\n# plain comment\n", Format::Text).collect();

    assert_eq!(items[0], Ok(Item::Metadata("HELP", "a", Cow::Owned("what\nit is".to_owned()))));
    assert_eq!(items[1], Ok(Item::Metadata("TYPE", "a", Cow::Borrowed("gauge"))));
    assert_eq!(items.len(), 2);
}

#[test]
fn openmetrics_has_seconds_exemplars_and_an_end() {
    let body = "a_bucket{le=\"1\"} 3 1700000000.5 # {trace_id=\"x\"} 0.5\nb 1 # {t=\"y\"} 2\n# EOF\n";

    let found = samples(body, Format::OpenMetrics).expect("a well-formed body");

    assert_eq!(found[0].time, Some(1_700_000_000_500));
    assert_eq!(found[1].time, None);
    assert_eq!(
        samples("a 1\n", Format::OpenMetrics),
        Err(ParseError { line: 1, reason: "the body ends without # EOF" })
    );
    assert_eq!(samples("# EOF\na 1\n", Format::OpenMetrics).expect_err("late").line, 2);
}

#[test]
fn quoted_names_are_names() {
    let found = samples("{\"my.metric\",\"a.b\"=\"c\"} 1\n", Format::Text).expect("a well-formed body");

    assert_eq!(labels_of(found[0].series).expect("labels")[0], ("__name__".to_owned(), "my.metric".to_owned()));
    assert_eq!(labels_of(found[0].series).expect("labels")[1], ("a.b".to_owned(), "c".to_owned()));
}

#[test]
fn errors_name_the_line() {
    for (body, line) in [
        ("a 1\nb\n", 2),
        ("a{x=\"1\" 1\n", 1),
        ("a{x=1} 1\n", 1),
        ("\n\na one\n", 3),
        ("a 1 2 3\n", 1),
        ("{x=\"1\"} 1\n", 1),
        ("<html>\n", 1),
    ] {
        assert_eq!(samples(body, Format::Text).expect_err(body).line, line, "{body}");
    }
}

proptest! {
    #[test]
    fn any_text_ends_without_panic(body in "\\PC{0,200}", open in any::<bool>()) {
        let format = if open { Format::OpenMetrics } else { Format::Text };
        for item in Parser::new(&body, format) {
            if let Ok(Item::Sample(sample)) = item {
                prop_assert!(labels_of(sample.series).is_ok());
            }
        }
    }

    #[test]
    fn label_values_come_back(value in "[^\\x00]{0,30}") {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let series = format!("a{{x=\"{escaped}\"}}");
        prop_assume!(!value.contains('\r'));

        prop_assert_eq!(&labels_of(&series).expect("labels")[1].1, &value);
    }
}
