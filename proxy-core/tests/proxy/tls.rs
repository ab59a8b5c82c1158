//! TLS at gateways and towards upstreams, with certificates made here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use wattle_contract::RouteTable;
use wattle_contract::route::{
    Certificate, ClientCertificate, ClientTls, Cluster, DomainMatch, GatewayListener, GatewayTls, Protocol, SanMatch,
    ServerTls, TlsVersion, TlsVersions, UpstreamProtocol,
};

use crate::kit::{Behaviour, Bench, Upstream, series};
use crate::table::{HOST, cluster, everything, table};

/// An authority and the folder in which its certificates are.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().expect("a key"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("written");
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Makes the certificate of some names: DNS names, or URIs where there is a scheme.
    fn certificate(&self, file: &str, names: &[&str]) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| {
                let text = (*name).try_into().expect("ASCII");
                if name.contains("://") { SanType::URI(text) } else { SanType::DnsName(text) }
            })
            .collect();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let (chain, secret) = (self.path(&format!("{file}.pem")), self.path(&format!("{file}.key")));
        std::fs::write(&chain, certificate.pem()).expect("written");
        std::fs::write(&secret, key.serialize_pem()).expect("written");
        Certificate::Files { chain, key: secret }
    }
}

fn simple(certificates: Vec<Certificate>) -> ServerTls {
    ServerTls {
        certificates,
        client_certificate: ClientCertificate::None,
        trust: None,
        revocations: None,
        subject_alt_names: Vec::new(),
        verify_hashes: Vec::new(),
        verify_spki: Vec::new(),
        versions: TlsVersions::default(),
        cipher_suites: Vec::new(),
    }
}

/// A table whose gateway ends TLS as told and forwards everything.
fn gateway(version: &str, upstream: SocketAddr, tls: Vec<(DomainMatch, ServerTls)>) -> RouteTable {
    let mut given = table(version, vec![everything("svc")], vec![cluster("svc", &[upstream])]);
    let tls = tls.into_iter().map(|(host, tls)| GatewayTls { hosts: vec![host], terminate: Some(tls) });
    given.gateways = vec![GatewayListener {
        name: "gateway".to_owned(),
        bind: None,
        port: 80,
        protocol: Protocol::Https,
        tls: tls.collect(),
        hosts: given.outbound[0].hosts.clone(),
        l4: Vec::new(),
        health_check: None,
    }];
    given
}

/// What a client of the test may have.
#[derive(Default)]
struct Asking<'a> {
    certificate: Option<&'a Certificate>,
    alpn: &'static [&'static [u8]],
}

/// Asks over TLS; gives the status, and the names of the certificate that was shown.
async fn asked(
    authority: &Authority,
    address: SocketAddr,
    name: &str,
    how: Asking<'_>,
) -> Result<(u16, Vec<u8>), String> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.path("ca.pem")).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match how.certificate {
        Some(Certificate::Files { chain, key }) => {
            let chain = CertificateDer::pem_file_iter(chain).expect("PEM").map(|one| one.expect("PEM")).collect();
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).expect("PEM")).expect("a pair")
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = how.alpn.iter().map(|one| one.to_vec()).collect();
    let stream = TcpStream::connect(address).await.expect("the proxy listens");
    let server = ServerName::try_from(name.to_owned()).expect("a name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(server, stream).await.map_err(|error| error.to_string())?;
    let shown = stream.get_ref().1.peer_certificates().expect("shown")[0].to_vec();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let request = Request::get(format!("https://{HOST}/")).header("host", HOST);
    let response = if http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        sender.send_request(request.body(Full::<bytes::Bytes>::default()).expect("a request")).await
    } else {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let request = Request::get("/").header("host", HOST).body(Full::<bytes::Bytes>::default()).expect("a request");
        sender.send_request(request).await
    };
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    response.into_body().collect().await.map_err(|error| error.to_string())?;
    Ok((status, shown))
}

fn der(certificate: &Certificate) -> Vec<u8> {
    let Certificate::Files { chain, .. } = certificate else { panic!("files") };
    CertificateDer::from_pem_file(chain).expect("PEM").to_vec()
}

