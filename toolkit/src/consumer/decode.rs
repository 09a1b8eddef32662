//! Decodes a received message: unwraps an SNS notification, undoes the steps, parses the envelope.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::body::{Attribute, Attributes, BodyError, BodyStep};
use crate::consumer::delivery::Delivery;
use crate::consumer::raw::Raw;
use crate::envelope::{Envelope, EnvelopeError, Metadata, check_data, check_type};
use crate::message::Message;
use crate::publisher::BodyForm;

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("{0}")]
    Step(BodyError),
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
}

impl DecodeError {
    pub fn retryable(&self) -> bool {
        matches!(self, DecodeError::Step(error) if error.retryable)
    }
}

/// The JSON in which SNS delivers a message to a queue, unless the subscription has raw delivery.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    #[serde(rename = "Type")]
    kind: String,
    message: String,
    #[serde(default)]
    message_attributes: BTreeMap<String, NotificationAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NotificationAttribute {
    #[serde(rename = "Type")]
    kind: String,
    value: String,
}

/// Decodes the usual case: an envelope without anything around it. Returns `None` otherwise; then use
/// [`decode`]. (An SNS notification is not an envelope.)
pub(super) fn at_once<T: Message>(
    raw: &Raw,
    form: BodyForm,
    steps: &[Arc<dyn BodyStep>],
) -> Option<Delivery<T>> {
    if !steps.is_empty() || form != BodyForm::Envelope {
        return None;
    }
    Some(delivery(raw, Envelope::decode(raw.body()).ok()?, None))
}

pub(super) async fn decode<T: Message>(
    raw: &Raw,
    form: BodyForm,
    steps: &[Arc<dyn BodyStep>],
) -> Result<Delivery<T>, DecodeError> {
    let text = raw.body();
    let notification = unwrap_notification(text);
    let (text, wrapped_attributes) = match notification {
        Some((inner, attributes)) => (std::borrow::Cow::Owned(inner), Some(attributes)),
        None => (std::borrow::Cow::Borrowed(text), None),
    };
    let text = if steps.is_empty() {
        text
    } else {
        let attributes = wrapped_attributes.as_ref().unwrap_or(raw.attributes());
        let mut body = text.into_owned();
        for step in steps.iter().rev() {
            body = step.incoming(body, attributes).await.map_err(DecodeError::Step)?;
        }
        std::borrow::Cow::Owned(body)
    };
    let envelope = match form {
        BodyForm::Envelope => Envelope::decode(&text)?,
        BodyForm::Bare => {
            let attributes = wrapped_attributes.as_ref().unwrap_or(raw.attributes());
            let text_of = |name| attributes.get(name).and_then(Attribute::as_text).map(str::to_owned);
            let said = text_of("type");
            if let Some(said) = &said {
                check_type::<T>(said)?;
            }
            let what = "the body";
            let data: T =
                serde_json::from_str(&text).map_err(|why| EnvelopeError::Unreadable { what, why })?;
            if let Some(said) = &said {
                check_data(said, &data)?;
            }
            Envelope {
                id: raw.message_id().to_owned(),
                message_type: said.unwrap_or_else(|| data.message_type().to_owned()),
                source: text_of("source").unwrap_or_default(),
                timestamp: raw.sent_at(),
                data,
                metadata: Metadata { version: T::VERSION, ..Metadata::default() },
            }
        }
    };
    Ok(delivery(raw, envelope, wrapped_attributes))
}

fn delivery<T>(raw: &Raw, envelope: Envelope<T>, wrapped_attributes: Option<Attributes>) -> Delivery<T> {
    Delivery {
        envelope,
        message_id: raw.message_id().to_owned(),
        receive_count: raw.receive_count(),
        sent_at: raw.sent_at(),
        group: raw.group().map(str::to_owned),
        raw: raw.clone(),
        wrapped_attributes,
    }
}

/// Returns the message and its attributes if this is an SNS notification.
pub(crate) fn unwrap_notification(body: &str) -> Option<(String, Attributes)> {
    // A quick check is cheaper than parsing every body twice.
    if !body.contains("\"TopicArn\"") {
        return None;
    }
    let notification: Notification = serde_json::from_str(body).ok()?;
    if notification.kind != "Notification" {
        return None;
    }
    let read = |attribute: NotificationAttribute| match attribute.kind.as_str() {
        "Number" => Attribute::Number(attribute.value),
        "String.Array" => Attribute::List(attribute.value),
        _ => Attribute::Text(attribute.value),
    };
    let attributes = notification.message_attributes.into_iter().map(|(name, value)| (name, read(value)));
    Some((notification.message, attributes.collect()))
}
