//! What happens when a schedule is due: its target gets its input, or is tried again later, or the dead-letter queue gets a letter;
//! and the schedule waits for its next run or is deleted. All of that is one group of the log.

use bytestring::ByteString;
use kernel::parcel::Form;
use kernel::{Arn, Attribute, AttributeValue, Body, Offer, ParcelSent, Taken, hex, uuid_text};
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

/// Whoever gets the text of a schedule gets it as it is.
const RAW: Form = Form { recipient: 0, raw: true, protocol: 0, replayed: false };

impl State {
    /// A schedule runs.
    pub(crate) fn fire<'a>(&self, id: ScheduleId, context: &mut Context<'a, '_>) -> Decision<'a> {
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
        if let Some(tried) = self.attempt(&invocation, context) {
            records.push(Record::InvocationDeclared(Box::new(InvocationDeclared { tried, ..invocation })));
        }
        Decision::silent(records.into_iter().map(Fact::from).collect())
    }

    /// An invocation is tried again.
    pub(crate) fn try_again<'a>(&self, id: InvocationId, context: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(known) = self.invocations.get(id) else { return Decision::silent(Vec::new()) };
        let tried = Tried { attempts: known.tried.attempts.saturating_add(1), ..known.tried };
        let record = match self.attempt(&InvocationDeclared { tried, ..known.clone() }, context) {
            Some(tried) => Record::InvocationTried(InvocationTried { id, tried }),
            None => Record::InvocationEnded(self.invocations.end_of(id)),
        };
        Decision::silent(vec![record.into()])
    }

    /// Invokes a target. Returns when that is tried again; nothing if the target has it, or if it is given up.
    fn attempt(&self, declared: &InvocationDeclared, context: &mut Context<'_, '_>) -> Option<Tried> {
        let InvocationDeclared { id, target, tried, .. } = declared;
        let secret = context.setting.secret;
        let execution_id = hex(&secret.derive("execution", id.0)[..8]);
        let arn = declared.schedule_arn.parse::<Arn>().ok()?;
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
        let is_bus = to.as_ref().is_ok_and(|to| to.service == "events");
        let text = match (input, target.parameters.event.as_ref().filter(|_| is_bus)) {
            (input, Some((detail_type, source))) => {
                invocation.event(detail_type, source, input.as_deref().unwrap_or("{}"))
            }
            (Some(input), None) => input,
            (None, None) => invocation.default_input(&uuid_text(secret.derive("scheduled event", id.0))),
        };
        let message = Message { declared, text, attributes: Vec::new() };
        let reason = match to {
            Err(_) => "the target's ARN is malformed",
            Ok(to) => {
                let size = message.text.len();
                let group = target.message_group();
                let body = message.clone().body(group, to.resource.ends_with(".fifo"), context);
                match context.offer(&offer(&to, body, size, 0, false)) {
                    Taken::Refused(_, reason) => reason,
                    Taken::Taken | Taken::Duplicate => return None,
                }
            }
        };
        let now = context.setting.now;
        let next = retries::after_failure(target.retry, *id, tried.attempts, tried.first, now, secret);
        let condition = match next {
            Next::Again(tried) if tried.attempts > 1 || self.invocations.has_room() => return Some(tried),
            Next::Again(_) => None,
            Next::Exhausted(condition) => Some(condition),
        };
        let queue = target.dead_letters.as_ref()?.parse::<Arn>().ok()?;
        let attributes = letter_attributes(&invocation, target, reason, condition);
        let letter = Message { attributes, ..message };
        let (size, count) = (letter.text.len(), letter.attributes.len());
        let body = letter.body(None, false, context);
        context.offer(&offer(&queue, body, size, count, true));
        None
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
        let parcel = ParcelSent {
            number: context.setting.numbers.draw(),
            source: self.declared.schedule.0,
            at: context.setting.now,
            group: group.map(|group| group.to_owned().into()),
            deduplication_id,
            copies: Vec::new(),
            deliveries: Vec::new(),
            ends: Vec::new(),
            style: 0,
            archived_millis: 0,
            deduplicates: None,
            forwarded: false,
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
        deduplicates_by_content: false,
        is_dead_letter,
    }
}

/// What a dead letter says of the invocation that failed (facts/eventbridge.md § 9). `condition` is the one of the retry policy that
/// is exhausted.
fn letter_attributes(
    invocation: &Invocation<'_>,
    target: &Target,
    reason: &str,
    condition: Option<&str>,
) -> Vec<Attribute> {
    let (time, retries) = (invocation.scheduled_text(), (invocation.attempt - 1).to_string());
    let texts = [
        // Targets here say why in words. AWS has the code of the target's error.
        ("ERROR_CODE", Some("InvocationFailed")),
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
