//! Requests that are routed: from the workload's own application, or at a gateway.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::begin::{Begun, begin};
use super::deliver::Delivery;
use super::exchange::Outgoing;
use super::replay::Replay;
use super::reply::Reply;
use super::{Client, Side, affinity, check, fault, headers, mirror};
use crate::body::Body;
use crate::router::{Action, Destination, Matched, Preflight, without_port};
use crate::table::Table;
use crate::telemetry::{Flag, PEER_HEADER, Record, Reporter};

pub(crate) async fn serve(client: &Client, request: Request<Incoming>) -> Response<Body> {
    let (mut record, begun) = begin(client, Reporter::Source, request);
    let found = match begun {
        Ok(begun) => find(client, &begun, &mut record).map(|(table, matched)| (begun, table, matched)),
        Err(reply) => Err(reply),
    };
    let (begun, table, matched) = match found {
        Ok(found) => found,
        Err(reply) => return reply.give(&mut record),
    };
    record.route.clone_from(&matched.route.name);
    match answer(client, begun, &table, &matched, record).await {
        Ok(response) => response,
        Err((reply, mut record)) => reply.give(&mut record),
    }
}

/// Looks up the virtual host and its route.
fn find(client: &Client, begun: &Begun, record: &mut Record) -> Result<(Arc<Table>, Matched), Reply> {
    let table = client.carrier.table().ok_or_else(Reply::no_table)?;
    let (hosts, port) = match client.side {
        Side::Gateway { port } => {
            // At a gateway its own policies are asked before any route.
            begun.authorize(client, &table.policies, port)?;
            (table.gateways.get(&port), port)
        }
        _ => {
            let port = check::port_of(&begun.authority);
            (table.outbound.get(&port), port)
        }
    };
    let Some(host) = hosts.and_then(|hosts| hosts.find(&begun.authority)) else {
        return Err(match client.side {
            Side::Gateway { .. } => Reply::no_route(),
            _ => Reply::unknown_host(without_port(&begun.authority), port),
        });
    };
    if host.https_redirect {
        return Err(Reply::https(&begun.view()));
    }
    match host.route(&begun.view()) {
        Some(matched) => Ok((table, matched)),
        None => {
            tracing::debug!(host = host.name, path = begun.path, "no route of the virtual host matches");
            record.flag(Flag::NoRoute);
            Err(Reply::no_route())
        }
    }
}

type Refused = (Reply, Box<Record>);

async fn answer(
    client: &Client,
    begun: Begun,
    table: &Table,
    matched: &Matched,
    mut record: Box<Record>,
) -> Result<Response<Body>, Refused> {
    let route = &matched.route;
    let preflight =
        route.cors.as_ref().and_then(|cors| cors.preflight(begun.head.method.as_str(), &begun.head.headers));
    match preflight {
        Some(Preflight::Answer(headers)) => return Err((Reply::preflight(headers), record)),
        Some(Preflight::Refuse) => return Err((Reply::preflight(Vec::new()), record)),
        Some(Preflight::Forward) | None => {}
    }
    let split = match &route.action {
        Action::Forward(split) => split,
        Action::Redirect(redirect) => {
            let location = redirect.location(&begun.view(), matched.prefix_len);
            return Err((Reply::redirect(redirect.status, location), record));
        }
        Action::Direct { status, body } => return Err((Reply::direct(*status, body), record)),
    };
    if let Some(fault) = &route.fault
        && let Err(reply) = fault::inject(fault, &client.carrier.dice, &mut record).await
    {
        return Err((reply, record));
    }
    forward(client, begun, table, matched, split.draw(&client.carrier.dice), record).await
}

