//! The service graph from spans, as they arrive: the two ends of a call are found by their ids.
//!
//! A client span waits for the server span that names it as its parent (or, from senders of B3, has the same id), and
//! the other way round, for as long as spans of one call may come apart. What waits in vain is counted by reason, or is
//! an edge to what the client says it called: a database, a queue, a service without tracing.

use std::collections::{BTreeMap, HashMap, VecDeque};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use parking_lot::Mutex;
use wattle_contract::{Sample, Timestamp};

use super::edge::{self, Connection, Rollups, Table};
use super::series::Series;
use crate::store::traces::block::{Block, Record, SpanId, TraceId, read_pair, split_pair, text};

/// How long one end of a call waits for the other.
const WAIT_MS: i64 = 30_000;
/// Ends that wait at the same time; the oldest gives way.
const WAITING: usize = 200_000;
/// Client, server, producer and consumer in OpenTelemetry's numbers.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

/// Why a span is on no edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unpaired {
    /// A client span to which no server span came, and that does not say what it called.
    NoServer,
    /// A server span whose parent is a span that never came.
    NoClient,
    /// Too many were waiting.
    Overflow,
}

impl Unpaired {
    /// Gives the fixed word for metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NoServer => "no_server",
            Self::NoClient => "no_client",
            Self::Overflow => "overflow",
        }
    }
}

/// What is known of a service's spans.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Seen {
    pub(crate) spans: u64,
    pub(crate) client_spans: u64,
    pub(crate) server_spans: u64,
    /// Server spans without a parent: where requests enter.
    pub(crate) entries: u64,
    pub(crate) paired: u64,
    pub(crate) unpaired: BTreeMap<Unpaired, u64>,
    /// A trace with such a span, to look at.
    pub(crate) example: BTreeMap<Unpaired, String>,
}

/// One end of a call that waits for the other.
#[derive(Clone, Debug)]
struct End {
    service: Box<str>,
    kind: u8,
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
    start_ms: i64,
    seconds: f64,
    is_error: bool,
    node: Option<Box<str>>,
    bytes: Option<f64>,
    /// What the client says it called.
    peer: Option<(String, Connection)>,
}

type Call = (TraceId, SpanId);

#[derive(Default)]
struct State {
    clients: HashMap<Call, End>,
    /// By their own id.
    servers: HashMap<Call, End>,
    /// Id of the parent to that of the server span.
    by_parent: HashMap<Call, Call>,
    order: VecDeque<(i64, bool, Call)>,
    rollups: Rollups,
    series: Series,
    seen: BTreeMap<Box<str>, Seen>,
}

/// The service graph from spans.
#[derive(Default)]
pub(crate) struct SpanGraph {
    state: Mutex<State>,
}

impl SpanGraph {
    /// Takes the spans of a block from a place on.
    pub(crate) fn observe(&self, block: &Block, from: usize, now: Timestamp) {
        let mut state = self.state.lock();
        for record in &block.records[from..] {
            state.observe(block, record, now.0);
        }
    }

    /// Gives up on ends that waited too long.
    pub(crate) fn expire(&self, now: Timestamp) {
        let mut state = self.state.lock();
        while state.order.front().is_some_and(|(arrived, ..)| now.0 - arrived > WAIT_MS) {
            state.give_up(None);
        }
    }

    /// Gives what was added since the last block was sealed, and starts again.
    pub(crate) fn take_pending(&self) -> Rollups {
        std::mem::take(&mut self.state.lock().rollups)
    }

    /// Looks at what was added since the last block was sealed.
    pub(crate) fn pending(&self, look: impl FnOnce(&Rollups)) {
        look(&self.state.lock().rollups);
    }

    /// Gives the series of the graph and of the spans as they stand.
    pub(crate) fn samples(&self, now: Timestamp) -> Vec<Sample> {
        self.state.lock().series.samples(now)
    }

    /// Gives what is known of services, in order.
    pub(crate) fn seen(&self) -> BTreeMap<String, Seen> {
        self.state.lock().seen.iter().map(|(service, seen)| (service.to_string(), seen.clone())).collect()
    }

    /// Counts the spans on no edge by reason, over all services.
    pub(crate) fn unpaired(&self) -> BTreeMap<Unpaired, u64> {
        let mut sums = BTreeMap::new();
        for seen in self.state.lock().seen.values() {
            seen.unpaired.iter().for_each(|(reason, count)| *sums.entry(*reason).or_default() += count);
        }
        sums
    }
}

