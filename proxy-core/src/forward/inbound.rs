//! Requests to the workload's own application.

use std::sync::Arc;

use super::begin::{authorize, begin};
use super::deliver::Delivery;
use super::reply::Reply;
use super::upload::Upload;
use super::{Client, Downstream, headers};
use crate::head::{Known, Request};
use crate::telemetry::{Flag, Record, Reporter};
use crate::upstream::Outgoing;

pub(crate) async fn serve(client: &Client, down: &mut Downstream, port: u16, request: Request) -> Request {
    let (mut record, begun) = begin(client, Reporter::Destination, request);
    let answered = match begun {
        Ok(()) => answer(client, down, port, &mut record).await,
        Err(reply) => Err(reply),
    };
    if let Err(reply) = answered {
        reply.give(down, &mut record, |_| {}).await;
    }
    record.close()
}

async fn answer(client: &Client, down: &mut Downstream, port: u16, record: &mut Record) -> Result<(), Reply> {
    let request = &mut record.request;
    if let Some(written) = request.fields.get(Known::Peer) {
        record.peer = client.carrier.sink.party(written);
        request.fields.remove(Known::Peer);
    }
    let table = client.carrier.table();
    let Some((table, inbound)) = table.as_ref().and_then(|table| Some((table, table.inbound.get(&port)?))) else {
        tracing::debug!(port, "no configuration was accepted yet");
        return Err(Reply::new(503, Flag::NoRoute, "no configuration was accepted yet"));
    };
    let cluster = Arc::clone(&inbound.cluster);
    record.service = Arc::clone(&cluster.service);
    record.cluster = Some(Arc::clone(&cluster));
    authorize(client, request, &table.policies, port)?;
    headers::forwarded_proto(&mut request.fields, client.scheme);
    let outgoing =
        Outgoing { path: request.path, query: request.query, authority: request.authority, count_attempts: false };
    let delivery = Delivery { carrier: &client.carrier, cluster: &cluster, retries: None, timeout: None, hash: None };
    delivery.run(&outgoing, down, &mut Upload::new(0), record, |_| {}).await;
    Ok(())
}
