//! Requests that are routed: from the workload's own application, or at a gateway.

use std::sync::Arc;

use super::begin::{authorize, begin, view};
use super::deliver::Delivery;
use super::reply::Reply;
use super::upload::Upload;
use super::{Client, Downstream, Side, affinity, fault, headers, mirror};
use crate::head::{Fields, Known, Request};
use crate::router::{Action, Destination, Matched, Preflight, without_port};
use crate::table::Table;
use crate::telemetry::{Flag, Record, Reporter};
use crate::upstream::Outgoing;

pub(crate) async fn serve(client: &Client, down: &mut Downstream, request: Request) -> Request {
    let (mut record, begun) = begin(client, Reporter::Source, request);
    let answered = match begun {
        Ok(()) => answer(client, down, &mut record).await,
        Err(reply) => Err(reply),
    };
    if let Err(reply) = answered {
        reply.give(down, &mut record, |_| {}).await;
    }
    record.close()
}

/// Looks up the virtual host and its route.
fn find(client: &Client, record: &mut Record) -> Result<(Arc<Table>, Matched), Reply> {
    let table = client.carrier.table().ok_or_else(Reply::no_table)?;
    let authority = record.request.authority();
    let (hosts, port) = match client.side {
        Side::Gateway { port } => {
            // At a gateway its own policies are asked before any route.
            authorize(client, &record.request, &table.policies, port)?;
            (table.gateways.get(&port), port)
        }
        _ => {
            let port = port_of(authority);
            (table.outbound.get(&port), port)
        }
    };
    let Some(host) = hosts.and_then(|hosts| hosts.find(authority)) else {
        return Err(match client.side {
            Side::Gateway { .. } => Reply::no_route(),
            _ => Reply::unknown_host(without_port(authority), port),
        });
    };
    if host.https_redirect {
        return Err(Reply::https(&view(record)));
    }
    match host.route(&view(record)) {
        Some(matched) => Ok((table, matched)),
        None => {
            tracing::debug!(host = host.name, path = record.request.path(), "no route of the virtual host matches");
            record.flag(Flag::NoRoute);
            Err(Reply::no_route())
        }
    }
}

/// Gives the port of an authority, or the default of cleartext HTTP.
fn port_of(authority: &str) -> u16 {
    authority[without_port(authority).len()..].trim_start_matches(':').parse().unwrap_or(80)
}

async fn answer(client: &Client, down: &mut Downstream, record: &mut Record) -> Result<(), Reply> {
    let (table, matched) = find(client, record)?;
    let route = &matched.route;
    record.route = Some(Arc::clone(route));
    let preflight =
        route.cors.as_ref().and_then(|cors| cors.preflight(record.request.method(), &record.request.fields));
    match preflight {
        Some(Preflight::Answer(headers)) => return Err(Reply::preflight(headers)),
        Some(Preflight::Refuse) => return Err(Reply::preflight(Fields::default())),
        Some(Preflight::Forward) | None => {}
    }
    let split = match &route.action {
        Action::Forward(split) => split,
        Action::Redirect(redirect) => {
            let location = redirect.location(&view(record), matched.prefix_len);
            return Err(Reply::redirect(redirect.status.as_u16(), location));
        }
        Action::Direct { status, body } => return Err(Reply { body: body.clone(), ..Reply::plain(status.as_u16()) }),
    };
    if let Some(fault) = &route.fault {
        Box::pin(fault::inject(fault, &client.carrier.dice, record)).await?;
    }
    forward(client, down, &table, &matched, split.draw(&client.carrier.dice), record).await
}

