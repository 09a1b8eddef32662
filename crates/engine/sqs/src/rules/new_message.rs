//! A message on its way into a queue: what can be checked and computed without knowing the queue.

use bytes::Bytes;
use bytestring::ByteString;
use kernel::{Refusal, hex};
use md5::{Digest, Md5};
use sha2::Sha256;

use crate::rules::payload::{Attribute, AttributeValue, Parts};
use crate::{limits, refusals};

/// A message that is right in itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewMessage {
    /// What is stored, encoded.
    pub payload: Bytes,
    /// Body and attributes together, in bytes: what limits are about.
    pub size: usize,
    /// MD5 of the body.
    pub body_md5: [u8; 16],
    /// MD5 of the message attributes, if there are any.
    pub attributes_md5: Option<[u8; 16]>,
    /// MD5 of the system attributes, if there are any.
    pub system_attributes_md5: Option<[u8; 16]>,
    /// `MessageGroupId`.
    pub group: Option<ByteString>,
    /// `MessageDeduplicationId`.
    pub deduplication_id: Option<ByteString>,
    /// SHA-256 of the body in hexadecimal, if it may be needed; else empty.
    pub content_hash: ByteString,
    /// `DelaySeconds`.
    pub delay_seconds: Option<u32>,
}

/// What a request says about one message.
#[derive(Clone, Debug, Default)]
pub struct MessageDraft<'t> {
    /// `MessageBody`; empty if absent.
    pub body: ByteString,
    /// `DelaySeconds`.
    pub delay_seconds: Option<i64>,
    /// `MessageAttributes`.
    pub attributes: Vec<AttributeDraft>,
    /// `MessageSystemAttributes`.
    pub system_attributes: Vec<AttributeDraft>,
    /// `MessageGroupId`.
    pub group: Option<ByteString>,
    /// `MessageDeduplicationId`.
    pub deduplication_id: Option<ByteString>,
    /// The HTTP header `X-Amzn-Trace-Id`, which counts where no system attribute says otherwise.
    pub trace_header: Option<&'t ByteString>,
}

/// An attribute as a request has it.
#[derive(Clone, Debug, Default)]
pub struct AttributeDraft {
    /// Its name.
    pub name: ByteString,
    /// `DataType`.
    pub data_type: Option<ByteString>,
    /// `StringValue`.
    pub text: Option<ByteString>,
    /// `BinaryValue`.
    pub binary: Option<bytes::Bytes>,
    /// Whether it has one of the lists that AWS's model has and AWS does not implement.
    pub has_lists: bool,
}

