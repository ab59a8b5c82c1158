//! TLS on either side.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::DomainMatch;

/// TLS towards an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientTls {
    /// Cleartext.
    #[default]
    Disable,
    /// Mesh mTLS to endpoints that have a proxy, cleartext to the others.
    Auto,
    /// Mesh mTLS: the workload's own certificate, SPIFFE identities checked.
    Mesh {
        /// Identities that are accepted; empty means those of the endpoints' service accounts.
        subject_alt_names: Vec<String>,
        /// Server name sent; empty means Istio's `outbound_.PORT_.SUBSET_.HOST`.
        sni: String,
    },
    /// TLS with the server's certificate checked.
    Simple {
        /// Own certificate, for mutual TLS.
        certificate: Option<Certificate>,
        /// File of trusted certificates; `None` means the system's.
        trust: Option<PathBuf>,
        /// File of revoked certificates.
        revocations: Option<PathBuf>,
        /// Names that are accepted; empty means the server name.
        subject_alt_names: Vec<String>,
        /// Server name sent; empty means the service's host.
        sni: String,
        /// Whether the server's certificate is not checked at all.
        skip_verify: bool,
    },
}

/// Files or a Secret with a certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// Files in PEM.
    Files {
        /// Certificate chain, leaf first.
        chain: PathBuf,
        /// Private key.
        key: PathBuf,
    },
    /// A Kubernetes Secret, as `kubernetes://NAMESPACE/NAME`.
    Credential(String),
}

/// How a gateway ends TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerTls {
    /// Own certificates; the first that fits the client is used. Empty means the workload's mesh certificate.
    pub certificates: Vec<Certificate>,
    /// Whether a client certificate is asked for, and demanded.
    pub client_certificate: ClientCertificate,
    /// File or credential of certificates trusted for clients.
    pub trust: Option<Certificate>,
    /// File of revoked certificates.
    pub revocations: Option<PathBuf>,
    /// Client identities that are accepted; empty means all that verify.
    pub subject_alt_names: Vec<SanMatch>,
    /// SHA-256 fingerprints of accepted client certificates, hexadecimal; empty means all.
    pub verify_hashes: Vec<String>,
    /// Base64 SHA-256 of accepted client public keys; empty means all.
    pub verify_spki: Vec<String>,
    /// Versions offered.
    pub versions: TlsVersions,
    /// Cipher suites by OpenSSL name; empty means the defaults.
    pub cipher_suites: Vec<String>,
}

/// Whether a client certificate is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// Not asked for.
    #[default]
    None,
    /// Asked for, not demanded; checked when given.
    Optional,
    /// Demanded and checked.
    Required,
}

/// A name in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SanMatch {
    /// A URI, such as a SPIFFE identity.
    Uri(String),
    /// A DNS name.
    Dns(DomainMatch),
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// A range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsVersions {
    /// Oldest.
    pub min: TlsVersion,
    /// Newest.
    pub max: TlsVersion,
}

impl Default for TlsVersions {
    fn default() -> Self {
        Self { min: TlsVersion::V1_2, max: TlsVersion::V1_3 }
    }
}

/// Mesh TLS on a port of the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InboundTls {
    /// Cleartext only.
    Disable,
    /// Both, told apart by the first bytes.
    #[default]
    Permissive,
    /// Mesh mTLS only.
    Strict,
}
