//! PeerAuthentication: whether a port of a workload demands mesh mTLS.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_contract::Endpoint;
use wattle_contract::EndpointAddress;
use wattle_contract::route::InboundTls;

use super::Context;
use crate::documents::Documents;
use crate::kinds::peer_authentication::{MutualTls, MutualTlsMode, PeerAuthentication};
use crate::registry::{Service, labels_match};
use crate::resource::Resource;

/// All PeerAuthentications, oldest first.
#[derive(Debug)]
pub(crate) struct PeerModes {
    all: Vec<(Arc<Resource>, PeerAuthentication)>,
}

/// Gives the mode of a block; `None` inherits.
pub(crate) fn mode_of(mtls: Option<&MutualTls>) -> Option<InboundTls> {
    match mtls?.mode {
        MutualTlsMode::Absent | MutualTlsMode::Unset => None,
        MutualTlsMode::Disable => Some(InboundTls::Disable),
        MutualTlsMode::Permissive => Some(InboundTls::Permissive),
        MutualTlsMode::Strict => Some(InboundTls::Strict),
    }
}

impl PeerModes {
    pub(super) fn build(documents: &Documents) -> Self {
        let all = documents.of::<PeerAuthentication>().map(|(resource, spec)| (resource.clone(), spec.clone()));
        Self { all: all.collect() }
    }

    /// Says whether any policy decides anything.
    pub(super) fn decides(&self) -> bool {
        !self.all.is_empty()
    }

    /// Gives the mode of a workload's port, and the resource that decides: the narrowest scope first, in a scope the oldest.
    pub(crate) fn mode(
        &self,
        root_namespace: &str,
        namespace: &str,
        labels: &BTreeMap<String, String>,
        port: u16,
    ) -> (InboundTls, Option<&Arc<Resource>>) {
        let selector = |spec: &PeerAuthentication| {
            spec.selector.as_ref().map(|selector| selector.match_labels.clone()).filter(|labels| !labels.is_empty())
        };
        let selecting = self.all.iter().find(|(resource, spec)| {
            resource.namespace() == namespace
                && namespace != root_namespace
                && selector(spec).is_some_and(|wanted| labels_match(&wanted, labels))
        });
        let scoped = |wanted: &str| {
            self.all.iter().find(|(resource, spec)| resource.namespace() == wanted && selector(spec).is_none())
        };
        if let Some((resource, spec)) = selecting
            && let Some(mode) = mode_of(spec.port_level_mtls.get(&port.to_string()))
        {
            return (mode, Some(resource));
        }
        for (resource, spec) in [selecting, scoped(namespace), scoped(root_namespace)].into_iter().flatten() {
            if let Some(mode) = mode_of(spec.mtls.as_ref()) {
                return (mode, Some(resource));
            }
        }
        (InboundTls::Permissive, None)
    }

    /// Gives an endpoint as a client should treat it: mesh mTLS only where the port accepts it.
    pub(super) fn with_proxy(&self, context: &Context<'_>, service: &Service, endpoint: &Endpoint) -> Endpoint {
        let mut endpoint = endpoint.clone();
        if endpoint.mesh_tls && !self.all.is_empty() {
            let port = match &endpoint.address {
                EndpointAddress::Socket(address) => address.port(),
                EndpointAddress::Dns(_, port) => *port,
                EndpointAddress::Unix(_) => 0,
            };
            let (mode, _) = self.mode(&context.settings.root_namespace, service.namespace(), &endpoint.labels, port);
            endpoint.mesh_tls = mode != InboundTls::Disable;
        }
        endpoint
    }
}
