//! The first steps of every request: its record, its checks, its place in a trace.

use super::reply::Reply;
use super::{Client, headers};
use crate::head::Request;
use crate::policy::{Policies, Subject, Verdict};
use crate::router::{Head, normalise};
use crate::telemetry::{Record, Reporter, TraceHeaders};

/// Begins the record and checks the head; a refusal is an answer already.
pub(crate) fn begin(client: &Client, reporter: Reporter, request: Request) -> (Record, Result<(), Reply>) {
    let mut record = Record::new(client.carrier.sink.clone(), reporter, request, client.peer);
    record.scheme = client.scheme;
    if let Some(reason) = record.request.refusal {
        client.carrier.metrics.rejected.with_label_values(&[reason]).inc();
        return (record, Err(Reply::refused(reason)));
    }
    let request = &mut record.request;
    let normal = match normalise(request.fields.str(request.path)) {
        std::borrow::Cow::Borrowed(_) => None,
        std::borrow::Cow::Owned(path) => Some(path),
    };
    if let Some(path) = normal {
        request.path = request.fields.store(path.as_bytes());
    }
    headers::strip_hop_by_hop(&mut request.fields);
    record.request_id = headers::request_id(&mut request.fields, &client.carrier.dice);
    trace(client, &mut record);
    (record, Ok(()))
}

fn trace(client: &Client, record: &mut Record) {
    let options = client.carrier.sink.options.load();
    let headers = &mut record.request.fields;
    if !options.custom_tags.is_empty() {
        record.tags = crate::telemetry::tags(&options.custom_tags, headers);
    }
    if options.spans || options.propagate {
        let read = TraceHeaders::read(headers);
        let span = read.begin(options.sampling, &client.carrier.dice);
        if options.propagate {
            read.write(&span, headers);
        }
        record.span = Some(span);
    }
}

/// What the router looks at.
pub(crate) fn view<'a>(record: &'a Record) -> Head<'a> {
    let request = &record.request;
    Head {
        scheme: record.scheme,
        method: request.method(),
        authority: request.authority(),
        path: request.path(),
        query: request.query(),
        headers: &request.fields,
    }
}

/// Asks the workload's policies.
pub(crate) fn authorize(client: &Client, request: &Request, policies: &Policies, port: u16) -> Result<(), Reply> {
    if policies.is_empty() {
        return Ok(());
    }
    let subject = Subject {
        host: request.authority(),
        method: request.method(),
        path: request.path(),
        headers: &request.fields,
        peer: client.peer.ip(),
        local: client.local.ip(),
        port,
    };
    match policies.decide(&subject) {
        Verdict::Allowed => Ok(()),
        Verdict::Denied => Err(Reply::denied()),
    }
}
