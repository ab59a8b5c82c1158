//! The first steps of every request: its record, its checks, its place in a trace.

use http::{HeaderValue, Request, Uri, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::check::{self, Refusal};
use super::reply::Reply;
use super::{Client, headers};
use crate::policy::{Policies, Subject, Verdict};
use crate::router::{Head, normalise};
use crate::telemetry::{Record, Reporter, TraceHeaders};

/// A request that passed its checks.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) head: http::request::Parts,
    pub(crate) body: Incoming,
    pub(crate) authority: String,
    /// Normalised.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) upgrade: Option<(OnUpgrade, HeaderValue)>,
}

/// Begins the record and checks the head; a refusal is an answer already.
pub(crate) fn begin(
    client: &Client,
    reporter: Reporter,
    mut request: Request<Incoming>,
) -> (Box<Record>, Result<Begun, Reply>) {
    let protocol = check::upgrade(request.headers()).then(|| request.headers().get(http::header::UPGRADE).cloned());
    let upgrade = protocol.flatten().map(|protocol| (hyper::upgrade::on(&mut request), protocol));
    let (head, body) = request.into_parts();
    let mut record = Box::new(Record::new(client.carrier.sink.clone(), reporter, &head, client.peer));
    let authority = match check::authority(&head) {
        Ok(authority) => authority,
        Err(Refusal(reason)) => {
            client.carrier.metrics.rejected.with_label_values(&[reason]).inc();
            return (record, Err(Reply::refused(reason)));
        }
    };
    let path = normalise(head.uri.path()).into_owned();
    record.authority.clone_from(&authority);
    record.path.clone_from(&path);
    let query = head.uri.query().map(str::to_owned);
    let mut begun = Begun { head, body, authority, path, query, upgrade };
    headers::strip_hop_by_hop(&mut begun.head.headers);
    record.request_id = headers::request_id(&mut begun.head.headers, &client.carrier.dice);
    trace(client, &mut begun, &mut record);
    (record, Ok(begun))
}

fn trace(client: &Client, begun: &mut Begun, record: &mut Record) {
    let options = client.carrier.sink.options.load();
    let headers = &mut begun.head.headers;
    record.tags = crate::telemetry::tags(&options.custom_tags, headers);
    if options.spans || options.propagate {
        let read = TraceHeaders::read(headers);
        let span = read.begin(options.sampling, &client.carrier.dice);
        if options.propagate {
            read.write(&span, headers);
        }
        record.span = Some(span);
    }
}

impl Begun {
    /// What the router looks at.
    pub(crate) fn view(&self) -> Head<'_> {
        Head {
            scheme: "http",
            method: self.head.method.as_str(),
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.head.headers,
        }
    }

    /// Asks the workload's policies.
    pub(crate) fn authorize(&self, client: &Client, policies: &Policies, port: u16) -> Result<(), Reply> {
        let subject = Subject {
            host: &self.authority,
            method: self.head.method.as_str(),
            path: &self.path,
            headers: &self.head.headers,
            peer: client.peer.ip(),
            local: client.local.ip(),
            port,
        };
        match policies.decide(&subject) {
            Verdict::Allowed => Ok(()),
            Verdict::Denied => Err(Reply::denied()),
        }
    }

    /// Gives the path with its query as a target; `None` when a rewrite made something that cannot be sent.
    pub(crate) fn target(&self, path: &str) -> Option<Uri> {
        let text = match &self.query {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        let text = if text.starts_with('/') || text == "*" { text } else { format!("/{text}") };
        PathAndQuery::try_from(text).ok().map(Uri::from)
    }
}
