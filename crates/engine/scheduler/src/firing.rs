//! What happens when a schedule is due: its target gets its input, or is tried again later, or the dead-letter queue gets a letter;
//! and the schedule waits for its next run or is deleted. All of that is one group of the log.

use std::borrow::Cow;

use bytestring::ByteString;
use kernel::parcel::Form;
use kernel::{
    Arn, Attribute, AttributeValue, Body, Call, Called, Caller, Offer, Outcome, ParcelSent, Taken,
    Undelivered, Why, hex, uuid_text,
};
use md5::{Digest, Md5};
use notification::{Kind, Notification};
use sha2::Sha256;

use crate::operations::{Context, Decision, Fact};
use crate::records::{InvocationDeclared, InvocationTried, Record, ScheduleRan, Tried};
use crate::rules::input::Invocation;
use crate::rules::retries::{self, Next};
use crate::rules::target::Target;
use crate::state::{DELETED_AT_ONCE, State, name_in, name_key};
use crate::{GroupId, InvocationId, ScheduleId};

/// The error code of a target that this server cannot invoke.
const FAILED: &str = "InvocationFailed";

/// The error code of a target that does not take something: the code with which the operation that AWS calls for such a target refuses
/// (facts/eventbridge.md § 9: the dead letter has the code of the target's error).
fn code_of(why: Why, service: &str) -> &'static str {
    match (why, service) {
        (Why::Missing, "sqs") => "AWS.SimpleQueueService.NonExistentQueue",
        (Why::Missing, "sns") => "NotFound",
        (Why::Missing, "states") => "StateMachineDoesNotExist",
        (Why::Missing, _) => "ResourceNotFoundException",
        (Why::Forbidden, "sqs") => "AccessDenied",
        (Why::Forbidden, "sns") => "AuthorizationError",
        (Why::Forbidden, _) => "AccessDeniedException",
        (Why::Unfit, "sqs") => "InvalidParameterValue",
        (Why::Unfit, "sns") => "InvalidParameter",
        (Why::Unfit, _) => "ValidationException",
        (Why::Unserved, _) => FAILED,
    }
}

/// Bytes of the records about an invocation that was called, and of its dead letter, besides its input.
const CALL_ROOM: usize = 16 << 10;

/// Whoever gets the text of a schedule gets it as it is.
const RAW: Form = Form { recipient: 0, raw: true, protocol: 0, replayed: false };

