//! The envelope around a message: its fields in AWS's order, and the signed text (facts/sns.md § 7, § 8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Attribute, AttributeValue, Time, iso8601};

use crate::json::{close, member, text};
use crate::payload::{Kind, Notification, SignatureVersion};

/// A signer of envelopes.
pub trait Signer {
    /// Returns the signature of a text, in base64. It is called with the same text repeatedly: once for each
    /// taker.
    fn sign(&self, version: SignatureVersion, text: &str) -> String;

    /// Returns the file name of the certificate: the last part of its URL.
    fn certificate_name(&self) -> String;

    /// Returns the base URL of the certificate, for a message whose links begin with `base`.
    fn certificate_url(&self, base: &str, topic_arn: &str) -> String {
        let _ = topic_arn;
        format!("{base}/{}", self.certificate_name())
    }
}

/// A signer for answers in which no signature stands.
#[derive(Clone, Copy, Debug)]
pub struct Unsigned;

impl Signer for Unsigned {
    fn sign(&self, _: SignatureVersion, _: &str) -> String {
        String::new()
    }

    fn certificate_name(&self) -> String {
        String::new()
    }
}

/// The receiver of an envelope.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    /// The name of its protocol, which selects the text.
    pub protocol: &'a str,
    /// The subscription's ARN.
    pub subscription_arn: &'a str,
    /// When the message was published.
    pub at: Time,
    /// The message's id.
    pub message_id: &'a str,
    /// The message's sequence number, if its topic is FIFO.
    pub sequence_number: &'a str,
    /// The signature version.
    pub signature: SignatureVersion,
    /// Whether it is a replay.
    pub replayed: bool,
}

impl Notification {
    /// Returns AWS's name of the kind of message: `Type` in the envelope, and a header of its HTTP request.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Notification => "Notification",
            Kind::SubscriptionConfirmation(_) => "SubscriptionConfirmation",
            Kind::UnsubscribeConfirmation { .. } => "UnsubscribeConfirmation",
        }
    }

    /// Returns the link that confirms the subscription, for a message that asks for it.
    pub fn subscribe_url(&self) -> Option<String> {
        let token = self.token()?;
        Some(format!("{}/?Action=ConfirmSubscription&TopicArn={}&Token={token}", self.base, self.topic_arn))
    }

    /// Returns the link that ends a subscription.
    pub fn unsubscribe_url(&self, subscription_arn: &str) -> String {
        format!("{}/?Action=Unsubscribe&SubscriptionArn={subscription_arn}", self.base)
    }

    /// Returns the token of a message that asks for a confirmation.
    pub fn token(&self) -> Option<&str> {
        match &self.kind {
            Kind::Notification => None,
            Kind::SubscriptionConfirmation(token) => Some(token),
            Kind::UnsubscribeConfirmation { token, .. } => Some(token),
        }
    }

    /// Returns the text to sign.
    pub fn canonical(&self, taker: &Taker<'_>) -> String {
        let timestamp = iso8601::write_exactly(taker.at.0 as i64);
        let url = self.subscribe_url();
        let is_notification = self.kind == Kind::Notification;
        let fields: [(&str, Option<&str>); 8] = [
            ("Message", Some(self.text_for(taker.protocol))),
            ("MessageId", Some(taker.message_id)),
            ("SubscribeURL", url.as_deref()),
            ("Subject", self.subject.as_deref().filter(|_| is_notification)),
            ("Timestamp", Some(&timestamp)),
            ("Token", self.token()),
            ("TopicArn", Some(&self.topic_arn)),
            ("Type", Some(self.kind_name())),
        ];
        let mut canonical = String::with_capacity(256 + self.message.len());
        for (name, value) in fields {
            let Some(value) = value else { continue };
            canonical.push_str(name);
            canonical.push('\n');
            canonical.push_str(value);
            canonical.push('\n');
        }
        canonical
    }
}

