//! Three real servers, one a demo node, each with its published power curve.
//!
//! Source: SPECpower_ssj2008 published results, snapshot 2022 (SPEC is the publisher). Each row is average active power at
//! the wall, in watts, at active idle and at 10, 20 … 100 % of the machine's own maximum throughput. All three have eight
//! cores, so that a simulated core stands for a real one. The benchmark's load is a share of maximum throughput; the demo
//! reads it as a share of busy cores.

use std::collections::BTreeMap;

use wattle_contract::{Bytes, MachineFacts, Millicores, NodeName, Watts};

/// A server as its vendor published it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// The demo node that runs on it.
    pub node: &'static str,
    /// Vendor and model.
    pub model: &'static str,
    /// Short form of the same, for labels and [`MachineFacts::class`].
    pub class: &'static str,
    /// Processor, as `/proc/cpuinfo` names it.
    pub processor: &'static str,
    /// Year in which the hardware became available.
    pub year: u16,
    /// Physical cores over all sockets.
    pub cores: u32,
    /// Processor sockets.
    pub chips: u32,
    /// Thermal design power of one socket, in watts.
    pub tdp_watts: f64,
    /// Installed memory, in GiB.
    pub memory_gib: u64,
    /// Watts at idle and at 10 … 100 % load.
    pub watts: [f64; 11],
    /// Throughput at full load, in ssj operations per second.
    pub operations_per_second: f64,
}

/// The machines of the demo, in the order of their nodes.
pub const MACHINES: [Machine; 3] = [
    Machine {
        node: "node-a",
        model: "IBM System x3550 M2",
        class: "ibm-x3550-m2",
        processor: "Intel(R) Xeon(R) CPU X5570 @ 2.93GHz",
        year: 2009,
        cores: 8,
        chips: 2,
        tdp_watts: 95.0,
        memory_gib: 8,
        watts: [74.1, 107.0, 122.0, 137.0, 151.0, 166.0, 181.0, 197.0, 213.0, 229.0, 243.0],
        operations_per_second: 639_516.0,
    },
    Machine {
        node: "node-b",
        model: "Hitachi HA8000/RS110-hHM",
        class: "hitachi-rs110-hhm",
        processor: "Intel(R) Xeon(R) CPU E5-2470 0 @ 2.30GHz",
        year: 2012,
        cores: 8,
        chips: 1,
        tdp_watts: 95.0,
        memory_gib: 16,
        watts: [58.2, 66.4, 71.6, 77.3, 85.7, 96.1, 111.0, 121.0, 129.0, 157.0, 171.0],
        operations_per_second: 670_220.0,
    },
    Machine {
        node: "node-c",
        model: "Fujitsu PRIMERGY RX1330 M4",
        class: "fujitsu-rx1330-m4",
        processor: "Intel(R) Xeon(R) E-2288G CPU @ 3.70GHz",
        year: 2019,
        cores: 8,
        chips: 1,
        tdp_watts: 95.0,
        memory_gib: 16,
        watts: [16.8, 20.7, 23.2, 25.6, 28.3, 31.6, 35.8, 40.1, 44.7, 50.6, 57.4],
        operations_per_second: 786_578.0,
    },
];

/// The machine whose core has speed 1.
const REFERENCE: &Machine = &MACHINES[1];

impl Machine {
    /// Gives the power at a utilisation, by linear interpolation between the published points.
    ///
    /// Units: watts. Range: `utilisation` is brought into 0..=1.
    #[must_use]
    pub fn power(&self, utilisation: f64) -> f64 {
        let position = utilisation.clamp(0.0, 1.0) * 10.0;
        // In 0..=9 by the clamp, so both points exist.
        let below = (position.floor() as usize).min(9);
        let share = position - below as f64;
        self.watts[below] + (self.watts[below + 1] - self.watts[below]) * share
    }

    /// Gives the speed of one core relative to a core of node-b: published throughput per core.
    #[must_use]
    pub fn relative_speed(&self) -> f64 {
        let per_core = |machine: &Self| machine.operations_per_second / f64::from(machine.cores);
        per_core(self) / per_core(REFERENCE)
    }

    /// Gives what an operator would know of the machine; its power is left out, for the model to learn.
    #[must_use]
    pub fn facts(&self) -> MachineFacts {
        MachineFacts {
            class: Some(self.class.to_owned()),
            cpu_capacity_millicores: Millicores::new(f64::from(self.cores) * 1000.0),
            memory_capacity_bytes: Some(Bytes(self.memory_gib << 30)),
            cores: Some(self.cores),
            chips: Some(self.chips),
            tdp_watts: Watts::new(self.tdp_watts),
            hardware_year: Some(self.year),
            idle_watts: None,
            peak_watts: None,
            relative_speed: Some(self.relative_speed()),
        }
    }
}

/// Gives the facts of the three simulated machines by node.
#[must_use]
pub fn facts() -> BTreeMap<NodeName, MachineFacts> {
    MACHINES.iter().map(|machine| (NodeName::from(machine.node), machine.facts())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_passes_through_the_published_points_and_is_straight_between() {
        for machine in &MACHINES {
            for (level, watts) in machine.watts.iter().enumerate() {
                assert!((machine.power(level as f64 / 10.0) - watts).abs() < 1e-9);
            }
        }

        assert!((MACHINES[0].power(0.05) - (74.1 + 107.0) / 2.0).abs() < 1e-9);
        assert_eq!(MACHINES[2].power(-1.0), 16.8);
        assert_eq!(MACHINES[2].power(7.0), 57.4);
    }

    #[test]
    fn more_load_never_draws_less_power() {
        for machine in &MACHINES {
            assert!(machine.watts.is_sorted(), "{}", machine.model);
        }
    }

    #[test]
    fn the_model_is_not_told_what_it_is_to_learn() {
        for (node, machine) in facts() {
            assert_eq!((machine.idle_watts, machine.peak_watts), (None, None), "{node}");
        }
        assert_eq!(facts()["node-b"].relative_speed, Some(1.0));
    }
}
