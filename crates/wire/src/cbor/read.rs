//! Reads shapes from CBOR. A text or a blob in one piece is a slice of the request's buffer, not a copy.

mod values;

use std::borrow::Cow;

use api::Text;
use bytes::Bytes;

use super::{BREAK, Dialect, info, major};
use crate::document::{DEPTH, Fault};

/// Reads a document from its beginning to its end.
#[derive(Debug)]
pub struct Reader<'a> {
    document: &'a Bytes,
    at: usize,
    depth: u32,
    dialect: Dialect,
}

/// The beginning of an item.
#[derive(Clone, Copy, Debug)]
struct Head {
    major: u8,
    info: u8,
    /// A length, a number, a tag or the bits of a float, as the major type and the additional information say.
    argument: u64,
}

impl Head {
    fn is_indefinite(self) -> bool {
        self.info == info::INDEFINITE
    }
}

/// A number, before it is known what it is wanted as.
enum Number {
    Integer(i128),
    Float(f64),
    /// An integer beyond 128 bits.
    Large(f64),
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of a document.
    pub fn new(document: &'a Bytes, dialect: Dialect) -> Self {
        Reader { document, at: 0, depth: 0, dialect }
    }

    #[inline]
    fn peek(&self) -> Result<u8, Fault> {
        self.document.get(self.at).copied().ok_or(Fault::Malformed)
    }

