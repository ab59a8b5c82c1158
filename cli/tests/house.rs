//! Holds the house to its plan: arrows between crates, size of files, generated documents.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which rooms a room may know. Arrows point down only.
const ARROWS: &[(&str, &[&str])] = &[
    ("wattle-contract", &[]),
    ("wattle-collector", &["wattle-contract"]),
    ("wattle-model", &["wattle-contract"]),
    ("wattle-mesh-config", &["wattle-contract"]),
    ("wattle-proxy", &["wattle-contract"]),
    ("wattle-demo", &["wattle-contract"]),
    ("wattle-scheduler", &["wattle-contract", "wattle-model"]),
    (
        "wattle",
        &[
            "wattle-contract",
            "wattle-collector",
            "wattle-model",
            "wattle-mesh-config",
            "wattle-proxy",
            "wattle-demo",
            "wattle-scheduler",
        ],
    ),
    // Never linked into `wattle`: it tries everything out, so it may know everything.
    ("wattle-testbed", &["wattle-contract", "wattle-model", "wattle-demo", "wattle-scheduler"]),
];

/// Crates that a floor must do without, because it is to be pure.
const PURE: &[(&str, &[&str])] = &[
    ("wattle-contract", &["tokio", "hyper", "axum", "sqlx", "kube", "tonic"]),
    ("wattle-model", &["tokio", "hyper", "axum", "sqlx", "kube", "tonic", "k8s-openapi"]),
    ("wattle-mesh-config", &["tokio", "hyper", "axum", "sqlx", "kube", "tonic"]),
    ("wattle-proxy", &["sqlx", "kube", "k8s-openapi", "saphyr-parser", "serde-saphyr"]),
    ("wattle-scheduler", &["sqlx", "promql-parser", "saphyr-parser"]),
];

/// Lines that a source file may have.
const MAX_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace holds this crate").to_owned()
}

fn packages() -> Vec<(String, BTreeSet<String>)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let names = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("a list").iter();
        let used = dependencies.filter(|d| d["kind"] != "dev");
        used.map(|d| d["name"].as_str().expect("a name").to_owned()).collect()
    };
    let packages = metadata["packages"].as_array().expect("a list");
    packages.iter().map(|p| (p["name"].as_str().expect("a name").to_owned(), names(p))).collect()
}

#[test]
fn arrows_point_down_only() {
    let packages = packages();
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    for (package, dependencies) in &packages {
        let (_, allowed) = ARROWS.iter().find(|(room, _)| room == package).unwrap_or_else(|| {
            panic!("{package} has no place in the house: add it to ARROWS with the rooms it may know");
        });
        for known in dependencies.iter().filter(|name| rooms.contains(name.as_str())) {
            assert!(allowed.contains(&known.as_str()), "{package} must not know {known}");
        }
    }
    assert_eq!(packages.len(), ARROWS.len(), "every room of the house is a member of the workspace");
}

#[test]
fn pure_rooms_stay_pure() {
    for (package, dependencies) in packages() {
        let Some((_, unwanted)) = PURE.iter().find(|(room, _)| *room == package) else { continue };
        for name in *unwanted {
            assert!(!dependencies.contains(*name), "{package} must do without {name}");
        }
    }
}

#[test]
fn a_source_file_is_one_idea() {
    let listed = Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output();
    let Ok(listed) = listed.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()) else {
        println!("git is not here: the length of files was not looked at");
        return;
    };
    for name in listed.lines() {
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines: split it by ideas");
        let first = text.lines().next().unwrap_or_default();
        if name.ends_with("tests.rs") {
            continue;
        }
        assert!(first.starts_with("//!"), "{name} does not begin with a line that says what it is");
    }
}

#[test]
fn the_reference_of_settings_is_up_to_date() {
    let printed = Command::new(env!("CARGO_BIN_EXE_wattle")).args(["check", "--reference"]).output().expect("it runs");
    let made = String::from_utf8(printed.stdout).expect("text");
    let path = root().join("docs/config.md");
    if std::env::var_os("WATTLE_UPDATE").is_some() {
        std::fs::write(&path, &made).expect("docs can be written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/config.md is old: run WATTLE_UPDATE=1 cargo test -p wattle --test house");
}

#[test]
fn every_command_of_the_readme_is_executed_somewhere() {
    // Where each command of README.md is executed; a command that is not listed here is executed by nobody.
    let executed: &[(&str, &str)] = &[
        ("cargo run --release -- up --demo", ".ci/demo, cli/tests/demo.rs"),
        ("bash .ci/test", ".ci/run"),
        ("wattle explain --pod", "cli/tests/demo.rs"),
        ("wattle train --store", "cli/tests/demo.rs"),
        ("wattle evaluate --model", "cli/tests/demo.rs"),
        ("wattle check", "cli/tests/refusals.rs, cli/tests/verbs.rs"),
        ("curl ", "cli/tests/demo.rs asks the same addresses"),
        ("kubectl ", "cli/tests/deploy.rs parses what it applies"),
        ("helm ", "cli/tests/deploy.rs"),
    ];
    let readme = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let mut inside = false;
    for line in readme.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = language == "sh";
            continue;
        }
        let command = line.trim_start_matches("target/release/").trim();
        if !inside || command.is_empty() || command.starts_with('#') {
            continue;
        }
        assert!(executed.iter().any(|(start, _)| command.starts_with(start)), "nobody executes: {command}");
    }
}

#[test]
fn documents_name_files_that_are_there() {
    let mut documents: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|d| root().join(d)).into();
    documents
        .extend(std::fs::read_dir(root().join("docs")).expect("docs").filter_map(|entry| Some(entry.ok()?.path())));
    for document in documents.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = std::fs::read_to_string(document).expect("text");
        let about = document.display();
        let folder = document.parent().expect("a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = target.starts_with("http") || path.is_empty();
            assert!(elsewhere || folder.join(path).exists(), "{about} links to {target}, which is not there");
        }
        for code in text.split('`').skip(1).step_by(2) {
            let is_source = code.ends_with(".rs") && code.contains('/') && !code.contains([' ', '*', '{']);
            assert!(!is_source || root().join(code).exists(), "{about} names {code}, which is not there");
        }
    }
}
