//! Which DestinationRule holds for a host.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Context;
use crate::documents::Documents;
use crate::hosts;
use crate::kinds::destination_rule::{DestinationRule, Subset, TrafficPolicy};
use crate::registry::labels_match;
use crate::resource::Resource;

/// A rule and where it stands.
#[derive(Debug)]
pub(crate) struct Entry {
    resource: Arc<Resource>,
    /// A rule that was made of another kind of resource; `None` is the resource's own.
    made: Option<DestinationRule>,
}

impl Entry {
    fn rule(&self) -> Option<&DestinationRule> {
        self.made.as_ref().or_else(|| self.resource.get())
    }
}

/// All rules by namespace and completed host, oldest first.
#[derive(Debug, Default)]
pub(crate) struct DestinationRules {
    exact: HashMap<String, HashMap<String, Vec<Entry>>>,
    wildcards: HashMap<String, Vec<(String, Vec<Entry>)>>,
}

/// What the rules of one host say together.
#[derive(Debug, Default)]
pub(crate) struct Merged<'a> {
    /// The policy of the first rule that has one.
    pub(crate) policy: Option<&'a TrafficPolicy>,
    /// Subsets by name; the first definition of a name counts.
    pub(crate) subsets: BTreeMap<&'a str, &'a Subset>,
    /// Where they stand.
    pub(crate) resources: Vec<Arc<Resource>>,
}

impl DestinationRules {
    pub(crate) fn build(documents: &Documents) -> Self {
        let mut rules = Self::default();
        for (resource, rule) in documents.of::<DestinationRule>() {
            rules.add(documents, &rule.host, Entry { resource: resource.clone(), made: None });
        }
        for (resource, rule) in crate::gateway_api::destination_rules(documents) {
            let host = rule.host.clone();
            rules.add(documents, &host, Entry { resource, made: Some(rule) });
        }
        for patterns in rules.wildcards.values_mut() {
            patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        }
        rules
    }

    fn add(&mut self, documents: &Documents, host: &str, entry: Entry) {
        let namespace = entry.resource.namespace().to_owned();
        let host = hosts::complete(host, &namespace, documents.settings());
        if !host.starts_with('*') {
            self.exact.entry(namespace).or_default().entry(host).or_default().push(entry);
            return;
        }
        let patterns = self.wildcards.entry(namespace).or_default();
        match patterns.iter_mut().find(|(pattern, _)| *pattern == host) {
            Some((_, entries)) => entries.push(entry),
            None => patterns.push((host, vec![entry])),
        }
    }

    /// Gives the rules of a host as a client sees them: its own namespace's, else the service's, else the root's. The
    /// first of these that says anything is used alone.
    pub(crate) fn of<'a>(&'a self, context: &Context<'_>, host: &str, service_namespace: &str) -> Merged<'a> {
        let client = context.namespace();
        for namespace in [client, service_namespace, &context.settings.root_namespace] {
            if let Some(entries) = self.level(context, namespace, host) {
                return merge(&entries);
            }
        }
        Merged::default()
    }

    /// Gives the rules of one namespace: those of the host itself, else of the longest wildcard.
    fn level<'a>(&'a self, context: &Context<'_>, namespace: &str, host: &str) -> Option<Vec<&'a Entry>> {
        let applies = |entry: &&'a Entry| {
            let (resource, Some(rule)) = (&entry.resource, entry.rule()) else { return false };
            let selected = rule.workload_selector.as_ref().is_none_or(|selector| {
                resource.namespace() == context.namespace()
                    && labels_match(&selector.match_labels, &context.client.labels)
            });
            selected && hosts::is_exported(&rule.export_to, resource.namespace(), context.namespace())
        };
        let exact = self.exact.get(namespace).and_then(|by_host| by_host.get(host));
        let wildcards = self.wildcards.get(namespace).into_iter().flatten();
        let wildcards = wildcards.filter(|(pattern, _)| hosts::within(host, pattern)).map(|(_, entries)| entries);
        exact
            .into_iter()
            .chain(wildcards)
            .map(|entries| choose(entries.iter().filter(applies).collect()))
            .find(|found| !found.is_empty())
    }
}

/// Prefers the rules that select the workload over those for everyone.
fn choose(found: Vec<&Entry>) -> Vec<&Entry> {
    let selected: Vec<&Entry> = found
        .iter()
        .copied()
        .filter(|entry| entry.rule().is_some_and(|rule| rule.workload_selector.is_some()))
        .collect();
    if selected.is_empty() { found } else { selected }
}

fn merge<'a>(entries: &[&'a Entry]) -> Merged<'a> {
    let mut merged = Merged::default();
    for entry in entries {
        let Some(rule) = entry.rule() else { continue };
        merged.resources.push(entry.resource.clone());
        merged.policy = merged.policy.or(rule.traffic_policy.as_ref());
        for subset in &rule.subsets {
            merged.subsets.entry(&subset.name).or_insert(subset);
        }
    }
    merged
}
