//! The query protocol's parameters: `Entries.1.Id=a&Entries.2.Id=b`, read as structures, lists and maps.

use std::fmt;

use api::{Map, Text, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use kernel::iso8601;

/// What is wrong with a parameter; displayed in the words of AWS's framework, as far as they are known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FormFault {
    /// The text of a parameter is not what this kind of value looks like.
    Kind(&'static str),
    /// A list or a map has an item 0.
    Zero,
    /// The parameters are no text once they are unescaped.
    NoText,
    /// There are more than anyone needs.
    TooMany,
}

impl fmt::Display for FormFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FormFault::Kind("a Boolean") => f.write_str("boolean must follow xsd1.1 definition"),
            FormFault::Kind(expected) => write!(f, "STRING_VALUE can not be converted to {expected}"),
            FormFault::Zero => f.write_str("0 is not a valid index"),
            FormFault::NoText => f.write_str("The parameters are not UTF-8"),
            FormFault::TooMany => write!(f, "A request can have {PARAMETERS} parameters at the most"),
        }
    }
}

/// The parameters of a request, sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Form {
    parameters: Vec<(String, Text)>,
}

/// Parameters that one request can have at the most.
const PARAMETERS: usize = 10_000;

impl Form {
    /// Reads parameters from a query string and a body.
    pub fn parse(query: &str, body: &str) -> Result<Form, FormFault> {
        let mut parameters = Vec::new();
        for pair in query.split('&').chain(body.split('&')).filter(|pair| !pair.is_empty()) {
            if parameters.len() == PARAMETERS {
                return Err(FormFault::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let unescape = |text| unescape(text).ok_or(FormFault::NoText);
            parameters.push((unescape(name)?, unescape(value)?.into()));
        }
        // Stable: of several values for a name the first counts.
        parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Form { parameters })
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Text> {
        let at = self.parameters.partition_point(|(other, _)| other.as_str() < name);
        self.parameters.get(at).filter(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// All values of a parameter, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Text> + 'a {
        let at = self.parameters.partition_point(|(other, _)| other.as_str() < name);
        self.parameters[at..].iter().take_while(move |(other, _)| other == name).map(|(_, value)| value)
    }

    /// The names of the parameters, each once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.chunk_by(|(a, _), (b, _)| a == b).filter_map(|same| Some(same.first()?.0.as_str()))
    }

    /// Adds a parameter unless it is there.
    pub fn set_default(&mut self, name: &str, value: Text) {
        let at = self.parameters.partition_point(|(other, _)| other.as_str() < name);
        if self.parameters.get(at).is_none_or(|(other, _)| other != name) {
            self.parameters.insert(at, (name.to_owned(), value));
        }
    }

    /// All parameters.
    pub fn scope(&self) -> Scope<'_> {
        Scope { form: self, prefix: String::new() }
    }

    /// The parameters whose names begin with `prefix`.
    fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a (String, Text)> + 'a {
        let at = self.parameters.partition_point(|(name, _)| name.as_str() < prefix);
        self.parameters[at..].iter().take_while(move |(name, _)| name.starts_with(prefix))
    }
}

/// `+` and `%41` become what they stand for; none if the bytes are no text.
fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let Some(first) = memchr::memchr2(b'+', b'%', bytes) else { return Some(text.to_owned()) };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let [byte, after @ ..] = rest {
        rest = after;
        out.push(match byte {
            b'+' => b' ',
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = after;
                    digit(*high) << 4 | digit(*low)
                }
                // What is no escape stands for itself.
                _ => b'%',
            },
            byte => *byte,
        });
    }
    String::from_utf8(out).ok()
}

/// The value of a hexadecimal digit.
const fn digit(byte: u8) -> u8 {
    (byte & 0x0f) + if byte > b'9' { 9 } else { 0 }
}

/// The parameters below a prefix.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    form: &'a Form,
    prefix: String,
}

/// A structure that can be read from parameters.
pub trait ReadForm: Sized {
    /// Reads the members that are there.
    fn read_form(scope: &Scope<'_>) -> Result<Self, FormFault>;
}

/// A value that can be read from parameters.
pub trait FormValue: Sized {
    /// Reads the value at the scope itself; none if there is nothing.
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault>;
}

impl<'a> Scope<'a> {
    fn below(&self, name: &str) -> Scope<'a> {
        let separator = if self.prefix.is_empty() { "" } else { "." };
        Scope { form: self.form, prefix: format!("{}{separator}{name}", self.prefix) }
    }

