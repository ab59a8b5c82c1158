//! One rule: who, what, under which circumstances.

use std::borrow::Cow;
use std::net::IpAddr;

use wattle_contract::route::{self, Operation, Source};

use super::condition::{Condition, List, within};
use super::network::Network;
use crate::head::{Fields, Name};

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// Host header, with its port.
    pub(crate) host: &'a str,
    pub(crate) method: &'a str,
    /// Normalised, without query.
    pub(crate) path: &'a str,
    pub(crate) headers: &'a Fields,
    /// Address of the connection's other end.
    pub(crate) peer: IpAddr,
    /// Address it was made to.
    pub(crate) local: IpAddr,
    /// The workload's port.
    pub(crate) port: u16,
}

/// A rule, compiled. An empty part always holds.
#[derive(Debug)]
pub(super) struct Rule {
    from: Vec<From>,
    to: Vec<To>,
    when: Vec<Condition>,
}

#[derive(Debug)]
struct From {
    /// All of them need a certificate or a token.
    identities: Vec<List>,
    blocks: (Vec<Network>, Vec<Network>),
}

#[derive(Debug)]
struct To {
    hosts: List,
    methods: List,
    paths: List,
    ports: (Vec<u16>, Vec<u16>),
}

impl Rule {
    pub(super) fn compile(rule: &route::Rule) -> Result<Self, String> {
        Ok(Self {
            from: rule.from.iter().map(From::compile).collect::<Result<_, _>>()?,
            to: rule.to.iter().map(To::compile).collect::<Result<_, _>>()?,
            when: rule.when.iter().map(Condition::compile).collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        (self.from.is_empty() || self.from.iter().any(|from| from.holds(subject)))
            && (self.to.is_empty() || self.to.iter().any(|to| to.holds(subject)))
            && self.when.iter().all(|condition| condition.holds(subject))
    }
}

impl From {
    fn compile(source: &Source) -> Result<Self, String> {
        if !source.remote_ip_blocks.is_empty() || !source.not_remote_ip_blocks.is_empty() {
            return Err("remote IP blocks are not evaluated by this build".to_owned());
        }
        let identities = [
            &source.principals,
            &source.request_principals,
            &source.namespaces,
            &source.service_accounts,
            &source.trust_domains,
        ];
        let networks = |list: &[String]| list.iter().map(|text| Network::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            identities: identities.into_iter().map(List::compile).collect::<Result<_, _>>()?,
            blocks: (networks(&source.ip_blocks)?, networks(&source.not_ip_blocks)?),
        })
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        self.identities.iter().all(|list| list.holds(None)) && within(&self.blocks.0, &self.blocks.1, subject.peer)
    }
}

impl To {
    fn compile(operation: &Operation) -> Result<Self, String> {
        Ok(Self {
            hosts: List::compile(&operation.hosts)?,
            methods: List::compile(&operation.methods)?,
            paths: List::compile(&operation.paths)?,
            ports: (operation.ports.clone(), operation.not_ports.clone()),
        })
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        let (ports, not_ports) = &self.ports;
        self.hosts.holds_ignoring_case(Some(subject.host))
            && self.methods.holds(Some(subject.method))
            && self.paths.holds(Some(subject.path))
            && (ports.is_empty() || ports.contains(&subject.port))
            && !not_ports.contains(&subject.port)
    }
}

/// Gives the values of a header as one, joined by commas. Bytes that are not text are kept recognisable, so that a value
/// cannot hide from a deny by one odd byte.
pub(super) fn header<'a>(headers: &'a Fields, name: &'a Name) -> Option<Cow<'a, str>> {
    let mut values = headers.named(name);
    let first = String::from_utf8_lossy(values.next()?);
    Some(values.fold(first, |joined, value| Cow::Owned(format!("{joined},{}", String::from_utf8_lossy(value)))))
}
