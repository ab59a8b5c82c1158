//! HealthCheck: how the endpoints of a service are asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use wattle_contract::route::{HealthCheck as Compiled, HealthCheckKind};

use super::Context;
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::health_check::HealthCheck;
use crate::resource::Resource;

/// What is done where a check does not say: Kubernetes' probes ask every 10 s, wait for 1 s and bear two failures.
const INTERVAL: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(1);
const UNHEALTHY_THRESHOLD: u32 = 3;
const HEALTHY_THRESHOLD: u32 = 1;

/// All checks by completed host, oldest first.
#[derive(Debug, Default)]
pub(crate) struct HealthChecks(HashMap<String, Vec<Arc<Resource>>>);

impl HealthChecks {
    pub(super) fn build(documents: &Documents) -> Self {
        let mut all = Self::default();
        for (resource, spec) in documents.of::<HealthCheck>() {
            let host = hosts::complete(&spec.host, resource.namespace(), documents.settings());
            all.0.entry(host).or_default().push(resource.clone());
        }
        all
    }

    /// Gives the check of a host as a client sees it: its own namespace's, else the service's, else the root's.
    pub(super) fn of(&self, context: &Context<'_>, host: &str, service_namespace: &str) -> Option<Arc<Resource>> {
        let found = self.0.get(host)?;
        let namespaces = [context.namespace(), service_namespace, &context.settings.root_namespace];
        namespaces.into_iter().find_map(|namespace| {
            let seen = |resource: &&Arc<Resource>| {
                resource.namespace() == namespace
                    && resource.get::<HealthCheck>().is_some_and(|spec| {
                        hosts::is_exported(&spec.export_to, resource.namespace(), context.namespace())
                    })
            };
            found.iter().find(seen).cloned()
        })
    }
}

/// Compiles a check for a port of the service, if it is one that is asked.
pub(super) fn of_port(resource: Option<&Resource>, port: u16) -> Option<Compiled> {
    let spec = resource?.get::<HealthCheck>()?;
    if !spec.ports.is_empty() && !spec.ports.contains(&u32::from(port)) {
        return None;
    }
    let kind = match (&spec.http, &spec.grpc) {
        (Some(http), _) => HealthCheckKind::Http { path: http.path.clone(), host: http.host.clone() },
        (None, Some(grpc)) => HealthCheckKind::Grpc { service: grpc.service.clone() },
        (None, None) => HealthCheckKind::Tcp,
    };
    let count = |number: u32, default: u32| if number == 0 { default } else { number };
    Some(Compiled {
        kind,
        port: u16::try_from(spec.check_port).ok().filter(|port| *port > 0),
        interval: super::actions::bound(spec.interval).unwrap_or(INTERVAL),
        timeout: super::actions::bound(spec.timeout).unwrap_or(TIMEOUT),
        unhealthy_threshold: count(spec.unhealthy_threshold, UNHEALTHY_THRESHOLD),
        healthy_threshold: count(spec.healthy_threshold, HEALTHY_THRESHOLD),
    })
}