impl State {
    fn observe(&mut self, block: &Block, record: &Record, now: i64) {
        let service = block.service(record);
        let seconds = record.duration() as f64 / 1e9;
        self.series.span(service, block.name(record), (record.kind, record.status), seconds);
        let seen = self.seen(service);
        seen.spans += 1;
        match record.kind {
            CLIENT | PRODUCER => {
                seen.client_spans += 1;
                let end = End::of(block, record);
                self.client((record.trace, record.id), end, now);
            }
            SERVER | CONSUMER => {
                seen.server_spans += 1;
                let end = End::of(block, record);
                self.server(record, end, now);
            }
            _ => {}
        }
    }

    fn seen(&mut self, service: &str) -> &mut Seen {
        if !self.seen.contains_key(service) {
            self.seen.insert(service.into(), Seen::default());
        }
        self.seen.entry(service.into()).or_default()
    }

    fn client(&mut self, call: Call, end: End, now: i64) {
        // A database sends no spans: nobody to wait for.
        if let Some((server, Connection::Database)) = &end.peer {
            self.seen(&end.service).paired += 1;
            return self.count(&end.service, server, Connection::Database, (&end, None));
        }
        let own = if self.servers.contains_key(&call) { Some(call) } else { self.by_parent.remove(&call) };
        match own.and_then(|own| self.servers.remove(&own)) {
            Some(server) => self.pair(&end, &server),
            None => self.wait(call, end, now, true),
        }
    }

    fn server(&mut self, record: &Record, end: End, now: i64) {
        // The same id at both ends (B3) is the more certain sign.
        let (shared, child) = ((record.trace, record.id), (record.trace, record.parent));
        if let Some(client) = self.clients.remove(&shared).or_else(|| self.clients.remove(&child)) {
            return self.pair(&client, &end);
        }
        // Without a parent only a client with the same id can still come.
        if record.parent != [0; 8] {
            self.by_parent.insert(child, shared);
        }
        self.wait(shared, end, now, false);
    }

    fn wait(&mut self, call: Call, end: End, now: i64, is_client: bool) {
        while self.order.len() >= WAITING {
            self.give_up(Some(Unpaired::Overflow));
        }
        self.order.push_back((now, is_client, call));
        let before = if is_client { self.clients.insert(call, end) } else { self.servers.insert(call, end) };
        if let Some(before) = before {
            self.end(&before, is_client, None);
        }
    }

    /// Takes the oldest end that waits off.
    fn give_up(&mut self, why: Option<Unpaired>) {
        let Some((_, is_client, call)) = self.order.pop_front() else { return };
        let end = if is_client { self.clients.remove(&call) } else { self.servers.remove(&call) };
        if let Some(end) = end {
            self.end(&end, is_client, why);
        }
    }

    /// Accounts for an end whose other end did not come.
    fn end(&mut self, end: &End, is_client: bool, why: Option<Unpaired>) {
        if !is_client {
            if self.by_parent.get(&(end.trace, end.parent)).is_some_and(|own| own.1 == end.id) {
                self.by_parent.remove(&(end.trace, end.parent));
            }
            if end.parent == [0; 8] {
                return self.seen(&end.service).entries += 1;
            }
        }
        match &end.peer {
            Some((server, connection)) => {
                self.seen(&end.service).paired += 1;
                self.count(&end.service, server, *connection, (end, None));
            }
            None => self.lose(end, why.unwrap_or(if is_client { Unpaired::NoServer } else { Unpaired::NoClient })),
        }
    }

    fn lose(&mut self, end: &End, why: Unpaired) {
        let trace = end.trace;
        let seen = self.seen(&end.service);
        *seen.unpaired.entry(why).or_default() += 1;
        seen.example.entry(why).or_insert_with(|| trace.iter().map(|byte| format!("{byte:02x}")).collect());
    }

    fn pair(&mut self, client: &End, server: &End) {
        let is_queue = client.kind == PRODUCER || server.kind == CONSUMER;
        let connection = if is_queue { Connection::MessagingSystem } else { Connection::Call };
        for end in [client, server] {
            self.seen(&end.service).paired += 1;
        }
        self.count(&client.service, &server.service, connection, (client, Some(server)));
    }

