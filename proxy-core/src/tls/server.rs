//! Ending TLS at gateways.

use std::cmp::Reverse;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use wattle_contract::route::{
    Certificate, ClientCertificate, DomainMatch, GatewayListener, ServerTls, TlsVersion, TlsVersions,
};

use super::files::{Files, secret};
use super::provider;
use super::verify::{Client, Trust, fits};
use crate::io::Io;

/// Ends TLS on the connections of one port, each by the server name that its client sends.
#[derive(Debug)]
pub(crate) struct Terminator {
    /// The most specific first.
    choices: Vec<(DomainMatch, Arc<ServerConfig>)>,
}

impl Terminator {
    /// Gives what a listener asks for; `None` where that is cleartext. What cannot be had is added to the reasons.
    pub(crate) fn compile(
        gateway: &GatewayListener,
        files: &mut Files,
        reasons: &mut Vec<String>,
    ) -> Option<Arc<Self>> {
        if gateway.tls.is_empty() {
            return None;
        }
        let mut choices = Vec::new();
        for tls in &gateway.tls {
            let Some(terminate) = &tls.terminate else {
                reasons.push(format!("gateway {}: TLS is not passed through by this build", gateway.name));
                continue;
            };
            match config(terminate, files) {
                Ok(config) => {
                    let config = Arc::new(config);
                    choices.extend(tls.hosts.iter().map(|host| (host.clone(), config.clone())));
                }
                Err(reason) => reasons.push(format!("gateway {}: {reason}", gateway.name)),
            }
        }
        choices.sort_by_key(|(host, _)| {
            Reverse(match host {
                DomainMatch::Exact(_) => (2, 0),
                DomainMatch::Suffix(ending) => (1, ending.len()),
                DomainMatch::Any => (0, 0),
            })
        });
        Some(Arc::new(Self { choices }))
    }

    /// Shakes hands; a client that asks for another name is refused, as one that speaks no TLS.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Io> {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let hello = start.client_hello();
        let name = hello.server_name();
        let chosen = self.choices.iter().find(|(host, _)| match name {
            Some(name) => fits(host, name),
            None => *host == DomainMatch::Any,
        });
        let Some((_, config)) = chosen else {
            let reason = format!("no certificate is for the server name {}", name.unwrap_or("that was not sent"));
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        };
        let config = config.clone();
        let stream = start.into_stream(config).await?;
        Ok(Io::Tls(Box::new(stream.into())))
    }
}

fn config(tls: &ServerTls, files: &mut Files) -> Result<ServerConfig, String> {
    let provider = suites(tls)?;
    let versions = versions(tls.versions)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| format!("TLS versions and cipher suites do not fit together: {error}"))?;
    let builder = if tls.client_certificate == ClientCertificate::None {
        builder.with_no_client_auth()
    } else {
        builder.with_client_cert_verifier(Arc::new(client(tls, &provider, files)?))
    };
    if tls.certificates.is_empty() {
        return Err("the certificate of the mesh is asked for (ISTIO_MUTUAL), but this build has none".to_owned());
    }
    let mut keys = Vec::new();
    for certificate in &tls.certificates {
        let (chain, key) = files.certificate(certificate)?;
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|error| format!("certificate: {error}"))?;
        keys.push(Arc::new(key));
    }
    let mut config = builder.with_cert_resolver(Arc::new(Keys(keys)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer =
        rustls::crypto::aws_lc_rs::Ticketer::new().map_err(|error| format!("session tickets: {error}"))?;
    Ok(config)
}

fn client(tls: &ServerTls, provider: &Arc<CryptoProvider>, files: &mut Files) -> Result<Client, String> {
    let roots = match &tls.trust {
        Some(Certificate::Files { chain, .. }) => files.trust(chain)?,
        Some(Certificate::Credential(name)) => return Err(secret(name)),
        None => {
            return Err(
                "clients are to be checked, but no trusted certificates are named (tls.caCertificates)".to_owned()
            );
        }
    };
    let revoked = files.revocations(tls.revocations.as_deref())?;
    Ok(Client {
        trust: Trust::new(provider.clone(), Arc::new(roots), revoked)?,
        is_required: tls.client_certificate == ClientCertificate::Required,
        names: tls.subject_alt_names.clone(),
        hashes: tls.verify_hashes.clone(),
        keys: tls.verify_spki.clone(),
    })
}

fn versions(range: TlsVersions) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let all = [(TlsVersion::V1_3, &rustls::version::TLS13), (TlsVersion::V1_2, &rustls::version::TLS12)];
    let chosen: Vec<_> = all.into_iter().filter(|(v, _)| (range.min..=range.max).contains(v)).map(|(_, v)| v).collect();
    if chosen.is_empty() { Err("the newest TLS version is older than the oldest".to_owned()) } else { Ok(chosen) }
}

/// Gives the cryptography with the cipher suites that are named (of TLS 1.2, as in Envoy: those of 1.3 stay).
fn suites(tls: &ServerTls) -> Result<Arc<CryptoProvider>, String> {
    let all = provider();
    if tls.cipher_suites.is_empty() {
        return Ok(all);
    }
    let is_13 = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_some();
    let mut chosen: Vec<_> = all.cipher_suites.iter().copied().filter(is_13).collect();
    for name in &tls.cipher_suites {
        let wanted =
            format!("TLS_{}", name.replace('-', "_")).replace("_AES128_", "_AES_128_").replace("_AES256_", "_AES_256_");
        let fits = |suite: &&rustls::SupportedCipherSuite| {
            let known = format!("{:?}", suite.suite()).replace("_WITH_", "_");
            known == wanted || known == format!("{wanted}_SHA256")
        };
        let suite = all.cipher_suites.iter().find(fits);
        let suite = suite.ok_or_else(|| format!("cipher suite {name} is not spoken by this build"))?;
        if !is_13(suite) {
            chosen.push(*suite);
        }
    }
    Ok(Arc::new(CryptoProvider { cipher_suites: chosen, ..(*all).clone() }))
}

/// Certificates in order of preference.
#[derive(Debug)]
struct Keys(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        self.0.iter().find(|key| key.key.choose_scheme(schemes).is_some()).cloned()
    }
}
