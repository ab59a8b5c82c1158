//! Targets in Kubernetes (`kubernetes_sd_configs`), with the labels that Prometheus gives them.
//!
//! Objects are listed and watched; a watch that is too old (410) lists anew, a broken one goes on with back-off, and what
//! was known stays meanwhile. After a change all targets are made anew of what is known: there is no state to go wrong.

mod endpoints;
mod meta;
mod node;
mod pod;
mod service;
mod slices;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Endpoints, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Found, Source};

/// How long changes are gathered before targets are made anew.
const GATHER: Duration = Duration::from_millis(500);
/// How long after a failure a client is made anew.
pub(crate) const TRY_AGAIN: Duration = Duration::from_secs(10);

/// What is made a target of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Each node, at its kubelet.
    Node,
    /// Each port of each container of each pod.
    Pod,
    /// Each port of each service.
    Service,
    /// Each address and port of each Endpoints object.
    Endpoints,
    /// Each address and port of each EndpointSlice.
    EndpointSlice,
}

/// Which objects of a role are looked at.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// The kind of object that it is for.
    pub role: Role,
    /// A label selector as `kubectl -l` takes it.
    #[serde(default)]
    pub label: String,
    /// A field selector.
    #[serde(default)]
    pub field: String,
}

/// Targets that Kubernetes knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesDiscovery {
    /// What is made a target of.
    pub role: Role,
    /// Where to look; empty for everywhere.
    pub namespaces: Vec<String>,
    /// Whether the collector's own namespace is looked at too.
    pub own_namespace: bool,
    /// What to look at.
    pub selectors: Vec<Selector>,
    /// How to reach the cluster; without it as the pod that this is, or as `kubectl` would.
    pub kubeconfig: Option<PathBuf>,
}

impl KubernetesDiscovery {
    fn watcher(&self, role: Role) -> watcher::Config {
        let mut config = watcher::Config::default();
        if let Some(selector) = self.selectors.iter().find(|selector| selector.role == role) {
            if !selector.label.is_empty() {
                config = config.labels(&selector.label);
            }
            if !selector.field.is_empty() {
                config = config.fields(&selector.field);
            }
        }
        config
    }
}

/// Gives a client for a kubeconfig; without one as the pod that this is, or as `kubectl` would.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<Client, String> {
    let config = match kubeconfig {
        None => kube::Config::infer().await.map_err(|error| error.to_string())?,
        Some(path) => {
            let read = kube::config::Kubeconfig::read_from(path).map_err(|error| error.to_string())?;
            let options = kube::config::KubeConfigOptions::default();
            kube::Config::from_custom_kubeconfig(read, &options).await.map_err(|error| error.to_string())?
        }
    };
    Client::try_from(config).map_err(|error| error.to_string())
}

/// Watches until nobody wants to know.
pub(super) async fn watch(discovery: KubernetesDiscovery, source: Source) {
    let source = Arc::new(source);
    let client = loop {
        match client(discovery.kubeconfig.as_deref()).await {
            Ok(client) => break client,
            Err(error) => source.failed("kubernetes", &format!("no way to the API server: {error}")),
        }
        tokio::time::sleep(TRY_AGAIN).await;
    };
    let mut watching =
        Watching { discovery, client, source: source.clone(), changed: Arc::default(), keepers: JoinSet::new() };
    let objects = Objects::watch(&mut watching);
    objects.until_known().await;
    loop {
        if source.found(objects.targets()).await.is_err() {
            return;
        }
        watching.changed.notified().await;
        tokio::time::sleep(GATHER).await;
    }
}

/// What keeps the objects of one discovery up to date.
struct Watching {
    discovery: KubernetesDiscovery,
    client: Client,
    source: Arc<Source>,
    changed: Arc<Notify>,
    /// Ends the watches when it is dropped.
    keepers: JoinSet<()>,
}

