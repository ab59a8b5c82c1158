//! The examples of `docs/check.md` are what the code says.
//!
//! After a change of wording, `WATTLE_UPDATE_DOCS=1` writes them anew.

mod common;

use wattle_mesh_config::{Documents, RequestDescription, SourceText, analyse, diff, explain, report};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/check.md");

fn read(texts: &[(&str, &str)]) -> Documents {
    let sources = texts.iter().map(|(name, text)| SourceText { name: (*name).to_owned(), text: (*text).to_owned() });
    Documents::parse(&sources.collect::<Vec<_>>()).0
}

/// Puts texts into the blocks of a language that are not input.
fn fill(page: &str, language: &str, texts: &[String]) -> String {
    let fence = format!("```{language}\n");
    let parts: Vec<&str> = page.split(&fence).collect();
    assert_eq!(parts.len(), texts.len() + 1, "{language}");
    let mut written = parts[0].to_owned();
    for (part, text) in parts[1..].iter().zip(texts) {
        let (_, after) = part.split_once("```").expect("closed");
        written += &format!("{fence}{text}```{after}");
    }
    written
}

#[test]
fn the_examples_are_what_the_code_says() {
    let page = std::fs::read_to_string(PATH).expect("docs/check.md is part of the repository");
    let mut inputs = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (shop, limits) = (inputs.next().expect("shop.yaml"), inputs.next().expect("limits.yaml"));
    let documents = read(&[("shop.yaml", shop)]);
    let limited = read(&[("shop.yaml", shop), ("limits.yaml", limits)]);
    let request = |headers: &[(String, String)]| {
        RequestDescription::parse("GET http://reviews:9080/x", headers).expect("a request")
    };
    let tom = request(&[("end-user".to_owned(), "tom".to_owned())]);
    let changes = diff(&documents, &read(&[("shop.yaml", &shop.replace("timeout: 5s", "timeout: 8s"))]));
    let findings = analyse(&documents);
    let told = [
        report::text(&findings),
        report::text(&read(&[("shop.yaml", &shop.replace("timeout:", "timeot:"))]).findings()),
        explain(&documents, &tom, None).to_string(),
        changes.iter().map(|change| format!("{change}\n")).collect(),
        explain(&limited, &request(&[]), None).to_string(),
    ];
    let first = serde_json::to_string_pretty(&report::json(&findings[..1])).expect("plain data") + "\n";

    let written = fill(&fill(&page, "text", &told), "json", &[first]);
    if std::env::var_os("WATTLE_UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &written).expect("writable");
    }
    let kept = std::fs::read_to_string(PATH).expect("readable");

    assert!(kept == written, "docs/check.md is out of date: run with WATTLE_UPDATE_DOCS=1");
    assert!(limited.findings().is_empty(), "{:?}", limited.findings());
}