impl MessageDraft<'_> {
    /// Body and attributes together, in bytes.
    pub fn size(&self) -> usize {
        let attribute = |attribute: &AttributeDraft| {
            attribute.name.len()
                + attribute.data_type.as_ref().map_or(0, |data_type| data_type.len())
                + attribute.text.as_ref().map_or(0, |text| text.len())
                + attribute.binary.as_ref().map_or(0, |binary| binary.len())
        };
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// Checks it, hashes it, encodes it. `fifo`: whether the queue's name is a FIFO queue's.
    pub fn check(self, sender: &str, fifo: bool) -> Result<NewMessage, Refusal> {
        let body_md5 = Md5::digest(self.body.as_bytes()).into();
        let mut payload = Vec::new();
        let message = self.check_with(body_md5, sender, fifo, &mut payload)?;
        Ok(NewMessage { payload: payload.into(), ..message })
    }

    /// The same for the messages of a batch. Their payloads come to lie in one piece of memory.
    pub fn check_all<T>(
        drafts: Vec<(T, MessageDraft<'_>)>,
        sender: &str,
        fifo: bool,
    ) -> Vec<(T, Result<NewMessage, Refusal>)> {
        let bodies: Vec<&[u8]> = drafts.iter().map(|(_, draft)| &draft.body.as_bytes()[..]).collect();
        let digests = md5_lanes::digests(&bodies);
        let mut payloads = Vec::with_capacity(drafts.iter().map(|(_, draft)| draft.size() + 128).sum());
        let mut ends = Vec::with_capacity(drafts.len());
        let mut checked = Vec::with_capacity(drafts.len());
        for ((name, draft), md5) in drafts.into_iter().zip(digests) {
            checked.push((name, draft.check_with(md5, sender, fifo, &mut payloads)));
            ends.push(payloads.len());
        }
        let payloads = Bytes::from(payloads);
        let mut begin = 0;
        for ((_, message), end) in checked.iter_mut().zip(ends) {
            if let Ok(message) = message {
                message.payload = payloads.slice(begin..end);
            }
            begin = end;
        }
        checked
    }

    /// Checks a message whose body's MD5 is known, and encodes its payload behind those of others; where it lies there is
    /// for the caller to say.
    fn check_with(
        self,
        body_md5: [u8; 16],
        sender: &str,
        fifo: bool,
        payloads: &mut Vec<u8>,
    ) -> Result<NewMessage, Refusal> {
        if self.body.is_empty() {
            return Err(refusals::parameter_missing("MessageBody"));
        }
        check_body(&self.body)?;
        let delay_seconds = match self.delay_seconds {
            None => None,
            Some(delay @ 0..=900) => Some(delay as u32),
            Some(delay) => {
                return Err(refusals::value_invalid(
                    delay,
                    "DelaySeconds",
                    "DelaySeconds must be >= 0 and <= 900.",
                ));
            }
        };
        for (id, parameter) in
            [(&self.group, "MessageGroupId"), (&self.deduplication_id, "MessageDeduplicationId")]
        {
            if let Some(id) = id {
                check_id(id, parameter)?;
            }
        }
        if self.attributes.len() > limits::MESSAGE_ATTRIBUTES {
            return Err(refusals::parameter_invalid(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                self.attributes.len()
            )));
        }
        let mut attributes =
            self.attributes.into_iter().map(check_attribute).collect::<Result<Vec<_>, _>>()?;
        attributes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let system = check_system_attributes(self.system_attributes)?;
        let system_attributes_md5 = (!system.is_empty()).then(|| attributes_md5(&system));
        let given = system.into_iter().next().and_then(|attribute| match attribute.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Binary(_) => None,
        });
        let size = self.body.len() + attributes.iter().map(Attribute::size).sum::<usize>();
        let trace_header = given.as_ref().or(self.trace_header);
        let payload = Parts {
            body: &self.body,
            body_md5: &body_md5,
            sender,
            attributes: &attributes,
            trace_header: trace_header.map(|header| &**header),
        };
        payload.encode(payloads);
        let content_hash = if fifo && self.deduplication_id.is_none() {
            hex(&Sha256::digest(self.body.as_bytes())).into()
        } else {
            ByteString::new()
        };
        Ok(NewMessage {
            size,
            body_md5,
            attributes_md5: (!attributes.is_empty()).then(|| attributes_md5(&attributes)),
            system_attributes_md5,
            group: self.group,
            deduplication_id: self.deduplication_id,
            content_hash,
            delay_seconds,
            payload: Bytes::new(),
        })
    }
}

/// MD5 over attributes that are sorted by name (facts/sqs.md § 5).
pub fn attributes_md5<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> [u8; 16] {
    fn part(hash: &mut Md5, bytes: &[u8]) {
        hash.update((bytes.len() as u32).to_be_bytes());
        hash.update(bytes);
    }
    let mut hash = Md5::new();
    for attribute in attributes {
        part(&mut hash, attribute.name.as_bytes());
        part(&mut hash, attribute.data_type.as_bytes());
        match &attribute.value {
            AttributeValue::Text(text) => {
                hash.update([1]);
                part(&mut hash, text.as_bytes());
            }
            AttributeValue::Binary(bytes) => {
                hash.update([2]);
                part(&mut hash, bytes);
            }
        }
    }
    hash.finalize().into()
}

