//! HTTPS as kube-scheduler speaks it: with an authority, with a client certificate, over HTTP/2.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wattle_contract::Timestamp;
use wattle_scheduler::doctor::reach;
use wattle_scheduler::{Clock, Config, Error, Steerer, TlsFiles, Trust, follow_steering};

use crate::world::{Connection, WINDOW, World, args, predictor, snapshot};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
        Self { issuer, folder: TempDir::new().expect("a folder") }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("signs"), key)
    }

    /// Writes the files of a server for 127.0.0.1.
    fn files(&self, demands_client: bool) -> TlsFiles {
        let (cert, key) = self.issue("127.0.0.1");
        let write = |name: &str, text: String| {
            let path = self.folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        TlsFiles {
            cert: write("cert.pem", cert.pem()),
            key: write("key.pem", key.serialize_pem()),
            client_ca: demands_client.then(|| write("ca.pem", self.issuer.pem())),
        }
    }

    async fn connect(
        &self,
        world: &World,
        with_certificate: bool,
        alpn: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = if with_certificate {
            let (cert, key) = self.issue("kube-scheduler");
            let chain = vec![CertificateDer::from(cert.der().to_vec())];
            let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
            config.with_client_auth_cert(chain, key).expect("a pair")
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(world.address).await?;
        let name = world.address.ip().into();
        TlsConnector::from(Arc::new(config)).connect(rustls::pki_types::ServerName::IpAddress(name), stream).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn https_carries_http1_and_http2() {
    let authority = Authority::new();
    let config = Config { tls: Some(authority.files(false)), ..Config::default() };
    let world = World::empty(config, None).await;
    let ask = args("p", &["node-00000"]);

    let mut http1 = Connection::to(authority.connect(&world, false, b"http/1.1").await.expect("a handshake"));
    assert_eq!(http1.post("/scheduler/filter", ask.as_bytes()).await.text(), r#"{"NodeNames":["node-00000"]}"#);
    assert_eq!(http1.post("/scheduler/filter", ask.as_bytes()).await.status, 200);

    let stream = authority.connect(&world, false, b"h2").await.expect("a handshake");
    let (mut http2, driver) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(driver);
    let request = http::Request::post(format!("https://{}/scheduler/filter", world.address))
        .body(http_body_util::Full::new(bytes::Bytes::from(ask)))
        .expect("a request");
    let reply = http2.send_request(request).await.expect("an answer");
    assert_eq!((reply.status().as_u16(), reply.version()), (200, http::Version::HTTP_2));
    drop(http2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_demanded_where_an_authority_is_set() {
    let authority = Authority::new();
    let config = Config { tls: Some(authority.files(true)), ..Config::default() };
    let world = World::empty(config, None).await;
    let ask = args("p", &["node-00000"]);

    let stranger = authority.connect(&world, false, b"http/1.1").await;
    let refused = match stranger {
        Err(_) => true,
        // In TLS 1.3 the client hears of it with the first bytes it reads.
        Ok(stream) => {
            use tokio::io::AsyncReadExt as _;
            Connection::to(stream).split().read_u8().await.is_err()
        }
    };
    assert!(refused);

    let mut known = Connection::to(authority.connect(&world, true, b"http/1.1").await.expect("a handshake"));
    assert_eq!(known.post("/scheduler/filter", ask.as_bytes()).await.status, 200);
    drop(known);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_with_the_certificates_of_the_configuration_in_files_or_inline() {
    let authority = Authority::new();
    let config = Config { tls: Some(authority.files(true)), ..Config::default() };
    let world = World::empty(config, None).await;
    let (cert, key) = authority.issue("kube-scheduler");
    let inline = |pem: String| serde_json::to_string(&ByteString(pem.into_bytes())).expect("base64");
    let ca_file = authority.folder.path().join("ca.pem").display().to_string();
    let client = format!("certData: {}, keyData: {}", inline(cert.pem()), inline(key.serialize_pem()));
    let found = async |tls: &str| {
        let text = format!(
            "extenders:\n- urlPrefix: https://{}/scheduler\n  enableHTTPS: true\n  tlsConfig: {{{tls}}}\n",
            world.address
        );
        let mut findings = reach(&text).await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        let finding = findings.remove(0);
        (finding.label, finding.message)
    };

    let by_file = found(&format!("caFile: {ca_file}, {client}")).await;
    let by_data = found(&format!("caData: {}, {client}", inline(authority.issuer.pem()))).await;
    let stranger = found(&format!("caData: {}", inline(authority.issuer.pem()))).await;
    let other = found(&format!("caData: {}, {client}", inline(Authority::new().issuer.pem()))).await;
    let nobody = found("insecure: true").await;
    let missing = found("caFile: /nonexistent/ca.pem").await;

    assert_eq!((by_file.0, by_data.0), ("reachable", "reachable"), "{by_file:?} {by_data:?}");
    assert_eq!(
        (stranger.0, other.0, nobody.0, missing.0),
        ("unreachable", "unreachable", "unreachable", "unreachable")
    );
    assert!(other.1.contains("the TLS handshake failed"), "{}", other.1);
    assert!(nobody.1.contains("neither it nor caData is set"), "{}", nobody.1);
    assert!(missing.1.contains("caFile /nonexistent/ca.pem"), "{}", missing.1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_certificate_is_named() {
    let authority = Authority::new();
    let files = TlsFiles { cert: Path::new("/nonexistent/cert.pem").to_owned(), ..authority.files(false) };

    let error = crate::world::start_error(Config { tls: Some(files), ..Config::default() }).await;

    assert!(matches!(&error, Error::Tls { path, .. } if path.ends_with("cert.pem")), "{error}");
    assert!(error.to_string().starts_with("cannot use /nonexistent/cert.pem for TLS"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_out_of_range_are_refused_by_name() {
    for (config, word) in [
        (Config { top_score: 0, ..Config::default() }, "top_score"),
        (Config { weight_slo: f64::NAN, ..Config::default() }, "weight_slo"),
        (Config { weight_energy: 0.0, weight_latency: 0.0, ..Config::default() }, "weight_energy"),
        (Config { bind: true, ..Config::default() }, "bind"),
    ] {
        let error = crate::world::start_error(config).await;
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_are_followed_over_https_by_those_that_may_ask() {
    let authority = Authority::new();
    let clock = Clock::new(|| Timestamp(1001 * WINDOW + 1_000));
    let config = Config { tls: Some(authority.files(true)), steer_ratio: Some(4.0), clock, ..Config::default() };
    let world = World::empty(config, None).await;
    world.model.send(Some(predictor())).expect("the scheduler listens");
    world.snapshots.send(Some(Arc::new(snapshot(1000, 0)))).expect("the scheduler listens");
    let write = |name: &str, text: String| {
        let path = authority.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let (cert, key) = authority.issue("proxy");
    let own = (write("proxy.pem", cert.pem()), write("proxy.key", key.serialize_pem()));
    let ca = authority.folder.path().join("ca.pem");
    let address = format!("https://{}", world.address).parse().expect("a URI");
    let follow = |trust: Trust| {
        let (sender, receiver) = watch::channel(Arc::default());
        let scheduler = Steerer::new(&address, Some(&trust)).expect("files that can be used");
        let (often, shutdown) = (Duration::from_millis(1), world.shutdown.clone());
        tokio::spawn(follow_steering(often, Duration::from_secs(60), scheduler, sender, shutdown));
        receiver
    };

    let mut known = follow(Trust { ca: ca.clone(), own: Some(own.clone()) });
    let stranger = follow(Trust { ca: ca.clone(), own: None });
    let misled = follow(Trust { ca: write("other.pem", Authority::new().issuer.pem()), own: Some(own) });

    let weights = known.wait_for(|weights| !weights.services.is_empty()).await.expect("told").clone();
    assert_eq!(weights.services.values().next().map(|nodes| nodes.len()), Some(3));
    assert!(stranger.borrow().services.is_empty() && misled.borrow().services.is_empty());
    world.stop().await;
}

#[test]
fn an_address_and_whom_to_trust_belong_together() {
    let authority = Authority::new();
    let trust = Trust { ca: authority.files(true).client_ca.expect("written"), own: None };
    let missing = Trust { ca: "/nonexistent/ca.pem".into(), own: None };
    let new = |address: &str, trust| Steerer::new(&address.parse().expect("a URI"), trust).map(drop);

    assert!(new("http://127.0.0.1:1", None).is_ok() && new("https://127.0.0.1:1", Some(&trust)).is_ok());
    for (address, trust) in [("https://127.0.0.1:1", None), ("http://127.0.0.1:1", Some(&trust)), ("127.0.0.1:1", None)]
    {
        let error = new(address, trust).expect_err(address).to_string();
        assert!(error.contains(address) && error.contains("authority"), "{error}");
    }
    let error = new("https://127.0.0.1:1", Some(&missing)).expect_err("no such file").to_string();
    assert!(error.starts_with("cannot use /nonexistent/ca.pem for TLS"), "{error}");
}
