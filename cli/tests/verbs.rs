//! The verbs that look at files, as a person would call them.

mod support;

use std::path::{Path, PathBuf};

use serde_json::Value;
use support::wattle;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// A service with two versions and a canary, in a folder of its own.
fn canary(folder: &Path, name: &str, weights: (u32, u32)) -> String {
    let path = folder.join(name);
    let text = format!(
        r"apiVersion: v1
kind: Service
metadata: {{name: reviews, namespace: shop}}
spec:
  selector: {{app: reviews}}
  ports: [{{name: http, port: 9080}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: shop}}
spec:
  host: reviews
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: v2, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: shop}}
spec:
  hosts: [reviews]
  http:
  - name: jason
    match: [{{headers: {{end-user: {{exact: jason}}}}}}]
    route: [{{destination: {{host: reviews, subset: v2}}}}]
  - name: canary
    route:
    - {{destination: {{host: reviews, subset: v1}}, weight: {}}}
    - {{destination: {{host: reviews, subset: v2}}, weight: {}}}
",
        weights.0, weights.1
    );
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn check_explains_a_request() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = canary(dir.path(), "mesh.yaml", (90, 10));
    let request = ["check", "--explain", "GET http://reviews:9080/x", "--from", "shop/web"];

    let everyone = wattle(dir.path(), &[&request[..], &[&file]].concat());
    let jason = wattle(dir.path(), &[&request[..], &["-H", "end-user: jason", "--json", &file]].concat());

    assert_eq!(everyone.code, Some(0), "{}", everyone.stderr);
    assert!(everyone.stdout.contains("canary") && everyone.stdout.contains("90.0 %"), "{}", everyone.stdout);
    let explanation: Value = serde_json::from_str(&jason.stdout).expect("JSON");
    assert_eq!(explanation["destinations"][0]["percent"], 100.0, "{explanation}");
    assert!(explanation["destinations"][0]["cluster"].as_str().expect("a name").contains("|v2|"));
}

#[test]
fn check_tells_what_would_change() {
    let dir = tempfile::tempdir().expect("a folder");
    let old = canary(dir.path(), "old.yaml", (90, 10));
    let new = canary(dir.path(), "new.yaml", (50, 50));

    let differs = wattle(dir.path(), &["check", "--diff", &old, &new]);
    let same = wattle(dir.path(), &["check", "--diff", &old, &old]);

    assert!(differs.stdout.contains("90") && differs.stdout.contains("50"), "{}{}", differs.stdout, differs.stderr);
    assert!(same.stdout.starts_with("0 changes"), "{}", same.stdout);
}

#[test]
fn check_speaks_to_programs() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bad.yaml");
    std::fs::write(
        &file,
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: a\nspec:\n  hosts: []\n",
    )
    .expect("written");
    let path = file.display().to_string();

    let json = wattle(dir.path(), &["check", "--json", &path]);
    let sarif = wattle(dir.path(), &["check", "--sarif", &path]);

    assert_eq!((json.code, sarif.code), (Some(1), Some(1)));
    let findings: Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert!(findings.to_string().contains("bad.yaml"), "{findings}");
    let log: Value = serde_json::from_str(&sarif.stdout).expect("JSON");
    assert_eq!(log["version"], "2.1.0");
    assert!(!log["runs"][0]["results"].as_array().expect("results").is_empty());
}

#[test]
fn the_doctor_mends_what_is_wrong() {
    let dir = tempfile::tempdir().expect("a folder");
    let shipped = root().join("deploy/kube-scheduler/config.yaml").display().to_string();
    let harmful = dir.path().join("config.yaml");
    let text = std::fs::read_to_string(&shipped)
        .expect("it is shipped")
        .replace("nodeCacheCapable: true", "nodeCacheCapable: false");
    std::fs::write(&harmful, text).expect("written");

    let right = wattle(dir.path(), &["scheduler", "doctor", "--offline", &shipped]);
    let wrong = wattle(dir.path(), &["scheduler", "doctor", "--offline", &harmful.display().to_string()]);

    assert_eq!(right.code, Some(0), "{}", right.stderr);
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
    assert!(wrong.stdout.contains("nodeCacheCapable: true"), "{}", wrong.stdout);
}

#[test]
fn a_file_is_imported_and_the_store_looked_through_counted_and_copied() {
    let dir = tempfile::tempdir().expect("a folder");
    let history = dir.path().join("history.om");
    std::fs::write(&history, "# TYPE x counter\nx_total{a=\"1\"} 1 1000\nx_total{a=\"1\"} 5 9000\n# EOF\n")
        .expect("written");
    let store = format!("sqlite://{}", dir.path().join("w.db").display());
    let copy = dir.path().join("copy.db").display().to_string();
    let run = |arguments: &[&str]| wattle(dir.path(), arguments);

    let imported = run(&["import", "--store", &store, &history.display().to_string()]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(imported.stdout.starts_with("2 samples"), "{}", imported.stdout);

    let verified = run(&["store", "verify", "--store", &store]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    assert!(verified.stdout.ends_with("0 problems\n"), "{}", verified.stdout);
    let stats = run(&["store", "stats", "--store", &store]);
    assert!(stats.stdout.contains("series        1\n"), "{}", stats.stdout);
    assert_eq!(run(&["store", "backup", "--store", &store, &copy]).code, Some(0));
    let again = run(&["store", "backup", "--store", &store, &copy]);
    assert!(again.code != Some(0) && again.stderr.contains("there already"), "{}", again.stderr);

    let nowhere = run(&["import", "--store", &store, "--remote-read", "ftp://a", "--since", "1h"]);
    assert!(nowhere.stderr.contains("'ftp://a' is not the address"), "{}", nowhere.stderr);
    assert_eq!(run(&["import", "--store", &store]).code, Some(2), "neither a file nor a server");

    std::fs::write(&history, "x_total 1\n").expect("written");
    let bad = run(&["import", "--store", &store, &history.display().to_string()]);
    assert!(bad.code != Some(0) && bad.stderr.contains("line 1: a sample without a time"), "{}", bad.stderr);
}
