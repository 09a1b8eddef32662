//! SetQueueAttributes: a queue changes.

use api::sqs::{SetQueueAttributesInput, SetQueueAttributesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Time};

use super::create_queue::pairs;
use super::reply::Reply;
use super::{Context, Decision, Materials, Setting};
use crate::records::{QueueDeclared, Record};
use crate::rules::attributes::{self, Change};
use crate::rules::names::queue_of_url;
use crate::rules::settings::{FifoSettings, RedrivePermission};
use crate::state::State;
use crate::{QueueKey, refusals};

/// SetQueueAttributes.
#[derive(Clone, Debug)]
pub struct SetQueueAttributes {
    /// Which queue.
    pub queue: QueueKey,
    /// What changes.
    pub changes: Result<Vec<Change>, Refusal>,
}

impl Operation<State> for SetQueueAttributes {
    type Input = SetQueueAttributesInput;
    type Output = SetQueueAttributesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Growth;

    fn prepare(input: SetQueueAttributesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        Ok(SetQueueAttributes::new(queue, pairs(&input.attributes)))
    }

    /// Changes it, at once.
    fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        match self.try_decide(state, &context.setting) {
            Ok(decision) => decision,
            Err(refusal) => refusal.into(),
        }
    }

    fn present(reply: Reply, _: &(), _: &Materials<'_>) -> Result<SetQueueAttributesOutput, Malformed> {
        reply.done()
    }
}

impl SetQueueAttributes {
    /// Reads the attributes; a queue's name says which it can have.
    pub fn new<'a>(queue: QueueKey, attributes: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut attributes = attributes.into_iter().peekable();
        let changes = match attributes.peek() {
            Some(_) => attributes::parse(attributes, queue.is_fifo()),
            None => Err(refusals::parameter_missing("Attributes")),
        };
        SetQueueAttributes { queue, changes }
    }

    fn try_decide(&self, state: &State, setting: &Setting<'_>) -> Result<Decision<'_>, Refusal> {
        let queue = state.queue(&self.queue).ok_or_else(refusals::queue_missing)?;
        let changes = self.changes.as_ref().map_err(Refusal::clone)?;
        let mut settings = attributes::changed(&queue.settings, changes)?;
        check_redrive_target(state, &self.queue, changes)?;
        if let (Some(before), Some(after)) = (&queue.settings.fifo, &mut settings.fifo) {
            note_scope(before, after, setting.now);
        }
        let declaration = QueueDeclared { settings, modified: setting.now, ..queue.declaration() };
        Ok(Decision::done(vec![Record::QueueDeclared(Box::new(declaration)).into()], Reply::Done))
    }
}

/// Checks the target of a redrive policy that is among the changes: it exists, in the source's account and
/// region, and lets the source use it. That it is of the source's type was seen by its name (facts/sqs.md §
/// 8).
pub(super) fn check_redrive_target(
    state: &State,
    source: &QueueKey,
    changes: &[Change],
) -> Result<(), Refusal> {
    for change in changes {
        let Change::RedrivePolicy(Some(policy)) = change else { continue };
        let wrong = |reason: &str| Err(refusals::value_invalid(&policy.text, "RedrivePolicy", reason));
        if policy.target.region != source.region {
            return wrong("Dead-letter target must be in same region as the source.");
        }
        if policy.target.account != source.account {
            return wrong("Dead-letter target owner should be same as the source.");
        }
        let target = QueueKey::from_arn(&policy.target).and_then(|key| state.queue(&key));
        let Some(target) = target.filter(|target| target.key.arn() == policy.target) else {
            return wrong("Dead letter target does not exist.");
        };
        let allows = match target.settings.redrive_allow.as_ref().map(|policy| &policy.permission) {
            None | Some(RedrivePermission::AllowAll) => true,
            Some(RedrivePermission::DenyAll) => false,
            Some(RedrivePermission::ByQueue(arns)) => arns.contains(&source.arn().to_string()),
        };
        if !allows {
            // That AWS refuses is known (facts/sqs.md § 8), in which words is not.
            return wrong(
                "The redrive allow policy of the dead-letter queue does not allow this source queue.",
            );
        }
    }
    Ok(())
}

