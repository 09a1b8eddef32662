//! Typed values of conditions: numbers, dates, booleans, addresses.

use std::net::IpAddr;

use kernel::iso8601;

/// A finite number.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug)]
pub(super) struct Number(f64);

// Finite numbers equal themselves.
impl Eq for Number {}

impl Number {
    /// Reads an integer or a decimal.
    pub fn parse(text: &str) -> Option<Number> {
        // Rust also reads "inf" and "nan".
        let number: f64 = text.parse().ok().filter(|_| !text.contains(['n', 'N']))?;
        number.is_finite().then_some(Number(number))
    }
}

/// Reads a moment in one of the ISO 8601 forms of W3C, or in seconds since 1970. Returns milliseconds since 1970.
pub(super) fn date(text: &str) -> Option<i64> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Four digits are a year.
        return match text.len() {
            4 => iso8601::read(&format!("{text}-01-01T00:00:00Z")),
            _ => text.parse::<i64>().ok()?.checked_mul(1000),
        };
    }
    let Some((date, time)) = text.split_once('T') else {
        let day = if text.len() == "2026-11".len() { "-01" } else { "" };
        return iso8601::read(&format!("{text}{day}T00:00:00Z"));
    };
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone);
    let seconds = if clock.len() == "09:00".len() { ":00" } else { "" };
    iso8601::read(&format!("{date}T{clock}{seconds}{zone}"))
}

/// Reads `true` or `false` in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    is("true").then_some(true).or_else(|| is("false").then_some(false))
}

/// Reads an address. An IPv6 address that maps an IPv4 address is read as the IPv4 address.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// A block of addresses, such as `10.0.0.0/8` or `2001:db8::/32`; or a single address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads a block in CIDR notation (RFC 4632).
    pub fn parse(text: &str) -> Option<Network> {
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first.parse().ok()?, Some(bits.parse().ok()?)),
            None => (address(text)?, None),
        };
        let longest = match first {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let bits = bits.unwrap_or(longest);
        (bits <= longest).then_some(Network { first, bits })
    }

    /// Whether an address lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differs = first.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differs = first.to_bits() ^ address.to_bits();
                differs.leading_zeros() >= self.bits
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_all_of_their_forms() {
        // IAM User Guide, "Date condition operators": W3C's profile of ISO 8601, or seconds since 1970
        let nine = Some(1_796_029_200_000);
        for (text, expected) in [
            ("2026-11-30T09:00:00Z", nine),
            ("2026-11-30T09:00Z", nine),
            ("2026-11-30T10:00:00.000+01:00", nine),
            ("1796029200", nine),
            ("2026-11-30", Some(1_795_996_800_000)),
            ("2026-11", Some(1_793_491_200_000)),
            ("2026", Some(1_767_225_600_000)),
            ("99999999999999999999", None),
            ("9223372036854775807", None),
            ("2026-11-30T09:00", None),
            ("2026-13-01", None),
            ("T", None),
            ("", None),
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_finite() {
        for (text, is_number) in [
            ("1", true),
            ("-1.5", true),
            ("1e3", true),
            ("inf", false),
            ("NaN", false),
            ("", false),
            ("1e999", false),
        ] {
            assert_eq!(Number::parse(text).is_some(), is_number, "{text}");
        }
    }

    #[test]
    fn blocks_hold_the_addresses_with_their_first_bits() {
        // IAM User Guide, "IP address condition operators"; RFC 4632
        for (block, given, expected) in [
            ("203.0.113.0/24", "203.0.113.200", true),
            ("203.0.113.0/24", "203.0.114.0", false),
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "::ffff:203.0.113.7", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "::1", true),
            ("::1/128", "::1", true),
        ] {
            let given = address(given).unwrap();
            assert_eq!(Network::parse(block).unwrap().contains(given), expected, "{block} {given}");
        }
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x", "10.0.0.0/-1", "/8", ""] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
