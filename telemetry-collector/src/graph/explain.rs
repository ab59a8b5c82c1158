//! `/api/v1/graph/explain`: why an edge is there, or is not.

use serde::Serialize;

use super::merge::{Both, Told};
use super::spans::{Seen, Unpaired};
use crate::receive::intake::Intake;

/// What is known of an edge and of its ends.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    client: String,
    server: String,
    /// The edges between the two, in the last five minutes.
    edges: Vec<Told>,
    /// What spans said of each end since the start of the collector.
    client_spans: Option<Seen>,
    server_spans: Option<Seen>,
    /// In words, most likely first.
    because: Vec<String>,
}

/// Explains the edge between two services.
pub(crate) fn explain(intake: &Intake, both: &Both, client: &str, server: &str) -> Explanation {
    let is = |name: &str, wanted: &str| name == wanted || name.split('.').next() == Some(wanted);
    let mut edges = both.edges();
    edges.retain(|edge| is(&edge.client, client) && is(&edge.server, server));
    let mut seen = intake.traces.graph.seen();
    let mut of = |wanted: &str| {
        let name = seen.keys().find(|name| is(name, wanted)).cloned()?;
        seen.remove(&name)
    };
    let (client_spans, server_spans) = (of(client), of(server));
    let because = reasons(&edges, (client, client_spans.as_ref()), (server, server_spans.as_ref()));
    Explanation { client: client.to_owned(), server: server.to_owned(), edges, client_spans, server_spans, because }
}

fn reasons(edges: &[Told], client: (&str, Option<&Seen>), server: (&str, Option<&Seen>)) -> Vec<String> {
    let ((client, of_client), (server, of_server)) = (client, server);
    if let Some(edge) = edges.first() {
        return vec![format!("the edge is there, from {}", edge.source)];
    }
    let mut because = Vec::new();
    match of_client {
        None => because.push(format!(
            "no span of {client} arrived and no Istio metric with reporter=source names it: is it traced, or is its \
             proxy scraped?"
        )),
        Some(seen) if seen.client_spans == 0 => because.push(format!(
            "{client} sent {} spans but none of kind client or producer: its outgoing calls are not instrumented, or \
             have another kind",
            seen.spans
        )),
        Some(seen) => because.extend(lost(client, seen, Unpaired::NoServer, "no server span named them as parent")),
    }
    match of_server {
        None => because.push(format!(
            "no span of {server} arrived: when it is not traced, set peer.service or server.address on the client's span"
        )),
        Some(seen) if seen.server_spans == 0 => {
            because.push(format!("{server} sent {} spans but none of kind server or consumer", seen.spans));
        }
        Some(seen) => {
            because.extend(lost(server, seen, Unpaired::NoClient, "the span they name as parent never came"));
            if seen.entries > 0 {
                because.push(format!(
                    "{} server spans of {server} have no parent: the trace context is not passed on to it",
                    seen.entries
                ));
            }
        }
    }
    if because.is_empty() {
        because.push(format!("both send spans that are paired, with others: {client} was not seen to call {server}"));
    }
    because
}

fn lost(service: &str, seen: &Seen, why: Unpaired, text: &str) -> Option<String> {
    let count = seen.unpaired.get(&why)?;
    let example = seen.example.get(&why).map_or("", String::as_str);
    Some(format!("{count} spans of {service} waited in vain: {text} within 30 s (an example is trace {example})"))
}
