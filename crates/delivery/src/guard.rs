//! Restricts the addresses for deliveries, so that a subscriber cannot make the server call its own network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The refused addresses. The check applies to the address of the connection itself, so a name cannot resolve
/// to one address for the check and another for the call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Guard {
    /// None: for a developer's machine, whose receivers are on the loopback address.
    #[default]
    Off,
    /// The machine itself, its link (where clouds have their metadata services), and addresses that are not
    /// of a single receiver. Private networks are allowed, because an operator's own receivers are often
    /// there.
    Neighbours,
    /// All addresses that are not public.
    NonPublic,
}

impl Guard {
    /// Returns the reason if an address is refused.
    pub(crate) fn refuses(self, address: IpAddr) -> Option<&'static str> {
        if self == Guard::Off {
            return None;
        }
        let class = match address {
            IpAddr::V4(address) => class_v4(address),
            IpAddr::V6(address) => class_v6(address),
        };
        match class {
            Class::Public => None,
            Class::Private(what) => (self == Guard::NonPublic).then_some(what),
            Class::Near(what) => Some(what),
        }
    }
}

enum Class {
    Public,
    Private(&'static str),
    Near(&'static str),
}

/// From IANA's registry of special-purpose addresses (RFC 6890), and the clouds' metadata services.
fn class_v4(address: Ipv4Addr) -> Class {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        (0, ..) => Class::Near("an unspecified address"),
        (127, ..) => Class::Near("a loopback address"),
        (169, 254, ..) => Class::Near("a link-local address"),
        // Metadata services outside of 169.254.0.0/16: Alibaba Cloud's, Oracle Cloud's, Azure's wire server.
        (100, 100, 100, 200) | (192, 0, 0, 192) | (168, 63, 129, 16) => {
            Class::Near("a metadata service's address")
        }
        (224..=239, ..) => Class::Near("a multicast address"),
        (240..=255, ..) => Class::Near("a reserved address"),
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) => Class::Private("a private address"),
        (100, 64..=127, ..) => Class::Private("an address of a provider's own network"),
        (192, 0, 0, _) => Class::Private("an address for protocols"),
        (192, 0, 2, _) | (198, 51, 100, _) | (203, 0, 113, _) => Class::Private("an address for examples"),
        (198, 18..=19, ..) => Class::Private("an address for benchmarks"),
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    if address.is_unspecified() {
        return Class::Near("an unspecified address");
    }
    if address.is_loopback() {
        return Class::Near("a loopback address");
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        class_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b, c, d, e, f) {
        // An IPv4 address inside an IPv6 address: mapped, compatible, translated (RFC 2765, RFC 6052), 6to4.
        (0, 0, 0, 0, 0, 0xffff | 0) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => embedded(g, h),
        // Each network chooses the position of the IPv4 address in this block (RFC 8215).
        (0x64, 0xff9b, 1, ..) => Class::Near("a translated address"),
        (0x2002, ..) => embedded(b, c),
        // AWS's metadata, time and DNS services.
        (0xfd00, 0xec2, 0, 0, 0, 0) => Class::Near("a metadata service's address"),
        // Google Cloud's metadata service.
        (0xfd20, 0xce, 0, 0, 0, 0) if (g, h) == (0, 0x254) => Class::Near("a metadata service's address"),
        (0xfe80..=0xfebf, ..) => Class::Near("a link-local address"),
        (0xff00..=0xffff, ..) => Class::Near("a multicast address"),
        (0xfec0..=0xfeff, ..) => Class::Private("a site-local address"),
        (0xfc00..=0xfdff, ..) => Class::Private("a private address"),
        // Only this block is assigned to single receivers; it includes Teredo and the blocks for examples.
        (0x2001, 0, ..) => Class::Private("a tunnel's address"),
        (0x2001, 0xdb8, ..) | (0x3fff, 0..=0xfff, ..) => Class::Private("an address for examples"),
        (0x2000..=0x3fff, ..) => Class::Public,
        _ => Class::Private("a reserved address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_guard_refuses() {
        // (address, refused as a neighbour, refused as not public)
        for (address, neighbours, non_public) in [
            ("127.0.0.1", true, true),
            ("127.255.0.3", true, true),
            ("0.0.0.0", true, true),
            ("169.254.169.254", true, true),
            ("169.254.170.2", true, true),
            ("100.100.100.200", true, true),
            ("168.63.129.16", true, true),
            ("224.0.0.1", true, true),
            ("255.255.255.255", true, true),
            ("10.1.2.3", false, true),
            ("172.16.0.1", false, true),
            ("172.32.0.1", false, false),
            ("192.168.1.1", false, true),
            ("100.64.0.1", false, true),
            ("198.18.0.1", false, true),
            ("192.0.2.7", false, true),
            ("8.8.8.8", false, false),
            ("52.94.236.248", false, false),
            ("::", true, true),
            ("::1", true, true),
            ("fe80::1", true, true),
            ("febf::1", true, true),
            ("fd00:ec2::254", true, true),
            ("fd20:ce::254", true, true),
            ("ff02::1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("::ffff:169.254.169.254", true, true),
            ("::169.254.169.254", true, true),
            ("::ffff:0:169.254.169.254", true, true),
            ("64:ff9b::169.254.169.254", true, true),
            ("64:ff9b:1::169.254.169.254", true, true),
            ("2002:a9fe:a9fe::1", true, true),
            ("2002:7f00:1::", true, true),
            ("::ffff:10.0.0.1", false, true),
            ("::ffff:8.8.8.8", false, false),
            ("fc00::1", false, true),
            ("fd12:3456::1", false, true),
            ("fec0::1", false, true),
            ("2001:db8::1", false, true),
            ("2001::1", false, true),
            ("2606:4700:4700::1111", false, false),
            ("2a05:d07a::1", false, false),
            ("4000::1", false, true),
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(Guard::Neighbours.refuses(ip).is_some(), neighbours, "{address}");
            assert_eq!(Guard::NonPublic.refuses(ip).is_some(), non_public, "{address}");
            assert_eq!(Guard::Off.refuses(ip), None, "{address}");
        }
    }
}
