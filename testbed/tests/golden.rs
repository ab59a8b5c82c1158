//! A small scenario from end to end, its table and its page's figures kept as text.
//!
//! `WATTLE_UPDATE_GOLDEN=1 cargo test -p wattle-testbed --test golden` writes the table anew; what changed in it is
//! reviewed as code, for it is what a change of scheduler, model or simulator does to energy and latency.

use std::path::Path;

use wattle_testbed::contenders::default_settings;
use wattle_testbed::outcome::{FIGURES, Outcome};
use wattle_testbed::report::{Section, page};
use wattle_testbed::scenario::Scenario;
use wattle_testbed::study::{Outcomes, Study};
use wattle_testbed::table::differences;
use wattle_testbed::telemetry::Faults;

/// Figures that depend on nothing but scenario and seed: not the time that deciding took.
const STEADY: usize = FIGURES.len() - 1;

fn study() -> Study {
    let policies = ["default", "most-allocated", "tlp-40", "peaks", "random", "by-hand", "prior", "full", "perfect"];
    Study {
        policies: policies.map(str::to_owned).to_vec(),
        seeds: 1..=1,
        faults: Faults::usual(),
        settings: default_settings(),
        weight: 5,
        threads: 1,
    }
}

fn text(study: &Study, outcomes: &Outcomes) -> String {
    let mut lines: Vec<String> = Vec::new();
    for at in outcomes.0.keys() {
        lines.push(format!("policy {}", study.policies[*at]));
        // Three digits: what another compiler or processor rounds otherwise is not a change.
        let figures =
            FIGURES[..STEADY].iter().map(|figure| format!("{} {:.3}", figure.name, outcomes.mean(*at, figure.of).mean));
        lines.extend(figures.map(|figure| format!("  {figure}")));
        let [on, of_bound, off, of_bound_off, p95] = differences(outcomes, *at).map(|by| format!("{:.1}", by.mean));
        lines.push(format!("  on {on} % off {off} % of bound {of_bound} % {of_bound_off} % p95 {p95} %"));
    }
    lines.join("\n") + "\n"
}

#[test]
fn a_small_scenario_comes_out_as_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let scenario = Scenario::read(&folder.join("small.yaml").to_string_lossy()).expect("a scenario");
    let study = study();
    let cell = scenario.cells().expect("its combinations").remove(0);

    let outcomes = study.run(&cell).expect("policies that are there");

    let made = text(&study, &outcomes);
    let kept = folder.join("small.txt");
    if std::env::var_os("WATTLE_UPDATE_GOLDEN").is_some() {
        std::fs::write(&kept, &made).expect("the table can be written");
    }
    let kept = std::fs::read_to_string(&kept).unwrap_or_default();
    for (kept, made) in kept.lines().zip(made.lines()) {
        assert_eq!(made, kept, "if that is meant: WATTLE_UPDATE_GOLDEN=1 cargo test -p wattle-testbed --test golden");
    }
    assert_eq!(made.lines().count(), kept.lines().count(), "the table has other lines");
    every_figure_is_on_the_page(&study, Section { cell, outcomes, ablations: Vec::new() });
}

fn every_figure_is_on_the_page(study: &Study, section: Section) {
    let outcomes = section.outcomes.clone();

    let page = page("a <small> one", study, &[section]);

    assert!(page.contains("a &lt;small&gt; one") && !page.contains("<small>"));
    assert!(!page.contains("<script") && !page.contains("http") && !page.contains("NaN") && !page.contains("inf"));
    for at in outcomes.0.keys() {
        assert!(page.contains(&format!("<th>{}</th>", study.policies[*at])));
        let energy = outcomes.mean(*at, |outcome: &Outcome| outcome.joules_on / 3.6e6).mean;
        assert!(page.contains(&format!("<td>{energy:.3}</td>")), "{energy}");
    }
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<svg").count(), 4, "saving, latency, minutes and energy");
}
