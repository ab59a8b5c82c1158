//! Who may do what: AuthorizationPolicy, evaluated on the normalised path.
//!
//! A decision over values: what is known of the request comes in, a verdict goes out. Without mesh TLS nothing is known
//! of the peer's identity, so principals, namespaces and service accounts are absent: a rule that wants one does not
//! hold, and a rule that excludes one (`not*`) does.

mod condition;
mod network;
mod rule;

use wattle_contract::route::{AuthorizationPolicy, PolicyAction};

use rule::Rule;
pub(crate) use rule::Subject;

/// The policies of a workload, compiled.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    deny: Vec<Policy>,
    allow: Vec<Policy>,
    /// Looked at for the log alone: audited ones and those on trial.
    watch: Vec<(Policy, &'static str)>,
}

#[derive(Debug)]
struct Policy {
    name: String,
    rules: Vec<Rule>,
}

/// What the policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Denied,
}

impl Policies {
    /// Compiles policies; what this build cannot enforce is added to `reasons`.
    pub(crate) fn compile(policies: &[AuthorizationPolicy], reasons: &mut Vec<String>) -> Self {
        let mut compiled = Self::default();
        for policy in policies {
            let rules: Result<Vec<_>, String> = policy.rules.iter().map(Rule::compile).collect();
            let rules = match rules {
                Ok(rules) => rules,
                Err(reason) => {
                    reasons.push(format!("authorization policy {}: {reason}", policy.name));
                    continue;
                }
            };
            let own = Policy { name: policy.name.clone(), rules };
            match (&policy.action, policy.dry_run) {
                (PolicyAction::Custom(provider), _) => {
                    reasons.push(format!(
                        "authorization policy {}: provider {provider} is not asked by this build",
                        policy.name
                    ));
                }
                (PolicyAction::Deny, false) => compiled.deny.push(own),
                (PolicyAction::Allow, false) => compiled.allow.push(own),
                (PolicyAction::Deny, true) => compiled.watch.push((own, "would deny")),
                (PolicyAction::Allow, true) => compiled.watch.push((own, "would allow")),
                (PolicyAction::Audit, _) => compiled.watch.push((own, "audit")),
            }
        }
        compiled
    }

    /// Says whether there is anything to evaluate.
    pub(crate) fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.allow.is_empty() && self.watch.is_empty()
    }

    /// Evaluates: any deny that matches refuses; where allows exist, one of them has to match.
    pub(crate) fn decide(&self, subject: &Subject<'_>) -> Verdict {
        for (policy, word) in &self.watch {
            if policy.matches(subject) {
                tracing::info!(policy = policy.name, method = subject.method, path = subject.path, "{word}");
            }
        }
        if let Some(policy) = self.deny.iter().find(|policy| policy.matches(subject)) {
            tracing::debug!(policy = policy.name, path = subject.path, "denied");
            return Verdict::Denied;
        }
        let allowed = self.allow.is_empty() || self.allow.iter().any(|policy| policy.matches(subject));
        if allowed { Verdict::Allowed } else { Verdict::Denied }
    }
}

impl Policy {
    fn matches(&self, subject: &Subject<'_>) -> bool {
        self.rules.iter().any(|rule| rule.holds(subject))
    }
}

#[cfg(test)]
mod tests;
