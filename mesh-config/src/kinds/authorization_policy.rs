//! AuthorizationPolicy: who may do what.

use super::shared::{PolicyTargetReference, WorkloadSelector};
use crate::decode::{choices, message};

message! {
    /// Istio's `AuthorizationPolicy`.
    struct AuthorizationPolicy {
        selector: Option<WorkloadSelector> = "selector";
        target_ref: Option<PolicyTargetReference> = "targetRef";
        target_refs: Vec<PolicyTargetReference> = "targetRefs";
        rules: Vec<Rule> = "rules";
        action: PolicyAction = "action";
        provider: Option<ExtensionProvider> = "provider";
    }

    /// Istio's `AuthorizationPolicy.ExtensionProvider`.
    struct ExtensionProvider {
        name: String = "name";
    }

    /// Istio's `Rule`.
    struct Rule {
        from: Vec<RuleFrom> = "from";
        to: Vec<RuleTo> = "to";
        when: Vec<Condition> = "when";
    }

    /// Istio's `Rule.From`.
    struct RuleFrom {
        source: Option<Source> = "source";
    }

    /// Istio's `Rule.To`.
    struct RuleTo {
        operation: Option<Operation> = "operation";
    }

    /// Istio's `Source`.
    struct Source {
        principals: Vec<String> = "principals";
        not_principals: Vec<String> = "notPrincipals";
        request_principals: Vec<String> = "requestPrincipals";
        not_request_principals: Vec<String> = "notRequestPrincipals";
        namespaces: Vec<String> = "namespaces";
        not_namespaces: Vec<String> = "notNamespaces";
        service_accounts: Vec<String> = "serviceAccounts";
        not_service_accounts: Vec<String> = "notServiceAccounts";
        ip_blocks: Vec<String> = "ipBlocks";
        not_ip_blocks: Vec<String> = "notIpBlocks";
        remote_ip_blocks: Vec<String> = "remoteIpBlocks";
        not_remote_ip_blocks: Vec<String> = "notRemoteIpBlocks";
        trust_domains: Vec<String> = "trustDomains";
        not_trust_domains: Vec<String> = "notTrustDomains";
    }

    /// Istio's `Operation`.
    struct Operation {
        hosts: Vec<String> = "hosts";
        not_hosts: Vec<String> = "notHosts";
        ports: Vec<String> = "ports";
        not_ports: Vec<String> = "notPorts";
        methods: Vec<String> = "methods";
        not_methods: Vec<String> = "notMethods";
        paths: Vec<String> = "paths";
        not_paths: Vec<String> = "notPaths";
    }

    /// Istio's `Condition`.
    struct Condition {
        key: String = "key" required;
        values: Vec<String> = "values";
        not_values: Vec<String> = "notValues";
    }
}

choices! {
    /// Istio's `AuthorizationPolicy.Action`.
    enum PolicyAction { Allow = "ALLOW", Deny = "DENY", Audit = "AUDIT", Custom = "CUSTOM" }
}
