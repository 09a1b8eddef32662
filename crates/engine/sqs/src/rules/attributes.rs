//! A queue's attributes as the API knows them: names and texts in, values out, and texts again.

use std::ops::RangeInclusive;

use kernel::Refusal;
use serde_json::Value;

use super::settings::{RedriveAllowPolicy, RedrivePolicy, Settings};
use super::{policy, redrive};
use crate::queue::Queue;

/// An attribute of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // They are AWS's names; facts/sqs.md § 3 says what they mean.
pub enum Attribute {
    ApproximateNumberOfMessages,
    ApproximateNumberOfMessagesDelayed,
    ApproximateNumberOfMessagesNotVisible,
    ContentBasedDeduplication,
    CreatedTimestamp,
    DeduplicationScope,
    DelaySeconds,
    FifoQueue,
    FifoThroughputLimit,
    KmsDataKeyReusePeriodSeconds,
    KmsMasterKeyId,
    LastModifiedTimestamp,
    MaximumMessageSize,
    MessageRetentionPeriod,
    Policy,
    QueueArn,
    ReceiveMessageWaitTimeSeconds,
    RedriveAllowPolicy,
    RedrivePolicy,
    SqsManagedSseEnabled,
    VisibilityTimeout,
}

use Attribute as A;

impl Attribute {
    /// All of them, by name.
    pub const ALL: [Attribute; 21] = [
        A::ApproximateNumberOfMessages,
        A::ApproximateNumberOfMessagesDelayed,
        A::ApproximateNumberOfMessagesNotVisible,
        A::ContentBasedDeduplication,
        A::CreatedTimestamp,
        A::DeduplicationScope,
        A::DelaySeconds,
        A::FifoQueue,
        A::FifoThroughputLimit,
        A::KmsDataKeyReusePeriodSeconds,
        A::KmsMasterKeyId,
        A::LastModifiedTimestamp,
        A::MaximumMessageSize,
        A::MessageRetentionPeriod,
        A::Policy,
        A::QueueArn,
        A::ReceiveMessageWaitTimeSeconds,
        A::RedriveAllowPolicy,
        A::RedrivePolicy,
        A::SqsManagedSseEnabled,
        A::VisibilityTimeout,
    ];

    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            A::ApproximateNumberOfMessages => "ApproximateNumberOfMessages",
            A::ApproximateNumberOfMessagesDelayed => "ApproximateNumberOfMessagesDelayed",
            A::ApproximateNumberOfMessagesNotVisible => "ApproximateNumberOfMessagesNotVisible",
            A::ContentBasedDeduplication => "ContentBasedDeduplication",
            A::CreatedTimestamp => "CreatedTimestamp",
            A::DeduplicationScope => "DeduplicationScope",
            A::DelaySeconds => "DelaySeconds",
            A::FifoQueue => "FifoQueue",
            A::FifoThroughputLimit => "FifoThroughputLimit",
            A::KmsDataKeyReusePeriodSeconds => "KmsDataKeyReusePeriodSeconds",
            A::KmsMasterKeyId => "KmsMasterKeyId",
            A::LastModifiedTimestamp => "LastModifiedTimestamp",
            A::MaximumMessageSize => "MaximumMessageSize",
            A::MessageRetentionPeriod => "MessageRetentionPeriod",
            A::Policy => "Policy",
            A::QueueArn => "QueueArn",
            A::ReceiveMessageWaitTimeSeconds => "ReceiveMessageWaitTimeSeconds",
            A::RedriveAllowPolicy => "RedriveAllowPolicy",
            A::RedrivePolicy => "RedrivePolicy",
            A::SqsManagedSseEnabled => "SqsManagedSseEnabled",
            A::VisibilityTimeout => "VisibilityTimeout",
        }
    }

    /// The attribute of this name.
    pub fn from_name(name: &str) -> Result<Attribute, Refusal> {
        Attribute::ALL.into_iter().find(|attribute| attribute.name() == name).ok_or_else(|| unknown(name))
    }
}

