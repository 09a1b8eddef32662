//! Numbers as patterns compare them: as doubles, if the double represents the number exactly as written.

use std::cmp::Ordering;

/// Returns the double of a JSON number, if the shortest text of the double is the same number.
///
/// Other numbers (such as an account number of twenty digits) would equal their neighbours; they are compared
/// as text only. event-ruler makes the same distinction.
pub(crate) fn comparable(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    // A number with at most 15 digits and an ordinary exponent always survives the conversion.
    if text.len() <= 15 && !text.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return Some(number + 0.0); // -0 becomes 0
    }
    (Decimal::of(text)? == Decimal::of(&format!("{number:e}"))?).then_some(number + 0.0)
}

/// A decimal number in normal form: 0.`digits` times ten to the `exponent`.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Option<Decimal> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let mut exponent = exponent.checked_add(i64::try_from(whole.len()).ok()?)?;
        let zeroes = digits.iter().take_while(|&&digit| digit == b'0').count();
        digits.drain(..zeroes);
        exponent -= i64::try_from(zeroes).ok()?;
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        Some(Decimal { negative, digits, exponent })
    }
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub bottom: f64,
    pub top: f64,
    pub bottom_open: bool,
    pub top_open: bool,
}

impl Range {
    pub fn holds(&self, number: f64) -> bool {
        let above = match number.partial_cmp(&self.bottom) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Equal) => !self.bottom_open,
            _ => false,
        };
        let below = match number.partial_cmp(&self.top) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => !self.top_open,
            _ => false,
        };
        above && below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_comparable_if_its_double_says_it_again() {
        for (text, number) in [
            ("0", 0.0),
            ("-0", 0.0),
            ("-0.0e5", 0.0),
            ("300", 300.0),
            ("300.0", 300.0),
            ("3.0e2", 300.0),
            ("0.1", 0.1),
            ("1e23", 1e23),
            ("12345678901234567", 12345678901234568.0),
            ("123456789012345678000", 123456789012345680000.0),
            ("0.30000000000000004", 0.30000000000000004),
        ] {
            let expected = (text != "12345678901234567" && text != "123456789012345678000").then_some(number);
            assert_eq!(comparable(text), expected, "{text}");
        }
        for text in ["12345678901234567890", "1e999", "0.1000000000000000055"] {
            assert_eq!(comparable(text), None, "{text}");
        }
    }

    #[test]
    fn a_range_holds_what_lies_between_its_ends() {
        let range = Range { bottom: 1.0, top: 2.0, bottom_open: true, top_open: false };
        assert!(!range.holds(1.0) && range.holds(1.5) && range.holds(2.0) && !range.holds(2.5));
    }
}
