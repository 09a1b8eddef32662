//! CreateQueue: a queue comes into being, or is there already as it is asked for.

use api::sqs::{CreateQueueInput, CreateQueueOutput};
use api::{Map, Text};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::reply::Reply;
use super::set_queue_attributes::check_redrive_target;
use super::{Context, Decision, Materials, Setting, tag_queue};
use crate::limits::DELETED_RECENTLY_MILLIS;
use crate::records::{QueueDeclared, Record};
use crate::rules::attributes::{self, Change};
use crate::rules::names;
use crate::rules::settings::{FifoSettings, Settings};
use crate::state::State;
use crate::{QueueId, QueueKey, Seq, refusals};

/// CreateQueue.
#[derive(Clone, Debug)]
pub struct CreateQueue {
    /// The queue: its name, in the caller's account and region.
    pub queue: QueueKey,
    /// Whether it is to be FIFO; its name says the same.
    pub fifo: bool,
    /// The attributes that were given.
    pub changes: Vec<Change>,
    /// The tags that were given, sorted by key.
    pub tags: Vec<(String, String)>,
}

impl Operation<State> for CreateQueue {
    type Input = CreateQueueInput;
    type Output = CreateQueueOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: CreateQueueInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let name = input.queue_name.as_deref().ok_or_else(|| refusals::parameter_missing("QueueName"))?;
        let queue = QueueKey {
            account: asker.caller.account.clone(),
            region: asker.caller.region.clone(),
            name: name.to_owned(),
        };
        CreateQueue::new(queue, pairs(&input.attributes), pairs(&input.tags))
    }

    /// Creates it. If it is there, only the attributes that were given have to be as they were given; tags
    /// are not compared (facts/sqs.md § 2).
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match self.try_decide(state, &context.setting) {
            Ok(decision) => decision,
            Err(refusal) => refusal.into(),
        }
    }

    /// The answer. `base` is how the client reached the server, such as `http://localhost:4566`.
    fn present(reply: Reply, _: &(), materials: &Materials<'_>) -> Result<CreateQueueOutput, Malformed> {
        let Reply::QueueUrl(queue) = reply else { return Err(Malformed) };
        Ok(CreateQueueOutput { queue_url: Some(names::url(materials.base, &queue).into()) })
    }
}

impl CreateQueue {
    /// Checks what can be checked without knowing the queues that exist.
    pub fn new<'a>(
        queue: QueueKey,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
        tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Refusal> {
        let fifo = attributes
            .clone()
            .into_iter()
            .any(|(name, text)| name == "FifoQueue" && text.eq_ignore_ascii_case("true"));
        names::check_name(&queue.name, fifo)?;
        let changes = attributes::parse(attributes, fifo)?;
        Ok(CreateQueue { queue, fifo, changes, tags: tag_queue::check(tags)? })
    }

    fn try_decide(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'_>, Refusal> {
        let reply = Reply::QueueUrl(self.queue.clone());
        if let Some(queue) = state.queue(&self.queue) {
            let different = self.changes.iter().find(|change| !change.is_in_force(&queue.settings));
            return match different {
                Some(change) => Err(exists_differently(change.attribute().name())),
                None => Ok(Decision::answer(reply)),
            };
        }
        if setting.limits.delete_waits
            && let Some(deleted) = state.deleted.get(&self.queue)
            && setting.now < deleted + DELETED_RECENTLY_MILLIS
        {
            return Err(Refusal::new(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same \
                 name.",
            ));
        }
        let fresh = Settings { fifo: self.fifo.then(FifoSettings::default), ..Settings::default() };
        let settings = attributes::changed(&fresh, &self.changes)?;
        check_redrive_target(state, &self.queue, &self.changes)?;
        let declaration = QueueDeclared {
            id: QueueId(setting.numbers.draw()),
            key: self.queue.clone(),
            settings,
            tags: self.tags.clone(),
            created: setting.now,
            modified: setting.now,
            purged_through: Seq(0),
            purged: None,
        };
        Ok(Decision::done(vec![Record::QueueDeclared(Box::new(declaration)).into()], reply))
    }
}

/// What a map of texts holds; nothing, if it is absent.
pub(super) fn pairs(map: &Option<Map<Text>>) -> impl Iterator<Item = (&str, &str)> + Clone {
    map.iter().flat_map(|map| map.0.iter()).map(|(name, text)| (&**name, &**text))
}

