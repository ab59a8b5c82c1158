//! What a consistent hash is made of.

use wattle_contract::route::{Balancer, HashKey};

use super::Client;
use crate::balance::hash_of;
use crate::cluster::Cluster;
use crate::head::{Fields, Known, Name, Request, visible};

/// A key's hash, and the cookie that was made for it.
#[derive(Debug, Default)]
pub(crate) struct Affinity {
    pub(crate) hash: Option<u64>,
    pub(crate) cookie: Option<String>,
}

/// Reads the key that the cluster's balancer wants; without one an endpoint is drawn at random.
pub(crate) fn of(client: &Client, request: &Request, cluster: &Cluster) -> Affinity {
    let Balancer::ConsistentHash { key, .. } = &cluster.spec.balancer else { return Affinity::default() };
    let headers = &request.fields;
    let hash = match key {
        HashKey::Header(name) => header(headers, name),
        HashKey::SourceIp => Some(hash_of(client.peer.ip().to_canonical().to_string().as_bytes())),
        HashKey::QueryParameter(name) => {
            let mut pairs = request.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| key == name).map(|(_, value)| hash_of(value.as_bytes()))
        }
        HashKey::Cookie { name, path, ttl, attributes } => match (cookie(headers, name), ttl) {
            (Some(value), _) => Some(hash_of(value.as_bytes())),
            (None, None) => None,
            (None, Some(ttl)) => {
                let value = format!("{:016x}", client.carrier.dice.roll());
                let mut text = format!("{name}=\"{value}\"");
                if !ttl.is_zero() {
                    text.push_str(&format!("; Max-Age={}", ttl.as_secs()));
                }
                if !path.is_empty() {
                    text.push_str(&format!("; Path={path}"));
                }
                attributes.iter().for_each(|(name, value)| text.push_str(&format!("; {name}={value}")));
                text.push_str("; HttpOnly");
                let cookie = Some(text).filter(|text| visible(text.as_bytes()).is_some());
                return Affinity { hash: Some(hash_of(value.as_bytes())), cookie };
            }
        },
    };
    Affinity { hash, cookie: None }
}

impl Affinity {
    /// Gives the client the cookie that was made for it.
    pub(crate) fn tell(&self, response: &mut Fields) {
        if let Some(cookie) = &self.cookie {
            response.push(b"set-cookie", cookie.as_bytes());
        }
    }
}

fn header(headers: &Fields, name: &str) -> Option<u64> {
    let name = Name::new(name)?;
    let values: Vec<_> = headers.named(&name).collect();
    (!values.is_empty()).then(|| hash_of(&values.join(&b',')))
}

fn cookie(headers: &Fields, name: &str) -> Option<String> {
    let lines = headers.all(Known::Cookie).filter_map(visible);
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
}