impl Watching {
    /// Watches objects of one kind in every namespace that is looked at.
    fn namespaced<K>(&mut self, role: Role) -> Known<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let mut names = self.discovery.namespaces.clone();
        if self.discovery.own_namespace {
            names.push(self.client.default_namespace().to_owned());
        }
        let apis: Vec<Api<K>> = if names.is_empty() {
            vec![Api::all(self.client.clone())]
        } else {
            names.iter().map(|name| Api::namespaced(self.client.clone(), name)).collect()
        };
        Known(apis.into_iter().map(|api| self.keep(api, role)).collect())
    }

    fn keep<K>(&mut self, api: Api<K>, role: Role) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
    {
        let (store, writer) = reflector::store();
        let events = watcher(api, self.discovery.watcher(role))
            .default_backoff()
            .modify(|object| object.managed_fields_mut().clear())
            .reflect(writer);
        let (changed, source) = (self.changed.clone(), self.source.clone());
        self.keepers.spawn(async move {
            tokio::pin!(events);
            let mut works = true;
            while let Some(event) = events.next().await {
                match event {
                    Ok(_) => {
                        works = true;
                        changed.notify_one();
                    }
                    Err(error) if works => {
                        works = false;
                        source.failed("kubernetes", &error.to_string());
                    }
                    Err(error) => tracing::debug!(%error, "Kubernetes still does not answer"),
                }
            }
        });
        store
    }
}

/// Objects of one kind, a store for each namespace.
struct Known<K: Resource<DynamicType = ()> + Clone + 'static>(Vec<Store<K>>);

impl<K: Resource<DynamicType = ()> + Clone + 'static> Known<K> {
    async fn until_known(&self) {
        for store in &self.0 {
            // An error means that its keeper has ended: then all of it ends.
            let _ = store.wait_until_ready().await;
        }
    }

    fn all(&self) -> Vec<Arc<K>> {
        self.0.iter().flat_map(Store::state).collect()
    }
}

/// The objects that a role needs.
enum Objects {
    Nodes(Known<Node>),
    Pods(Known<Pod>),
    Services(Known<Service>),
    Endpoints(Known<Endpoints>, Known<Service>, Known<Pod>),
    Slices(Known<EndpointSlice>, Known<Service>, Known<Pod>),
}

impl Objects {
    fn watch(watching: &mut Watching) -> Self {
        match watching.discovery.role {
            Role::Node => {
                let api = Api::all(watching.client.clone());
                Self::Nodes(Known(vec![watching.keep(api, Role::Node)]))
            }
            Role::Pod => Self::Pods(watching.namespaced(Role::Pod)),
            Role::Service => Self::Services(watching.namespaced(Role::Service)),
            Role::Endpoints => Self::Endpoints(
                watching.namespaced(Role::Endpoints),
                watching.namespaced(Role::Service),
                watching.namespaced(Role::Pod),
            ),
            Role::EndpointSlice => Self::Slices(
                watching.namespaced(Role::EndpointSlice),
                watching.namespaced(Role::Service),
                watching.namespaced(Role::Pod),
            ),
        }
    }

    async fn until_known(&self) {
        match self {
            Self::Nodes(nodes) => nodes.until_known().await,
            Self::Pods(pods) => pods.until_known().await,
            Self::Services(services) => services.until_known().await,
            Self::Endpoints(endpoints, services, pods) => {
                endpoints.until_known().await;
                services.until_known().await;
                pods.until_known().await;
            }
            Self::Slices(slices, services, pods) => {
                slices.until_known().await;
                services.until_known().await;
                pods.until_known().await;
            }
        }
    }

    fn targets(&self) -> Found {
        match self {
            Self::Nodes(nodes) => nodes.all().iter().filter_map(|node| node::target(node)).collect(),
            Self::Pods(pods) => pods.all().iter().flat_map(|pod| pod::targets(pod)).collect(),
            Self::Services(services) => services.all().iter().flat_map(|service| service::targets(service)).collect(),
            Self::Endpoints(endpoints, services, pods) => {
                let around = meta::Around::of(&services.all(), &pods.all());
                endpoints.all().iter().flat_map(|one| endpoints::targets(one, &around)).collect()
            }
            Self::Slices(slices, services, pods) => {
                let around = meta::Around::of(&services.all(), &pods.all());
                slices.all().iter().flat_map(|slice| slices::targets(slice, &around)).collect()
            }
        }
    }
}
