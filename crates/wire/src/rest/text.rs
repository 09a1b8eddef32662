//! Values as texts: in paths, query strings and headers.

use api::{Text, Timestamp};
use kernel::iso8601;

use crate::document::{Fault, TimeFormat, millis_of_seconds};
use crate::http_date;

/// A value that is one text.
pub trait TextValue: Sized {
    /// What its type is called in faults.
    const KIND: &'static str;
    /// Reads a text; none if it is not such a value.
    fn of_text(text: &str, times: TimeFormat) -> Option<Self>;
    /// The value as a text.
    fn to_text(&self, times: TimeFormat) -> String;
    /// Whether such texts contain a comma, which else stands between the items of a header.
    fn has_comma(_times: TimeFormat) -> bool {
        false
    }
    /// The value as an item of a header that is a list.
    fn to_item(&self, times: TimeFormat) -> String {
        self.to_text(times)
    }
}

/// A value, or a list of values, that stands in texts of one name.
pub trait TextValues: Sized {
    /// Reads the values of a parameter that occurs once or several times; none if there are none.
    fn of_texts<'t>(texts: impl Iterator<Item = &'t str>, times: TimeFormat) -> Result<Option<Self>, Fault>;
    /// Reads the values of a header that occurs once or several times; none if it is not there.
    fn of_header<'t>(texts: impl Iterator<Item = &'t str>, times: TimeFormat) -> Result<Option<Self>, Fault>;
    /// The value of a header.
    fn to_header(&self, times: TimeFormat) -> String;
}

fn read<T: TextValue>(text: &str, times: TimeFormat) -> Result<T, Fault> {
    T::of_text(text, times).ok_or(Fault::Kind("STRING_VALUE", T::KIND))
}

impl<T: TextValue> TextValues for T {
    fn of_texts<'t>(
        mut texts: impl Iterator<Item = &'t str>,
        times: TimeFormat,
    ) -> Result<Option<Self>, Fault> {
        texts.next().map(|text| read(text, times)).transpose()
    }

    fn of_header<'t>(
        mut texts: impl Iterator<Item = &'t str>,
        times: TimeFormat,
    ) -> Result<Option<Self>, Fault> {
        texts.next().map(|text| read(text.trim(), times)).transpose()
    }

    fn to_header(&self, times: TimeFormat) -> String {
        self.to_text(times)
    }
}

impl<T: TextValue> TextValues for Vec<T> {
    fn of_texts<'t>(texts: impl Iterator<Item = &'t str>, times: TimeFormat) -> Result<Option<Self>, Fault> {
        let items: Vec<T> = texts.map(|text| read(text, times)).collect::<Result<_, _>>()?;
        Ok(Some(items).filter(|items| !items.is_empty()))
    }

    fn of_header<'t>(texts: impl Iterator<Item = &'t str>, times: TimeFormat) -> Result<Option<Self>, Fault> {
        let mut items = None;
        for text in texts {
            let list = items.get_or_insert_with(Vec::new);
            for item in items_of(text, T::has_comma(times)) {
                list.push(read(&item, times)?);
            }
        }
        Ok(items)
    }

    fn to_header(&self, times: TimeFormat) -> String {
        let items: Vec<String> = self.iter().map(|item| item.to_item(times)).collect();
        items.join(", ")
    }
}

/// The items of a header. `with_comma` says that each contains one.
fn items_of(header: &str, with_comma: bool) -> Vec<String> {
    let mut items = Vec::new();
    let mut rest = header.trim();
    while !rest.is_empty() {
        let item = match rest.strip_prefix('"').and_then(quoted) {
            Some((item, after)) => {
                // What stands between a quotation and the next comma is passed over.
                rest = after.split_once(',').map_or("", |(_, after)| after);
                item
            }
            None => {
                let comma = rest.find(',');
                let end = comma.and_then(|at| match with_comma {
                    true => rest.get(at + 1..)?.find(',').map(|next| at + 1 + next),
                    false => Some(at),
                });
                let (item, after) = end.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
                rest = after;
                item.trim().to_owned()
            }
        };
        items.push(item);
        rest = rest.trim_start();
    }
    items
}

/// The text up to the quotation mark that ends it, and what follows; none if nothing ends it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut item = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((item, &text[at + 1..])),
            '\\' => item.push(characters.next()?.1),
            character => item.push(character),
        }
    }
    None
}

impl TextValue for Text {
    const KIND: &'static str = "a String";

    fn of_text(text: &str, _times: TimeFormat) -> Option<Self> {
        Some(text.into())
    }

    fn to_text(&self, _times: TimeFormat) -> String {
        self.to_string()
    }

