//! How each kind of value is read: texts, numbers, moments, blobs, lists and maps.

use std::borrow::Cow;

use api::{Json, Text, Timestamp};
use bytes::Bytes;

use super::{Number, Reader};
use crate::cbor::{Dialect, FALSE, NULL, TRUE, UNDEFINED, major};
use crate::document::{self, Fault, ReadMembers, TimeFormat, millis_of_seconds};

impl document::Reader for Reader<'_> {
    #[inline]
    fn null(&mut self) -> Result<bool, Fault> {
        let is_null = matches!(self.peek()?, NULL | UNDEFINED);
        self.at += usize::from(is_null);
        Ok(is_null)
    }

    fn text(&mut self) -> Result<Text, Fault> {
        let head = self.untagged()?;
        if head.major != major::TEXT {
            return Err(self.unexpected(head, "a String"));
        }
        match self.pieces(head)? {
            Cow::Borrowed(text) => {
                Text::try_from(self.document.slice_ref(text)).map_err(|_| Fault::Malformed)
            }
            Cow::Owned(text) => String::from_utf8(text).map(Text::from).map_err(|_| Fault::Malformed),
        }
    }

    fn integer<T: TryFrom<i64>>(&mut self, kind: &'static str) -> Result<T, Fault> {
        let value = match self.number()? {
            Ok(Number::Integer(value)) => i64::try_from(value).map_err(|_| Fault::Range(kind))?,
            // As in JSON: AWS takes decimals for integers and forgets what stands after the point.
            Ok(Number::Float(value)) if value.abs() < 9e18 => value as i64,
            Ok(Number::Float(_) | Number::Large(_)) => return Err(Fault::Range(kind)),
            Err(head) => return Err(self.unexpected(head, kind)),
        };
        T::try_from(value).map_err(|_| Fault::Range(kind))
    }

    fn float(&mut self, kind: &'static str) -> Result<f64, Fault> {
        match self.number()? {
            Ok(Number::Integer(value)) => Ok(value as f64),
            Ok(Number::Float(value)) => Ok(value),
            Ok(Number::Large(value)) if value.is_finite() => Ok(value),
            Ok(Number::Large(_)) => Err(Fault::Range(kind)),
            Err(head) => Err(self.unexpected(head, kind)),
        }
    }

    fn boolean(&mut self) -> Result<bool, Fault> {
        let value = self.peek()?;
        if matches!(value, TRUE | FALSE) {
            self.at += 1;
            return Ok(value == TRUE);
        }
        let head = self.untagged()?;
        Err(self.unexpected(head, "a Boolean"))
    }

    fn blob(&mut self) -> Result<Bytes, Fault> {
        let head = self.untagged()?;
        if head.major != major::BYTES {
            return Err(self.unexpected(head, "a Blob"));
        }
        Ok(match self.pieces(head)? {
            Cow::Borrowed(bytes) => self.document.slice_ref(bytes),
            Cow::Owned(bytes) => bytes.into(),
        })
    }

    fn timestamp(&mut self) -> Result<Timestamp, Fault> {
        const KIND: &str = "a Timestamp";
        // The tag is not asked for: what the member is, the model says.
        let seconds = match self.number()? {
            Ok(Number::Integer(value)) => value as f64,
            Ok(Number::Float(value)) => value,
            Ok(Number::Large(_)) => return Err(Fault::Range(KIND)),
            Err(head) => return Err(self.unexpected(head, KIND)),
        };
        let seconds = if self.dialect == Dialect::Amz11 { seconds / 1000.0 } else { seconds };
        millis_of_seconds(seconds).map(Timestamp).ok_or(Fault::Range(KIND))
    }

    fn members(&mut self, mut member: impl FnMut(&mut Self, &str) -> Result<(), Fault>) -> Result<(), Fault> {
        let head = self.untagged()?;
        match head.major {
            major::MAP => self.each(head, |reader| {
                let name = reader.name()?;
                member(reader, &name)
            }),
            major::ARRAY => Err(Fault::List),
            _ => self.skip_item(head).and(Err(Fault::Plain(""))),
        }
    }

    fn items(&mut self, item: impl FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        let head = self.untagged()?;
        match head.major {
            major::ARRAY => self.each(head, item),
            major::MAP => Err(Fault::Structure),
            _ => self.skip_item(head).and(Err(Fault::Plain("list"))),
        }
    }

    fn entries(&mut self, mut entry: impl FnMut(&mut Self, Text) -> Result<(), Fault>) -> Result<(), Fault> {
        let head = self.untagged()?;
        match head.major {
            major::MAP => self.each(head, |reader| {
                let name = reader.name()?;
                let name = reader.share(name);
                entry(reader, name)
            }),
            major::ARRAY => Err(Fault::List),
            _ => self.skip_item(head).and(Err(Fault::Plain("map"))),
        }
    }

    fn json(&mut self) -> Result<Json, Fault> {
        // No service with such values is spoken in CBOR.
        Err(Fault::Malformed)
    }

    fn skip(&mut self) -> Result<(), Fault> {
        self.skip_one()
    }

    /// The dialect alone says how moments are written.
    fn set_times(&mut self, times: TimeFormat) -> TimeFormat {
        times
    }

    fn document<T: ReadMembers>(&mut self) -> Result<T, Fault> {
        if self.document.is_empty() {
            return Ok(T::default());
        }
        let document = self.structure()?;
        if self.at < self.document.len() { Err(Fault::Malformed) } else { Ok(document) }
    }
}