/// Only some characters can stand in a body (facts/sqs.md § 4).
fn check_body(body: &str) -> Result<(), Refusal> {
    match illegal_character(body) {
        None => Ok(()),
        Some(character) => {
            Err(Refusal::new("InvalidMessageContents", illegal(character, "the message body")))
        }
    }
}

/// The same characters can stand in an attribute's type and value (AWS's guide, "message attribute components"). AWS then says
/// InvalidParameterValue (observed by LocalStack's authors); the text is our own.
fn check_attribute_text(text: &str, name: &str) -> Result<(), Refusal> {
    match illegal_character(text) {
        None => Ok(()),
        Some(character) => {
            let whereabouts = format!("the message attribute '{name}'");
            Err(refusals::parameter_invalid(illegal(character, &whereabouts)))
        }
    }
}

fn illegal(character: char, whereabouts: &str) -> String {
    format!(
        "Invalid binary character '#x{:X}' was found in {whereabouts}, the set of allowed characters is \
         #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        character as u32
    )
}

/// The first character that can stand neither in a body nor in an attribute, if there is one.
fn illegal_character(text: &str) -> Option<char> {
    // Nearly all bodies have neither control characters nor U+FFFE and U+FFFF, whose UTF-8 begins with 0xEF; and of those
    // that have some, nearly all have only tabs and ends of lines.
    if !any(text, |byte| (byte < 0x20) | (byte == 0xEF))
        || !any(text, |byte| (byte < 0x20) & !matches!(byte, 0x9 | 0xA | 0xD) | (byte == 0xEF))
    {
        return None;
    }
    text.chars().find(
        |&c| matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}'),
    )
}

/// Whether a text has such a byte. Whole pieces are looked at without leaving early, so that the compiler can look at many
/// bytes at once.
#[inline]
fn any(text: &str, is_such: impl Fn(u8) -> bool) -> bool {
    text.as_bytes().chunks(256).any(|piece| piece.iter().fold(false, |found, &byte| found | is_such(byte)))
}

/// Group ids, deduplication ids and attempt ids (facts/sqs.md § 4): 1 to 128 letters, digits and punctuation.
pub fn check_id(id: &str, parameter: &str) -> Result<(), Refusal> {
    if (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason =
        format!("{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length.");
    Err(refusals::value_invalid(id, parameter, &reason))
}

fn check_attribute(draft: AttributeDraft) -> Result<Attribute, Refusal> {
    let name = draft.name;
    if name.is_empty() || name.len() > 256 {
        return Err(refusals::parameter_invalid(
            "Message (user) attribute names must be shorter than 256 Bytes",
        ));
    }
    let reserved =
        |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if reserved("AWS.") || reserved("Amazon.") || name.starts_with('.') || name.ends_with('.') {
        return Err(refusals::parameter_invalid(
            "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. These strings are reserved for \
             internal use. Additionally, they cannot start or end with '.'.",
        ));
    }
    if name.contains("..") || !name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')) {
        return Err(refusals::parameter_invalid(
            "Message (user) attribute name can contain alphanumeric characters, underscores (_), hyphens (-), and \
             periods (.). The name must not start or end with a period, and it must not have successive periods.",
        ));
    }
    let empty = |kind: &str| {
        refusals::parameter_invalid(format!(
            "Message (user) attribute '{name}' must contain a non-empty value of type '{kind}'."
        ))
    };
    let bad_type = || {
        refusals::parameter_invalid(format!(
            "The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes \
             is Binary, Number, and String."
        ))
    };
    let Some(data_type) = draft.data_type.filter(|data_type| !data_type.is_empty()) else {
        return Err(refusals::parameter_invalid(format!(
            "The message attribute '{name}' must contain a non-empty message attribute type."
        )));
    };
    if data_type.len() > 256 {
        return Err(bad_type());
    }
    check_attribute_text(&data_type, &name)?;
    if draft.has_lists {
        return Err(Refusal::new(
            "UnsupportedOperation",
            format!("Message attribute list values in SendMessage operation are not supported ('{name}')."),
        ));
    }
    let value = match data_type.split('.').next() {
        Some("String") => {
            let text = draft.text.filter(|text| !text.is_empty()).ok_or_else(|| empty("String"))?;
            check_attribute_text(&text, &name)?;
            AttributeValue::Text(text)
        }
        Some("Number") => {
            let text = draft.text.filter(|text| !text.is_empty()).ok_or_else(|| empty("String"))?;
            if !is_number(&text) {
                return Err(refusals::parameter_invalid(format!(
                    "Can't cast the value of message (user) attribute '{name}' to a number."
                )));
            }
            AttributeValue::Text(text)
        }
        Some("Binary") => AttributeValue::Binary(
            draft.binary.filter(|bytes| !bytes.is_empty()).ok_or_else(|| empty("Binary"))?,
        ),
        _ => return Err(bad_type()),
    };
    Ok(Attribute { name, data_type, value })
}

