//! How much of the bound's saving can be had while the 95th percentile stays the default's.
//!
//! The bound knows nothing of latency. Here the load of a plan is cut into levels, and in each level requests are split over
//! the machines in every way of twentieths, alike for all services. What is sought is the least power with at most one
//! request in twenty beyond the 95th percentile that the even split has: with one split throughout, and with one of its own
//! for each level, as if pods could move with every wave. The search over levels is by a price on late requests (a Lagrange
//! multiplier), which is exact but for the grid. A placement that keeps who calls whom together can do better: `local` is
//! the same with every request on one machine, which is more than any placement of several machines can do.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::app::{App, SERVICES, Spread, draw, quantile};
use crate::bound::Bound;
use crate::plan::Plan;
use crate::queue::Queue;
use crate::server::Server;

/// Parts that the requests are split into.
const PARTS: usize = 20;
/// Levels that the load is cut into.
const LEVELS: usize = 12;
/// Share of requests beyond the 95th percentile.
const LATE: f64 = 0.05;

/// What can be had of one plan. Shares are of the bound's saving, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Power of the even split, and the least that any has. Units: watts.
    pub watts: (f64, f64),
    /// 95th percentile of the even split. Units: milliseconds.
    pub p95_ms: f64,
    /// With one split throughout.
    pub fixed: f64,
    /// With a split for each level.
    pub moving: f64,
    /// The same with every request on one machine.
    pub local: f64,
}

/// One split in one level.
#[derive(Clone, Copy, Debug)]
struct Choice {
    split: usize,
    watts: f64,
    /// Share of the level's requests beyond the limit.
    late: f64,
}

/// Looks for what can be had of a plan; `None` where no application runs in it.
#[must_use]
pub fn reach(plan: &Plan, draws: usize) -> Option<Reach> {
    let app = plan.app.as_ref()?;
    let servers: Vec<&Server> = plan.nodes.iter().map(|(_, server)| server).collect();
    let rates = levels(plan.rates.get(plan.warm_up..)?);
    let even = vec![1.0 / servers.len() as f64; servers.len()];
    let look =
        |at: usize, split: &[f64], is_local: bool| times(app, &servers, split, rates[at], is_local, draws, at as u64);
    let (mut all, mut base, mut least) = (Vec::new(), 0.0, 0.0);
    let bound = Bound::all_on(servers.iter().copied(), 1.0);
    for (at, rate) in rates.iter().enumerate() {
        all.extend(look(at, &even, false));
        base += watts(app, &servers, &even, *rate)?.0;
        least += bound.watts(rate * work(app));
    }
    let limit = quantile(&mut all, 1.0 - LATE)?;
    let splits = splits(servers.len(), PARTS);
    let choices = |is_local: bool| -> Vec<Vec<Choice>> {
        let one = |at: usize, split: usize| {
            let (watts, most) = watts(app, &servers, &splits[split], rates[at])?;
            let times = look(at, &splits[split], is_local);
            let late = times.iter().filter(|ms| **ms > limit).count() as f64 / times.len().max(1) as f64;
            (most <= 1.0).then_some(Choice { split, watts, late })
        };
        (0..rates.len()).map(|at| (0..splits.len()).filter_map(|split| one(at, split)).collect()).collect()
    };
    let (spread, local) = (choices(false), choices(true));
    let share = |watts: Option<f64>| watts.map_or(0.0, |watts| (100.0 * (base - watts) / (base - least)).max(0.0));
    Some(Reach {
        watts: (base / rates.len() as f64, least / rates.len() as f64),
        p95_ms: limit,
        fixed: share(fixed(&spread, &rates, splits.len())),
        moving: share(moving(&spread, &rates)),
        local: share(moving(&local, &rates)),
    })
}

fn work(app: &App) -> f64 {
    (0..SERVICES.len()).map(|service| app.cores_per_request(service)).sum()
}

/// Gives the mean of each twelfth of the rates, in their order by size.
fn levels(rates: &[f64]) -> Vec<f64> {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let each = sorted.len().div_ceil(LEVELS).max(1);
    sorted.chunks(each).map(|level| level.iter().sum::<f64>() / level.len() as f64).collect()
}

/// Gives every way of giving whole parts to machines, as shares.
fn splits(machines: usize, parts: usize) -> Vec<Vec<f64>> {
    if machines <= 1 {
        return vec![vec![parts as f64 / PARTS as f64; machines]];
    }
    let with = |first: usize| {
        splits(machines - 1, parts - first).into_iter().map(move |mut rest| {
            rest.insert(0, first as f64 / PARTS as f64);
            rest
        })
    };
    (0..=parts).flat_map(with).collect()
}

