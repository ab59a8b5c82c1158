//! Whatever bytes come: no panic, and an answer or an error.

use proptest::prelude::*;
use wattle_contract::NodeName;
use wattle_scheduler::doctor::{Facts, examine};
use wattle_scheduler::names::Names;
use wattle_scheduler::pod;
use wattle_scheduler::wire::{BindArgs, ExtenderArgs, PreemptArgs, filter_answer, preempt_answer, prioritize_answer};

const CALL: &str = r#"{"Pod":{"metadata":{"name":"p","namespace":"d","uid":"u","labels":{"app":"x"},
"annotations":{"wattle.dev/slo-p95-ms":"20"},"ownerReferences":[{"kind":"ReplicaSet","name":"p-7d9c5b8f4d","controller":true}]},
"spec":{"containers":[{"name":"c","resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}],"initContainers":[{"restartPolicy":"Always"}],
"overhead":{"cpu":1.5}}},"Nodes":{"metadata":{},"items":[{"metadata":{"name":"n\u0031"}}]},"NodeNames":["a","b\n"]}"#;

const PREEMPT: &str = r#"{"Pod":{},"NodeNameToVictims":{"n":{"Pods":[{"metadata":{"uid":"u"}}],"NumPDBViolations":1}},
"NodeNameToMetaVictims":{"n":{"Pods":[{"UID":"u"}],"NumPDBViolations":0}}}"#;

const CONFIGURATION: &str = "apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nextenders:\n\
    - urlPrefix: http://x/scheduler\n  weight: 1\n  httpTimeout: 1m30s\n  tlsConfig: {insecure: true, caFile: a}\n";

/// Replaces, removes or repeats pieces of a well-formed text.
fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edit = (0..text.len(), 0_usize..12, proptest::collection::vec(any::<u8>(), 0..4), any::<bool>());
    proptest::collection::vec(edit, 0..6).prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, cut, put, doubled) in edits {
            let at = at.min(bytes.len());
            let end = (at + cut).min(bytes.len());
            let piece: Vec<u8> = if doubled { bytes[at..end].repeat(2) } else { put };
            bytes.splice(at..end, piece);
        }
        bytes
    })
}

fn read_all(bytes: &[u8]) {
    let names = Names::new(["a", "n1"].map(NodeName::from));
    if let Ok(args) = ExtenderArgs::parse(bytes, &names) {
        let answer = filter_answer(&names, &args.candidates, &[true, false], "no");
        assert!(serde_json::from_slice::<serde_json::Value>(&answer).is_ok());
        let scores = prioritize_answer(&names, &args.candidates, |_| 7);
        let scores: serde_json::Value = serde_json::from_slice(&scores).expect("JSON");
        assert_eq!(scores.as_array().map(Vec::len), Some(args.candidates.len()));
        if let Some(raw) = args.pod {
            let _ = pod::read(raw.get(), "cluster.local");
        }
    }
    if let Ok(args) = PreemptArgs::parse(bytes) {
        assert!(serde_json::from_slice::<serde_json::Value>(&preempt_answer(&args.victims)).is_ok());
    }
    let _ = BindArgs::parse(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        read_all(&bytes);
    }

    #[test]
    fn a_damaged_call_is_read_or_refused(bytes in damaged(CALL)) {
        read_all(&bytes);
    }

    #[test]
    fn a_damaged_preemption_is_read_or_refused(bytes in damaged(PREEMPT)) {
        read_all(&bytes);
    }

    #[test]
    fn a_damaged_configuration_is_examined(bytes in damaged(CONFIGURATION)) {
        let facts = Facts {
            deadline: std::time::Duration::from_millis(500),
            top_score: 10,
            nodes: Some(100),
            refuses_nodes: false,
        };
        prop_assert!(!examine(&String::from_utf8_lossy(&bytes), &facts).findings.is_empty());
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for deep in [format!(r#"{{"NodeNames":{}"#, "[".repeat(200_000)), format!(r#"{{"x":{}"#, "{\"a\":".repeat(100_000))]
    {
        assert!(ExtenderArgs::parse(deep.as_bytes(), &Names::default()).is_err());
    }
    let pod = format!(r#"{{"metadata":{}"#, "[".repeat(200_000));
    assert!(pod::read(&pod, "cluster.local").is_err());
}
