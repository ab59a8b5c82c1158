//! hotelReservation under a changing load, with an autoscaler and with releases.
//!
//! Replicas follow the load as a HorizontalPodAutoscaler would have it: enough for 60 % of a processor each, looked at
//! once a minute, taken away only after five minutes of less; the newest pods go first. Caches and databases have one
//! pod each, which stays. The application starts with next to no load, which rises over half of the warm-up. Each release replaces a service's pods one by one: the only moments at which a pod moves.

use std::f64::consts::TAU;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use wattle_contract::{PodKey, WorkloadName};

use super::{Amount, Plan, PodPlan};
use crate::app::{App, SERVICES};
use crate::scenario::{Hotel, Shape};
use crate::server::Server;

/// Use of one pod that the autoscaler aims at, in processors.
const TARGET: f64 = 0.6;
/// Seconds between two looks of the autoscaler, and over which it remembers the most it wanted.
const LOOK_SECONDS: usize = 60;
const REMEMBER_SECONDS: usize = 300;
/// The manifests' request; memory is the testbed's own choice.
const ASKS: Amount = Amount { cpu_milli: 100, memory: 128 << 20 };

/// Plans a run.
#[must_use]
pub fn plan(hotel: &Hotel, servers: &[Server], shape: Shape, mean_rate: f64, seed: u64) -> Plan {
    let mut random = StdRng::seed_from_u64(seed);
    let step = hotel.step_seconds;
    let steps = (hotel.hours * 3600.0 / step as f64).round() as usize;
    let mut rates = rates(shape, mean_rate, steps, step, &mut random);
    let warm_up = steps / 12;
    for (at, rate) in rates.iter_mut().enumerate() {
        *rate *= ((at + 1) as f64 / (warm_up as f64 / 2.0).max(1.0)).min(1.0);
    }
    let app = App::new();
    let mut pods = Vec::new();
    for (service, about) in SERVICES.iter().enumerate() {
        let replicas =
            if about.is_data { vec![1; steps] } else { replicas(&rates, app.cores_per_request(service), step) };
        let releases = releases(hotel.releases_per_hour, steps, step, &mut random, about.is_data);
        life(service, &replicas, &releases, &mut pods);
    }
    pods.sort_by_key(|pod| pod.span.0);
    // Pods that come in one step come in any order: a queue of pods has none that helps.
    let mut first = 0;
    while first < pods.len() {
        let until = first + pods[first..].iter().take_while(|pod| pod.span.0 == pods[first].span.0).count();
        for at in (first + 1..until).rev() {
            pods.swap(at, random.random_range(first..=at));
        }
        first = until;
    }
    let name = |at: usize| format!("node-{}", char::from(b'a' + u8::try_from(at).unwrap_or(25)));
    Plan {
        nodes: servers.iter().enumerate().map(|(at, server)| (name(at).as_str().into(), server.clone())).collect(),
        pods,
        workloads: SERVICES.iter().map(|service| WorkloadName::from(service.name)).collect(),
        step: std::time::Duration::from_secs(step as u64),
        steps,
        warm_up,
        app: Some(app),
        rates,
        slo_p95_ms: hotel.slo_p95_ms,
    }
}

fn rates(shape: Shape, mean: f64, steps: usize, step: usize, random: &mut StdRng) -> Vec<f64> {
    let phase = random.random::<f64>() * TAU;
    let mut wobble = 0.0;
    let mut burst_until = 0;
    let mut next_burst = random.random_range(0..900 / step);
    let mut one = |at: usize| {
        wobble = 0.9 * wobble + 0.02 * (random.random::<f64>() - 0.5) * 3.4;
        let seconds = (at * step) as f64;
        let form = match shape {
            Shape::Steady => 1.0,
            Shape::Diurnal => 1.0 + 0.4 * (TAU * seconds / 7200.0 + phase).sin(),
            Shape::Burst => {
                if at >= next_burst {
                    burst_until = at + 240 / step;
                    next_burst = burst_until + random.random_range(600 / step..1200 / step);
                }
                // Four minutes in nineteen at 1.6 times the rest: the mean stays the mean.
                if at < burst_until { 1.42 } else { 0.89 }
            }
        };
        mean * form * (1.0 + wobble)
    };
    (0..steps).map(&mut one).collect()
}

