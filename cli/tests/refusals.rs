//! Wrong input on the command line, in settings and in files: one clear line each, the right exit code, nothing lost.

mod support;

use std::fs;

use support::{Run, wattle};

#[test]
fn unknown_keys_are_told_all_at_once_with_suggestions() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("wattle.yaml");
    fs::write(&file, "collector:\n  windw: 5s\n  retention: soon\nschduler:\n  listen: 127.0.0.1:1\n")
        .expect("written");

    let Run { code, stderr, .. } = wattle(dir.path(), &["check"]);

    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("wattle.yaml:2: collector.windw: unknown key; did you mean 'collector.window'?"),
        "{stderr}"
    );
    assert!(stderr.contains("wattle.yaml:3: collector.retention: 'soon' is not a duration"), "{stderr}");
    assert!(
        stderr.contains("wattle.yaml:5: schduler.listen: unknown key; did you mean 'scheduler.listen'?"),
        "{stderr}"
    );
    assert!(stderr.contains("3 problems"), "{stderr}");
}

#[test]
fn environment_and_flags_are_checked_alike() {
    let dir = tempfile::tempdir().expect("a folder");

    let wrong_flag = wattle(dir.path(), &["check", "--set", "collector.window=0s"]);
    let wrong_environment = support::wattle_with(dir.path(), &["check"], &[("WATTLE__PROXY__TRACE_SAMPLING", "7")]);
    let right = wattle(dir.path(), &["check", "--set", "collector.window=5s"]);

    assert_eq!(wrong_flag.code, Some(2));
    assert!(wrong_flag.stderr.contains("1s to 1h"), "{}", wrong_flag.stderr);
    assert_eq!(wrong_environment.code, Some(2));
    assert!(wrong_environment.stderr.contains("WATTLE__PROXY__TRACE_SAMPLING"), "{}", wrong_environment.stderr);
    assert_eq!(right.code, Some(0), "{}", right.stderr);
}

#[test]
fn a_corrupt_database_is_refused_and_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("wattle.db");
    let content = "this is not a database, but somebody may want it back\n".repeat(100);
    fs::write(&file, &content).expect("written");

    let run = wattle(dir.path(), &["migrate", "--store", &format!("sqlite://{}", file.display())]);

    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("wattle.db"), "{}", run.stderr);
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&file).expect("still there"), content);
}

#[test]
fn a_foreign_model_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let model = dir.path().join("model.wattle");
    fs::write(&model, b"PK\x03\x04 something else").expect("written");

    let run =
        wattle(dir.path(), &["up", "--demo", "--port-base", "28900", "--data", &dir.path().display().to_string()]);

    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains("model.wattle") && run.stderr.contains("remove the file"), "{}", run.stderr);
}

#[test]
fn a_port_in_use_is_told_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();

    let run = wattle(dir.path(), &["collector", "--listen", &address, "--set", "general.listen=127.0.0.1:0"]);

    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(run.stderr.contains(&address) && run.stderr.contains("collector.listen"), "{}", run.stderr);
    assert!(!dir.path().join("wattle-data").exists(), "nothing was created");
}

#[test]
fn bad_yaml_is_told_with_file_and_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("bad.yaml");
    fs::write(
        &file,
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: a\nspec:\n  hosts: [a]\n  http:\n  - rout: []\n",
    )
    .expect("written");

    let check = wattle(dir.path(), &["check", &file.display().to_string()]);
    let serve = wattle(
        dir.path(),
        &[
            "proxy",
            "--mesh",
            &file.display().to_string(),
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--metrics",
            "127.0.0.1:0",
            "--set",
            "general.listen=127.0.0.1:0",
            "--set",
            "proxy.health=127.0.0.1:0",
            "--set",
            "proxy.inbound=127.0.0.1:0",
        ],
    );

    assert_eq!(check.code, Some(1), "{}", check.stdout);
    assert!(check.stdout.contains("bad.yaml:8") && check.stdout.contains("rout"), "{}", check.stdout);
    assert_eq!(serve.code, Some(1), "{}", serve.stderr);
    assert!(serve.stderr.contains("bad.yaml:8"), "{}", serve.stderr);
}

#[test]
fn a_missing_model_or_store_is_told_with_its_remedy() {
    let dir = tempfile::tempdir().expect("a folder");

    let no_model = wattle(dir.path(), &["evaluate", "--store", "sqlite://none.db"]);
    let no_windows = wattle(dir.path(), &["train", "--store", "sqlite://none.db", "--out", "m.wattle"]);

    assert_eq!(no_model.code, Some(1));
    assert!(no_model.stderr.contains("wattle train"), "{}", no_model.stderr);
    assert_eq!(no_windows.code, Some(1), "{}", no_windows.stderr);
    assert!(!dir.path().join("m.wattle").exists());
}
