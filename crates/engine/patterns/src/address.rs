//! IP addresses and blocks of them (CIDR).

/// An address of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    V4(u32),
    V6(u128),
}

impl Address {
    /// Parses an address as AWS does (Java's `InetAddress` behind two regular expressions): IPv4 as four
    /// numbers, IPv6 as hexadecimal groups with at most one `::`. An IPv6 address that wraps an IPv4 address
    /// is that IPv4 address.
    pub fn parse(text: &str) -> Option<Address> {
        // Two comparisons reject nearly every other string.
        if !matches!(text.as_bytes().first(), Some(b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' | b':')) {
            return None;
        }
        if text.contains(':') { v6(text) } else { v4(text) }
    }
}

fn v4(text: &str) -> Option<Address> {
    if text.len() > 15 {
        return None;
    }
    let mut address = 0u32;
    let mut count = 0;
    for part in text.split('.') {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = part
            .bytes()
            .try_fold(0u32, |sum, digit| sum.checked_mul(10)?.checked_add(u32::from(digit - b'0')))?;
        if number > 255 {
            return None;
        }
        address = address.checked_shl(8)? | number;
        count += 1;
        if count > 4 {
            return None;
        }
    }
    (count == 4).then_some(Address::V4(address))
}

fn v6(text: &str) -> Option<Address> {
    if !text.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit()) || text.len() < 2 {
        return None;
    }
    let groups = |text: &str| -> Option<Vec<u16>> {
        if text.is_empty() {
            return Some(Vec::new());
        }
        text.split(':').map(group).collect()
    };
    let (head, tail) = match text.split_once("::") {
        Some((head, tail)) => {
            if tail.contains("::") {
                return None;
            }
            (groups(head)?, groups(tail)?)
        }
        None => (groups(text)?, Vec::new()),
    };
    let short = !text.contains("::");
    let given = head.len() + tail.len();
    if (short && given != 8) || (!short && given > 7) {
        return None;
    }
    let zeroes = std::iter::repeat_n(0, 8 - given);
    let all = head.into_iter().chain(zeroes).chain(tail);
    let address = all.fold(0u128, |sum, group| sum << 16 | u128::from(group));
    Some(match u32::try_from(address & 0xFFFF_FFFF) {
        Ok(wrapped) if address >> 32 == 0xFFFF => Address::V4(wrapped),
        _ => Address::V6(address),
    })
}

fn group(text: &str) -> Option<u16> {
    if text.is_empty() {
        return None;
    }
    text.chars()
        .try_fold(0u32, |sum, char| Some(sum * 16 + char.to_digit(16)?).filter(|&sum| sum <= 0xFFFF))?
        .try_into()
        .ok()
}

/// Returns whether AWS's first check accepts a text as an address.
fn has_form_of_address(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let four = numbers.len() == 4
        && numbers
            .iter()
            .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    four || (text.contains(':') && text.bytes().all(|byte| byte == b':' || byte.is_ascii_hexdigit()))
}

/// A block of addresses: the lowest and the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    low: Address,
    high: Address,
}

impl Block {
    /// Parses `10.0.0.0/24`. The error is AWS's text.
    pub fn parse(text: &str) -> Result<Block, String> {
        // Java's split drops empty parts at the end.
        let mut parts: Vec<&str> = text.split('/').collect();
        while parts.len() > 1 && parts.last() == Some(&"") {
            parts.pop();
        }
        let [address, bits] = parts[..] else { return Err("Malformed CIDR, one '/' required".to_owned()) };
        let bits: i32 =
            bits.parse().map_err(|_| "Malformed CIDR, mask bits must be an integer".to_owned())?;
        if bits < 0 {
            return Err("Malformed CIDR, mask bits must not be negative".to_owned());
        }
        let bits = bits.unsigned_abs();
        match Address::parse(address) {
            None if has_form_of_address(address) => Err(format!("Invalid IP address: {address}")),
            None => Err(format!("Nonstandard IP address: {address}")),
            Some(Address::V4(_)) if bits > 31 => Err("IPv4 mask bits must be < 32".to_owned()),
            Some(Address::V6(_)) if bits > 127 => Err("IPv6 mask bits must be < 128".to_owned()),
            Some(Address::V4(address)) => {
                let rest = u32::MAX >> bits;
                Ok(Block { low: Address::V4(address & !rest), high: Address::V4(address | rest) })
            }
            Some(Address::V6(address)) => {
                let rest = u128::MAX >> bits;
                Ok(Block { low: Address::V6(address & !rest), high: Address::V6(address | rest) })
            }
        }
    }

    /// Returns whether the address is in the block. Families never mix.
    pub fn holds(&self, address: Address) -> bool {
        // Within one family the order is numeric, and every IPv4 address is below every IPv6 address.
        self.low <= address && address <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_all_their_spellings() {
        let v6 = |text: &str| Address::V6(text.parse::<std::net::Ipv6Addr>().unwrap().to_bits());
        for (text, address) in [
            ("10.0.0.1", Some(Address::V4(0x0A00_0001))),
            ("010.0.0.01", Some(Address::V4(0x0A00_0001))),
            ("255.255.255.255", Some(Address::V4(u32::MAX))),
            ("256.0.0.1", None),
            ("1.2.3", None),
            ("1.2.3.4.5", None),
            ("1..2.3", None),
            ("", None),
            ("12:34", None),
            (":", None),
            ("::", Some(Address::V6(0))),
            ("::1", Some(Address::V6(1))),
            ("2001:DB8::ff", Some(v6("2001:db8::ff"))),
            ("2001:0db8:0:0:0:0:0:ff", Some(v6("2001:db8::ff"))),
            ("1:2:3:4:5:6:7:8", Some(v6("1:2:3:4:5:6:7:8"))),
            ("1:2:3:4:5:6:7:8:9", None),
            ("1::2::3", None),
            ("1:::2", None),
            ("1:", None),
            ("12345::", None),
            ("::ffff:102:304", Some(Address::V4(0x0102_0304))),
            ("::ffff:1.2.3.4", None),
            ("fe80::1%eth0", None),
        ] {
            assert_eq!(Address::parse(text), address, "{text}");
        }
    }

    #[test]
    fn a_block_refuses_in_the_words_of_the_facts() {
        for (text, refusal) in [
            ("10.0.0.0", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/1/2", "Malformed CIDR, one '/' required"),
            ("10.0.0.0/x", "Malformed CIDR, mask bits must be an integer"),
            ("10.0.0.0/-1", "Malformed CIDR, mask bits must not be negative"),
            ("10.0.0.0/32", "IPv4 mask bits must be < 32"),
            ("::/128", "IPv6 mask bits must be < 128"),
            ("256.0.0.0/8", "Invalid IP address: 256.0.0.0"),
            ("1:2/8", "Invalid IP address: 1:2"),
            ("x/8", "Nonstandard IP address: x"),
        ] {
            assert_eq!(Block::parse(text).unwrap_err(), refusal, "{text}");
        }
    }

    #[test]
    fn a_block_holds_its_addresses_and_no_others() {
        let block = Block::parse("10.0.0.77/24").unwrap();
        for (text, held) in [
            ("10.0.0.0", true),
            ("10.0.0.255", true),
            ("10.0.1.0", false),
            ("a00::", false),
            ("9.255.255.255", false),
        ] {
            assert_eq!(block.holds(Address::parse(text).unwrap()), held, "{text}");
        }
        assert!(Block::parse("0.0.0.0/0").unwrap().holds(Address::V4(7)));
        assert!(Block::parse("2001:db8::/32").unwrap().holds(Address::parse("2001:db8:1::").unwrap()));
    }
}
