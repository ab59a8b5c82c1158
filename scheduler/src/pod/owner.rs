//! Whose pod it is: the workload and the service, named as Istio names them.

use wattle_contract::WorkloadName;

use super::json::MetadataJson;

/// Names the workload from the controlling owner: a Deployment for a ReplicaSet, a CronJob for its Job.
pub(super) fn workload(metadata: &MetadataJson<'_>) -> Option<WorkloadName> {
    let owners = &metadata.owner_references;
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or_else(|| owners.first())?;
    WorkloadName::of_owner(&owner.kind, &owner.name, metadata.labels.get("pod-template-hash").map(String::as_str))
}

/// Names the service by the first of the labels that Istio asks for the canonical service.
pub(super) fn service<'a>(metadata: &'a MetadataJson<'_>) -> Option<&'a str> {
    ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]
        .iter()
        .find_map(|label| metadata.labels.get(*label))
        .map(String::as_str)
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_what_made_the_controlling_owner() {
        for (metadata, workload) in [
            (r#"{"ownerReferences":[{"kind":"ReplicaSet","name":"web-server-6b9f7c4d5"}]}"#, Some("web-server")),
            (
                r#"{"labels":{"pod-template-hash":"abc123"},
                    "ownerReferences":[{"kind":"Node","name":"n"},{"kind":"ReplicaSet","name":"web-abc123","controller":true}]}"#,
                Some("web"),
            ),
            (r#"{"ownerReferences":[]}"#, None),
        ] {
            let metadata: MetadataJson<'_> = serde_json::from_str(metadata).expect("metadata");
            assert_eq!(super::workload(&metadata), workload.map(Into::into));
        }
    }
}