/// One attribute that a request sets: what can be said of it without regard to others, and without the state,
/// is right.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // As Attribute. Texts that can be removed are options.
pub enum Change {
    ContentBasedDeduplication(bool),
    /// Whether it is `messageGroup`.
    DeduplicationScope(bool),
    DelaySeconds(u32),
    /// Whether it is `perMessageGroupId`.
    FifoThroughputLimit(bool),
    KmsDataKeyReusePeriodSeconds(u32),
    KmsMasterKeyId(Option<String>),
    MaximumMessageSize(u32),
    MessageRetentionPeriod(u32),
    Policy(Option<String>),
    ReceiveMessageWaitTimeSeconds(u32),
    RedriveAllowPolicy(Option<RedriveAllowPolicy>),
    RedrivePolicy(Option<RedrivePolicy>),
    SqsManagedSseEnabled(bool),
    VisibilityTimeout(u32),
}

/// How long a data key is reused, if nobody says (facts/sqs.md § 3).
const KMS_REUSE_SECONDS: u32 = 300;

/// Reads the attributes that a request sets on a queue (facts/sqs.md § 3). `fifo` is the queue's type, or the
/// type that it is to have.
pub fn parse<'a>(
    given: impl IntoIterator<Item = (&'a str, &'a str)>,
    fifo: bool,
) -> Result<Vec<Change>, Refusal> {
    let mut changes = Vec::new();
    for (name, text) in given {
        changes.extend(parse_one(Attribute::from_name(name)?, text, fifo)?);
    }
    Ok(changes)
}

fn parse_one(attribute: Attribute, text: &str, fifo: bool) -> Result<Option<Change>, Refusal> {
    let number = |range: RangeInclusive<u32>| {
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| invalid(attribute, None))
    };
    let removable = || (!text.is_empty()).then_some(text);
    Ok(Some(match attribute {
        A::DelaySeconds => Change::DelaySeconds(number(0..=900)?),
        A::MaximumMessageSize => Change::MaximumMessageSize(number(1_024..=1_048_576)?),
        A::MessageRetentionPeriod => Change::MessageRetentionPeriod(number(60..=1_209_600)?),
        A::ReceiveMessageWaitTimeSeconds => Change::ReceiveMessageWaitTimeSeconds(number(0..=20)?),
        A::VisibilityTimeout => Change::VisibilityTimeout(number(0..=43_200)?),
        A::KmsDataKeyReusePeriodSeconds => Change::KmsDataKeyReusePeriodSeconds(number(60..=86_400)?),
        A::KmsMasterKeyId => Change::KmsMasterKeyId(removable().map(str::to_owned)),
        A::SqsManagedSseEnabled => Change::SqsManagedSseEnabled(boolean(attribute, text)?),
        A::Policy => {
            removable().map_or(Ok(()), policy::check)?;
            Change::Policy(removable().map(str::to_owned))
        }
        A::RedrivePolicy => {
            Change::RedrivePolicy(removable().map(|text| redrive::policy(text, fifo)).transpose()?)
        }
        A::RedriveAllowPolicy => {
            Change::RedriveAllowPolicy(removable().map(redrive::allow_policy).transpose()?)
        }
        // A queue's type never changes; saying what is true already is no change.
        A::FifoQueue if fifo => {
            if !text.eq_ignore_ascii_case("true") {
                return Err(invalid(attribute, Some("Modifying queue type is not supported.")));
            }
            return Ok(None);
        }
        A::ContentBasedDeduplication if fifo => Change::ContentBasedDeduplication(boolean(attribute, text)?),
        A::DeduplicationScope if fifo => {
            Change::DeduplicationScope(one_of(attribute, text, "queue", "messageGroup")?)
        }
        A::FifoThroughputLimit if fifo => {
            Change::FifoThroughputLimit(one_of(attribute, text, "perQueue", "perMessageGroupId")?)
        }
        A::DeduplicationScope | A::FifoThroughputLimit => {
            return Err(Refusal::new(
                "InvalidAttributeName",
                format!("You can specify the {} only when FifoQueue is set to true.", attribute.name()),
            ));
        }
        // `FifoQueue=false` too: AWS knows the attribute on FIFO queues only.
        A::ContentBasedDeduplication
        | A::FifoQueue
        | A::ApproximateNumberOfMessages
        | A::ApproximateNumberOfMessagesDelayed
        | A::ApproximateNumberOfMessagesNotVisible
        | A::CreatedTimestamp
        | A::LastModifiedTimestamp
        | A::QueueArn => return Err(unknown(attribute.name())),
    }))
}

/// Booleans are read in any case and shown in lower case.
fn boolean(attribute: Attribute, text: &str) -> Result<bool, Refusal> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(invalid(attribute, None))
    }
}