fn exists_differently(attribute: &str) -> Refusal {
    Refusal::new(
        "QueueNameExists",
        format!("A queue already exists with the same name and a different value for attribute {attribute}"),
    )
}

/// A state to try operations on: decides, records and applies, as the machine does, without a journal.
#[cfg(test)]
pub(super) mod testing {
    use kernel::{Caller, Extent, Handed, Ledger, NoTargets, Numbers, Place, Secret, Time};
    use notification::{Keys, Unsigned};

    use super::super::{Outcome, Setting};
    use super::*;
    use crate::limits::Limits;

    /// The account and region of [`World::create`].
    pub(crate) const ACCOUNT: &str = "000000000000";
    pub(crate) const REGION: &str = "us-east-1";

    /// A queue's key in that account and region.
    pub(crate) fn key(name: &str) -> QueueKey {
        QueueKey { account: ACCOUNT.to_owned(), region: REGION.to_owned(), name: name.to_owned() }
    }

    /// Somebody in that account and region.
    pub(crate) fn caller() -> Caller {
        Caller {
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            principal: ACCOUNT.to_owned(),
            signed: true,
        }
    }

    /// The URL under which somebody reaches the server.
    pub(crate) const BASE: &str = "http://localhost:4566";

    const SECRET: Secret = Secret([1; 32]);

    /// Reads a request of somebody in that account and region.
    pub(crate) fn prepare<O: Operation<State>>(input: O::Input) -> Result<O, Refusal> {
        O::prepare(input, &Asker { caller: &caller(), base: BASE, trace: None })
    }

    /// The answer to a request without a plan.
    pub(crate) fn present<O: Operation<State>>(reply: Reply) -> O::Output {
        let keys = Keys { secret: &SECRET, signer: &Unsigned };
        let materials = Materials { base: BASE, keys, records: &[] };
        O::present(reply, &O::Plan::default(), &materials).unwrap()
    }

    /// A state, the moment, and the limits in force.
    pub(crate) struct World {
        pub(crate) state: State,
        pub(crate) now: Time,
        pub(crate) limits: Limits,
        pub(crate) numbers: Numbers,
        ledger: Ledger,
        written: u32,
    }

    impl World {
        /// Nothing yet, under strict limits.
        pub(crate) fn new() -> Self {
            World {
                state: State::default(),
                now: Time(1_700_000_000_000),
                limits: Limits::strict(),
                numbers: Numbers::new(1),
                ledger: Ledger::default(),
                written: 0,
            }
        }

        /// Time passes.
        pub(crate) fn pass(&mut self, millis: u64) {
            self.now = self.now + millis;
            self.state.advance(self.now);
        }

        /// Decides, and makes what was decided true.
        pub(crate) fn ask<'c>(
            &mut self,
            decide: impl FnOnce(&State, &mut Context<'c, '_>) -> Decision<'c>,
        ) -> Result<Reply, Refusal> {
            let setting = Setting {
                now: self.now,
                limits: &self.limits,
                secret: &SECRET,
                ticket: 0,
                numbers: &self.numbers,
                room: Demand::Growth,
                store_lags: false,
            };
            let mut handed = Handed::default();
            let decision = decide(&self.state, &mut Context::new(setting, &NoTargets, &mut handed));
            for draft in &decision.facts {
                let mut bytes = Vec::new();
                draft.record.encode(&mut bytes);
                let extent = Extent {
                    place: Place::new(1, self.written),
                    len: (bytes.len() + draft.tail.len()) as u32,
                };
                self.written += extent.len;
                self.state.apply(&draft.record, extent, &mut self.ledger);
            }
            match decision.outcome {
                Outcome::Reply(reply) => reply,
                Outcome::Again { .. } | Outcome::Call(_) | Outcome::Wait(_) | Outcome::Silence => {
                    panic!("an answer was expected at once")
                }
            }
        }

        /// CreateQueue, in [`ACCOUNT`] and [`REGION`].
        pub(crate) fn try_create(
            &mut self,
            name: &str,
            attributes: &[(&str, &str)],
        ) -> Result<Reply, Refusal> {
            let create = CreateQueue::new(key(name), attributes.iter().copied(), [])?;
            self.ask(|state, context| create.decide(state, context))
        }

