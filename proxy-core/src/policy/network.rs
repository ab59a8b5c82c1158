//! Networks in CIDR notation.

use std::net::IpAddr;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: u128,
    bits: u32,
    v4: bool,
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address alone.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network in CIDR notation");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (number, v4) = number(address);
        let most = if v4 { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse::<u32>().map_err(|_| wrong()))?;
        if bits > most {
            return Err(wrong());
        }
        Ok(Self { address: number, bits, v4 })
    }

    pub(super) fn contains(self, address: IpAddr) -> bool {
        let (number, v4) = number(address);
        let width = if v4 { 32 } else { 128 };
        v4 == self.v4 && (self.bits == 0 || (number ^ self.address) >> (width - self.bits) == 0)
    }
}

/// An IPv4 address inside IPv6 is the IPv4 address.
fn number(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), true),
        IpAddr::V6(address) => (address.to_bits(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());

        assert!(holds("10.0.0.0/8", "10.1.2.3") && !holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3") && holds("0.0.0.0/0", "1.2.3.4"));
        assert!(holds("1.2.3.4", "1.2.3.4") && !holds("1.2.3.4", "1.2.3.5"));
        assert!(holds("fd00::/8", "fd12::1") && !holds("fd00::/8", "10.0.0.1") && !holds("::/0", "10.0.0.1"));
        assert!(Network::parse("10.0.0.0/33").is_err() && Network::parse("ten").is_err());
    }
}
