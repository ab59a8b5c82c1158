//! Rules of PeerAuthentication, RequestAuthentication and AuthorizationPolicy.

use super::check::{Check, is_network};
use crate::finding::{RuleId, rules};
use crate::kinds::authorization_policy::{AuthorizationPolicy, Condition, Operation, PolicyAction, Source};
use crate::kinds::peer_authentication::PeerAuthentication;
use crate::kinds::request_authentication::{JwtRule, RequestAuthentication};
use crate::kinds::shared::PolicyTargetReference;

const DENIES_ALL: RuleId = RuleId::warning("WAT0103", "policy-denies-everything");

/// Keys of `when` that stand alone; the others have a name in brackets.
const KEYS: [&str; 12] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "source.trustDomain",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
];

/// Checks references to what a policy is for.
pub(super) fn targets(
    check: &mut Check<'_>,
    selects: bool,
    one: Option<&PolicyTargetReference>,
    many: &[PolicyTargetReference],
) {
    if selects && (one.is_some() || !many.is_empty()) {
        check.error("spec", "only one of targetRefs or selector can be set");
    }
    if many.len() > 16 {
        check.error("spec.targetRefs", "Invalid value: must have at most 16 items");
    }
    let listed = many.iter().enumerate().map(|(index, one)| (format!("spec.targetRefs[{index}]"), one));
    for (path, reference) in listed.chain(one.map(|one| ("spec.targetRef".to_owned(), one))) {
        if !reference.namespace.is_empty() {
            check.error(format!("{path}.namespace"), "cross namespace referencing is not currently supported");
        }
        if matches!(reference.kind.as_str(), "GatewayClass" | "Service" | "ServiceEntry") {
            let message = format!("a policy for a {} is accepted, not applied: there are no waypoints", reference.kind);
            check.warn(rules::NOT_APPLIED, &path, message, "select the workloads by labels");
        }
        let known = matches!(reference.kind.as_str(), "Gateway" | "GatewayClass" | "Service" | "ServiceEntry");
        if !known && !reference.kind.is_empty() {
            check.error(
                format!("{path}.kind"),
                format!(
                    "Unsupported value: {:?}: supported values: Gateway, GatewayClass, Service, ServiceEntry",
                    reference.kind
                ),
            );
        }
    }
}

/// Checks a PeerAuthentication.
pub(super) fn peer(spec: &PeerAuthentication, check: &mut Check<'_>) {
    let labels = spec.selector.as_ref().map(|selector| &selector.match_labels).filter(|labels| !labels.is_empty());
    if let Some(labels) = labels {
        check.selector("spec.selector.matchLabels", labels);
    }
    if !spec.port_level_mtls.is_empty() && labels.is_none() {
        check.error_with(
            "spec.portLevelMtls",
            "portLevelMtls requires selector",
            "add a selector: ports are those of the workload",
        );
    }
    for port in spec.port_level_mtls.keys() {
        let mut path = "spec.portLevelMtls".to_owned();
        crate::yaml::push_key(&mut path, port);
        match port.parse::<u32>() {
            Ok(number) => check.port(path, number),
            Err(_) => check.error(path, format!("type conversion error from string to a port's number: {port:?}")),
        }
    }
}

/// Checks the part of PeerAuthentication that an empty map hides.
pub(super) fn empty_port_levels(node: &crate::yaml::Node, check: &mut Check<'_>) {
    let levels = node.get("spec").and_then(|spec| spec.get("portLevelMtls"));
    if let Some(crate::yaml::Value::Mapping(entries)) = levels.map(|node| &node.value)
        && entries.is_empty()
    {
        check.error(
            "spec.portLevelMtls",
            "Invalid value: 0: spec.portLevelMtls in body should have at least 1 properties",
        );
    }
}

/// Checks a RequestAuthentication.
pub(super) fn request(spec: &RequestAuthentication, check: &mut Check<'_>) {
    if let Some(selector) = &spec.selector {
        check.selector("spec.selector.matchLabels", &selector.match_labels);
    }
    targets(check, spec.selector.is_some(), spec.target_ref.as_ref(), &spec.target_refs);
    spec.jwt_rules.iter().enumerate().for_each(|(index, rule)| jwt(rule, &format!("spec.jwtRules[{index}]"), check));
}

