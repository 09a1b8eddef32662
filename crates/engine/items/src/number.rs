//! DynamoDB's numbers: 38 significant digits, magnitudes from 1E-130 to 9.99…E+125, and zero. Arithmetic is exact.
//!
//! In bytes a number has one form, and the order of the bytes is the order of the numbers: a sign, an exponent to base 100, and digits to
//! base 100. A negative number ends with a byte that is larger than any digit.

use std::cmp::Ordering;

use crate::Fault;

/// Significant digits that a number may have.
const DIGITS: usize = 38;
/// The exponents of the largest and of the smallest magnitude.
const MOST: i64 = 125;
const LEAST: i64 = -130;

const NEGATIVE: u8 = 0;
const ZERO: u8 = 1;
const POSITIVE: u8 = 2;
/// Added to an exponent to base 100, so that it is a byte above zero.
const BIAS: i32 = 66;
/// Ends a negative number.
const END: u8 = 255;

const OVERFLOW: &str =
    "Number overflow. Attempting to store a number with magnitude larger than supported range";
const UNDERFLOW: &str =
    "Number underflow. Attempting to store a number with magnitude smaller than supported range";
const PRECISION: &str = "Attempting to store more than 38 significant digits in a Number";

/// A number: `d.ddd… × 10^exponent`. Zero has no digits.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Number {
    is_negative: bool,
    /// Without zeros at either end.
    digits: Vec<u8>,
    exponent: i32,
}