#[tokio::test]
async fn a_gateway_shows_the_certificate_of_the_name_that_is_asked_for_and_speaks_both_protocols() {
    let (authority, upstream) = (Authority::new(), Upstream::start(Behaviour::Answer(200)).await);
    let (exact, wild) =
        (authority.certificate("exact", &["a.shop.example"]), authority.certificate("wild", &["*.shop.example"]));
    let tls = vec![
        (DomainMatch::Suffix(".shop.example".to_owned()), simple(vec![wild.clone()])),
        (DomainMatch::Exact("a.shop.example".to_owned()), simple(vec![exact.clone()])),
    ];
    let bench = Bench::start(gateway("tls", upstream.address, tls)).await;
    let ask = |name| asked(&authority, bench.gateway, name, Asking::default());

    assert_eq!(ask("a.shop.example").await, Ok((200, der(&exact))));
    assert_eq!(ask("b.shop.example").await, Ok((200, der(&wild))));
    assert!(ask("elsewhere.org").await.is_err(), "nobody is called so here");
    let http2 = Asking { alpn: &[b"h2", b"http/1.1"], ..Asking::default() };
    assert_eq!(asked(&authority, bench.gateway, "a.shop.example", http2).await, Ok((200, der(&exact))));
    let seen = upstream.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|seen| seen.headers["x-forwarded-proto"] == "https"), "{seen:?}");
    // What is no TLS is no reason to wait.
    assert_eq!(
        crate::kit::raw(bench.gateway, b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n").await.as_bytes().first(),
        Some(&21),
        "an alert"
    );
    let metrics = bench.metrics_after(3).await;
    assert_eq!(series(&metrics, "wattle_proxy_requests_rejected_total", &["tls_handshake"]), Some(2.0));
}

#[tokio::test]
async fn a_gateway_takes_only_clients_whose_certificate_fits_where_it_asks_for_one() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let name = "spiffe://cluster.local/ns/a/sa/b";
    let mutual = |change: fn(&mut ServerTls)| {
        let mut tls = ServerTls {
            client_certificate: ClientCertificate::Required,
            trust: Some(Certificate::Files { chain: authority.path("ca.pem"), key: PathBuf::new() }),
            ..simple(vec![authority.certificate("server", &["a.example"])])
        };
        change(&mut tls);
        vec![(DomainMatch::Any, tls)]
    };
    let bench = Bench::start(gateway("mutual", upstream.address, mutual(|_| {}))).await;
    let (known, other) = (authority.certificate("known", &[name]), authority.certificate("other", &["c.example"]));
    let unknown = stranger.certificate("unknown", &[name]);
    let ask = async |certificate| {
        let how = Asking { certificate, ..Asking::default() };
        asked(&authority, bench.gateway, "a.example", how).await.map(|(status, _)| status)
    };

    assert_eq!(ask(Some(&known)).await, Ok(200));
    assert_eq!(ask(Some(&other)).await, Ok(200));
    assert!(ask(None).await.is_err() && ask(Some(&unknown)).await.is_err());

    let named =
        mutual(|tls| tls.subject_alt_names = vec![SanMatch::Uri("spiffe://cluster.local/ns/a/sa/b".to_owned())]);
    taken(&bench, gateway("named", upstream.address, named)).await;
    assert_eq!(ask(Some(&known)).await, Ok(200));
    assert!(ask(Some(&other)).await.is_err() && ask(None).await.is_err());

    taken(
        &bench,
        gateway("optional", upstream.address, mutual(|tls| tls.client_certificate = ClientCertificate::Optional)),
    )
    .await;
    assert_eq!(ask(None).await, Ok(200));
    assert!(ask(Some(&unknown)).await.is_err(), "one that is given is checked");
}

