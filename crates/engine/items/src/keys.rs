//! Keys in bytes, in the order in which a table or an index holds its items.
//!
//! A key is a hash of the partition key, then each part of the key. A part has an end that no other part begins with, so the order of the
//! bytes is the order of the parts: texts and binaries by unsigned bytes, numbers by value. The hash makes the order of a scan, and its
//! ranges are the segments of a parallel scan.

use crate::value::{Type, Value};

/// Bytes of the hash that a key begins with.
pub const HASH_BYTES: usize = 8;

/// Appends a part of a key. Only texts, numbers and binaries are parts.
pub fn put_part(out: &mut Vec<u8>, value: Value<'_>) {
    match value.kind() {
        Type::N => {
            out.extend_from_slice(value.content());
            // A negative number has an end already, and zero is one byte.
            if value.content().first() == Some(&2) {
                out.push(0);
            }
        }
        _ => {
            put_beginning(out, value.content());
            out.extend([0, 0]);
        }
    }
}

/// Appends what all texts or binaries that begin with these bytes begin with.
pub fn put_beginning(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
}

/// The beginning of all keys of a partition.
pub fn partition<'v>(parts: impl IntoIterator<Item = Value<'v>>) -> Vec<u8> {
    let mut out = vec![0; HASH_BYTES];
    parts.into_iter().for_each(|part| put_part(&mut out, part));
    let hash = hash(&out[HASH_BYTES..]);
    out[..HASH_BYTES].copy_from_slice(&hash.to_be_bytes());
    out
}

/// The least bytes that are greater than all that begin with these; none if there are none such.
pub fn behind(mut beginning: Vec<u8>) -> Option<Vec<u8>> {
    while let Some(last) = beginning.pop() {
        if last < 0xff {
            beginning.push(last + 1);
            return Some(beginning);
        }
    }
    None
}

/// The first hash of a segment of a scan.
pub fn segment_start(segment: u32, total: u32) -> Option<[u8; HASH_BYTES]> {
    let start = (u128::from(segment) << 64).div_ceil(u128::from(total.max(1)));
    u64::try_from(start).ok().map(u64::to_be_bytes)
}

/// A hash that is the same on every machine: FNV-1a, mixed so that its first bits depend on all bytes.
fn hash(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::read;

    fn part(json: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_part(&mut out, Value::of(&read(json).unwrap()));
        out
    }

    #[test]
    fn segments_cover_all_hashes_once() {
        for total in [1, 2, 3, 7, 1_000_000] {
            assert_eq!(segment_start(0, total), Some([0; 8]));
            assert_eq!(segment_start(total, total), None);
        }
        assert!(segment_start(1, 3) < segment_start(2, 3));
    }

    #[test]
    fn numbers_of_one_value_are_one_key() {
        // facts/dynamodb.md § 7
        for same in ["1e3", "+1000", "001000.0"] {
            assert_eq!(part(&format!("{{\"N\":\"{same}\"}}")), part(r#"{"N":"1000"}"#));
        }
    }

    proptest! {
        #[test]
        fn the_order_of_parts_is_that_of_their_values(
            one in proptest::collection::vec(0_u8..3, 0..6), other in proptest::collection::vec(0_u8..3, 0..6),
            tail in proptest::collection::vec(any::<u8>(), 0..4),
        ) {
            let part = |bytes: &[u8]| {
                let mut value = Vec::new();
                crate::value::put(&mut value, Type::B, bytes);
                let mut out = Vec::new();
                put_part(&mut out, Value::of(&value));
                out
            };
            let (first, second) = ([part(&one), tail.clone()].concat(), part(&other));
            if one != other {
                prop_assert_eq!(first.cmp(&second), one.cmp(&other));
            }
            let mut beginning = Vec::new();
            put_beginning(&mut beginning, &one);
            prop_assert_eq!(second.starts_with(&beginning), other.starts_with(&one));
        }
    }
}
