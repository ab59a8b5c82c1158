//! The least power that any placement can draw for given work.
//!
//! Each machine's curve is replaced by its lower convex hull, and work is put where the hull is flattest: a lower bound,
//! since no placement is below its hull and work need not even come in whole pods. With empty nodes off the hull begins
//! at no power for no work.

use crate::server::Server;

/// The bound for a set of machines.
#[derive(Clone, Debug)]
pub struct Bound {
    base: f64,
    /// Watts per work, and how much work, flattest first.
    segments: Vec<(f64, f64)>,
}

impl Bound {
    /// Prepares the bound for machines that stay on.
    ///
    /// `most` is the greatest share of a machine's processors that pods may use.
    #[must_use]
    pub fn all_on<'a>(servers: impl Iterator<Item = &'a Server>, most: f64) -> Self {
        let mut bound = Self { base: 0.0, segments: Vec::new() };
        for server in servers {
            let points = points(server, most);
            bound.base += points[0].1;
            bound.add(&points);
        }
        bound.sorted()
    }

    /// Prepares the bound for machines that are off while they have no pod.
    #[must_use]
    pub fn empty_off<'a>(servers: impl Iterator<Item = &'a Server>, most: f64) -> Self {
        let mut bound = Self { base: 0.0, segments: Vec::new() };
        for server in servers {
            let mut points = points(server, most);
            points[0].1 = 0.0;
            // From nothing to the least load there is no power in between: the jump belongs to the first work.
            points.insert(1, (1e-9, server.power(0.0)));
            bound.add(&points);
        }
        bound.sorted()
    }

    fn add(&mut self, points: &[(f64, f64)]) {
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for point in points {
            while let [.., a, b] = hull.as_slice()
                && (b.1 - a.1) * (point.0 - a.0) >= (point.1 - a.1) * (b.0 - a.0)
            {
                hull.pop();
            }
            hull.push(*point);
        }
        self.segments.extend(hull.windows(2).map(|ends| {
            let work = ends[1].0 - ends[0].0;
            ((ends[1].1 - ends[0].1) / work, work)
        }));
    }

    fn sorted(mut self) -> Self {
        self.segments.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        self
    }

    /// Gives the least power for work. Units: watts; seconds of a reference processor per second.
    #[must_use]
    pub fn watts(&self, mut work: f64) -> f64 {
        let mut watts = self.base;
        for (slope, most) in &self.segments {
            if work <= 0.0 {
                break;
            }
            let part = work.min(*most);
            watts += slope * part;
            work -= part;
        }
        watts
    }
}

fn points(server: &Server, most: f64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for level in 0..=10 {
        let u = f64::from(level) / 10.0;
        if u < most {
            points.push((u * server.capacity(), server.power(u)));
        }
    }
    points.push((most * server.capacity(), server.power(most)));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Vec<Server> {
        let known = ["ibm-x3550-m2", "hitachi-rs110-hhm", "fujitsu-rx1330-m4"];
        known.iter().map(|class| Server::built_in(class).expect("built in")).collect()
    }

    /// Every placement of some pods on three machines; gives the least power with all on and with empty ones off.
    fn exhaustive(servers: &[Server], pods: &[f64]) -> (f64, f64) {
        let mut best = (f64::INFINITY, f64::INFINITY);
        for number in 0..3_usize.pow(u32::try_from(pods.len()).expect("few")) {
            let (mut rest, mut work, mut count) = (number, [0.0; 3], [0; 3]);
            for pod in pods {
                work[rest % 3] += pod;
                count[rest % 3] += 1;
                rest /= 3;
            }
            if work.iter().zip(servers).any(|(work, server)| *work > server.capacity()) {
                continue;
            }
            let watts: Vec<f64> = servers.iter().zip(work).map(|(s, work)| s.power(work / s.capacity())).collect();
            let on: f64 = watts.iter().sum();
            let off: f64 = watts.iter().zip(count).filter(|(_, count)| *count > 0).map(|(watts, _)| watts).sum();
            best = (best.0.min(on), best.1.min(off));
        }
        best
    }

    #[test]
    fn no_placement_of_twelve_pods_draws_less_than_the_bound() {
        let servers = servers();
        for size in [0.2, 0.6, 1.1, 1.6] {
            let pods: Vec<f64> = (0..11).map(|at| size * (1.0 + 0.1 * f64::from(at % 4))).collect();
            let work: f64 = pods.iter().sum();

            let (on, off) = exhaustive(&servers, &pods);

            let (bound_on, bound_off) =
                (Bound::all_on(servers.iter(), 1.0).watts(work), Bound::empty_off(servers.iter(), 1.0).watts(work));
            assert!(bound_on <= on + 1e-9 && bound_off <= off + 1e-9, "{size}: {bound_on} {on}, {bound_off} {off}");
            // A bound far below what can be had would prove nothing.
            assert!(bound_on > 0.85 * on, "{size}: {bound_on} against {on}");
            println!(
                "work {work:.2}: all on {on:.1} W, bound {bound_on:.1}; empty off {off:.1} W, bound {bound_off:.1}"
            );
        }
    }

    #[test]
    fn the_bound_rises_with_work_and_begins_at_idle() {
        let servers = servers();
        let bound = Bound::all_on(servers.iter(), 1.0);

        assert!((bound.watts(0.0) - (74.1 + 58.2 + 16.8)).abs() < 1e-9);
        let steps: Vec<f64> = (0..24).map(|work| bound.watts(f64::from(work))).collect();
        assert!(steps.is_sorted());
    }
}
