//! Our answers beside those of a real Prometheus, sample by sample: a short run of `bench/promql/run`.
//!
//! The script fetches Prometheus as a Debian package, loads the same data into both and compares the dashboards'
//! expressions and random queries. `WATTLE_DIFFERENTIAL` sets how many of these.

use std::path::Path;
use std::process::Command;

#[test]
fn answers_are_those_of_a_real_prometheus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !has("python3") || !has("apt-get") {
        println!("no python3 or no apt-get: nothing was compared with a real Prometheus");
        return;
    }
    let count = std::env::var("WATTLE_DIFFERENTIAL").unwrap_or_else(|_| "150".to_owned());

    let run = Command::new(root.join("bench/promql/run"))
        .args(["--debug", "--only", "values", "--queries", &count, "--seed", "20261127"])
        .output()
        .expect("the script starts");

    let told = String::from_utf8_lossy(&run.stdout);
    println!("{told}");
    let is_without_packages = String::from_utf8_lossy(&run.stderr).contains("cannot read the package list");
    if is_without_packages {
        println!("Debian's packages were not reached: nothing was compared with a real Prometheus");
        return;
    }
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
}
