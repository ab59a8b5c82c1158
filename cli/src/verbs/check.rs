//! `wattle check`: settings, or mesh resources. Settings are checked before any command runs; reaching this means they
//! are right.

use std::process::ExitCode;

use wattle_mesh_config::{Documents, Finding, Severity};

use crate::args::Check;
use crate::mesh;

/// Checks and prints every finding.
///
/// # Errors
/// A path cannot be read.
pub(crate) fn run(args: &Check) -> anyhow::Result<ExitCode> {
    if args.reference {
        print!("{}", crate::settings::reference());
        return Ok(ExitCode::SUCCESS);
    }
    if args.paths.is_empty() {
        println!("the settings are right");
        return Ok(ExitCode::SUCCESS);
    }
    let sources = mesh::sources(&args.paths)?;
    let (_documents, findings) = Documents::parse(&sources);
    if args.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print(&findings, sources.len());
    }
    let errors = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if errors { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(findings: &[Finding], files: usize) {
    for finding in findings {
        println!("{}", mesh::line(finding));
    }
    println!("{} findings in {files} files", findings.len());
}
