//! TLS towards upstreams and at gateways.

use std::path::PathBuf;

use wattle_contract::route::{Certificate, ClientCertificate, ClientTls, SanMatch, ServerTls, TlsVersion, TlsVersions};

use super::l4::domain;
use crate::kinds::destination_rule::{ClientTlsMode, ClientTlsSettings};
use crate::kinds::gateway::{ServerTlsMode, ServerTlsSettings, TlsProtocol};
use crate::registry::Service;

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// Compiles TLS towards a service: what the rule says; without a rule mesh mTLS where the endpoint has a proxy.
pub(super) fn client(service: &Service, settings: Option<&ClientTlsSettings>) -> ClientTls {
    let Some(settings) = settings else {
        return if service.external { ClientTls::Disable } else { ClientTls::Auto };
    };
    let names = |own: &[String]| if own.is_empty() { service.subject_alt_names.clone() } else { own.to_vec() };
    match settings.mode {
        // The zero value: a block that is there and names no mode switches TLS off.
        ClientTlsMode::Absent | ClientTlsMode::Disable => ClientTls::Disable,
        ClientTlsMode::IstioMutual => {
            ClientTls::Mesh { subject_alt_names: names(&settings.subject_alt_names), sni: settings.sni.clone() }
        }
        ClientTlsMode::Simple | ClientTlsMode::Mutual => ClientTls::Simple {
            certificate: (settings.mode == ClientTlsMode::Mutual).then(|| own_certificate(service, settings)),
            trust: path(&settings.ca_certificates),
            revocations: path(&settings.ca_crl),
            subject_alt_names: names(&settings.subject_alt_names),
            sni: settings.sni.clone(),
            skip_verify: settings.insecure_skip_verify.unwrap_or(false),
        },
    }
}

fn own_certificate(service: &Service, settings: &ClientTlsSettings) -> Certificate {
    if settings.credential_name.is_empty() {
        let (chain, key) = (settings.client_certificate.as_str().into(), settings.private_key.as_str().into());
        Certificate::Files { chain, key }
    } else {
        credential(&settings.credential_name, service.namespace())
    }
}

/// Names a Secret; `namespace/name` and `kubernetes://…` are taken as they are.
fn credential(name: &str, namespace: &str) -> Certificate {
    if name.starts_with("configmap://") || name.starts_with("builtin://") {
        return Certificate::Credential(name.to_owned());
    }
    let name =
        name.strip_prefix("kubernetes://").or_else(|| name.strip_prefix("kubernetes-gateway://")).unwrap_or(name);
    let full = if name.contains('/') { name.to_owned() } else { format!("{namespace}/{name}") };
    Certificate::Credential(format!("kubernetes://{full}"))
}

/// Compiles how a gateway server ends TLS; `None` passes it through.
pub(super) fn server(settings: &ServerTlsSettings, namespace: &str) -> Option<ServerTls> {
    let client_certificate = match settings.mode {
        ServerTlsMode::Absent | ServerTlsMode::Passthrough | ServerTlsMode::AutoPassthrough => return None,
        ServerTlsMode::Simple => ClientCertificate::None,
        ServerTlsMode::OptionalMutual => ClientCertificate::Optional,
        ServerTlsMode::Mutual | ServerTlsMode::IstioMutual => ClientCertificate::Required,
    };
    let asks = client_certificate != ClientCertificate::None;
    let trust = match (settings.ca_cert_credential_name.as_str(), settings.ca_certificates.as_str()) {
        ("", "") if asks && !settings.credential_name.is_empty() => {
            Some(credential(&format!("{}-cacert", settings.credential_name), namespace))
        }
        ("", "") => None,
        ("", file) => Some(Certificate::Files { chain: file.into(), key: PathBuf::new() }),
        (name, _) => Some(credential(name, namespace)),
    };
    Some(ServerTls {
        certificates: certificates(settings, namespace),
        client_certificate,
        trust,
        revocations: path(&settings.ca_crl),
        subject_alt_names: settings.subject_alt_names.iter().map(|name| san(name)).collect(),
        verify_hashes: settings
            .verify_certificate_hash
            .iter()
            .map(|hash| hash.replace(':', "").to_lowercase())
            .collect(),
        verify_spki: settings.verify_certificate_spki.clone(),
        versions: versions(settings),
        cipher_suites: settings.cipher_suites.clone(),
    })
}

fn certificates(settings: &ServerTlsSettings, namespace: &str) -> Vec<Certificate> {
    if settings.mode == ServerTlsMode::IstioMutual {
        return Vec::new();
    }
    if !settings.credential_names.is_empty() {
        return settings.credential_names.iter().map(|name| credential(name, namespace)).collect();
    }
    if !settings.credential_name.is_empty() {
        return vec![credential(&settings.credential_name, namespace)];
    }
    let files = |chain: &str, key: &str| Certificate::Files { chain: chain.into(), key: key.into() };
    if settings.tls_certificates.is_empty() {
        return vec![files(&settings.server_certificate, &settings.private_key)];
    }
    settings.tls_certificates.iter().map(|one| files(&one.server_certificate, &one.private_key)).collect()
}

fn san(name: &str) -> SanMatch {
    if name.contains("://") { SanMatch::Uri(name.to_owned()) } else { SanMatch::Dns(domain(name)) }
}

/// Compiles the range of versions. What is older than 1.2 is not spoken, and reported when it is asked for.
fn versions(settings: &ServerTlsSettings) -> TlsVersions {
    let min = if settings.min_protocol_version == TlsProtocol::Tlsv13 { TlsVersion::V1_3 } else { TlsVersion::V1_2 };
    let max = match settings.max_protocol_version {
        TlsProtocol::Absent | TlsProtocol::TlsAuto | TlsProtocol::Tlsv13 => TlsVersion::V1_3,
        TlsProtocol::Tlsv10 | TlsProtocol::Tlsv11 | TlsProtocol::Tlsv12 => TlsVersion::V1_2,
    };
    TlsVersions { min, max }
}
