//! A parcel for one delivery attempt, and the result of the attempt.

use std::time::Duration;

use bytes::Bytes;

/// The data of one attempt: the content, and its origin.
#[derive(Clone, PartialEq, Debug)]
pub struct Parcel {
    /// The origin. Only the outbox and the gateways use it.
    pub origin: Origin,
    /// The content and the receiver.
    pub payload: Payload,
}

/// The origin of a parcel: data for a reader of the outbox in addition to the content.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Origin {
    /// The time of this attempt, in milliseconds since 1970.
    pub at_ms: u64,
    /// The topic of the publish; `None` for a publish directly to a telephone or an endpoint.
    pub topic_arn: Option<String>,
    /// The subscription of the delivery.
    pub subscription_arn: Option<String>,
    /// The rule of an event.
    pub rule_arn: Option<String>,
    /// The message's id.
    pub message_id: String,
    /// The message's attributes.
    pub attributes: Vec<Attribute>,
    /// Present if the parcel asks its receiver to confirm a subscription.
    pub confirmation: Option<Confirmation>,
}

/// A message attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type, such as `String` or `Number`.
    pub data_type: String,
    /// Its value; a binary value in base64.
    pub value: String,
}

/// The data with which a receiver confirms a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Confirmation {
    /// The token for `ConfirmSubscription`.
    pub token: String,
    /// The link that confirms it.
    pub subscribe_url: String,
}

/// The content and the receiver of a parcel.
#[derive(Clone, PartialEq, Debug)]
pub enum Payload {
    /// For subscriptions with the protocols `http` and `https`.
    Http(HttpPost),
    /// For `email` and `email-json`.
    Email(Email),
    /// For `sms`, and for publishes directly to a telephone.
    Sms(Sms),
    /// For `application`: mobile push.
    Push(Push),
    /// For `lambda`.
    Function(Function),
    /// For `firehose`.
    Stream(Stream),
    /// For an API destination.
    Request(HttpRequest),
    /// For a target of a rule that is of none of these kinds.
    Target(Target),
}

impl Payload {
    /// Returns the protocol of the subscription.
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
            Payload::Request(_) => "api-destination",
            Payload::Target(_) => "target",
        }
    }

    /// Returns the receiver. A URL may contain a user's name and password.
    pub fn endpoint(&self) -> &str {
        match self {
            Payload::Http(post) => &post.url,
            Payload::Email(email) => &email.to,
            Payload::Sms(sms) => &sms.phone,
            Payload::Push(push) => &push.endpoint_arn,
            Payload::Function(function) => &function.function_arn,
            Payload::Stream(stream) => &stream.stream_arn,
            // Its URL may contain a secret.
            Payload::Request(request) => &request.destination_arn,
            Payload::Target(target) => &target.arn,
        }
    }
}

/// A POST request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpPost {
    /// The URL, as the subscriber gave it. May contain a user's name and password.
    pub url: String,
    /// Headers in addition to those that the carrier adds: `Host`, `Content-Length`, `User-Agent`,
    /// `Accept-Encoding`.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// The kind of an SNS POST request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageKind {
    /// A published message.
    Notification,
    /// A request to confirm a subscription.
    SubscriptionConfirmation,
    /// A report that the endpoint is no longer subscribed.
    UnsubscribeConfirmation,
}

impl MessageKind {
    /// Returns the name in SNS's envelopes and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageKind::Notification => "Notification",
            MessageKind::SubscriptionConfirmation => "SubscriptionConfirmation",
            MessageKind::UnsubscribeConfirmation => "UnsubscribeConfirmation",
        }
    }
}

/// The data in the headers of an SNS POST request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// The kind of the request.
    pub kind: MessageKind,
    /// The message's id.
    pub id: &'a str,
    /// The topic.
    pub topic_arn: &'a str,
    /// The subscription; not sent with a confirmation.
    pub subscription_arn: Option<&'a str>,
    /// Whether the body is the message itself instead of an envelope.
    pub raw: bool,
    /// `headerContentType` of the subscription's or the topic's request policy. Confirmations ignore it.
    pub content_type: Option<&'a str>,
}

