//! `wattle scheduler doctor` asks an extender over HTTPS with what the configuration itself holds.

mod support;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use support::{Background, Run, eventually, http, port_base, wattle};

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs"))
    }

    /// Gives a certificate for a name and its key, both as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.0).expect("signs").pem(), key.serialize_pem())
    }
}

/// Asks the doctor about a configuration that carries its certificates itself.
fn doctor(folder: &Path, extender: &str, metrics: &str, tls: &[(&str, &str)]) -> Run {
    let tls: Vec<String> = tls.iter().map(|(key, pem)| format!("{key}: {}", STANDARD.encode(pem))).collect();
    let configuration = format!(
        "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nextenders:\n\
         - urlPrefix: https://{extender}/scheduler\n  prioritizeVerb: prioritize\n  weight: 5\n  nodeCacheCapable: true\n\
        \x20 ignorable: true\n  enableHTTPS: true\n  httpTimeout: 2s\n  tlsConfig: {{{}}}\n",
        tls.join(", ")
    );
    let file = folder.join("config.yaml");
    std::fs::write(&file, configuration).expect("written");
    let metrics = format!("http://{metrics}/metrics");
    wattle(folder, &["scheduler", "doctor", "--metrics", &metrics, &file.display().to_string()])
}

#[test]
fn an_authority_inside_the_configuration_is_the_one_that_counts() {
    let dir = tempfile::tempdir().expect("a folder");
    let (right, wrong) = (Authority::new(), Authority::new());
    let write = |name: &str, pem: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, pem).expect("written");
        path.display().to_string()
    };
    let (certificate, key) = right.issue("127.0.0.1");
    let client = right.issue("kube-scheduler");
    let authority = right.0.pem();
    let at = |offset: u16| format!("127.0.0.1:{}", port_base(2) + 60 + offset);
    let (extender, own) = (at(0), at(1));
    let settings = [
        format!("general.listen={own}"),
        format!("scheduler.tls_certificate={}", write("tls.crt", &certificate)),
        format!("scheduler.tls_key={}", write("tls.key", &key)),
        format!("scheduler.tls_client_ca={}", write("ca.crt", &authority)),
    ];
    let mut arguments = vec!["scheduler", "--listen", &extender];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
    let scheduler = Background::start(dir.path(), "scheduler", &arguments);
    let is_there = eventually(30, || http(&own, "GET", "/livez", &[], b"").filter(|answer| answer.0 == 200));
    assert!(is_there.is_some(), "{}", scheduler.log());

    let pair = [("certData", client.0.as_str()), ("keyData", client.1.as_str())];
    let ask = |authority: &str, pair: &[(&str, &str)]| {
        doctor(dir.path(), &extender, &own, &[&[("caData", authority)], pair].concat())
    };
    let trusted = ask(&authority, &pair);
    let stranger = ask(&wrong.0.pem(), &pair);
    let nameless = ask(&authority, &[]);
    let unreadable = ask("no certificate", &pair);

    assert!(trusted.stderr.contains("info[reachable]"), "{}", trusted.stderr);
    assert!(!trusted.stderr.contains("unreachable"), "{}", trusted.stderr);
    // It was asked over its metrics too: nobody has called it yet.
    assert!(trusted.stderr.contains("error[never_called]"), "{}", trusted.stderr);
    for refused in [stranger, nameless, unreadable] {
        assert!(refused.stderr.contains("error[unreachable]"), "{}", refused.stderr);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    }
    scheduler.interrupt();
}
