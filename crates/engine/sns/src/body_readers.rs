//! Whose messages are taken apart before they come to the engine: those of topics with policies about bodies.
//!
//! What a body says costs by the byte, and so is found out where the request was read, not in the engine's turn. Only the engine
//! knows which topics need it; whoever prepares requests learns it from messages that have been published. This is a hint:
//! a body that comes as text is taken apart in the turn, with the same result.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::TopicKey;

/// Topics that share a bit share its hint.
const BITS: usize = 4096;

/// Which topics have policies about bodies, as far as is known. Shared by all of its clones.
#[derive(Clone, Debug)]
pub struct BodyReaders {
    bits: Arc<[AtomicU64]>,
}

impl Default for BodyReaders {
    fn default() -> Self {
        BodyReaders { bits: (0..BITS / 64).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl BodyReaders {
    /// Whether bodies of this topic's messages are looked at, as far as is known.
    pub fn expect(&self, topic: &TopicKey) -> bool {
        let (word, bit) = self.bit(topic);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// A message was published: its body was looked at, or was not.
    pub fn learn(&self, topic: &TopicKey, looked_at: bool) {
        let (word, bit) = self.bit(topic);
        // Nearly always it is known, and then nothing is written that others read.
        if (word.load(Ordering::Relaxed) & bit != 0) == looked_at {
            return;
        }
        match looked_at {
            true => word.fetch_or(bit, Ordering::Relaxed),
            false => word.fetch_and(!bit, Ordering::Relaxed),
        };
    }

    fn bit(&self, topic: &TopicKey) -> (&AtomicU64, u64) {
        // FNV-1a.
        let bytes = topic.account.bytes().chain(topic.region.bytes()).chain(topic.name.bytes());
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
        let number = (hash >> 32) as usize % BITS;
        (&self.bits[number / 64], 1 << (number % 64))
    }
}

#[cfg(test)]
mod tests {
    use api::sns::{PublishBatchInput, PublishBatchRequestEntry, PublishInput, Request};
    use kernel::{Asker, Caller};

    use super::*;
    use crate::operations::{Command, prepare};

    fn prepared(request: Request, readers: &BodyReaders) -> Command {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: true,
        };
        let asker = Asker { caller: &caller, base: "", trace: None };
        let (mut command, _) = prepare(request, &asker).unwrap();
        command.read_bodies(readers);
        command
    }

    #[test]
    fn bodies_are_taken_apart_before_the_turn_once_a_topic_is_known_to_look_at_them() {
        let topic = TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: "t".into() };
        let arn = topic.arn().to_string();
        let readers = BodyReaders::default();
        let is_apart = || {
            let input = PublishInput {
                topic_arn: Some(arn.as_str().into()),
                message: Some("{}".into()),
                ..PublishInput::default()
            };
            let Command::Publish(one) = prepared(Request::Publish(input), &readers) else { panic!() };
            let entry = PublishBatchRequestEntry {
                id: Some("1".into()),
                message: Some("{}".into()),
                ..PublishBatchRequestEntry::default()
            };
            let input = PublishBatchInput {
                topic_arn: Some(arn.as_str().into()),
                publish_batch_request_entries: Some(vec![entry]),
            };
            let Command::PublishBatch(batch) = prepared(Request::PublishBatch(input), &readers) else {
                panic!()
            };
            let (one, batch) = (one.post.unwrap(), batch.entries.unwrap().remove(0).1);
            assert_eq!(one.body.event().is_some(), batch.body.event().is_some());
            one.body.event().is_some()
        };
        assert!(!is_apart());
        readers.clone().learn(&topic, true);
        assert!(is_apart());
        readers.learn(&topic, true);
        readers.learn(&TopicKey { name: "u".into(), ..topic.clone() }, true);
        readers.learn(&topic, false);
        assert!(!is_apart());
    }
}
