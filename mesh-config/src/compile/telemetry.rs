//! What the Telemetry resources ask for: the workload's own over its namespace's over the root namespace's.

use std::collections::BTreeMap;

use wattle_contract::route::{AccessLog, CustomTag, MetricOverride, PercentMillionths, Telemetry};

use super::Context;
use crate::decode::Decode;
use crate::kinds::telemetry::{
    AccessLogging, CustomTag as WrittenTag, MetricsOverrides, TagOperation, Telemetry as Written, Tracing, WorkloadMode,
};
use crate::registry::labels_match;

/// Compiles the telemetry of a workload.
pub(super) fn of_workload(context: &Context<'_>) -> Telemetry {
    let mut telemetry = Telemetry::default();
    let mut tags: BTreeMap<String, CustomTag> = BTreeMap::new();
    for written in layers(context) {
        for tracing in &written.tracing {
            apply_tracing(&mut telemetry, &mut tags, tracing);
        }
        for metrics in &written.metrics {
            telemetry.metrics.extend(metrics.overrides.iter().map(metric));
        }
        for logging in &written.access_logging {
            apply_logging(&mut telemetry, logging);
        }
    }
    telemetry.custom_tags = tags.into_iter().collect();
    telemetry
}

/// Gives what applies, the widest scope first: what comes later wins.
fn layers<'a>(context: &Context<'a>) -> Vec<&'a Written> {
    let all: Vec<_> = context.documents.of::<Written>().collect();
    let selector = |written: &Written| {
        written.selector.as_ref().map(|selector| selector.match_labels.clone()).filter(|labels| !labels.is_empty())
    };
    let unselective = |namespace: &str| {
        let found = all.iter().find(|(resource, written)| {
            let targeted = !written.target_refs.is_empty() || written.target_ref.is_some();
            resource.namespace() == namespace && selector(written).is_none() && !targeted
        });
        found.map(|(_, written)| *written)
    };
    let own = all.iter().find(|(resource, written)| {
        let mut references = written.target_refs.iter().chain(&written.target_ref);
        resource.namespace() == context.namespace()
            && (selector(written).is_some_and(|labels| labels_match(&labels, &context.client.labels))
                || references.any(|reference| super::policies::targets(context, resource, reference)))
    });
    let root = &context.settings.root_namespace;
    let namespace = if root == context.namespace() { None } else { unselective(context.namespace()) };
    [unselective(root), namespace, own.map(|(_, written)| *written)].into_iter().flatten().collect()
}

fn apply_tracing(telemetry: &mut Telemetry, tags: &mut BTreeMap<String, CustomTag>, tracing: &Tracing) {
    if let Some(percent) = tracing.random_sampling_percentage {
        telemetry.trace_sampling = Some(PercentMillionths::from_percent(percent));
    }
    if let Some(disabled) = tracing.disable_span_reporting {
        telemetry.spans_disabled = disabled;
    }
    if let Some(disabled) = tracing.disable_context_propagation {
        telemetry.propagation_disabled = disabled;
    }
    if !tracing.custom_tags.is_empty() {
        // A narrower scope's tags replace the wider ones as a whole.
        tags.clear();
        tags.extend(tracing.custom_tags.iter().filter_map(|(name, written)| Some((name.clone(), tag(written)?))));
    }
}

fn tag(written: &WrittenTag) -> Option<CustomTag> {
    if let Some(literal) = &written.literal {
        return Some(CustomTag::Literal(literal.value.clone()));
    }
    if let Some(variable) = &written.environment {
        return Some(CustomTag::Environment(variable.name.clone(), variable.default_value.clone()));
    }
    written.header.as_ref().map(|header| CustomTag::Header(header.name.to_lowercase(), header.default_value.clone()))
}

fn metric(written: &MetricsOverrides) -> MetricOverride {
    let selected = written.matches.as_ref();
    let metric =
        selected.and_then(|selected| selected.metric.encode()).and_then(|word| word.as_str().map(str::to_owned));
    let client = selected.and_then(|selected| match selected.mode {
        WorkloadMode::Client => Some(true),
        WorkloadMode::Server => Some(false),
        WorkloadMode::Absent | WorkloadMode::ClientAndServer => None,
    });
    let removed = written.tag_overrides.iter().filter(|(_, tag)| tag.operation == TagOperation::Remove);
    let set = written.tag_overrides.iter().filter(|(_, tag)| tag.operation != TagOperation::Remove);
    MetricOverride {
        metric: metric.filter(|word| word != "ALL_METRICS").unwrap_or_default(),
        client,
        disabled: written.disabled.unwrap_or(false),
        remove: removed.map(|(name, _)| name.clone()).collect(),
        upsert: set.map(|(name, tag)| (name.clone(), tag.value.clone())).collect(),
    }
}

fn apply_logging(telemetry: &mut Telemetry, logging: &AccessLogging) {
    let log = telemetry.access_log.get_or_insert_with(AccessLog::default);
    if let Some(disabled) = logging.disabled {
        log.disabled = disabled;
    }
    if let Some(filter) = &logging.filter {
        log.filter.clone_from(&filter.expression);
    }
}
