//! Builds a delivery's parcel from a topic's message, in the format of the protocol.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use delivery::{
    Attribute, Confirmation, Email, EmailFormat, Function, HttpPost, HttpRequest, Message, MessageKind,
    Origin, Parcel, Payload, Push, Sms, Stream, Target, TokenRequest, WebRequest,
};
use eventbridge::deliveries::Way;
use kernel::codec::Malformed;
use kernel::{AttributeValue, ParcelSent};
use notification::{Kind, Notification, Protocol, SignatureVersion, Signer, Taker, envelope, lambda_event};
use sns::deliveries::Attempt;

use crate::deliverer::Tools;

/// Builds the parcel of an attempt. `head` and `tail` are those of the record of the publish.
pub fn pack(
    tools: &Tools,
    signer: &dyn Signer,
    attempt: &Attempt,
    head: &[u8],
    tail: &Bytes,
) -> Result<Parcel, Malformed> {
    let sent = ParcelSent::decode_label(head)?;
    let notification = Notification::decode(tail)?;
    let secret = tools.secret.get().ok_or(Malformed)?;
    let protocol = match &attempt.subscriber {
        Some(subscriber) => Protocol::from_name(&subscriber.protocol),
        None => Protocol::from_number(attempt.form.protocol),
    };
    let protocol = protocol.ok_or(Malformed)?;
    if protocol == Protocol::Application && attempt.device.is_none() {
        return Err(Malformed);
    }
    let subscription_arn = match (&attempt.subscriber, &notification.kind) {
        (Some(subscriber), _) => Some(subscriber.arn.clone()),
        (None, Kind::UnsubscribeConfirmation { subscription, .. }) => Some(subscription.to_string()),
        _ => None,
    };
    let message_id = notification::message_id(secret, sent.number);
    let sequence_number = kernel::sequence_number(sent.number);
    let taker = Taker {
        protocol: protocol.name(),
        subscription_arn: subscription_arn.as_deref().unwrap_or_default(),
        at: sent.at,
        message_id: &message_id,
        sequence_number: &sequence_number,
        signature: SignatureVersion::of_style(sent.style),
        replayed: attempt.form.replayed,
    };
    let payload = payload(signer, attempt, protocol, &notification, &taker);
    let token = notification.token().map(str::to_owned);
    let origin = Origin {
        at_ms: tools.clock.now().millis(),
        topic_arn: Some(notification.topic_arn.to_string()),
        subscription_arn,
        rule_arn: None,
        message_id,
        attributes: notification.attributes.iter().map(attribute).collect(),
        confirmation: token
            .zip(notification.subscribe_url())
            .map(|(token, subscribe_url)| Confirmation { token, subscribe_url }),
    };
    Ok(Parcel { origin, payload })
}

