//! Every field of Istio's schemas is known, and the support table says what each does.

mod common;

use common::corpus;
use serde_json::Value;
use wattle_mesh_config::support;

#[test]
fn every_field_of_every_istio_schema_is_applied_or_named_as_not_applied() {
    let Some(path) = corpus("istio/crd-fields.json") else { return };
    let text = std::fs::read_to_string(path).expect("readable");
    let schemas: Value = serde_json::from_str(&text).expect("JSON");
    let known = support::fields();
    let (mut applied, mut named, mut missing) = (0, 0, Vec::new());
    for (kind, schema) in schemas.as_object().expect("kinds") {
        let group = schema["group"].as_str().expect("group");
        for path in schema["fields"].as_object().expect("fields").keys() {
            let of_kind = |field: &&support::FieldSupport| field.kind == kind && field.group == group;
            let below = |top: &str| {
                path.strip_prefix(top).is_some_and(|rest| top.is_empty() || rest.starts_with(['.', '[', '{']))
            };
            let found =
                known.iter().filter(of_kind).find(|field| field.path == *path || (field.opaque && below(&field.path)));
            match found {
                Some(field) if field.applied => applied += 1,
                Some(field) => {
                    assert!(!field.note.is_empty(), "{kind} {path} is not applied and does not say why");
                    named += 1;
                }
                None => missing.push(format!("{kind} {path}")),
            }
        }
    }
    println!(
        "crd-fields: {applied} applied, {named} named as not applied, {} unknown of {}",
        missing.len(),
        applied + named + missing.len()
    );
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn the_support_table_is_what_the_code_generates() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/istio-support.md");
    let generated = support::markdown();

    if std::env::var_os("WATTLE_UPDATE_DOCS").is_some() {
        std::fs::write(path, &generated).expect("writable");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();

    assert!(kept == generated, "docs/istio-support.md is out of date: run with WATTLE_UPDATE_DOCS=1");
}