/// A new deduplication scope comes into force after a while (facts/sqs.md § 3); one that never went out of
/// force stays.
fn note_scope(before: &FifoSettings, after: &mut FifoSettings, now: Time) {
    if before.scope_is_group != after.scope_is_group {
        let in_force = before.scope_in_force_is_group(now);
        after.scope_changed = (in_force != after.scope_is_group).then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key, prepare};
    use super::*;

    fn set(world: &mut World, queue: &str, attributes: &[(&str, &str)]) -> Result<Reply, Refusal> {
        let set = SetQueueAttributes::new(key(queue), attributes.iter().copied());
        world.ask(|state, context| set.decide(state, context))
    }

    #[test]
    fn what_is_set_changes_and_the_rest_stays() {
        // facts/sqs.md § 3
        let mut world = World::new();
        world.create("q", &[("DelaySeconds", "7")]);
        world.pass(5_000);
        assert_eq!(
            set(&mut world, "q", &[("VisibilityTimeout", "9"), ("MaximumMessageSize", "2048")]),
            Ok(Reply::Done)
        );
        let queue = world.state.queue(&key("q")).unwrap();
        let settings = &queue.settings;
        assert_eq!(
            (settings.delay_seconds, settings.visibility_seconds, settings.maximum_message_bytes),
            (7, 9, 2048)
        );
        assert_eq!(queue.modified, world.now);
        assert_eq!(queue.created, Time(world.now.0 - 5_000));
    }

    #[test]
    fn an_empty_text_removes_a_document() {
        // facts/sqs.md § 3
        let mut world = World::new();
        world.create("d", &[]);
        let redrive = r#"{"maxReceiveCount":3,"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d"}"#;
        let policy = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}"#;
        world.create("q", &[("RedrivePolicy", redrive), ("Policy", policy)]);
        set(&mut world, "q", &[("RedrivePolicy", ""), ("Policy", "")]).unwrap();
        let queue = world.state.queue(&key("q")).unwrap();
        assert_eq!((&queue.settings.redrive, &queue.settings.policy), (&None, &None));
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        // facts/sqs.md §§ 8, 11
        let mut world = World::new();
        world.create("q", &[]);
        let missing = r#"{"maxReceiveCount":3,"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d"}"#;
        for (queue, attributes, shape) in [
            ("other", &[("x", "1")][..], "QueueDoesNotExist"),
            ("q", &[], "MissingRequiredParameterException"),
            ("q", &[("DelaySeconds", "7"), ("x", "1")], "InvalidAttributeName"),
            ("q", &[("DelaySeconds", "7"), ("RedrivePolicy", missing)], "InvalidParameterValueException"),
            ("q", &[("DelaySeconds", "901")], "InvalidAttributeValue"),
        ] {
            assert_eq!(set(&mut world, queue, attributes).unwrap_err().shape, shape);
        }
        assert_eq!(world.state.queue(&key("q")).unwrap().settings, Default::default());
    }

    #[test]
    fn a_changed_deduplication_scope_comes_into_force_after_a_minute() {
        // facts/sqs.md § 3
        let mut world = World::new();
        world.create("q.fifo", &[("FifoQueue", "true")]);
        let in_force = |world: &World| {
            let settings = &world.state.queue(&key("q.fifo")).unwrap().settings;
            settings.fifo.as_ref().unwrap().scope_in_force_is_group(world.now)
        };
        set(&mut world, "q.fifo", &[("DeduplicationScope", "messageGroup")]).unwrap();
        assert!(!in_force(&world));
        set(&mut world, "q.fifo", &[("VisibilityTimeout", "9")]).unwrap();
        world.pass(59_999);
        assert!(!in_force(&world));
        world.pass(1);
        assert!(in_force(&world));
        set(&mut world, "q.fifo", &[("DeduplicationScope", "queue")]).unwrap();
        assert!(in_force(&world));
        set(&mut world, "q.fifo", &[("DeduplicationScope", "messageGroup")]).unwrap();
        assert!(in_force(&world), "it never went out of force");
    }

    fn policy(arn: &str) -> String {
        format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":3}}"#)
    }

    #[test]
    fn a_dead_letter_queue_exists_near_by() {
        // facts/sqs.md § 8
        let mut world = World::new();
        world.create("d", &[]);
        for (arn, reason) in [
            ("arn:aws:sqs:us-east-1:000000000000:other", "Dead letter target does not exist."),
            ("arn:aws-cn:sqs:us-east-1:000000000000:d", "Dead letter target does not exist."),
            (
                "arn:aws:sqs:us-west-1:000000000000:d",
                "Dead-letter target must be in same region as the source.",
            ),
            (
                "arn:aws:sqs:us-east-1:111111111111:d",
                "Dead-letter target owner should be same as the source.",
            ),
        ] {
            let policy = policy(arn);
            let refusal = world.try_create("q", &[("RedrivePolicy", &policy)]).unwrap_err();
            assert_eq!(refusal.shape, "InvalidParameterValueException");
            assert_eq!(
                refusal.message,
                format!("Value {policy} for parameter RedrivePolicy is invalid. Reason: {reason}")
            );
        }
        world.create("q", &[("RedrivePolicy", &policy("arn:aws:sqs:us-east-1:000000000000:d"))]);
    }

    #[test]
    fn a_dead_letter_queue_says_whose_it_is() {
        // facts/sqs.md §§ 3, 8
        let mut world = World::new();
        for (name, allow) in [
            ("all", r#"{"redrivePermission":"allowAll"}"#),
            ("none", r#"{"redrivePermission":"denyAll"}"#),
            (
                "some",
                r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:000000000000:friend"]}"#,
            ),
        ] {
            world.create(name, &[("RedriveAllowPolicy", allow)]);
        }
        for (source, target, allowed) in [
            ("friend", "none", false),
            ("friend", "some", true),
            ("stranger", "some", false),
            ("stranger", "all", true),
        ] {
            let policy = policy(&format!("arn:aws:sqs:us-east-1:000000000000:{target}"));
            let created = world.try_create(source, &[("RedrivePolicy", &policy)]);
            assert_eq!(created.is_ok(), allowed, "{source} {target}");
        }
    }

    #[test]
    fn a_queue_is_named_by_its_url() {
        // facts/sqs.md § 11
        let input = |url: &str| SetQueueAttributesInput { queue_url: Some(url.into()), attributes: None };
        let set = prepare::<SetQueueAttributes>(input("http://sqs.eu-west-1.h/000000000000/q")).unwrap();
        assert_eq!(set.queue, QueueKey { region: "eu-west-1".to_owned(), ..key("q") });
        assert_eq!(prepare::<SetQueueAttributes>(input("q")).unwrap().queue, key("q"));
        let refusal = prepare::<SetQueueAttributes>(input("/q")).unwrap_err();
        assert_eq!(refusal.shape, "InvalidAddress");
    }
}
