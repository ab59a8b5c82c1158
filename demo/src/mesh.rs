//! The mesh resources of the demo: fixed ones from `mesh/*.yaml`, and one file with the pods and their endpoints.
//!
//! All are written to one folder, each in one step (write, then rename), so that a reader never sees half a file. The
//! fixed ones start from the text in this crate each time; while the demo runs they can be edited.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use wattle_contract::{NodeName, PodKey};

use crate::error::Error;
use crate::exporter::pod_uid;
use crate::service::{CPU_REQUEST_MILLICORES, NAMESPACE, Workload};

/// The fixed resources: file name and text.
pub const RESOURCES: [(&str, &str); 4] = [
    ("recommendation.yaml", include_str!("../mesh/recommendation.yaml")),
    ("resilience.yaml", include_str!("../mesh/resilience.yaml")),
    ("services.yaml", include_str!("../mesh/services.yaml")),
    ("telemetry.yaml", include_str!("../mesh/telemetry.yaml")),
];

const ENDPOINTS: &str = "endpoints.yaml";

/// A running pod, as the resources tell of it.
#[derive(Clone, Debug)]
pub(crate) struct PodEntry {
    pub(crate) pod: PodKey,
    pub(crate) workload: &'static Workload,
    pub(crate) node: NodeName,
    /// Where its inbound proxy listens.
    pub(crate) inbound: SocketAddr,
}

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct MeshFolder(PathBuf);

impl MeshFolder {
    /// Names the folder inside the data folder.
    pub(crate) fn new(data: &Path) -> Self {
        Self(data.join("demo-mesh"))
    }

    /// Gives its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the path of each file.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        RESOURCES.iter().map(|(name, _)| *name).chain([ENDPOINTS]).map(|name| self.0.join(name)).collect()
    }

    /// Creates the folder and writes the fixed resources.
    pub(crate) async fn write_resources(&self) -> Result<(), Error> {
        let created = tokio::fs::create_dir_all(&self.0).await;
        created.map_err(|source| Error::WriteMesh { path: self.0.clone(), source })?;
        for (name, text) in RESOURCES {
            self.write(name, text).await?;
        }
        Ok(())
    }

    /// Writes the pods and their endpoints.
    pub(crate) async fn write_endpoints(&self, pods: impl Iterator<Item = &PodEntry>) -> Result<(), Error> {
        self.write(ENDPOINTS, &endpoints(pods)).await
    }

    async fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let (path, draft) = (self.0.join(name), self.0.join(format!(".{name}.draft")));
        let written: io::Result<()> = async {
            tokio::fs::write(&draft, text).await?;
            tokio::fs::rename(&draft, &path).await
        }
        .await;
        written.map_err(|source| Error::WriteMesh { path, source })
    }
}

/// Writes each pod and an EndpointSlice for it.
fn endpoints<'a>(pods: impl Iterator<Item = &'a PodEntry>) -> String {
    let mut text = String::from("# Written by the demo whenever a pod comes or goes; changes made here are lost.\n");
    for entry in pods {
        let _ = write!(text, "---\n{}---\n{}", pod(entry), slice(entry));
    }
    text
}

fn pod(entry: &PodEntry) -> String {
    let PodEntry { pod, workload, node, .. } = entry;
    let Workload { name: account, service, version, .. } = workload;
    format!(
        "apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: {NAMESPACE}
  uid: {uid}
  labels:
    app: {service}
    version: {version}
    pod-template-hash: \"{hash}\"
  ownerReferences:
    - apiVersion: apps/v1
      kind: ReplicaSet
      name: {account}-{hash}
      uid: {uid}
      controller: true
spec:
  nodeName: {node}
  serviceAccountName: {service}
  containers:
    - name: {account}
      image: wattle/demo
      ports:
        - name: http
          containerPort: {port}
      resources:
        requests:
          cpu: {CPU_REQUEST_MILLICORES}m
status:
  phase: Running
  podIP: {ip}
",
        name = pod.name,
        uid = pod_uid(pod),
        hash = template_hash(pod),
        port = workload.service().port,
        ip = entry.inbound.ip(),
    )
}

