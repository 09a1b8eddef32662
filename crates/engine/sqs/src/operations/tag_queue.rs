//! TagQueue: a queue gets tags.

use api::sqs::{TagQueueInput, TagQueueOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::tags::{self, Fault, Rules, Tags};

use super::create_queue::pairs;
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::queue::Queue;
use crate::records::{QueueDeclared, Record};
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, refusals};

/// TagQueue.
#[derive(Clone, Debug)]
pub struct TagQueue {
    /// Which queue.
    pub queue: QueueKey,
    /// The tags, sorted by key.
    pub tags: Result<Vec<(String, String)>, Refusal>,
}

impl Operation<State> for TagQueue {
    type Input = TagQueueInput;
    type Output = TagQueueOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: TagQueueInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        Ok(TagQueue::new(queue, pairs(&input.tags)))
    }

    /// Adds them; a tag of the same key is replaced.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        match &self.tags {
            Ok(given) => with_tags(queue, tags::added(pairs_of(&queue.tags), pairs_of(given))),
            Err(refusal) => refusal.clone().into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<TagQueueOutput, Malformed> {
        reply.done()
    }
}

impl TagQueue {
    /// Reads the tags, of which there must be some.
    pub fn new<'a>(queue: QueueKey, tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let tags = check(tags).and_then(|tags| {
            if tags.is_empty() { Err(refusals::parameter_missing("Tags")) } else { Ok(tags) }
        });
        TagQueue { queue, tags }
    }
}

/// Tags as they are kept, as pairs.
pub(super) fn pairs_of(tags: &[(String, String)]) -> impl Iterator<Item = (&String, &String)> {
    tags.iter().map(|(key, value)| (key, value))
}

/// The queue gets other tags. That is no change of its attributes: `LastModifiedTimestamp` stays.
pub(super) fn with_tags<'a>(queue: &Queue, tags: Tags) -> Decision<'a> {
    let declaration = QueueDeclared { tags: tags.into_iter().collect(), ..queue.declaration() };
    Decision::done(vec![Record::QueueDeclared(Box::new(declaration)).into()], Reply::Done)
}

/// A queue's tags: more than 50 are only advised against (facts/sqs.md § 15).
const RULES: Rules = Rules { most: usize::MAX, unique: false, values_reserved: true };

/// Checks tags and sorts them by key. In which words AWS refuses is not known.
pub(super) fn check<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(String, String)>, Refusal> {
    let checked = RULES.check(tags).map_err(|fault| match fault {
        Fault::KeyLength(key) => {
            refusals::value_invalid(key, "TagKey", "Tag keys must be 1 to 128 characters long.")
        }
        Fault::ValueLength(value) => {
            refusals::value_invalid(value, "TagValue", "Tag values can be at most 256 characters long.")
        }
        Fault::Reserved(key) | Fault::Repeated(key) => {
            refusals::value_invalid(key, "TagKey", "The prefix aws: is reserved.")
        }
    })?;
    Ok(checked.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key};
    use super::super::list_queue_tags::ListQueueTags;
    use super::super::untag_queue::UntagQueue;
    use super::*;

    fn tags(world: &mut World) -> Vec<(String, String)> {
        let list = ListQueueTags { queue: key("q") };
        match world.ask(|state, context| list.decide(state, context)) {
            Ok(Reply::Tags(tags)) => tags,
            other => panic!("{other:?}"),
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn tags_are_added_replaced_and_removed() {
        // facts/sqs.md § 2
        let mut world = World::new();
        let queue = world.create("q", &[]);
        let modified = world.state.queue(&queue).unwrap().modified;
        world.pass(1_000);
        assert_eq!(tags(&mut world), []);
        let tag = TagQueue::new(queue.clone(), [("b", "1"), ("a", ""), ("ä", "€")]);
        assert_eq!(world.ask(|state, context| tag.decide(state, context)), Ok(Reply::Done));
        let tag = TagQueue::new(queue.clone(), [("b", "2"), ("B", "3")]);
        assert_eq!(world.ask(|state, context| tag.decide(state, context)), Ok(Reply::Done));
        assert_eq!(tags(&mut world), pairs(&[("B", "3"), ("a", ""), ("b", "2"), ("ä", "€")]));
        let untag = UntagQueue::new(queue.clone(), ["b", "unknown"]);
        assert_eq!(world.ask(|state, context| untag.decide(state, context)), Ok(Reply::Done));
        assert_eq!(tags(&mut world), pairs(&[("B", "3"), ("a", ""), ("ä", "€")]));
        assert_eq!(world.state.queue(&queue).unwrap().modified, modified);
    }

    #[test]
    fn tags_have_limits() {
        // facts/sqs.md § 15
        let long_key = "ä".repeat(128);
        let long_value = "ä".repeat(256);
        assert!(check([(long_key.as_str(), long_value.as_str())]).is_ok());
        let longer_key = format!("{long_key}a");
        let longer_value = format!("{long_value}a");
        for (key, value) in [
            ("", "v"),
            (longer_key.as_str(), "v"),
            ("k", longer_value.as_str()),
            ("aws:x", "v"),
            ("k", "AWS:x"),
        ] {
            assert_eq!(check([(key, value)]).unwrap_err().shape, "InvalidParameterValueException");
        }
        let none = TagQueue::new(key("q"), []);
        assert_eq!(none.tags.unwrap_err().message, "The request must contain the parameter Tags.");
    }

    #[test]
    fn a_queue_can_be_born_with_tags() {
        // facts/sqs.md § 2
        let mut world = World::new();
        let create =
            super::super::create_queue::CreateQueue::new(key("q"), [], [("b", "1"), ("a", "2")]).unwrap();
        world.ask(|state, context| create.decide(state, context)).unwrap();
        assert_eq!(tags(&mut world), pairs(&[("a", "2"), ("b", "1")]));
    }
}
