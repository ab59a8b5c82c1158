//! The laws of the simulator, on small runs; and scenarios that are refused by name.

use wattle_testbed::outcome::Outcome;
use wattle_testbed::scenario::Scenario;
use wattle_testbed::study::Study;
use wattle_testbed::telemetry::Faults;

const SMALL: &str = "
name: small
hotel:
  machines:
    mixed: [ibm-x3550-m2, hitachi-rs110-hhm, fujitsu-rx1330-m4]
  loads: [2500]
  shapes: [burst]
  hours: 0.5
  step_seconds: 15
  releases_per_hour: 2
  slo_p95_ms: 50
";

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a place for files");
    std::fs::write(file.path(), text).expect("written");
    file
}

fn refusal(text: &str) -> String {
    let file = file(text);
    let read = Scenario::read(file.path().to_str().expect("a name")).and_then(|scenario| scenario.cells());
    format!("{:#}", read.expect_err("refused"))
}

fn outcomes(policies: &[&str]) -> Vec<(String, Vec<Outcome>)> {
    let file = file(SMALL);
    let scenario = Scenario::read(file.path().to_str().expect("a name")).expect("a scenario");
    let cells = scenario.cells().expect("its combinations");
    let study = Study {
        policies: policies.iter().map(|name| (*name).to_owned()).collect(),
        seeds: 1..=2,
        faults: Faults::usual(),
        settings: wattle_testbed::contenders::default_settings(),
        weight: 5,
        threads: 2,
    };
    let outcomes = study.run(&cells[0]).expect("policies that are there").0;
    outcomes.into_iter().map(|(at, outcomes)| (study.policies[at].clone(), outcomes)).collect()
}

#[test]
fn no_policy_is_below_the_bound_and_no_pod_is_lost() {
    let policies = ["default", "most-allocated", "tlp-40", "peaks", "random", "by-hand", "perfect", "perfect-off"];
    for (policy, outcomes) in outcomes(&policies) {
        assert_eq!(outcomes.len(), 2, "{policy}");
        for outcome in outcomes {
            assert!(outcome.bound_on <= outcome.joules_on, "{policy}: {} J", outcome.joules_on);
            assert!(outcome.bound_off <= outcome.joules_off, "{policy}: {} J", outcome.joules_off);
            assert!(outcome.joules_off <= outcome.joules_on, "{policy}");
            assert_eq!((outcome.left_unplaced, outcome.never_placed), (0, 0), "{policy}");
        }
    }
}

#[test]
fn work_is_conserved_whoever_places_it_and_the_default_spreads_it() {
    let outcomes = outcomes(&["default", "perfect"]);
    let (default, perfect) = (&outcomes[0].1, &outcomes[1].1);
    for (default, perfect) in default.iter().zip(perfect) {
        // The same requests on either: the work differs by what the last step left undone.
        assert!((default.work / perfect.work - 1.0).abs() < 0.01, "{} {}", default.work, perfect.work);
        assert_eq!(default.requests, perfect.requests);
        let capacity = [8.0 * 639_516.0 / 670_220.0, 8.0, 8.0 * 786_578.0 / 670_220.0];
        let done: f64 = default.node_used.iter().zip(capacity).map(|(used, capacity)| used * capacity).sum();
        assert!((done / default.work - 1.0).abs() < 1e-6, "{done} {}", default.work);
        // The old machine is spared.
        assert!(perfect.node_used[0] < 0.7 * default.node_used[0], "{:?}", perfect.node_used);
        assert!(perfect.joules_on < default.joules_on);
    }
}

#[test]
fn the_same_seeds_give_the_same_outcomes() {
    let figures = || {
        let all = outcomes(&["default", "perfect"]);
        all.into_iter().flat_map(|(_, outcomes)| outcomes.into_iter().map(|o| o.joules_on)).collect::<Vec<f64>>()
    };

    assert_eq!(figures(), figures());
}

#[test]
fn a_scenario_that_cannot_be_run_is_refused_by_what_is_wrong() {
    assert!(refusal(&SMALL.replace("ibm-x3550-m2", "abacus")).contains("\"abacus\""));
    assert!(refusal(&SMALL.replace("hours: 0.5", "hurs: 0.5")).contains("hurs"));
    assert!(refusal(&SMALL.replace("hours: 0.5", "hours: 0")).contains("hours"));
    assert!(refusal(&SMALL.replace("step_seconds: 15", "step_seconds: 0")).contains("step_seconds"));
    assert!(refusal(&SMALL.replace("[2500]", "[-1]")).contains("loads"));
    assert!(refusal("name: nothing").contains("nothing"));
    assert!(format!("{:#}", Scenario::read("/nowhere.yaml").expect_err("refused")).contains("/nowhere.yaml"));
}
