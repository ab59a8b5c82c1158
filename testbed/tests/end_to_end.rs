//! The extender under the real kube-scheduler: `testbed/kube/end-to-end`, where the control plane can be had.
//!
//! With `CI=true` it must run; elsewhere it runs when the control plane has been built already or `WATTLE_KUBE_BIN` is
//! set, and says so in one line when not: a build takes ten minutes, which no test should take by surprise.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate").to_owned()
}

/// Gives the program `wattle` of this build, built if it is not there.
fn wattle() -> PathBuf {
    let here = std::env::current_exe().expect("this test is a file");
    let profile = here.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    let program = profile.join("wattle");
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--locked", "-p", "wattle"]).current_dir(root()).status();
        assert!(built.is_ok_and(|status| status.success()), "wattle cannot be built");
    }
    program
}

#[test]
fn the_real_kube_scheduler_places_pods_where_the_extender_wants_them() {
    let must_run = std::env::var("CI").is_ok_and(|value| value == "true");
    let build = root().join("testbed/control-plane/build");
    if !must_run {
        let there = Command::new(&build).arg("--check").output().expect("the script runs");
        if !there.status.success() {
            println!("no control plane here: nothing is run end to end (testbed/control-plane/build makes one)");
            return;
        }
    }

    let done = Command::new("python3")
        .arg(root().join("testbed/kube/end-to-end"))
        .env("WATTLE_BIN", wattle())
        .output()
        .expect("python3 runs");

    let said = String::from_utf8_lossy(&done.stdout);
    println!("{said}");
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("ok      pods_go_where_the_extender_wants_them"), "{said}");
}
