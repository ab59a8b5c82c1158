//! Input that is broken or meant to do harm: a clear error, in bounded time and memory.

mod common;

use std::fmt::Write;

use common::identity;
use wattle_mesh_config::{Documents, Finding, Severity, SourceText, analyse, compile};

fn read(text: &str) -> (Documents, Vec<Finding>) {
    Documents::parse(&[SourceText { name: "a.yaml".to_owned(), text: text.to_owned() }])
}

fn only(findings: &[Finding]) -> &Finding {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    &findings[0]
}

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: n}\nspec: {ports: [{name: http, port: 80}]}\n";

#[test]
fn aliases_that_multiply_are_refused_before_they_do() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        let _ = writeln!(bomb, "a{level}: &a{level} [{}]", [before.as_str(); 10].join(", "));
    }

    let (_, findings) = read(&bomb);

    assert!(
        only(&findings).message.contains("more than 100000 nodes")
            || only(&findings).message.contains("larger than 100000 nodes")
    );
}

#[test]
fn an_alias_inside_itself_is_refused() {
    let (_, findings) = read("a: &a [*a]\n");

    assert_eq!(only(&findings).rule, "syntax");
}

#[test]
fn a_file_of_a_hundred_megabytes_is_not_read() {
    let text = "# padding\n".repeat(10 << 20);

    let (documents, findings) = read(&text);

    assert!(documents.is_empty());
    assert!(only(&findings).message.contains("100 MiB"), "{}", only(&findings).message);
}

#[test]
fn nesting_is_bounded() {
    let (_, findings) = read(&("a: ".to_owned() + &"[".repeat(100_000)));

    assert_eq!(only(&findings).rule, "syntax");
}

#[test]
fn a_key_that_stands_twice_is_an_error_with_both_places() {
    let (_, findings) = read("apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  name: b\n");

    let finding = only(&findings);
    assert_eq!((finding.line, finding.column), (5, 3));
    assert!(finding.message.contains("first in line 4"));
}

#[test]
fn tabs_are_told_by_name() {
    let (_, findings) = read("apiVersion: v1\nkind: Service\nmetadata:\n\tname: a\n");

    let finding = only(&findings);
    assert_eq!(finding.rule, "syntax");
    assert!(finding.line >= 3, "{finding:?}");
    assert!(finding.remedy.contains("tabs"), "{finding:?}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_taken() {
    let (documents, findings) = read(&format!("\u{feff}{}", SERVICE.replace('\n', "\r\n")));

    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(documents.len(), 1);
}

#[test]
fn json_is_taken_and_lists_are_opened() {
    let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}]}"#;

    let (documents, findings) = read(text);

    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(documents.len(), 1);
}

#[test]
fn one_broken_document_leaves_the_others_but_nothing_is_compiled() {
    let text = format!("{SERVICE}---\nkind: [unclosed\n---\n{}", SERVICE.replace("name: a,", "name: b,"));

    let (documents, findings) = read(&text);

    assert_eq!(documents.len(), 2);
    let broken = only(&findings);
    assert_eq!(broken.severity, Severity::Error);
    assert!((6..=8).contains(&broken.line), "{broken:?}");
    assert!(compile(&documents, &identity("n", "w", &[])).is_err());
    assert!(analyse(&documents).contains(broken));
}

#[test]
fn delegates_in_a_circle_end() {
    let rule = |name: &str, other: &str, hosts: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}, namespace: n}}\nspec:\n  {hosts}\n  http: [{{delegate: {{name: {other}}}}}]\n"
        )
    };
    let (documents, findings) =
        read(&(rule("a", "b", "hosts: [x]") + &rule("b", "c", "hosts: []") + &rule("c", "b", "hosts: []")));

    assert!(findings.iter().any(|finding| finding.message.contains("delegate")), "{findings:?}");
    assert!(compile(&documents, &identity("n", "w", &[])).is_err());
    assert!(!analyse(&documents).is_empty());
}

#[test]
fn expressions_that_explode_are_refused() {
    for regex in ["((a{1000}){1000}){1000}", "(?=a)b", r"(a)\1", "(", &"a".repeat(2000)] {
        let text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [x]\n  http:\n  - match: [{{uri: {{regex: '{regex}'}}}}]\n    route: [{{destination: {{host: x}}}}]\n"
        );
        let (_, findings) = read(&text);

        let finding = findings
            .iter()
            .find(|finding| finding.severity == Severity::Error)
            .unwrap_or_else(|| panic!("{regex} is taken"));
        assert_eq!(finding.path, "spec.http[0].match[0].uri.regex");
    }
}

#[test]
fn what_is_no_resource_is_told() {
    for (text, wanted) in [
        ("just text\n", "wanted an object"),
        ("[1, 2]\n", "wanted an object"),
        ("kind: VirtualService\n", "Required value"),
        ("apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: a}\n", "has no kind"),
        (
            "apiVersion: networking.istio.io/v2\nkind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], tcp: [{route: [{destination: {host: a}}]}]}\n",
            "no version",
        ),
    ] {
        let (_, findings) = read(text);

        assert!(findings.iter().any(|finding| finding.message.contains(wanted)), "{text}: {findings:?}");
    }
}
