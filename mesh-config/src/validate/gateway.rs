//! Rules of Gateway.

use super::check::{Check, is_dns_label, is_host, is_ip};
use crate::hosts;
use crate::kinds::gateway::{Gateway, Server, ServerTlsMode, ServerTlsSettings, TlsProtocol};

/// Protocols that a server may name.
const PROTOCOLS: [&str; 13] = [
    "HTTP",
    "HTTPS",
    "HTTP2",
    "GRPC",
    "GRPC-WEB",
    "TLS",
    "TCP",
    "UDP",
    "MONGO",
    "REDIS",
    "MYSQL",
    "HTTP_PROXY",
    "HBONE",
];

/// Checks a Gateway.
pub(super) fn check(spec: &Gateway, check: &mut Check<'_>) {
    if spec.servers.is_empty() {
        check.error("spec.servers", "gateway must have at least one server");
    }
    check.selector("spec.selector", &spec.selector);
    let mut names: Vec<&str> = Vec::new();
    for (index, one) in spec.servers.iter().enumerate() {
        let path = format!("spec.servers[{index}]");
        server(one, &path, check);
        let Some(port) = &one.port else { continue };
        if !port.name.is_empty() && names.contains(&port.name.as_str()) {
            let message = format!("Duplicate value: {:?}: port names in servers must be unique", port.name);
            check.error(format!("{path}.port.name"), message);
        }
        names.push(&port.name);
    }
}

fn server(server: &Server, path: &str, check: &mut Check<'_>) {
    if server.hosts.is_empty() {
        check.error(format!("{path}.hosts"), "server config must contain at least one host");
    }
    for (index, host) in server.hosts.iter().enumerate() {
        let at = format!("{path}.hosts[{index}]");
        let (namespace, name) = hosts::split_scope(host);
        if namespace.is_some_and(|namespace| !matches!(namespace, "*" | ".") && !is_dns_label(namespace)) {
            check.error(&at, format!("Invalid value: {host:?}: the namespace is none"));
        }
        if is_ip(name) || !is_host(name) {
            check.error(&at, format!("Invalid value: {host:?} is no host name"));
        }
    }
    if !server.bind.is_empty() && !is_ip(&server.bind) && !server.bind.starts_with("unix://") {
        check.error(format!("{path}.bind"), format!("Invalid value: {:?} is no address", server.bind));
    }
    let Some(port) = &server.port else { return };
    check.port(format!("{path}.port.number"), port.number);
    let protocol = port.protocol.to_uppercase();
    if !protocol.is_empty() && !PROTOCOLS.contains(&protocol.as_str()) {
        check.error(
            format!("{path}.port.protocol"),
            format!("Unsupported value: {:?}: supported values: {}", port.protocol, PROTOCOLS.join(", ")),
        );
    }
    let wants_tls = matches!(protocol.as_str(), "HTTPS" | "TLS");
    match &server.tls {
        None if wants_tls => check.error_with(
            format!("{path}.tls"),
            format!("server must have TLS settings for {protocol} protocols"),
            "add tls with mode and credentialName",
        ),
        Some(tls) => server_tls(tls, &format!("{path}.tls"), &protocol, check),
        None => {}
    }
}

fn server_tls(tls: &ServerTlsSettings, path: &str, protocol: &str, check: &mut Check<'_>) {
    let wants_tls = matches!(protocol, "HTTPS" | "TLS");
    let passes =
        matches!(tls.mode, ServerTlsMode::Absent | ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough);
    if tls.https_redirect && protocol != "HTTP" {
        check.advise(
            format!("{path}.httpsRedirect"),
            format!("tls.httpsRedirect should only be used with http servers, not {protocol}"),
        );
    }
    if !wants_tls
        && *tls != (ServerTlsSettings { https_redirect: tls.https_redirect, ..ServerTlsSettings::default() })
        && protocol != "TCP"
    {
        check.error(path, format!("server cannot have TLS settings for plain text {protocol} ports"));
    }
    sources(tls, path, check);
    if tls.https_redirect && !wants_tls {
        return;
    }
    if tls.mode == ServerTlsMode::IstioMutual {
        if !tls.server_certificate.is_empty()
            || !tls.private_key.is_empty()
            || !tls.credential_name.is_empty()
            || !tls.ca_certificates.is_empty()
        {
            check.error(path, "ISTIO_MUTUAL cannot have its own certificates");
        }
    } else if passes {
        if !tls.server_certificate.is_empty() || !tls.private_key.is_empty() || !tls.credential_name.is_empty() {
            check.advise(path, "PASSTHROUGH mode does not use certificates; they have no effect");
        }
    } else {
        certificates(tls, path, check);
    }
    versions(tls, path, check);
}