fn jwt(rule: &JwtRule, path: &str, check: &mut Check<'_>) {
    if rule.issuer.is_empty() && rule.jwks_uri.is_empty() {
        check.error(format!("{path}.issuer"), "either issuer or jwksUri must be set");
    }
    if !rule.jwks.is_empty() && !rule.jwks_uri.is_empty() {
        check.error(path, "only one of jwks or jwksUri can be set");
    }
    if !rule.jwks_uri.is_empty() && !rule.jwks_uri.starts_with("http://") && !rule.jwks_uri.starts_with("https://") {
        check.error(format!("{path}.jwksUri"), "URI scheme must be http:// or https://");
    }
    for (field, texts) in
        [("audiences", &rule.audiences), ("fromParams", &rule.from_params), ("fromCookies", &rule.from_cookies)]
    {
        for (index, text) in texts.iter().enumerate().filter(|(_, text)| text.is_empty()) {
            check.error(format!("{path}.{field}[{index}]"), format!("Invalid value: {text:?} must be non-empty"));
        }
    }
    for (index, header) in rule.from_headers.iter().enumerate() {
        if header.name.is_empty() {
            check.error(format!("{path}.fromHeaders[{index}].name"), "Required value");
        }
    }
    check.positive_time(format!("{path}.timeout"), rule.timeout);
    if !rule.jwks.is_empty() {
        match serde_json::from_str::<serde_json::Value>(&rule.jwks) {
            Err(error) => check.error(format!("{path}.jwks"), format!("Invalid value: not JSON: {error}")),
            Ok(keys) => {
                let private = keys["keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key.get("d").is_some()));
                if private {
                    check.advise(format!("{path}.jwks"), "it holds a private key: only public keys belong here");
                }
            }
        }
    }
}

/// Checks an AuthorizationPolicy.
pub(super) fn authorization(spec: &AuthorizationPolicy, check: &mut Check<'_>) {
    if let Some(selector) = &spec.selector {
        check.selector("spec.selector.matchLabels", &selector.match_labels);
    }
    targets(check, spec.selector.is_some(), spec.target_ref.as_ref(), &spec.target_refs);
    match spec.action {
        PolicyAction::Custom => {
            if spec.rules.is_empty() {
                check.error("spec.rules", "CUSTOM action without `rules` is meaningless as it will never be triggered");
            }
            if spec.provider.as_ref().is_none_or(|provider| provider.name.is_empty()) {
                check.error("spec.provider", "CUSTOM action requires a provider");
            }
        }
        PolicyAction::Deny if spec.rules.is_empty() => {
            check.error("spec.rules", "DENY action without `rules` is meaningless as it will never be triggered, use `rules: [{}]` if you want to deny everything");
        }
        PolicyAction::Absent | PolicyAction::Allow if spec.rules.is_empty() => {
            let message =
                "an ALLOW policy without rules allows nothing: every request to the selected workloads is refused";
            check.warn(
                DENIES_ALL,
                "spec",
                message,
                "write `rules: [{}]` to allow everything; keep it if refusing everything is meant",
            );
        }
        _ => {}
    }
    if spec.provider.is_some() && spec.action != PolicyAction::Custom {
        check.error("spec.provider", "`provider` must not be used with other actions than CUSTOM");
    }
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        for (number, from) in rule.from.iter().enumerate() {
            let at = format!("{path}.from[{number}]");
            match &from.source {
                None => check.error(at, "`from.source` must be set"),
                Some(one) => source(one, &format!("{at}.source"), check),
            }
        }
        for (number, to) in rule.to.iter().enumerate() {
            let at = format!("{path}.to[{number}]");
            match &to.operation {
                None => check.error(at, "`to.operation` must be set"),
                Some(one) => operation(one, &format!("{at}.operation"), check),
            }
        }
        rule.when
            .iter()
            .enumerate()
            .for_each(|(number, when)| condition(when, &format!("{path}.when[{number}]"), check));
    }
}

