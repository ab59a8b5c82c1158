//! A machine as the testbed simulates it: its processors, its memory, and the power a real server of its kind draws.
//!
//! Source: SPECpower_ssj2008 published results, snapshot 2022. The benchmark's load is a share of maximum throughput;
//! the testbed reads it as a share of busy processors. The three eight-core machines are those of the demo.

use wattle_contract::{Bytes, MachineFacts, Millicores, Watts};
use wattle_demo::{MACHINES, Machine};

/// One kind of machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// What an operator would know of it; its power is left out, for the model to learn.
    pub facts: MachineFacts,
    /// Logical processors.
    pub cores: f64,
    /// Speed of one processor; 1 is the reference.
    pub speed: f64,
    /// Memory, in bytes.
    pub memory: u64,
    /// Watts at idle and at 10 … 100 % load.
    pub watts: [f64; 11],
}

impl Server {
    /// Finds one of the three built-in machines by its class.
    #[must_use]
    pub fn built_in(class: &str) -> Option<Self> {
        MACHINES.iter().find(|machine| machine.class == class).map(Self::from)
    }

    /// Gives the power at a utilisation, by linear interpolation between the published points.
    ///
    /// Units: watts. Range: `utilisation` is brought into 0..=1.
    #[must_use]
    pub fn power(&self, utilisation: f64) -> f64 {
        let position = utilisation.clamp(0.0, 1.0) * 10.0;
        let below = (position.floor() as usize).min(9);
        self.watts[below] + (self.watts[below + 1] - self.watts[below]) * (position - below as f64)
    }

    /// Gives the work it can do: seconds of a reference processor per second.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.cores * self.speed
    }

    /// Gives the same machine with another number of processors and its power in proportion.
    #[must_use]
    pub fn resized(&self, cores: f64, memory: u64) -> Self {
        let share = cores / self.cores;
        let mut resized = Self { cores, memory, watts: self.watts.map(|watts| watts * share), ..self.clone() };
        resized.facts.cpu_capacity_millicores = Millicores::new(cores * 1000.0);
        resized.facts.memory_capacity_bytes = Some(Bytes(memory));
        // A share of a machine's processors has that share of its design power.
        resized.facts.tdp_watts = self.facts.tdp_watts.and_then(|tdp| Watts::new(tdp.get() * share));
        resized.facts.cores = self.facts.cores.map(|physical| (f64::from(physical) * share).round().max(1.0) as u32);
        resized
    }
}

impl From<&Machine> for Server {
    fn from(machine: &Machine) -> Self {
        Self {
            facts: machine.facts(),
            cores: f64::from(machine.cores),
            speed: machine.relative_speed(),
            memory: machine.memory_gib << 30,
            watts: machine.watts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_passes_through_its_published_points_and_scales_with_its_processors() {
        let server = Server::built_in("fujitsu-rx1330-m4").expect("built in");

        assert_eq!((server.power(0.0), server.power(0.5), server.power(1.0)), (16.8, 31.6, 57.4));
        assert_eq!(server.resized(16.0, 1 << 30).power(1.0), 2.0 * 57.4);
        assert_eq!(Server::built_in("abacus"), None);
    }
}
