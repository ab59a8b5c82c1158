//! Whether the extender answers under the address that kube-scheduler is given, the way kube-scheduler would ask.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::ByteString;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Extender, Finding, KubeScheduler, Severity, is_ours};

const WITHIN: Duration = Duration::from_secs(5);
/// Long enough for any answer to `/livez`.
const MOST_BYTES: u64 = 4_096;

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum Unreached {
    #[error("{0:?} is no address with http:// or https://")]
    Address(String),
    #[error("cannot connect to {0}: {1}")]
    Connect(String, std::io::Error),
    #[error("the TLS handshake failed: {0}")]
    Tls(std::io::Error),
    #[error("cannot use {0} of tlsConfig: {1}")]
    File(String, String),
    #[error("the connection broke: {0}")]
    Broken(std::io::Error),
    #[error("no answer within 5 s")]
    TooSlow,
    #[error("the answer is not that of this extender: {0:?}")]
    Stranger(String),
}

/// Asks the extender that a configuration names; nothing is found where it names none, or cannot be read.
pub async fn reach(configuration: &str) -> Vec<Finding> {
    let read: KubeScheduler = serde_saphyr::from_str(configuration).unwrap_or_default();
    let Some(extender) = read.extenders.into_iter().flatten().find(|extender| is_ours(&extender.url_prefix)) else {
        return Vec::new();
    };
    let asked = tokio::time::timeout(WITHIN, ask(&extender)).await.unwrap_or(Err(Unreached::TooSlow));
    let finding =
        |severity, label, message, remedy: &str| Finding { severity, label, message, remedy: remedy.to_owned() };
    vec![match asked {
        Ok(()) => finding(
            Severity::Info,
            "reachable",
            format!("the extender answers at {} from here", extender.url_prefix),
            "from kube-scheduler's own host the way may be another",
        ),
        Err(error) => finding(
            Severity::Error,
            "unreachable",
            format!("the extender does not answer at {}: {error}", extender.url_prefix),
            "start it, or mend urlPrefix and tlsConfig; run this where kube-scheduler runs",
        ),
    }]
}

async fn ask(extender: &Extender) -> Result<(), Unreached> {
    let url: http::Uri = extender.url_prefix.parse().map_err(|_| Unreached::Address(extender.url_prefix.clone()))?;
    let (Some(host), Some(scheme)) = (url.host(), url.scheme_str()) else {
        return Err(Unreached::Address(extender.url_prefix.clone()));
    };
    let is_tls = scheme == "https";
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let address = format!("{host}:{port}");
    let stream = TcpStream::connect(&address).await.map_err(|why| Unreached::Connect(address.clone(), why))?;
    if !is_tls {
        return livez(stream, &address).await;
    }
    let tls = extender.tls_config.as_ref();
    let named = tls.map(|tls| tls.server_name.as_str()).filter(|name| !name.is_empty()).unwrap_or(host);
    let name = named.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|_| Unreached::Address(named.to_owned()))?;
    let stream = TlsConnector::from(Arc::new(client(extender)?)).connect(name, stream).await.map_err(Unreached::Tls)?;
    livez(stream, &address).await
}

/// The same files as kube-scheduler: without a CA it verifies nothing, and neither can this look.
fn client(extender: &Extender) -> Result<ClientConfig, Unreached> {
    let mut roots = RootCertStore::empty();
    let tls = extender.tls_config.as_ref();
    if let Some(pem) = tls.map(|tls| pem("caFile", &tls.ca_file, &tls.ca_data)).transpose()? {
        let why = |why: String| Unreached::File("the CA".to_owned(), why);
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| why(error.to_string()))?;
            roots.add(certificate).map_err(|error| why(error.to_string()))?;
        }
    }
    if roots.is_empty() {
        return Err(Unreached::File(
            "caFile".to_owned(),
            "neither it nor caData is set, so the certificate cannot be verified".to_owned(),
        ));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Unreached::File("caFile".to_owned(), error.to_string()))?
        .with_root_certificates(roots);
    let Some(tls) = tls else { return Ok(config.with_no_client_auth()) };
    let cert = pem("certFile", &tls.cert_file, &tls.cert_data)?;
    let key = pem("keyFile", &tls.key_file, &tls.key_data)?;
    if cert.is_empty() || key.is_empty() {
        return Ok(config.with_no_client_auth());
    }
    let why =
        |error: rustls::pki_types::pem::Error| Unreached::File("the client certificate".to_owned(), error.to_string());
    let chain = CertificateDer::pem_slice_iter(&cert).collect::<Result<Vec<_>, _>>().map_err(why)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(why)?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| Unreached::File("the client certificate".to_owned(), error.to_string()))
}

/// Reads what a field holds itself, or the file that its sibling names; what is in the configuration goes first, as in
/// kube-scheduler. Empty where there is neither.
fn pem(key: &str, file: &str, data: &ByteString) -> Result<Vec<u8>, Unreached> {
    if !data.0.is_empty() || file.is_empty() {
        return Ok(data.0.clone());
    }
    std::fs::read(file).map_err(|error| Unreached::File(format!("{key} {file}"), error.to_string()))
}

async fn livez(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> Result<(), Unreached> {
    let request = format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Unreached::Broken)?;
    let mut answer = Vec::new();
    match (&mut stream).take(MOST_BYTES).read_to_end(&mut answer).await {
        // A TLS peer that leaves without saying so has still answered.
        Err(_) if !answer.is_empty() => {}
        read => drop(read.map_err(Unreached::Broken)?),
    }
    let text = String::from_utf8_lossy(&answer);
    if text.starts_with("HTTP/1.1 200") && text.ends_with("ok") {
        return Ok(());
    }
    Err(Unreached::Stranger(text.lines().next().unwrap_or_default().chars().take(80).collect()))
}