    fn to_item(&self, _times: TimeFormat) -> String {
        if self.contains([',', '"']) || self.trim().len() != self.len() || self.is_empty() {
            return format!("\"{}\"", self.replace('\\', "\\\\").replace('"', "\\\""));
        }
        self.to_string()
    }
}

impl TextValue for bool {
    const KIND: &'static str = "a Boolean";

    fn of_text(text: &str, _times: TimeFormat) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self, _times: TimeFormat) -> String {
        self.to_string()
    }
}

impl TextValue for i32 {
    const KIND: &'static str = "an Integer";

    fn of_text(text: &str, _times: TimeFormat) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self, _times: TimeFormat) -> String {
        self.to_string()
    }
}

impl TextValue for i64 {
    const KIND: &'static str = "a Long";

    fn of_text(text: &str, _times: TimeFormat) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self, _times: TimeFormat) -> String {
        self.to_string()
    }
}

impl TextValue for f64 {
    const KIND: &'static str = "a Double";

    fn of_text(text: &str, _times: TimeFormat) -> Option<Self> {
        match text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // Rust has more words for these.
            _ if text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E')) => None,
            _ => text.parse().ok(),
        }
    }

    fn to_text(&self, _times: TimeFormat) -> String {
        match self {
            value if value.is_nan() => "NaN".to_owned(),
            value if value.is_infinite() => if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
            value => value.to_string(),
        }
    }
}

impl TextValue for f32 {
    const KIND: &'static str = "a Float";

    fn of_text(text: &str, times: TimeFormat) -> Option<Self> {
        f64::of_text(text, times).map(|value| value as f32)
    }

    fn to_text(&self, times: TimeFormat) -> String {
        // By way of its shortest text, as in JSON.
        if self.is_finite() { self.to_string() } else { f64::from(*self).to_text(times) }
    }
}

impl TextValue for Timestamp {
    const KIND: &'static str = "a Timestamp";

    fn of_text(text: &str, times: TimeFormat) -> Option<Self> {
        let millis = match times {
            TimeFormat::DateTime => iso8601::read(text),
            TimeFormat::HttpDate => http_date::read(text),
            TimeFormat::EpochSeconds => {
                f64::of_text(text, times).filter(|seconds| seconds.is_finite()).and_then(millis_of_seconds)
            }
        };
        millis.map(Timestamp)
    }

    fn to_text(&self, times: TimeFormat) -> String {
        let Timestamp(millis) = *self;
        match times {
            TimeFormat::DateTime => iso8601::write(millis),
            TimeFormat::HttpDate => http_date::write(millis),
            TimeFormat::EpochSeconds if millis % 1000 == 0 => (millis / 1000).to_string(),
            TimeFormat::EpochSeconds => (millis as f64 / 1000.0).to_string(),
        }
    }

    fn has_comma(times: TimeFormat) -> bool {
        times == TimeFormat::HttpDate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_holds_several_items() {
        for (header, items) in [
            ("a, b,c", &["a", "b", "c"][..]),
            (r#""b,c", "\"def\"", a"#, &["b,c", "\"def\"", "a"]),
            (r#""a"x, b"#, &["a", "b"]),
            (r#""a"#, &["\"a"]),
            ("a,,b", &["a", "", "b"]),
            ("", &[]),
        ] {
            assert_eq!(items_of(header, false), items, "{header}");
        }
        let dates = "Mon, 16 Dec 2019 23:48:18 GMT, Tue, 17 Dec 2019 23:48:18 GMT";
        assert_eq!(items_of(dates, true), ["Mon, 16 Dec 2019 23:48:18 GMT", "Tue, 17 Dec 2019 23:48:18 GMT"]);
    }

    proptest! {
        #[test]
        fn any_texts_read_back_from_a_header(texts in proptest::collection::vec("[a-z\"\\\\, \u{fc}]{0,8}", 1..5)) {
            let texts: Vec<Text> = texts.into_iter().map(Text::from).collect();
            let header = texts.to_header(TimeFormat::HttpDate);
            let read = Vec::<Text>::of_header([header.as_str()].into_iter(), TimeFormat::HttpDate).unwrap();
            prop_assert_eq!(read, Some(texts));
        }

        #[test]
        fn any_header_is_read_or_refused(header in "([a-z\", \\\\\u{fc}]|GMT|Mon, ){0,20}") {
            let texts = || [header.as_str()].into_iter();
            let _ = Vec::<Text>::of_header(texts(), TimeFormat::HttpDate);
            let _ = Vec::<Timestamp>::of_header(texts(), TimeFormat::HttpDate);
            let _ = Vec::<i32>::of_header(texts(), TimeFormat::HttpDate);
            let _ = f64::of_header(texts(), TimeFormat::HttpDate);
        }
    }
}
