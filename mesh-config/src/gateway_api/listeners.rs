//! Listeners of Gateways as servers of Istio's Gateway.

use super::{INFIX, Listener, serves};
use crate::documents::Documents;
use crate::kinds::NamespaceSpec;
use crate::kinds::gateway::{Gateway as Translated, Port, Server, ServerTlsMode, ServerTlsSettings};
use crate::kinds::gateway_api::{AllowedRoutes, Gateway, Listener as Written, NamespaceSelector};
use crate::resource::Resource;

/// Cipher suites by their OpenSSL names, as Istio takes them.
const CIPHERS: [&str; 12] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
];

/// Translates every listener of every Gateway whose class is served.
pub(super) fn translate(documents: &Documents) -> Vec<Listener> {
    let mut found = Vec::new();
    for (resource, gateway) in
        documents.of::<Gateway>().filter(|(_, gateway)| serves(documents, &gateway.gateway_class_name))
    {
        for (index, listener) in gateway.listeners.iter().enumerate() {
            if !matches!(listener.protocol.as_str(), "HTTP" | "HTTPS" | "TLS" | "TCP") {
                continue;
            }
            let host = if listener.hostname.is_empty() { "*" } else { &listener.hostname };
            let namespaces = namespaces(documents, resource, listener.allowed_routes.as_ref());
            let server = Server {
                port: Some(Port {
                    number: listener.port,
                    protocol: listener.protocol.clone(),
                    name: "default".to_owned(),
                    target_port: 0,
                }),
                hosts: namespaces.iter().map(|namespace| format!("{namespace}/{host}")).collect(),
                tls: tls(resource, gateway, listener),
                ..Server::default()
            };
            found.push(Listener {
                resource: resource.clone(),
                index,
                name: format!("{}~{INFIX}~{}", resource.name(), listener.name),
                gateway: Translated { servers: vec![server], ..Translated::default() },
            });
        }
    }
    found
}

/// Gives the namespaces whose routes may attach; `*` for all.
fn namespaces(documents: &Documents, resource: &Resource, allowed: Option<&AllowedRoutes>) -> Vec<String> {
    let wanted = allowed.and_then(|allowed| allowed.namespaces.as_ref());
    match wanted.map_or("Same", |wanted| wanted.from.as_str()) {
        "All" => vec!["*".to_owned()],
        "Selector" => {
            let selector = wanted.and_then(|wanted| wanted.selector.as_ref());
            let mut names: Vec<String> = documents
                .of::<NamespaceSpec>()
                .filter(|(namespace, _)| selector.is_some_and(|selector| selects(selector, namespace)))
                .map(|(namespace, _)| namespace.name().to_owned())
                .collect();
            names.sort();
            // No namespace at all: `~` admits nobody.
            if names.is_empty() { vec!["~".to_owned()] } else { names }
        }
        "None" => vec!["~".to_owned()],
        _ => vec![resource.namespace().to_owned()],
    }
}

fn selects(selector: &NamespaceSelector, namespace: &Resource) -> bool {
    let labels = &namespace.meta.labels;
    // Kubernetes labels every namespace with its own name.
    let value = |key: &str| match key {
        "kubernetes.io/metadata.name" => Some(namespace.name()),
        _ => labels.get(key).map(String::as_str),
    };
    selector.match_labels.iter().all(|(key, wanted)| value(key) == Some(wanted))
        && selector.match_expressions.iter().all(|one| {
            let given = value(&one.key);
            let listed = given.is_some_and(|given| one.values.iter().any(|wanted| wanted == given));
            match one.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => given.is_some(),
                "DoesNotExist" => given.is_none(),
                _ => false,
            }
        })
}

fn tls(resource: &Resource, gateway: &Gateway, listener: &Written) -> Option<ServerTlsSettings> {
    let written = listener.tls.as_ref()?;
    let mut settings = ServerTlsSettings::default();
    if let Some(suites) = written.options.get("gateway.istio.io/tls-cipher-suites") {
        settings.cipher_suites =
            suites.split(',').map(str::trim).filter(|suite| CIPHERS.contains(suite)).map(str::to_owned).collect();
    }
    if written.mode == "Passthrough" {
        return Some(settings);
    }
    settings.mode = ServerTlsMode::Simple;
    let frontend =
        gateway.tls.as_ref().and_then(|tls| tls.frontend.as_ref()).and_then(|frontend| frontend.default.as_ref());
    let validation = frontend.and_then(|frontend| frontend.validation.as_ref());
    let option = written.options.get("gateway.istio.io/tls-terminate-mode").map(String::as_str);
    match option {
        Some("ISTIO_MUTUAL") => {
            settings.mode = ServerTlsMode::IstioMutual;
            return Some(settings);
        }
        Some("ISTIO_SIMPLE") => {
            "builtin://".clone_into(&mut settings.credential_name);
            return Some(settings);
        }
        Some("MUTUAL") => settings.mode = ServerTlsMode::Mutual,
        Some("OPTIONAL_MUTUAL") => settings.mode = ServerTlsMode::OptionalMutual,
        _ => {}
    }
    if let Some(validation) = validation
        && let Some(authority) = validation.ca_certificate_refs.first()
    {
        if settings.mode == ServerTlsMode::Simple {
            settings.mode = ServerTlsMode::Mutual;
        }
        settings.insecure_skip_verify = Some(validation.mode == "AllowInsecureFallback");
        let namespace = if authority.namespace.is_empty() { resource.namespace() } else { &authority.namespace };
        let scheme = if authority.kind == "Secret" { "kubernetes-gateway" } else { "configmap" };
        settings.ca_cert_credential_name = format!("{scheme}://{namespace}/{}-cacert", authority.name);
    }
    let names: Vec<String> = written
        .certificate_refs
        .iter()
        .map(|one| {
            let namespace = if one.namespace.is_empty() { resource.namespace() } else { &one.namespace };
            format!("kubernetes-gateway://{namespace}/{}", one.name)
        })
        .collect();
    match names.as_slice() {
        [] => {}
        [one] => settings.credential_name.clone_from(one),
        _ => settings.credential_names = names,
    }
    Some(settings)
}
