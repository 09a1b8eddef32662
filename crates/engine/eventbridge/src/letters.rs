//! What becomes of an event that a target does not get: it goes to the target's dead-letter queue, with attributes that say why.

use bytestring::ByteString;
use kernel::parcel::{Ended, Form};
use kernel::{Arn, Attribute, AttributeValue, Offer, ParcelSent, Sender, Taken, Time, Undelivered, Why};
use notification::Notification;

use crate::bus::{Rule, Target};
use crate::deliveries::Cause;
use crate::ids::BusKey;
use crate::operations::Context;
use crate::routing::parcel;
use crate::rules::entry::{Accepted, Draft};
use crate::rules::retries::Exhausted;
use crate::state::State;

/// Why a target does not get an event (facts/eventbridge.md § 6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// `ERROR_CODE`.
    pub code: &'static str,
    /// `ERROR_MESSAGE`.
    pub message: ByteString,
    /// What ended the attempts, if there was more than one.
    pub exhausted: Option<Exhausted>,
    /// How often it was tried after the first time.
    pub retries: u32,
}

impl Failure {
    /// What the target would be handed is not valid JSON, or too long.
    pub const INVALID_INPUT: Failure = Failure::new(
        "INVALID_JSON",
        ByteString::from_static(
            "The input that the target's transformer makes of the event is not valid JSON, or too long.",
        ),
    );

    const fn new(code: &'static str, message: ByteString) -> Self {
        Failure { code, message, exhausted: None, retries: 0 }
    }

    /// A target of this server does not take it. AWS reports a queue whose policy refuses as one that does not exist (recorded by a user
    /// of AWS: `ERROR_CODE` NO_RESOURCE, "The specified queue does not exist or you do not have access to it").
    pub fn of_offer(why: Why, reason: &str, target: &Arn) -> Self {
        match (why, &*target.service) {
            (Why::Missing | Why::Forbidden, "sqs") => {
                let text = "The specified queue does not exist or you do not have access to it.";
                Failure::new("NO_RESOURCE", ByteString::from_static(text))
            }
            (Why::Missing, _) => Failure::new("NO_RESOURCE", reason.into()),
            (Why::Forbidden, _) => Failure::new("NO_PERMISSIONS", reason.into()),
            (Why::Unfit | Why::Unserved, _) => Failure::new("SDK_CLIENT_ERROR", reason.into()),
        }
    }

    /// The event has come from another bus (the text as recorded by a user of AWS).
    pub fn third_hop(event: &str, to: &BusKey, from: &BusKey) -> Self {
        let code = match to.region == from.region {
            true => "THIRD_ACCOUNT_HOP_DETECTED",
            false => "THIRD_REGION_HOP_DETECTED",
        };
        let text = format!(
            "Event ingestion rejected for event {event} because an event can be sent to an event bus target only once. This event was previously delivered to an event bus target."
        );
        Failure::new(code, text.into())
    }

    /// There is no such bus.
    pub fn no_bus(bus: &BusKey) -> Self {
        Failure::new("NO_RESOURCE", format!("Event bus {} does not exist.", bus.name).into())
    }

    /// The bus's policy does not let the rule in.
    pub fn not_permitted(bus: &BusKey) -> Self {
        let text = format!("The policy of event bus {} does not permit events:PutEvents.", bus.name);
        Failure::new("NO_PERMISSIONS", text.into())
    }

    /// The rule is no archive's.
    pub fn no_archive(arn: &Arn) -> Self {
        Failure::new("NO_RESOURCE", format!("No archive gets events through {arn}.").into())
    }

    /// There is no such API destination.
    pub fn no_destination(arn: &Arn) -> Self {
        Failure::new("NO_RESOURCE", format!("API destination {arn} does not exist.").into())
    }

    /// Attempts outside have ended.
    pub fn of_attempts(cause: Cause, reason: &str, failed: u32, exhausted: Option<Exhausted>) -> Self {
        let failure = Failure::new(cause.code(), reason.into());
        Failure { exhausted, retries: failed.saturating_sub(1), ..failure }
    }

