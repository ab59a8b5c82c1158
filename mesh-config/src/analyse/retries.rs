//! Retries that do not fit, do not happen, or happen to requests that must not be repeated.

use std::sync::Arc;

use super::Analysis;
use crate::compile::retry_on;
use crate::finding::{Problem, RuleId};
use crate::kinds::virtual_service::{HttpRoute, VirtualService};
use crate::resource::Resource;

const EXCEEDS: RuleId = RuleId::info("WAT0104", "retry-budget-exceeds-timeout");
const NON_IDEMPOTENT: RuleId = RuleId::info("WAT0105", "retries-on-non-idempotent");
const TRY_NOT_RETRIED: RuleId = RuleId::warning("WAT0106", "per-try-timeout-not-retried");

/// Analyses retries.
pub(super) fn analyse(analysis: &mut Analysis<'_>) {
    for (resource, spec) in analysis.documents.of::<VirtualService>() {
        for (index, rule) in spec.http.iter().enumerate() {
            route(analysis, resource, rule, &format!("spec.http[{index}].retries"));
        }
    }
}

fn route(analysis: &mut Analysis<'_>, resource: &Arc<Resource>, rule: &HttpRoute, path: &str) {
    let Some(retries) = rule.retries.as_ref() else { return };
    let Some(attempts) = u32::try_from(retries.attempts).ok().filter(|attempts| *attempts > 0) else { return };
    let words = if retries.retry_on.is_empty() { crate::compile::DEFAULT_RETRY_ON } else { &retries.retry_on };
    let (on, _) = retry_on(words);
    let (whole, single) = (rule.timeout.map(|time| time.0), retries.per_try_timeout.map(|time| time.0));
    if let (Some(whole), Some(single)) = (whole.filter(|time| !time.is_zero()), single.filter(|time| !time.is_zero())) {
        let needed = single.saturating_mul(attempts + 1);
        if needed > whole {
            let fit = whole.as_nanos() / single.as_nanos().max(1);
            let message = format!(
                "(1 + {attempts}) tries of {} s need {} s, and the timeout is {} s",
                single.as_secs_f64(),
                needed.as_secs_f64(),
                whole.as_secs_f64()
            );
            let problem = Problem::new(EXCEEDS, path, message);
            let effect = format!("at most {fit} full tries fit; the request then ends with 504");
            analysis.tell(resource, problem.effect(effect).remedy("lower attempts or perTryTimeout, or raise timeout"));
        }
    }
    let answers = on.server_error || on.gateway_error || on.reset || !on.statuses.is_empty();
    if single.is_some() && !(on.server_error || on.gateway_error || on.reset) {
        let problem = Problem::new(
            TRY_NOT_RETRIED,
            format!("{path}.perTryTimeout"),
            format!("retryOn {words:?} does not retry a try that timed out"),
        );
        let effect = "the request ends with 504 after the first perTryTimeout";
        analysis.tell(resource, problem.effect(effect).remedy("add gateway-error, 5xx or reset to retryOn"));
    }
    let safe = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];
    let only_safe = !rule.matches.is_empty()
        && rule.matches.iter().all(|one| {
            one.method.as_ref().and_then(|method| method.exact.as_deref()).is_some_and(|method| safe.contains(&method))
        });
    if answers && !only_safe {
        let message = format!("retryOn {words:?} repeats requests of every method, POST included");
        let problem = Problem::new(NON_IDEMPOTENT, path, message);
        let effect = format!("one POST may be carried out up to {} times", u64::from(attempts) + 1);
        let remedy = "match methods that may be repeated in a rule of their own, or retry connect-failure and refused-stream only";
        analysis.tell(resource, problem.effect(effect).remedy(remedy));
    }
}