    fn count(&mut self, client: &str, server: &str, connection: Connection, ends: (&End, Option<&End>)) {
        let (from, to) = ends;
        let is_error = from.is_error || to.is_some_and(|to| to.is_error);
        let mut table = Table::default();
        let stats = table.edge(client, server, connection);
        stats.requests = 1.0;
        stats.errors = f64::from(u8::from(is_error));
        stats.bytes = from.bytes.or(to.and_then(|to| to.bytes));
        stats.latency.count(from.seconds, 1.0);
        if let Some((one, other)) = from.node.as_ref().zip(to.and_then(|to| to.node.as_ref())) {
            stats.located = 1.0;
            stats.same_node = f64::from(u8::from(one == other));
        }
        edge::roll_up(&mut self.rollups, edge::SPANS, from.start_ms, &table);
        self.series.edge((client, server, connection), is_error, from.seconds, to.map(|to| to.seconds));
    }
}

impl End {
    fn of(block: &Block, record: &Record) -> Self {
        let attributes = wanted(block, record);
        let number = |keys: &[&str]| {
            let found = attributes.iter().find(|attribute| keys.contains(&attribute.key.as_str()))?;
            match found.value.as_ref()?.value.as_ref()? {
                any_value::Value::IntValue(number) => Some(*number as f64),
                any_value::Value::DoubleValue(number) => Some(*number),
                any_value::Value::StringValue(text) => text.parse().ok(),
                _ => None,
            }
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        };
        let bytes = [number(&REQUEST_BYTES), number(&RESPONSE_BYTES)];
        Self {
            service: block.service(record).into(),
            kind: record.kind,
            trace: record.trace,
            id: record.id,
            parent: record.parent,
            start_ms: i64::try_from(record.start / 1_000_000).unwrap_or(i64::MAX),
            seconds: record.duration() as f64 / 1e9,
            is_error: record.status == 2,
            node: block.node(record.resource).map(Into::into),
            bytes: bytes.iter().any(Option::is_some).then(|| bytes.iter().flatten().sum()),
            peer: named_peer(record.kind, &attributes),
        }
    }
}

/// Gives what a client or producer span says it called.
pub(super) fn peer(block: &Block, record: &Record) -> Option<(String, Connection)> {
    named_peer(record.kind, &wanted(block, record))
}

/// Gives the attributes of a span that tell of the other end.
fn wanted(block: &Block, record: &Record) -> Vec<KeyValue> {
    let words = block.list(record).iter().map(|&pair| block.pairs.get(pair));
    words.filter(|word| split_pair(word).is_some_and(|(key, _)| is_wanted(key))).filter_map(read_pair).collect()
}

const REQUEST_BYTES: [&str; 3] = ["http.request.body.size", "http.request_content_length", "request_size"];
const RESPONSE_BYTES: [&str; 3] = ["http.response.body.size", "http.response_content_length", "response_size"];
/// What a client calls its database, most telling first.
const DATABASES: [&str; 5] = ["peer.service", "db.namespace", "db.name", "db.system.name", "db.system"];
/// What a client calls the other end, most telling first.
const PEERS: [&str; 5] = ["peer.service", "server.address", "net.peer.name", "rpc.service", "net.sock.peer.name"];
const QUEUES: [&str; 4] = ["peer.service", "messaging.destination.name", "messaging.destination", "messaging.system"];

fn is_wanted(key: &str) -> bool {
    [&REQUEST_BYTES[..], &RESPONSE_BYTES, &DATABASES, &PEERS, &QUEUES].iter().any(|keys| keys.contains(&key))
}

fn named_peer(kind: u8, attributes: &[KeyValue]) -> Option<(String, Connection)> {
    if kind != CLIENT && kind != PRODUCER {
        return None;
    }
    let first = |keys: &[&str]| keys.iter().find_map(|key| text(attributes, key)).filter(|name| !name.is_empty());
    let is_database = ["db.system", "db.system.name"].iter().any(|key| text(attributes, key).is_some());
    let is_queue = kind == PRODUCER || text(attributes, "messaging.system").is_some();
    let (name, connection) = match (is_database, is_queue) {
        (true, _) => (first(&DATABASES)?, Connection::Database),
        (_, true) => (first(&QUEUES)?, Connection::MessagingSystem),
        _ => (first(&PEERS)?, Connection::VirtualNode),
    };
    Some((crate::store::traces::block::searchable(name), connection))
}