impl State {
    /// A schedule runs. A universal target is called first; then this is asked again with what became of the call.
    pub(crate) fn fire<'a>(
        &self,
        id: ScheduleId,
        called: Option<Called>,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        let Some(schedule) = self.schedules.get(&id) else { return Decision::silent(Vec::new()) };
        let Some(run) = schedule.run() else { return Decision::silent(Vec::new()) };
        let (own, now) = (schedule.own(), context.setting.now);
        let next = schedule.timing(id, &own, context.setting.secret).following(run, now);
        let mut records = vec![if next.is_none() && schedule.shared.is_deleted_after {
            Record::SchedulesDeleted(self.deletion_of(vec![id]))
        } else {
            Record::ScheduleRan(ScheduleRan { id, run: next })
        }];
        let invocation = InvocationDeclared {
            id: InvocationId(context.setting.numbers.draw()),
            schedule_arn: schedule.shared.group.schedule_arn(&own.name),
            schedule: id,
            target: schedule.shared.target.clone(),
            scheduled: run.scheduled,
            input: own.input,
            tried: Tried { attempts: 1, first: now, due: now },
        };
        match self.attempt(&invocation, called, context) {
            Attempted::Calls(call) => return Decision::with(Vec::new(), Outcome::Call(call)),
            Attempted::IsAgain(tried) => {
                records
                    .push(Record::InvocationDeclared(Box::new(InvocationDeclared { tried, ..invocation })));
            }
            Attempted::IsOver => {}
        }
        Decision::silent(records.into_iter().map(Fact::from).collect())
    }

    /// An invocation is tried again, in the same manner.
    pub(crate) fn try_again<'a>(
        &self,
        id: InvocationId,
        called: Option<Called>,
        context: &mut Context<'a, '_>,
    ) -> Decision<'a> {
        let Some(known) = self.invocations.get(id) else { return Decision::silent(Vec::new()) };
        let tried = Tried { attempts: known.tried.attempts.saturating_add(1), ..known.tried };
        let record = match self.attempt(&InvocationDeclared { tried, ..known.clone() }, called, context) {
            Attempted::Calls(call) => return Decision::with(Vec::new(), Outcome::Call(call)),
            Attempted::IsAgain(tried) => Record::InvocationTried(InvocationTried { id, tried }),
            Attempted::IsOver => Record::InvocationEnded(self.invocations.end_of(id)),
        };
        Decision::silent(vec![record.into()])
    }

    /// Invokes a target, or, with what became of the call, ends that.
    fn attempt(
        &self,
        declared: &InvocationDeclared,
        called: Option<Called>,
        context: &mut Context<'_, '_>,
    ) -> Attempted {
        let InvocationDeclared { id, target, tried, .. } = declared;
        let secret = context.setting.secret;
        // The same for all attempts of a run.
        let run = declared.schedule.0.rotate_left(32) ^ declared.scheduled.0;
        let execution_id = hex(&secret.derive("execution", run)[..8]);
        let Ok(arn) = declared.schedule_arn.parse::<Arn>() else { return Attempted::IsOver };
        let invocation = Invocation {
            schedule_arn: &declared.schedule_arn,
            account: &arn.account,
            region: &arn.region,
            scheduled: declared.scheduled,
            execution_id: &execution_id,
            attempt: tried.attempts,
        };
        let input = declared.input.as_ref().map(|input| invocation.fill(input));
        let to = target.arn.parse::<Arn>();
        let operation = target.operation();
        if let (Some((service, operation)), None) = (operation, &called) {
            let input = input.unwrap_or_else(|| "{}".to_owned());
            return Attempted::Calls(Box::new(Call {
                service: service.to_owned(),
                operation: operation.to_owned(),
                // The record of the invocation and its dead letter hold the input.
                room: 2 * input.len() + CALL_ROOM,
                input,
                caller: Caller {
                    principal: arn.account.to_string(),
                    account: arn.account.to_string(),
                    region: arn.region.to_string(),
                    signed: true,
                },
                base: String::new(),
            }));
        }
        let is_bus = to.as_ref().is_ok_and(|to| to.service == "events");
        let text = match (input, target.parameters.event.as_ref().filter(|_| is_bus)) {
            (input, Some((detail_type, source))) => {
                invocation.event(detail_type, source, input.as_deref().unwrap_or("{}"))
            }
            (Some(input), None) => input,
            (None, None) => invocation.default_input(&uuid_text(secret.derive("scheduled event", id.0))),
        };
        let message = Message { declared, text, attributes: Vec::new() };
        let (code, reason): (&'static str, Cow<'static, str>) = match (called, to) {
            (Some(Called::Answered(_)), _) => return Attempted::IsOver,
            (Some(Called::Refused(refusal)), _) => (refusal.shape, refusal.message),
            (Some(Called::Impossible(why)), _) => (FAILED, why),
            (None, Err(_)) => (FAILED, "the target's ARN is malformed".into()),
            (None, Ok(to)) => {
                let size = message.text.len();
                let group = target.message_group();
                let body = message.clone().body(group, to.resource.ends_with(".fifo"), context);
                match context.offer(&offer(&to, body, size, 0, false)) {
                    Taken::Refused(why, reason) => (code_of(why, &to.service), reason.into()),
                    Taken::Taken | Taken::Duplicate => return Attempted::IsOver,
                }
            }
        };
        let now = context.setting.now;
        let undelivered = |is_dead_letter| Undelivered {
            message_id: Some(execution_id.clone()),
            published_to: None,
            sender_arn: declared.schedule_arn.clone(),
            protocol: "target".to_owned(),
            destination: target.arn.to_string(),
            at: now,
            attempts: tried.attempts,
            reason: format!("{code}: {reason}"),
            is_dead_letter,
        };
        let next = retries::after_failure(target.retry, *id, tried.attempts, tried.first, now, secret);
        let condition = match next {
            Next::Again(tried) if tried.attempts > 1 || self.invocations.has_room() => {
                context.undelivered(undelivered(false));
                return Attempted::IsAgain(tried);
            }
            Next::Again(_) => None,
            Next::Exhausted(condition) => Some(condition),
        };
        let queue = target.dead_letters.as_ref().and_then(|arn| arn.parse::<Arn>().ok());
        let Some(queue) = queue else {
            context.undelivered(undelivered(false));
            return Attempted::IsOver;
        };
        let attributes = letter_attributes(&invocation, target, (code, &reason), condition);
        let letter = Message { attributes, ..message };
        let (size, count) = (letter.text.len(), letter.attributes.len());
        let body = letter.body(None, false, context);
        let taken = context.offer(&offer(&queue, body, size, count, true));
        context.undelivered(undelivered(taken == Taken::Taken));
        Attempted::IsOver
    }

    /// A group is being deleted: some of its schedules go, or itself if there are none.
    pub(crate) fn delete_some<'a>(&self, id: GroupId) -> Decision<'a> {
        let Some(group) = self.groups.get(&id) else { return Decision::silent(Vec::new()) };
        let theirs = self.names.range(name_key(id, "")..).take_while(|(key, _)| name_in(key, id).is_some());
        let ids: Vec<ScheduleId> = theirs.map(|(_, &schedule)| schedule).take(DELETED_AT_ONCE).collect();
        let record = match ids.is_empty() {
            true => Record::GroupDeleted(self.deletion_of_group(group)),
            false => Record::SchedulesDeleted(self.deletion_of(ids)),
        };
        Decision::silent(vec![record.into()])
    }
}

