//! Conditions on a request.

use serde::{Deserialize, Serialize};

use super::ClaimMatch;

/// Which authorities a virtual host answers to. Compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DomainMatch {
    /// This host, on any port.
    Exact(String),
    /// Any host with this ending, which starts with a dot: `.example.com`; the longest ending wins.
    Suffix(String),
    /// Every host.
    Any,
}

/// How a piece of text must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StringMatch {
    /// Exactly this.
    Exact(String),
    /// Begins with this.
    Prefix(String),
    /// Ends with this.
    Suffix(String),
    /// Matches this RE2 expression as a whole.
    Regex(String),
    /// Is there at all, whatever its value.
    Present,
}

/// How the path, without query, must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// Exactly this.
    Exact(String),
    /// Begins with this text (Istio): `/chat` matches `/chatty`.
    Prefix(String),
    /// Begins with these path elements (Gateway API): `/chat` matches `/chat/a`, not `/chatty`.
    PathElements(String),
    /// Matches this RE2 expression as a whole.
    Regex(String),
}

/// A condition on one header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// Lower-case name.
    pub name: String,
    /// How its value must look.
    pub value: StringMatch,
    /// Turns the condition round (`withoutHeaders`); an absent header then matches.
    pub invert: bool,
}

/// A condition on the first value of one query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryMatch {
    /// Name, case-sensitive.
    pub name: String,
    /// How its value must look.
    pub value: StringMatch,
}

/// Conditions on a request; all that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpMatch {
    /// Name for humans and metrics.
    pub name: Option<String>,
    /// Condition on the path.
    pub path: Option<PathMatch>,
    /// Whether exact and prefix path conditions ignore case.
    pub ignore_path_case: bool,
    /// Condition on the scheme.
    pub scheme: Option<StringMatch>,
    /// Condition on the method.
    pub method: Option<StringMatch>,
    /// Condition on the authority.
    pub authority: Option<StringMatch>,
    /// Conditions on headers.
    pub headers: Vec<HeaderMatch>,
    /// Conditions on query parameters.
    pub query: Vec<QueryMatch>,
    /// Conditions on claims of the request's token (gateways only).
    pub claims: Vec<ClaimMatch>,
}
