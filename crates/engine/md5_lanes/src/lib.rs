//! MD5 of several bodies at once.
//!
//! MD5 costs more by the byte than anything else on a message's way. One digest cannot be sped up, because each step needs the
//! result of the step before it. A vector register computes as many digests as it has lanes in hardly more than the time of one:
//! sixteen with AVX-512, whose rotations and three-operand logic fit MD5 well, and eight with AVX2.

use md5::{Digest, Md5};

#[cfg(target_arch = "x86_64")]
mod x86_64;

/// Returns the digests of `bodies`, in their order.
pub fn digests(bodies: &[&[u8]]) -> Vec<[u8; 16]> {
    #[cfg(target_arch = "x86_64")]
    if bodies.len() > 1
        && let Some(digests) = x86_64::digests(bodies)
    {
        return digests;
    }
    one_by_one(bodies)
}

fn one_by_one(bodies: &[&[u8]]) -> Vec<[u8; 16]> {
    bodies.iter().map(|body| Md5::digest(body).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Way = fn(&[&[u8]]) -> Option<Vec<[u8; 16]>>;

    #[test]
    fn digests_are_those_of_one_body_at_a_time() {
        let mut ways: Vec<Way> = vec![|bodies| Some(digests(bodies))];
        #[cfg(target_arch = "x86_64")]
        ways.extend([x86_64::with_avx512 as Way, x86_64::with_avx2]);
        // Every length around the ends of blocks, in lanes of different lengths.
        let bodies: Vec<Vec<u8>> =
            (0..300).map(|len| (0..len * 7 % 301).map(|at| (at * 31 + len) as u8).collect()).collect();
        for size in 0..34 {
            for chunk in bodies.chunks(size + 1) {
                let slices: Vec<&[u8]> = chunk.iter().map(Vec::as_slice).collect();
                let expected = one_by_one(&slices);
                for digests in ways.iter().filter_map(|way| way(&slices)) {
                    assert_eq!(digests, expected);
                }
            }
        }
    }
}