/// Whether the text is the second of two.
fn one_of(attribute: Attribute, text: &str, first: &str, second: &str) -> Result<bool, Refusal> {
    if text == second {
        Ok(true)
    } else if text == first {
        Ok(false)
    } else {
        Err(invalid(attribute, None))
    }
}

impl Change {
    /// Which attribute it is about.
    pub fn attribute(&self) -> Attribute {
        match self {
            Change::ContentBasedDeduplication(_) => A::ContentBasedDeduplication,
            Change::DeduplicationScope(_) => A::DeduplicationScope,
            Change::DelaySeconds(_) => A::DelaySeconds,
            Change::FifoThroughputLimit(_) => A::FifoThroughputLimit,
            Change::KmsDataKeyReusePeriodSeconds(_) => A::KmsDataKeyReusePeriodSeconds,
            Change::KmsMasterKeyId(_) => A::KmsMasterKeyId,
            Change::MaximumMessageSize(_) => A::MaximumMessageSize,
            Change::MessageRetentionPeriod(_) => A::MessageRetentionPeriod,
            Change::Policy(_) => A::Policy,
            Change::ReceiveMessageWaitTimeSeconds(_) => A::ReceiveMessageWaitTimeSeconds,
            Change::RedriveAllowPolicy(_) => A::RedriveAllowPolicy,
            Change::RedrivePolicy(_) => A::RedrivePolicy,
            Change::SqsManagedSseEnabled(_) => A::SqsManagedSseEnabled,
            Change::VisibilityTimeout(_) => A::VisibilityTimeout,
        }
    }

    /// Whether it would change nothing. Documents are compared by what they say, not by how they are written.
    pub fn is_in_force(&self, settings: &Settings) -> bool {
        let fifo = settings.fifo.as_ref();
        match self {
            Change::ContentBasedDeduplication(on) => fifo.is_some_and(|fifo| fifo.content_based == *on),
            Change::DeduplicationScope(group) => fifo.is_some_and(|fifo| fifo.scope_is_group == *group),
            Change::DelaySeconds(seconds) => settings.delay_seconds == *seconds,
            Change::FifoThroughputLimit(group) => fifo.is_some_and(|fifo| fifo.limit_is_per_group == *group),
            Change::KmsDataKeyReusePeriodSeconds(seconds) => {
                settings.kms_reuse_seconds.unwrap_or(KMS_REUSE_SECONDS) == *seconds
            }
            Change::KmsMasterKeyId(key) => settings.kms_key == *key,
            Change::MaximumMessageSize(bytes) => settings.maximum_message_bytes == *bytes,
            Change::MessageRetentionPeriod(seconds) => settings.retention_seconds == *seconds,
            Change::Policy(policy) => same_document(policy.as_deref(), settings.policy.as_deref()),
            Change::ReceiveMessageWaitTimeSeconds(seconds) => settings.wait_seconds == *seconds,
            Change::RedriveAllowPolicy(policy) => {
                let permission = |policy: &RedriveAllowPolicy| policy.permission.clone();
                policy.as_ref().map(permission) == settings.redrive_allow.as_ref().map(permission)
            }
            Change::RedrivePolicy(policy) => {
                let said = |policy: &RedrivePolicy| (policy.target.clone(), policy.max_receives);
                policy.as_ref().map(said) == settings.redrive.as_ref().map(said)
            }
            Change::SqsManagedSseEnabled(on) => settings.sqs_managed_sse == *on,
            Change::VisibilityTimeout(seconds) => settings.visibility_seconds == *seconds,
        }
    }

