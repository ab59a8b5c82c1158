//! Who stands at either end of a request, as Istio's labels name them.
//!
//! The proxy of the client says who it is in a header of the request, which the proxy of the server takes out before the
//! application sees it. Without mesh TLS nobody vouches for that header: it labels metrics and decides nothing. The
//! other direction needs no header, since the client's proxy knows whose endpoint it picked.

use std::sync::Arc;

use wattle_contract::route::Cluster;
use wattle_contract::{Endpoint, WorkloadIdentity};

use crate::head::visible;

/// What stands for everything nobody told.
const UNKNOWN: &str = "unknown";
/// Kubernetes bounds names at 253 bytes.
const LONGEST: usize = 253;

/// One end of a request. What is not known is `unknown`, as in Istio.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Party {
    pub(crate) workload: String,
    pub(crate) namespace: String,
    pub(crate) canonical_service: String,
    pub(crate) canonical_revision: String,
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) cluster: String,
}

/// The service a request is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ServiceLabels {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Party {
    pub(crate) fn unknown() -> Arc<Self> {
        let unknown = || UNKNOWN.to_owned();
        Arc::new(Self {
            workload: unknown(),
            namespace: unknown(),
            canonical_service: unknown(),
            canonical_revision: unknown(),
            app: unknown(),
            version: unknown(),
            cluster: unknown(),
        })
    }

    pub(crate) fn of_workload(identity: &WorkloadIdentity) -> Self {
        let label = |name: &str| or_unknown(identity.labels.get(name).map_or("", String::as_str));
        Self {
            workload: or_unknown(identity.workload.as_str()),
            namespace: or_unknown(identity.namespace.as_str()),
            canonical_service: or_unknown(identity.canonical_service()),
            canonical_revision: or_unknown(identity.canonical_revision()),
            app: label("app"),
            version: label("version"),
            cluster: or_unknown(&identity.cluster),
        }
    }

    /// An endpoint's labels are its pod's; the cluster is taken to be the client's own.
    pub(crate) fn of_endpoint(endpoint: &Endpoint, cluster: &Cluster, home: &str) -> Self {
        let first =
            |names: &[&str]| names.iter().find_map(|name| endpoint.labels.get(*name)).map_or("", String::as_str);
        let workload = endpoint.workload.as_ref().map_or("", |workload| workload.as_str());
        let service = first(&["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"]);
        let revision = first(&["service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"]);
        let known = !workload.is_empty() || !endpoint.labels.is_empty();
        Self {
            workload: or_unknown(workload),
            namespace: or_unknown(if known { &cluster.namespace } else { "" }),
            canonical_service: or_unknown(if service.is_empty() { workload } else { service }),
            canonical_revision: if revision.is_empty() && known { "latest".to_owned() } else { or_unknown(revision) },
            app: or_unknown(first(&["app"])),
            version: or_unknown(first(&["version"])),
            cluster: or_unknown(if known { home } else { "" }),
        }
    }

    /// Writes this end for the other proxy; `None` when a name cannot be sent in a header.
    pub(crate) fn to_header(&self) -> Option<String> {
        let fields = self.fields();
        let text: Vec<_> =
            fields.iter().filter(|(_, value)| *value != UNKNOWN).map(|(key, value)| format!("{key}={value}")).collect();
        Some(text.join(";")).filter(|text| visible(text.as_bytes()).is_some())
    }

    /// Reads what the other proxy wrote. What does not look like a name is left unknown.
    pub(crate) fn from_header(value: &[u8]) -> Arc<Self> {
        let mut party = Self::unknown();
        let read = Arc::make_mut(&mut party);
        for (key, value) in visible(value).unwrap_or_default().split(';').filter_map(|pair| pair.split_once('=')) {
            let field = match key {
                "workload" => &mut read.workload,
                "namespace" => &mut read.namespace,
                "service" => &mut read.canonical_service,
                "revision" => &mut read.canonical_revision,
                "app" => &mut read.app,
                "version" => &mut read.version,
                "cluster" => &mut read.cluster,
                _ => continue,
            };
            if is_name(value) {
                value.clone_into(field);
            }
        }
        party
    }

    fn fields(&self) -> [(&'static str, &String); 7] {
        [
            ("workload", &self.workload),
            ("namespace", &self.namespace),
            ("service", &self.canonical_service),
            ("revision", &self.canonical_revision),
            ("app", &self.app),
            ("version", &self.version),
            ("cluster", &self.cluster),
        ]
    }
}

impl ServiceLabels {
    /// `search.hotel.svc.cluster.local` is service `search`; a host outside Kubernetes is its own name.
    pub(crate) fn new(host: &str, namespace: &str) -> Arc<Self> {
        let mut parts = host.split('.');
        let (name, second, third) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let in_cluster = third == Some("svc");
        let namespace = if namespace.is_empty() && in_cluster { second.unwrap_or_default() } else { namespace };
        let name = if in_cluster { name } else { host };
        Arc::new(Self { host: or_unknown(host), name: or_unknown(name), namespace: or_unknown(namespace) })
    }
}

fn or_unknown(value: &str) -> String {
    if value.is_empty() { UNKNOWN.to_owned() } else { value.to_owned() }
}

fn is_name(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= LONGEST
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_proxy_writes_the_other_reads() {
        let mut party = Arc::unwrap_or_clone(Party::unknown());
        (party.workload, party.namespace, party.version) = ("search-v2".into(), "hotel".into(), "v2".into());

        let header = party.to_header().expect("names can be sent");

        assert_eq!(*Party::from_header(header.as_bytes()), party);
    }

    #[test]
    fn what_is_no_name_stays_unknown() {
        let header = "workload=a\"} 1;namespace=;app=ok;color=red";

        let party = Party::from_header(header.as_bytes());

        assert_eq!(
            (party.workload.as_str(), party.namespace.as_str(), party.app.as_str()),
            ("unknown", "unknown", "ok")
        );
    }

    #[test]
    fn a_service_is_named_after_its_host() {
        let service = ServiceLabels::new("search.hotel.svc.cluster.local", "");
        assert_eq!((service.name.as_str(), service.namespace.as_str()), ("search", "hotel"));

        assert_eq!(ServiceLabels::new("api.example.com", "").name, "api.example.com");
    }
}
