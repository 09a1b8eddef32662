//! Sequence numbers, as clients see them: decimal numbers of 56 digits (facts/kinesis.md §§ 3, 17).
//!
//! | bits | content |
//! |---|---|
//! | 185 | 1, so that the number has 56 digits and begins with 49 |
//! | 112–175 | the shard's number among everything that the server ever made, which is also its series |
//! | 48–111 | the record's number, which the server's one counter gives |
//! | 4–35 | the shard's number in its stream |
//! | 0–3 | 2, the version |
//!
//! A shard that is made later has a higher number, so a child's first sequence number is above its parent's last. A stream that is made
//! again under its old name has other shards, so its numbers are told from those of the first.

/// What a sequence number says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SequenceNumber {
    /// The shard's series.
    pub series: u64,
    /// The record's number.
    pub record: u64,
    /// The shard's number in its stream.
    pub shard: u32,
}

const VERSION: u64 = 2;
/// The limb in which bit 185 lies has this bit.
const TOP: u64 = 1 << (185 - 128);
const TEN_19: u64 = 10_000_000_000_000_000_000;

impl SequenceNumber {
    /// The number's three limbs, the high one first.
    fn limbs(self) -> [u64; 3] {
        let high = TOP | self.series >> 16;
        let middle = self.series << 48 | self.record >> 16;
        let low = self.record << 48 | u64::from(self.shard) << 4 | VERSION;
        [high, middle, low]
    }

    /// Reads a decimal number. None if it is not one that this server gives.
    pub fn parse(text: &str) -> Option<SequenceNumber> {
        if text.len() != 56 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut limbs = [0u64; 3];
        for part in [&text[..18], &text[18..37], &text[37..]] {
            let mut carry = u128::from(part.parse::<u64>().ok()?);
            let factor = u128::from(if part.len() == 18 { 1 } else { TEN_19 });
            for limb in limbs.iter_mut().rev() {
                let product = u128::from(*limb) * factor + carry;
                *limb = product as u64;
                carry = product >> 64;
            }
            if carry > 0 {
                return None;
            }
        }
        let [high, middle, low] = limbs;
        let number = SequenceNumber {
            series: (high ^ TOP) << 16 | middle >> 48,
            record: middle << 16 | low >> 48,
            shard: u32::try_from(low >> 4 & 0xffff_ffff).ok()?,
        };
        (number.limbs() == limbs).then_some(number)
    }
}

impl std::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut limbs = self.limbs();
        let mut parts = [0u64; 3];
        for part in parts.iter_mut().rev() {
            let mut rest = 0u64;
            for limb in &mut limbs {
                let value = u128::from(rest) << 64 | u128::from(*limb);
                *limb = (value / u128::from(TEN_19)) as u64;
                rest = (value % u128::from(TEN_19)) as u64;
            }
            *part = rest;
        }
        write!(f, "{:018}{:019}{:019}", parts[0], parts[1], parts[2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_56_digits_and_the_order_of_their_shards_and_records() {
        // facts/kinesis.md § 17
        let of = |series, record, shard| SequenceNumber { series, record, shard };
        let all = [
            of(0, 0, 0),
            of(0, 1, 0),
            of(1, 0, 3),
            of(1, 1, 3),
            of(1, u64::MAX, 3),
            of(2, 3, u32::MAX),
            of(u64::MAX, u64::MAX, u32::MAX),
        ];
        let texts: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert!(texts.iter().all(|text| text.len() == 56 && text.starts_with("49")), "{texts:?}");
        assert!(texts.is_sorted());
        assert_eq!(texts[0], "49039857307708443467467104868809893875799651909875269634");
        for (number, text) in all.iter().zip(&texts) {
            assert_eq!(SequenceNumber::parse(text), Some(*number));
        }
    }

    #[test]
    fn other_numbers_are_not_read() {
        for wrong in ["", "0", "1", &"9".repeat(56), &"4".repeat(56), &"9".repeat(128)] {
            assert_eq!(SequenceNumber::parse(wrong), None, "{wrong}");
        }
        let other_version = "49039857307708443467467104868809893875799651909875269633";
        assert_eq!(SequenceNumber::parse(other_version), None);
    }
}
