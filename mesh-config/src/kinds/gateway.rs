//! Gateway: ports at the edge.

use std::collections::BTreeMap;

use crate::decode::{choices, message};

message! {
    /// Istio's `Gateway`.
    struct Gateway {
        servers: Vec<Server> = "servers";
        selector: BTreeMap<String, String> = "selector";
    }

    /// Istio's `Server`.
    struct Server {
        port: Option<Port> = "port" required;
        bind: String = "bind";
        hosts: Vec<String> = "hosts" required;
        tls: Option<ServerTlsSettings> = "tls";
        default_endpoint: String = "defaultEndpoint" unapplied "hidden in Istio too";
        name: String = "name";
    }

    /// Istio's `Port`.
    struct Port {
        number: u32 = "number" required;
        protocol: String = "protocol" required;
        name: String = "name" required;
        target_port: u32 = "targetPort" unapplied "deprecated: Istio ignores it too";
    }

    /// Istio's `ServerTLSSettings`.
    struct ServerTlsSettings {
        https_redirect: bool = "httpsRedirect";
        mode: ServerTlsMode = "mode";
        server_certificate: String = "serverCertificate";
        private_key: String = "privateKey";
        ca_certificates: String = "caCertificates";
        ca_crl: String = "caCrl";
        credential_name: String = "credentialName";
        credential_names: Vec<String> = "credentialNames";
        ca_cert_credential_name: String = "caCertCredentialName";
        tls_certificates: Vec<TlsCertificate> = "tlsCertificates";
        subject_alt_names: Vec<String> = "subjectAltNames";
        verify_certificate_spki: Vec<String> = "verifyCertificateSpki";
        verify_certificate_hash: Vec<String> = "verifyCertificateHash";
        min_protocol_version: TlsProtocol = "minProtocolVersion";
        max_protocol_version: TlsProtocol = "maxProtocolVersion";
        cipher_suites: Vec<String> = "cipherSuites";
        insecure_skip_verify: Option<bool> = "insecureSkipVerify" unapplied "client certificates are always verified";
    }

    /// Istio's `ServerTLSSettings.TLSCertificate`.
    struct TlsCertificate {
        server_certificate: String = "serverCertificate";
        private_key: String = "privateKey";
        ca_certificates: String = "caCertificates" unapplied "set caCertificates beside tlsCertificates";
    }
}

choices! {
    /// Istio's `ServerTLSSettings.TLSmode`.
    enum ServerTlsMode { Passthrough = "PASSTHROUGH", Simple = "SIMPLE", Mutual = "MUTUAL", AutoPassthrough = "AUTO_PASSTHROUGH", IstioMutual = "ISTIO_MUTUAL", OptionalMutual = "OPTIONAL_MUTUAL" }

    /// Istio's `ServerTLSSettings.TLSProtocol`.
    enum TlsProtocol { TlsAuto = "TLS_AUTO", Tlsv10 = "TLSV1_0", Tlsv11 = "TLSV1_1", Tlsv12 = "TLSV1_2", Tlsv13 = "TLSV1_3" }
}