impl HttpPost {
    /// Returns SNS's request for a message, with its headers.
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
    /// The sender's display name: the topic's display name.
    pub from_name: Option<String>,
    /// The subject; without one, a general subject is used.
    pub subject: Option<String>,
    /// The text: the message, or SNS's envelope as JSON.
    pub body: String,
    /// The format of the text.
    pub format: EmailFormat,
    /// The link that ends the subscription; added below the text of a [`EmailFormat::Text`].
    pub unsubscribe_url: Option<String>,
}

/// The two formats of e-mail.
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
    /// The telephone number (E.164).
    pub phone: String,
    /// The displayed sender.
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
    /// The application's data for the endpoint.
    pub custom_user_data: Option<String>,
    /// The subject of the publish.
    pub subject: Option<String>,
    /// The payload for the platform: text, or JSON in the platform's format.
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

/// A request to an API destination.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The API destination.
    pub destination_arn: String,
    /// The request, without a token.
    pub request: WebRequest,
    /// How the token is fetched, if the request needs one.
    pub token: Option<TokenRequest>,
}

/// A request for a token that authorizes other requests.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// Whose token it is.
    pub owner: u64,
    /// The number of the owner's credentials. A token that was fetched with others does not count.
    pub version: u64,
    /// The request.
    pub request: WebRequest,
}

/// A request over HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct WebRequest {
    /// Such as `POST`.
    pub method: String,
    /// Where to.
    pub url: String,
    /// All headers, except `Host` and `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

// URLs, headers and bodies can contain secrets.
impl std::fmt::Debug for WebRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenRequest").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpRequest").field("destination_arn", &self.destination_arn).finish_non_exhaustive()
    }
}

/// The input for a target of a rule, of a service that has no gateway.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The target.
    pub arn: String,
    /// What the target is handed: JSON.
    pub input: String,
}

/// The result of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The parcel was delivered.
    Delivered {
        /// The status of the answer, if the protocol has one (HTTP, SMTP).
        status: Option<u16>,
    },
    /// The attempt failed. The receiver may have got the parcel anyway.
    Failed {
        /// Whether another attempt would fail in the same way.
        permanent: bool,
        /// The status of the answer, if there was one.
        status: Option<u16>,
        /// The reason, for the operator. Contains no password.
        reason: String,
        /// The kind of the reason.
        cause: Cause,
        /// The receiver wants no other attempt for so long (`Retry-After`).
        retry_after: Option<Duration>,
    },
}

/// Kinds of reasons why an attempt failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The attempt was not made, or it is unknown what happened.
    Other,
    /// The receiver refused the parcel.
    Answered,
    /// The receiver has got too many parcels.
    Throttled,
    /// The receiver did not answer in time.
    TimedOut,
    /// The receiver could not be reached.
    Unreachable,
}

impl Outcome {
    /// Creates a permanent failure.
    pub(crate) fn refused(reason: impl Into<String>) -> Outcome {
        Outcome::failed(true, Cause::Other, reason)
    }

    /// Creates a temporary failure.
    pub(crate) fn missed(reason: impl Into<String>) -> Outcome {
        Outcome::failed(false, Cause::Other, reason)
    }

    /// Creates a failure without an answer.
    pub(crate) fn failed(permanent: bool, cause: Cause, reason: impl Into<String>) -> Outcome {
        Outcome::Failed { permanent, status: None, reason: reason.into(), cause, retry_after: None }
    }

    /// Returns the meaning of an HTTP status. A client error is permanent, except "too many requests";
    /// everything else except success is retried (SNS's developer guide, "Message delivery retries").
    pub(crate) fn of_status(status: http::StatusCode) -> Outcome {
        let number = Some(status.as_u16());
        if status.is_success() {
            return Outcome::Delivered { status: number };
        }
        let permanent = status.is_client_error() && status != http::StatusCode::TOO_MANY_REQUESTS;
        Outcome::answered(permanent, status)
    }
}

impl Outcome {
    /// Creates a failure with an answer.
    pub(crate) fn answered(permanent: bool, status: http::StatusCode) -> Outcome {
        let cause = match status {
            http::StatusCode::TOO_MANY_REQUESTS => Cause::Throttled,
            _ => Cause::Answered,
        };
        Outcome::Failed {
            permanent,
            status: Some(status.as_u16()),
            reason: format!("the endpoint answered {status}"),
            cause,
            retry_after: None,
        }
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