/// A decimal number of at most 38 significant digits between 10^-128 and 10^126 (facts/sqs.md § 4).
fn is_number(text: &str) -> bool {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        None => (unsigned, 0),
        Some((mantissa, exponent)) => match exponent.parse::<i32>() {
            Ok(exponent) if exponent.abs() <= 1000 => (mantissa, exponent),
            _ => return false,
        },
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().count() == 0 || !digits().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let Some(first) = digits().position(|byte| byte != b'0') else { return true };
    // The first significant digit exists, so the last one does.
    let last = digits().count() - 1 - digits().rev().position(|byte| byte != b'0').unwrap_or(0);
    let magnitude = whole.len() as i32 - 1 - first as i32 + exponent;
    last - first < 38 && (-128..=126).contains(&magnitude)
}

fn check_system_attributes(drafts: Vec<AttributeDraft>) -> Result<Vec<Attribute>, Refusal> {
    drafts
        .into_iter()
        .map(|draft| {
            if draft.name != "AWSTraceHeader" {
                return Err(refusals::parameter_invalid(format!(
                    "Message system attribute name '{}' is invalid.",
                    draft.name
                )));
            }
            if draft.data_type.as_deref() != Some("String") {
                return Err(refusals::parameter_invalid(
                    "The message system attribute 'AWSTraceHeader' has an invalid message system attribute type, the \
                     set of supported type prefixes is String.",
                ));
            }
            let text = draft.text.filter(|text| !text.is_empty()).ok_or_else(|| {
                refusals::parameter_invalid(
                    "Message (system) attribute 'AWSTraceHeader' must contain a non-empty value of type 'String'.",
                )
            })?;
            check_attribute_text(&text, &draft.name)?;
            Ok(Attribute {
                name: draft.name,
                data_type: ByteString::from_static("String"),
                value: AttributeValue::Text(text),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str, data_type: &str, value: AttributeValue) -> Attribute {
        Attribute { name: name.into(), data_type: data_type.into(), value }
    }

    fn text(name: &str, data_type: &str, value: &str) -> Attribute {
        attribute(name, data_type, AttributeValue::Text(value.into()))
    }

    #[test]
    fn attribute_digests_are_those_that_aws_gave() {
        // facts/sqs.md § 5, recorded from AWS
        let digest = |attributes: &[Attribute]| hex(&attributes_md5(attributes));
        assert_eq!(digest(&[text("Hello", "String", "There")]), "a311262e065454b75da111d535b8dacd");
        assert_eq!(
            digest(&[text("General", "String", "Kenobi"), text("Hello", "String", "There")]),
            "fca026605781cb4126a1e9044df24232"
        );
        assert_eq!(
            digest(&[
                text("General", "String", "Kenobi"),
                text("Hello", "String", "There"),
                text("Help.Me", "String", "Me")
            ]),
            "4c360f3fdafd970e05fae2f149d997f5"
        );
        assert_eq!(
            digest(&[text(
                "customNumberTypeAttrib",
                "Number.float",
                "4563442423554324324264524243.32543234"
            )]),
            "9fe1b90bbd9965bdf77bac517c7d2495"
        );
        assert_eq!(
            digest(&[attribute(
                "binaryAttribute",
                "Binary",
                AttributeValue::Binary(bytes::Bytes::from_static(b"Hello binary world!"))
            )]),
            "31a92b15d92f8db860eda32aceb656c3"
        );
        assert_eq!(digest(&[text("attr1", "Number", "19.12")]), "1f07082409022a373fa2a2601f82b3cb");
    }

    #[test]
    fn a_body_has_only_characters_that_xml_could_carry() {
        // facts/sqs.md § 4
        for good in ["\t\r\n ~", "\u{d7ff}\u{e000}\u{fffd}\u{10000}\u{10ffff}", "\u{ff00}"] {
            assert_eq!(check_body(good), Ok(()));
        }
        for bad in ["\0", "a\u{8}", "\u{b}", "\u{1f}", "ab\u{fffe}", "\u{ffff}"] {
            assert_eq!(check_body(bad).unwrap_err().shape, "InvalidMessageContents");
        }
    }

    #[test]
    fn so_has_an_attribute_but_the_refusal_is_another() {
        let refused = |name: &str, data_type: &str, text: &str| {
            let draft = AttributeDraft {
                name: name.into(),
                data_type: Some(data_type.into()),
                text: Some(text.into()),
                ..Default::default()
            };
            let (attributes, system_attributes) = match name {
                "AWSTraceHeader" => (vec![], vec![draft]),
                _ => (vec![draft], vec![]),
            };
            let draft =
                MessageDraft { body: "a".into(), attributes, system_attributes, ..Default::default() };
            draft.check("0", false).err().map(|refusal| (refusal.shape, refusal.message.contains("#x1F")))
        };
        assert_eq!(refused("x", "String", "\t\r\n"), None);
        let expected = Some(("InvalidParameterValueException", true));
        assert_eq!(refused("x", "String", "a\u{1f}"), expected);
        assert_eq!(refused("x", "String.a\u{1f}", "a"), expected);
        assert_eq!(refused("AWSTraceHeader", "String", "a\u{1f}"), expected);
    }

    #[test]
    fn an_id_has_letters_digits_and_punctuation() {
        // facts/sqs.md §§ 4 and 11
        assert_eq!(check_id("aZ09!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "MessageGroupId"), Ok(()));
        for bad in ["", " ", "ä", &"x".repeat(129)] {
            let refusal = check_id(bad, "MessageGroupId").unwrap_err();
            assert!(refusal.message.contains("1 to 128 in length."), "{}", refusal.message);
        }
    }

    #[test]
    fn numbers_have_38_digits_and_magnitudes_from_minus_128_to_126() {
        // facts/sqs.md § 4
        let many = "1".repeat(38);
        for good in ["0", "-1.5", "+12e10", "1e126", "1e-128", "000123000", &many] {
            assert!(is_number(good), "{good}");
        }
        let too_many = "1".repeat(39);
        for bad in ["", "abc", "1e127", "1e-129", "1.2.3", "--1", "1e", ".", &too_many] {
            assert!(!is_number(bad), "{bad}");
        }
    }

    #[test]
    fn the_first_fault_of_a_message_is_told() {
        let check = |draft: MessageDraft| draft.check("0", false).unwrap_err();
        let draft = MessageDraft::default();
        assert_eq!(check(draft).message, "The request must contain the parameter MessageBody.");
        let draft = MessageDraft { body: "a".into(), delay_seconds: Some(901), ..Default::default() };
        assert!(check(draft).message.contains("DelaySeconds must be >= 0 and <= 900."));
        let named = |name: &str| MessageDraft {
            body: "a".into(),
            attributes: vec![AttributeDraft {
                name: name.into(),
                data_type: Some("String".into()),
                text: Some("x".into()),
                ..Default::default()
            }],
            ..Default::default()
        };
        for bad in ["aws.x", "AMAZON.y", ".a", "a.", "a..b", "a!b", "a(b"] {
            assert_eq!(check(named(bad)).shape, "InvalidParameterValueException", "{bad}");
        }
        assert!(named("attr.1øßä").check("0", false).is_ok());
    }
}
