//! Names computed from the server's secret, so that they need no storage and nobody else can guess them.

use kernel::{Secret, hex, uuid_text};

use crate::envelope::Signer;

/// The secrets for building envelopes.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// The secret for ids.
    pub secret: &'a Secret,
    /// The signer.
    pub signer: &'a dyn Signer,
}

/// Returns the `MessageId` of a published message, by its number.
pub fn message_id(secret: &Secret, number: u64) -> String {
    uuid_text(secret.derive("publication", number))
}

/// Returns the last part of a subscription's ARN, by the subscription's number.
pub fn subscription_uuid(secret: &Secret, subscription: u64) -> String {
    uuid_text(secret.derive("subscription", subscription))
}

/// Returns a subscription's ARN.
pub fn subscription_arn(secret: &Secret, topic_arn: &str, subscription: u64) -> String {
    format!("{topic_arn}:{}", subscription_uuid(secret, subscription))
}

/// Returns the token that confirms a subscription, as in the link: 128 hexadecimal digits. The last sixteen
/// are the subscription's number, which makes a search unnecessary; the others cannot be guessed.
pub fn confirmation_token(secret: &Secret, subscription: u64) -> String {
    let parts = ["token 1", "token 2", "token 3", "token 4"];
    let bytes = parts.iter().flat_map(|part| secret.derive(part, subscription)).take(56);
    hex(&bytes.chain(subscription.to_be_bytes()).collect::<Vec<u8>>())
}

/// Returns the number of the subscription that a token confirms; `None` if this server did not issue the
/// token.
pub fn subscription_of_token(secret: &Secret, token: &str) -> Option<u64> {
    let number = u64::from_str_radix(token.get(112..)?, 16).ok()?;
    (confirmation_token(secret, number) == token).then_some(number)
}
