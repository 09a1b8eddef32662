//! A message on its way to a topic: what can be checked and computed without knowing the topic.

use std::sync::Arc;

use bytestring::ByteString;
use kernel::{Attribute, AttributeValue, Refusal, hex};
use md5::{Digest, Md5};
use notification::{Kind, Notification};
use patterns::Event;
use sha2::Sha256;

use crate::refusals;

/// A message that is right in itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Post {
    /// What is stored, encoded.
    pub payload: Vec<u8>,
    /// The text, for filters.
    pub message: ByteString,
    /// The text taken apart, if that has been done.
    pub body: Body,
    /// Its attributes, for filters.
    pub attributes: Vec<Attribute>,
    /// Message and attributes together, in bytes: what limits are about.
    pub size: usize,
    /// `MessageGroupId`.
    pub group: Option<ByteString>,
    /// `MessageDeduplicationId`.
    pub deduplication_id: Option<ByteString>,
    /// SHA-256 of the message in hexadecimal, if it may be needed; else empty.
    pub content_hash: ByteString,
}

/// A message's text as filters see it, so that the engine need not read it. Nothing depends on whether it is here.
#[derive(Clone, Default, Debug)]
pub struct Body(Option<Arc<Event<'static>>>);

impl Body {
    /// Takes a text apart.
    fn of(text: &str) -> Self {
        Body(Some(Arc::new(Event::from_json(text).into_owned())))
    }

    /// The text, if it has been taken apart.
    pub fn event(&self) -> Option<&Event<'static>> {
        self.0.as_deref()
    }
}

impl PartialEq for Body {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Post {
    /// Takes the text apart, for a topic of which some subscription chooses by it.
    pub fn read_body(&mut self) {
        self.body = Body::of(&self.message);
    }
}

/// What a request says about one message.
#[derive(Clone, Debug, Default)]
pub struct PostDraft {
    /// `Message`.
    pub message: Option<ByteString>,
    /// `Subject`.
    pub subject: Option<ByteString>,
    /// `MessageStructure`.
    pub structure: Option<ByteString>,
    /// `MessageAttributes`.
    pub attributes: Vec<(ByteString, api::sns::MessageAttributeValue)>,
    /// `MessageGroupId`.
    pub group: Option<ByteString>,
    /// `MessageDeduplicationId`.
    pub deduplication_id: Option<ByteString>,
}

/// What is wrong with a message, whatever its topic.
#[derive(Clone, PartialEq, Debug)]
pub struct PostFault {
    /// What AWS says.
    pub refusal: Refusal,
    /// Whether it is about the texts of a message with the structure `json`.
    pub of_structure: bool,
}

impl From<Refusal> for PostFault {
    fn from(refusal: Refusal) -> Self {
        PostFault { refusal, of_structure: false }
    }
}

/// What surrounds a message.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// The topic's ARN, or that of an endpoint.
    pub target_arn: &'a str,
    /// To whom it goes if not to subscribers.
    pub endpoint: Option<&'a str>,
    /// Whether the topic's name is a FIFO topic's.
    pub fifo: bool,
    /// The URL under which the client reached this server.
    pub base: &'a str,
    /// `X-Amzn-Trace-Id`.
    pub trace: Option<&'a ByteString>,
    /// What stands before the attribute's path in a validation error: empty, or `publishBatchRequestEntries.1.member.`.
    pub path: &'a str,
}

impl PostDraft {
    /// Checks it, hashes it, encodes it (facts/sns.md § 5).
    pub fn check(self, around: &Surroundings<'_>) -> Result<Post, PostFault> {
        let attributes = self
            .attributes
            .into_iter()
            .map(|(name, value)| check_attribute(name, value, around.path))
            .collect::<Result<Vec<_>, _>>()?;
        let message = self.message.unwrap_or_default();
        if message.is_empty() {
            return Err(refusals::invalid("Empty message").into());
        }
        if let Some(subject) = &self.subject {
            check_subject(subject)?;
        }
        for (id, parameter) in
            [(&self.group, "MessageGroupId"), (&self.deduplication_id, "MessageDeduplicationId")]
        {
            if let Some(id) = id {
                check_id(id, parameter)?;
            }
        }
        let structured = match self.structure.as_deref() {
            None => None,
            Some("json") => {
                let texts = texts_of(&message);
                Some(texts.map_err(|refusal| PostFault { refusal, of_structure: true })?)
            }
            Some(_) => return Err(refusals::invalid("MessageStructure").into()),
        };
        let size = message.len() + attributes.iter().map(Attribute::size).sum::<usize>();
        let (default, texts) = structured.unwrap_or((message.clone(), Vec::new()));
        let content_hash = if around.fifo && self.deduplication_id.is_none() {
            hex(&Sha256::digest(message.as_bytes())).into()
        } else {
            ByteString::new()
        };
        let mut notification = Notification {
            kind: Kind::Notification,
            message: default,
            message_md5: [0; 16],
            texts,
            subject: self.subject,
            attributes,
            trace_header: around.trace.cloned(),
            topic_arn: around.target_arn.into(),
            base: around.base.into(),
            endpoint: around.endpoint.map(ByteString::from),
            fifo: around.fifo,
        };
        notification.message_md5 = Md5::digest(notification.text_for("sqs").as_bytes()).into();
        Ok(Post {
            payload: notification.encode(),
            message,
            body: Body::default(),
            attributes: notification.attributes,
            size,
            group: self.group,
            deduplication_id: self.deduplication_id,
            content_hash,
        })
    }
}

