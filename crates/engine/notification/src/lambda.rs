//! The event for a function (facts/sns.md § 7).

use kernel::iso8601;

use crate::envelope::{Signer, Taker, attributes_json};
use crate::json::{close, member};
use crate::payload::Notification;

/// Returns `{"Records":[…]}` with one record. Its spelling differs from the envelope's; absent values are
/// null or empty.
pub fn lambda_event(notification: &Notification, taker: &Taker<'_>, signer: &dyn Signer) -> String {
    let mut out = String::with_capacity(1024 + notification.message.len() * 9 / 8);
    out.push_str("{\"Records\":[{");
    member(&mut out, "EventSource", "aws:sns");
    member(&mut out, "EventVersion", "1.0");
    member(&mut out, "EventSubscriptionArn", taker.subscription_arn);
    out.push_str("\"Sns\":{");
    member(&mut out, "Type", notification.kind_name());
    member(&mut out, "MessageId", taker.message_id);
    member(&mut out, "TopicArn", &notification.topic_arn);
    match &notification.subject {
        Some(subject) => member(&mut out, "Subject", subject),
        None => out.push_str("\"Subject\":null,"),
    }
    member(&mut out, "Message", notification.text_for(taker.protocol));
    member(&mut out, "Timestamp", &iso8601::write_exactly(taker.at.0 as i64));
    let version = taker.signature;
    member(&mut out, "SignatureVersion", version.text());
    member(&mut out, "Signature", &signer.sign(version, &notification.canonical(taker)));
    let url = signer.certificate_url(&notification.base, &notification.topic_arn);
    member(&mut out, "SigningCertUrl", &url);
    member(&mut out, "UnsubscribeUrl", &notification.unsubscribe_url(taker.subscription_arn));
    out.push_str("\"MessageAttributes\":");
    attributes_json(&mut out, &notification.attributes);
    close(&mut out);
    out.push_str("}]}");
    out
}
