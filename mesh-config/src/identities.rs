//! Who there is: the workloads of the documents as identities of their proxies.

use std::collections::{BTreeMap, BTreeSet};

use wattle_contract::{NodeName, ProxyMode, WorkloadIdentity};

use crate::documents::Documents;
use crate::kinds::gateway::Gateway;
use crate::registry::{Workload, labels_match};

impl Documents {
    /// Gives a sidecar's identity of a workload: with the labels of its pods where the documents hold them.
    #[must_use]
    pub fn identity(&self, namespace: &str, workload: &str) -> WorkloadIdentity {
        let found = self
            .registry()
            .workloads_in(namespace)
            .find(|one| one.owner == workload || (!one.pod.is_empty() && one.pod == workload));
        found.map_or_else(|| self.bare(namespace, workload), |found| self.of_workload(found))
    }

    /// Gives an identity of every workload among the documents: pods, templates of Deployments and their like, and one
    /// gateway for every set of pods that Gateways select. One identity for each owner.
    #[must_use]
    pub fn identities(&self) -> Vec<WorkloadIdentity> {
        let selectors: Vec<&BTreeMap<String, String>> =
            self.of::<Gateway>().map(|(_, gateway)| &gateway.selector).filter(|labels| !labels.is_empty()).collect();
        let mut seen = BTreeSet::new();
        let mut identities = Vec::new();
        for workload in self.registry().workloads() {
            if !seen.insert((&workload.namespace, &workload.owner, &workload.labels)) {
                continue;
            }
            let mut identity = self.of_workload(workload);
            if selectors.iter().any(|labels| labels_match(labels, &workload.labels)) {
                identity.mode = ProxyMode::Gateway;
            }
            identities.push(identity);
        }
        identities
    }

    fn of_workload(&self, workload: &Workload) -> WorkloadIdentity {
        let account = &workload.spec.service_account_name;
        WorkloadIdentity {
            pod: workload.pod.clone(),
            node: Some(workload.spec.node_name.as_str()).filter(|node| !node.is_empty()).map(NodeName::from),
            service_account: if account.is_empty() { "default".to_owned() } else { account.clone() },
            labels: workload.labels.clone(),
            ..self.bare(&workload.namespace, &workload.owner)
        }
    }

    fn bare(&self, namespace: &str, workload: &str) -> WorkloadIdentity {
        WorkloadIdentity {
            mode: ProxyMode::Sidecar,
            namespace: namespace.into(),
            workload: workload.into(),
            pod: String::new(),
            node: None,
            service_account: "default".to_owned(),
            labels: BTreeMap::new(),
            cluster: "Kubernetes".to_owned(),
            trust_domain: self.settings().trust_domain.clone(),
        }
    }
}
