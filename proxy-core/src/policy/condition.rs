//! The `when` of a rule, and the lists inside a rule.

use wattle_contract::route::{self, StringMatch};

use super::network::Network;
use super::rule::Subject;
use crate::head::Name;
use crate::router::Text;

/// Wanted and unwanted values.
#[derive(Debug, Default)]
pub(super) struct List {
    any_of: Vec<Text>,
    none_of: Vec<Text>,
}

impl List {
    pub(super) fn compile(values: &route::Values) -> Result<Self, String> {
        let texts = |list: &[StringMatch]| list.iter().map(Text::compile).collect::<Result<_, _>>();
        Ok(Self { any_of: texts(&values.any_of)?, none_of: texts(&values.none_of)? })
    }

    /// Something absent is none of the unwanted and never one of the wanted; `*` wants something that is not empty.
    pub(super) fn holds(&self, value: Option<&str>) -> bool {
        self.check(value, Text::holds)
    }

    pub(super) fn holds_ignoring_case(&self, value: Option<&str>) -> bool {
        self.check(value, Text::holds_ignoring_case)
    }

    fn check(&self, value: Option<&str>, holds: impl Fn(&Text, &str) -> bool) -> bool {
        let value = value.filter(|value| !value.is_empty());
        let matches = |texts: &[Text]| value.is_some_and(|value| texts.iter().any(|text| holds(text, value)));
        (self.any_of.is_empty() || matches(&self.any_of)) && !matches(&self.none_of)
    }
}

/// What a condition looks at.
#[derive(Debug)]
enum Key {
    Header(Name),
    SourceIp,
    DestinationIp,
    DestinationPort,
    /// Known from a certificate alone.
    Principal,
}

/// A condition, compiled.
#[derive(Debug)]
pub(super) struct Condition {
    key: Key,
    list: List,
    networks: Vec<Network>,
    not_networks: Vec<Network>,
}

impl Condition {
    pub(super) fn compile(condition: &route::Condition) -> Result<Self, String> {
        let key = match condition.key.as_str() {
            "source.ip" => Key::SourceIp,
            "destination.ip" => Key::DestinationIp,
            "destination.port" => Key::DestinationPort,
            "source.principal" | "source.namespace" | "source.serviceAccount" | "connection.sni" => Key::Principal,
            key => {
                let name = key.strip_prefix("request.headers[").and_then(|rest| rest.strip_suffix(']'));
                let name = name.ok_or_else(|| format!("condition {key:?} is not evaluated by this build"))?;
                Key::Header(Name::new(name).ok_or_else(|| format!("{name:?} is no header name"))?)
            }
        };
        let networks = |list: &[StringMatch]| list.iter().map(network).collect::<Result<Vec<_>, _>>();
        let by_address = matches!(key, Key::SourceIp | Key::DestinationIp);
        Ok(Self {
            list: if by_address { List::default() } else { List::compile(&condition.values)? },
            networks: if by_address { networks(&condition.values.any_of)? } else { Vec::new() },
            not_networks: if by_address { networks(&condition.values.none_of)? } else { Vec::new() },
            key,
        })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        match &self.key {
            Key::Header(name) => self.list.holds(super::rule::header(subject.headers, name).as_deref()),
            Key::SourceIp => within(&self.networks, &self.not_networks, subject.peer),
            Key::DestinationIp => within(&self.networks, &self.not_networks, subject.local),
            Key::DestinationPort => self.list.holds(Some(&subject.port.to_string())),
            Key::Principal => self.list.holds(None),
        }
    }
}

fn network(text: &StringMatch) -> Result<Network, String> {
    match text {
        StringMatch::Exact(text) => Network::parse(text),
        other => Err(format!("{other:?} is no network in CIDR notation")),
    }
}

pub(super) fn within(wanted: &[Network], unwanted: &[Network], address: std::net::IpAddr) -> bool {
    let contains = |networks: &[Network]| networks.iter().any(|network| network.contains(address));
    (wanted.is_empty() || contains(wanted)) && !contains(unwanted)
}
