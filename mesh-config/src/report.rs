//! Findings as text for people, as JSON, and as SARIF for code review tools.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::finding::{Finding, Severity};

/// Writes findings for people: place and message in one line, effect and remedy below, counts at the end.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}:{}:{}: {} [{} {}]: {}",
            finding.file,
            finding.line,
            finding.column,
            finding.severity.as_str(),
            finding.code,
            finding.rule,
            finding.message
        );
        let place = [finding.object.as_str(), finding.path.as_str()].into_iter().filter(|part| !part.is_empty());
        let lines = [
            ("at", place.collect::<Vec<_>>().join(" ")),
            ("effect", finding.effect.clone()),
            ("remedy", finding.remedy.clone()),
        ];
        for (name, line) in lines.iter().filter(|(_, line)| !line.is_empty()) {
            let _ = writeln!(text, "    {name:<7} {line}");
        }
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let _ = writeln!(
        text,
        "{} errors, {} warnings, {} notes",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Info)
    );
    text
}

/// Gives findings as a JSON list.
#[must_use]
pub fn json(findings: &[Finding]) -> Value {
    json!(findings)
}

/// Gives findings as a SARIF 2.1.0 log.
#[must_use]
pub fn sarif(findings: &[Finding]) -> Value {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    for finding in findings {
        let id = id(finding);
        rules.entry(id.clone()).or_insert_with(|| json!({ "id": id, "name": finding.rule }));
    }
    let results: Vec<Value> = findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "wattle check", "rules": rules.into_values().collect::<Vec<_>>() } },
            "results": results,
        }],
    })
}

fn id(finding: &Finding) -> String {
    format!("{}/{}", finding.code, finding.rule)
}

fn result(finding: &Finding) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    };
    let parts = [&finding.message, &finding.effect, &finding.remedy];
    let message: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    json!({
        "ruleId": id(finding),
        "level": level,
        "message": { "text": message.join(". ") },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": finding.file },
                "region": { "startLine": finding.line.max(1), "startColumn": finding.column.max(1) },
            },
            "logicalLocations": [{ "fullyQualifiedName": format!("{} {}", finding.object, finding.path) }],
        }],
    })
}
