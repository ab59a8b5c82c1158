//! Consolidation advice: nodes that are worth emptying, as a report and a metric. Nothing is ever evicted.
//!
//! The node that saves most is emptied on paper: its load goes, in pieces, where it adds least power and leaves headroom;
//! then the next one, with the loads as they are by then. What is saved is the power of the emptied node (it can be
//! switched off) less what its load adds elsewhere.

use serde::{Deserialize, Serialize};
use wattle_contract::{Millicores, Milliseconds, NodeName, Watts};

use crate::assume::Load;
use crate::predict::{NodeModel, ServicePart};
use crate::view::View;

/// Nobody is filled beyond this utilisation: latency under interference begins to rise there.
const FULL: f64 = 0.8;
/// A node's load travels in so many pieces: pods are not divisible at will.
const PIECES: u32 = 8;
/// Nodes that are looked at most; beyond it the report is about the least loaded ones.
const MOST: usize = 512;
/// Of those, the least loaded ones that are tried in each round, and the rounds.
const TRIED: usize = 32;
const ROUNDS: usize = 64;
/// Less is not worth the move.
const WORTHWHILE_WATTS: f64 = 1.0;

/// What emptying nodes would save.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Nodes worth emptying, in that order: each figure holds when those before it are empty.
    pub nodes: Vec<Emptied>,
    /// Nodes that were looked at.
    pub looked_at: usize,
    /// Power of those now, as predicted.
    pub watts_now: Watts,
    /// Power that all of it would save.
    pub saved_watts: Watts,
    /// The same for a day. Units: kilowatt hours.
    pub saved_kwh_per_day: f64,
}

/// One node that is worth emptying.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emptied {
    /// The node.
    pub node: NodeName,
    /// Its power now.
    pub watts_now: Watts,
    /// Its load, that has to go elsewhere.
    pub load_millicores: Millicores,
    /// Power that this load adds elsewhere.
    pub added_watts: Watts,
    /// What remains saved.
    pub saved_watts: Watts,
    /// The same for a day. Units: kilowatt hours.
    pub saved_kwh_per_day: f64,
    /// Where the load would go, with how much of it.
    pub targets: Vec<(NodeName, Millicores)>,
    /// Predicted latency of a typical service where it runs now.
    pub p95_now_ms: Option<Milliseconds>,
    /// The worst that this becomes on a target.
    pub p95_then_ms: Option<Milliseconds>,
}

/// One node on paper.
struct Paper<'a> {
    number: usize,
    model: &'a dyn NodeModel,
    /// Use that was measured. Units: millicores, as the capacity.
    used: f64,
    capacity: f64,
    /// Load on top of what was measured.
    extra: f64,
    is_emptied: bool,
}

/// Looks for nodes worth emptying. A node whose measurement is unknown is neither emptied nor filled.
///
/// `assumed` is what stands on each node on top of what was measured, by number; beyond its end that is nothing. It is
/// taken as a copy: the search may last a second, and no call is to wait for it.
#[must_use]
pub fn advise(view: &View, assumed: &[Load]) -> Advice {
    let mut papers = papers(view, assumed);
    let typical = view.model.as_ref().map(|model| model.predictions.service(None)).unwrap_or_default();
    let watts_now = papers.iter().filter_map(|paper| paper.model.watts(milli(paper.extra))).map(|w| w.mid).sum();
    let mut advice = Advice { looked_at: papers.len(), watts_now, ..Advice::default() };
    for _ in 0..ROUNDS {
        let left = (0..papers.len()).filter(|at| !papers[*at].is_emptied).take(TRIED);
        let best = left
            .filter_map(|at| Some((at, emptied(view, &papers, at, typical)?)))
            .max_by(|(_, (a, _)), (_, (b, _))| a.saved_watts.get().total_cmp(&b.saved_watts.get()));
        let Some((at, (emptied, moves))) = best else { break };
        papers[at].is_emptied = true;
        moves.into_iter().for_each(|(to, load)| papers[to].extra += load);
        advice.saved_watts += emptied.saved_watts;
        advice.nodes.push(emptied);
    }
    advice.saved_kwh_per_day = kwh_per_day(advice.saved_watts);
    advice
}