impl Number {
    /// Reads a number as clients write it. Errors: AWS's texts (facts/dynamodb.md § 6, § 7).
    pub fn parse(text: &str) -> Result<Number, Fault> {
        let unreadable =
            || Fault::invalid(format!("The parameter cannot be converted to a numeric value: {text}"));
        let (is_negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], exponent(&rest[at + 1..]).ok_or_else(unreadable)?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
            return Err(unreadable());
        }
        let all = || whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0');
        // The exponent of the last digit that was written.
        let last = exponent.saturating_sub(fraction.len() as i64);
        let Some(first) = all().position(|digit| digit != 0) else {
            // AWS looks at the exponent of a zero, too: 0e126 is refused, 0.0e126 is not (facts/dynamodb.md § 7).
            return if last > MOST { Err(Fault::invalid(OVERFLOW)) } else { Ok(Number::default()) };
        };
        let mut digits: Vec<u8> = all().skip(first).collect();
        let magnitude = last.saturating_add(digits.len() as i64 - 1);
        while digits.last() == Some(&0) {
            digits.pop();
        }
        checked(is_negative, digits, magnitude)
    }

    /// The number as AWS prints it: without exponent, and without zeros that say nothing.
    pub fn text(&self) -> String {
        let mut out = String::new();
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        if self.is_negative {
            out.push('-');
        }
        let digit = |at: i32| match usize::try_from(at).ok().and_then(|at| self.digits.get(at)) {
            Some(digit) => char::from(b'0' + digit),
            None => '0',
        };
        match self.exponent {
            0.. => (0..=self.exponent).for_each(|at| out.push(digit(at))),
            _ => out.push('0'),
        }
        let last = self.digits.len() as i32 - 1;
        if last > self.exponent {
            out.push('.');
            (self.exponent + 1..=last).for_each(|at| out.push(digit(at)));
        }
        out
    }

    /// Bytes that count towards the size of an item (facts/dynamodb.md § 7).
    pub fn size(&self) -> usize {
        let count = self.digits.len() as i32;
        let whole = (self.exponent + 1).clamp(0, count) as usize;
        let fraction = self.digits.len() - whole;
        1 + whole.div_ceil(2) + fraction.div_ceil(2) + usize::from(self.is_negative)
    }

    /// Appends the form in bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            return out.push(ZERO);
        }
        let base = self.exponent.div_euclid(2);
        let biased = (base + BIAS) as u8;
        // Digits to base 100 begin at an even exponent.
        let mut pairs = Vec::with_capacity(self.digits.len() / 2 + 1);
        let mut rest = &self.digits[..];
        if self.exponent.rem_euclid(2) == 0 {
            pairs.push(rest[0]);
            rest = &rest[1..];
        }
        pairs.extend(rest.chunks(2).map(|pair| pair[0] * 10 + pair.get(1).copied().unwrap_or(0)));
        if self.is_negative {
            out.extend([NEGATIVE, 255 - biased]);
            out.extend(pairs.iter().map(|pair| 100 - pair));
            out.push(END);
        } else {
            out.extend([POSITIVE, biased]);
            out.extend(pairs.iter().map(|pair| pair + 1));
        }
    }

    /// Reads what [`Number::encode`] wrote. Other bytes are zero.
    pub fn decode(bytes: &[u8]) -> Number {
        let [sign, biased, pairs @ ..] = bytes else { return Number::default() };
        let is_negative = *sign == NEGATIVE;
        let (biased, pairs) = match is_negative {
            true => (255 - biased, pairs.strip_suffix(&[END]).unwrap_or(pairs)),
            false => (*biased, pairs),
        };
        let mut digits = Vec::with_capacity(2 * pairs.len());
        for &pair in pairs {
            let pair = if is_negative { 100_u8.saturating_sub(pair) } else { pair.saturating_sub(1) };
            digits.extend([pair / 10, pair % 10]);
        }
        let mut exponent = (i32::from(biased) - BIAS) * 2 + 1;
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..leading);
        exponent -= leading as i32;
        while digits.last() == Some(&0) {
            digits.pop();
        }
        match digits.is_empty() {
            true => Number::default(),
            false => Number { is_negative, digits, exponent },
        }
    }

    /// The sum. Errors: it needs more digits than a number has, or its magnitude is out of range.
    pub fn plus(&self, other: &Number) -> Result<Number, Fault> {
        if self.digits.is_empty() || other.digits.is_empty() {
            return Ok(if self.digits.is_empty() { other.clone() } else { self.clone() });
        }
        let low =
            (self.exponent - self.digits.len() as i32).min(other.exponent - other.digits.len() as i32) + 1;
        let high = self.exponent.max(other.exponent) + 1;
        let (ours, theirs) = (self.digits_between(low, high), other.digits_between(low, high));
        let (is_negative, digits) = if self.is_negative == other.is_negative {
            (self.is_negative, added(&ours, &theirs))
        } else if ours.cmp(&theirs) == Ordering::Less {
            (other.is_negative, subtracted(&theirs, &ours))
        } else {
            (self.is_negative, subtracted(&ours, &theirs))
        };
        let leading = digits.iter().take_while(|digit| **digit == 0).count();
        let mut digits = digits[leading..].to_vec();
        while digits.last() == Some(&0) {
            digits.pop();
        }
        if digits.is_empty() {
            return Ok(Number::default());
        }
        // What needs more digits than a number has is an overflow of arithmetic (facts/dynamodb.md § 7).
        if digits.len() > DIGITS {
            return Err(Fault::invalid(OVERFLOW));
        }
        checked(is_negative, digits, i64::from(high - leading as i32))
    }

    /// The difference. Errors: as of [`Number::plus`].
    pub fn minus(&self, other: &Number) -> Result<Number, Fault> {
        let negated = Number { is_negative: !other.is_negative, ..other.clone() };
        self.plus(&negated)
    }

    /// The whole seconds of a number, rounded down, if they are a moment since 1970.
    pub fn seconds(&self) -> Option<u64> {
        if self.is_negative || self.exponent > 17 {
            return None;
        }
        let digit = |at: i32| self.digits.get(at as usize).copied().unwrap_or(0);
        Some((0..=self.exponent).fold(0, |sum: u64, at| sum * 10 + u64::from(digit(at))))
    }

    /// The digits from the exponent `high` down to `low`.
    fn digits_between(&self, low: i32, high: i32) -> Vec<u8> {
        let digit = |exponent: i32| {
            let at = usize::try_from(self.exponent - exponent).ok();
            at.and_then(|at| self.digits.get(at)).copied().unwrap_or(0)
        };
        (low..=high).rev().map(digit).collect()
    }
}

fn exponent(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What does not fit is out of range anyway.
    Some(sign * digits.parse::<i64>().unwrap_or(i64::MAX / 2).min(i64::MAX / 2))
}

fn checked(is_negative: bool, digits: Vec<u8>, exponent: i64) -> Result<Number, Fault> {
    if exponent > MOST {
        return Err(Fault::invalid(OVERFLOW));
    }
    if exponent < LEAST {
        return Err(Fault::invalid(UNDERFLOW));
    }
    if digits.len() > DIGITS {
        return Err(Fault::invalid(PRECISION));
    }
    Ok(Number { is_negative, digits, exponent: exponent as i32 })
}

/// The sum of digits of one length, which has a zero in front.
fn added(ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let mut out = vec![0; ours.len()];
    let mut carry = 0;
    for at in (0..ours.len()).rev() {
        let sum = ours[at] + theirs[at] + carry;
        out[at] = sum % 10;
        carry = sum / 10;
    }
    out
}

