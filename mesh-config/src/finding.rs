//! What is said about the resources.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The resource is refused or cannot do what it says.
    Error,
    /// It works, but likely not as meant.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Gives the severity as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One thing to say about the resources, with its place, its effect and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// File it is about, as named by the caller.
    pub file: String,
    /// Line, counted from 1.
    pub line: u32,
    /// Column, counted from 1.
    pub column: u32,
    /// Istio's code where it knows the finding (`IST0101`), our own otherwise (`WAT0001`).
    pub code: String,
    /// A fixed word for the rule, such as `subset-not-found`.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Path of the field, such as `spec.http[0].route[0].destination.subset`.
    pub path: String,
    /// The object, such as `VirtualService hotel/search`; without namespace when the document names none.
    pub object: String,
    /// What is the matter.
    pub message: String,
    /// What it means for the traffic; may be empty.
    pub effect: String,
    /// What to do about it; may be empty.
    pub remedy: String,
}

/// A rule that findings come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleId {
    pub(crate) code: &'static str,
    pub(crate) word: &'static str,
    pub(crate) severity: Severity,
}

impl RuleId {
    pub(crate) const fn error(code: &'static str, word: &'static str) -> Self {
        Self { code, word, severity: Severity::Error }
    }

    pub(crate) const fn warning(code: &'static str, word: &'static str) -> Self {
        Self { code, word, severity: Severity::Warning }
    }

    pub(crate) const fn info(code: &'static str, word: &'static str) -> Self {
        Self { code, word, severity: Severity::Info }
    }
}

/// A finding before its place is known: it names a path, the document knows where that is.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) rule: RuleId,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) effect: String,
    pub(crate) remedy: String,
}

impl Problem {
    pub(crate) fn new(rule: RuleId, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { rule, path: path.into(), message: message.into(), effect: String::new(), remedy: String::new() }
    }

    pub(crate) fn effect(mut self, effect: impl Into<String>) -> Self {
        self.effect = effect.into();
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Rules of reading and decoding.
pub(crate) mod rules {
    use super::RuleId;

    pub(crate) const SYNTAX: RuleId = RuleId::error("WAT0001", "syntax");
    pub(crate) const UNKNOWN_FIELD: RuleId = RuleId::error("WAT0002", "unknown-field");
    pub(crate) const SCHEMA: RuleId = RuleId::error("IST0106", "schema");
    pub(crate) const UNKNOWN_KIND: RuleId = RuleId::error("WAT0003", "unknown-kind");
    pub(crate) const SAME_IDENTITY: RuleId = RuleId::error("WAT0004", "same-identity");
    pub(crate) const NOT_APPLIED: RuleId = RuleId::warning("WAT0005", "not-applied");
    pub(crate) const ADVICE: RuleId = RuleId::warning("IST0106", "schema-advice");
    pub(crate) const DEPRECATED_FIELD: RuleId = RuleId::warning("IST0002", "deprecated-field");
    pub(crate) const DEPRECATED_VALUE: RuleId = RuleId::warning("IST0002", "deprecated-value");
}