/// Returns the envelope as JSON.
pub fn envelope(notification: &Notification, taker: &Taker<'_>, signer: &dyn Signer) -> String {
    let message = notification.text_for(taker.protocol);
    let mut out = String::with_capacity(1024 + message.len() * 9 / 8);
    out.push('{');
    member(&mut out, "Type", notification.kind_name());
    member(&mut out, "MessageId", taker.message_id);
    let is_notification = notification.kind == Kind::Notification;
    if notification.fifo && is_notification {
        member(&mut out, "SequenceNumber", taker.sequence_number);
    }
    if let Some(token) = notification.token() {
        member(&mut out, "Token", token);
    }
    member(&mut out, "TopicArn", &notification.topic_arn);
    if let Some(subject) = notification.subject.as_deref().filter(|_| is_notification) {
        member(&mut out, "Subject", subject);
    }
    member(&mut out, "Message", message);
    if let Some(url) = notification.subscribe_url() {
        member(&mut out, "SubscribeURL", &url);
    }
    member(&mut out, "Timestamp", &iso8601::write_exactly(taker.at.0 as i64));
    // Messages of a FIFO topic are not signed.
    if !(notification.fifo && is_notification) {
        let version = taker.signature;
        let signature = signer.sign(version, &notification.canonical(taker));
        member(&mut out, "SignatureVersion", version.text());
        member(&mut out, "Signature", &signature);
        let url = signer.certificate_url(&notification.base, &notification.topic_arn);
        member(&mut out, "SigningCertURL", &url);
    }
    if is_notification {
        member(&mut out, "UnsubscribeURL", &notification.unsubscribe_url(taker.subscription_arn));
        if !notification.attributes.is_empty() {
            out.push_str("\"MessageAttributes\":");
            attributes_json(&mut out, &notification.attributes);
            out.push(',');
        }
        if taker.replayed {
            out.push_str("\"Replayed\":true,");
        }
    }
    close(&mut out);
    out
}

/// `{"name":{"Type":…,"Value":…}}`
pub(crate) fn attributes_json(out: &mut String, attributes: &[Attribute]) {
    out.push('{');
    for attribute in attributes {
        text(out, &attribute.name);
        out.push_str(":{");
        member(out, "Type", &attribute.data_type);
        match &attribute.value {
            AttributeValue::Text(value) => member(out, "Value", value),
            AttributeValue::Binary(bytes) => member(out, "Value", &STANDARD.encode(bytes)),
        }
        close(out);
        out.push(',');
    }
    close(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stamp;

    impl Signer for Stamp {
        fn sign(&self, version: SignatureVersion, text: &str) -> String {
            format!("{}:{}", version.text(), text.len())
        }

        fn certificate_name(&self) -> String {
            "cert.pem".into()
        }
    }

    fn notification() -> Notification {
        Notification {
            kind: Kind::Notification,
            message: "hello".into(),
            message_md5: [0; 16],
            texts: vec![("http".into(), "over http".into())],
            subject: None,
            attributes: Vec::new(),
            trace_header: None,
            topic_arn: "arn:t".into(),
            base: "http://h".into(),
            endpoint: None,
            fifo: false,
        }
    }

    fn taker(protocol: &str) -> Taker<'_> {
        Taker {
            protocol,
            subscription_arn: "arn:t:s",
            at: Time(0),
            message_id: "id",
            sequence_number: "7",
            signature: SignatureVersion::One,
            replayed: false,
        }
    }

    #[test]
    fn fields_stand_in_the_order_of_aws() {
        let signed = "Message\nhello\nMessageId\nid\nTimestamp\n1970-01-01T00:00:00.000Z\nTopicArn\narn:t\nType\nNotification\n";
        assert_eq!(notification().canonical(&taker("sqs")), signed);
        assert_eq!(
            envelope(&notification(), &taker("sqs"), &Stamp),
            format!(
                "{{\"Type\":\"Notification\",\"MessageId\":\"id\",\"TopicArn\":\"arn:t\",\"Message\":\"hello\",\
                 \"Timestamp\":\"1970-01-01T00:00:00.000Z\",\"SignatureVersion\":\"1\",\"Signature\":\"1:{}\",\
                 \"SigningCertURL\":\"http://h/cert.pem\",\
                 \"UnsubscribeURL\":\"http://h/?Action=Unsubscribe&SubscriptionArn=arn:t:s\"}}",
                signed.len()
            )
        );
        assert!(envelope(&notification(), &taker("http"), &Stamp).contains("\"Message\":\"over http\""));
    }

    #[test]
    fn a_fifo_topics_envelope_has_a_sequence_number_and_no_signature() {
        let text = envelope(&Notification { fifo: true, ..notification() }, &taker("sqs"), &Stamp);
        assert!(text.contains("\"SequenceNumber\":\"7\",\"TopicArn\""), "{text}");
        assert!(!text.contains("Sign"), "{text}");
    }

    #[test]
    fn a_confirmation_carries_its_link_and_signs_it() {
        let asks = Notification { kind: Kind::SubscriptionConfirmation("tok".into()), ..notification() };
        let text = envelope(&asks, &taker("sqs"), &Stamp);
        assert!(
            text.contains("\"Token\":\"tok\",\"TopicArn\":\"arn:t\",\"Message\":\"hello\",\"SubscribeURL\":"),
            "{text}"
        );
        assert!(!text.contains("UnsubscribeURL"), "{text}");
        assert!(asks.canonical(&taker("sqs")).contains(
            "\nSubscribeURL\nhttp://h/?Action=ConfirmSubscription&TopicArn=arn:t&Token=tok\nTimestamp\n"
        ));
    }
}
