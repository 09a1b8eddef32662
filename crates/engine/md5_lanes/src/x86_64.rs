//! Several digests in the lanes of one vector register: sixteen with AVX-512, eight with AVX2.

use std::arch::is_x86_feature_detected;

use md5::{Digest, Md5};

/// The digests of `bodies`, in their order. `None`: the processor has no registers with lanes enough.
pub fn digests(bodies: &[&[u8]]) -> Option<Vec<[u8; 16]>> {
    with_avx512(bodies).or_else(|| with_avx2(bodies))
}

/// The digests, sixteen at a time. `None`: the processor has no AVX-512F.
pub fn with_avx512(bodies: &[&[u8]]) -> Option<Vec<[u8; 16]>> {
    // SAFETY: the processor has AVX-512F, as was just asked.
    is_x86_feature_detected!("avx512f").then(|| in_lanes(bodies, |sixteen| unsafe { avx512(sixteen) }))
}

/// The digests, eight at a time. `None`: the processor has no AVX2.
pub fn with_avx2(bodies: &[&[u8]]) -> Option<Vec<[u8; 16]>> {
    // SAFETY: the processor has AVX2, as was just asked.
    is_x86_feature_detected!("avx2").then(|| in_lanes(bodies, |eight| unsafe { avx2(eight) }))
}

/// Up to `LANES` digests at a time.
fn in_lanes<const LANES: usize>(
    bodies: &[&[u8]],
    compute: impl Fn(&[&[u8]]) -> [[u8; 16]; LANES],
) -> Vec<[u8; 16]> {
    let mut digests = Vec::with_capacity(bodies.len());
    for some in bodies.chunks(LANES) {
        match some {
            // A lane alone is faster the ordinary way.
            [body] => digests.push(Md5::digest(body).into()),
            some => digests.extend_from_slice(&compute(some)[..some.len()]),
        }
    }
    digests
}

const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// floor(2^32 × |sin(i + 1)|), from RFC 1321.
const SINES: [u32; 64] = [
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
];

/// One body, as the blocks of 64 bytes that MD5 sees: the body, a bit, zeros, the length.
struct Blocks<'a> {
    whole: &'a [u8],
    /// The last one or two blocks.
    last: [u8; 128],
    count: usize,
}

impl<'a> Blocks<'a> {
    fn new(body: &'a [u8]) -> Self {
        let whole_len = body.len() / 64 * 64;
        let (whole, rest) = body.split_at(whole_len);
        let mut last = [0; 128];
        last[..rest.len()].copy_from_slice(rest);
        last[rest.len()] = 0x80;
        let last_blocks = if rest.len() < 56 { 1 } else { 2 };
        let bits = (body.len() as u64).wrapping_mul(8);
        last[last_blocks * 64 - 8..last_blocks * 64].copy_from_slice(&bits.to_le_bytes());
        Blocks { whole, last, count: whole_len / 64 + last_blocks }
    }

    /// The block with this number; zeros if the body has fewer.
    #[inline]
    fn block(&self, number: usize) -> &[u8; 64] {
        const NONE: &[u8; 64] = &[0; 64];
        let at = number * 64;
        match self.whole.get(at..) {
            Some(rest) if !rest.is_empty() => rest.first_chunk().unwrap_or(NONE),
            _ => self.last.get(at - self.whole.len()..).and_then(<[u8]>::first_chunk).unwrap_or(NONE),
        }
    }
}

