//! Istio's own translation of the Gateway API, and the status it writes back.
//!
//! Left out: InferencePools and the routes to them, which are no kind of the Gateway API itself; the annotations by which
//! istiod finds its way; the wording of messages.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::corpus;
use serde_json::Value;
use wattle_mesh_config::{Documents, MeshSettings, SourceText, gateway_api, yaml_to_json};

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("readable")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    found.sort();
    found
}

fn objects(text: &str) -> Vec<Value> {
    text.split("\n---")
        .map(|part| part.trim_start_matches("---"))
        .map(|part| yaml_to_json(part).expect("YAML"))
        .filter(|object| !object.is_null())
        .collect()
}

/// Finds the backends that are named anywhere below.
fn backends(value: &Value, namespace: &str, found: &mut BTreeSet<(String, String, u64)>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| backends(item, namespace, found)),
        Value::Object(fields) => {
            let is_service = fields.get("kind").is_none_or(|kind| kind == "Service");
            if let (Some(name), true) = (fields.get("name").and_then(Value::as_str), is_service) {
                let port = fields.get("port").and_then(Value::as_u64).unwrap_or(80);
                let namespace = fields.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
                found.insert((namespace.to_owned(), name.to_owned(), port));
            }
            fields.values().for_each(|value| backends(value, namespace, found));
        }
        _ => {}
    }
}

/// What Istio's test has around the input: services for every backend, namespaces, certificates.
fn surroundings(objects: &[Value]) -> String {
    let mut found = BTreeSet::new();
    for object in objects.iter().filter(|object| object["kind"].as_str().is_some_and(|kind| kind.ends_with("Route"))) {
        backends(&object["spec"]["rules"], object["metadata"]["namespace"].as_str().unwrap_or("default"), &mut found);
    }
    let mut text = String::new();
    let services: BTreeSet<(&String, &String)> = found.iter().map(|(namespace, name, _)| (namespace, name)).collect();
    for (namespace, name) in services {
        let ports: Vec<String> = found
            .iter()
            .filter(|(other, service, _)| other == namespace && service == name)
            .map(|(.., port)| format!("{{name: http-{port}, port: {port}}}"))
            .collect();
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{ports: [{}]}}",
            ports.join(", ")
        );
    }
    for namespace in ["allowed-1", "allowed-2"] {
        let _ = writeln!(
            text,
            "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{istio.io/test-name-part: allowed}}}}"
        );
    }
    for secret in ["my-cert-http", "my-cert-http2"] {
        let _ =
            writeln!(text, "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {secret}, namespace: istio-system}}");
    }
    text
}

fn read(path: &Path) -> Documents {
    let text = std::fs::read_to_string(path).expect("readable");
    let around = SourceText { name: "around.yaml".to_owned(), text: surroundings(&objects(&text)) };
    let settings = MeshSettings { domain: "domain.suffix".to_owned(), ..MeshSettings::default() };
    Documents::parse_with(settings, &[SourceText { name: "input.yaml".to_owned(), text }, around]).0
}

/// Makes whole and broken numbers alike, and forgets annotations.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => serde_json::json!(number.as_f64()),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "annotations")
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect(),
        other => other.clone(),
    }
}

fn is_left_out(object: &Value) -> bool {
    object["kind"] == "InferencePool"
        || object.to_string().contains("infpool")
        || object.to_string().contains("inferencepool")
}

fn named(mut objects: Vec<Value>) -> Vec<Value> {
    objects.retain(|object| !is_left_out(object));
    objects.sort_by_key(|object| {
        format!("{} {} {}", object["kind"], object["metadata"]["namespace"], object["metadata"]["name"])
    });
    objects
}

#[test]
fn routes_are_translated_as_istio_translates_them() {
    let Some(folder) = corpus("istio/gateway-api-to-istio") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, String::new());
    for path in inputs(&folder) {
        let golden = std::fs::read_to_string(path.with_extension("yaml.golden")).expect("readable");
        let wanted = named(objects(&golden).iter().map(plain).collect());
        let got = named(gateway_api::translate(&read(&path)).iter().map(plain).collect());
        all += 1;
        if got == wanted {
            right += 1;
            continue;
        }
        let differing = wanted.iter().zip(&got).find(|(wanted, got)| wanted != got);
        let _ = writeln!(
            wrong,
            "{}: {} objects, {} wanted; first that differs: {differing:#?}",
            path.display(),
            got.len(),
            wanted.len()
        );
    }
    println!("gateway-api routes: {right}/{all} files alike");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Reduces a status to what a conformance test asks of it.
fn essence(status: &Value) -> Value {
    match status {
        Value::Array(items) => items.iter().map(essence).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| {
                !matches!(name.as_str(), "lastTransitionTime" | "message" | "observedGeneration" | "addresses")
            });
            kept.map(|(name, value)| (name.clone(), essence(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn the_status_is_what_istio_writes_back() {
    let Some(folder) = corpus("istio/gateway-api-to-istio") else { return };
    let (mut right, mut all, mut wrong) = (0, 0, String::new());
    for path in inputs(&folder) {
        let golden =
            path.with_file_name(format!("{}.status.yaml.golden", path.file_stem().expect("named").to_string_lossy()));
        let golden = objects(&std::fs::read_to_string(golden).expect("readable"));
        let statuses = gateway_api::statuses(&read(&path));
        for wanted in named(golden) {
            all += 1;
            let same = |object: &&Value| {
                object["kind"] == wanted["kind"]
                    && object["metadata"]["name"] == wanted["metadata"]["name"]
                    && object["metadata"]["namespace"].as_str().unwrap_or("")
                        == wanted["metadata"]["namespace"].as_str().unwrap_or("")
            };
            let got = statuses.iter().find(same).map(|object| sorted(&essence(&object["status"]))).unwrap_or_default();
            let wanted_status = sorted(&essence(&wanted["status"]));
            if got == wanted_status {
                right += 1;
            } else {
                let _ = writeln!(
                    wrong,
                    "{}: {}\n wanted {wanted_status}\n got    {got}",
                    path.display(),
                    wanted["metadata"]
                );
            }
        }
    }
    println!("gateway-api status: {right}/{all} objects alike");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Orders conditions by type and parents by name: the API says that their order means nothing.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(|item| {
                item.get("type").or_else(|| item.get("parentRef")).map(Value::to_string).unwrap_or_default()
            });
            Value::Array(items)
        }
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect(),
        other => plain(other),
    }
}
