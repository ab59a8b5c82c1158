//! An explanation as people read it.

use std::fmt;

use super::{Considered, Explanation};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.outcome)?;
        writeln!(f, "  carried by   {}", self.proxy)?;
        if !self.virtual_host.is_empty() {
            writeln!(f, "  virtual host {}", self.virtual_host)?;
        }
        if let Some(route) = &self.route {
            let source = &route.source;
            if source.kind.is_empty() {
                writeln!(f, "  rule         the default route: no VirtualService names the host")?;
            } else {
                writeln!(
                    f,
                    "  rule         {} {}/{} {}  {}:{}",
                    source.kind, source.namespace, source.name, route.name, source.file, source.line
                )?;
            }
        }
        for line in &self.arriving {
            writeln!(f, "  at the gate  {line}")?;
        }
        for destination in &self.destinations {
            let endpoints = match destination.endpoints {
                None => "no such cluster: answered 503 (flag NC)".to_owned(),
                Some(0) => "no endpoints: answered 503 (flag UH)".to_owned(),
                Some(count) => format!("{count} endpoints"),
            };
            writeln!(f, "  {:>5.1} %      {}  {endpoints}", destination.percent, destination.cluster)?;
            for line in &destination.settings {
                writeln!(f, "               {line}")?;
            }
            if !destination.policy.is_empty() {
                writeln!(f, "               policy: {}", destination.policy)?;
            }
            for line in &destination.arriving {
                writeln!(f, "               {line}")?;
            }
        }
        list(f, "other rules of the host", &self.others)?;
        list(f, "VirtualServices that name the host and are not used", &self.unused)
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, entries: &[Considered]) -> fmt::Result {
    if !entries.is_empty() {
        writeln!(f, "  {title}:")?;
    }
    for entry in entries {
        writeln!(f, "    {} {}  {}:{}  {}", entry.object, entry.rule, entry.file, entry.line, entry.reason)?;
    }
    Ok(())
}