async fn forward(
    client: &Client,
    down: &mut Downstream,
    table: &Table,
    matched: &Matched,
    destination: &Destination,
    record: &mut Record,
) -> Result<(), Reply> {
    let route = &matched.route;
    let Some(cluster) = table.clusters.get(&destination.cluster) else {
        destination.cluster.as_str().clone_into(&mut record.missing);
        return Err(Reply::new(503, Flag::NoCluster, ""));
    };
    record.cluster = Some(Arc::clone(cluster));
    record.service = Arc::clone(&cluster.service);
    let affinity = affinity::of(client, &record.request, cluster);
    let origin = route.cors.as_ref().and_then(|_| record.request.fields.get(Known::Origin)).map(<[u8]>::to_vec);
    let outgoing = outgoing(client, &mut record.request, matched, destination, cluster.spec.external)
        .ok_or_else(|| Reply::refused("unsendable_rewrite"))?;
    let bound = if route.retries.is_some() { client.carrier.bounds.retry_buffer_bytes } else { 0 };
    let mut upload = Upload::new(bound);
    for copy in &route.mirrors {
        if let Some(cluster) = table.clusters.get(&copy.cluster).filter(|_| client.carrier.dice.hits(copy.percentage)) {
            mirror::start(&client.carrier, cluster, &record.request, &outgoing, &mut upload);
        }
    }
    let delivery = Delivery {
        carrier: &client.carrier,
        cluster,
        retries: route.retries.as_ref(),
        timeout: route.timeout,
        hash: affinity.hash,
    };
    let change = |headers: &mut Fields| {
        affinity.tell(headers);
        destination.response_headers.apply(headers);
        route.response_headers.apply(headers);
        if let (Some(cors), Some(origin)) = (&route.cors, &origin) {
            cors.decorate(origin, headers);
        }
    };
    delivery.run(&outgoing, down, &mut upload, record, change).await;
    Ok(())
}

/// The head for the upstream: rewritten, its headers changed, this proxy's workload named.
fn outgoing(
    client: &Client,
    request: &mut Request,
    matched: &Matched,
    destination: &Destination,
    external: bool,
) -> Option<Outgoing> {
    let route = &matched.route;
    match client.side {
        Side::Gateway { .. } => headers::forwarded_for(&mut request.fields, &client.peer_text, client.scheme),
        _ => headers::forwarded_proto(&mut request.fields, client.scheme),
    }
    route.request_headers.apply(&mut request.fields);
    destination.request_headers.apply(&mut request.fields);
    // Whatever the application or the outside says here: the peer is this workload, and outside the mesh nobody.
    request.fields.remove(Known::Peer);
    if let (false, Some(peer)) = (external, &client.carrier.peer_header) {
        request.fields.add(Known::Peer, peer.as_bytes());
    }
    let rewrite = route.rewrite.as_ref();
    let authority = rewrite
        .and_then(|rewrite| rewrite.authority.as_ref())
        .or(route.request_headers.authority.as_ref())
        .or(destination.request_headers.authority.as_ref());
    let authority = authority.map_or(request.authority, |authority| request.fields.store(authority.as_bytes()));
    let path = rewrite.and_then(|rewrite| rewrite.path(request.path(), matched.prefix_len));
    let (path, query) = match path {
        Some(path) => target(request, &path)?,
        None => (request.path, request.query),
    };
    Some(Outgoing { path, query, authority, count_attempts: true })
}

/// Takes a path that a rewrite made; `None` when it cannot be sent.
fn target(request: &mut Request, path: &str) -> Option<(crate::head::Span, Option<crate::head::Span>)> {
    let text = if path.starts_with('/') || path == "*" { path.to_owned() } else { format!("/{path}") };
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    Some((request.fields.store(text.as_bytes()), request.query))
}

impl Reply {
    fn no_table() -> Self {
        Self::new(503, Flag::NoRoute, "no configuration was accepted yet")
    }

    fn no_route() -> Self {
        Self::new(404, Flag::NoRoute, "")
    }

    /// An explicit listener does not see the address the client wanted, so even `ALLOW_ANY` has nowhere to send this.
    fn unknown_host(host: &str, port: u16) -> Self {
        Self::new(502, Flag::NoRoute, format!("no route: the mesh knows no host {host:?} on port {port}\n"))
    }

    fn https(head: &crate::router::Head<'_>) -> Self {
        let query = head.query.map_or(String::new(), |query| format!("?{query}"));
        let location = format!("https://{}{}{query}", without_port(head.authority), head.path);
        Self::redirect(301, Some(location))
    }

    fn redirect(status: u16, location: Option<String>) -> Self {
        let Some(location) = location else { return Self::refused("unsendable_redirect") };
        let mut reply = Self::plain(status);
        reply.headers.add(Known::Location, location.as_bytes());
        reply
    }

    fn preflight(headers: Fields) -> Self {
        Self { headers, ..Self::plain(200) }
    }
}
