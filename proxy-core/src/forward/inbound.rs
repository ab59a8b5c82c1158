//! Requests to the workload's own application.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use super::begin::begin;
use super::deliver::Delivery;
use super::exchange::Outgoing;
use super::replay::Replay;
use super::reply::Reply;
use super::{Client, headers};
use crate::body::Body;
use crate::telemetry::{Flag, PEER_HEADER, Party, Reporter};

pub(crate) async fn serve(
    client: &Client,
    port: u16,
    application: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let (mut record, begun) = begin(client, Reporter::Destination, request);
    let mut begun = match begun {
        Ok(begun) => begun,
        Err(reply) => return reply.give(&mut record),
    };
    if let Some(peer) = begun.head.headers.remove(PEER_HEADER) {
        record.peer = Party::from_header(&peer);
    }
    let table = client.carrier.table();
    let Some((table, inbound)) = table.as_ref().and_then(|table| Some((table, table.inbound.get(&port)?))) else {
        tracing::debug!(port, %application, "no configuration was accepted yet");
        return Reply::new(StatusCode::SERVICE_UNAVAILABLE, Flag::NoRoute, "no configuration was accepted yet")
            .give(&mut record);
    };
    let cluster = Arc::clone(&inbound.cluster);
    record.service = Arc::clone(&cluster.service);
    cluster.spec.name.as_str().clone_into(&mut record.cluster);
    if let Err(reply) = begun.authorize(client, &table.policies, port) {
        return reply.give(&mut record);
    }
    let mut request = begun.head.headers.clone();
    request.remove(header::HOST);
    headers::forwarded_proto(&mut request);
    let (target, authority) = (begun.target(&begun.path), HeaderValue::from_str(&begun.authority));
    let (Some(target), Ok(authority)) = (target, authority) else {
        return Reply::refused("unsendable_target").give(&mut record);
    };
    let outgoing =
        Outgoing { method: begun.head.method.clone(), target, authority, headers: request, count_attempts: false };
    let body = Replay::new(begun.body, 0, Arc::clone(&record.request_bytes));
    let delivery = Delivery {
        carrier: &client.carrier,
        cluster,
        downstream: begun.head.version,
        retries: None,
        timeout: None,
        hash: None,
        upgrade: begun.upgrade.take(),
    };
    delivery.run(outgoing, &body, record, |_| {}).await
}