fn payload(
    signer: &dyn Signer,
    attempt: &Attempt,
    protocol: Protocol,
    notification: &Notification,
    taker: &Taker<'_>,
) -> Payload {
    let endpoint = match &attempt.subscriber {
        Some(subscriber) => subscriber.endpoint.clone(),
        None => notification.endpoint.as_deref().unwrap_or_default().to_owned(),
    };
    let is_notification = notification.kind == Kind::Notification;
    let raw = attempt.form.raw && is_notification;
    let text = || notification.text_for(protocol.name()).to_string();
    let wrapped = || envelope(notification, taker, signer);
    let body = || if raw { text() } else { wrapped() };
    let subject = notification.subject.as_deref().map(str::to_owned);
    match protocol {
        Protocol::Http | Protocol::Https => {
            let message = Message {
                kind: match notification.kind {
                    Kind::Notification => MessageKind::Notification,
                    Kind::SubscriptionConfirmation(_) => MessageKind::SubscriptionConfirmation,
                    Kind::UnsubscribeConfirmation { .. } => MessageKind::UnsubscribeConfirmation,
                },
                id: taker.message_id,
                topic_arn: &notification.topic_arn,
                subscription_arn: Some(taker.subscription_arn),
                raw,
                content_type: attempt.subscriber.as_ref().and_then(|to| to.content_type.as_deref()),
            };
            Payload::Http(HttpPost::of(message, endpoint, body().into()))
        }
        Protocol::Email => Payload::Email(Email {
            to: endpoint,
            from_name: None,
            subject,
            body: match notification.subscribe_url() {
                Some(url) => format!("{}\n\n{url}\n", notification.message),
                None => text(),
            },
            format: EmailFormat::Text,
            unsubscribe_url: is_notification.then(|| notification.unsubscribe_url(taker.subscription_arn)),
        }),
        Protocol::EmailJson => Payload::Email(Email {
            to: endpoint,
            from_name: None,
            subject,
            body: wrapped(),
            format: EmailFormat::Json,
            unsubscribe_url: None,
        }),
        Protocol::Sms => Payload::Sms(Sms {
            phone: endpoint,
            sender_id: text_attribute(notification, "AWS.SNS.SMS.SenderID"),
            kind: text_attribute(notification, "AWS.SNS.SMS.SMSType").unwrap_or_else(|| "Promotional".into()),
            text: text(),
        }),
        Protocol::Application => {
            // Without a device `pack` has returned an error.
            let device = attempt.device.clone().unwrap_or_default();
            Payload::Push(Push {
                payload: notification.text_for(&device.platform).to_string(),
                platform: device.platform,
                endpoint_arn: endpoint,
                token: device.token,
                custom_user_data: device.custom_user_data,
                subject,
            })
        }
        Protocol::Lambda => Payload::Function(Function {
            function_arn: endpoint,
            event: lambda_event(notification, taker, signer),
        }),
        // Queues get copies and no deliveries, so the rest is a stream.
        Protocol::Firehose | Protocol::Sqs => {
            Payload::Stream(Stream { stream_arn: endpoint, data: body().into() })
        }
    }
}

/// Builds the parcel of an attempt to hand an event to a target of a rule. `tail` is that of the record of the event.
pub fn pack_event(
    tools: &Tools,
    attempt: &eventbridge::deliveries::Attempt,
    head: &[u8],
    tail: &Bytes,
) -> Result<Parcel, Malformed> {
    let sent = ParcelSent::decode_label(head)?;
    let stored = Notification::decode(tail)?;
    let secret = tools.secret.get().ok_or(Malformed)?;
    let input = stored.text_for(eventbridge::deliveries::INPUT).to_string();
    let arn = attempt.target_arn.clone();
    let payload = match (&attempt.way, arn.split(':').nth(2)) {
        (Way::Request(invocation, parameters), _) => {
            let request = invocation.request(parameters.as_deref(), &stored.message, &input);
            Payload::Request(http_request(arn, request))
        }
        (_, Some("lambda")) => Payload::Function(Function { function_arn: arn, event: input }),
        (_, Some("firehose")) => Payload::Stream(Stream { stream_arn: arn, data: input.into() }),
        _ => Payload::Target(Target { arn, input }),
    };
    let origin = Origin {
        at_ms: tools.clock.now().millis(),
        rule_arn: Some(attempt.rule_arn.clone()),
        message_id: notification::message_id(secret, sent.number),
        ..Origin::default()
    };
    Ok(Parcel { origin, payload })
}

/// A request that a service has made, as it is sent.
pub fn http_request(destination_arn: String, request: kernel::request::Request) -> HttpRequest {
    HttpRequest {
        destination_arn,
        token: request.token.as_ref().map(token_request),
        request: WebRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body.into(),
        },
    }
}

/// The request for a connection's token.
pub fn token_request(request: &kernel::request::TokenRequest) -> TokenRequest {
    TokenRequest {
        owner: request.connection,
        version: request.version,
        request: WebRequest {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone().into(),
        },
    }
}

fn text_attribute(notification: &Notification, name: &str) -> Option<String> {
    let attribute = notification.attributes.iter().find(|attribute| attribute.name == name)?;
    match &attribute.value {
        AttributeValue::Text(text) => Some(text.to_string()),
        AttributeValue::Binary(_) => None,
    }
}

fn attribute(attribute: &kernel::Attribute) -> Attribute {
    Attribute {
        name: attribute.name.to_string(),
        data_type: attribute.data_type.to_string(),
        value: match &attribute.value {
            AttributeValue::Text(text) => text.to_string(),
            AttributeValue::Binary(bytes) => STANDARD.encode(bytes),
        },
    }
}