    fn apply(&self, settings: &mut Settings) {
        match (self, &mut settings.fifo) {
            (Change::ContentBasedDeduplication(on), Some(fifo)) => fifo.content_based = *on,
            (Change::DeduplicationScope(group), Some(fifo)) => fifo.scope_is_group = *group,
            (Change::FifoThroughputLimit(group), Some(fifo)) => fifo.limit_is_per_group = *group,
            // They are not read for standard queues.
            (
                Change::ContentBasedDeduplication(_)
                | Change::DeduplicationScope(_)
                | Change::FifoThroughputLimit(_),
                None,
            ) => {}
            (Change::DelaySeconds(seconds), _) => settings.delay_seconds = *seconds,
            (Change::KmsDataKeyReusePeriodSeconds(seconds), _) => settings.kms_reuse_seconds = Some(*seconds),
            (Change::KmsMasterKeyId(key), _) => settings.kms_key = key.clone(),
            (Change::MaximumMessageSize(bytes), _) => settings.maximum_message_bytes = *bytes,
            (Change::MessageRetentionPeriod(seconds), _) => settings.retention_seconds = *seconds,
            (Change::Policy(policy), _) => settings.policy = policy.clone(),
            (Change::ReceiveMessageWaitTimeSeconds(seconds), _) => settings.wait_seconds = *seconds,
            (Change::RedriveAllowPolicy(policy), _) => settings.redrive_allow = policy.clone(),
            (Change::RedrivePolicy(policy), _) => settings.redrive = policy.clone(),
            (Change::SqsManagedSseEnabled(on), _) => settings.sqs_managed_sse = *on,
            (Change::VisibilityTimeout(seconds), _) => settings.visibility_seconds = *seconds,
        }
    }
}

fn same_document(one: Option<&str>, other: Option<&str>) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    one == other || matches!((one, other), (Some(one), Some(other)) if read(one) == read(other))
}

/// The settings with the changes in them, if they go together.
pub fn changed(settings: &Settings, changes: &[Change]) -> Result<Settings, Refusal> {
    let mut settings = settings.clone();
    for change in changes {
        change.apply(&mut settings);
    }
    // A key of KMS switches SQS's own encryption off; taking the key away does not switch it on (facts/sqs.md
    // § 3).
    if settings.kms_key.is_some() {
        if changes.contains(&Change::SqsManagedSseEnabled(true)) {
            return Err(Refusal::new(
                "InvalidAttributeName",
                "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS \
                 SSE or SQS SSE.",
            ));
        }
        settings.sqs_managed_sse = false;
    }
    if settings.fifo.as_ref().is_some_and(|fifo| fifo.limit_is_per_group && !fifo.scope_is_group) {
        return Err(invalid(
            A::FifoThroughputLimit,
            Some(
                "To set FifoThroughputLimit to perMessageGroupId, the DeduplicationScope must be \
                 messageGroup.",
            ),
        ));
    }
    Ok(settings)
}

