//! Identifiers made from a secret or from handed-in randomness, never from dice of our own.

use sha2::{Digest, Sha256};

/// A message's sequence number: unique and increasing over the whole server, in the order of acceptance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Seq(pub u64);

/// 32 random bytes, made once for a data directory and kept in its log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// Sixteen bytes that name the thing of this kind with this number: nobody without the secret can guess them.
    pub fn derive(&self, what: &str, number: u64) -> [u8; 16] {
        let hash = Sha256::new().chain_update(self.0).chain_update(what).chain_update(number.to_be_bytes());
        let mut name = [0; 16];
        name.copy_from_slice(&hash.finalize()[..16]);
        name
    }

    /// The first eight of those bytes as a number.
    pub fn derive_number(&self, what: &str, number: u64) -> u64 {
        u128::from_le_bytes(self.derive(what, number)) as u64
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A stream of pseudo-random numbers from a seed that was handed in (SplitMix64): good for picking, not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A stream that is a function of `seed` alone.
    pub fn from_seed(seed: u64) -> Self {
        Dice(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What is remembered of a token of idempotency; never 0.
pub fn token_hash(token: &str) -> u64 {
    let hash: [u8; 32] = Sha256::digest(token).into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1)
}

/// A sequence number as AWS shows it: twenty digits (facts/sqs.md § 5, facts/sns.md § 10). AWS's own begin near 1.88e19,
/// and so do ours, so that they never change their length.
pub fn sequence_number(number: u64) -> String {
    (18_800_000_000_000_000_000_u128 + u128::from(number)).to_string()
}

/// Sixteen bytes as the text of a version 4 UUID (the version and variant bits are set here).
pub fn uuid_text(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = [b'-'; 36];
    let (mut at, mut rest) = (0, &bytes[..]);
    for group in [4, 2, 2, 2, 6] {
        let (now, later) = rest.split_at(group);
        put_hex(now, &mut text[at..]);
        (at, rest) = (at + 2 * group + 1, later);
    }
    ascii(text.to_vec())
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = vec![0; bytes.len() * 2];
    put_hex(bytes, &mut text);
    ascii(text)
}

fn put_hex(bytes: &[u8], text: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(bytes) {
        *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    }
}

/// What is made of digits and hyphens is a text.
fn ascii(text: Vec<u8>) -> String {
    String::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes_become_a_version_4_uuid() {
        assert_eq!(uuid_text([0xab; 16]), "abababab-abab-4bab-abab-abababababab");
        let counted = std::array::from_fn(|at| at as u8 * 17);
        assert_eq!(uuid_text(counted), "00112233-4455-4677-8899-aabbccddeeff");
        assert_eq!(hex(&counted[..3]), "001122");
    }
}
