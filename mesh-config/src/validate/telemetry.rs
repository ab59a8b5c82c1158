//! Rules of Telemetry and ProxyConfig.

use super::check::Check;
use crate::kinds::proxy_config::ProxyConfig;
use crate::kinds::telemetry::{TagOperation, Telemetry};

/// Checks a Telemetry.
pub(super) fn check(spec: &Telemetry, check: &mut Check<'_>) {
    if let Some(selector) = &spec.selector {
        check.selector("spec.selector.matchLabels", &selector.match_labels);
    }
    super::security::targets(check, spec.selector.is_some(), spec.target_ref.as_ref(), &spec.target_refs);
    for (index, tracing) in spec.tracing.iter().enumerate() {
        let path = format!("spec.tracing[{index}]");
        if let Some(percent) = tracing.random_sampling_percentage {
            check.percent(format!("{path}.randomSamplingPercentage"), percent);
        }
        if tracing.providers.len() > 1 {
            check.advise(format!("{path}.providers"), "multiple providers is not currently supported");
        }
        for (name, tag) in &tracing.custom_tags {
            let given =
                [tag.literal.is_some(), tag.environment.is_some(), tag.header.is_some(), tag.formatter.is_some()];
            if name.is_empty() || !given.contains(&true) {
                check.error(
                    format!("{path}.customTags"),
                    format!("Invalid value: tag {name:?} needs a name and a value"),
                );
            }
        }
    }
    for (index, metrics) in spec.metrics.iter().enumerate() {
        check.positive_time(format!("spec.metrics[{index}].reportingInterval"), metrics.reporting_interval);
        for (number, change) in metrics.overrides.iter().enumerate() {
            for (name, tag) in &change.tag_overrides {
                let mut at = format!("spec.metrics[{index}].overrides[{number}].tagOverrides");
                crate::yaml::push_key(&mut at, name);
                match tag.operation {
                    TagOperation::Remove if !tag.value.is_empty() => {
                        check.error(at, "value must not be set when operation is REMOVE")
                    }
                    TagOperation::Upsert | TagOperation::Absent if tag.value.is_empty() => {
                        check.error(at, "value must be set when operation is UPSERT");
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Checks a ProxyConfig.
pub(super) fn proxy_config(spec: &ProxyConfig, check: &mut Check<'_>) {
    if let Some(selector) = &spec.selector {
        check.selector("spec.selector.matchLabels", &selector.match_labels);
    }
    if let Some(concurrency) = spec.concurrency {
        check.natural("spec.concurrency", concurrency);
    }
}