/// An attribute's value as it is shown, if the queue has it (facts/sqs.md § 3).
pub fn show(queue: &Queue, attribute: Attribute) -> Option<String> {
    let settings = &queue.settings;
    let fifo = settings.fifo.as_ref();
    let either = |second: bool, texts: [&str; 2]| texts[usize::from(second)].to_owned();
    match attribute {
        A::ApproximateNumberOfMessages => Some(queue.visible_count.to_string()),
        A::ApproximateNumberOfMessagesDelayed => Some(queue.delayed_count.to_string()),
        A::ApproximateNumberOfMessagesNotVisible => Some(queue.in_flight_count.to_string()),
        A::ContentBasedDeduplication => fifo.map(|fifo| fifo.content_based.to_string()),
        A::CreatedTimestamp => Some(queue.created.seconds().to_string()),
        A::DeduplicationScope => fifo.map(|fifo| either(fifo.scope_is_group, ["queue", "messageGroup"])),
        A::DelaySeconds => Some(settings.delay_seconds.to_string()),
        A::FifoQueue => fifo.map(|_| "true".to_owned()),
        A::FifoThroughputLimit => {
            fifo.map(|fifo| either(fifo.limit_is_per_group, ["perQueue", "perMessageGroupId"]))
        }
        A::KmsDataKeyReusePeriodSeconds => {
            let seconds = settings.kms_reuse_seconds.unwrap_or(KMS_REUSE_SECONDS);
            (settings.kms_key.is_some() || seconds != KMS_REUSE_SECONDS).then(|| seconds.to_string())
        }
        A::KmsMasterKeyId => settings.kms_key.clone(),
        A::LastModifiedTimestamp => Some(queue.modified.seconds().to_string()),
        A::MaximumMessageSize => Some(settings.maximum_message_bytes.to_string()),
        A::MessageRetentionPeriod => Some(settings.retention_seconds.to_string()),
        A::Policy => settings.policy.clone(),
        A::QueueArn => Some(queue.arn.to_string()),
        A::ReceiveMessageWaitTimeSeconds => Some(settings.wait_seconds.to_string()),
        A::RedriveAllowPolicy => settings.redrive_allow.as_ref().map(|policy| policy.text.clone()),
        A::RedrivePolicy => settings.redrive.as_ref().map(RedrivePolicy::shown),
        A::SqsManagedSseEnabled => Some(settings.sqs_managed_sse.to_string()),
        A::VisibilityTimeout => Some(settings.visibility_seconds.to_string()),
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

pub(super) fn invalid(attribute: Attribute, reason: Option<&str>) -> Refusal {
    let reason = reason.map(|reason| format!(" Reason: {reason}")).unwrap_or_default();
    Refusal::new(
        "InvalidAttributeValue",
        format!("Invalid value for the parameter {}.{reason}", attribute.name()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::settings::FifoSettings;

    fn standard(attribute: &str, text: &str) -> Result<Vec<Change>, Refusal> {
        parse([(attribute, text)], false)
    }

    fn refusal(attribute: &str, text: &str, fifo: bool) -> (&'static str, String) {
        let refusal = parse([(attribute, text)], fifo).expect_err(text);
        (refusal.shape, refusal.message.into_owned())
    }

    #[test]
    fn numbers_are_taken_within_their_ranges_only() {
        // facts/sqs.md § 3
        for (name, least, most) in [
            ("DelaySeconds", 0, 900),
            ("MaximumMessageSize", 1_024, 1_048_576),
            ("MessageRetentionPeriod", 60, 1_209_600),
            ("ReceiveMessageWaitTimeSeconds", 0, 20),
            ("VisibilityTimeout", 0, 43_200),
            ("KmsDataKeyReusePeriodSeconds", 60, 86_400),
        ] {
            for good in [least, most] {
                let changes = standard(name, &good.to_string()).unwrap();
                assert_eq!(changes[0].attribute().name(), name);
            }
            let too_small = (i64::from(least) - 1).to_string();
            for bad in [&too_small, &(most + 1).to_string(), "", " 30", "30.0", "x", "99999999999999999999"] {
                let message = format!("Invalid value for the parameter {name}.");
                assert_eq!(refusal(name, bad, false), ("InvalidAttributeValue", message), "{bad}");
            }
        }
    }

    #[test]
    fn names_that_cannot_be_set_are_unknown() {
        // facts/sqs.md §§ 3, 11
        for name in ["QueueArn", "CreatedTimestamp", "ApproximateNumberOfMessages", "All", "delaySeconds", ""]
        {
            for fifo in [false, true] {
                let message = format!("Unknown Attribute {name}.");
                assert_eq!(refusal(name, "1", fifo), ("InvalidAttributeName", message));
            }
        }
    }

    #[test]
    fn attributes_of_fifo_queues_are_refused_on_standard_queues() {
        // facts/sqs.md § 11
        for (name, text, message) in [
            (
                "DeduplicationScope",
                "queue",
                "You can specify the DeduplicationScope only when FifoQueue is set to true.",
            ),
            (
                "FifoThroughputLimit",
                "perQueue",
                "You can specify the FifoThroughputLimit only when FifoQueue is set to true.",
            ),
            ("ContentBasedDeduplication", "true", "Unknown Attribute ContentBasedDeduplication."),
            ("FifoQueue", "true", "Unknown Attribute FifoQueue."),
            ("FifoQueue", "false", "Unknown Attribute FifoQueue."),
        ] {
            assert_eq!(refusal(name, text, false), ("InvalidAttributeName", message.to_owned()));
        }
    }

    #[test]
    fn attributes_of_fifo_queues_take_their_two_values() {
        // facts/sqs.md §§ 3, 11
        for (name, text, change) in [
            ("ContentBasedDeduplication", "true", Change::ContentBasedDeduplication(true)),
            ("ContentBasedDeduplication", "False", Change::ContentBasedDeduplication(false)),
            ("DeduplicationScope", "messageGroup", Change::DeduplicationScope(true)),
            ("DeduplicationScope", "queue", Change::DeduplicationScope(false)),
            ("FifoThroughputLimit", "perMessageGroupId", Change::FifoThroughputLimit(true)),
            ("FifoThroughputLimit", "perQueue", Change::FifoThroughputLimit(false)),
        ] {
            assert_eq!(parse([(name, text)], true), Ok(vec![change]));
            let message = format!("Invalid value for the parameter {name}.");
            assert_eq!(refusal(name, "x", true), ("InvalidAttributeValue", message));
        }
        assert_eq!(parse([("FifoQueue", "true")], true), Ok(vec![]));
        assert_eq!(
            refusal("FifoQueue", "false", true).1,
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
        );
    }

    #[test]
    fn one_kind_of_encryption_excludes_the_other() {
        // facts/sqs.md §§ 3, 11
        let key = Change::KmsMasterKeyId(Some("testKeyId".to_owned()));
        let fresh = Settings::default();
        assert!(fresh.sqs_managed_sse);
        let with_key = changed(&fresh, std::slice::from_ref(&key)).unwrap();
        assert!(!with_key.sqs_managed_sse);
        let without = changed(&with_key, &[Change::KmsMasterKeyId(None)]).unwrap();
        assert_eq!((without.kms_key, without.sqs_managed_sse), (None, false));
        let swapped = [Change::SqsManagedSseEnabled(true), Change::KmsMasterKeyId(None)];
        assert!(changed(&with_key, &swapped).unwrap().sqs_managed_sse);
        for (settings, changes) in [
            (&fresh, &[Change::SqsManagedSseEnabled(true), key][..]),
            (&with_key, &[Change::SqsManagedSseEnabled(true)][..]),
        ] {
            let refusal = changed(settings, changes).unwrap_err();
            assert_eq!(refusal.shape, "InvalidAttributeName");
            assert_eq!(
                refusal.message,
                "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS \
                 SSE or SQS SSE."
            );
        }
    }

    #[test]
    fn throughput_per_group_needs_deduplication_per_group() {
        // facts/sqs.md § 3
        let fifo = Settings { fifo: Some(FifoSettings::default()), ..Settings::default() };
        let both = [Change::FifoThroughputLimit(true), Change::DeduplicationScope(true)];
        let high = changed(&fifo, &both).unwrap();
        assert_eq!(
            changed(&fifo, &both[1..]).map(|settings| settings.fifo.unwrap().limit_is_per_group),
            Ok(false)
        );
        let refusal = changed(&fifo, &both[..1]).unwrap_err();
        assert_eq!(refusal.shape, "InvalidAttributeValue");
        assert_eq!(
            refusal.message,
            "Invalid value for the parameter FifoThroughputLimit. Reason: To set FifoThroughputLimit to \
             perMessageGroupId, the DeduplicationScope must be messageGroup."
        );
        assert_eq!(
            changed(&high, &[Change::DeduplicationScope(false)]).unwrap_err().shape,
            "InvalidAttributeValue"
        );
    }

    #[test]
    fn a_change_is_in_force_exactly_after_it_was_made() {
        let fifo = Settings { fifo: Some(FifoSettings::default()), ..Settings::default() };
        let redrive =
            r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:d.fifo","maxReceiveCount":5}"#;
        for (name, text) in [
            ("ContentBasedDeduplication", "true"),
            ("DeduplicationScope", "messageGroup"),
            ("DelaySeconds", "7"),
            ("KmsDataKeyReusePeriodSeconds", "60"),
            ("KmsMasterKeyId", "k"),
            ("MaximumMessageSize", "2048"),
            ("MessageRetentionPeriod", "60"),
            ("Policy", r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}"#),
            ("ReceiveMessageWaitTimeSeconds", "7"),
            ("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#),
            ("RedrivePolicy", redrive),
            ("SqsManagedSseEnabled", "false"),
            ("VisibilityTimeout", "7"),
        ] {
            let changes = parse([(name, text)], true).unwrap();
            assert!(!changes[0].is_in_force(&fifo), "{name}");
            assert!(changes[0].is_in_force(&changed(&fifo, &changes).unwrap()), "{name}");
        }
    }

    #[test]
    fn documents_are_the_same_however_they_are_written() {
        let policy = r#"{"Statement":{"Effect":"Deny","Principal":"*","Action":"*"}}"#;
        let spaced = r#"{ "Statement": { "Principal": "*", "Effect": "Deny", "Action": "*" } }"#;
        let settings = changed(&Settings::default(), &standard("Policy", policy).unwrap()).unwrap();
        assert!(standard("Policy", spaced).unwrap()[0].is_in_force(&settings));
        assert!(!Change::Policy(None).is_in_force(&settings));
    }
}
