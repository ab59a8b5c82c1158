//! What a route does with a request.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use wattle_contract::ClusterName;
use wattle_contract::route::{self, RedirectPort};

use super::hosts::without_port;
use super::{Head, HeaderOps, rewrite_path};
use crate::dice::Dice;

/// An action, compiled.
#[derive(Debug)]
pub(crate) enum Action {
    Forward(Split),
    Redirect(Redirect),
    Direct { status: StatusCode, body: Bytes },
}

/// Destinations with their shares.
#[derive(Debug)]
pub(crate) struct Split {
    destinations: Vec<Destination>,
    total: u64,
}

/// One destination of a route.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) cluster: ClusterName,
    weight: u64,
    pub(crate) request_headers: HeaderOps,
    pub(crate) response_headers: HeaderOps,
}

/// A redirect, compiled.
#[derive(Debug)]
pub(crate) struct Redirect {
    pub(crate) status: StatusCode,
    redirect: route::Redirect,
}

impl Action {
    pub(crate) fn compile(action: &route::Action) -> Result<Self, String> {
        match action {
            route::Action::Forward(destinations) => Split::compile(destinations).map(Self::Forward),
            route::Action::Redirect(redirect) => {
                Ok(Self::Redirect(Redirect { status: status(redirect.status, 300..400)?, redirect: redirect.clone() }))
            }
            route::Action::Direct(direct) => {
                Ok(Self::Direct { status: status(direct.status, 200..600)?, body: direct.body.clone().into() })
            }
        }
    }
}

impl Split {
    /// A single destination gets everything whatever its weight; of several, those without weight get nothing.
    fn compile(destinations: &[route::WeightedCluster]) -> Result<Self, String> {
        let single = destinations.len() == 1;
        let mut compiled = Vec::with_capacity(destinations.len());
        for destination in destinations {
            compiled.push(Destination {
                cluster: destination.cluster.clone(),
                weight: if single { 1 } else { u64::from(destination.weight) },
                request_headers: HeaderOps::compile(&destination.request_headers)?,
                response_headers: HeaderOps::compile(&destination.response_headers)?,
            });
        }
        compiled.retain(|destination| destination.weight > 0);
        let total = compiled.iter().map(|destination| destination.weight).sum();
        if total == 0 {
            return Err("its destinations have no weight at all".to_owned());
        }
        Ok(Self { destinations: compiled, total })
    }

    /// Draws a destination by weight.
    pub(crate) fn draw(&self, dice: &Dice) -> &Destination {
        let [only] = self.destinations.as_slice() else {
            return self.at(dice.below(self.total));
        };
        only
    }

    fn at(&self, mut point: u64) -> &Destination {
        for destination in &self.destinations {
            if point < destination.weight {
                return destination;
            }
            point -= destination.weight;
        }
        &self.destinations[0]
    }
}

impl Redirect {
    /// Gives the `location` for a request; `None` when it cannot be written as a header.
    pub(crate) fn location(&self, head: &Head<'_>, prefix_len: Option<usize>) -> Option<String> {
        let redirect = &self.redirect;
        let scheme = redirect.scheme.as_deref().unwrap_or(head.scheme);
        let host = redirect.authority.as_deref().unwrap_or_else(|| without_port(head.authority));
        let request_port = head.authority[without_port(head.authority).len()..].trim_start_matches(':');
        let port = match redirect.port {
            RedirectPort::Number(port) => Some(port),
            RedirectPort::Request => request_port.parse().ok(),
            // A redirect that changes neither scheme nor authority keeps the port it was asked on.
            RedirectPort::ProtocolDefault if redirect.scheme.is_none() && redirect.authority.is_none() => {
                request_port.parse().ok()
            }
            RedirectPort::ProtocolDefault => None,
        };
        let default = if scheme == "https" { 443 } else { 80 };
        let port = port.filter(|port| *port != default).map_or(String::new(), |port| format!(":{port}"));
        let path = match (&redirect.path, &redirect.prefix_rewrite) {
            (Some(path), _) => path.clone(),
            (None, Some(new)) => rewrite_path(head.path, prefix_len, new),
            (None, None) => head.path.to_owned(),
        };
        let query = head.query.filter(|_| !path.contains('?')).map_or(String::new(), |query| format!("?{query}"));
        let location = format!("{scheme}://{host}{port}{path}{query}");
        HeaderValue::from_str(&location).is_ok().then_some(location)
    }
}

fn status(status: u16, range: std::ops::Range<u16>) -> Result<StatusCode, String> {
    StatusCode::from_u16(status)
        .ok()
        .filter(|_| range.contains(&status))
        .ok_or_else(|| format!("status {status} is not within {}..={}", range.start, range.end - 1))
}
