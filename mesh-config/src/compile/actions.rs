//! What a rule does with a request: forward, redirect, answer; and what it changes.

use std::collections::BTreeMap;
use std::time::Duration;

use wattle_contract::route::{
    Abort, Action, Cors, Delay, DirectResponse, Fault, HeaderOperations, Mirror, PercentMillionths, Redirect,
    RedirectPort, Rewrite, StringMatch,
};

use super::matching;
use super::retries::grpc_status;
use super::routes::cluster_of;
use super::{Context, matching::Site};
use crate::decode::Time;
use crate::kinds::virtual_service::{
    CorsPolicy, FaultAbort, FaultDelay, HeaderOperations as Operations, Headers, HttpDirectResponse,
    HttpFaultInjection, HttpRedirect, HttpRoute, Percent, RedirectPortSelection, UnmatchedPreflights,
};

/// Compiles a redirect.
pub(super) fn redirect(redirect: &HttpRedirect) -> Action {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let port = match (redirect.port.and_then(|port| u16::try_from(port).ok()), redirect.derive_port) {
        (Some(port), _) => RedirectPort::Number(port),
        (None, RedirectPortSelection::FromRequestPort) => RedirectPort::Request,
        (None, RedirectPortSelection::FromProtocolDefault) => RedirectPort::ProtocolDefault,
        // Nothing said: a new scheme or host drops the port, else it stays.
        (None, RedirectPortSelection::Absent) if redirect.scheme.is_empty() && redirect.authority.is_empty() => {
            RedirectPort::Request
        }
        (None, RedirectPortSelection::Absent) => RedirectPort::ProtocolDefault,
    };
    let status = u16::try_from(redirect.redirect_code).ok().filter(|code| matches!(code, 301 | 302 | 303 | 307 | 308));
    Action::Redirect(Redirect {
        status: status.unwrap_or(301),
        scheme: some(&redirect.scheme),
        authority: some(&redirect.authority),
        port,
        path: some(&redirect.uri).filter(|_| redirect.prefix_rewrite.is_empty()),
        prefix_rewrite: some(&redirect.prefix_rewrite),
    })
}

/// Compiles a fixed answer.
pub(super) fn direct(response: &HttpDirectResponse) -> Action {
    let body = response.body.as_ref();
    let text = body.and_then(|body| body.string.as_ref()).map(|text| text.clone().into_bytes());
    let bytes = body.and_then(|body| body.bytes.as_ref()).and_then(|text| base64(text));
    let status = u16::try_from(response.status).unwrap_or(503);
    Action::Direct(DirectResponse { status, body: text.or(bytes).unwrap_or_default() })
}

/// Decodes standard base64, as `bytes` fields are written.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or_default());
        }
    }
    Some(bytes)
}

/// Compiles the rewrite of a rule; `Host` among the headers to set is a rewrite of the authority too.
pub(super) fn rewrite(route: &HttpRoute) -> Option<Rewrite> {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let written = route.rewrite.as_ref();
    let host = |headers: Option<&Headers>| {
        let set = &headers?.request.as_ref()?.set;
        set.iter().find(|(name, _)| is_host(name)).map(|(_, value)| value.clone())
    };
    let single = if route.route.len() == 1 { route.route[0].headers.as_ref() } else { None };
    let authority = written.and_then(|rewrite| some(&rewrite.authority));
    let authority = authority.or_else(|| host(route.headers.as_ref())).or_else(|| host(single));
    let regex = written.and_then(|rewrite| rewrite.uri_regex_rewrite.as_ref());
    let rewrite = Rewrite {
        path: written.and_then(|rewrite| some(&rewrite.uri)),
        regex: regex.map(|regex| (regex.matches.clone(), regex.rewrite.clone())),
        authority,
    };
    Some(rewrite).filter(|rewrite| *rewrite != Rewrite::default())
}

/// Says whether a header is the authority under one of its names.
pub(crate) fn is_host(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name == ":authority"
}