/// What an attempt comes to.
enum Attempted {
    /// The target has what it was to get, or it is given up.
    IsOver,
    /// It failed, and there is another attempt.
    IsAgain(Tried),
    /// This operation is to be called.
    Calls(Box<Call>),
}

/// A message for a target.
#[derive(Clone, Debug)]
struct Message<'m> {
    declared: &'m InvocationDeclared,
    text: String,
    attributes: Vec<Attribute>,
}

impl Message<'_> {
    /// The message as a body that can be offered. A FIFO queue compares the hash of its text.
    fn body(self, group: Option<&str>, is_fifo: bool, context: &mut Context<'_, '_>) -> Body {
        let deduplication_id = is_fifo.then(|| hex(&Sha256::digest(&self.text)).into());
        let notification = Notification {
            kind: Kind::Notification,
            message_md5: Md5::digest(&self.text).into(),
            message: self.text.into(),
            texts: Vec::new(),
            subject: None,
            attributes: self.attributes,
            trace_header: None,
            topic_arn: self.declared.schedule_arn.as_str().into(),
            base: ByteString::new(),
            endpoint: None,
            fifo: false,
        };
        let number = context.setting.numbers.draw();
        let parcel = ParcelSent {
            group: group.map(|group| group.to_owned().into()),
            deduplication_id,
            ..ParcelSent::new(number, self.declared.schedule.0, context.setting.now)
        };
        context.body(parcel, notification.encode())
    }
}

/// The role decides what a schedule may do, not the target's policy.
fn offer(to: &Arn, body: Body, size: usize, attributes: usize, is_dead_letter: bool) -> Offer<'_> {
    Offer {
        to,
        body,
        must_be_allowed: None,
        size,
        attributes,
        form: RAW,
        // A FIFO queue must compare contents: there is no other id.
        deduplicates_by_content: true,
        is_dead_letter,
    }
}

/// What a dead letter says of the invocation that failed (facts/eventbridge.md § 9). `condition` is the one of the retry policy that
/// is exhausted.
fn letter_attributes(
    invocation: &Invocation<'_>,
    target: &Target,
    (code, reason): (&str, &str),
    condition: Option<&str>,
) -> Vec<Attribute> {
    let (time, retries) = (invocation.scheduled_text(), (invocation.attempt - 1).to_string());
    let texts = [
        ("ERROR_CODE", Some(code)),
        ("ERROR_MESSAGE", Some(reason)),
        ("EXECUTION_ID", Some(invocation.execution_id)),
        ("EXHAUSTED_RETRY_CONDITION", condition),
        ("IS_PAYLOAD_TRUNCATED", Some("false")),
        ("RETRY_ATTEMPTS", Some(&*retries)),
        ("SCHEDULED_TIME", Some(&*time)),
        ("SCHEDULE_ARN", Some(invocation.schedule_arn)),
        ("TARGET_ARN", Some(&*target.arn)),
    ];
    let attribute = |(name, value): (&'static str, Option<&str>)| {
        let value = AttributeValue::Text(value?.into());
        Some(Attribute { name: name.into(), data_type: "String".into(), value })
    };
    texts.into_iter().filter_map(attribute).collect()
}