    fn text(&self) -> Option<&'a Text> {
        self.form.get(&self.prefix)
    }

    fn has_members(&self) -> bool {
        self.form.beginning_with(&format!("{}.", self.prefix)).next().is_some()
    }

    /// A member.
    pub fn member<T: FormValue>(&self, name: &str) -> Result<Option<T>, FormFault> {
        T::form_value(&self.below(name))
    }

    /// A list: `name.1`, `name.2`, or `name.item.1` if its items have a name. `name=` is an empty one.
    ///
    /// One item alone need not have a number, unless it has a name: AWS's own examples say `AttributeName=All`.
    pub fn list<T: FormValue>(&self, name: &str, item: Option<&str>) -> Result<Option<Vec<T>>, FormFault> {
        let list = self.below(name);
        let items = item.map_or_else(|| list.clone(), |item| list.below(item));
        let numbers = items.numbers()?;
        if numbers.is_empty() {
            return match list.text() {
                Some(text) if text.is_empty() || item.is_some() => Ok(Some(Vec::new())),
                None if item.is_some() => Ok(None),
                _ => Ok(T::form_value(&list)?.map(|only| vec![only])),
            };
        }
        let values = numbers.iter().map(|number| T::form_value(&items.below(number)));
        let values: Vec<Option<T>> = values.collect::<Result<_, _>>()?;
        Ok(Some(values.into_iter().flatten().collect()))
    }

    /// A map: `name.1.key`, `name.1.value`, or `name.entry.1.key` if its entries have a name. One entry alone need not have a
    /// number, unless it has a name: AWS's own examples say `Attribute.Name=Policy`. What is called `key` may be called `name`.
    pub fn map<T: FormValue>(
        &self,
        name: &str,
        entry: Option<&str>,
        key: &str,
        value: &str,
    ) -> Result<Option<Map<T>>, FormFault> {
        let map = self.below(name);
        let entries = entry.map_or_else(|| map.clone(), |entry| map.below(entry));
        let numbers = entries.numbers()?;
        let alone = (numbers.is_empty() && entry.is_none()).then(|| entries.clone());
        let mut read = Vec::new();
        for entry in numbers.iter().map(|number| entries.below(number)).chain(alone) {
            let named = |name| entry.below(name).text().cloned();
            let key = named(key).or_else(|| if key == "key" { named("name") } else { None });
            if let (Some(key), Some(value)) = (key, T::form_value(&entry.below(value))?) {
                read.push((key, value));
            }
        }
        Ok(if read.is_empty() { None } else { Some(Map(read)) })
    }

    /// The numbers that stand below this scope, in their order; gaps are passed over.
    fn numbers(&self) -> Result<Vec<String>, FormFault> {
        let prefix = format!("{}.", self.prefix);
        let mut numbers: Vec<(u64, String)> = self
            .form
            .beginning_with(&prefix)
            .filter_map(|(name, _)| {
                let number = name[prefix.len()..].split('.').next()?;
                Some((number.parse().ok()?, number.to_owned()))
            })
            .collect();
        numbers.sort();
        numbers.dedup();
        if numbers.first().is_some_and(|(number, _)| *number == 0) {
            return Err(FormFault::Zero);
        }
        Ok(numbers.into_iter().map(|(_, number)| number).collect())
    }

    fn parse<T: std::str::FromStr>(&self, expected: &'static str) -> Result<Option<T>, FormFault> {
        self.text().map(|text| text.trim().parse().map_err(|_| FormFault::Kind(expected))).transpose()
    }
}

impl<T: ReadForm> FormValue for T {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        if scope.has_members() { T::read_form(scope).map(Some) } else { Ok(None) }
    }
}

impl FormValue for Text {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        Ok(scope.text().cloned())
    }
}

impl FormValue for i32 {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        scope.parse("an Integer")
    }
}

impl FormValue for i64 {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        scope.parse("a Long")
    }
}

impl FormValue for bool {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        let boolean = |text: &Text| match text.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(FormFault::Kind("a Boolean")),
        };
        scope.text().map(boolean).transpose()
    }
}

impl FormValue for f64 {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        scope.parse("a Double")
    }
}

impl FormValue for f32 {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        scope.parse("a Float")
    }
}

impl FormValue for Timestamp {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        let parse =
            |text: &Text| iso8601::read(text.trim()).map(Timestamp).ok_or(FormFault::Kind("a Timestamp"));
        scope.text().map(parse).transpose()
    }
}

impl FormValue for Bytes {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        let fault = |_| FormFault::Kind("a Blob");
        // A plus sign that was not escaped has become a space.
        let decode = |text: &Text| STANDARD.decode(text.replace(' ', "+")).map(Bytes::from).map_err(fault);
        scope.text().map(decode).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::sns::CreateTopicInput;
    use api::sqs::{
        CreateQueueInput, ReceiveMessageInput, SendMessageBatchInput, SendMessageInput,
        SetQueueAttributesInput, TagQueueInput,
    };