fn source(source: &Source, path: &str, check: &mut Check<'_>) {
    if *source == Source::default() {
        check.error(path, "`from.source` must have at least one field");
    }
    let accounts = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let others = [&source.principals, &source.not_principals, &source.namespaces, &source.not_namespaces];
    if accounts && others.iter().any(|list| !list.is_empty()) {
        check.error(path, "Cannot set serviceAccounts with namespaces or principals");
    }
    let networks = [
        ("ipBlocks", &source.ip_blocks),
        ("notIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks),
    ];
    for (field, blocks) in networks {
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| !is_network(block)) {
            check.error(format!("{path}.{field}[{index}]"), format!("Invalid value: {block:?}: bad CIDR range"));
        }
    }
    for (field, principals) in [("principals", &source.principals), ("notPrincipals", &source.not_principals)] {
        for (index, principal) in
            principals.iter().enumerate().filter(|(_, principal)| principal.starts_with("spiffe://"))
        {
            let message = format!("{principal:?} never matches: principals are written without spiffe://");
            check.advise(format!("{path}.{field}[{index}]"), message);
        }
    }
    let lists = [
        ("principals", &source.principals),
        ("notPrincipals", &source.not_principals),
        ("requestPrincipals", &source.request_principals),
        ("notRequestPrincipals", &source.not_request_principals),
        ("namespaces", &source.namespaces),
        ("notNamespaces", &source.not_namespaces),
        ("serviceAccounts", &source.service_accounts),
        ("notServiceAccounts", &source.not_service_accounts),
        ("trustDomains", &source.trust_domains),
        ("notTrustDomains", &source.not_trust_domains),
    ];
    lists.into_iter().for_each(|(field, list)| no_empty(&format!("{path}.{field}"), list, check));
}

fn no_empty(path: &str, list: &[String], check: &mut Check<'_>) {
    for (index, _) in list.iter().enumerate().filter(|(_, text)| text.is_empty()) {
        check.error(format!("{path}[{index}]"), "Invalid value: \"\": it must not be empty");
    }
}

fn operation(operation: &Operation, path: &str, check: &mut Check<'_>) {
    if *operation == Operation::default() {
        check.error(path, "`to.operation` must have at least one field");
    }
    for (field, ports) in [("ports", &operation.ports), ("notPorts", &operation.not_ports)] {
        for (index, port) in ports.iter().enumerate() {
            if port.parse::<u16>().is_err() || port == "0" {
                check.error(format!("{path}.{field}[{index}]"), format!("Invalid value: {port:?} is no port"));
            }
        }
    }
    for (field, paths) in [("paths", &operation.paths), ("notPaths", &operation.not_paths)] {
        for (index, one) in paths.iter().enumerate() {
            let bare = one.replace("{**}", "").replace("{*}", "");
            if bare.contains(['{', '}']) || (bare.len() < one.len() && bare.contains('*')) {
                check.error(
                    format!("{path}.{field}[{index}]"),
                    format!("Invalid value: {one:?}: templates are {{*}} and {{**}}, and no * beside them"),
                );
            }
        }
    }
    let lists = [
        ("hosts", &operation.hosts),
        ("notHosts", &operation.not_hosts),
        ("methods", &operation.methods),
        ("notMethods", &operation.not_methods),
        ("paths", &operation.paths),
        ("notPaths", &operation.not_paths),
    ];
    lists.into_iter().for_each(|(field, list)| no_empty(&format!("{path}.{field}"), list, check));
}

fn condition(when: &Condition, path: &str, check: &mut Check<'_>) {
    if when.values.is_empty() && when.not_values.is_empty() {
        check.error(path, "at least one of `values` or `notValues` must be set");
    }
    let bracketed = ["request.headers[", "request.auth.claims[", "experimental.envoy.filters."];
    let known = KEYS.contains(&when.key.as_str())
        || (bracketed.iter().any(|prefix| when.key.starts_with(prefix)) && when.key.ends_with(']'));
    if !known && !when.key.is_empty() {
        check.error(format!("{path}.key"), format!("Invalid value: unknown attribute {:?}", when.key));
    }
    if matches!(when.key.as_str(), "source.ip" | "remote.ip" | "destination.ip") {
        for block in when.values.iter().chain(&when.not_values).filter(|block| !is_network(block)) {
            check.error(format!("{path}.values"), format!("Invalid value: {block:?}: bad CIDR range"));
        }
    }
}