/// Sends a table and waits until it is in force.
async fn taken(bench: &Bench, table: RouteTable) {
    let version = format!("\"version\":\"{}\"", table.version);
    bench.table.send(Arc::new(table)).expect("the proxy runs");
    loop {
        let dump = crate::kit::ask(bench.admin, Request::get("/config_dump").header("host", "admin")).await.text();
        if dump.contains(&version) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn originated(address: SocketAddr, tls: ClientTls, protocol: UpstreamProtocol) -> Cluster {
    Cluster { tls, protocol, service: "a.example".into(), ..cluster("far", &[address]) }
}

fn trusting(authority: &Path) -> ClientTls {
    ClientTls::Simple {
        certificate: None,
        trust: Some(authority.to_owned()),
        revocations: None,
        subject_alt_names: Vec::new(),
        sni: String::new(),
        skip_verify: false,
    }
}

#[tokio::test]
async fn an_upstream_is_asked_over_tls_and_only_one_that_is_who_it_should_be() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let upstream = Upstream::start(Behaviour::Answer(200)).await;
    let server = authority.certificate("server", &["a.example", "spiffe://cluster.local/ns/a/sa/b"]);
    let bench = Bench::start(gateway("first", upstream.address, vec![(DomainMatch::Any, simple(vec![server]))])).await;
    let (good, bad) = (authority.path("ca.pem"), stranger.path("ca.pem"));
    let with = |change: fn(&mut ClientTls)| {
        let mut tls = trusting(&good);
        change(&mut tls);
        tls
    };
    fn names(tls: &mut ClientTls, names: &[&str]) {
        if let ClientTls::Simple { subject_alt_names, .. } = tls {
            *subject_alt_names = names.iter().map(|&name| name.to_owned()).collect();
        }
    }
    let unchecked = |tls: &mut ClientTls| {
        if let ClientTls::Simple { skip_verify, sni, .. } = tls {
            (*skip_verify, *sni) = (true, "b.example".to_owned());
        }
    };
    for (number, (tls, protocol, status)) in [
        (trusting(&good), UpstreamProtocol::Http1, 200),
        (trusting(&good), UpstreamProtocol::Http2, 200),
        (trusting(&bad), UpstreamProtocol::Http1, 503),
        (trusting(&bad), UpstreamProtocol::Http2, 503),
        (with(|tls| names(tls, &["spiffe://cluster.local/ns/a/sa/b"])), UpstreamProtocol::Http1, 200),
        (with(|tls| names(tls, &["c.example", "a.example"])), UpstreamProtocol::Http1, 200),
        (with(|tls| names(tls, &["c.example"])), UpstreamProtocol::Http1, 503),
        (with(unchecked), UpstreamProtocol::Http1, 200),
        (ClientTls::Disable, UpstreamProtocol::Http1, 503),
    ]
    .into_iter()
    .enumerate()
    {
        let mut given = (*bench.table.borrow().clone()).clone();
        given.version = format!("case-{number}");
        let far = originated(bench.gateway, tls.clone(), protocol);
        given.clusters.insert(far.name.clone(), Arc::new(far));
        let mut host = (*given.outbound[0].hosts[0]).clone();
        host.routes = vec![everything("far")];
        given.outbound[0].hosts = vec![Arc::new(host)];
        taken(&bench, given).await;

        for _ in 0..2 {
            assert_eq!(bench.get("/").await.status, status, "{tls:?} over {protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_used_by_the_next_connection_and_a_bad_one_is_not() {
    let (authority, upstream) = (Authority::new(), Upstream::start(Behaviour::Answer(200)).await);
    let first = authority.certificate("server", &["a.example"]);
    let before = der(&first);
    let bench =
        Bench::start(gateway("tls", upstream.address, vec![(DomainMatch::Any, simple(vec![first.clone()]))])).await;
    let shown = async || asked(&authority, bench.gateway, "a.example", Asking::default()).await.expect("an answer").1;
    assert_eq!(shown().await, before);

    std::fs::write(authority.path("server.pem"), "half of a certifi").expect("written");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(shown().await, before, "the last good one stays");

    let after = der(&authority.certificate("server", &["a.example"]));
    let renewed = tokio::time::timeout(Duration::from_secs(20), async {
        while shown().await != after {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    renewed.await.expect("the new one is taken");
}

#[tokio::test]
async fn what_of_tls_cannot_be_had_is_a_reason_to_refuse_the_table() {
    let (authority, upstream) = (Authority::new(), Upstream::start(Behaviour::Answer(200)).await);
    let server = authority.certificate("server", &["a.example"]);
    let with = |change: fn(&mut ServerTls)| {
        let mut tls = simple(vec![server.clone()]);
        change(&mut tls);
        gateway("refused", upstream.address, vec![(DomainMatch::Any, tls)])
    };
    let missing = |tls: &mut ServerTls| {
        tls.certificates = vec![Certificate::Files { chain: "/nowhere/a.pem".into(), key: "/nowhere/a.key".into() }];
    };
    let mut through = with(|_| {});
    through.gateways[0].tls[0].terminate = None;
    let mut unnamed = with(|_| {});
    let mut far = originated(upstream.address, trusting(&authority.path("ca.pem")), UpstreamProtocol::Http1);
    far.service = "*.example".into();
    unnamed.clusters.insert(far.name.clone(), Arc::new(far));
    for (table, reason) in [
        (with(missing), "/nowhere/a.pem"),
        (
            with(|tls| tls.certificates = vec![Certificate::Credential("kubernetes://a/b".to_owned())]),
            "Secrets are not read",
        ),
        (with(|tls| tls.certificates.clear()), "ISTIO_MUTUAL"),
        (with(|tls| tls.client_certificate = ClientCertificate::Required), "tls.caCertificates"),
        (with(|tls| tls.cipher_suites = vec!["RC4-MD5".to_owned()]), "RC4-MD5"),
        (
            with(|tls| tls.versions = TlsVersions { min: TlsVersion::V1_3, max: TlsVersion::V1_2 }),
            "older than the oldest",
        ),
        (through, "not passed through"),
        (unnamed, "*.example is no server name"),
    ] {
        let bench = Bench::start(table).await;

        let dump = crate::kit::ask(bench.admin, Request::get("/config_dump").header("host", "admin")).await.text();
        assert!(dump.contains(reason), "{reason}: {dump}");
    }
    let accepted = with(|tls| tls.cipher_suites = vec!["ECDHE-ECDSA-AES128-GCM-SHA256".to_owned()]);
    let bench = Bench::start(accepted).await;
    assert!(asked(&authority, bench.gateway, "a.example", Asking::default()).await.is_ok());
}
