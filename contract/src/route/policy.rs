//! Who may do what: AuthorizationPolicy, compiled.

use serde::{Deserialize, Serialize};

use super::StringMatch;

/// One policy of the workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationPolicy {
    /// `namespace/name` of the resource.
    pub name: String,
    /// What a match does.
    pub action: Action,
    /// Alternatives; empty matches nothing.
    pub rules: Vec<Rule>,
    /// Evaluated and logged, not enforced.
    pub dry_run: bool,
}

/// What a match does. Evaluated in this order: custom, deny, allow; audit never decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Asks a provider by name.
    Custom(String),
    /// Refuses.
    Deny,
    /// Allows; as soon as one such policy exists, what none of them allows is refused.
    Allow,
    /// Logs.
    Audit,
}

/// Conditions; all three parts must hold, inside a part one entry suffices. An empty part always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Who asks.
    pub from: Vec<Source>,
    /// What is asked for.
    pub to: Vec<Operation>,
    /// Under which circumstances; here every entry must hold.
    pub when: Vec<Condition>,
}

/// Wanted and unwanted values of one attribute: one of the wanted (if any are given) and none of the unwanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Values {
    /// One of these; empty means any.
    pub any_of: Vec<StringMatch>,
    /// None of these.
    pub none_of: Vec<StringMatch>,
}

impl Values {
    /// Says whether nothing is asked.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.any_of.is_empty() && self.none_of.is_empty()
    }
}

/// Who asks; all given attributes must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// `trust-domain/ns/NAMESPACE/sa/ACCOUNT` of the peer certificate.
    pub principals: Values,
    /// `issuer/subject` of the request's token.
    pub request_principals: Values,
    /// Namespace in the peer certificate.
    pub namespaces: Values,
    /// `NAMESPACE/ACCOUNT` in the peer certificate.
    pub service_accounts: Values,
    /// Trust domain in the peer certificate.
    pub trust_domains: Values,
    /// Networks of the peer address, in CIDR notation.
    pub ip_blocks: Vec<String>,
    /// Networks the peer address must not be in.
    pub not_ip_blocks: Vec<String>,
    /// Networks of the client address by X-Forwarded-For.
    pub remote_ip_blocks: Vec<String>,
    /// Networks that client address must not be in.
    pub not_remote_ip_blocks: Vec<String>,
}

/// What is asked for; all given attributes must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// Host header, with its port, without regard to case.
    pub hosts: Values,
    /// Destination ports; empty means any.
    pub ports: Vec<u16>,
    /// Destination ports that must not be.
    pub not_ports: Vec<u16>,
    /// Methods.
    pub methods: Values,
    /// Paths, normalised, without query; templates are compiled to expressions.
    pub paths: Values,
}

/// A circumstance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The attribute's name, as in AuthorizationPolicy: `request.headers[x]`, `source.ip`, `connection.sni`, ….
    pub key: String,
    /// Its values. Networks in CIDR notation for the keys that name addresses.
    pub values: Values,
}
