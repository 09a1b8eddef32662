//! Reads shapes from the places of a request.

use api::{Map, Text};
use bytes::Bytes;
use http::HeaderMap;

use super::route::unescape;
use super::{Labels, TextValue, TextValues};
use crate::document::{Fault, ReadMembers, Reader as _, TimeFormat};
use crate::form::Form;
use crate::json;

/// A request for an operation, in its places.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the labels stand for in the path.
    pub labels: Labels<'a>,
    /// The parameters of the query string.
    pub query: &'a Form,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, inflated.
    pub body: Bytes,
}

/// An operation's input that can be read from the places of a request.
pub trait ReadRest: Sized {
    /// Reads the members that are there.
    fn read_rest(request: &Request<'_>) -> Result<Self, Fault>;
}

impl Request<'_> {
    /// Reads a label.
    pub fn label<T: TextValue>(&self, name: &str, times: TimeFormat) -> Result<Option<T>, Fault> {
        let Some(text) = self.labels.get(name) else { return Ok(None) };
        let text = unescape(text).ok_or(Fault::Malformed)?;
        T::of_texts([&*text].into_iter(), times)
    }

    /// Reads a parameter.
    pub fn query<T: TextValues>(&self, name: &str, times: TimeFormat) -> Result<Option<T>, Fault> {
        T::of_texts(self.query.all(name).map(|text| &**text), times)
    }

    /// Reads all parameters, also those that are members of their own, as Smithy wants it of servers.
    pub fn query_map<T: TextValues>(&self) -> Result<Option<Map<T>>, Fault> {
        let mut entries: Vec<(Text, T)> = Vec::new();
        for name in self.query.names() {
            if let Some(value) = self.query(name, TimeFormat::DateTime)? {
                entries.push((name.into(), value));
            }
        }
        Ok(Some(Map(entries)).filter(|map| !map.0.is_empty()))
    }

    /// Reads a header.
    pub fn header<T: TextValues>(&self, name: &str, times: TimeFormat) -> Result<Option<T>, Fault> {
        T::of_header(texts(self.headers.get_all(name)), times)
    }

    /// Reads all headers whose names begin with a prefix, which is left out of the keys. HTTP's names are in lower case here.
    pub fn prefix_headers(&self, prefix: &str) -> Option<Map<Text>> {
        let prefix = prefix.to_ascii_lowercase();
        let entries: Vec<(Text, Text)> = self
            .headers
            .keys()
            .filter_map(|name| {
                let value = texts(self.headers.get_all(name)).next()?;
                Some((name.as_str().strip_prefix(&prefix)?.into(), value.into()))
            })
            .collect();
        Some(Map(entries)).filter(|map| !map.0.is_empty())
    }

    /// Reads the body as the members that stand nowhere else.
    pub fn document<T: ReadMembers>(&self) -> Result<T, Fault> {
        json::Reader::new(&self.body_text()?).document()
    }

    /// The body as a blob.
    pub fn blob(&self) -> Option<Bytes> {
        Some(self.body.clone()).filter(|body| !body.is_empty())
    }

    /// The body as a text.
    pub fn text(&self) -> Result<Option<Text>, Fault> {
        Ok(Some(self.body_text()?).filter(|body| !body.is_empty()))
    }

    /// The body as a structure that is one member.
    pub fn structure<T: ReadMembers>(&self) -> Result<Option<T>, Fault> {
        if self.body.is_empty() { Ok(None) } else { self.document().map(Some) }
    }

    fn body_text(&self) -> Result<Text, Fault> {
        Text::try_from(self.body.clone()).map_err(|_| Fault::Malformed)
    }
}

/// The values of a header that are texts.
fn texts<'a>(values: http::header::GetAll<'a, http::HeaderValue>) -> impl Iterator<Item = &'a str> {
    values.into_iter().filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
}
