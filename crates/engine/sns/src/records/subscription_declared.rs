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
    /// When somebody else than its owner ended it: it is remembered for a while, so that its endpoint can undo that.
    pub ended: Option<Time>,
}

const CONFIRMED: u8 = 1;
const AUTHENTICATED: u8 = 2;
const GUARDED: u8 = 4;
const ENDED: u8 = 8;

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
        let confirmed = self.confirmed;
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        out.push(
            flag(confirmed.is_some(), CONFIRMED)
                | flag(confirmed.is_some_and(|confirmed| confirmed.authenticated), AUTHENTICATED)
                | flag(confirmed.is_some_and(|confirmed| confirmed.authenticate_on_unsubscribe), GUARDED)
                | flag(self.ended.is_some(), ENDED),
        );
        for time in confirmed.map(|confirmed| confirmed.at).into_iter().chain(self.ended) {
            put_u64(out, time.0);
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut declared = SubscriptionDeclared {
            id: SubscriptionId(reader.u64()?),
            topic: TopicId(reader.u64()?),
            uuid: reader.str()?.to_owned(),
            protocol: reader.str()?.to_owned(),
            endpoint: reader.str()?.to_owned(),
            owner: reader.str()?.to_owned(),
            principal: reader.str()?.to_owned(),
            attributes: reader.pairs()?,
            created: Time(reader.u64()?),
            confirmed: None,
            ended: None,
        };
        let flags = reader.u8()?;
        if flags & CONFIRMED != 0 {
            declared.confirmed = Some(Confirmation {
                at: Time(reader.u64()?),
                authenticated: flags & AUTHENTICATED != 0,
                authenticate_on_unsubscribe: flags & GUARDED != 0,
            });
        }
        if flags & ENDED != 0 {
            declared.ended = Some(Time(reader.u64()?));
        }
        Ok(declared)
    }
}
