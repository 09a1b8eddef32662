//! A stream as a target of other services: what it is handed becomes a record.

use std::borrow::Cow;

use bytes::Bytes;
use kernel::{Caller, Demand, Fact, Offer, Taken, Why};
use notification::Notification;

use crate::chunk::put_entry;
use crate::operations::Context;
use crate::records::{Record, RecordsPut};
use crate::rules::{hash_keys, permissions};
use crate::state::State;
use crate::{StreamKey, limits};

impl State {
    /// A stream is handed something. Who offers it has put the partition key in the place of the group.
    pub(crate) fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        let found = StreamKey::from_arn(offer.to).and_then(|key| self.stream(&key));
        let live = found.and_then(|stream| self.live(stream.id));
        let (Some(stream), Some(live)) = (found, live) else {
            return Taken::Refused(Why::Missing, "the stream does not exist");
        };
        if let Some(sender) = offer.must_be_allowed.filter(|_| context.setting.limits.policies) {
            let caller = Caller::service(sender.service, sender.account(), &stream.key.region);
            let policy = self.policy(stream.id);
            let allowed =
                permissions::check(&caller, &stream.key.account, || stream.key.arn(), policy, "PutRecord");
            if allowed.is_err() {
                return Taken::Refused(
                    Why::Forbidden,
                    "the stream's policy does not let the sender put records",
                );
            }
        }
        if context.setting.room < Demand::Growth {
            return Taken::Refused(Why::Unfit, "the disk has no room for records");
        }
        let payload = Bytes::copy_from_slice(context.payload(offer.body));
        let Ok(stored) = Notification::decode(&payload) else {
            return Taken::Refused(Why::Unfit, "the message cannot be read");
        };
        let key = context.parcel(offer.body).group.as_deref().unwrap_or_default().to_owned();
        let is_key = (1..=limits::PARTITION_KEY).contains(&key.chars().count());
        if !is_key {
            return Taken::Refused(Why::Unfit, "a record needs a partition key of 1 to 256 characters");
        }
        if stored.message.len() + key.len() > stream.record_kib as usize * 1024 {
            return Taken::Refused(Why::Unfit, "the message is longer than a record of the stream may be");
        }
        let Some(open) = live.shard_of(hash_keys::of_partition_key(&key)) else {
            return Taken::Refused(Why::Missing, "the stream has no open shard");
        };
        let mut tail = Vec::with_capacity(stored.message.len() + key.len() + 16);
        put_entry(&mut tail, Some(&key), stored.message.as_bytes());
        let put = RecordsPut {
            series: open.series,
            first: context.setting.numbers.draw(),
            count: 1,
            at: context.setting.now,
            is_encrypted: stream.encryption_key.is_some(),
            part: None,
        };
        context.record(&Fact { record: Record::RecordsPut(put), tail: Cow::Owned(tail) });
        Taken::Taken
    }
}
