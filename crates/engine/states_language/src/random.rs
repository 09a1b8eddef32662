//! Random numbers from a seed that the caller hands in, and Java's generator, which gives AWS's numbers for a seed in a definition.

use std::cell::Cell;

/// A generator for what a definition asks for without a seed: `States.MathRandom`, `States.UUID`, `$random()`, `$uuid()`.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// The generator with this seed. Equal seeds give equal numbers.
    pub fn new(seed: u64) -> Random {
        Random(Cell::new(seed))
    }

    /// The next 64 bits (SplitMix64).
    pub(crate) fn bits(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// A UUID of version 4.
    pub(crate) fn uuid(&self) -> String {
        let (high, low) = (self.bits(), self.bits());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            0x8000 | ((low >> 48) & 0x3FFF),
            low & 0xFFFF_FFFF_FFFF
        )
    }
}

/// `java.util.Random`: `$random(42)` is 0.7275636800328681 on AWS, which is this generator's first double
/// (recorded: github.com/floci-io/floci/issues/2662).
pub(crate) struct Java(i64);

impl Java {
    const MULTIPLIER: i64 = 0x5_DEEC_E66D;
    const MASK: i64 = (1 << 48) - 1;

    pub(crate) fn new(seed: i64) -> Java {
        Java((seed ^ Java::MULTIPLIER) & Java::MASK)
    }

    fn next(&mut self, bits: u32) -> i32 {
        self.0 = (self.0.wrapping_mul(Java::MULTIPLIER).wrapping_add(0xB)) & Java::MASK;
        (self.0 >> (48 - bits)) as i32
    }

    pub(crate) fn unit(&mut self) -> f64 {
        let high = i64::from(self.next(26)) << 27;
        (high + i64::from(self.next(27))) as f64 / (1i64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn javas_generator_gives_what_aws_gave() {
        assert_eq!(Java::new(42).unit(), 0.727_563_680_032_868_1);
    }

    #[test]
    fn equal_seeds_give_equal_numbers_within_bounds() {
        let (one, two) = (Random::new(7), Random::new(7));
        for _ in 0..1000 {
            assert_eq!(one.bits(), two.bits());
            assert!((0.0..1.0).contains(&one.unit()));
            assert!(two.unit() < 1.0);
            assert!(one.below(3) < 3);
            two.below(3);
        }
        let uuid = one.uuid();
        assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"), "{uuid}");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
}
