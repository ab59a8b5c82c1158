//! Istio's own validation corpus, the samples, and what the Gateway API's schema refuses.

mod common;

use std::path::{Path, PathBuf};

use common::corpus;
use wattle_mesh_config::{Documents, Finding, Severity, SourceText};

/// Reads every YAML file below a folder.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") {
                let text = std::fs::read_to_string(&path).expect("text");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn errors(text: &str) -> Vec<Finding> {
    let (_, findings) = Documents::parse(&[SourceText { name: "a.yaml".to_owned(), text: text.to_owned() }]);
    findings.into_iter().filter(|finding| finding.severity == Severity::Error).collect()
}

/// Says where and what, as the API server does.
fn told(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{}: {}\n", finding.path, finding.message)).collect()
}

#[test]
fn every_invalid_document_is_refused_for_its_reason_and_every_valid_one_is_taken() {
    let Some(folder) = corpus("istio/validation") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, Vec::new());
    for (path, text) in files(&folder) {
        let invalid = path.to_string_lossy().contains("-invalid");
        for document in text.split("\n---").filter(|document| document.contains("\nkind:")) {
            let is_reason = |line: &&str| line.starts_with("_err:");
            let reason =
                document.lines().find(is_reason).map(|line| line["_err:".len()..].trim().trim_matches(['"', '\'']));
            let rest: Vec<&str> = document.lines().filter(|line| !is_reason(line)).collect();
            let findings = errors(&rest.join("\n"));
            let expected = reason.map(|reason| reason.replace("''", "'"));
            let fits = match &expected {
                Some(reason) => told(&findings).contains(reason.as_str()),
                None => findings.is_empty() != invalid,
            };
            all += 1;
            right += u32::from(fits);
            if !fits {
                wrong.push(format!("{}: wanted {expected:?}, told {}", path.display(), told(&findings)));
            }
        }
    }
    println!("validation: {right}/{all}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sample_is_parsed() {
    let Some(folder) = corpus("istio/samples") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, String::new());
    for (path, text) in files(&folder) {
        let findings = errors(&text);
        all += 1;
        right += u32::from(findings.is_empty());
        if !findings.is_empty() {
            wrong += &format!("{}: {}", path.display(), told(&findings));
        }
    }
    println!("samples: {right}/{all} files parsed");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_the_gateway_api_refuses_is_refused() {
    let Some(folder) = corpus("istio/gateway-api-invalid") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, Vec::new());
    for (path, text) in files(&folder) {
        all += 1;
        if errors(&text).is_empty() { wrong.push(path.display().to_string()) } else { right += 1 }
    }
    println!("gateway-api-invalid: {right}/{all} refused");
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_conformance_manifests_are_taken() {
    let Some(folder) = corpus("istio/gateway-api-conformance") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, String::new());
    for (path, text) in files(&folder) {
        let findings = errors(&text);
        all += 1;
        right += u32::from(findings.is_empty());
        if !findings.is_empty() {
            wrong += &format!("{}: {}", path.display(), told(&findings));
        }
    }
    println!("gateway-api-conformance: {right}/{all} files taken");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_policies_of_the_authorization_corpus_are_taken() {
    let Some(folder) = corpus("istio/authz") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, String::new());
    for (path, text) in files(&folder) {
        let findings = errors(&text);
        all += 1;
        right += u32::from(findings.is_empty());
        if !findings.is_empty() {
            wrong += &format!("{}: {}", path.display(), told(&findings));
        }
    }
    println!("authz: {right}/{all} files taken");
    println!("{wrong}");
}
