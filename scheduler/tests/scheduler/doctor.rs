//! The doctor over configurations as people have them.

use std::time::Duration;

use wattle_scheduler::doctor::{Facts, Severity, examine};

const FACTS: Facts =
    Facts { deadline: Duration::from_millis(500), top_score: 10, nodes: Some(5000), refuses_nodes: false };

const HEAD: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n";

fn labels(configuration: &str) -> Vec<(Severity, &'static str)> {
    examine(configuration, &FACTS).findings.into_iter().map(|finding| (finding.severity, finding.label)).collect()
}

#[test]
fn a_sound_configuration_has_nothing_worse_than_hints() {
    let sound = format!(
        "{HEAD}percentageOfNodesToScore: 100\nclientConnection: {{qps: 500, burst: 1000}}\nextenders:\n\
         - urlPrefix: https://wattle.energy.svc:8888/scheduler/\n  prioritizeVerb: prioritize\n  weight: 5\n\
        \x20 enableHTTPS: true\n  tlsConfig: {{caFile: /etc/ca.pem}}\n  httpTimeout: 2s\n  nodeCacheCapable: true\n\
        \x20 ignorable: true\n"
    );

    assert_eq!(labels(&sound), [(Severity::Info, "weight")]);
    assert_eq!(examine(&sound, &FACTS).mended, None);
}

#[test]
fn everything_wrong_at_once_is_told_and_mended() {
    let wrong = format!(
        "{HEAD}extenders:\n- urlPrefix: https://127.0.0.1:8888/scheduler\n  filterVerb: filters\n  bindVerb: bind\n\
        \x20 enableHTTPS: true\n  httpTimeout: 100ms\n  managedResources: [{{name: example.com/energy}}]\n"
    );

    let found = labels(&wrong);
    for label in ["prioritize_verb", "filter_verb", "weight", "node_cache_capable"] {
        assert!(found.contains(&(Severity::Error, label)), "{label}: {found:?}");
    }
    for label in ["bind_verb", "ignorable", "http_timeout", "managed_resource", "tls", "percentage_of_nodes_to_score"] {
        assert!(found.contains(&(Severity::Warning, label)), "{label}: {found:?}");
    }
    assert!(found.is_sorted(), "{found:?}");

    let mended = examine(&wrong, &FACTS).mended.expect("mended");
    let left = labels(&mended);
    assert!(left.iter().all(|(severity, _)| *severity != Severity::Error), "{left:?}\n{mended}");
    let still: Vec<_> = left.iter().filter(|(severity, _)| *severity == Severity::Warning).map(|(_, l)| *l).collect();
    assert_eq!(still, ["percentage_of_nodes_to_score", "tls"], "only people can decide these\n{mended}");
}

#[test]
fn an_extender_that_is_not_configured_is_added() {
    let none = format!("{HEAD}extenders:\n- urlPrefix: http://gpu:9999/gpu\n  filterVerb: filter\n");

    let diagnosis = examine(&none, &FACTS);

    assert!(
        diagnosis.findings.iter().any(|f| f.label == "not_configured" && f.message.contains("http://gpu:9999/gpu"))
    );
    let mended = diagnosis.mended.expect("mended");
    assert!(mended.contains("http://gpu:9999/gpu") && mended.contains("/scheduler"), "{mended}");
    assert!(!labels(&mended).iter().any(|(_, label)| *label == "not_configured"), "{mended}");
}

#[test]
fn what_is_no_configuration_is_said_so() {
    for text in ["", "[", "a: b: c", "kind: Deployment", "- 1", "kind: KubeSchedulerConfiguration\nextenders: 7"] {
        let diagnosis = examine(text, &FACTS);
        assert_eq!(diagnosis.findings.len(), 1, "{text}: {diagnosis:?}");
        assert_eq!(diagnosis.findings[0].severity, Severity::Error);
        assert_eq!(diagnosis.mended, None);
    }
}
