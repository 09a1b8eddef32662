//! Hash keys: which shard a record belongs to (facts/kinesis.md § 3).

use md5::{Digest, Md5};

/// A range of hash keys, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HashRange {
    /// The first.
    pub start: u128,
    /// The last.
    pub end: u128,
}

impl HashRange {
    /// All hash keys.
    pub const ALL: HashRange = HashRange { start: 0, end: u128::MAX };

    /// Whether a hash key lies in it.
    pub fn contains(&self, hash: u128) -> bool {
        (self.start..=self.end).contains(&hash)
    }

    /// Divides all hash keys among shards: each begins at a multiple of ⌊2^128/count⌋.
    pub fn divided(count: u32) -> Vec<HashRange> {
        let count = u128::from(count.max(1));
        // ⌊2^128/count⌋ without 2^128, which is no u128.
        let width = match count {
            1 => u128::MAX,
            count => u128::MAX / count + u128::from(u128::MAX % count + 1 == count),
        };
        let start = |at: u128| if at == 0 { 0 } else { at * width };
        let end = |at: u128| if at + 1 == count { u128::MAX } else { (at + 1) * width - 1 };
        (0..count).map(|at| HashRange { start: start(at), end: end(at) }).collect()
    }
}

/// The hash key of a partition key: its MD5 as a number.
pub fn of_partition_key(key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(key).into())
}

/// Reads a hash key: `0`, or a decimal number without leading zeros, up to 2^128 − 1.
pub fn parse(text: &str) -> Option<u128> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_decimal && is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_keys_have_the_hashes_of_the_recorded_vectors() {
        // facts/kinesis.md § 11
        for (key, hash, shard) in [
            ("p", 174832678556295648811075566251100652666, 2),
            ("partitionKey-1", 159499196025307651934328298402289840726, 1),
            ("1", 261578874264819908609102035485573088411, 3),
        ] {
            assert_eq!(of_partition_key(key), hash);
            let ranges = HashRange::divided(4);
            assert_eq!(ranges.iter().position(|range| range.contains(hash)), Some(shard));
        }
    }

    #[test]
    fn ranges_are_those_of_aws() {
        // facts/kinesis.md § 11
        let ends = |count| HashRange::divided(count).iter().map(|range| range.end).collect::<Vec<_>>();
        assert_eq!(HashRange::divided(1), [HashRange::ALL]);
        assert_eq!(ends(2), [170141183460469231731687303715884105727, u128::MAX]);
        assert_eq!(
            ends(3),
            [113427455640312821154458202477256070484, 226854911280625642308916404954512140969, u128::MAX]
        );
        assert_eq!(ends(4)[2], 255211775190703847597530955573826158591);
        for count in [1, 2, 3, 5, 7, 4096, 20_000] {
            let ranges = HashRange::divided(count);
            assert_eq!(ranges.len(), count as usize);
            assert!(ranges.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
            assert_eq!((ranges[0].start, ranges.last().unwrap().end), (0, u128::MAX));
        }
    }

    #[test]
    fn hash_keys_are_read_as_the_model_says() {
        assert_eq!((parse("0"), parse("17")), (Some(0), Some(17)));
        assert_eq!(parse("340282366920938463463374607431768211455"), Some(u128::MAX));
        for wrong in ["", "01", "+1", "-1", "340282366920938463463374607431768211456", "x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
