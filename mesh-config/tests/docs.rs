//! The examples of `docs/check.md` are what the code says.
//!
//! After a change of wording, `WATTLE_UPDATE_DOCS=1` writes them anew.

mod common;

use wattle_mesh_config::{Documents, RequestDescription, SourceText, analyse, diff, explain, report};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/check.md");

fn read(text: &str) -> Documents {
    Documents::parse(&[SourceText { name: "shop.yaml".to_owned(), text: text.to_owned() }]).0
}

#[test]
fn the_examples_are_what_the_code_says() {
    let page = std::fs::read_to_string(PATH).expect("docs/check.md is part of the repository");
    let yaml = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let documents = read(yaml);
    let request = RequestDescription::parse("GET http://reviews:9080/x", &[("end-user".to_owned(), "tom".to_owned())]);
    let changes = diff(&documents, &read(&yaml.replace("timeout: 5s", "timeout: 8s")));
    let wanted = [
        report::text(&analyse(&documents)),
        report::text(&read(&yaml.replace("timeout:", "timeot:")).findings()),
        explain(&documents, &request.expect("a request"), None).to_string(),
        changes.iter().map(|change| format!("{change}\n")).collect(),
    ];

    let parts: Vec<&str> = page.split("```text\n").collect();
    let mut written = parts[0].to_owned();
    for (part, example) in parts[1..].iter().zip(&wanted) {
        let (_, after) = part.split_once("```").expect("closed");
        written += &format!("```text\n{example}```{after}");
    }
    if std::env::var_os("WATTLE_UPDATE_DOCS").is_some() {
        std::fs::write(PATH, &written).expect("writable");
    }
    let kept = std::fs::read_to_string(PATH).expect("readable");

    assert_eq!(parts.len(), wanted.len() + 1);
    assert!(kept == written, "docs/check.md is out of date: run with WATTLE_UPDATE_DOCS=1");
}
