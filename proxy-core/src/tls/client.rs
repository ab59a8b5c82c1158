//! TLS towards upstreams.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wattle_contract::route::{self, Certificate, ClientTls};

use super::files::Files;
use super::provider;
use super::verify::{Server, Trust};
use crate::io::Io;

/// Begins TLS on connections to the endpoints of a cluster.
pub(crate) struct Originator {
    http1: TlsConnector,
    http2: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Originator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Originator").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Originator {
    /// Gives what a cluster asks for; `None` where that is cleartext.
    ///
    /// Errors: the reason why it cannot be had.
    pub(crate) fn compile(cluster: &route::Cluster, files: &mut Files) -> Result<Option<Arc<Self>>, String> {
        let ClientTls::Simple { certificate, trust, revocations, subject_alt_names, sni, skip_verify } = &cluster.tls
        else {
            return Ok(None);
        };
        let host = if sni.is_empty() { cluster.service.as_str() } else { sni };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host} is no server name; name one with tls.sni"))?;
        let provider = provider();
        let trust = if *skip_verify {
            None
        } else {
            let roots = roots(trust.as_deref(), files)?;
            Some(Trust::new(provider.clone(), roots, files.revocations(revocations.as_deref())?)?)
        };
        let verifier = Arc::new(Server { trust, provider, names: subject_alt_names.clone() });
        let mut config = config(verifier, certificate.as_ref(), files)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut http2 = config.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Some(Arc::new(Self { http1: Arc::new(config).into(), http2: Arc::new(http2).into(), name })))
    }

    /// Shakes hands.
    pub(crate) async fn connect(&self, stream: TcpStream, http2: bool) -> io::Result<Io> {
        let connector = if http2 { &self.http2 } else { &self.http1 };
        let stream = connector.connect(self.name.clone(), stream).await?;
        if http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not speak HTTP/2 over TLS"));
        }
        Ok(Io::Tls(Box::new(stream.into())))
    }
}

fn config(verifier: Arc<Server>, certificate: Option<&Certificate>, files: &mut Files) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(certificate) = certificate else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = files.certificate(certificate)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| format!("client certificate: {error}"))
}

fn roots(trust: Option<&Path>, files: &mut Files) -> Result<Arc<RootCertStore>, String> {
    if let Some(path) = trust {
        return files.trust(path).map(Arc::new);
    }
    // The system's: read once, they are hundreds.
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a trusted certificate of the system could not be read");
        }
        roots.add_parsable_certificates(found.certs);
        Arc::new(roots)
    };
    let roots = SYSTEM.get_or_init(read);
    if roots.is_empty() {
        return Err("the system has no trusted certificates; name a file with tls.caCertificates".to_owned());
    }
    Ok(roots.clone())
}