/// Gives the power of a split, and the highest utilisation; `None` without machines.
fn watts(app: &App, servers: &[&Server], split: &[f64], rate: f64) -> Option<(f64, f64)> {
    let used = split.iter().zip(servers).map(|(share, server)| rate * work(app) * share / server.capacity());
    let power = used.clone().zip(servers).map(|(used, server)| server.power(used)).sum();
    Some((power, used.reduce(f64::max)?))
}

fn times(
    app: &App,
    servers: &[&Server],
    split: &[f64],
    rate: f64,
    is_local: bool,
    draws: usize,
    seed: u64,
) -> Vec<f64> {
    let queue = |(share, server): (&f64, &&Server)| {
        Queue::of(rate * work(app) * share / server.capacity(), server.capacity(), server.speed)
    };
    let queues: Vec<Queue> = split.iter().zip(servers).map(queue).collect();
    let busy: Vec<(usize, f64)> = split.iter().copied().enumerate().filter(|(_, share)| *share > 0.0).collect();
    let mut random = StdRng::seed_from_u64(seed);
    // As many draws as the level has requests: levels then add up.
    let count = draws as f64 * rate / 1000.0;
    let mut drawn = |places: &[(usize, f64)], share: f64| {
        let spread: Spread = SERVICES.iter().map(|_| places.to_vec()).collect();
        draw(app, &spread, &queues, (count * share).round() as usize, &mut random).requests
    };
    if !is_local {
        return drawn(&busy, 1.0);
    }
    busy.iter().flat_map(|(at, share)| drawn(&[(*at, 1.0)], *share)).collect()
}

/// Gives the least power with one split throughout; `None` where none keeps the limit.
fn fixed(choices: &[Vec<Choice>], rates: &[f64], splits: usize) -> Option<f64> {
    let whole = |split: usize| -> Option<(f64, f64)> {
        let each: Vec<&Choice> =
            choices.iter().map(|level| level.iter().find(|choice| choice.split == split)).collect::<Option<_>>()?;
        Some(sums(&each, rates))
    };
    (0..splits).filter_map(whole).filter(|(_, late)| *late <= LATE).map(|(watts, _)| watts).reduce(f64::min)
}

/// Gives the least power with a split for each level; `None` where none keeps the limit.
fn moving(choices: &[Vec<Choice>], rates: &[f64]) -> Option<f64> {
    let (mut low, mut high, mut best) = (0.0, 1e6, None);
    for _ in 0..60 {
        let price = f64::midpoint(low, high);
        let cost = |choice: &Choice, rate: f64| choice.watts + price * choice.late * rate;
        let cheapest = |(level, rate): (&Vec<Choice>, &f64)| {
            level.iter().copied().min_by(|a, b| cost(a, *rate).total_cmp(&cost(b, *rate)))
        };
        let each: Vec<Choice> = choices.iter().zip(rates).map(cheapest).collect::<Option<_>>()?;
        let (watts, late) = sums(&each.iter().collect::<Vec<_>>(), rates);
        if late <= LATE {
            (high, best) = (price, Some(watts));
        } else {
            low = price;
        }
    }
    best
}

/// Gives the power over all levels, and the share of all requests that are late.
fn sums(each: &[&Choice], rates: &[f64]) -> (f64, f64) {
    let late: f64 = each.iter().zip(rates).map(|(choice, rate)| choice.late * rate).sum();
    (each.iter().map(|choice| choice.watts).sum(), late / rates.iter().sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::hotel;
    use crate::scenario::{Hotel, Shape};

    #[test]
    fn every_split_gives_all_and_twentieths_of_three_are_231() {
        let splits = splits(3, PARTS);

        assert_eq!(splits.len(), 231);
        assert!(splits.iter().all(|split| (split.iter().sum::<f64>() - 1.0).abs() < 1e-9));
    }

    #[test]
    fn at_little_load_all_can_be_had_and_more_freedom_never_saves_less() {
        let class = |class: &&str| Server::built_in(class).expect("built in");
        let servers: Vec<Server> =
            ["ibm-x3550-m2", "hitachi-rs110-hhm", "fujitsu-rx1330-m4"].iter().map(class).collect();
        let hotel = Hotel { hours: 0.5, ..Hotel::default() };
        let reach = |rate: f64, draws: usize| {
            reach(&hotel::plan(&hotel, &servers, Shape::Steady, rate, 101), draws).expect("an application")
        };

        let (little, much) = (reach(1000.0, 60), reach(5000.0, 12));

        assert!(little.fixed > 90.0 && little.moving > 90.0, "{little:?}");
        assert!(much.fixed <= much.moving && much.moving < 70.0, "{much:?}");
        assert!(much.watts.1 < much.watts.0, "{much:?}");
    }
}