async fn forward(
    client: &Client,
    mut begun: Begun,
    table: &Table,
    matched: &Matched,
    destination: &Destination,
    mut record: Box<Record>,
) -> Result<Response<Body>, Refused> {
    let route = &matched.route;
    destination.cluster.as_str().clone_into(&mut record.cluster);
    let Some(cluster) = table.clusters.get(&destination.cluster) else {
        return Err((Reply::no_cluster(), record));
    };
    record.service = Arc::clone(&cluster.service);
    let Some(outgoing) = outgoing(client, &begun, matched, destination, cluster.spec.external) else {
        return Err((Reply::refused("unsendable_rewrite"), record));
    };
    let affinity = affinity::of(client, &begun, cluster);
    let bound = if route.retries.is_some() { client.carrier.bounds.retry_buffer_bytes } else { 0 };
    let body = Replay::new(begun.body, bound, Arc::clone(&record.request_bytes));
    for copy in &route.mirrors {
        if let Some(cluster) = table.clusters.get(&copy.cluster).filter(|_| client.carrier.dice.hits(copy.percentage)) {
            mirror::start(
                &client.carrier,
                Arc::clone(cluster),
                cluster.speaks_http2(begun.head.version),
                &outgoing,
                &body,
            );
        }
    }
    let delivery = Delivery {
        carrier: &client.carrier,
        cluster: Arc::clone(cluster),
        downstream: begun.head.version,
        retries: route.retries.as_ref(),
        timeout: route.timeout,
        hash: affinity.hash,
        upgrade: begun.upgrade.take(),
    };
    let origin = begun.head.headers.get(header::ORIGIN).cloned();
    let change = |headers: &mut HeaderMap| {
        affinity.tell(headers);
        destination.response_headers.apply(headers);
        route.response_headers.apply(headers);
        if let (Some(cors), Some(origin)) = (&route.cors, &origin) {
            cors.decorate(origin, headers);
        }
    };
    Ok(delivery.run(outgoing, &body, record, change).await)
}

/// The head for the upstream: rewritten, its headers changed, this proxy's workload named.
fn outgoing(
    client: &Client,
    begun: &Begun,
    matched: &Matched,
    destination: &Destination,
    external: bool,
) -> Option<Outgoing> {
    let route = &matched.route;
    let mut request = begun.head.headers.clone();
    request.remove(header::HOST);
    match client.side {
        Side::Gateway { .. } => headers::forwarded_for(&mut request, client.peer.ip()),
        _ => headers::forwarded_proto(&mut request),
    }
    route.request_headers.apply(&mut request);
    destination.request_headers.apply(&mut request);
    // Whatever the application or the outside says here: the peer is this workload, and outside the mesh nobody.
    request.remove(PEER_HEADER);
    if let (false, Some(peer)) = (external, &client.carrier.peer_header) {
        request.insert(PEER_HEADER, peer.clone());
    }
    let rewrite = route.rewrite.as_ref();
    let path = rewrite.and_then(|rewrite| rewrite.path(&begun.path, matched.prefix_len));
    let authority = rewrite
        .and_then(|rewrite| rewrite.authority.as_ref())
        .or(route.request_headers.authority.as_ref())
        .or(destination.request_headers.authority.as_ref());
    Some(Outgoing {
        method: begun.head.method.clone(),
        target: begun.target(path.as_deref().unwrap_or(&begun.path))?,
        authority: authority.cloned().or_else(|| HeaderValue::from_str(&begun.authority).ok())?,
        headers: request,
        count_attempts: true,
    })
}

impl Reply {
    fn no_table() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Flag::NoRoute, "no configuration was accepted yet")
    }

    fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, Flag::NoRoute, "")
    }

    fn no_cluster() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Flag::NoCluster, "")
    }

    /// An explicit listener does not see the address the client wanted, so even `ALLOW_ANY` has nowhere to send this.
    fn unknown_host(host: &str, port: u16) -> Self {
        let body = format!("no route: the mesh knows no host {host:?} on port {port}\n");
        Self::new(StatusCode::BAD_GATEWAY, Flag::NoRoute, body)
    }

    fn https(head: &crate::router::Head<'_>) -> Self {
        let query = head.query.map_or(String::new(), |query| format!("?{query}"));
        let location = format!("https://{}{}{query}", without_port(head.authority), head.path);
        Self::redirect(StatusCode::MOVED_PERMANENTLY, HeaderValue::from_str(&location).ok())
    }

    fn redirect(status: StatusCode, location: Option<HeaderValue>) -> Self {
        let Some(location) = location else { return Self::refused("unsendable_redirect") };
        let mut reply = Self::plain(status);
        reply.headers.push((header::LOCATION, location));
        reply
    }

    fn preflight(headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { headers, ..Self::plain(StatusCode::OK) }
    }

    fn direct(status: StatusCode, body: &bytes::Bytes) -> Self {
        Self { body: body.clone(), ..Self::plain(status) }
    }
}
