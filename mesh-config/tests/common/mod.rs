//! Builders for the tests.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::print_stdout,
    reason = "every test binary uses a part of them, and says what it skips"
)]

use std::path::PathBuf;

use wattle_contract::route::{Cluster, RouteTable};
use wattle_contract::{ClusterName, ProxyMode, WorkloadIdentity};
use wattle_mesh_config::{Documents, SourceText, compile};

/// Makes a sidecar's identity.
pub fn identity(namespace: &str, workload: &str, labels: &[(&str, &str)]) -> WorkloadIdentity {
    WorkloadIdentity {
        mode: ProxyMode::Sidecar,
        namespace: namespace.into(),
        workload: workload.into(),
        pod: String::new(),
        node: None,
        service_account: "default".to_owned(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        cluster: "Kubernetes".to_owned(),
        trust_domain: "cluster.local".to_owned(),
    }
}

/// Makes a gateway's identity.
pub fn gateway(namespace: &str, labels: &[(&str, &str)]) -> WorkloadIdentity {
    WorkloadIdentity { mode: ProxyMode::Gateway, ..identity(namespace, "gateway", labels) }
}

/// Gives texts the names of files, by their position.
pub fn sources(texts: &[&str]) -> Vec<SourceText> {
    let named = texts
        .iter()
        .enumerate()
        .map(|(index, text)| SourceText { name: format!("{index}.yaml"), text: (*text).to_owned() });
    named.collect()
}

/// Reads texts that have no errors.
pub fn documents(texts: &[&str]) -> Documents {
    Documents::parse(&sources(texts)).0
}

/// Compiles texts that have no errors.
pub fn table(texts: &[&str], identity: &WorkloadIdentity) -> RouteTable {
    compile(&documents(texts), identity).expect("no errors")
}

/// Gives a cluster of the table.
pub fn cluster<'a>(table: &'a RouteTable, name: &str) -> &'a Cluster {
    table
        .clusters
        .get(&ClusterName::from(name))
        .unwrap_or_else(|| panic!("no {name} among {:?}", table.clusters.keys()))
}

/// Gives a folder of the corpora; where they are absent it says so.
pub fn corpus(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WATTLE_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    let path = root.join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("corpus {} is absent: set WATTLE_CORPUS", path.display());
    None
}
