//! Bytes of records: variable-length numbers, byte strings, and a reader that never panics.

use std::collections::BTreeMap;
use std::fmt;

/// Appends `value` in LEB128: seven bits a byte, the low ones first. One byte up to 127, ten at most.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number so that small magnitudes of either sign are short (zigzag).
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a number as its difference to the one before, which it then takes the place of: short where neighbours are
/// alike. The inverse is [`Reader::near`].
pub fn put_near(out: &mut Vec<u8>, value: u64, before: &mut u64) {
    put_i64(out, value.wrapping_sub(*before) as i64);
    *before = value;
}

/// Appends a byte string with its length before it.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a text with its length before it.
pub fn put_str(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends a text that may be absent.
pub fn put_opt_str(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            out.push(1);
            put_str(out, text);
        }
    }
}

/// Appends a count and then each item; the inverse is [`Reader::list`].
pub fn put_list<T>(out: &mut Vec<u8>, items: &[T], mut put: impl FnMut(&mut Vec<u8>, &T)) {
    put_u64(out, items.len() as u64);
    for item in items {
        put(out, item);
    }
}

/// Appends texts by name; the inverse is [`Reader::pairs`].
pub fn put_pairs(out: &mut Vec<u8>, pairs: &BTreeMap<String, String>) {
    put_u64(out, pairs.len() as u64);
    for (name, value) in pairs {
        put_str(out, name);
        put_str(out, value);
    }
}

/// The bytes are not what their kind says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the record's bytes are malformed")
    }
}

impl std::error::Error for Malformed {}

/// Reads what the `put_…` functions wrote.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        let (&first, rest) = self.rest.split_first().ok_or(Malformed)?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads what [`put_u64`] wrote.
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            if shift == 63 && byte > 1 {
                return Err(Malformed);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// Reads a number that must fit in 32 bits.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        u32::try_from(self.u64()?).map_err(|_| Malformed)
    }

    /// Reads what [`put_i64`] wrote.
    pub fn i64(&mut self) -> Result<i64, Malformed> {
        let raw = self.u64()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// Reads what [`put_near`] wrote.
    pub fn near(&mut self, before: &mut u64) -> Result<u64, Malformed> {
        *before = before.wrapping_add(self.i64()? as u64);
        Ok(*before)
    }

    /// Reads `len` bytes as they stand.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if len > self.rest.len() {
            return Err(Malformed);
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    /// Reads what [`put_bytes`] wrote.
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(self.u64()?).map_err(|_| Malformed)?;
        self.take(len)
    }

    /// Reads what [`put_str`] wrote.
    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }

    /// Reads what [`put_list`] wrote.
    pub fn list<T>(
        &mut self,
        mut take: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.u64()?;
        // What a damaged count claims is not reserved.
        let mut items = Vec::with_capacity(count.min(64) as usize);
        for _ in 0..count {
            items.push(take(self)?);
        }
        Ok(items)
    }

    /// Reads what [`put_pairs`] wrote.
    pub fn pairs(&mut self) -> Result<BTreeMap<String, String>, Malformed> {
        let mut pairs = BTreeMap::new();
        for _ in 0..self.u64()? {
            pairs.insert(self.str()?.to_owned(), self.str()?.to_owned());
        }
        Ok(pairs)
    }

    /// Reads what [`put_opt_str`] wrote.
    pub fn opt_str(&mut self) -> Result<Option<&'a str>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.str().map(Some),
            _ => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_they_were_written() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            put_i64(&mut out, value as i64);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.u64(), Ok(value));
            assert_eq!(reader.i64(), Ok(value as i64));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn bytes_that_are_cut_short_are_malformed() {
        let mut out = Vec::new();
        put_str(&mut out, "hello");
        assert_eq!(Reader::new(&out[..3]).str(), Err(Malformed));
        assert_eq!(Reader::new(&[0xff; 11]).u64(), Err(Malformed));
    }
}
