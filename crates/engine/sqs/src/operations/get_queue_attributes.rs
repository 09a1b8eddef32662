//! GetQueueAttributes: what a queue is like.

use api::sqs::{GetQueueAttributesInput, GetQueueAttributesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::{Reply, to_map};
use super::{Context, Decision, Materials};
use crate::rules::attributes::{self, Attribute};
use crate::rules::names::queue_of_url;
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

impl Operation<State> for GetQueueAttributes {
    type Input = GetQueueAttributesInput;
    type Output = GetQueueAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: GetQueueAttributesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let names = input.attribute_names.iter().flatten().map(|name| &**name);
        Ok(GetQueueAttributes::new(queue, names))
    }

    /// Tells those that the queue has.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
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

    /// The answer; without attributes it has no `Attributes`, as AWS's has none after the policy was removed.
    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<GetQueueAttributesOutput, Malformed> {
        let Reply::Attributes(attributes) = reply else { return Err(Malformed) };
        Ok(GetQueueAttributesOutput { attributes: to_map(&attributes) })
    }
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
}

#[cfg(test)]
mod tests {
    use api::Map;

    use super::super::create_queue::testing::{World, key, prepare, present};
    use super::*;

    fn get(world: &mut World, queue: &str, names: &[&str]) -> Vec<(&'static str, String)> {
        let get = GetQueueAttributes::new(key(queue), names.iter().copied());
        match world.ask(|state, context| get.decide(state, context)) {
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
    fn documents_are_shown_as_they_were_given_but_for_the_redrive_policy() {
        // facts/sqs.md § 3; and hashicorp/terraform's pull request 5888
        let mut world = World::new();
        let redrive =
            r#"{ "maxReceiveCount": "3", "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:d" }"#;
        let allow = r#"{ "redrivePermission": "denyAll" }"#;
        world.create("d", &[("RedriveAllowPolicy", r#"{"redrivePermission":"allowAll"}"#)]);
        world.create("q", &[("RedrivePolicy", redrive), ("RedriveAllowPolicy", allow)]);
        assert_eq!(
            get(&mut world, "q", &["RedrivePolicy", "RedriveAllowPolicy", "Policy"]),
            pairs(&[
                (
                    "RedrivePolicy",
                    r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d","maxReceiveCount":3}"#
                ),
                ("RedriveAllowPolicy", allow)
            ])
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
        let refusal = world.ask(|state, context| unknown.decide(state, context)).unwrap_err();
        assert_eq!((refusal.shape, &*refusal.message), ("InvalidAttributeName", "Unknown Attribute x."));
    }

    #[test]
    fn an_answer_without_attributes_has_no_map() {
        // facts/sqs.md §§ 2, 16
        assert_eq!(present::<GetQueueAttributes>(Reply::Attributes(Vec::new())).attributes, None);
        let output = present::<GetQueueAttributes>(Reply::Attributes(pairs(&[("DelaySeconds", "0")])));
        assert_eq!(output.attributes, Some(Map(vec![("DelaySeconds".into(), "0".into())])));
        let input = GetQueueAttributesInput {
            queue_url: Some("/000000000000/q".into()),
            attribute_names: Some(vec!["Policy".into()]),
        };
        let get = prepare::<GetQueueAttributes>(input).unwrap();
        assert_eq!((get.queue, get.wanted), (key("q"), Ok(vec![Attribute::Policy])));
    }
}
