//! Critical paths: which calls a request really waited for.
//!
//! From the end of a trace's root back: the child that ended last was waited for, before it the one that ended last
//! before it began, and so on (the method of Uber's CRISP). Children are cut to their parents, because clocks of two
//! machines differ. Each span's own time on the path counts for the edge over which its service was entered.

use std::collections::HashMap;

use super::edge::{self, Connection, Rollups, Table};
use super::spans;
use crate::store::traces::block::{Block, Record, SpanId};

const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// Adds the critical paths of the traces whose root is in a block.
pub(crate) fn add(block: &Block, rollups: &mut Rollups) {
    let mut records: Vec<&Record> = block.records.iter().collect();
    records.sort_by_key(|record| record.trace);
    for trace in records.chunk_by(|one, next| one.trace == next.trace) {
        let roots = trace.iter().enumerate().filter(|(_, record)| record.parent == [0; 8]);
        let Some((root, record)) = roots.max_by_key(|(_, record)| record.duration()) else { continue };
        let mut table = Table { trace_seconds: record.duration() as f64 / 1e9, ..Table::default() };
        Path { block, trace, children: children(trace) }.walk(root, &mut table);
        let start_ms = i64::try_from(record.start / 1_000_000).unwrap_or(i64::MAX);
        edge::roll_up(rollups, edge::SPANS, start_ms, &table);
    }
}

struct Path<'a> {
    block: &'a Block,
    trace: &'a [&'a Record],
    children: Vec<Vec<usize>>,
}

/// Over which edge a span was entered: client, server, kind.
type Entered = Option<(String, String, Connection)>;

impl Path<'_> {
    fn walk(&self, root: usize, table: &mut Table) {
        let record = self.trace[root];
        let mut due: Vec<(usize, u64, u64, Entered)> =
            vec![(root, record.start, record.start.saturating_add(record.duration()), None)];
        while let Some((at, start, end, entered)) = due.pop() {
            let mut until = end;
            let mut own = 0;
            let mut children: Vec<(u64, u64, usize)> = self.children[at]
                .iter()
                .map(|&child| {
                    let record = self.trace[child];
                    let to = record.start.saturating_add(record.duration()).clamp(start, end);
                    (to, record.start.clamp(start, to), child)
                })
                .collect();
            children.sort_unstable_by(|a, b| b.cmp(a));
            for (to, from, child) in children {
                if to <= until && to > from {
                    own += until - to;
                    until = from;
                    due.push((child, from, to, self.entered(at, child).or_else(|| entered.clone())));
                }
            }
            own += until - start;
            let called = if self.children[at].is_empty() { self.called(at) } else { None };
            if let Some((client, server, connection)) = called.or(entered) {
                table.edge(&client, &server, connection).critical_seconds += own as f64 / 1e9;
            }
        }
    }

    /// Gives the edge between a span and its child in another service.
    fn entered(&self, at: usize, child: usize) -> Entered {
        let (client, server) = (self.block.service(self.trace[at]), self.block.service(self.trace[child]));
        (client != server).then(|| (client.to_owned(), server.to_owned(), Connection::Call))
    }

    /// Gives the edge of a client span whose other end sends no spans.
    fn called(&self, at: usize) -> Entered {
        let (server, connection) = spans::peer(self.block, self.trace[at])?;
        Some((self.block.service(self.trace[at]).to_owned(), server, connection))
    }
}

fn children(trace: &[&Record]) -> Vec<Vec<usize>> {
    let mut places: HashMap<SpanId, Vec<usize>> = HashMap::new();
    trace.iter().enumerate().for_each(|(at, record)| places.entry(record.id).or_default().push(at));
    let mut children = vec![Vec::new(); trace.len()];
    for (at, record) in trace.iter().enumerate() {
        let alike = places.get(&record.id).map_or(&[][..], Vec::as_slice);
        // B3: the server has the id of the client, and is its child.
        let shared = alike.iter().find(|&&other| record.kind == SERVER && trace[other].kind == CLIENT);
        let parents = places.get(&record.parent).map_or(&[][..], Vec::as_slice);
        let server = parents.iter().find(|&&other| trace[other].kind == SERVER);
        if let Some(&parent) = shared.or(server).or(parents.first()).filter(|&&parent| parent != at) {
            children[parent].push(at);
        }
    }
    children
}

#[cfg(test)]
mod tests;