fn slice(entry: &PodEntry) -> String {
    let PodEntry { pod, workload, node, inbound } = entry;
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}
  namespace: {NAMESPACE}
  labels:
    kubernetes.io/service-name: {service}
addressType: IPv4
ports:
  - name: http
    port: {port}
    protocol: TCP
endpoints:
  - addresses:
      - {ip}
    conditions:
      ready: true
    nodeName: {node}
    targetRef:
      kind: Pod
      name: {name}
      namespace: {NAMESPACE}
      uid: {uid}
",
        name = pod.name,
        service = workload.service,
        port = inbound.port(),
        ip = inbound.ip(),
        uid = pod_uid(pod),
    )
}

/// Gives the part of a pod's name that its ReplicaSet gave it.
pub(crate) fn template_hash(pod: &PodKey) -> &str {
    pod.name.rsplit('-').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::service::{SERVICES, WORKLOADS};

    fn documents(text: &str) -> Vec<Value> {
        let documents = text.split("---\n").filter(|part| part.lines().any(|line| !line.starts_with('#')));
        documents.map(|part| serde_saphyr::from_str(part).expect("a YAML document")).collect()
    }

    #[test]
    fn every_service_is_described_with_its_port() {
        let text = RESOURCES.iter().find(|(name, _)| *name == "services.yaml").expect("the services").1;

        let described: Vec<_> = documents(text)
            .iter()
            .map(|service| (service["metadata"]["name"].clone(), service["spec"]["ports"][0]["port"].clone()))
            .collect();

        let expected: Vec<_> =
            SERVICES.iter().map(|service| (Value::from(service.name), Value::from(service.port))).collect();
        assert_eq!(described, expected);
    }

    #[test]
    fn canary_weights_sum_to_a_hundred() {
        let text = RESOURCES.iter().find(|(name, _)| *name == "recommendation.yaml").expect("the canary").1;
        let routes = documents(text)[0]["spec"]["http"][0]["route"].clone();
        let weights: Vec<_> = routes.as_array().expect("routes").iter().map(|route| route["weight"].as_u64()).collect();
        assert_eq!(weights, [Some(90), Some(10)]);
    }

    #[tokio::test]
    async fn a_pod_and_its_endpoint_name_the_same_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let mesh = MeshFolder::new(folder.path());
        let entry = PodEntry {
            pod: PodKey::new(NAMESPACE, "recommendation-v2-7d90-3"),
            workload: &WORKLOADS[6],
            node: NodeName::from("node-b"),
            inbound: "127.0.0.1:4711".parse().expect("an address"),
        };

        mesh.write_resources().await.expect("written");
        mesh.write_endpoints([&entry].into_iter()).await.expect("written");

        assert!(mesh.files().iter().all(|file| file.exists()));
        assert_eq!(std::fs::read_dir(mesh.path()).expect("the folder").count(), mesh.files().len(), "no drafts left");
        let text = std::fs::read_to_string(mesh.path().join(ENDPOINTS)).expect("the endpoints");
        let [pod, slice]: [Value; 2] = documents(&text).try_into().expect("a pod and its slice");
        assert_eq!(pod["metadata"]["labels"]["version"], "v2");
        assert_eq!(pod["metadata"]["labels"]["pod-template-hash"], "7d90");
        assert_eq!(pod["metadata"]["ownerReferences"][0]["name"], "recommendation-v2-7d90");
        assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "recommendation");
        assert_eq!(slice["ports"][0]["port"], 4711);
        assert_eq!(slice["endpoints"][0]["nodeName"], pod["spec"]["nodeName"]);
        assert_eq!(slice["endpoints"][0]["targetRef"]["uid"], pod["metadata"]["uid"]);
    }
}