        /// The same, where it must succeed.
        pub(crate) fn create(&mut self, name: &str, attributes: &[(&str, &str)]) -> QueueKey {
            match self.try_create(name, attributes) {
                Ok(Reply::QueueUrl(key)) => key,
                other => panic!("{name} was not created: {other:?}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::delete_queue::DeleteQueue;
    use super::testing::{World, key, prepare, present};
    use super::*;
    use crate::limits::Limits;

    #[test]
    fn a_queue_is_created_with_what_was_given_and_defaults_for_the_rest() {
        // facts/sqs.md § 3
        let mut world = World::new();
        assert_eq!(world.try_create("q", &[("DelaySeconds", "7")]), Ok(Reply::QueueUrl(key("q"))));
        let queue = world.state.queue(&key("q")).unwrap();
        assert_eq!(queue.settings, Settings { delay_seconds: 7, ..Settings::default() });
        assert_eq!((queue.created, queue.modified), (world.now, world.now));
        let fifo = world.create("q.fifo", &[("FifoQueue", "true"), ("DeduplicationScope", "messageGroup")]);
        let settings = world.state.queue(&fifo).unwrap().settings.fifo.clone().unwrap();
        assert!(
            settings.scope_in_force_is_group(world.now),
            "the first scope of a queue is in force at once"
        );
    }

    #[test]
    fn a_queue_is_created_again_only_as_it_is() {
        // facts/sqs.md § 2
        let mut world = World::new();
        world.create("q", &[("DelaySeconds", "7"), ("VisibilityTimeout", "9")]);
        let seq = world.numbers.next();
        for same in [&[][..], &[("DelaySeconds", "7")], &[("MaximumMessageSize", "1048576")]] {
            assert_eq!(world.try_create("q", same), Ok(Reply::QueueUrl(key("q"))));
        }
        assert_eq!(world.numbers.next(), seq, "nothing was recorded");
        let refusal =
            world.try_create("q", &[("VisibilityTimeout", "9"), ("DelaySeconds", "0")]).unwrap_err();
        assert_eq!(refusal.shape, "QueueNameExists");
        assert_eq!(
            refusal.message,
            "A queue already exists with the same name and a different value for attribute DelaySeconds"
        );
    }

    #[test]
    fn names_and_types_must_go_together() {
        // facts/sqs.md § 4
        let mut world = World::new();
        for (name, attributes, shape) in [
            ("q.fifo", &[][..], "InvalidParameterValueException"),
            ("q", &[("FifoQueue", "true")], "InvalidParameterValueException"),
            ("q", &[("FifoQueue", "false")], "InvalidAttributeName"),
            ("a b", &[], "InvalidParameterValueException"),
        ] {
            assert_eq!(world.try_create(name, attributes).unwrap_err().shape, shape, "{name}");
        }
    }

    #[test]
    fn a_deleted_queues_name_is_free_after_a_minute_or_at_once() {
        // facts/sqs.md § 2
        let delete = DeleteQueue { queue: key("q") };
        let mut world = World::new();
        world.create("q", &[]);
        world.ask(|state, context| delete.decide(state, context)).unwrap();
        world.pass(59_999);
        let refusal = world.try_create("q", &[]).unwrap_err();
        assert_eq!(refusal.shape, "QueueDeletedRecently");
        assert_eq!(
            refusal.message,
            "You must wait 60 seconds after deleting a queue before you can create another with the same \
             name."
        );
        world.pass(1);
        world.create("q", &[]);
        world.limits = Limits::relaxed();
        world.ask(|state, context| delete.decide(state, context)).unwrap();
        world.create("q", &[]);
    }

    #[test]
    fn a_request_is_read_for_the_callers_account_and_region() {
        let map = |name: &str, text: &str| Some(Map(vec![(Text::from(name), Text::from(text))]));
        let input = CreateQueueInput {
            queue_name: Some("q".into()),
            attributes: map("DelaySeconds", "7"),
            tags: map("a", "1"),
        };
        let create = prepare::<CreateQueue>(input).unwrap();
        assert_eq!(create.queue, key("q"));
        assert_eq!(create.changes, [Change::DelaySeconds(7)]);
        assert_eq!(create.tags, [("a".to_owned(), "1".to_owned())]);
        let refusal = prepare::<CreateQueue>(CreateQueueInput::default()).unwrap_err();
        assert_eq!(refusal.message, "The request must contain the parameter QueueName.");
        let output = present::<CreateQueue>(Reply::QueueUrl(key("q")));
        assert_eq!(output.queue_url.as_deref(), Some("http://localhost:4566/000000000000/q"));
    }
}