/// Up to sixteen digests.
#[target_feature(enable = "avx512f")]
fn avx512(bodies: &[&[u8]]) -> [[u8; 16]; 16] {
    use std::arch::x86_64::*;

    let lanes: [Blocks<'_>; 16] =
        std::array::from_fn(|lane| Blocks::new(bodies.get(lane).copied().unwrap_or(&[])));
    let most = lanes.iter().map(|lane| lane.count).max().unwrap_or(0);
    let mut state = START.map(|word| _mm512_set1_epi32(word as i32));
    for block in 0..most {
        let mut goes_on: __mmask16 = 0;
        let mut rows = [_mm512_setzero_si512(); 16];
        for (lane, (blocks, row)) in lanes.iter().zip(&mut rows).enumerate() {
            goes_on |= __mmask16::from(block < blocks.count) << lane;
            // SAFETY: a block is 64 bytes, and the load needs no alignment.
            *row = unsafe { _mm512_loadu_si512(blocks.block(block).as_ptr().cast()) };
        }
        let words = transposed(rows);
        let [mut a, mut b, mut c, mut d] = state;
        macro_rules! step {
            ($logic:literal, $i:expr, $word:expr, $shift:literal) => {
                let mixed = _mm512_ternarylogic_epi32::<$logic>(b, c, d);
                let known =
                    _mm512_add_epi32(a, _mm512_add_epi32(words[$word], _mm512_set1_epi32(SINES[$i] as i32)));
                let turned = _mm512_rol_epi32::<$shift>(_mm512_add_epi32(known, mixed));
                (a, d, c, b) = (d, c, b, _mm512_add_epi32(b, turned));
            };
        }
        // What mixes b, c and d is a table of eight bits: the result for each value of the three.
        macro_rules! round {
            ($from:literal, $logic:literal, $word:expr, $s0:literal, $s1:literal, $s2:literal, $s3:literal) => {
                let mut i = $from;
                while i < $from + 16 {
                    step!($logic, i, $word(i) % 16, $s0);
                    step!($logic, i + 1, $word(i + 1) % 16, $s1);
                    step!($logic, i + 2, $word(i + 2) % 16, $s2);
                    step!($logic, i + 3, $word(i + 3) % 16, $s3);
                    i += 4;
                }
            };
        }
        round!(0, 0xca, |i: usize| i, 7, 12, 17, 22); // b ? c : d
        round!(16, 0xe4, |i: usize| 5 * i + 1, 5, 9, 14, 20); // d ? b : c
        round!(32, 0x96, |i: usize| 3 * i + 5, 4, 11, 16, 23); // b ^ c ^ d
        round!(48, 0x39, |i: usize| 7 * i, 6, 10, 15, 21); // c ^ (b | !d)
        // A lane whose body has ended keeps what it had.
        for (old, new) in state.iter_mut().zip([a, b, c, d]) {
            *old = _mm512_mask_add_epi32(*old, goes_on, *old, new);
        }
    }
    // SAFETY: both are 64 bytes of plain numbers.
    digests_of(state.map(|word| unsafe { std::mem::transmute::<__m512i, [u32; 16]>(word) }))
}

/// Rows become columns: the first result has the first number of each row, and so on.
#[target_feature(enable = "avx512f")]
#[inline]
fn transposed(rows: [std::arch::x86_64::__m512i; 16]) -> [std::arch::x86_64::__m512i; 16] {
    use std::arch::x86_64::*;

    // Numbers of two rows side by side, then of four: `fours[4 * q + n]` has, in each quarter of the register, the n-th
    // number of that quarter in the rows 4 * q to 4 * q + 3.
    let mut fours = rows;
    for q in 0..4 {
        let [r0, r1, r2, r3] = [rows[4 * q], rows[4 * q + 1], rows[4 * q + 2], rows[4 * q + 3]];
        let (low01, high01) = (_mm512_unpacklo_epi32(r0, r1), _mm512_unpackhi_epi32(r0, r1));
        let (low23, high23) = (_mm512_unpacklo_epi32(r2, r3), _mm512_unpackhi_epi32(r2, r3));
        fours[4 * q] = _mm512_unpacklo_epi64(low01, low23);
        fours[4 * q + 1] = _mm512_unpackhi_epi64(low01, low23);
        fours[4 * q + 2] = _mm512_unpacklo_epi64(high01, high23);
        fours[4 * q + 3] = _mm512_unpackhi_epi64(high01, high23);
    }
    // Then the quarters themselves change places.
    let mut columns = rows;
    for n in 0..4 {
        let [f0, f1, f2, f3] = [fours[n], fours[4 + n], fours[8 + n], fours[12 + n]];
        let (even01, odd01) = (_mm512_shuffle_i32x4::<0x88>(f0, f1), _mm512_shuffle_i32x4::<0xdd>(f0, f1));
        let (even23, odd23) = (_mm512_shuffle_i32x4::<0x88>(f2, f3), _mm512_shuffle_i32x4::<0xdd>(f2, f3));
        columns[n] = _mm512_shuffle_i32x4::<0x88>(even01, even23);
        columns[4 + n] = _mm512_shuffle_i32x4::<0x88>(odd01, odd23);
        columns[8 + n] = _mm512_shuffle_i32x4::<0xdd>(even01, even23);
        columns[12 + n] = _mm512_shuffle_i32x4::<0xdd>(odd01, odd23);
    }
    columns
}

/// Each lane's digest, of states by their words.
fn digests_of<const LANES: usize>(state: [[u32; LANES]; 4]) -> [[u8; 16]; LANES] {
    let mut digests = [[0; 16]; LANES];
    for (word, lanes) in state.iter().enumerate() {
        for (digest, lane) in digests.iter_mut().zip(lanes) {
            digest[word * 4..word * 4 + 4].copy_from_slice(&lane.to_le_bytes());
        }
    }
    digests
}

/// Up to eight digests.
#[target_feature(enable = "avx2")]
fn avx2(bodies: &[&[u8]]) -> [[u8; 16]; 8] {
    use std::arch::x86_64::*;

    let lanes: [Blocks<'_>; 8] =
        std::array::from_fn(|lane| Blocks::new(bodies.get(lane).copied().unwrap_or(&[])));
    let most = lanes.iter().map(|lane| lane.count).max().unwrap_or(0);
    let count = |lane: usize| lanes[lane].count as i32;
    let counts =
        _mm256_setr_epi32(count(0), count(1), count(2), count(3), count(4), count(5), count(6), count(7));
    let mut state = START.map(|word| _mm256_set1_epi32(word as i32));
    for block in 0..most {
        let rows: [&[u8; 64]; 8] = std::array::from_fn(|lane| lanes[lane].block(block));
        let words: [__m256i; 16] = std::array::from_fn(|word| {
            let of = |lane: usize| {
                rows[lane][word * 4..].first_chunk().map_or(0, |bytes| i32::from_le_bytes(*bytes))
            };
            _mm256_setr_epi32(of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7))
        });
        let [mut a, mut b, mut c, mut d] = state;
        macro_rules! step {
            ($mix:expr, $i:expr, $word:expr, $shift:literal) => {
                let sum = _mm256_add_epi32(
                    _mm256_add_epi32(a, $mix),
                    _mm256_add_epi32(words[$word], _mm256_set1_epi32(SINES[$i] as i32)),
                );
                let turned = _mm256_or_si256(
                    _mm256_slli_epi32::<$shift>(sum),
                    _mm256_srli_epi32::<{ 32 - $shift }>(sum),
                );
                (a, d, c, b) = (d, c, b, _mm256_add_epi32(b, turned));
            };
        }
        macro_rules! round {
            ($from:expr, $mix:expr, $word:expr, $s0:literal, $s1:literal, $s2:literal, $s3:literal) => {
                let mut i = $from;
                while i < $from + 16 {
                    step!($mix(b, c, d), i, $word(i) % 16, $s0);
                    step!($mix(b, c, d), i + 1, $word(i + 1) % 16, $s1);
                    step!($mix(b, c, d), i + 2, $word(i + 2) % 16, $s2);
                    step!($mix(b, c, d), i + 3, $word(i + 3) % 16, $s3);
                    i += 4;
                }
            };
        }
        let ones = _mm256_set1_epi32(-1);
        round!(
            0,
            |b, c, d| _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d))),
            |i: usize| i,
            7,
            12,
            17,
            22
        );
        round!(
            16,
            |b, c, d| _mm256_xor_si256(c, _mm256_and_si256(d, _mm256_xor_si256(b, c))),
            |i: usize| 5 * i + 1,
            5,
            9,
            14,
            20
        );
        round!(
            32,
            |b, c, d| _mm256_xor_si256(b, _mm256_xor_si256(c, d)),
            |i: usize| 3 * i + 5,
            4,
            11,
            16,
            23
        );
        round!(
            48,
            |b, c, d| _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, ones))),
            |i: usize| 7 * i,
            6,
            10,
            15,
            21
        );
        // A lane whose body has ended keeps what it had.
        let goes_on = _mm256_cmpgt_epi32(counts, _mm256_set1_epi32(block as i32));
        for (old, new) in state.iter_mut().zip([a, b, c, d]) {
            *old = _mm256_add_epi32(*old, _mm256_and_si256(new, goes_on));
        }
    }
    // SAFETY: both are 32 bytes of plain numbers.
    digests_of(state.map(|word| unsafe { std::mem::transmute::<__m256i, [u32; 8]>(word) }))
}
