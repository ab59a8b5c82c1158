//! Names of things in the cluster, each its own type, cheap to clone.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Gives the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(name.into())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A Kubernetes node.
    NodeName
);
name!(
    /// A Kubernetes namespace.
    Namespace
);
name!(
    /// What owns a pod: a Deployment, StatefulSet or Job, as Istio's `destination_workload` names it.
    WorkloadName
);
name!(
    /// A service by its fully qualified host, such as `search.hotel.svc.cluster.local`.
    ServiceName
);
name!(
    /// An upstream cluster as Istio names it: `outbound|PORT|SUBSET|HOST`, `inbound|PORT||`.
    ClusterName
);

impl WorkloadName {
    /// Names the workload behind a pod's owner: the Deployment of a ReplicaSet, the CronJob of a Job, else the owner itself.
    ///
    /// `template_hash` is the pod's label `pod-template-hash`. `None` for an owner without a name.
    #[must_use]
    pub fn of_owner(kind: &str, name: &str, template_hash: Option<&str>) -> Option<Self> {
        let name = match kind {
            "ReplicaSet" => template_hash
                .and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'))
                .or_else(|| without_suffix(name, is_template_hash))
                .unwrap_or(name),
            "Job" => without_suffix(name, is_scheduled_minute).unwrap_or(name),
            _ => name,
        };
        (!name.is_empty()).then(|| name.into())
    }
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

/// A pod by namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodKey {
    /// The namespace it lives in.
    pub namespace: Namespace,
    /// Its name inside the namespace.
    pub name: Arc<str>,
}

impl PodKey {
    /// Names a pod.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workload_is_what_made_the_owner() {
        for (kind, owner, hash, workload) in [
            ("ReplicaSet", "web-server-6b9f7c4d5", None, Some("web-server")),
            ("ReplicaSet", "web-abc123", Some("abc123"), Some("web")),
            ("ReplicaSet", "web-blue", None, Some("web-blue")),
            ("ReplicaSet", "plain", None, Some("plain")),
            ("StatefulSet", "db", None, Some("db")),
            ("Job", "backup-28934567", None, Some("backup")),
            ("Job", "import", None, Some("import")),
            ("Node", "", None, None),
        ] {
            assert_eq!(WorkloadName::of_owner(kind, owner, hash), workload.map(Into::into), "{owner}");
        }
    }
}
