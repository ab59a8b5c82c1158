//! A scheduler that runs apart: its decisions reach the store, and the verbs about them work against it.

mod support;

use serde_json::{Value, json};
use support::{Background, eventually, http, port_base, wattle};

#[test]
fn decisions_of_a_scheduler_that_runs_apart_are_recorded_explained_and_replayed() {
    let dir = tempfile::tempdir().expect("a folder");
    let address = |offset: u16| format!("127.0.0.1:{}", port_base(2) + offset);
    let (extender, own) = (address(0), address(1));
    let scheduler = Background::start(
        dir.path(),
        "scheduler",
        &[
            "scheduler",
            "--listen",
            &extender,
            "--collector",
            &format!("http://{}", address(9)),
            "--model",
            "model.wattle",
            "--set",
            &format!("general.listen={own}"),
            "--set",
            "scheduler.store=sqlite://apart.db",
        ],
    );
    let ready = eventually(30, || http(&own, "GET", "/readyz", &[], b"").filter(|answer| answer.0 == 200));
    assert!(ready.is_some(), "{}", scheduler.log());

    let call = json!({
        "Pod": {"metadata": {"name": "search-1", "namespace": "hotel", "uid": "u"}, "spec": {"containers": []}},
        "NodeNames": ["node-a", "node-b"],
    });
    let headers = [("Content-Type", "application/json")];
    let (status, _) =
        http(&extender, "POST", "/scheduler/prioritize", &headers, call.to_string().as_bytes()).expect("an answer");
    assert_eq!(status, 200);

    let from = format!("http://{extender}");
    let explained = wattle(dir.path(), &["explain", "--pod", "hotel/search-1", "--scheduler", &from]);
    assert!(
        explained.code == Some(0) && explained.stdout.contains("node-b"),
        "{}{}",
        explained.stdout,
        explained.stderr
    );
    let advice = wattle(dir.path(), &["consolidate", "--scheduler", &from]);
    assert!(advice.code == Some(0) && advice.stdout.starts_with("0 nodes, 0 W"), "{}{}", advice.stdout, advice.stderr);

    let replay = ["replay", "--since", "1h", "--store", "sqlite://apart.db", "--json"];
    let replayed = eventually(30, || {
        let run = wattle(dir.path(), &replay);
        let told: Value = serde_json::from_str(&run.stdout).ok()?;
        (told["decisions"] == 1).then_some(told)
    });
    let told = replayed.unwrap_or_else(|| panic!("nothing was recorded: {}", scheduler.log()));
    assert_eq!((&told["compared"], &told["moves"]), (&json!(0), &json!([])), "nothing was predicted: {told}");
    let table = wattle(dir.path(), &replay[..5]);
    assert!(table.stdout.starts_with("1 decisions, 0 predicted under both"), "{}{}", table.stdout, table.stderr);
    let (code, _) = scheduler.interrupt();
    assert_eq!(code, Some(0));

    let gone = wattle(dir.path(), &["consolidate", "--scheduler", &from]);
    assert!(gone.code == Some(1) && gone.stderr.contains("nobody answers at"), "{}", gone.stderr);
}
