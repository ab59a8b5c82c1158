//! Published data sets by name: what is not there is said, what is there has the rows that its split rule names.

use std::path::{Path, PathBuf};

use wattle_model::Error;
use wattle_model::named::{Look, bench_task};

#[test]
fn unknown_names_and_missing_files_are_told() {
    let dataset = bench_task("specpwer", "SPEC-A", Path::new("."), Look::Test);
    let split = bench_task("specpower", "SPEC-Z", Path::new("."), Look::Test);
    let file = bench_task("kepler-nx12", "KNX-A", Path::new("/nowhere"), Look::Test);

    assert!(matches!(dataset, Err(Error::UnknownName { what: "data set", .. })));
    assert!(
        split.is_err_and(|error| error.to_string() == "there is no split \"SPEC-Z\": known are SPEC-A, SPEC-B, SPEC-C")
    );
    assert!(file.is_err_and(|error| error.to_string().starts_with("cannot read /nowhere/kepler-nx12/kepler_nx12.csv")));
}

#[test]
fn a_split_has_the_rows_that_its_rule_names() {
    let corpus = std::env::var_os("WATTLE_CORPUS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")), PathBuf::from);
    if !corpus.join("istio-acmeair").is_dir() {
        println!("{} is not there: published data sets are not checked", corpus.display());
        return;
    }

    let score = bench_task("istio-acmeair", "IST-C", &corpus, Look::Test).expect("a score");
    let folds = bench_task("istio-acmeair", "IST-C", &corpus, Look::Folds).expect("a score");

    assert_eq!((score.rows, score.rows_test), (1173, 559));
    assert!(score.mae < score.mae_constant);
    assert_eq!((folds.mae, folds.coverage), (None, None), "test rows were looked at");
    assert_eq!(folds.mae_inner, score.mae_inner);
}