/// The difference of digits of one length, of which the first are not less.
fn subtracted(ours: &[u8], theirs: &[u8]) -> Vec<u8> {
    let mut out = vec![0; ours.len()];
    let mut borrow = 0;
    for at in (0..ours.len()).rev() {
        let needed = theirs[at] + borrow;
        borrow = u8::from(ours[at] < needed);
        out[at] = ours[at] + 10 * borrow - needed;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(number: &str) -> String {
        let number = Number::parse(number).unwrap();
        let mut bytes = Vec::new();
        number.encode(&mut bytes);
        assert_eq!(Number::decode(&bytes), number);
        number.text()
    }

    #[test]
    fn numbers_are_printed_as_aws_prints_them() {
        // facts/dynamodb.md § 20
        let zeros = format!("1{}", "0".repeat(125));
        for (given, printed) in [
            ("007", "7"),
            ("+0", "0"),
            ("1.10", "1.1"),
            ("1E+3", "1000"),
            ("1.23e4", "12300"),
            ("123e-2", "1.23"),
            ("-.5", "-0.5"),
            ("-0.0", "0"),
            ("0e-5", "0"),
            ("1e20", "100000000000000000000"),
            ("1e-20", "0.00000000000000000001"),
            ("1E125", &zeros),
            ("0042.1200", "42.12"),
            ("5.", "5"),
            ("1.e5", "100000"),
            ("0.0e126", "0"),
            ("-99.5", "-99.5"),
        ] {
            assert_eq!(text(given), printed, "{given}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        // facts/dynamodb.md § 20
        for wrong in
            ["abc", " 1", "1 ", "1.2.3", "0x10", "1e", "NaN", "Infinity", "1+2", "", "-", ".", "e1", "1e+"]
        {
            let fault = Number::parse(wrong).unwrap_err();
            let expected = format!("The parameter cannot be converted to a numeric value: {wrong}");
            assert_eq!(fault.text(), expected);
        }
        for (wrong, expected) in [
            ("1e126", OVERFLOW),
            ("-1e126", OVERFLOW),
            ("1e2147483648", OVERFLOW),
            ("1e99999999999999999999", OVERFLOW),
            ("0e126", OVERFLOW),
            ("1e-131", UNDERFLOW),
            (&"1".repeat(39), PRECISION),
        ] {
            assert_eq!(Number::parse(wrong).unwrap_err().text(), expected, "{wrong}");
        }
    }

    #[test]
    fn sizes_follow_the_formula() {
        // facts/dynamodb.md § 20
        for (number, size) in [("1", 2), ("1E125", 2), ("123456", 4), ("3.14159", 5), ("-1", 3), ("0", 1)] {
            assert_eq!(Number::parse(number).unwrap().size(), size, "{number}");
        }
    }

    #[test]
    fn arithmetic_is_exact_or_refused() {
        let of = |text: &str| Number::parse(text).unwrap();
        for (one, other, sum) in [
            ("1", "2", "3"),
            ("0.1", "0.2", "0.3"),
            ("999", "1", "1000"),
            ("1", "-1", "0"),
            ("-5", "3", "-2"),
            ("1e-10", "1", "1.0000000001"),
            ("99999999999999999999999999999999999999", "-1", "99999999999999999999999999999999999998"),
        ] {
            assert_eq!(of(one).plus(&of(other)).unwrap().text(), sum, "{one} + {other}");
        }
        assert_eq!(of("1").minus(&of("2")).unwrap().text(), "-1");
        assert_eq!(of("1e125").plus(&of("9e125")).unwrap_err().text(), OVERFLOW);
        assert_eq!(of("1e40").plus(&of("1")).unwrap_err().text(), OVERFLOW);
    }

    proptest! {
        #[test]
        fn the_order_of_bytes_is_the_order_of_numbers(one in -1_000_000_i64..1_000_000, other in -1_000_000_i64..1_000_000,
                scale in -20_i32..20) {
            let bytes = |number: i64| {
                let mut out = Vec::new();
                Number::parse(&format!("{number}e{scale}")).unwrap().encode(&mut out);
                out
            };
            prop_assert_eq!(bytes(one).cmp(&bytes(other)), one.cmp(&other));
            let number = Number::parse(&format!("{one}e{scale}")).unwrap();
            prop_assert_eq!(Number::decode(&bytes(one)), number.clone());
            prop_assert_eq!(Number::parse(&number.text()).unwrap(), number);
        }

        #[test]
        fn sums_are_those_of_integers(one in any::<i64>(), other in any::<i64>()) {
            let of = |number: i64| Number::parse(&number.to_string()).unwrap();
            let sum = i128::from(one) + i128::from(other);
            prop_assert_eq!(of(one).plus(&of(other)).unwrap().text(), sum.to_string());
        }
    }
}
