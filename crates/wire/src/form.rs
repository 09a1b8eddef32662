//! The query protocol's parameters: `Entries.1.Id=a&Entries.2.Id=b`, read as structures, lists and maps.

use api::{Map, Text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// What is wrong with a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormFault {
    /// Which.
    pub parameter: String,
    /// What it was expected to be.
    pub expected: &'static str,
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
    pub fn parse(query: &str, body: &str) -> Form {
        let mut parameters = Vec::new();
        for pair in query.split('&').chain(body.split('&')).filter(|pair| !pair.is_empty()).take(PARAMETERS) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.push((unescape(name), unescape(value).into()));
        }
        // Stable: of several values for a name the first counts.
        parameters.sort_by(|(a, _), (b, _)| a.cmp(b));
        Form { parameters }
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&Text> {
        let at = self.parameters.partition_point(|(other, _)| other.as_str() < name);
        self.parameters.get(at).filter(|(other, _)| other == name).map(|(_, value)| value)
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

/// `+` and `%41` become what they stand for; bytes that are no text become U+FFFD.
fn unescape(text: &str) -> String {
    if !text.bytes().any(|byte| byte == b'+' || byte == b'%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = bytes
            .get(at + 1..at + 3)
            .filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let value = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
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
    pub fn list<T: FormValue>(&self, name: &str, item: Option<&str>) -> Result<Option<Vec<T>>, FormFault> {
        let list = self.below(name);
        let items = item.map_or_else(|| list.clone(), |item| list.below(item));
        let numbers = items.numbers();
        if numbers.is_empty() {
            return Ok(list.text().map(|_| Vec::new()));
        }
        let values = numbers.iter().map(|number| T::form_value(&items.below(number)));
        let values: Vec<Option<T>> = values.collect::<Result<_, _>>()?;
        Ok(Some(values.into_iter().flatten().collect()))
    }

    /// A map: `name.1.key`, `name.1.value`, or `name.entry.1.key` if its entries have a name.
    pub fn map<T: FormValue>(
        &self,
        name: &str,
        entry: Option<&str>,
        key: &str,
        value: &str,
    ) -> Result<Option<Map<T>>, FormFault> {
        let map = self.below(name);
        let entries = entry.map_or_else(|| map.clone(), |entry| map.below(entry));
        let mut read = Vec::new();
        for number in entries.numbers() {
            let entry = entries.below(&number);
            let key = entry.below(key).text().cloned();
            if let (Some(key), Some(value)) = (key, T::form_value(&entry.below(value))?) {
                read.push((key, value));
            }
        }
        Ok(if read.is_empty() { None } else { Some(Map(read)) })
    }

    /// The numbers that stand below this scope, in their order; gaps are passed over.
    fn numbers(&self) -> Vec<String> {
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
        numbers.into_iter().map(|(_, number)| number).collect()
    }

    fn parse<T: std::str::FromStr>(&self, expected: &'static str) -> Result<Option<T>, FormFault> {
        let fault = || FormFault { parameter: self.prefix.clone(), expected };
        self.text().map(|text| text.trim().parse().map_err(|_| fault())).transpose()
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
        scope.parse("an integer")
    }
}

impl FormValue for i64 {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        scope.parse("a long")
    }
}

impl FormValue for bool {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        scope.parse("a boolean")
    }
}

impl FormValue for Bytes {
    fn form_value(scope: &Scope<'_>) -> Result<Option<Self>, FormFault> {
        let fault = |_| FormFault { parameter: scope.prefix.clone(), expected: "base64" };
        // A plus sign that was not escaped has become a space.
        let decode = |text: &Text| STANDARD.decode(text.replace(' ', "+")).map(Bytes::from).map_err(fault);
        scope.text().map(decode).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::sqs::{SendMessageBatchInput, SendMessageInput};

    #[test]
    fn structures_lists_and_maps_are_read_by_their_names() {
        let form = Form::parse(
            "QueueUrl=http%3A%2F%2Fq&SendMessageBatchRequestEntry.2.Id=b&SendMessageBatchRequestEntry.2.MessageBody=two+words",
            "SendMessageBatchRequestEntry.10.Id=c&SendMessageBatchRequestEntry.1.Id=a&SendMessageBatchRequestEntry.1.DelaySeconds=5\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Name=n&SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.DataType=Binary\
             &SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.BinaryValue=aGk%3D",
        );
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
    fn a_number_that_is_none_is_a_fault_that_names_it() {
        let form = Form::parse("DelaySeconds=soon", "");
        let fault = SendMessageInput::read_form(&form.scope()).unwrap_err();
        assert_eq!(fault, FormFault { parameter: "DelaySeconds".into(), expected: "an integer" });
    }

    #[test]
    fn an_escape_that_is_none_stands_for_itself() {
        assert_eq!(unescape("100%+%zz%4"), "100% %zz%4");
        assert_eq!(unescape("gr%C3%BC%C3%9Fe"), "grüße");
    }
}
