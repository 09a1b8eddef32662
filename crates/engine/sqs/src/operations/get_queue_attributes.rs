//! GetQueueAttributes: what a queue is like.

use kernel::Refusal;

use super::reply::Reply;
use super::{Decision, Setting};
use crate::rules::attributes::{self, Attribute};
use crate::state::State;
use crate::{QueueKey, refusals};

/// GetQueueAttributes.
#[derive(Clone, Debug)]
pub struct GetQueueAttributes {
    /// Of which queue.
    pub queue: QueueKey,
    /// Which attributes, each once.
    pub wanted: Result<Vec<Attribute>, Refusal>,
}

impl GetQueueAttributes {
    /// Reads the names; `All` stands for all, and without names there are no attributes (facts/sqs.md § 2).
    pub fn new<'a>(queue: QueueKey, names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = false;
        let mut wanted = Vec::new();
        for name in names {
            if name == "All" {
                all = true;
                continue;
            }
            match Attribute::from_name(name) {
                Ok(attribute) if wanted.contains(&attribute) => {}
                Ok(attribute) => wanted.push(attribute),
                Err(refusal) => return GetQueueAttributes { queue, wanted: Err(refusal) },
            }
        }
        GetQueueAttributes { queue, wanted: Ok(if all { Attribute::ALL.to_vec() } else { wanted }) }
    }

    /// Tells those that the queue has.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        match &self.wanted {
            Ok(wanted) => {
                let shown =
                    |&attribute: &Attribute| Some((attribute.name(), attributes::show(queue, attribute)?));
                Decision::answer(Reply::Attributes(wanted.iter().filter_map(shown).collect()))
            }
            Err(refusal) => refusal.clone().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
    use super::*;

    fn get(world: &mut World, queue: &str, names: &[&str]) -> Vec<(&'static str, String)> {
        let get = GetQueueAttributes::new(key(queue), names.iter().copied());
        match world.ask(|state, setting| get.decide(state, setting)) {
            Ok(Reply::Attributes(attributes)) => attributes,
            other => panic!("{other:?}"),
        }
    }

    fn pairs(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        pairs.iter().map(|&(name, value)| (name, value.to_owned())).collect()
    }

    #[test]
    fn a_fresh_standard_queue_has_twelve_attributes() {
        // facts/sqs.md § 3
        let mut world = World::new();
        world.create("q", &[]);
        assert_eq!(
            get(&mut world, "q", &["All"]),
            pairs(&[
                ("ApproximateNumberOfMessages", "0"),
                ("ApproximateNumberOfMessagesDelayed", "0"),
                ("ApproximateNumberOfMessagesNotVisible", "0"),
                ("CreatedTimestamp", "1700000000"),
                ("DelaySeconds", "0"),
                ("LastModifiedTimestamp", "1700000000"),
                ("MaximumMessageSize", "1048576"),
                ("MessageRetentionPeriod", "345600"),
                ("QueueArn", "arn:aws:sqs:us-east-1:000000000000:q"),
                ("ReceiveMessageWaitTimeSeconds", "0"),
                ("SqsManagedSseEnabled", "true"),
                ("VisibilityTimeout", "30"),
            ])
        );
    }

    #[test]
    fn a_fresh_fifo_queue_has_four_more() {
        // facts/sqs.md § 3
        let mut world = World::new();
        world.create("q.fifo", &[("FifoQueue", "true")]);
        assert_eq!(get(&mut world, "q.fifo", &["All"]).len(), 16);
        assert_eq!(
            get(
                &mut world,
                "q.fifo",
                &["ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit"]
            ),
            pairs(&[
                ("ContentBasedDeduplication", "false"),
                ("DeduplicationScope", "queue"),
                ("FifoQueue", "true"),
                ("FifoThroughputLimit", "perQueue"),
            ])
        );
    }

    #[test]
    fn documents_are_shown_as_they_were_given() {
        // facts/sqs.md § 3
        let mut world = World::new();
        let redrive =
            r#"{ "maxReceiveCount": "3", "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:d" }"#;
        let allow = r#"{ "redrivePermission": "denyAll" }"#;
        world.create("d", &[("RedriveAllowPolicy", r#"{"redrivePermission":"allowAll"}"#)]);
        world.create("q", &[("RedrivePolicy", redrive), ("RedriveAllowPolicy", allow)]);
        assert_eq!(
            get(&mut world, "q", &["RedrivePolicy", "RedriveAllowPolicy", "Policy"]),
            pairs(&[("RedrivePolicy", redrive), ("RedriveAllowPolicy", allow)])
        );
    }

    #[test]
    fn the_key_reuse_period_is_shown_when_it_matters() {
        // facts/sqs.md § 3
        let names = &["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"];
        for (given, shown) in [
            (&[("KmsDataKeyReusePeriodSeconds", "300")][..], &[("SqsManagedSseEnabled", "true")][..]),
            (
                &[("KmsDataKeyReusePeriodSeconds", "60")],
                &[("KmsDataKeyReusePeriodSeconds", "60"), ("SqsManagedSseEnabled", "true")],
            ),
            (
                &[("KmsMasterKeyId", "testKeyId")],
                &[
                    ("KmsMasterKeyId", "testKeyId"),
                    ("KmsDataKeyReusePeriodSeconds", "300"),
                    ("SqsManagedSseEnabled", "false"),
                ],
            ),
        ] {
            let mut world = World::new();
            world.create("q", given);
            assert_eq!(get(&mut world, "q", names), pairs(shown));
        }
    }

    #[test]
    fn only_what_is_asked_for_is_told() {
        // facts/sqs.md §§ 2, 11
        let mut world = World::new();
        world.create("q", &[]);
        assert_eq!(get(&mut world, "q", &[]), []);
        assert_eq!(get(&mut world, "q", &["DelaySeconds", "DelaySeconds"]), pairs(&[("DelaySeconds", "0")]));
        assert_eq!(get(&mut world, "q", &["FifoQueue", "Policy"]), []);
        let unknown = GetQueueAttributes::new(key("q"), ["All", "x"]);
        let refusal = world.ask(|state, setting| unknown.decide(state, setting)).unwrap_err();
        assert_eq!((refusal.shape, &*refusal.message), ("InvalidAttributeName", "Unknown Attribute x."));
    }
}