    #[test]
    fn structures_lists_and_maps_are_read_by_their_names() {
        let form = Form::parse(
            "QueueUrl=http%3A%2F%2Fq&SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=two+words",
            "SendMessageBatchRequestEntry.10.Id=c&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.DelaySeconds=5\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Binary\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue=aGk%3D",
        ).unwrap();
        let input = SendMessageBatchInput::read_form(&form.scope()).unwrap();
        assert_eq!(input.queue_url.as_deref(), Some("http://q"));
        let entries = input.entries.unwrap();
        let ids: Vec<_> = entries.iter().map(|entry| entry.id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        assert_eq!(entries[0].delay_seconds, Some(5));
        assert_eq!(entries[1].message_body.as_deref(), Some("two words"));
        let attributes = entries[0].message_attributes.as_ref().unwrap();
        assert_eq!(attributes.0[0].1.binary_value.as_deref(), Some(&b"hi"[..]));
    }

    #[test]
    fn one_item_alone_needs_no_number() {
        // As the examples of AWS's API reference have it.
        let read =
            |form: &str| ReceiveMessageInput::read_form(&Form::parse(form, "").unwrap().scope()).unwrap();
        let names = |input: ReceiveMessageInput| {
            input.attribute_names.map(|names| names.iter().map(|name| name.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names(read("AttributeName=All")), Some(vec!["All".to_owned()]));
        assert_eq!(
            names(read("AttributeName.1=a&AttributeName.2=b")),
            Some(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(names(read("AttributeName=")), Some(vec![]));
        assert_eq!(names(read("AttributeNames=All")), None);
        let form = Form::parse("Attribute.Name=DelaySeconds&Attribute.Value=35", "").unwrap();
        let input = SetQueueAttributesInput::read_form(&form.scope()).unwrap();
        assert_eq!(input.attributes.unwrap().0, [(Text::from("DelaySeconds"), Text::from("35"))]);
        let form = Form::parse("AttributeName=x&Attribute=y", "").unwrap();
        assert_eq!(SetQueueAttributesInput::read_form(&form.scope()).unwrap().attributes, None);
    }

    #[test]
    fn a_map_is_read_by_every_name_that_sdks_have_for_it() {
        // boto3's and most others'; Java's of 1.x and up to 2.20 (TagQueueRequestMarshaller).
        for form in ["Tag.1.Key=k&Tag.1.Value=v", "Tags.1.Key=k&Tags.1.Value=v"] {
            let form = Form::parse(form, "").unwrap();
            let input = TagQueueInput::read_form(&form.scope()).unwrap();
            assert_eq!(input.tags.unwrap().0, [(Text::from("k"), Text::from("v"))]);
        }
        // Where the member has a name of its own, all SDKs use that.
        let form = Form::parse("tags.1.Key=k&tags.1.Value=v", "").unwrap();
        assert_eq!(CreateQueueInput::read_form(&form.scope()).unwrap().tags, None);
        // ex_aws (Elixir) calls a key a name; AWS takes both (ex_aws_sns, pull request 103).
        for key in ["key", "name"] {
            let form = format!("Attributes.entry.1.{key}=DisplayName&Attributes.entry.1.value=v");
            let form = Form::parse(&form, "").unwrap();
            let input = CreateTopicInput::read_form(&form.scope()).unwrap();
            assert_eq!(input.attributes.unwrap().0, [(Text::from("DisplayName"), Text::from("v"))]);
        }
    }

    #[test]
    fn what_is_no_number_and_an_index_zero_are_faults() {
        let form = Form::parse("DelaySeconds=soon", "").unwrap();
        let fault = SendMessageInput::read_form(&form.scope()).unwrap_err();
        assert_eq!(fault.to_string(), "STRING_VALUE can not be converted to an Integer");
        let form = Form::parse("SendMessageBatchRequestEntry.0.Id=a", "").unwrap();
        assert_eq!(SendMessageBatchInput::read_form(&form.scope()), Err(FormFault::Zero));
    }

    #[test]
    fn an_escape_that_is_none_stands_for_itself() {
        assert_eq!(unescape("100%+%zz%4").unwrap(), "100% %zz%4");
        assert_eq!(unescape("gr%C3%BC%C3%9fe").unwrap(), "grüße");
    }

    #[test]
    fn what_is_no_text_is_no_form() {
        assert_eq!(unescape("%FF"), None);
        assert_eq!(Form::parse("a=%FF", "").unwrap_err(), FormFault::NoText);
        assert_eq!(Form::parse("", &"a=b&".repeat(20_000)).unwrap_err(), FormFault::TooMany);
    }
}
