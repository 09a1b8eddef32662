//! A subscription as it is from now on: written when it is made, confirmed, and whenever its attributes change.

use std::collections::BTreeMap;

use kernel::Time;
use kernel::codec::{Malformed, Reader, put_pairs, put_str, put_u64};

use crate::{SubscriptionId, TopicId};

/// How a subscription came to be confirmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Confirmation {
    /// When.
    pub at: Time,
    /// Whether by somebody who signed: `ConfirmationWasAuthenticated`.
    pub authenticated: bool,
    /// Whether only its owner may end it (`AuthenticateOnUnsubscribe`).
    pub authenticate_on_unsubscribe: bool,
}

/// The whole of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionDeclared {
    /// Its number, never reused.
    pub id: SubscriptionId,
    /// The last word of its ARN.
    pub uuid: String,
    /// Of which topic.
    pub topic: TopicId,
    /// `sqs`, `https`, …
    pub protocol: String,
    /// Where to: an ARN, a URL, an address.
    pub endpoint: String,
    /// The account that owns it.
    pub owner: String,
    /// The ARN of who subscribed.
    pub principal: String,
    /// The attributes that were set, checked, as they are shown.
    pub attributes: BTreeMap<String, String>,
    /// When it was made.
    pub created: Time,
    /// Absent: it is pending.
    pub confirmed: Option<Confirmation>,
}

impl SubscriptionDeclared {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id.0);
        put_u64(out, self.topic.0);
        put_str(out, &self.uuid);
        put_str(out, &self.protocol);
        put_str(out, &self.endpoint);
        put_str(out, &self.owner);
        put_str(out, &self.principal);
        put_pairs(out, &self.attributes);
        put_u64(out, self.created.0);
        match &self.confirmed {
            None => out.push(0),
            Some(confirmation) => {
                let flags = 1
                    | u8::from(confirmation.authenticated) << 1
                    | u8::from(confirmation.authenticate_on_unsubscribe) << 2;
                out.push(flags);
                put_u64(out, confirmation.at.0);
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SubscriptionDeclared {
            id: SubscriptionId(reader.u64()?),
            topic: TopicId(reader.u64()?),
            uuid: reader.str()?.to_owned(),
            protocol: reader.str()?.to_owned(),
            endpoint: reader.str()?.to_owned(),
            owner: reader.str()?.to_owned(),
            principal: reader.str()?.to_owned(),
            attributes: reader.pairs()?,
            created: Time(reader.u64()?),
            confirmed: match reader.u8()? {
                0 => None,
                flags => Some(Confirmation {
                    authenticated: flags & 2 != 0,
                    authenticate_on_unsubscribe: flags & 4 != 0,
                    at: Time(reader.u64()?),
                }),
            },
        })
    }
}
