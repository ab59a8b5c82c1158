//! `wattle check`: settings, or mesh resources. Settings are checked before any command runs; reaching this means they
//! are right.

use std::path::PathBuf;
use std::process::ExitCode;

use wattle_mesh_config::{Documents, Finding, RequestDescription, Severity, analyse, diff, explain, report};

use crate::args::Check;
use crate::mesh;

/// Checks and prints what was asked for.
///
/// # Errors
/// A path cannot be read, or the request cannot be.
pub(crate) fn run(args: &Check) -> anyhow::Result<ExitCode> {
    if args.reference {
        print!("{}", crate::settings::reference());
        return Ok(ExitCode::SUCCESS);
    }
    if let [old, new] = args.diff.as_slice() {
        return compare(old.clone(), new.clone(), args.json);
    }
    if args.paths.is_empty() {
        println!("the settings are right");
        return Ok(ExitCode::SUCCESS);
    }
    let (documents, findings) = read(&args.paths)?;
    match &args.explain {
        Some(request) => tell(&documents, request, args),
        None => {
            print_findings(&findings, args)?;
            Ok(code(&findings))
        }
    }
}

/// Reads and analyses.
fn read(paths: &[PathBuf]) -> anyhow::Result<(Documents, Vec<Finding>)> {
    let (texts, mut findings) = mesh::sources(paths)?;
    let (documents, _) = Documents::parse(&texts);
    findings.extend(analyse(&documents));
    findings.sort();
    findings.dedup();
    Ok((documents, findings))
}

fn print_findings(findings: &[Finding], args: &Check) -> anyhow::Result<()> {
    if args.sarif {
        println!("{}", serde_json::to_string_pretty(&report::sarif(findings))?);
    } else if args.json {
        println!("{}", serde_json::to_string_pretty(&report::json(findings))?);
    } else {
        print!("{}", report::text(findings));
    }
    Ok(())
}

fn code(findings: &[Finding]) -> ExitCode {
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    if errors { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Says who handles a request, and why the others do not.
fn tell(documents: &Documents, request: &str, args: &Check) -> anyhow::Result<ExitCode> {
    let request = RequestDescription::parse(request, &args.headers).map_err(anyhow::Error::msg)?;
    let from = args.from.as_ref().map(|(namespace, workload)| documents.identity(namespace, workload));
    let explanation = explain(documents, &request, from.as_ref());
    if args.json {
        println!("{}", serde_json::to_string_pretty(&explanation)?);
    } else {
        print!("{explanation}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what would change for traffic.
fn compare(old: PathBuf, new: PathBuf, json: bool) -> anyhow::Result<ExitCode> {
    let (old, _) = read(&[old])?;
    let (new, findings) = read(&[new])?;
    let changes = diff(&old, &new);
    if json {
        println!("{}", serde_json::to_string_pretty(&changes)?);
    } else {
        for change in &changes {
            println!("{change}");
        }
        println!("{} changes for traffic", changes.len());
    }
    Ok(code(&findings))
}
