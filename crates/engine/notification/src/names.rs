//! Names that are functions of the server's secret, so that nothing has to remember them and nobody else can guess them.

use kernel::{Secret, hex, uuid_text};

use crate::envelope::Signer;

/// What is needed to make envelopes.
#[derive(Clone, Copy)]
pub struct Keys<'a> {
    /// From which ids are made.
    pub secret: &'a Secret,
    /// Who signs.
    pub signer: &'a dyn Signer,
}

/// The `MessageId` of a published message, by its number.
pub fn message_id(secret: &Secret, number: u64) -> String {
    uuid_text(secret.derive("publication", number))
}

/// The last word of a subscription's ARN, by the subscription's number.
pub fn subscription_uuid(secret: &Secret, subscription: u64) -> String {
    uuid_text(secret.derive("subscription", subscription))
}

/// A subscription's ARN.
pub fn subscription_arn(secret: &Secret, topic_arn: &str, subscription: u64) -> String {
    format!("{topic_arn}:{}", subscription_uuid(secret, subscription))
}

/// The token that confirms a subscription, as it stands in the link: 128 hexadecimal digits. The last sixteen are the
/// subscription's number, so that nobody has to search for it; the others are what cannot be guessed.
pub fn confirmation_token(secret: &Secret, subscription: u64) -> String {
    let parts = ["token 1", "token 2", "token 3", "token 4"];
    let bytes = parts.iter().flat_map(|part| secret.derive(part, subscription)).take(56);
    hex(&bytes.chain(subscription.to_be_bytes()).collect::<Vec<u8>>())
}

/// The number of the subscription that a token confirms; none if it is not a token of this server.
pub fn subscription_of_token(secret: &Secret, token: &str) -> Option<u64> {
    let number = u64::from_str_radix(token.get(112..)?, 16).ok()?;
    (confirmation_token(secret, number) == token).then_some(number)
}
