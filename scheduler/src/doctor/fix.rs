//! The configuration with the findings mended. Comments are not kept; everything that is not looked at is.

use serde_json::{Map, Value, json};

use super::Facts;

/// What an entry for this extender looks like where there is none.
fn entry() -> Value {
    json!({ "urlPrefix": "http://127.0.0.1:8888/scheduler" })
}

pub(super) fn mended(mut configuration: Value, ours: Option<usize>, facts: &Facts) -> Option<String> {
    let top = configuration.as_object_mut()?;
    top.insert("apiVersion".to_owned(), json!("kubescheduler.config.k8s.io/v1"));
    let extenders = top.entry("extenders").or_insert_with(|| json!([]));
    if extenders.is_null() {
        *extenders = json!([]);
    }
    let extenders = extenders.as_array_mut()?;
    let at = ours.unwrap_or_else(|| {
        extenders.push(entry());
        extenders.len() - 1
    });
    mend(extenders.get_mut(at)?.as_object_mut()?, facts);
    serde_saphyr::to_string(&configuration).ok()
}

fn mend(entry: &mut Map<String, Value>, facts: &Facts) {
    entry.insert("prioritizeVerb".to_owned(), json!("prioritize"));
    if facts.refuses_nodes {
        entry.insert("filterVerb".to_owned(), json!("filter"));
    } else if entry.get("filterVerb").is_some_and(|verb| verb != "filter") {
        entry.remove("filterVerb");
    }
    entry.remove("bindVerb");
    entry.insert("nodeCacheCapable".to_owned(), json!(true));
    entry.insert("ignorable".to_owned(), json!(true));
    if entry.get("weight").and_then(Value::as_i64).is_none_or(|weight| weight <= 0) {
        entry.insert("weight".to_owned(), json!(1));
    }
    let timeout = facts.deadline.as_millis().saturating_mul(4).max(1000);
    let is_short = super::examined_timeout(entry.get("httpTimeout")).is_none_or(|given| given < facts.deadline * 2);
    if is_short && entry.contains_key("httpTimeout") {
        entry.insert("httpTimeout".to_owned(), json!(format!("{timeout}ms")));
    }
    if let Some(tls) = entry.get_mut("tlsConfig").and_then(Value::as_object_mut)
        && (tls.contains_key("caFile") || tls.contains_key("caData"))
    {
        tls.remove("insecure");
    }
    for resource in entry.get_mut("managedResources").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(resource) = resource.as_object_mut() {
            resource.insert("ignoredByScheduler".to_owned(), json!(true));
        }
    }
}
