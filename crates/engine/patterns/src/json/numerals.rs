//! Numbers, and Jackson's errors for malformed ones.

use super::words::{Malformed, VALUES, bad_number, is_identifier_part, non_standard};
use super::{Token, Tokens};

impl Tokens<'_> {
    /// Reads a number whose first byte was just read.
    pub(super) fn number(&mut self) -> Result<Token, Malformed> {
        let bytes = self.text.as_bytes();
        let start = self.at - 1;
        let mut at = start;
        if bytes[at] == b'-' {
            at += 1;
            if !bytes.get(at).is_some_and(u8::is_ascii_digit) {
                return Err(self.no_digit_after_sign(start));
            }
        }
        let first = at;
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        at = digits(at);
        if bytes[first] == b'0' && at > first + 1 {
            self.at = first + 1;
            return Err(self.refuse("Invalid numeric value: Leading zeroes not allowed"));
        }
        // Jackson reads most numbers by a fast path, which records its place only at the first `.` or `e`.
        let short_way = bytes[first] != b'0';
        let whole_end = at;
        if bytes.get(at) == Some(&b'.') {
            let fraction = at + 1;
            at = digits(fraction);
            if at == fraction {
                let comment = "Decimal point not followed by a digit";
                return Err(match self.text[at..].chars().next() {
                    Some(char) => {
                        self.at = if short_way { fraction } else { at + char.len_utf8() };
                        self.refuse_last(bad_number(char, comment))
                    }
                    None => {
                        self.at = at;
                        self.refuse_last(bad_number('.', comment))
                    }
                });
            }
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            let exponent = at;
            at = digits(exponent);
            if at == exponent {
                return Err(match self.text[at..].chars().next() {
                    Some(char) => {
                        self.at = if short_way { whole_end + 1 } else { at + char.len_utf8() };
                        self.refuse_last(bad_number(char, "Exponent indicator not followed by a digit"))
                    }
                    None => {
                        self.at = at;
                        self.refuse("Unexpected end-of-inputexpected a digit for number exponent")
                    }
                });
            }
        }
        self.number = (start, at);
        self.at = at;
        if self.levels.is_empty() {
            match self.text[at..].chars().next() {
                // Jackson has read the blank behind the number when it returns the number; a carriage return
                // it puts back.
                Some(' ' | '\t' | '\n') => self.at = at + 1,
                Some('\r') | None => {}
                Some(_) => return Err(self.unexpected(at, "Expected space separating root-level values")),
            }
        }
        Ok(Token::Number)
    }

    /// Reports the text behind a plus sign at `start`, which no number begins with, or behind a minus sign
    /// without a digit.
    pub(super) fn no_digit_after_sign(&mut self, start: usize) -> Malformed {
        let at = start + 1;
        let minus = self.text.as_bytes()[start] == b'-';
        let comment = if minus {
            "expected digit (0-9) to follow minus sign, for valid numeric value"
        } else {
            "JSON spec does not allow numbers to have plus signs: enable \
             `JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow"
        };
        // For a plus sign, the error is about the sign, wherever the reader is.
        let refused = |char| bad_number(if minus { char } else { '+' }, comment);
        let mut chars = self.text[at..].chars();
        match (chars.next(), chars.next()) {
            (None, _) => {
                self.at = at;
                self.refuse(if minus {
                    "Unexpected end-of-inputNo digit following sign"
                } else {
                    "Unexpected end-of-input in a Number value"
                })
            }
            (Some('.'), _) if minus => self.unexpected(at, &format!("expected a valid value {VALUES}")),
            (Some('I'), None) => {
                self.at = at + 1;
                self.refuse("Unexpected end-of-input in a Number value")
            }
            (Some('I'), Some(second @ ('N' | 'n'))) => {
                let word = match (minus, second) {
                    (true, 'N') => "-INF",
                    (true, _) => "-Infinity",
                    (false, 'N') => "+INF",
                    (false, _) => "+Infinity",
                };
                let written = &self.text[start..];
                let same = written.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
                self.at = start + same;
                let runs_on = self.text[self.at..].starts_with(is_identifier_part);
                if same < word.len() || runs_on {
                    return self.unrecognized(start);
                }
                self.refuse(non_standard(word))
            }
            (Some('I'), Some(second)) => {
                self.at = at + 1 + second.len_utf8();
                self.refuse_last(refused(second))
            }
            (Some(char), _) => {
                self.at = at + char.len_utf8();
                self.refuse_last(refused(char))
            }
        }
    }
}
