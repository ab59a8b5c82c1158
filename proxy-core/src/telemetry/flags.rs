//! Envoy's response flags: why a request ended as it did, for who reads metrics and logs.

use std::fmt;

/// One reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Flag {
    /// All tries were used up.
    RetryLimit = 1 << 0,
    /// No healthy endpoint.
    NoHealthyUpstream = 1 << 1,
    /// The upstream took too long.
    UpstreamTimeout = 1 << 2,
    /// No connection to the upstream.
    UpstreamConnect = 1 << 3,
    /// The upstream's connection ended early.
    UpstreamReset = 1 << 4,
    /// A limit of the cluster was reached.
    Overflow = 1 << 5,
    /// No route.
    NoRoute = 1 << 6,
    /// A pause was injected.
    DelayInjected = 1 << 7,
    /// An answer was injected.
    FaultInjected = 1 << 8,
    /// The client went away.
    DownstreamClosed = 1 << 9,
    /// The route names an unknown cluster.
    NoCluster = 1 << 10,
    /// The upstream answered with something that is not HTTP.
    UpstreamProtocol = 1 << 11,
    /// The client sent something that is not HTTP as this proxy takes it.
    DownstreamProtocol = 1 << 12,
    /// The proxy cut the request when its drain was over.
    Cut = 1 << 13,
}

const WORDS: [(Flag, &str); 14] = [
    (Flag::RetryLimit, "URX"),
    (Flag::NoHealthyUpstream, "UH"),
    (Flag::UpstreamTimeout, "UT"),
    (Flag::UpstreamConnect, "UF"),
    (Flag::UpstreamReset, "UC"),
    (Flag::Overflow, "UO"),
    (Flag::NoRoute, "NR"),
    (Flag::DelayInjected, "DI"),
    (Flag::FaultInjected, "FI"),
    (Flag::DownstreamClosed, "DC"),
    (Flag::NoCluster, "NC"),
    (Flag::UpstreamProtocol, "UPE"),
    (Flag::DownstreamProtocol, "DPE"),
    (Flag::Cut, "LR"),
];

/// A set of reasons; shown as words joined by commas, `-` when empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) fn insert(&mut self, flag: Flag) {
        self.0 |= flag as u32;
    }

    pub(crate) fn contains(self, flag: Flag) -> bool {
        self.0 & flag as u32 != 0
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = WORDS.iter().filter(|(flag, _)| self.contains(*flag)).map(|(_, word)| *word);
        f.write_str(words.next().unwrap_or("-"))?;
        words.try_for_each(|word| write!(f, ",{word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_read_as_envoy_writes_them() {
        let mut flags = Flags::default();
        assert_eq!(flags.to_string(), "-");

        flags.insert(Flag::UpstreamConnect);
        flags.insert(Flag::RetryLimit);

        assert_eq!(flags.to_string(), "URX,UF");
    }
}
