//! What is handed over, and how that ended.

use bytes::Bytes;

/// One attempt's worth: what to hand over, and what it is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Parcel {
    /// What it is about. Only the outbox and the gateways look at this.
    pub origin: Origin,
    /// What to hand over, and to whom.
    pub payload: Payload,
}

/// Where a parcel comes from: what a reader of the outbox wants to know besides the payload.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Origin {
    /// When this attempt is made, in milliseconds since 1970.
    pub at_ms: u64,
    /// The topic that it was published to; none if it was published straight to a phone or an endpoint.
    pub topic_arn: Option<String>,
    /// The subscription that it is for.
    pub subscription_arn: Option<String>,
    /// The message's id.
    pub message_id: String,
    /// The message's attributes.
    pub attributes: Vec<Attribute>,
    /// Present if the parcel asks its receiver to confirm a subscription.
    pub confirmation: Option<Confirmation>,
}

/// An attribute of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type, such as `String` or `Number`.
    pub data_type: String,
    /// Its value; of a binary one, in base64.
    pub value: String,
}

/// What the receiver needs to confirm a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmation {
    /// For `ConfirmSubscription`.
    pub token: String,
    /// The link that does the same.
    pub subscribe_url: String,
}

/// What to hand over, and to whom.
#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// Subscriptions with the protocols `http` and `https`.
    Http(HttpPost),
    /// `email` and `email-json`.
    Email(Email),
    /// `sms`, and messages published straight to a phone.
    Sms(Sms),
    /// `application`: mobile push.
    Push(Push),
    /// `lambda`.
    Function(Function),
    /// `firehose`.
    Stream(Stream),
}

impl Payload {
    /// The protocol of a subscription that such a parcel is for.
    pub fn protocol(&self) -> &'static str {
        match self {
            Payload::Http(post) if post.url.starts_with("https:") => "https",
            Payload::Http(_) => "http",
            Payload::Email(email) => match email.format {
                EmailFormat::Text => "email",
                EmailFormat::Json => "email-json",
            },
            Payload::Sms(_) => "sms",
            Payload::Push(_) => "application",
            Payload::Function(_) => "lambda",
            Payload::Stream(_) => "firehose",
        }
    }

    /// Where it goes. A URL may hold a user's name and password.
    pub fn endpoint(&self) -> &str {
        match self {
            Payload::Http(post) => &post.url,
            Payload::Email(email) => &email.to,
            Payload::Sms(sms) => &sms.phone,
            Payload::Push(push) => &push.endpoint_arn,
            Payload::Function(function) => &function.function_arn,
            Payload::Stream(stream) => &stream.stream_arn,
        }
    }
}

/// A POST request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpPost {
    /// Where to, as the subscriber gave it. May hold a user's name and password.
    pub url: String,
    /// Headers beside those that the carrier adds itself: `Host`, `Content-Length`, `User-Agent`, `Accept-Encoding`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// What a POST request of SNS tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    /// A message that was published.
    Notification,
    /// A question: is this endpoint to be subscribed?
    SubscriptionConfirmation,
    /// News: this endpoint is no longer subscribed.
    UnsubscribeConfirmation,
}

impl MessageKind {
    /// The word for it in SNS's envelopes and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageKind::Notification => "Notification",
            MessageKind::SubscriptionConfirmation => "SubscriptionConfirmation",
            MessageKind::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// What SNS says about a message in the headers of its POST request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// What the request tells.
    pub kind: MessageKind,
    /// The message's id.
    pub id: &'a str,
    /// The topic.
    pub topic_arn: &'a str,
    /// The subscription; is not sent with a confirmation.
    pub subscription_arn: Option<&'a str>,
    /// Whether the body is the message itself rather than an envelope.
    pub raw: bool,
    /// `headerContentType` of the subscription's or the topic's request policy. Confirmations disregard it.
    pub content_type: Option<&'a str>,
}

impl HttpPost {
    /// The request that SNS makes for a message, with its headers.
    pub fn of(message: Message<'_>, url: String, body: Bytes) -> HttpPost {
        let notification = message.kind == MessageKind::Notification;
        let content_type =
            message.content_type.filter(|_| notification).unwrap_or("text/plain; charset=UTF-8");
        let mut headers = vec![
            ("x-amz-sns-message-type", message.kind.as_str().to_owned()),
            ("x-amz-sns-message-id", message.id.to_owned()),
            ("x-amz-sns-topic-arn", message.topic_arn.to_owned()),
            ("content-type", content_type.to_owned()),
        ];
        if let Some(arn) = message.subscription_arn
            && message.kind != MessageKind::SubscriptionConfirmation
        {
            headers.push(("x-amz-sns-subscription-arn", arn.to_owned()));
        }
        if message.raw && notification {
            headers.push(("x-amz-sns-rawdelivery", "true".to_owned()));
        }
        HttpPost { url, headers, body }
    }
}

