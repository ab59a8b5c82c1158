//! The client of a job: how targets are connected to, whom it believes and who it says it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::HeaderValue;
use http_body_util::Empty;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::trust::BelieveAnybody;
use crate::config::{Authorization, ScrapeJob, ScrapeTls};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Connects to targets, keeping connections.
#[derive(Clone)]
pub(crate) struct Client {
    pub(in crate::receive) http: Http,
    authorization: Option<Authorization>,
}

type Http = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

impl Client {
    /// Makes the client of a job.
    ///
    /// Errors: a file of `tls_config` cannot be used, or the system trusts nobody while targets are to speak https.
    pub(crate) fn new(job: &ScrapeJob) -> Result<Self, String> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.enforce_http(false);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(job)?).https_or_http();
        let https = match &job.tls.server_name {
            None => https,
            Some(name) => {
                let name = ServerName::try_from(name.clone())
                    .map_err(|error| format!("job {:?}: server_name {name:?} is no name: {error}", job.name))?;
                https.with_server_name_resolver(hyper_rustls::FixedServerNameResolver::new(name))
            }
        };
        let connector = https.enable_http1().wrap_connector(connector);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { http, authorization: job.authorization.clone() })
    }

    /// Gives the header by which the collector says who it is; files are read anew.
    pub(in crate::receive) async fn authorization(&self) -> Result<Option<HeaderValue>, String> {
        let text = match &self.authorization {
            None => return Ok(None),
            Some(Authorization::Given(scheme, credentials)) => format!("{scheme} {credentials}"),
            Some(Authorization::File(scheme, path)) => format!("{scheme} {}", secret(path).await?),
            Some(Authorization::Basic(user, password)) => {
                let password = match password {
                    Ok(text) => text.clone(),
                    Err(path) => secret(path).await?,
                };
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                format!("Basic {pair}")
            }
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| "the credentials are no header's value".to_owned())?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

async fn secret(path: &Path) -> Result<String, String> {
    let read = tokio::fs::read_to_string(path).await;
    read.map(|text| text.trim().to_owned()).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn tls(job: &ScrapeJob) -> Result<ClientConfig, String> {
    let told = |reason: String| format!("job {:?}: {reason}", job.name);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| told(error.to_string()))?;
    let builder = if job.tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAnybody::new(provider)))
    } else {
        builder.with_root_certificates(roots(&job.tls).map_err(told)?)
    };
    match (&job.tls.cert, &job.tls.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(cert).map_err(told)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|why| told(unusable(key, &why)))?;
            builder.with_client_auth_cert(chain, key).map_err(|why| told(unusable(cert, &why)))
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// Gives the authorities: those of the file, else those of the system. A system without any can still scrape http.
fn roots(tls: &ScrapeTls) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match &tls.ca {
        Some(path) => {
            for authority in certificates(path)? {
                roots.add(authority).map_err(|why| unusable(path, &why))?;
            }
        }
        None => {
            let of_system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(of_system.certs);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).map_err(|why| unusable(path, &why))?;
    let certificates: Vec<_> = read.collect::<Result<_, _>>().map_err(|why| unusable(path, &why))?;
    if certificates.is_empty() {
        return Err(unusable(path, &"it holds no certificate"));
    }
    Ok(certificates)
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> String {
    format!("cannot use {}: {why}", path.display())
}
