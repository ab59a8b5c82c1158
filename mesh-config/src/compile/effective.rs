//! The policy that holds for a port of a subset: inherited block by block.

use crate::kinds::destination_rule::{
    ClientTlsSettings, ConnectionPool, LoadBalancer, OutlierDetection, ProxyProtocol, RetryBudget, TrafficPolicy,
};

/// The blocks that hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effective<'a> {
    pub(crate) load_balancer: Option<&'a LoadBalancer>,
    pub(crate) connection_pool: Option<&'a ConnectionPool>,
    pub(crate) outlier: Option<&'a OutlierDetection>,
    pub(crate) tls: Option<&'a ClientTlsSettings>,
    pub(crate) proxy_protocol: Option<&'a ProxyProtocol>,
    pub(crate) retry_budget: Option<&'a RetryBudget>,
}

/// Puts a subset's policy over the top level's, for one port.
pub(crate) fn effective<'a>(
    top: Option<&'a TrafficPolicy>,
    subset: Option<&'a TrafficPolicy>,
    port: u16,
) -> Effective<'a> {
    let mut blocks = Effective::default();
    for policy in [top, subset].into_iter().flatten() {
        blocks.load_balancer = policy.load_balancer.as_ref().or(blocks.load_balancer);
        blocks.connection_pool = policy.connection_pool.as_ref().or(blocks.connection_pool);
        blocks.outlier = policy.outlier_detection.as_ref().or(blocks.outlier);
        blocks.tls = policy.tls.as_ref().or(blocks.tls);
        blocks.proxy_protocol = policy.proxy_protocol.as_ref().or(blocks.proxy_protocol);
        blocks.retry_budget = policy.retry_budget.as_ref().or(blocks.retry_budget);
        let wanted = |settings: &&'a crate::kinds::destination_rule::PortTrafficPolicy| {
            settings.port.as_ref().is_some_and(|selector| selector.number == u32::from(port))
        };
        if let Some(settings) = policy.port_level_settings.iter().find(wanted) {
            // A port's settings inherit nothing: what they leave out falls to the defaults.
            blocks.load_balancer = settings.load_balancer.as_ref();
            blocks.connection_pool = settings.connection_pool.as_ref();
            blocks.outlier = settings.outlier_detection.as_ref();
            blocks.tls = settings.tls.as_ref();
        }
    }
    blocks
}
