//! Targets that want to know who asks, and targets that never come to an end.

mod common;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use common::{Running, get, query, sqlite, start, until};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wattle_collector::{Config, ScrapeJob};

/// An authority, and what it signed as files.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
        Self { issuer, folder: tempfile::tempdir().expect("a folder") }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("signs"), key)
    }

    /// Serves an exposition as `metrics.internal` to clients that this authority knows; it says who asked in a label.
    async fn serve(&self) -> String {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let (cert, key) = self.issue("metrics.internal");
        let chain = vec![CertificateDer::from(cert.der().to_vec())];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier.build().expect("a verifier"))
            .with_single_cert(chain, key)
            .expect("a pair");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(answer);
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service)
                            .await,
                    );
                });
            }
        });
        address
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let who = request.headers().get("authorization").map_or("nobody", |value| value.to_str().expect("text"));
    let body = format!("asked{{by=\"{who}\",of=\"{}\"}} 1\n", request.uri());
    Ok(Response::new(Full::new(body.into())))
}

async fn collect(dir: &Path, jobs: Vec<Value>) -> Running {
    let scrape = jobs.into_iter().map(|job| ScrapeJob::read(job).expect("a job")).collect();
    start(Config { store_url: sqlite(dir), scrape, ..Config::default() }).await
}

/// Waits until a query has a series; gives its labels and value.
async fn found(running: &Running, asked: &str) -> (Value, String) {
    until(asked, async || {
        let answer = query(&running.api, asked, common::now_ms() as f64 / 1e3).await;
        let first = &answer["data"]["result"][0];
        Some((first["metric"].clone(), first["value"][1].as_str()?.to_owned()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_over_https_believe_certificates_names_and_credentials() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let address = authority.serve().await;
    let (cert, key) = authority.issue("wattle");
    let (cert, key) = (authority.write("c.pem", &cert.pem()), authority.write("k.pem", &key.serialize_pem()));
    let ca = authority.write("ca.pem", &authority.issuer.pem());
    let other = stranger.write("ca.pem", &stranger.issuer.pem());
    let token = authority.write("token", "s3cret\n");
    let trusting = json!({"ca_file": ca, "cert_file": cert, "key_file": key, "server_name": "metrics.internal"});
    let with = |changes: Value| {
        let mut tls = trusting.clone();
        for (name, value) in changes.as_object().expect("changes") {
            tls[name] = value.clone();
        }
        tls
    };
    let job = |name: &str, tls: Value, more: Value| {
        let mut job = json!({"job_name": name, "scheme": "https", "scrape_interval": "300ms", "scrape_timeout": "300ms",
            "static_configs": [{"targets": [address.clone()]}], "tls_config": tls});
        for (name, value) in more.as_object().expect("more") {
            job[name] = value.clone();
        }
        job
    };
    let dir = tempfile::tempdir().expect("a folder");
    let jobs = vec![
        job(
            "basic",
            trusting.clone(),
            json!({"basic_auth": {"username": "u", "password": "p"}, "params": {"a": ["b"]}}),
        ),
        job("bearer", trusting.clone(), json!({"bearer_token_file": token})),
        job("scheme", trusting.clone(), json!({"authorization": {"type": "Token", "credentials": "x"}})),
        job("blind", json!({"cert_file": cert, "key_file": key, "insecure_skip_verify": true}), json!({})),
        job("no-certificate", json!({"ca_file": ca, "server_name": "metrics.internal"}), json!({})),
        job("another-name", with(json!({"server_name": "other.internal"})), json!({})),
        job("by-address", json!({"ca_file": ca, "cert_file": cert, "key_file": key}), json!({})),
        job("another-authority", with(json!({"ca_file": other})), json!({})),
        job("no-token", trusting.clone(), json!({"bearer_token_file": "/nowhere/token"})),
    ];
    let running = collect(dir.path(), jobs).await;

    for (name, by) in [("basic", "Basic dTpw"), ("bearer", "Bearer s3cret"), ("scheme", "Token x"), ("blind", "nobody")]
    {
        let (labels, _) = found(&running, &format!("asked{{job=\"{name}\"}}")).await;
        assert_eq!(labels["by"], by, "{name}");
        assert_eq!(labels["of"], if name == "basic" { "/metrics?a=b" } else { "/metrics" });
    }
    for name in ["no-certificate", "another-name", "by-address", "another-authority", "no-token"] {
        assert_eq!(found(&running, &format!("up{{job=\"{name}\"}}")).await.1, "0", "{name}");
    }
    // A token that changes is read again.
    std::fs::write(&token, "n3w").expect("written");
    found(&running, "asked{job=\"bearer\",by=\"Bearer n3w\"}").await;
    let (_, told) = get(&running.api, "/api/v1/targets").await;
    assert!(told.contains("/nowhere/token") && !told.contains("s3cret"), "{told}");
    running.stop().await;
}

/// Serves a body without an end, `piece` by piece; gives its address.
async fn endless(piece: &'static [u8], pause: std::time::Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                drop(stream.read(&mut [0; 4096]).await);
                let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n").await;
                while sent.is_ok() {
                    sent = stream.write_all(piece).await;
                    tokio::time::sleep(pause).await;
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_never_end_are_down_and_hold_nothing_up() {
    const LONG: &[u8] = &[b'x'; 65_536];
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let never = silent.local_addr().expect("bound").to_string();
    let slow = endless(b"a 1\n", std::time::Duration::from_millis(20)).await;
    let fast = endless(LONG, std::time::Duration::ZERO).await;
    let good = common::target::serve("b 1\n".to_owned(), common::target::TEXT).await;
    let dir = tempfile::tempdir().expect("a folder");
    let job = |name: &str, address: &str| {
        let targets = json!([{"targets": [address]}]);
        json!({"job_name": name, "scrape_interval": "400ms", "scrape_timeout": "400ms", "body_size_limit": "1MB",
            "static_configs": targets})
    };
    let jobs = vec![job("never", &never), job("slow", &slow), job("fast", &fast), job("good", &good)];
    let running = collect(dir.path(), jobs).await;

    for (name, why) in [("never", "no complete answer"), ("slow", "no complete answer"), ("fast", "longer than")] {
        assert_eq!(found(&running, &format!("up{{job=\"{name}\"}}")).await.1, "0", "{name}");
        let (_, told) = get(&running.api, &format!("/api/v1/targets?scrapePool={name}")).await;
        assert!(told.contains(why), "{name}: {told}");
    }
    found(&running, "count_over_time(b{job=\"good\"}[1m]) > 2").await;
    // Each is tried again at its next time, and no sooner.
    found(&running, "count_over_time(up{job=\"never\"}[1m]) > 2").await;
    let (_, many) = found(&running, "max(count_over_time(up[1m]) > 2)").await;
    assert!(many.parse::<f64>().expect("a number") < 60.0, "{many}");
    running.stop().await;
}