    /// The next `len` bytes, if the document has as many.
    fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let rest = self.document.get(self.at..).ok_or(Fault::Malformed)?;
        let len = usize::try_from(len).map_err(|_| Fault::Malformed)?;
        let bytes = rest.get(..len).ok_or(Fault::Malformed)?;
        self.at += len;
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Head, Fault> {
        let first = self.peek()?;
        self.at += 1;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => u64::from(info),
            info::ONE_BYTE..=info::EIGHT_BYTES => {
                let bytes = self.take(1 << (info - info::ONE_BYTE))?;
                bytes.iter().fold(0, |argument, &byte| argument << 8 | u64::from(byte))
            }
            // What has no indefinite form, and the break where an item should begin.
            info::INDEFINITE if !matches!(major, major::BYTES..=major::MAP) => return Err(Fault::Malformed),
            info::INDEFINITE => 0,
            _ => return Err(Fault::Malformed),
        };
        Ok(Head { major, info, argument })
    }

    /// The head of the next item behind its tags, which say nothing that a reader of typed members needs.
    fn untagged(&mut self) -> Result<Head, Fault> {
        loop {
            let head = self.head()?;
            if head.major != major::TAG {
                return Ok(head);
            }
        }
    }

    /// Goes over a break, if it is next.
    fn ends(&mut self) -> Result<bool, Fault> {
        let ends = self.peek()? == BREAK;
        self.at += usize::from(ends);
        Ok(ends)
    }

    /// Calls `item` for each of a list's items, or of a map's entries.
    fn each(
        &mut self,
        head: Head,
        mut item: impl FnMut(&mut Self) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Fault::Deep);
        }
        if head.is_indefinite() {
            while !self.ends()? {
                item(self)?;
            }
        } else {
            // Each turn reads at least one byte, so a false count ends where the document does.
            for _ in 0..head.argument {
                item(self)?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The pieces of a text or a blob whose head has been read.
    fn pieces(&mut self, head: Head) -> Result<Cow<'a, [u8]>, Fault> {
        if !head.is_indefinite() {
            return self.take(head.argument).map(Cow::Borrowed);
        }
        let mut whole = Vec::new();
        while !self.ends()? {
            let piece = self.head()?;
            if piece.major != head.major || piece.is_indefinite() {
                return Err(Fault::Malformed);
            }
            let bytes = self.take(piece.argument)?;
            // Each piece of a text is a text.
            if head.major == major::TEXT && std::str::from_utf8(bytes).is_err() {
                return Err(Fault::Malformed);
            }
            whole.extend_from_slice(bytes);
        }
        Ok(Cow::Owned(whole))
    }

    /// The name of a member or of an entry.
    fn name(&mut self) -> Result<Cow<'a, str>, Fault> {
        let head = self.untagged()?;
        if head.major != major::TEXT {
            return Err(Fault::Malformed);
        }
        match self.pieces(head)? {
            Cow::Borrowed(name) => std::str::from_utf8(name).map(Cow::Borrowed).map_err(|_| Fault::Malformed),
            Cow::Owned(name) => String::from_utf8(name).map(Cow::Owned).map_err(|_| Fault::Malformed),
        }
    }

    /// A text that was read, as a slice of the document where it is one.
    fn share(&self, text: Cow<'a, str>) -> Text {
        match text {
            Cow::Owned(text) => text.into(),
            // The slice is UTF-8; `Text::try_from` checks it a second time.
            Cow::Borrowed(text) => {
                Text::try_from(self.document.slice_ref(text.as_bytes())).unwrap_or_default()
            }
        }
    }

    /// A number; none if what comes is something else, of which then the head has been read.
    fn number(&mut self) -> Result<Result<Number, Head>, Fault> {
        let mut sign = None;
        let head = loop {
            let head = self.head()?;
            if head.major != major::TAG {
                break head;
            }
            sign = match head.argument {
                super::tag::POSITIVE_BIGNUM => Some(false),
                super::tag::NEGATIVE_BIGNUM => Some(true),
                _ => sign,
            };
        };
        Ok(Ok(match (head.major, head.info) {
            (major::UNSIGNED, _) => Number::Integer(i128::from(head.argument)),
            (major::NEGATIVE, _) => Number::Integer(-1 - i128::from(head.argument)),
            (major::SIMPLE, info::TWO_BYTES) => Number::Float(half(head.argument as u16)),
            (major::SIMPLE, info::FOUR_BYTES) => {
                Number::Float(f64::from(f32::from_bits(head.argument as u32)))
            }
            (major::SIMPLE, info::EIGHT_BYTES) => Number::Float(f64::from_bits(head.argument)),
            (major::BYTES, _) => match sign {
                Some(is_negative) => bignum(&self.pieces(head)?, is_negative),
                None => return Ok(Err(head)),
            },
            _ => return Ok(Err(head)),
        }))
    }

    /// What the item of this head is called where another kind was expected. The item must be well-formed.
    fn unexpected(&mut self, head: Head, expected: &'static str) -> Fault {
        if let Err(fault) = self.skip_item(head) {
            return fault;
        }
        match (head.major, head.info) {
            (major::UNSIGNED | major::NEGATIVE, _) => Fault::Kind("NUMBER_VALUE", expected),
            (major::BYTES, _) => Fault::Kind("BINARY_VALUE", expected),
            (major::TEXT, _) => Fault::Kind("STRING_VALUE", expected),
            (major::ARRAY, _) => Fault::List,
            (major::MAP, _) => Fault::Structure,
            (major::SIMPLE, 20) => Fault::Kind("FALSE_VALUE", expected),
            (major::SIMPLE, 21) => Fault::Kind("TRUE_VALUE", expected),
            // Behind a tag, since `null` is nothing.
            (major::SIMPLE, 22 | 23) => Fault::Kind("NULL_VALUE", expected),
            (major::SIMPLE, info::TWO_BYTES..=info::EIGHT_BYTES) => Fault::Kind("DECIMAL_VALUE", expected),
            _ => Fault::Malformed,
        }
    }

    /// Goes over what follows a head.
    fn skip_item(&mut self, head: Head) -> Result<(), Fault> {
        match head.major {
            major::BYTES | major::TEXT => self.pieces(head).map(drop),
            major::ARRAY => self.each(head, Self::skip_one),
            major::MAP => self.each(head, |reader| {
                reader.skip_one()?;
                reader.skip_one()
            }),
            _ => Ok(()),
        }
    }

    fn skip_one(&mut self) -> Result<(), Fault> {
        let head = self.untagged()?;
        self.skip_item(head)
    }
}

/// The value of a float of 16 bits.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// The value of an integer of any size.
fn bignum(bytes: &[u8], is_negative: bool) -> Number {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let bytes = &bytes[zeros..];
    if bytes.len() < 16 {
        let value = bytes.iter().fold(0i128, |value, &byte| value << 8 | i128::from(byte));
        return Number::Integer(if is_negative { -1 - value } else { value });
    }
    // Too large for any integer that is asked for; a float says how large about.
    let value = bytes.iter().fold(0f64, |value, &byte| value * 256.0 + f64::from(byte));
    Number::Large(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests;
