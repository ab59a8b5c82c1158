//! The table of one workload: compiled whenever the resources change, weighted whenever the steering does.

use std::sync::Arc;

use tokio::sync::watch;
use wattle_contract::{RouteTable, WorkloadIdentity};
use wattle_mesh_config::Documents;
use wattle_scheduler::steer::{Steering, steered};

use super::{Mesh, line, refuse};

type Weights = Option<watch::Receiver<Arc<Steering>>>;

impl Mesh {
    /// Gives the table of one workload, made anew whenever the resources or the weights of endpoints change.
    ///
    /// # Errors
    /// The resources cannot be compiled for it.
    pub(crate) fn table(&self, identity: WorkloadIdentity) -> anyhow::Result<watch::Receiver<Arc<RouteTable>>> {
        let (mut documents, mut weights) = (self.documents.clone(), self.steering.clone());
        let first = documents.borrow_and_update().clone();
        let mut compiled = match wattle_mesh_config::compile(&first, &identity) {
            Ok(table) => Arc::new(table),
            Err(findings) => return Err(refuse(&findings).err().unwrap_or_else(|| anyhow::anyhow!("not compiled"))),
        };
        let (sender, receiver) = watch::channel(weighted(&compiled, &mut weights));
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = sender.closed() => return,
                    changed = documents.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        let current = documents.borrow_and_update().clone();
                        match recompiled(&current, &identity) {
                            Some(table) => compiled = table,
                            None => continue,
                        }
                    }
                    () = changed(&mut weights) => {}
                }
                let table = weighted(&compiled, &mut weights);
                sender.send_if_modified(|current| {
                    let is_new = current.version != table.version;
                    if is_new {
                        *current = table;
                    }
                    is_new
                });
            }
        });
        Ok(receiver)
    }
}

/// Waits for other weights; for ever where there will be none.
async fn changed(weights: &mut Weights) {
    if let Some(receiver) = weights
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

fn weighted(compiled: &Arc<RouteTable>, weights: &mut Weights) -> Arc<RouteTable> {
    match weights {
        Some(receiver) => steered(compiled, &receiver.borrow_and_update()),
        None => Arc::clone(compiled),
    }
}

fn recompiled(documents: &Documents, identity: &WorkloadIdentity) -> Option<Arc<RouteTable>> {
    match wattle_mesh_config::compile(documents, identity) {
        Ok(table) => Some(Arc::new(table)),
        Err(findings) => {
            let first = findings.first().map(line).unwrap_or_default();
            tracing::error!(
                workload = %identity.workload,
                problems = findings.len(),
                first,
                "mesh resources are not taken; the last good ones stay"
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;
    use wattle_contract::{NodeName, ProxyMode, ServiceName};

    use super::*;

    const RESOURCES: &str = "\
apiVersion: v1
kind: Service
metadata: {name: search, namespace: hotel}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: search-1, namespace: hotel, labels: {kubernetes.io/service-name: search}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.0.0.1], nodeName: old}
- {addresses: [10.0.0.2], nodeName: new}
- {addresses: [10.0.0.3], nodeName: unheard}
";

    fn identity() -> WorkloadIdentity {
        WorkloadIdentity {
            mode: ProxyMode::Sidecar,
            namespace: "hotel".into(),
            workload: "frontend".into(),
            pod: String::new(),
            node: None,
            service_account: "default".to_owned(),
            labels: [].into(),
            cluster: "Kubernetes".to_owned(),
            trust_domain: "cluster.local".to_owned(),
        }
    }

    fn weights(version: u64, old: u32, new: u32) -> Arc<Steering> {
        let nodes = [(NodeName::from("old"), old), (NodeName::from("new"), new)].into();
        Arc::new(Steering { version, services: [(ServiceName::from("search.hotel.svc.cluster.local"), nodes)].into() })
    }

    fn of(table: &RouteTable) -> Vec<u32> {
        let clusters = table.clusters.values().filter(|cluster| cluster.service.as_str().starts_with("search"));
        clusters.flat_map(|cluster| &cluster.endpoints).map(|endpoint| endpoint.weight).collect()
    }

    #[tokio::test]
    async fn weights_of_nodes_reach_the_table_as_they_change_and_leave_it_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mesh.yaml"), RESOURCES).unwrap();
        let (sender, steering) = watch::channel(Arc::<Steering>::default());
        let shutdown = CancellationToken::new();
        let mesh = Mesh::watch(vec![folder.path().to_owned()], Some(steering), shutdown.clone()).await.unwrap();
        let mut table = mesh.table(identity()).unwrap();
        let plain = table.borrow_and_update().version.clone();
        assert_eq!(of(&table.borrow()), [1, 1, 1]);

        sender.send(weights(1, 25, 100)).unwrap();
        table.changed().await.unwrap();
        assert_eq!(of(&table.borrow_and_update()), [25, 100, 100], "law 10: nobody is left without weight");

        sender.send(weights(2, 80, 100)).unwrap();
        table.changed().await.unwrap();
        assert_eq!(of(&table.borrow_and_update()), [80, 100, 100]);

        // The source is gone: the resources alone hold.
        sender.send(Arc::new(weights(2, 80, 100).withdrawn())).unwrap();
        table.changed().await.unwrap();
        let last = table.borrow_and_update();
        assert_eq!((of(&last), &last.version), (vec![1, 1, 1], &plain));
        drop(last);
        shutdown.cancel();
    }
}
