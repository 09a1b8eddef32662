//! How each kind of value is read: texts, numbers, moments, blobs, lists and maps.

use std::borrow::Cow;

use api::{Json, Text, Timestamp};
use base64::DecodeError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kernel::iso8601;

use super::{Reader, is_integer};
use crate::document::{self, Fault, ReadMembers, TimeFormat, millis_of_seconds};
use crate::http_date;

impl document::Reader for Reader<'_> {
    #[inline]
    fn null(&mut self) -> Result<bool, Fault> {
        let is_null = self.peek()? == b'n';
        if is_null {
            self.word("null")?;
        }
        Ok(is_null)
    }

    #[inline]
    fn text(&mut self) -> Result<Text, Fault> {
        if self.peek()? == b'"' { self.string() } else { Err(self.unexpected("a String")) }
    }

    fn integer<T: TryFrom<i64>>(&mut self, kind: &'static str) -> Result<T, Fault> {
        if !matches!(self.peek()?, b'0'..=b'9' | b'-') {
            return Err(self.unexpected(kind));
        }
        let number = self.number()?;
        let value = if is_integer(number) {
            number.parse().map_err(|_| Fault::Range(kind))?
        } else {
            // AWS takes decimals for integers and forgets what stands after the point.
            let value = number.parse::<f64>().map_err(|_| Fault::Malformed)?;
            if value.abs() >= 9e18 {
                return Err(Fault::Range(kind));
            }
            value as i64
        };
        T::try_from(value).map_err(|_| Fault::Range(kind))
    }

    fn float(&mut self, kind: &'static str) -> Result<f64, Fault> {
        match self.peek()? {
            b'0'..=b'9' | b'-' => self.number()?.parse().map_err(|_| Fault::Malformed),
            // What numbers can't say (facts/protocols.md § 4).
            b'"' => match &*self.name()? {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                _ => Err(Fault::Kind("STRING_VALUE", kind)),
            },
            _ => Err(self.unexpected(kind)),
        }
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        match self.peek()? {
            b't' => self.word("true").map(|()| true),
            b'f' => self.word("false").map(|()| false),
            _ => Err(self.unexpected("a Boolean")),
        }
    }

    fn blob(&mut self) -> Result<Bytes, Fault> {
        if self.peek()? != b'"' {
            return Err(self.unexpected("a Blob"));
        }
        let text = self.string()?;
        STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(|error| {
            let why = match error {
                _ if text.len() % 4 != 0 => {
                    format!(
                        "Base64 encoded length is expected a multiple of 4 bytes but found: {}",
                        text.len()
                    )
                }
                DecodeError::InvalidByte(at, _) => {
                    let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('=');
                    format!("Invalid Base64 character: '{character}'")
                }
                // The typing error is AWS's.
                _ => "Invalid last non-pad Base64 character dectected".to_owned(),
            };
            Fault::Blob(text, why)
        })
    }

    fn timestamp(&mut self) -> Result<Timestamp, Fault> {
        const KIND: &str = "a Timestamp";
        if self.times == TimeFormat::EpochSeconds {
            if self.peek()? == b'"' {
                return Err(self.unexpected(KIND));
            }
            return millis_of_seconds(self.float(KIND)?).map(Timestamp).ok_or(Fault::Range(KIND));
        }
        if self.peek()? != b'"' {
            return Err(self.unexpected(KIND));
        }
        let text = self.name()?;
        let millis = match self.times {
            TimeFormat::HttpDate => http_date::read(&text),
            _ => iso8601::read(&text),
        };
        millis.map(Timestamp).ok_or(Fault::Kind("STRING_VALUE", KIND))
    }

    #[inline]
    fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault> {
        match self.peek()? {
            b'{' => self.in_braces(|reader, name| member(reader, &name)),
            b'[' => Err(Fault::List),
            _ => Err(self.plain("")),
        }
    }

    fn items(&mut self, item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        match self.peek()? {
            b'[' => self.in_brackets(item),
            b'{' => Err(Fault::Structure),
            _ => Err(self.plain("list")),
        }
    }

    fn entries(&mut self, mut entry: impl FnMut(&mut Self, Text) -> Result<(), Fault>) -> Result<(), Fault> {
        match self.peek()? {
            b'{' => {}
            b'[' => return Err(Fault::List),
            _ => return Err(self.plain("map")),
        }
        let document = self.document;
        self.in_braces(|reader, name| {
            let name = match name {
                Cow::Borrowed(name) => document.slice_ref(name),
                Cow::Owned(name) => name.into(),
            };
            entry(reader, name)
        })
    }

    fn json(&mut self) -> Result<Json, Fault> {
        self.space();
        let start = self.at;
        self.skip()?;
        // Both ends stand beside an ASCII character, so this is a whole text.
        Ok(Json(self.document.slice_ref(&self.document[start..self.at])))
    }

    fn skip(&mut self) -> Result<(), Fault> {
        match self.peek()? {
            b'{' => self.in_braces(|reader, _| reader.skip()),
            b'[' => self.in_brackets(Self::skip),
            b'"' => self.name().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'0'..=b'9' | b'-' => self.number().map(drop),
            _ => Err(Fault::Malformed),
        }
    }

    fn set_times(&mut self, times: TimeFormat) -> TimeFormat {
        std::mem::replace(&mut self.times, times)
    }

    fn document<T: ReadMembers>(&mut self) -> Result<T, Fault> {
        self.space();
        let document = match self.bytes.get(self.at) {
            None => return Ok(T::default()),
            Some(b'{') => self.structure()?,
            Some(b'[') => return Err(Fault::List),
            Some(_) => return Err(Fault::Malformed),
        };
        self.space();
        if self.at < self.bytes.len() { Err(Fault::Malformed) } else { Ok(document) }
    }
}
