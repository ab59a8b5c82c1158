//! Serving: a model compiled to one small table a node, so that scoring a placement is a few look-ups.
//!
//! Compiling happens off the request path, whenever a snapshot or a model is new. A table holds 51 points of
//! utilisation from 0 to 1.25, read by linear interpolation; beyond its end it goes on as steeply as it ended, so that
//! overload is never cheap. A node without measured use or capacity, or of which no layer knows anything, has no
//! prediction.

mod usage;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use wattle_contract::{
    ClusterSnapshot, Joules, Millicores, Milliseconds, NodeName, NodeWindow, PodRequest, ServiceName, Watts,
    WorkloadName,
};

use crate::Error;
use crate::artifact::Artifact;
use crate::drift::Alarm;
use crate::features::{NodeFeatures, extract};
use crate::power::Layer;
use usage::{per_request, usage, used_of_requested};

const POINTS: usize = 51;
const STEP: f64 = 0.025;

/// A value and the bounds that hold the truth nine times in ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval<T> {
    /// Lower bound.
    pub low: T,
    /// The prediction.
    pub mid: T,
    /// Upper bound.
    pub high: T,
}

/// A loaded model.
#[derive(Clone, Debug)]
pub struct Predictor {
    artifact: Artifact,
    id: String,
}

impl Predictor {
    /// Loads a model.
    ///
    /// # Errors
    /// [`Error::Schema`] when it was trained on other features, [`Error::Malformed`] when a number is not finite.
    pub fn new(artifact: &Artifact) -> Result<Self, Error> {
        artifact.check()?;
        Ok(Self { id: artifact.id()?, artifact: artifact.clone() })
    }

    /// Gives the identity of the model: the SHA-256 of its file, as hex.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Gives the model.
    #[must_use]
    pub const fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Compiles tables for the nodes of a snapshot.
    #[must_use]
    pub fn compile(&self, snapshot: &ClusterSnapshot) -> Predictions {
        self.compile_after(snapshot, &BTreeSet::new())
    }

    /// Compiles the same where alarms of drift are on: of what they name only layers 1 and 2 serve.
    #[must_use]
    pub fn compile_after(&self, snapshot: &ClusterSnapshot, alarms: &BTreeSet<Alarm>) -> Predictions {
        let services = Arc::new(self.services(snapshot));
        let mut nodes = Vec::with_capacity(snapshot.window.nodes.len());
        let mut index = HashMap::with_capacity(snapshot.window.nodes.len());
        for node in &snapshot.window.nodes {
            if let Some(prediction) = self.node(node, &services, Fallen::of(&node.node, alarms)) {
                index.insert(node.node.clone(), nodes.len());
                nodes.push(prediction);
            }
        }
        Predictions {
            nodes,
            index,
            services,
            usage: usage(snapshot),
            used_of_requested: used_of_requested(snapshot),
            per_request: per_request(snapshot),
        }
    }

    fn node(&self, node: &NodeWindow, services: &Arc<Services>, fallen: Fallen) -> Option<NodePrediction> {
        let features = extract(node, Millicores::ZERO)?;
        let power = self.power_table(node, &features, fallen);
        let latency = self.artifact.p95.as_ref().map(|model| {
            let trust = if fallen.latency { 0.0 } else { model.trust(&node.node, &features) };
            let mut table = Table::of(|u| model.node_part(&node.node, &features.at(u), trust).clamp(-40.0, 40.0).exp());
            table.rising();
            LatencyTable { table, margin: model.margin.min(20.0).exp() as f32 }
        });
        (power.is_some() || latency.is_some()).then(|| NodePrediction {
            utilisation: features.utilisation(),
            capacity_millicores: features.capacity_cores() * 1000.0,
            power,
            latency,
            services: Arc::clone(services),
            has_drifted: fallen.power || fallen.latency,
        })
    }

    fn power_table(&self, node: &NodeWindow, features: &NodeFeatures, fallen: Fallen) -> Option<PowerTable> {
        let model = self.artifact.power.as_ref()?;
        let (curve, layer) = model.curve(&node.node, &node.machine)?;
        let trust = if fallen.power { 0.0 } else { model.trust(layer, features) };
        let mut table = Table::of(|u| model.watts(&curve, &features.at(u), trust));
        table.rising();
        let margin = model.margin_of(layer, &node.machine);
        let slope = model.slope_margin * curve.scale;
        // A slope that was not measured on this node is no surer than its level.
        let relative = if layer == Layer::Node { 0.0 } else { margin };
        Some(PowerTable { table, margin: margin as f32, slope: slope as f32, relative: relative as f32, layer })
    }

