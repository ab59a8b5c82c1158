//! Rules at a gateway that are shadowed by those of another VirtualService for the same host.
//!
//! At a gateway VirtualServices of one host are joined, the oldest first; Istio says nothing when they overlap.

use std::collections::BTreeMap;

use super::Analysis;
use crate::compile::VirtualServiceEntry as Entry;
use crate::decode::Decode;
use crate::finding::{Problem, RuleId};
use crate::kinds::Kind;
use crate::kinds::virtual_service::HttpMatchRequest;

const SHADOWED: RuleId = RuleId::warning("WAT0114", "shadowed-at-gateway");

/// Analyses gateways' joined routes.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let plan = analysis.documents.plan();
    let mut by_site: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in plan.virtual_services.entries.iter().filter(|entry| entry.resource.kind == Kind::VirtualService) {
        for gateway in entry.gateways.iter().filter(|gateway| *gateway != "mesh") {
            for host in &entry.hosts {
                by_site.entry((gateway, host)).or_default().push(entry);
            }
        }
    }
    for ((gateway, host), entries) in by_site {
        if entries.len() > 1 {
            site(analysis, gateway, host, &entries);
        }
    }
}

fn site(analysis: &mut Analysis<'_>, gateway: &str, host: &str, entries: &[&Entry]) {
    let mut seen: BTreeMap<String, (&Entry, &str)> = BTreeMap::new();
    let mut open: Option<(&Entry, &str)> = None;
    for entry in entries {
        for http in &entry.http {
            let Some(route) = http.route() else { continue };
            let whole = route.matches.is_empty() || route.matches.iter().any(takes_everything);
            if whole {
                match open {
                    Some((other, path)) if !std::ptr::eq(other, *entry) => {
                        tell(analysis, gateway, host, &http.path, entry, other, path)
                    }
                    _ => open = Some((entry, &http.path)),
                }
                continue;
            }
            for (number, one) in route.matches.iter().enumerate() {
                let key = HttpMatchRequest { name: String::new(), gateways: Vec::new(), ..one.clone() };
                let key = key.encode().map(|json| json.to_string()).unwrap_or_default();
                match seen.get(&key) {
                    Some((other, path)) if !std::ptr::eq(*other, *entry) => {
                        let own = format!("{}.match[{number}]", http.path);
                        tell(analysis, gateway, host, &own, entry, other, path);
                    }
                    Some(_) => {}
                    None => {
                        seen.insert(key, (entry, &http.path));
                    }
                }
            }
        }
    }
}

fn takes_everything(one: &HttpMatchRequest) -> bool {
    let root = one.uri.as_ref().is_none_or(|uri| uri.prefix.as_deref() == Some("/"));
    let rest = HttpMatchRequest { name: String::new(), uri: None, gateways: Vec::new(), ..one.clone() };
    root && rest == HttpMatchRequest::default()
}

fn tell(
    analysis: &mut Analysis<'_>,
    gateway: &str,
    host: &str,
    path: &str,
    entry: &Entry,
    other: &Entry,
    other_path: &str,
) {
    let (line, _) = other.resource.locate(other_path);
    let message = format!(
        "{} ({}:{line}) has the same match for {host} at gateway {gateway}",
        other.resource.object(),
        other.resource.file()
    );
    let problem = Problem::new(SHADOWED, path, message);
    let effect = "the older VirtualService's rule takes the requests: this one is never reached there";
    analysis.tell(&entry.resource, problem.effect(effect).remedy("merge them, or make the matches disjoint"));
}
