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
    /// Power with both.
    watts: f64,
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
    let watts_now = papers.iter().filter_map(|paper| Watts::new(paper.watts)).sum();
    let mut advice = Advice { looked_at: papers.len(), watts_now, ..Advice::default() };
    for _ in 0..ROUNDS {
        let left = (0..papers.len()).filter(|at| !papers[*at].is_emptied).take(TRIED);
        let best = left
            .filter_map(|at| Some((at, emptied(view, &papers, at, typical)?)))
            .max_by(|(_, (a, _)), (_, (b, _))| a.saved_watts.get().total_cmp(&b.saved_watts.get()));
        let Some((at, (emptied, moves))) = best else { break };
        papers[at].is_emptied = true;
        for (to, load) in moves {
            papers[to].extra += load;
            papers[to].watts =
                papers[to].model.watts(milli(papers[to].extra)).map_or(f64::NAN, |watts| watts.mid.get());
        }
        advice.saved_watts += emptied.saved_watts;
        advice.nodes.push(emptied);
    }
    advice.saved_kwh_per_day = kwh_per_day(advice.saved_watts);
    advice
}

fn papers<'a>(view: &'a View, assumed: &[Load]) -> Vec<Paper<'a>> {
    let paper = |number: usize| {
        let model = view.nodes.get(number)?.model.as_deref()?;
        // The slope of the utilisation tells the size of the node.
        let (now, more) = (model.utilisation(Millicores::ZERO)?, model.utilisation(milli(1_000.0))?);
        let capacity = 1_000.0 / (more - now);
        let extra = assumed.get(number).map_or(0.0, |load| load.cpu.get());
        let watts = model.watts(milli(extra))?.mid.get();
        (capacity.is_finite() && capacity > 0.0).then_some(Paper {
            number,
            model,
            used: now * capacity,
            capacity,
            extra,
            watts,
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
    let watts_now = Watts::new(paper.watts)?;
    let load = paper.load();
    let piece = load / f64::from(PIECES);
    let mut moves: Moves = Vec::new();
    let mut added = 0.0;
    let mut prices = Prices::new(papers, at, piece);
    for _ in 0..PIECES {
        let (to, watts) = prices.cheapest()?;
        added += watts;
        let moved = match moves.iter_mut().find(|(known, _)| *known == to) {
            Some((_, moved)) => {
                *moved += piece;
                *moved
            }
            None => {
                moves.push((to, piece));
                piece
            }
        };
        prices.watts[to] = prices.price(to, moved);
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

/// What a piece of load would add on each node; infinite where it may not go. Units: watts.
struct Prices<'a> {
    papers: &'a [Paper<'a>],
    piece: f64,
    watts: Vec<f64>,
}

impl<'a> Prices<'a> {
    fn new(papers: &'a [Paper<'a>], from: usize, piece: f64) -> Self {
        let mut prices = Self { papers, piece, watts: vec![f64::INFINITY; papers.len()] };
        for at in (0..papers.len()).filter(|at| *at != from) {
            prices.watts[at] = prices.price(at, 0.0);
        }
        prices
    }

    fn price(&self, at: usize, moved: f64) -> f64 {
        let paper = &self.papers[at];
        if paper.is_emptied || paper.load() + moved + self.piece > FULL * paper.capacity {
            return f64::INFINITY;
        }
        let watts = |extra: f64| paper.model.watts(milli(extra)).map(|watts| watts.mid.get());
        let before = if moved > 0.0 { watts(paper.extra + moved) } else { Some(paper.watts) };
        watts(paper.extra + moved + self.piece).zip(before).map_or(f64::INFINITY, |(with, without)| with - without)
    }

    /// Gives where a piece adds least power and leaves headroom, and how much it adds.
    fn cheapest(&self) -> Option<(usize, f64)> {
        let least = self.watts.iter().copied().enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
        least.filter(|(_, watts)| watts.is_finite())
    }
}

fn milli(value: f64) -> Millicores {
    Millicores::new(value).unwrap_or_default()
}

fn kwh_per_day(watts: Watts) -> f64 {
    watts.get() * 24.0 / 1000.0
}