fn papers<'a>(view: &'a View, assumed: &[Load]) -> Vec<Paper<'a>> {
    let paper = |number: usize| {
        let model = view.nodes.get(number)?.model.as_deref()?;
        model.watts(Millicores::ZERO)?;
        // The slope of the utilisation tells the size of the node.
        let (now, more) = (model.utilisation(Millicores::ZERO)?, model.utilisation(milli(1_000.0))?);
        let capacity = 1_000.0 / (more - now);
        let extra = assumed.get(number).map_or(0.0, |load| load.cpu.get());
        (capacity.is_finite() && capacity > 0.0).then_some(Paper {
            number,
            model,
            used: now * capacity,
            capacity,
            extra,
            is_emptied: false,
        })
    };
    let mut papers: Vec<Paper<'a>> = (0..view.nodes.len()).filter_map(paper).collect();
    papers.sort_by(|a, b| (a.load() / a.capacity).total_cmp(&(b.load() / b.capacity)).then(a.number.cmp(&b.number)));
    papers.truncate(MOST);
    papers
}

type Moves = Vec<(usize, f64)>;

/// Empties one node on paper; `None` when that is impossible or saves nothing.
fn emptied(view: &View, papers: &[Paper<'_>], at: usize, typical: ServicePart) -> Option<(Emptied, Moves)> {
    let paper = &papers[at];
    if paper.is_emptied {
        return None;
    }
    let watts_now = paper.model.watts(milli(paper.extra))?.mid;
    let load = paper.load();
    let piece = load / f64::from(PIECES);
    let mut moves: Moves = Vec::new();
    let mut added = 0.0;
    for _ in 0..PIECES {
        let (to, watts) = cheapest(papers, at, &moves, piece)?;
        added += watts;
        match moves.iter_mut().find(|(known, _)| *known == to) {
            Some((_, moved)) => *moved += piece,
            None => moves.push((to, piece)),
        }
    }
    let saved = watts_now.get() - added;
    if saved < WORTHWHILE_WATTS {
        return None;
    }
    let p95 = |paper: &Paper<'_>, more: f64| paper.model.p95(typical, milli(paper.extra + more)).map(|p95| p95.mid);
    let worst = moves.iter().filter_map(|(to, more)| p95(&papers[*to], *more)).reduce(Milliseconds::max);
    let name = |at: usize| view.names.name(papers[at].number).cloned();
    let saved_watts = Watts::new(saved)?;
    let emptied = Emptied {
        node: name(at)?,
        watts_now,
        load_millicores: milli(load),
        added_watts: Watts::new(added)?,
        saved_watts,
        saved_kwh_per_day: kwh_per_day(saved_watts),
        targets: moves.iter().filter_map(|(to, load)| Some((name(*to)?, milli(*load)))).collect(),
        p95_now_ms: p95(paper, 0.0),
        p95_then_ms: worst,
    };
    Some((emptied, moves))
}

impl Paper<'_> {
    /// Its whole load, with what was moved or is assumed there.
    fn load(&self) -> f64 {
        self.used + self.extra
    }
}

/// Gives where a piece of load adds least power and leaves headroom.
fn cheapest(papers: &[Paper<'_>], from: usize, moves: &Moves, piece: f64) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    for (at, paper) in papers.iter().enumerate() {
        if at == from || paper.is_emptied {
            continue;
        }
        let moved = moves.iter().find(|(known, _)| *known == at).map_or(0.0, |(_, load)| *load);
        let before = paper.extra + moved;
        if paper.load() + moved + piece > FULL * paper.capacity {
            continue;
        }
        let watts = |extra: f64| paper.model.watts(milli(extra)).map(|watts| watts.mid.get());
        let Some((with, without)) = watts(before + piece).zip(watts(before)) else { continue };
        if best.is_none_or(|(_, least)| with - without < least) {
            best = Some((at, with - without));
        }
    }
    best
}

fn milli(value: f64) -> Millicores {
    Millicores::new(value).unwrap_or_default()
}

fn kwh_per_day(watts: Watts) -> f64 {
    watts.get() * 24.0 / 1000.0
}
