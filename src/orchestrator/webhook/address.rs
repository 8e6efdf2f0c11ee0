//! Which addresses a webhook may go to: only what the whole world can reach, so that nobody makes this server call its
//! own neighbours by naming them as a webhook's address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether webhooks may go to private and loopback addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses alone.
    #[default]
    Public,
    /// Every address; for tests and for receivers in the same network.
    Anywhere,
}

impl Reach {
    /// Whether this address may be connected to. An IPv4 address inside an IPv6 one counts as what it is.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        self == Reach::Anywhere
            || match address.to_canonical() {
                IpAddr::V4(address) => is_public_v4(address),
                IpAddr::V6(address) => is_public_v6(address),
            }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(first, length)| (bits ^ Ipv4Addr::from_octets(*first).to_bits()) >> (32 - length) == 0)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let inside = |first: u128, length: u32| (bits ^ first) >> (128 - length) == 0;
    // Global unicast is 2000::/3. All the rest is special, addresses with an IPv4 address inside included.
    inside(0x2000 << 112, 3) && !SPECIAL_V6.iter().any(|(first, length)| inside(*first, *length))
}

/// IANA's special-purpose registry for IPv4: first address and length of the prefix.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// What is special inside 2000::/3: protocol assignments (2001::/23), documentation (2001:db8::/32, 3fff::/20), 6to4
/// (2002::/16).
const SPECIAL_V6: [(u128, u32); 4] =
    [(0x2001 << 112, 23), (0x2001_0db8 << 96, 32), (0x3fff << 112, 20), (0x2002 << 112, 16)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_only_some_can_reach_are_refused_in_every_spelling() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.127.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff:fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            let address = text.parse().unwrap();
            assert!(!Reach::Public.allows(address), "{text}");
            assert!(Reach::Anywhere.allows(address), "{text}");
        }
        for text in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "198.20.0.1", "223.255.255.255", "::ffff:9.9.9.9"] {
            assert!(Reach::Public.allows(text.parse().unwrap()), "{text}");
        }
        for text in ["2606:4700::1111", "2a00:1450::1", "2001:200::1", "2001:4860:4860::8888"] {
            assert!(Reach::Public.allows(text.parse().unwrap()), "{text}");
        }
    }
}
