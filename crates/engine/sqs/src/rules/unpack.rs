//! What a copy of a parcel carries, in the form in which its queue gets it: made when it is read.

use bytes::Bytes;
use kernel::codec::Malformed;
use kernel::parcel::StoredCopy;
use kernel::{Arn, ParcelSent};
use md5::{Digest, Md5};
use notification::{Keys, Notification, Protocol, SignatureVersion, Taker, envelope, lambda_event};

use crate::rules::payload::Payload;

/// A copy's payload. `tail` is the parcel's.
pub fn unpack(
    parcel: &ParcelSent<'_>,
    copy: &StoredCopy,
    tail: &Bytes,
    keys: &Keys<'_>,
) -> Result<Payload, Malformed> {
    let mut notification = Notification::decode(tail)?;
    // What could not be delivered elsewhere lies in a dead-letter queue as it would have been delivered.
    let protocol = Protocol::from_number(copy.form.protocol).unwrap_or(Protocol::Sqs);
    let sender = sender(&notification.topic_arn);
    if copy.form.raw {
        let body = notification.text_for(protocol.name()).clone();
        let body_md5 = match protocol {
            // What was made in the engine's turn has no digest yet: it costs by the byte.
            Protocol::Sqs if notification.message_md5 != [0; 16] => notification.message_md5,
            _ => Md5::digest(body.as_bytes()).into(),
        };
        // They lie in the order in which they were published.
        notification.attributes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        return Ok(Payload {
            body,
            body_md5,
            sender,
            attributes: notification.attributes,
            trace_header: notification.trace_header,
        });
    }
    let message_id = notification::message_id(keys.secret, parcel.number);
    let subscription_arn =
        notification::subscription_arn(keys.secret, &notification.topic_arn, copy.form.recipient);
    let taker = Taker {
        protocol: protocol.name(),
        subscription_arn: &subscription_arn,
        at: parcel.at,
        message_id: &message_id,
        sequence_number: &kernel::sequence_number(parcel.number),
        signature: SignatureVersion::of_style(parcel.style),
        replayed: copy.form.replayed,
    };
    let body = match protocol {
        Protocol::Lambda => lambda_event(&notification, &taker, keys.signer),
        _ => envelope(&notification, &taker, keys.signer),
    };
    Ok(Payload {
        body_md5: Md5::digest(body.as_bytes()).into(),
        body: body.into(),
        sender,
        attributes: Vec::new(),
        trace_header: notification.trace_header,
    })
}

/// Who sent it, as far as the queue's clients see: the topic's account.
fn sender(topic_arn: &str) -> bytestring::ByteString {
    topic_arn.parse::<Arn>().map(|arn| arn.account).unwrap_or_default().into()
}
