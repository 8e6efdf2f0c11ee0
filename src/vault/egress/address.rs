//! Which addresses a card may be sent to: public ones, unless the destination says otherwise, and pinned ones alone where
//! it pins any.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses, as `203.0.113.0/24` or `2001:db8::/32`; a bare address is a block of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    first: u128,
    bits: u32,
    is_v4: bool,
}

/// The text is not such a block, or has bits beyond its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadNetwork;

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let is_v4 = address.is_ipv4();
        let most = if is_v4 { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().map_err(|_| BadNetwork)?,
            Some(_) => return Err(BadNetwork),
        };
        let first = number(address);
        if bits > most || first & low_bits(most - bits) != 0 {
            return Err(BadNetwork);
        }
        Ok(Self { first, bits, is_v4 })
    }
}

impl Network {
    fn holds(self, address: IpAddr) -> bool {
        let rest = if self.is_v4 { 32 - self.bits } else { 128 - self.bits };
        address.is_ipv4() == self.is_v4 && number(address) & !low_bits(rest) == self.first
    }
}

/// Whether a card may go to this address: it is public or `allow_private` is set, and it is in one of the pinned networks
/// where there are any. An IPv4 address inside an IPv6 one is judged as what it is.
pub(super) fn is_allowed(address: IpAddr, pins: &[Network], allow_private: bool) -> bool {
    let address = address.to_canonical();
    (allow_private || is_public(address)) && (pins.is_empty() || pins.iter().any(|pin| pin.holds(address)))
}

/// Whether an address is globally reachable and of one host (IANA's registries of special-purpose addresses).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|block| block.holds(IpAddr::V4(address))),
        // Everything outside of 2000::/3 is loopback, local, multicast, an embedded IPv4 address or not assigned.
        IpAddr::V6(address) => {
            address.segments()[0] & 0xe000 == 0x2000 && !SPECIAL_V6.iter().any(|block| block.holds(IpAddr::V6(address)))
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

fn low_bits(count: u32) -> u128 {
    if count == 128 { u128::MAX } else { (1 << count) - 1 }
}

const fn v4(a: u8, b: u8, c: u8, bits: u32) -> Network {
    Network { first: Ipv4Addr::new(a, b, c, 0).to_bits() as u128, bits, is_v4: true }
}

const fn v6(a: u16, b: u16, bits: u32) -> Network {
    Network { first: Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0).to_bits(), bits, is_v4: false }
}

/// This network, private, carrier's translation, loopback, link-local, protocol assignments, documentation, 6to4 relays,
/// benchmarks, multicast, reserved and broadcast.
const SPECIAL_V4: [Network; 15] = [
    v4(0, 0, 0, 8),
    v4(10, 0, 0, 8),
    v4(100, 64, 0, 10),
    v4(127, 0, 0, 8),
    v4(169, 254, 0, 16),
    v4(172, 16, 0, 12),
    v4(192, 0, 0, 24),
    v4(192, 0, 2, 24),
    v4(192, 88, 99, 24),
    v4(192, 168, 0, 16),
    v4(198, 18, 0, 15),
    v4(198, 51, 100, 24),
    v4(203, 0, 113, 24),
    v4(224, 0, 0, 4),
    v4(240, 0, 0, 4),
];

/// Inside 2000::/3: protocol assignments (Teredo and ORCHID too), documentation, 6to4.
const SPECIAL_V6: [Network; 4] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn special_addresses_are_refused_unless_the_destination_allows_them() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_allowed(ip(text), &[], false), "{text}");
            assert!(is_allowed(ip(text), &[], true), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_allowed(ip(text), &[], false), "{text}");
        }
    }

    #[test]
    fn a_pinned_destination_is_reached_at_its_pins_alone() {
        let pins: Vec<Network> =
            ["1.1.1.0/24", "8.8.8.8", "2606:4700::/32"].iter().map(|text| text.parse().unwrap()).collect();
        for (text, allowed) in [
            ("1.1.1.255", true),
            ("1.1.2.0", false),
            ("8.8.8.8", true),
            ("8.8.8.9", false),
            ("::ffff:8.8.8.8", true),
            ("2606:4700::1", true),
            ("2606:4701::1", false),
        ] {
            assert_eq!(is_allowed(ip(text), &pins, false), allowed, "{text}");
        }
        // A pin does not make a private address public.
        let private: Network = "10.0.0.0/8".parse().unwrap();
        assert!(!is_allowed(ip("10.0.0.1"), &[private], false));
        assert!(is_allowed(ip("10.0.0.1"), &[private], true));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["", "/", "1.1.1.1/33", "1.1.1.1/24", "::/129", "1.1.1.0/+24", "1.1.1.0/", "1.1.1/24", "::1/64", "a"]
        {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert!("0.0.0.0/0".parse::<Network>().unwrap().holds(ip("1.2.3.4")));
        assert!("::/0".parse::<Network>().unwrap().holds(ip("2a00::1")));
        assert!(!"::/0".parse::<Network>().unwrap().holds(ip("1.2.3.4")));
    }

    proptest! {
        #[test]
        fn an_embedded_ipv4_address_is_judged_as_itself(octets in any::<[u8; 4]>()) {
            let plain = Ipv4Addr::from(octets);
            prop_assert_eq!(
                is_allowed(IpAddr::V4(plain), &[], false),
                is_allowed(IpAddr::V6(plain.to_ipv6_mapped()), &[], false)
            );
        }
    }
}