    fn services(&self, snapshot: &ClusterSnapshot) -> Services {
        let Some(model) = &self.artifact.p95 else { return Services::default() };
        let mut rates: BTreeMap<&ServiceName, (f64, f64)> = BTreeMap::new();
        for window in &snapshot.window.services {
            let entry = rates.entry(&window.service).or_default();
            *entry = (entry.0 + crate::features::extract_service(Some(window)), entry.1 + 1.0);
        }
        let mut known = HashMap::new();
        for service in model.services.keys() {
            let rate = rates.get(service).map_or(0.0, |(sum, count)| sum / count);
            known
                .insert(service.clone(), ServiceTime(model.service_part(Some(service), rate).clamp(-40.0, 40.0).exp()));
        }
        let typical = crate::score::mean(known.values().map(|own| own.0.ln())).map(|ln| ServiceTime(ln.exp()));
        Services { known, typical }
    }
}

/// Which of a node's targets fell back to the layers without trees.
#[derive(Clone, Copy)]
struct Fallen {
    power: bool,
    latency: bool,
}

impl Fallen {
    fn of(node: &NodeName, alarms: &BTreeSet<Alarm>) -> Self {
        if alarms.is_empty() {
            return Self { power: false, latency: false };
        }
        let all = alarms.contains(&Alarm::Utilisation);
        Self {
            power: all || alarms.contains(&Alarm::Power(node.clone())),
            latency: all || alarms.contains(&Alarm::Latency(node.clone())),
        }
    }
}

/// The part of latency that is the service's own; a node multiplies it. Units: milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServiceTime(f64);

#[derive(Debug, Default)]
struct Services {
    known: HashMap<ServiceName, ServiceTime>,
    typical: Option<ServiceTime>,
}

impl Services {
    fn time(&self, service: Option<&ServiceName>) -> Option<ServiceTime> {
        match service {
            Some(service) => self.known.get(service).copied(),
            None => self.typical,
        }
    }
}

/// Gives the workload that a service stands for by custom: the first label of its host.
fn workload_of(service: &ServiceName) -> WorkloadName {
    service.as_str().split('.').next().unwrap_or_default().into()
}

/// Predictions for one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    nodes: Vec<NodePrediction>,
    index: HashMap<NodeName, usize>,
    services: Arc<Services>,
    usage: HashMap<WorkloadName, Millicores>,
    used_of_requested: Option<f64>,
    per_request: HashMap<ServiceName, f64>,
}

impl Predictions {
    /// Gives a node's; `None` when nothing can be predicted for it.
    #[must_use]
    pub fn node(&self, node: &NodeName) -> Option<&NodePrediction> {
        self.index.get(node).map(|at| &self.nodes[*at])
    }

    /// Gives a service's own part of latency, to be looked up once for all nodes ([`NodePrediction::p95_of`]).
    ///
    /// Without a service it is that of a typical one; `None` for a service that the model has never seen.
    #[must_use]
    pub fn service_time(&self, service: Option<&ServiceName>) -> Option<ServiceTime> {
        self.services.time(service)
    }

    /// Walks all of them, in the order of the snapshot.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &NodePrediction> {
        self.nodes.iter()
    }

    /// Gives what such a pod really uses: measured use of its workload per pod, else of its request as much as the pods of
    /// this cluster use of theirs.
    #[must_use]
    pub fn pod_cpu(&self, pod: &PodRequest) -> Option<Millicores> {
        let by_service = || self.usage.get(&workload_of(pod.service.as_ref()?));
        let measured = pod.workload.as_ref().and_then(|workload| self.usage.get(workload)).or_else(by_service);
        measured.copied().or_else(|| Some(pod.cpu_request_millicores? * self.used_of_requested.unwrap_or(1.0)))
    }

    /// Gives the energy that one more request a second to a service costs on a node; `None` when unknown.
    ///
    /// Formula: added watts of the processor use of one request a second, over one request a second.
    #[must_use]
    pub fn joules_per_request(&self, node: &NodeName, service: &ServiceName) -> Option<Interval<Joules>> {
        let cpu = Millicores::new(*self.per_request.get(service)?)?;
        let Interval { low, mid, high } = self.node(node)?.added_watts(cpu)?;
        Some(Interval { low: Joules::new(low.get())?, mid: Joules::new(mid.get())?, high: Joules::new(high.get())? })
    }
}

