//! Whose pod it is: the workload and the service, named as Istio names them.

use wattle_contract::WorkloadName;

use super::json::MetadataJson;

/// Names the workload from the controlling owner: a Deployment for a ReplicaSet, a CronJob for its Job.
pub(super) fn workload(metadata: &MetadataJson<'_>) -> Option<WorkloadName> {
    let owners = &metadata.owner_references;
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())?;
    let name: &str = &owner.name;
    let name = match owner.kind.as_ref() {
        "ReplicaSet" => metadata
            .labels
            .get("pod-template-hash")
            .and_then(|hash| name.strip_suffix(hash.as_str())?.strip_suffix('-'))
            .or_else(|| without_suffix(name, is_template_hash))
            .unwrap_or(name),
        "Job" => without_suffix(name, is_scheduled_minute).unwrap_or(name),
        _ => name,
    };
    (!name.is_empty()).then(|| name.into())
}

/// Names the service by the first of the labels that Istio asks for the canonical service.
pub(super) fn service<'a>(metadata: &'a MetadataJson<'_>) -> Option<&'a str> {
    ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]
        .iter()
        .find_map(|label| metadata.labels.get(*label))
        .map(String::as_str)
        .filter(|name| !name.is_empty())
}

fn without_suffix(name: &str, is_suffix: fn(&str) -> bool) -> Option<&str> {
    let (base, suffix) = name.rsplit_once('-')?;
    (!base.is_empty() && is_suffix(suffix)).then_some(base)
}

/// Kubernetes writes hashes in letters and digits that spell no words (`rand.SafeEncodeString`).
fn is_template_hash(suffix: &str) -> bool {
    (1..=10).contains(&suffix.len()) && suffix.bytes().all(|b| b"bcdfghjklmnpqrstvwxz2456789".contains(&b))
}

/// A CronJob names its jobs after the scheduled time in minutes.
fn is_scheduled_minute(suffix: &str) -> bool {
    (8..=10).contains(&suffix.len()) && suffix.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_what_made_the_owner() {
        for (kind, owner, labels, workload) in [
            ("ReplicaSet", "web-server-6b9f7c4d5", "{}", Some("web-server")),
            ("ReplicaSet", "web-abc123", r#"{"pod-template-hash":"abc123"}"#, Some("web")),
            ("ReplicaSet", "web-blue", "{}", Some("web-blue")),
            ("ReplicaSet", "plain", "{}", Some("plain")),
            ("StatefulSet", "db", "{}", Some("db")),
            ("Job", "backup-28934567", "{}", Some("backup")),
            ("Job", "import", "{}", Some("import")),
            ("Node", "", "{}", None),
        ] {
            let text = format!(r#"{{"labels":{labels},"ownerReferences":[{{"kind":"{kind}","name":"{owner}"}}]}}"#);
            let metadata: MetadataJson<'_> = serde_json::from_str(&text).expect("metadata");
            assert_eq!(super::workload(&metadata), workload.map(Into::into), "{owner}");
        }
    }
}
