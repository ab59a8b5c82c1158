//! Checking certificates of the other side: the chain, revocations, and names that Istio's resources ask for.

use std::sync::Arc;

use base64::Engine;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore, SignatureScheme,
};
use sha2::{Digest, Sha256};
use wattle_contract::route::{DomainMatch, SanMatch};
use webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList,
    RevocationOptionsBuilder,
};

/// Who is believed.
#[derive(Debug)]
pub(super) struct Trust {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    revoked: Vec<CertRevocationList<'static>>,
}

impl Trust {
    /// Reads the lists of revoked certificates.
    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        roots: Arc<RootCertStore>,
        revoked: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, String> {
        let read = |list: CertificateRevocationListDer<'static>| -> Result<CertRevocationList<'static>, String> {
            let list =
                BorrowedCertRevocationList::from_der(&list).map_err(|error| format!("revocation list: {error}"))?;
            let owned: OwnedCertRevocationList =
                list.to_owned().map_err(|error| format!("revocation list: {error}"))?;
            Ok(owned.into())
        };
        let revoked = revoked.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { provider, roots, revoked })
    }

    fn check(
        &self,
        leaf: &EndEntityCert<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), Error> {
        let lists: Vec<&CertRevocationList<'_>> = self.revoked.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
            // As OpenSSL with one list: of a certificate whose issuer has no list nothing is known.
            builder.with_status_policy(webpki::UnknownStatusPolicy::Allow).build()
        });
        let algorithms = self.provider.signature_verification_algorithms.all;
        leaf.verify_for_usage(algorithms, &self.roots.roots, between, now, usage, revocation, None)
            .map(drop)
            .map_err(|error| Error::InvalidCertificate(certificate_error(error)))
    }
}

fn certificate_error(error: webpki::Error) -> CertificateError {
    match error {
        webpki::Error::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        webpki::Error::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        webpki::Error::CertRevoked => CertificateError::Revoked,
        webpki::Error::UnknownIssuer => CertificateError::UnknownIssuer,
        webpki::Error::CertNotValidForName(context) => {
            CertificateError::NotValidForNameContext { expected: context.expected, presented: context.presented }
        }
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
}

fn parse<'a>(leaf: &'a CertificateDer<'_>) -> Result<EndEntityCert<'a>, Error> {
    EndEntityCert::try_from(leaf).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

/// Checks a server.
#[derive(Debug)]
pub(super) struct Server {
    /// `None` checks nothing but that the server has the key.
    pub(super) trust: Option<Trust>,
    pub(super) provider: Arc<CryptoProvider>,
    /// Names of which it must have one; empty means the server's name.
    pub(super) names: Vec<String>,
}

impl Server {
    fn has_name(&self, leaf: &EndEntityCert<'_>, server: &ServerName<'_>) -> Result<(), Error> {
        let invalid = |error| Error::InvalidCertificate(certificate_error(error));
        if self.names.is_empty() {
            return leaf.verify_is_valid_for_subject_name(server).map_err(invalid);
        }
        let is_its = |name: &String| {
            leaf.valid_uri_names().any(|uri| uri == name)
                || ServerName::try_from(name.as_str())
                    .is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok())
        };
        if self.names.iter().any(is_its) {
            Ok(())
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
    }
}

impl ServerCertVerifier for Server {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            let leaf = parse(leaf)?;
            trust.check(&leaf, between, now, KeyUsage::server_auth())?;
            self.has_name(&leaf, server)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Checks a client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) trust: Trust,
    pub(super) is_required: bool,
    /// Names of which it must have one; empty means any.
    pub(super) names: Vec<SanMatch>,
    /// SHA-256 of accepted certificates in small hexadecimal digits; empty means any.
    pub(super) hashes: Vec<String>,
    /// Base64 of SHA-256 of accepted public keys; empty means any.
    pub(super) keys: Vec<String>,
}

impl Client {
    fn is_one_of(&self, der: &CertificateDer<'_>, leaf: &EndEntityCert<'_>) -> bool {
        let has = |name: &SanMatch| match name {
            SanMatch::Uri(uri) => leaf.valid_uri_names().any(|other| other == uri),
            SanMatch::Dns(pattern) => leaf.valid_dns_names().any(|name| fits(pattern, name)),
        };
        let is_named = self.names.is_empty() || self.names.iter().any(has);
        let hash = || Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let key = || base64::engine::general_purpose::STANDARD.encode(Sha256::digest(leaf.subject_public_key_info()));
        // As Envoy: of certificates and keys that are named it must be one.
        let is_pinned = (self.hashes.is_empty() && self.keys.is_empty())
            || self.hashes.contains(&hash())
            || self.keys.contains(&key());
        is_named && is_pinned
    }
}

/// Says whether a name is one of those that a pattern stands for.
pub(super) fn fits(pattern: &DomainMatch, name: &str) -> bool {
    match pattern {
        DomainMatch::Exact(exact) => exact.eq_ignore_ascii_case(name),
        DomainMatch::Suffix(ending) => {
            let (name, ending) = (name.to_ascii_lowercase(), ending.to_ascii_lowercase());
            name.len() > ending.len() && name.ends_with(&ending)
        }
        DomainMatch::Any => true,
    }
}

impl ClientCertVerifier for Client {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn verify_client_cert(
        &self,
        der: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let leaf = parse(der)?;
        self.trust.check(&leaf, between, now, KeyUsage::client_auth())?;
        if !self.is_one_of(der, &leaf) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.trust.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.trust.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider.signature_verification_algorithms.supported_schemes()
    }
}
