//! The page of a study: every figure of its tables, drawn; one file without scripts.

mod plots;
mod svg;

use std::fmt::Write as _;

use crate::ablation::Ablation;
use crate::outcome::FIGURES;
use crate::scenario::Cell;
use crate::study::{Outcomes, Study};
use crate::table::differences;

/// What came of one combination.
#[derive(Clone, Debug)]
pub struct Section {
    /// The combination.
    pub cell: Cell,
    /// What came of each policy.
    pub outcomes: Outcomes,
    /// What came of each fault; empty where they were not run.
    pub ablations: Vec<Ablation>,
}

/// Makes the page.
#[must_use]
pub fn page(scenario: &str, study: &Study, sections: &[Section]) -> String {
    let scenario = escape(scenario);
    let policies: Vec<String> = study.policies.iter().map(|name| escape(name)).collect();
    let (first, last) = (study.seeds.start(), study.seeds.end());
    let base = policies.first().map_or("", String::as_str);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{scenario}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{}</style></head><body>\
         <header><h1>{scenario}</h1><p>Seeds {first} to {last}, every policy on the same plans. Differences are against \
         {base}, plan by plan; intervals are of 95 %. The bound is what no placement can draw less than; it knows nothing of latency.</p></header>",
        include_str!("report/style.css")
    );
    page.push_str("<p class=\"legend\">");
    // Writing into a text does not fail.
    for (at, name) in policies.iter().enumerate() {
        let _ = write!(page, "<span><i class=\"p{at}\"></i>{name}</span>");
    }
    page.push_str("</p>");
    for family in families(sections) {
        let name = family.first().map_or("", |section| of_family(section));
        let _ = write!(page, "<h2>{} over load</h2><div class=\"figures\">", escape(name));
        page.push_str(&plots::over_load(&policies, &family));
        page.push_str("</div>");
    }
    for section in sections {
        let _ = write!(page, "<h2>{}</h2><div class=\"figures\">", escape(&section.cell.name));
        page.push_str(&plots::energy(&policies, &section.outcomes));
        page.push_str(&plots::nodes(&policies, &section.outcomes));
        if !section.ablations.is_empty() {
            page.push_str(&plots::ablations(&section.ablations));
        }
        page.push_str("</div>");
        page.push_str(&table(&policies, &section.outcomes));
    }
    page.push_str("</body></html>\n");
    page
}

/// Gives a combination's name without its load.
fn of_family(section: &Section) -> &str {
    section.cell.name.rsplit_once('/').map_or(section.cell.name.as_str(), |(family, _)| family)
}

/// Groups combinations that differ by load only, which follow each other.
fn families(sections: &[Section]) -> Vec<Vec<&Section>> {
    let mut families: Vec<Vec<&Section>> = Vec::new();
    for section in sections {
        match families.last_mut() {
            Some(family) if family.last().is_some_and(|last| of_family(last) == of_family(section)) => {
                family.push(section);
            }
            _ => families.push(vec![section]),
        }
    }
    families
}

/// Makes two tables: means of the plans, and differences against the first policy.
fn table(policies: &[String], outcomes: &Outcomes) -> String {
    let head = |names: &mut dyn Iterator<Item = &str>| {
        let names: String = names.map(|name| format!("<th>{name}</th>")).collect();
        format!("<table><thead><tr><th>policy</th>{names}</tr></thead><tbody>")
    };
    let mut table = "<div class=\"table\">".to_owned() + &head(&mut FIGURES.iter().map(|figure| figure.name));
    for at in outcomes.0.keys() {
        let _ = write!(table, "<tr><th>{}</th>", policies[*at]);
        for figure in FIGURES {
            let value = outcomes.mean(*at, figure.of).mean;
            let digits = if value.abs() >= 1000.0 { 0 } else { 3 };
            let _ = write!(table, "<td>{value:.digits$}</td>");
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table>");
    let names =
        ["energy, all on, %", "of the bound's saving, %", "energy, empty off, %", "of the bound's saving, %", "p95, %"];
    table.push_str(&head(&mut names.into_iter()));
    for at in outcomes.0.keys().filter(|at| **at > 0) {
        let _ = write!(table, "<tr><th>{}</th>", policies[*at]);
        for by in differences(outcomes, *at) {
            let _ = write!(table, "<td>{:.2} ± {:.2}</td>", by.mean, by.half);
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table></div>");
    table
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