fn sources(tls: &ServerTlsSettings, path: &str, check: &mut Check<'_>) {
    let given = [
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
        ("tlsCertificates", !tls.tls_certificates.is_empty()),
    ];
    let named: Vec<&str> = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    if let [first, second, ..] = named.as_slice() {
        check.error(path, format!("only one of {first} or {second} can be set"));
    }
    for (field, count) in
        [("credentialNames", tls.credential_names.len()), ("tlsCertificates", tls.tls_certificates.len())]
    {
        if count > 2 {
            check.error(format!("{path}.{field}"), format!("Invalid value: {count} entries, must have at most 2"));
        }
    }
    if !tls.ca_crl.is_empty() && !tls.credential_name.is_empty() {
        check.error(format!("{path}.caCrl"), "CRL is not supported with credentialName: put it into the secret");
    }
}

fn certificates(tls: &ServerTlsSettings, path: &str, check: &mut Check<'_>) {
    let by_name = !tls.credential_name.is_empty() || !tls.credential_names.is_empty();
    if !by_name && tls.tls_certificates.is_empty() {
        if tls.server_certificate.is_empty() {
            check.error(path, "one of credentialName, credentialNames or tlsCertificates must be set");
        } else if tls.private_key.is_empty() {
            check.error(format!("{path}.privateKey"), "Required value");
        }
    }
    for (index, one) in tls.tls_certificates.iter().enumerate() {
        if one.server_certificate.is_empty() || one.private_key.is_empty() {
            check.error(format!("{path}.tlsCertificates[{index}]"), "needs serverCertificate and privateKey");
        }
    }
    let asks = matches!(tls.mode, ServerTlsMode::Mutual | ServerTlsMode::OptionalMutual);
    if asks && !by_name && tls.ca_certificates.is_empty() && tls.ca_cert_credential_name.is_empty() {
        check.error(format!("{path}.caCertificates"), "MUTUAL TLS requires a CA: caCertificates or credentialName");
    }
    for (index, hash) in tls.verify_certificate_hash.iter().enumerate() {
        let digits = hash.replace(':', "");
        if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            check.error(
                format!("{path}.verifyCertificateHash[{index}]"),
                format!("Invalid value: {hash:?} is no SHA-256 in hexadecimal"),
            );
        }
    }
}

fn versions(tls: &ServerTlsSettings, path: &str, check: &mut Check<'_>) {
    let old = |version: TlsProtocol| matches!(version, TlsProtocol::Tlsv10 | TlsProtocol::Tlsv11);
    if old(tls.min_protocol_version) {
        check.advise(format!("{path}.minProtocolVersion"), "TLS versions below TLSV1_2 are weak: TLSV1_2 is used");
    }
    let both = tls.min_protocol_version != TlsProtocol::Absent && tls.max_protocol_version != TlsProtocol::Absent;
    if both && tls.max_protocol_version != TlsProtocol::TlsAuto && tls.max_protocol_version < tls.min_protocol_version {
        check.error(format!("{path}.maxProtocolVersion"), "the maximum TLS version is below the minimum");
    }
    for (index, suite) in tls.cipher_suites.iter().enumerate() {
        if tls.cipher_suites[..index].contains(suite) {
            check.advise(format!("{path}.cipherSuites[{index}]"), format!("cipher suite {suite} stands twice"));
        }
    }
}
