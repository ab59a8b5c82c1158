//! What a consistent hash is made of.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_contract::route::{Balancer, HashKey};

use super::Client;
use super::begin::Begun;
use crate::balance::hash_of;
use crate::cluster::Cluster;

/// A key's hash, and the cookie that was made for it.
#[derive(Debug, Default)]
pub(crate) struct Affinity {
    pub(crate) hash: Option<u64>,
    pub(crate) cookie: Option<HeaderValue>,
}

/// Reads the key that the cluster's balancer wants; without one an endpoint is drawn at random.
pub(crate) fn of(client: &Client, begun: &Begun, cluster: &Cluster) -> Affinity {
    let Balancer::ConsistentHash { key, .. } = &cluster.spec.balancer else { return Affinity::default() };
    let headers = &begun.head.headers;
    let hash = match key {
        HashKey::Header(name) => header(headers, name),
        HashKey::SourceIp => Some(hash_of(client.peer.ip().to_canonical().to_string().as_bytes())),
        HashKey::QueryParameter(name) => {
            let mut pairs =
                begun.query.as_deref().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
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
                return Affinity { hash: Some(hash_of(value.as_bytes())), cookie: HeaderValue::from_str(&text).ok() };
            }
        },
    };
    Affinity { hash, cookie: None }
}

impl Affinity {
    /// Gives the client the cookie that was made for it.
    pub(crate) fn tell(&self, response: &mut HeaderMap) {
        if let Some(cookie) = &self.cookie {
            response.append(SET_COOKIE, cookie.clone());
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<u64> {
    let values: Vec<_> = headers.get_all(name.parse::<HeaderName>().ok()?).iter().map(HeaderValue::as_bytes).collect();
    (!values.is_empty()).then(|| hash_of(&values.join(&b',')))
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
}
