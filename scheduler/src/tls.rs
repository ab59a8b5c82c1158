//! HTTPS for the webhook: certificate, key and, where client certificates are demanded, their authorities. The other end
//! of the same, for what follows a scheduler.
//!
//! kube-scheduler has no other way to prove who it is than a client certificate (`tlsConfig.certFile`).

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::{TlsFiles, Trust};
use crate::error::Error;

/// Reads the files into an acceptor that offers HTTP/2 and HTTP/1.1.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|why| refused(&files.cert, why))?;
    let config = match &files.client_ca {
        None => config.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|why| refused(path, why))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().map_err(|why| refused(path, why))?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|why| refused(&files.key, why))?;
    let mut config =
        config.with_single_cert(certificates(&files.cert)?, key).map_err(|why| refused(&files.cert, why))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Reads whom to trust, and who to be, into a client's configuration; without files it trusts nobody.
pub(crate) fn client(trust: Option<&Trust>) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(Trust { ca, .. }) = trust {
        for authority in certificates(ca)? {
            roots.add(authority).map_err(|why| refused(ca, why))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| refused(trust.map_or(Path::new(""), |trust| &trust.ca), why))?
        .with_root_certificates(roots);
    let Some((cert, key)) = trust.and_then(|trust| trust.own.as_ref()) else { return Ok(config.with_no_client_auth()) };
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|why| refused(key, why))?;
    config.with_client_auth_cert(certificates(cert)?, secret).map_err(|why| refused(cert, why))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).map_err(|why| refused(path, why))?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(|why| refused(path, why))?;
    if certificates.is_empty() {
        return Err(refused(path, "it holds no certificate"));
    }
    Ok(certificates)
}

fn refused(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::Tls { path: path.to_owned(), why: why.to_string() }
}