/// What is predicted of one node.
#[derive(Clone, Debug)]
pub struct NodePrediction {
    utilisation: f64,
    capacity_millicores: f64,
    power: Option<PowerTable>,
    latency: Option<LatencyTable>,
    services: Arc<Services>,
    has_drifted: bool,
}

#[derive(Clone, Debug)]
struct PowerTable {
    table: Table,
    /// Half-width of the interval of a power, as a share of it.
    margin: f32,
    /// Half-width of the interval of a difference, watts per utilisation.
    slope: f32,
    /// The same as a share of the difference.
    relative: f32,
    layer: Layer,
}

#[derive(Clone, Debug)]
struct LatencyTable {
    /// What a service's own time is multiplied by.
    table: Table,
    /// Upper over middle, and middle over lower bound of the interval.
    margin: f32,
}

impl NodePrediction {
    /// Gives the utilisation with extra load. Range: 0 and above; above 1 means overload.
    #[must_use]
    pub fn utilisation(&self, extra: Millicores) -> Option<f64> {
        Some(self.utilisation + extra.get().max(0.0) / self.capacity_millicores)
    }

    /// Gives the power with extra load.
    #[must_use]
    pub fn watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let power = self.power.as_ref()?;
        let mid = power.table.at(self.utilisation(extra)?);
        let half = mid * f64::from(power.margin);
        Some(Interval { low: Watts::new((mid - half).max(0.0))?, mid: Watts::new(mid)?, high: Watts::new(mid + half)? })
    }

    /// Gives the power that extra load adds; never negative, and never less for more load.
    #[must_use]
    pub fn added_watts(&self, extra: Millicores) -> Option<Interval<Watts>> {
        let power = self.power.as_ref()?;
        let after = self.utilisation(extra)?;
        let mid = (power.table.at(after) - power.table.at(self.utilisation)).max(0.0);
        let half = f64::from(power.slope) * (after - self.utilisation) + f64::from(power.relative) * mid;
        Some(Interval { low: Watts::new((mid - half).max(0.0))?, mid: Watts::new(mid)?, high: Watts::new(mid + half)? })
    }

    /// Gives the 95th percentile latency of a service on this node with extra load.
    ///
    /// Without a service it is that of a typical one; `None` for a service that the model has never seen.
    #[must_use]
    pub fn p95(&self, service: Option<&ServiceName>, extra: Millicores) -> Option<Interval<Milliseconds>> {
        self.p95_of(self.services.time(service)?, extra)
    }

    /// Gives the same for a service of which the own part is known ([`Predictions::service_time`]).
    #[must_use]
    pub fn p95_of(&self, service: ServiceTime, extra: Millicores) -> Option<Interval<Milliseconds>> {
        let LatencyTable { table, margin } = self.latency.as_ref()?;
        let mid = service.0 * table.at(self.utilisation(extra)?);
        let margin = f64::from(*margin);
        let ms = Milliseconds::new;
        Some(Interval { low: ms(mid / margin)?, mid: ms(mid)?, high: ms(mid * margin)? })
    }

    /// Tells whether an alarm of drift is on for it, so that it is predicted without trees.
    #[must_use]
    pub const fn has_drifted(&self) -> bool {
        self.has_drifted
    }

    /// Gives the layer that its power comes from; `None` without a prediction of power.
    #[must_use]
    pub fn power_layer(&self) -> Option<Layer> {
        self.power.as_ref().map(|power| power.layer)
    }
}

/// Values at every `STEP` of utilisation.
#[derive(Clone, Debug)]
struct Table([f32; POINTS]);

impl Table {
    fn of(value: impl Fn(f64) -> f64) -> Self {
        let mut points = [0.0; POINTS];
        for (at, point) in points.iter_mut().enumerate() {
            *point = value(at as f64 * STEP) as f32;
        }
        Self(points)
    }

    /// Lifts every point to the one before it, where rounding or a table's grid would let it fall.
    fn rising(&mut self) {
        for at in 1..POINTS {
            self.0[at] = self.0[at].max(self.0[at - 1]);
        }
    }

    fn at(&self, utilisation: f64) -> f64 {
        let place = utilisation.max(0.0) / STEP;
        let below = (place as usize).min(POINTS - 2);
        let (low, high) = (f64::from(self.0[below]), f64::from(self.0[below + 1]));
        low + (high - low) * (place - below as f64)
    }
}