    /// The attributes of the dead letter, ordered by name (facts/eventbridge.md § 6).
    fn attributes(&self, rule: &Rule, target: &Target) -> Vec<Attribute> {
        let text = |name, value: ByteString| attribute(name, "String", value);
        let mut attributes = vec![
            text("ERROR_CODE", ByteString::from_static(self.code)),
            text("ERROR_MESSAGE", self.message.clone()),
        ];
        if let Some(exhausted) = self.exhausted {
            attributes.push(text("EXHAUSTED_RETRY_CONDITION", ByteString::from_static(exhausted.name())));
            attributes.push(attribute("RETRY_ATTEMPTS", "Number", self.retries.to_string().into()));
        }
        attributes.push(text("RULE_ARN", rule.arn.as_str().into()));
        attributes.push(text("TARGET_ARN", target.arn.to_string().into()));
        attributes
    }
}

fn attribute(name: &'static str, data_type: &'static str, value: ByteString) -> Attribute {
    Attribute {
        name: ByteString::from_static(name),
        data_type: ByteString::from_static(data_type),
        value: AttributeValue::Text(value),
    }
}

impl State {
    /// Gives an event up that a target does not get at once.
    pub(crate) fn give_up(
        &self,
        rule: &Rule,
        target: &Target,
        failure: &Failure,
        event: &Accepted,
        draft: &Draft,
        context: &mut Context<'_, '_>,
    ) -> Undelivered {
        let mut letter = draft.stored(event.text.clone());
        letter.attributes = failure.attributes(rule, target);
        let parcel = target.dead_letters.as_ref().map(|_| parcel(rule, &context.setting));
        let taken = parcel.is_some_and(|parcel| send(parcel, &letter, rule, target, context));
        undelivered(rule, target, failure, context.setting.now, taken, Some(event.id.clone()))
    }

    /// Gives up a delivery that was tried outside, and with its letter ends it. `parcel` is what it was tried with.
    pub(crate) fn give_up_delivery(
        &self,
        (number, ended): (u64, Ended),
        failure: &Failure,
        parcel: ParcelSent<'static>,
        mut letter: Notification,
        context: &mut Context<'_, '_>,
    ) -> Option<Undelivered> {
        let pending = self.deliveries.get(number)?;
        let (rule, target) = self.target(pending.form.recipient)?;
        letter.texts = Vec::new();
        letter.message_md5 = [0; 16];
        letter.attributes = failure.attributes(rule, target);
        let parcel = ParcelSent { ends: vec![ended], ..parcel.handed_on() };
        let taken = send(parcel, &letter, rule, target, context);
        Some(undelivered(rule, target, failure, context.setting.now, taken, None))
    }
}

/// Sends a letter to the target's dead-letter queue. Returns whether the queue takes it. A parcel that ends something is recorded either
/// way.
fn send(
    parcel: ParcelSent<'static>,
    letter: &Notification,
    rule: &Rule,
    target: &Target,
    context: &mut Context<'_, '_>,
) -> bool {
    let ends = !parcel.ends.is_empty();
    let body = context.body(parcel, letter.encode());
    if ends {
        context.keep(body);
    }
    let Some(queue) = &target.dead_letters else { return false };
    let taken = context.offer(&Offer {
        to: queue,
        body,
        must_be_allowed: context
            .setting
            .limits
            .policies
            .then_some(Sender { arn: &rule.arn, service: "events.amazonaws.com" }),
        size: letter.message.len(),
        attributes: letter.attributes.len(),
        form: Form { recipient: target.number, raw: true, protocol: 0, replayed: false },
        deduplicates_by_content: false,
        is_dead_letter: true,
    });
    taken == Taken::Taken
}

fn undelivered(
    rule: &Rule,
    target: &Target,
    failure: &Failure,
    at: Time,
    is_dead_letter: bool,
    event_id: Option<String>,
) -> Undelivered {
    Undelivered {
        message_id: event_id,
        published_to: None,
        sender_arn: rule.arn.clone(),
        protocol: "target".to_owned(),
        destination: target.arn.to_string(),
        at,
        attempts: failure.retries + 1,
        reason: failure.message.to_string(),
        is_dead_letter,
    }
}
