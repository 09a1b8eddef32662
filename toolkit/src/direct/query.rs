//! Publishes to topics without the SDK's machinery: a form out, XML back.

use std::time::Duration;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use crate::direct::{BatchAnswer, Direct, Failed, Succeeded};

/// A form, built field by field.
pub(crate) struct Form(String);

impl Form {
    /// Creates a form for a call such as `PublishBatch`. `bytes` is the approximate total length.
    pub fn new(operation: &str, bytes: usize) -> Form {
        let mut form = String::with_capacity(bytes);
        form.push_str("Action=");
        form.push_str(operation);
        form.push_str("&Version=2010-03-31");
        Form(form)
    }

    /// Adds a field; its name needs no escapes.
    pub fn add(&mut self, (prefix, name): (&str, &str), value: &str) {
        self.0.push('&');
        self.0.push_str(prefix);
        self.0.push_str(name);
        self.0.push('=');
        escape(&mut self.0, value);
    }
}

/// Bytes that need no escape in a form.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'_' | b'.' | b'~');
        byte += 1;
    }
    plain
};

fn escape(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    // Run by run: most bytes need no escape, and copying many at once is cheap.
    let mut run = 0;
    for (place, byte) in text.bytes().enumerate() {
        if PLAIN[usize::from(byte)] {
            continue;
        }
        // There is nothing to copy between the bytes of one character.
        out.push_str(text.get(run..place).unwrap_or_default());
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        run = place + 1;
    }
    out.push_str(text.get(run..).unwrap_or_default());
}

impl Direct {
    /// Returns the answer to a batch sent as a form; `None` if the SDK must send it.
    pub async fn batch(&self, operation: &str, form: Form, patience: Duration) -> Option<BatchAnswer> {
        let read = |answer: &[u8]| read_batch(answer).ok();
        self.exchange(operation, || Some(form.0.into_bytes()), patience, None, read).await
    }
}

/// `<PublishBatchResponse><PublishBatchResult><Successful><member>…`, and similar.
fn read_batch(answer: &[u8]) -> Result<BatchAnswer, XmlDecodeError> {
    let mut document = Document::try_from(answer)?;
    let mut response = document.root_element()?;
    let mut batch = BatchAnswer { successful: None, failed: None };
    let mut result = match response.next_tag() {
        Some(result) if result.start_el().local().ends_with("BatchResult") => result,
        _ => return Err(XmlDecodeError::custom("not the answer to a batch")),
    };
    while let Some(mut list) = result.next_tag() {
        match list.start_el().local() {
            "Successful" => {
                batch.successful =
                    Some(members(&mut list, |entry: &mut Succeeded, field, text| match field {
                        "Id" => entry.id = text,
                        "MessageId" => entry.message_id = text,
                        "SequenceNumber" => entry.sequence_number = Some(text),
                        _ => {}
                    })?);
            }
            "Failed" => {
                batch.failed = Some(members(&mut list, |entry: &mut Failed, field, text| match field {
                    "Id" => entry.id = text,
                    "Code" => entry.code = text,
                    "Message" => entry.message = Some(text),
                    "SenderFault" => entry.sender_fault = text == "true",
                    _ => {}
                })?);
            }
            _ => {}
        }
    }
    Ok(batch)
}

fn members<T: Default>(
    list: &mut ScopedDecoder<'_, '_>,
    set: impl Fn(&mut T, &str, String),
) -> Result<Vec<T>, XmlDecodeError> {
    let mut members = Vec::new();
    while let Some(mut member) = list.next_tag() {
        let mut entry = T::default();
        while let Some(mut field) = member.next_tag() {
            let name = field.start_el().local().to_owned();
            set(&mut entry, &name, try_data(&mut field)?.into_owned());
        }
        members.push(entry);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_what_was_put_into_it() {
        let mut form = Form::new("PublishBatch", 0);
        form.add(("A.", "b"), "plain-._~09AZ");
        form.add(("", "c"), "ü 🦀&=+%\"\n");
        let expected = "Action=PublishBatch&Version=2010-03-31&A.b=plain-._~09AZ\
                        &c=%C3%BC%20%F0%9F%A6%80%26%3D%2B%25%22%0A";
        assert_eq!(form.0, expected);
    }

    #[test]
    fn an_answer_names_what_was_taken_and_what_was_not() {
        let answer = br#"<?xml version="1.0"?>
            <PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>
            <Failed><member><Id>1</Id><Code>InvalidParameter</Code><Message>a &lt; b</Message>
            <SenderFault>true</SenderFault></member></Failed>
            <Successful><member><MessageId>m</MessageId><Id>0</Id><SequenceNumber>7</SequenceNumber></member>
            <member><Id>2</Id><MessageId>n</MessageId></member></Successful>
            </PublishBatchResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>"#;
        let batch = read_batch(answer).unwrap();
        let taken: Vec<_> = batch.successful.iter().flatten().collect();
        assert_eq!((taken[0].id.as_str(), taken[0].message_id.as_str()), ("0", "m"));
        assert_eq!((taken[0].sequence_number.as_deref(), taken[1].id.as_str()), (Some("7"), "2"));
        let mut results = vec![Ok(()); 3];
        batch.failures(&mut results);
        let fault = results[1].as_ref().unwrap_err();
        assert_eq!((fault.code.as_str(), fault.retryable), ("InvalidParameter", false));
        assert!(fault.message.contains("a < b") && results[0].is_ok() && results[2].is_ok());
    }

    #[test]
    fn what_is_no_answer_to_a_batch_is_left_to_the_sdk() {
        let other = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>";
        for answer in ["", "{}", "<PublishBatchResponse>", "<PublishBatchResponse/>", other] {
            assert!(read_batch(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