fn replicas(rates: &[f64], cores_per_request: f64, step: usize) -> Vec<usize> {
    let (look, remember) = ((LOOK_SECONDS / step).max(1), (REMEMBER_SECONDS / step).max(1));
    let wanted: Vec<usize> =
        rates.iter().map(|rate| (rate * cores_per_request / TARGET).ceil().max(1.0) as usize).collect();
    // The autoscaler sees the last window, not the present one.
    let seen = |at: usize| wanted[at.saturating_sub(1)];
    let mut replicas = Vec::with_capacity(rates.len());
    for at in 0..rates.len() {
        let last = replicas.last().copied().unwrap_or(0);
        let recent = (at.saturating_sub(remember)..=at).map(seen).max().unwrap_or(1);
        replicas.push(if at % look == 0 || last == 0 { recent.max(seen(at)) } else { last });
    }
    replicas
}

fn releases(per_hour: f64, steps: usize, step: usize, random: &mut StdRng, is_data: bool) -> Vec<usize> {
    let chance = if is_data { 0.0 } else { per_hour * step as f64 / 3600.0 };
    (1..steps).filter(|_| random.random::<f64>() < chance).collect()
}

/// Turns replicas over time into pods: the newest go first, a release replaces one pod a step.
fn life(service: usize, replicas: &[usize], releases: &[usize], pods: &mut Vec<PodPlan>) {
    let mut running: Vec<PodPlan> = Vec::new();
    let mut outdated = 0;
    let mut number = 0;
    let mut releases = releases.iter().peekable();
    for (at, wanted) in replicas.iter().enumerate() {
        while running.len() > *wanted {
            pods.extend(running.pop().map(|pod| PodPlan { span: (pod.span.0, at), ..pod }));
        }
        if releases.next_if(|release| **release <= at).is_some() {
            outdated = running.len();
        }
        outdated = outdated.min(running.len());
        if outdated > 0 {
            let old = running.remove(0);
            pods.push(PodPlan { span: (old.span.0, at), ..old });
            outdated -= 1;
        }
        while running.len() < *wanted {
            number += 1;
            running.push(PodPlan {
                key: PodKey::new("hotel", &format!("{}-{number}", SERVICES[service].name)),
                workload: service,
                service: Some(service),
                asks: ASKS,
                uses: 0.0,
                is_sensitive: true,
                span: (at, usize::MAX),
            });
        }
    }
    pods.append(&mut running);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_pods_for_the_load_in_every_step_and_is_the_same_for_the_same_seed() {
        let hotel = Hotel { hours: 1.0, ..Hotel::default() };
        let servers = [Server::built_in("hitachi-rs110-hhm").expect("built in")];

        let plan = plan(&hotel, &servers, Shape::Diurnal, 3000.0, 5);

        for at in 0..plan.steps {
            for (service, about) in SERVICES.iter().enumerate() {
                let is_there = |pod: &&PodPlan| pod.service == Some(service) && pod.span.0 <= at && at < pod.span.1;
                assert!(plan.pods.iter().filter(is_there).count() >= 1, "step {at}: {} has no pod", about.name);
            }
        }
        let again = super::plan(&hotel, &servers, Shape::Diurnal, 3000.0, 5);
        assert_eq!(plan.rates, again.rates);
        assert_eq!(plan.pods.len(), again.pods.len());
        let mean = plan.rates.iter().sum::<f64>() / plan.rates.len() as f64;
        assert!((mean / 3000.0 - 1.0).abs() < 0.4, "{mean}");
    }
}
