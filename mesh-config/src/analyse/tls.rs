//! TLS that is not what it looks like.

use super::Analysis;
use crate::finding::{Problem, RuleId};
use crate::hosts;
use crate::kinds::destination_rule::{ClientTlsMode, ClientTlsSettings, DestinationRule};
use wattle_contract::route::InboundTls;

const NO_CA: RuleId = RuleId::warning("IST0128", "tls-without-ca");
const NO_CA_PORT: RuleId = RuleId::warning("IST0129", "tls-without-ca-on-port");
const AGAINST_STRICT: RuleId = RuleId::error("WAT0116", "cleartext-against-strict");
const EMPTY: RuleId = RuleId::warning("WAT0117", "empty-tls-is-off");

/// Analyses TLS settings.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    for (resource, rule) in documents.of::<DestinationRule>() {
        let mut found = Vec::new();
        if let Some(policy) = &rule.traffic_policy {
            found.extend(policy.tls.as_ref().map(|tls| ("spec.trafficPolicy.tls".to_owned(), tls, NO_CA)));
            let by_port = policy.port_level_settings.iter().enumerate();
            found.extend(by_port.filter_map(|(index, settings)| {
                Some((format!("spec.trafficPolicy.portLevelSettings[{index}].tls"), settings.tls.as_ref()?, NO_CA_PORT))
            }));
        }
        let host = hosts::complete(&rule.host, resource.namespace(), documents.settings());
        for (path, tls, rule_id) in found {
            if verifies_nothing_named(tls) {
                let problem = Problem::new(rule_id, &path, "TLS towards the host names no certificates to trust");
                let effect = "the system's certificates are trusted; older releases verified nothing at all";
                analysis.tell(resource, problem.effect(effect).remedy("set caCertificates or credentialName"));
            }
            if tls.mode == ClientTlsMode::Absent {
                let problem = Problem::new(EMPTY, &path, "a tls block without mode means DISABLE");
                analysis.tell(
                    resource,
                    problem
                        .effect("no mesh mTLS to the host")
                        .remedy("write the mode, or remove the block to keep automatic mTLS"),
                );
            }
            let off = matches!(tls.mode, ClientTlsMode::Absent | ClientTlsMode::Disable);
            if off && let Some(policy) = strict_policy(analysis, &host) {
                let message = format!("TLS is switched off, and {policy} demands mesh mTLS of the pods of {host}");
                let problem = Problem::new(AGAINST_STRICT, &path, message);
                analysis.tell(
                    resource,
                    problem.effect("every connection is reset").remedy("remove the tls block: mTLS is then automatic"),
                );
            }
        }
    }
}

fn verifies_nothing_named(tls: &ClientTlsSettings) -> bool {
    matches!(tls.mode, ClientTlsMode::Simple | ClientTlsMode::Mutual)
        && tls.ca_certificates.is_empty()
        && tls.credential_name.is_empty()
        && !tls.insecure_skip_verify.unwrap_or(false)
}

/// Gives the policy that makes the pods of a host strict.
fn strict_policy(analysis: &Analysis<'_>, host: &str) -> Option<String> {
    let documents = analysis.documents;
    let service = documents.registry().all().find(|service| service.host == host && service.is_kubernetes())?;
    let mut pods = documents
        .registry()
        .workloads_in(service.namespace())
        .filter(|pod| !service.selector.is_empty() && crate::registry::labels_match(&service.selector, &pod.labels));
    let root = &documents.settings().root_namespace;
    pods.find_map(|pod| {
        let modes = &documents.plan().peer_modes;
        let (mode, policy) = modes.mode(root, &pod.namespace, &pod.labels, 0);
        policy.filter(|_| mode == InboundTls::Strict).map(|policy| policy.object())
    })
}