/// One to a hundred characters, no control characters (facts/sns.md § 5).
fn check_subject(subject: &str) -> Result<(), Refusal> {
    let length = subject.chars().count();
    if !(1..=100).contains(&length) || subject.chars().any(char::is_control) {
        return Err(refusals::invalid("Subject"));
    }
    Ok(())
}

/// 1 to 128 letters, digits and punctuation, as SQS has it (facts/sns.md § 5).
fn check_id(id: &str, parameter: &str) -> Result<(), Refusal> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(refusals::invalid(format_args!(
        "{parameter} Reason: {parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length"
    )))
}

type Texts = (ByteString, Vec<(ByteString, ByteString)>);

/// The texts of a message with the structure `json`: the default, and those of others. What is no text is passed over.
fn texts_of(message: &ByteString) -> Result<Texts, Refusal> {
    let parsed: serde_json::Value = serde_json::from_str(message)
        .map_err(|_| refusals::invalid("Message Structure - JSON message body failed to parse"))?;
    let no_default = || refusals::invalid("Message Structure - No default entry in JSON message body");
    let object = parsed
        .as_object()
        .ok_or_else(|| refusals::invalid("Message Structure - JSON message body failed to parse"))?;
    let default = object.get("default").and_then(serde_json::Value::as_str).ok_or_else(no_default)?;
    let others = object.iter().filter(|(name, _)| *name != "default");
    let texts = others.filter_map(|(name, text)| Some((name.as_str().into(), text.as_str()?.into())));
    Ok((default.into(), texts.collect()))
}

fn check_attribute(
    name: ByteString,
    value: api::sns::MessageAttributeValue,
    path: &str,
) -> Result<Attribute, Refusal> {
    check_name(&name)?;
    let Some(data_type) = value.data_type.filter(|data_type| !data_type.is_empty()) else {
        return Err(Refusal::new(
            "ValidationError",
            format!(
                "1 validation error detected: Value null at '{path}messageAttributes.{name}.member.dataType' failed to \
                 satisfy constraint: Member must not be null"
            ),
        ));
    };
    // A custom label follows the point, if there is one.
    let (kind, label) =
        data_type.split_once('.').map_or((&*data_type, None), |(kind, label)| (kind, Some(label)));
    let field = match kind {
        "String" | "Number" if label != Some("") => "String",
        "Binary" if label != Some("") => "Binary",
        _ => {
            return Err(attribute_invalid(format_args!(
                "The message attribute '{name}' has an invalid message attribute type, the set of supported type \
                 prefixes is Binary, Number, and String."
            )));
        }
    };
    let empty = || {
        attribute_invalid(format_args!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute type \
             '{kind}'."
        ))
    };
    let wrong_field = || {
        attribute_invalid(format_args!(
            "The message attribute '{name}' with type '{data_type}' must use field '{field}'."
        ))
    };
    let value = match (field, value.string_value, value.binary_value) {
        ("Binary", None, Some(bytes)) => AttributeValue::Binary(bytes),
        ("String", Some(text), None) => AttributeValue::Text(text),
        ("Binary", Some(_), None) | ("String", None, Some(_)) => return Err(wrong_field()),
        ("Binary", Some(_), Some(bytes)) => AttributeValue::Binary(bytes),
        (_, Some(text), Some(_)) => AttributeValue::Text(text),
        _ => return Err(empty()),
    };
    if value.is_empty() {
        return Err(empty());
    }
    if let ("Number", AttributeValue::Text(text)) = (kind, &value)
        && text.parse::<f64>().map_or(true, |number| !number.is_finite())
    {
        return Err(attribute_invalid(format_args!(
            "Could not cast message attribute '{name}' value to number."
        )));
    }
    Ok(Attribute { name, data_type, value })
}

/// facts/sns.md § 5
fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > 256 {
        return Err(attribute_invalid("Length of message attribute name must be less than 256 bytes."));
    }
    let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(other) = name.chars().find(|c| !allowed(c)) {
        return Err(attribute_invalid(format_args!(
            "Invalid non-alphanumeric character '#x{:X}' was found in the message attribute name. Can only include \
             alphanumeric characters, hyphens, underscores, or dots.",
            other as u32
        )));
    }
    if name.starts_with('.') {
        return Err(attribute_invalid(
            "Invalid message attribute name starting with character '.' was found.",
        ));
    }
    if name.ends_with('.') {
        return Err(attribute_invalid("Invalid message attribute name ending with character '.' was found."));
    }
    if name.contains("..") {
        return Err(attribute_invalid("Message attribute name can not have successive '.' character."));
    }
    Ok(())
}

fn attribute_invalid(text: impl std::fmt::Display) -> Refusal {
    Refusal::new("InvalidParameterValueException", text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(data_type: &str, text: &str) -> Result<Attribute, String> {
        let value = api::sns::MessageAttributeValue {
            data_type: Some(data_type.into()),
            string_value: Some(text.into()),
            binary_value: None,
        };
        check_attribute("a".into(), value, "").map_err(|refusal| refusal.message.into_owned())
    }

    #[test]
    fn a_data_type_is_one_of_three_with_a_label_or_without() {
        // facts/sns.md § 5; that a label is not empty, as SQS has it (facts/sqs.md § 5)
        for data_type in ["String", "String.Array", "Number", "Number.int", "String.a.b"] {
            assert!(attribute(data_type, "1").is_ok(), "{data_type}");
        }
        for data_type in ["String.", "Number.", "Binary.", "Strings", ".String", "string"] {
            assert_eq!(
                attribute(data_type, "1").unwrap_err(),
                "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is \
                 Binary, Number, and String.",
                "{data_type}"
            );
        }
    }
}