/// An e-mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    /// The address.
    pub to: String,
    /// The name that it comes from: the topic's display name.
    pub from_name: Option<String>,
    /// Its subject; without one, a general one is used.
    pub subject: Option<String>,
    /// Its text: the message, or SNS's envelope as JSON.
    pub body: String,
    /// Which of both.
    pub format: EmailFormat,
    /// The link that ends the subscription; goes below the text of a [`EmailFormat::Text`].
    pub unsubscribe_url: Option<String>,
}

/// The two protocols of e-mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EmailFormat {
    /// `email`: for people.
    Text,
    /// `email-json`: for programs.
    Json,
}

/// A text message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sms {
    /// The phone's number (E.164).
    pub phone: String,
    /// Who it is shown to come from.
    pub sender_id: Option<String>,
    /// `Promotional` or `Transactional`.
    pub kind: String,
    /// The text.
    pub text: String,
}

/// A mobile push notification.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Push {
    /// The platform, as in an application's ARN: `GCM`, `APNS` and so on.
    pub platform: String,
    /// The endpoint.
    pub endpoint_arn: String,
    /// The device's token.
    pub token: String,
    /// What the application keeps with the endpoint.
    pub custom_user_data: Option<String>,
    /// The subject that the message was published with.
    pub subject: Option<String>,
    /// What the platform is to get: text, or JSON in the platform's own form.
    pub payload: String,
}

/// A call of a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Function {
    /// The function.
    pub function_arn: String,
    /// The event, as JSON.
    pub event: String,
}

/// A record for a delivery stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stream {
    /// The delivery stream.
    pub stream_arn: String,
    /// The record.
    pub data: Bytes,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was handed over.
    Delivered {
        /// The status of the answer, where the protocol has one (HTTP, SMTP).
        status: Option<u16>,
    },
    /// It was not, as far as is known: the receiver may have got it even so.
    Failed {
        /// Whether another attempt would end in the same way.
        permanent: bool,
        /// The status of the answer, if one came.
        status: Option<u16>,
        /// Why, for the operator. Holds no password.
        reason: String,
    },
}

impl Outcome {
    /// A failure for good.
    pub(crate) fn refused(reason: impl Into<String>) -> Outcome {
        Outcome::Failed { permanent: true, status: None, reason: reason.into() }
    }

    /// A failure that may pass.
    pub(crate) fn missed(reason: impl Into<String>) -> Outcome {
        Outcome::Failed { permanent: false, status: None, reason: reason.into() }
    }

    /// What a status of HTTP means. A client's error is final, except "too many requests"; everything else but success is
    /// tried again (SNS's developer guide, "Message delivery retries").
    pub(crate) fn of_status(status: http::StatusCode) -> Outcome {
        let number = Some(status.as_u16());
        if status.is_success() {
            return Outcome::Delivered { status: number };
        }
        let permanent = status.is_client_error() && status != http::StatusCode::TOO_MANY_REQUESTS;
        Outcome::Failed { permanent, status: number, reason: format!("the endpoint answered {status}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(message: Message<'_>) -> Vec<(&'static str, String)> {
        HttpPost::of(message, String::new(), Bytes::new()).headers
    }

    #[test]
    fn a_notification_carries_its_ids_and_the_policy_s_content_type() {
        let message = Message {
            kind: MessageKind::Notification,
            id: "m",
            topic_arn: "t",
            subscription_arn: Some("s"),
            raw: true,
            content_type: Some("application/json"),
        };
        assert_eq!(
            headers(message),
            [
                ("x-amz-sns-message-type", "Notification".to_owned()),
                ("x-amz-sns-message-id", "m".to_owned()),
                ("x-amz-sns-topic-arn", "t".to_owned()),
                ("content-type", "application/json".to_owned()),
                ("x-amz-sns-subscription-arn", "s".to_owned()),
                ("x-amz-sns-rawdelivery", "true".to_owned()),
            ]
        );
    }

    #[test]
    fn a_confirmation_is_text_and_names_no_subscription() {
        let message = Message {
            kind: MessageKind::SubscriptionConfirmation,
            id: "m",
            topic_arn: "t",
            subscription_arn: Some("s"),
            raw: true,
            content_type: Some("application/json"),
        };
        let headers = headers(message);
        assert!(headers.contains(&("content-type", "text/plain; charset=UTF-8".to_owned())));
        assert!(!headers.iter().any(|(name, _)| name.contains("subscription") || name.contains("raw")));
    }

    #[test]
    fn of_the_statuses_only_a_client_s_own_errors_are_final() {
        // (status, delivered, permanent)
        for (status, delivered, permanent) in [
            (200, true, false),
            (204, true, false),
            (299, true, false),
            (301, false, false),
            (304, false, false),
            (400, false, true),
            (401, false, true),
            (404, false, true),
            (410, false, true),
            (429, false, false),
            (499, false, true),
            (500, false, false),
            (503, false, false),
            (599, false, false),
            (999, false, false),
        ] {
            let outcome = Outcome::of_status(http::StatusCode::from_u16(status).unwrap());
            match outcome {
                Outcome::Delivered { status: got } => assert_eq!((delivered, got), (true, Some(status))),
                Outcome::Failed { permanent: got, status: number, .. } => {
                    assert_eq!((delivered, permanent, Some(status)), (false, got, number));
                }
            }
        }
    }
}