/// Compiles changes to headers.
pub(super) fn headers(operations: Option<&Operations>) -> HeaderOperations {
    let Some(operations) = operations else { return HeaderOperations::default() };
    let pairs = |map: &BTreeMap<String, String>| {
        let kept = map.iter().filter(|(name, _)| !is_host(name));
        kept.map(|(name, value)| (name.to_lowercase(), value.clone())).collect()
    };
    HeaderOperations {
        remove: operations.remove.iter().map(|name| name.to_lowercase()).collect(),
        set: pairs(&operations.set),
        add: pairs(&operations.add),
    }
}

/// Compiles the copies of a rule.
pub(super) fn mirrors(context: &Context<'_>, site: Site<'_>, namespace: &str, route: &HttpRoute) -> Vec<Mirror> {
    let mut mirrors = Vec::new();
    if let Some(destination) = &route.mirror {
        let percentage = match (&route.mirror_percentage, route.mirror_percent) {
            (Some(percent), _) => PercentMillionths::from_percent(percent.value),
            (None, Some(percent)) => PercentMillionths::from_percent(f64::from(percent)),
            (None, None) => PercentMillionths::ALL,
        };
        mirrors.push(Mirror { cluster: cluster_of(context, site, namespace, destination), percentage });
    }
    for policy in &route.mirrors {
        let Some(destination) = &policy.destination else { continue };
        let percentage = share(policy.percentage.as_ref(), PercentMillionths::ALL);
        mirrors.push(Mirror { cluster: cluster_of(context, site, namespace, destination), percentage });
    }
    mirrors.retain(|mirror| mirror.percentage != PercentMillionths::NONE);
    mirrors
}

fn share(percent: Option<&Percent>, absent: PercentMillionths) -> PercentMillionths {
    percent.map_or(absent, |percent| PercentMillionths::from_percent(percent.value))
}

/// Compiles faults. Without a percentage nothing happens, as in Istio.
pub(super) fn fault(fault: Option<&HttpFaultInjection>) -> Option<Fault> {
    let fault = fault?;
    let compiled = Fault { delay: fault.delay.as_ref().and_then(delay), abort: fault.abort.as_ref().and_then(abort) };
    (compiled.delay.is_some() || compiled.abort.is_some()).then_some(compiled)
}

fn delay(delay: &FaultDelay) -> Option<Delay> {
    let old = PercentMillionths::from_percent(f64::from(delay.percent));
    let percentage = share(delay.percentage.as_ref(), old);
    let fixed = delay.fixed_delay?.0;
    (percentage != PercentMillionths::NONE).then_some(Delay { fixed, percentage })
}

fn abort(abort: &FaultAbort) -> Option<Abort> {
    let percentage = share(abort.percentage.as_ref(), PercentMillionths::NONE);
    let http_status = abort.http_status.and_then(|status| u16::try_from(status).ok());
    let grpc_status = abort.grpc_status.as_deref().and_then(grpc_status);
    let something = http_status.is_some() || grpc_status.is_some();
    (something && percentage != PercentMillionths::NONE).then_some(Abort { http_status, grpc_status, percentage })
}

/// Compiles a cross-origin policy.
pub(super) fn cors(policy: Option<&CorsPolicy>) -> Option<Cors> {
    let policy = policy?;
    let exact = policy.allow_origin.iter().map(|origin| {
        if origin == "*" { StringMatch::Regex(".*".to_owned()) } else { StringMatch::Exact(origin.clone()) }
    });
    let matched = policy.allow_origins.iter().filter_map(|origin| match &origin.exact {
        Some(exact) if exact == "*" => Some(StringMatch::Regex(".*".to_owned())),
        _ => matching::text(origin),
    });
    Some(Cors {
        allow_origins: exact.chain(matched).collect(),
        allow_methods: policy.allow_methods.clone(),
        allow_headers: policy.allow_headers.clone(),
        expose_headers: policy.expose_headers.clone(),
        max_age: policy.max_age.map(|time| time.0),
        allow_credentials: policy.allow_credentials,
        forward_unmatched_preflights: policy.unmatched_preflights != UnmatchedPreflights::Ignore,
    })
}

/// Compiles a time; zero means none.
pub(super) fn bound(time: Option<Time>) -> Option<Duration> {
    time.map(|time| time.0).filter(|time| !time.is_zero())
}
