//! What `deploy/` ships says what the program understands.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("deploy")
}

fn documents(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(deploy().join(path)).expect(path);
    text.split("\n---\n").map(|one| serde_saphyr::from_str(one).unwrap_or_else(|e| panic!("{path}: {e}"))).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    documents.iter().filter(move |document| document["kind"] == kind)
}

#[test]
fn the_shipped_settings_are_understood() {
    let manifests = documents("kubernetes/wattle.yaml");
    let settings =
        of_kind(&manifests, "ConfigMap").next().expect("settings")["data"]["wattle.yaml"].as_str().expect("text");
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("wattle.yaml"), settings).expect("written");

    let run = support::wattle(dir.path(), &["check"]);

    assert_eq!(run.code, Some(0), "{}", run.stderr);
}

#[test]
fn the_shipped_arguments_are_understood() {
    let manifests = documents("kubernetes/wattle.yaml");
    let pods = of_kind(&manifests, "Deployment").map(|d| &d["spec"]["template"]["spec"]);
    let jobs = of_kind(&manifests, "CronJob").map(|d| &d["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
    let dir = tempfile::tempdir().expect("a folder");
    for pod in pods.chain(jobs) {
        let args: Vec<&str> =
            pod["containers"][0]["args"].as_array().expect("args").iter().filter_map(Value::as_str).collect();
        let asked: Vec<&str> = args.iter().copied().chain(["--help"]).collect();

        let run = support::wattle(dir.path(), &asked);

        assert_eq!(run.code, Some(0), "{args:?}: {}", run.stderr);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"], true);
    }
}

#[test]
fn the_extender_may_only_look_and_write_events() {
    let manifests = documents("kubernetes/wattle.yaml");
    for role in of_kind(&manifests, "ClusterRole") {
        for rule in role["rules"].as_array().expect("rules") {
            let verbs: Vec<&str> = rule["verbs"].as_array().expect("verbs").iter().filter_map(Value::as_str).collect();
            // Events about placed pods are all that it writes.
            let writes = rule["resources"] == serde_json::json!(["events"]);
            let allowed: &[&str] = if writes { &["create"] } else { &["get", "list", "watch"] };
            assert_eq!(verbs, allowed, "{role}");
        }
    }
}

#[test]
fn kube_scheduler_is_told_the_extender_that_is_there() {
    let configuration = &documents("kube-scheduler/config.yaml")[0];
    let extender = &configuration["extenders"][0];
    let manifests = documents("kubernetes/wattle.yaml");
    let service =
        of_kind(&manifests, "Service").find(|s| s["metadata"]["name"] == "wattle-scheduler").expect("a Service");
    let port = &service["spec"]["ports"][0]["port"];

    assert_eq!(extender["urlPrefix"], format!("http://wattle-scheduler.wattle.svc:{port}/scheduler"));
    assert_eq!(extender["nodeCacheCapable"], true);
    assert_eq!(extender["ignorable"], true);
    assert!(extender["weight"].as_u64().expect("a weight") > 0);
}

#[test]
fn grafana_is_told_the_read_api() {
    let provisioning = &documents("grafana/provisioning/datasources/wattle.yaml")[0];
    let datasource = &provisioning["datasources"][0];

    assert_eq!(datasource["type"], "prometheus");
    assert!(datasource["url"].as_str().expect("an address").ends_with(":9090"));
}
