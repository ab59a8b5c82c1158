//! Sidecars and Telemetries: whom they select, and who is selected twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Analysis, reference, selector_text};
use crate::finding::{Problem, RuleId};
use crate::kinds::sidecar::Sidecar;
use crate::kinds::telemetry::Telemetry;
use crate::registry::labels_match;
use crate::resource::Resource;

const SIDECAR_NOTHING: RuleId = reference("sidecar-selects-nothing");
const SIDECAR_CONFLICT: RuleId = RuleId::error("IST0110", "sidecar-conflict");
const SIDECARS_WITHOUT: RuleId = RuleId::error("IST0111", "sidecars-without-selector");
const TELEMETRY_NOTHING: RuleId = reference("telemetry-selects-nothing");
const TELEMETRY_CONFLICT: RuleId = RuleId::error("IST0159", "telemetry-conflict");
const TELEMETRIES_WITHOUT: RuleId = RuleId::error("IST0160", "telemetries-without-selector");

/// A resource with what it selects; nothing means its whole namespace.
type Selecting<'a> = (&'a Arc<Resource>, Option<&'a BTreeMap<String, String>>);

/// Analyses selectors.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    let documents = analysis.documents;
    let sidecars: Vec<Selecting<'_>> = documents
        .of::<Sidecar>()
        .map(|(resource, spec)| {
            (
                resource,
                spec.workload_selector.as_ref().map(|selector| &selector.labels).filter(|labels| !labels.is_empty()),
            )
        })
        .collect();
    overlaps(analysis, &sidecars, "spec.workloadSelector", [SIDECAR_NOTHING, SIDECAR_CONFLICT, SIDECARS_WITHOUT]);
    let telemetries: Vec<Selecting<'_>> = documents
        .of::<Telemetry>()
        .filter(|(_, spec)| spec.target_refs.is_empty() && spec.target_ref.is_none())
        .map(|(resource, spec)| {
            (
                resource,
                spec.selector.as_ref().map(|selector| &selector.match_labels).filter(|labels| !labels.is_empty()),
            )
        })
        .collect();
    overlaps(analysis, &telemetries, "spec.selector", [TELEMETRY_NOTHING, TELEMETRY_CONFLICT, TELEMETRIES_WITHOUT]);
}

fn overlaps(analysis: &mut Analysis<'_>, all: &[Selecting<'_>], path: &str, [nothing, conflict, without]: [RuleId; 3]) {
    let documents = analysis.documents;
    for (resource, labels) in all {
        let rivals = |index: usize| &all[index].0;
        let same_namespace = (0..all.len()).filter(|index| {
            rivals(*index).namespace() == resource.namespace() && !Arc::ptr_eq(rivals(*index), resource)
        });
        let Some(labels) = labels else {
            let others: Vec<_> =
                same_namespace.filter(|index| all[*index].1.is_none()).map(|index| rivals(index).object()).collect();
            if !others.is_empty() {
                let message = format!("{} holds for the whole namespace too", others.join(", "));
                let problem = Problem::new(without, "metadata.namespace", message);
                analysis
                    .tell(resource, problem.effect("only the oldest counts").remedy("merge them, or add selectors"));
            }
            continue;
        };
        let pods: Vec<_> = documents
            .registry()
            .workloads_in(resource.namespace())
            .filter(|pod| labels_match(labels, &pod.labels))
            .collect();
        if pods.is_empty() {
            let message =
                format!("no workload in namespace {} has the labels {}", resource.namespace(), selector_text(labels));
            let problem = Problem::new(nothing, path, message);
            analysis
                .tell(resource, problem.effect("it applies to nothing").remedy("correct the labels or the namespace"));
            continue;
        }
        let others: BTreeSet<String> = same_namespace
            .filter(|index| {
                all[*index].1.is_some_and(|theirs| pods.iter().any(|pod| labels_match(theirs, &pod.labels)))
            })
            .map(|index| rivals(index).object())
            .collect();
        if !others.is_empty() {
            let names: Vec<String> = others.into_iter().collect();
            let problem = Problem::new(conflict, path, format!("{} selects some of the same pods", names.join(", ")));
            analysis.tell(
                resource,
                problem
                    .effect("which of them counts is not defined; here the oldest does")
                    .remedy("make the selectors disjoint"),
            );
        }
    }
}
