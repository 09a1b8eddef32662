//! What a queue's owner decided about it: its attributes, as values, and as bytes of a record.

use kernel::codec::{Malformed, Reader, put_opt_str, put_str, put_u64};
use kernel::{Arn, Time};
use serde_json::Value;

/// A queue's attributes that can be set. Units are in the names; sources and ranges in `limits`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a new message stays hidden, if it does not say so itself (on FIFO: always).
    pub delay_seconds: u32,
    /// The longest message, attributes included.
    pub maximum_message_bytes: u32,
    /// How long a message is kept after it was sent.
    pub retention_seconds: u32,
    /// How long a receive waits that does not say so itself.
    pub wait_seconds: u32,
    /// How long a received message stays hidden, if the receive does not say so itself.
    pub visibility_seconds: u32,
    /// The access policy as its owner wrote it.
    pub policy: Option<String>,
    /// Where messages go that were received too often.
    pub redrive: Option<RedrivePolicy>,
    /// Which queues may name this one in their redrive policy.
    pub redrive_allow: Option<RedriveAllowPolicy>,
    /// The KMS key, as given; it is not looked up (facts/sqs.md § 3).
    pub kms_key: Option<String>,
    /// How long a data key is reused; absent until someone sets it.
    pub kms_reuse_seconds: Option<u32>,
    /// Whether SQS's own keys encrypt the queue.
    pub sqs_managed_sse: bool,
    /// What only FIFO queues have.
    pub fifo: Option<FifoSettings>,
}

impl Default for Settings {
    /// A fresh standard queue (facts/sqs.md § 3).
    fn default() -> Self {
        Settings {
            delay_seconds: 0,
            maximum_message_bytes: 1_048_576,
            retention_seconds: 345_600,
            wait_seconds: 0,
            visibility_seconds: 30,
            policy: None,
            redrive: None,
            redrive_allow: None,
            kms_key: None,
            kms_reuse_seconds: None,
            sqs_managed_sse: true,
            fifo: None,
        }
    }
}

/// `RedrivePolicy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedrivePolicy {
    /// The dead-letter queue.
    pub target: Arn,
    /// How often a message is delivered before it moves (1 to 1,000).
    pub max_receives: u32,
    /// The document as it was given.
    pub text: String,
}

impl RedrivePolicy {
    /// The document as it is shown: with the count as a number, however it was given (hashicorp/terraform's pull request 5888:
    /// "the AWS API accepts either, but will always return an integer"), and in the order of AWS's examples.
    pub fn shown(&self) -> String {
        let target = Value::from(self.target.to_string());
        format!("{{\"deadLetterTargetArn\":{target},\"maxReceiveCount\":{}}}", self.max_receives)
    }
}

/// `RedriveAllowPolicy`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RedriveAllowPolicy {
    /// Whom it allows.
    pub permission: RedrivePermission,
    /// The document as it was given.
    pub text: String,
}

/// Which queues may use a queue as their dead-letter queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RedrivePermission {
    /// Every queue of the same account and region.
    AllowAll,
    /// None.
    DenyAll,
    /// These, ten at most.
    ByQueue(Vec<String>),
}

/// What only FIFO queues have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FifoSettings {
    /// `ContentBasedDeduplication`.
    pub content_based: bool,
    /// `DeduplicationScope`: `messageGroup` rather than `queue`.
    pub scope_is_group: bool,
    /// `FifoThroughputLimit`: `perMessageGroupId` rather than `perQueue`.
    pub limit_is_per_group: bool,
    /// When the scope last changed: the old one stays in force for a while (facts/sqs.md § 3).
    pub scope_changed: Option<Time>,
}

/// How long the deduplication scope that was set before stays in force after a change. AWS says only that attributes
/// take up to 60 seconds to spread; recordings show the old scope still in force shortly after.
const SCOPE_SPREADS_MILLIS: u64 = 60_000;

impl FifoSettings {
    /// Whether messages are compared within their group only, at this moment.
    pub fn scope_in_force_is_group(&self, now: Time) -> bool {
        match self.scope_changed {
            Some(changed) if now < changed + SCOPE_SPREADS_MILLIS => !self.scope_is_group,
            _ => self.scope_is_group,
        }
    }
}

impl Settings {
    /// Whether the queue is FIFO.
    pub fn is_fifo(&self) -> bool {
        self.fifo.is_some()
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            self.delay_seconds,
            self.maximum_message_bytes,
            self.retention_seconds,
            self.wait_seconds,
            self.visibility_seconds,
        ] {
            put_u64(out, number.into());
        }
        put_opt_str(out, self.policy.as_deref());
        match &self.redrive {
            None => out.push(0),
            Some(redrive) => {
                out.push(1);
                put_str(out, &redrive.target.to_string());
                put_u64(out, redrive.max_receives.into());
                put_str(out, &redrive.text);
            }
        }
        match &self.redrive_allow {
            None => out.push(0),
            Some(allow) => {
                match &allow.permission {
                    RedrivePermission::AllowAll => out.push(1),
                    RedrivePermission::DenyAll => out.push(2),
                    RedrivePermission::ByQueue(arns) => {
                        out.push(3);
                        put_u64(out, arns.len() as u64);
                        arns.iter().for_each(|arn| put_str(out, arn));
                    }
                }
                put_str(out, &allow.text);
            }
        }
        put_opt_str(out, self.kms_key.as_deref());
        // Zero is no legal value, so it can stand for "not set".
        put_u64(out, self.kms_reuse_seconds.unwrap_or(0).into());
        out.push(self.sqs_managed_sse.into());
        match &self.fifo {
            None => out.push(0),
            Some(fifo) => {
                out.push(
                    1 | u8::from(fifo.content_based) << 1
                        | u8::from(fifo.scope_is_group) << 2
                        | u8::from(fifo.limit_is_per_group) << 3,
                );
                put_u64(out, fifo.scope_changed.map_or(0, |time| time.0));
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Settings, Malformed> {
        Ok(Settings {
            delay_seconds: reader.u32()?,
            maximum_message_bytes: reader.u32()?,
            retention_seconds: reader.u32()?,
            wait_seconds: reader.u32()?,
            visibility_seconds: reader.u32()?,
            policy: reader.opt_str()?.map(str::to_owned),
            redrive: match reader.u8()? {
                0 => None,
                _ => Some(RedrivePolicy {
                    target: reader.str()?.parse().map_err(|_| Malformed)?,
                    max_receives: reader.u32()?,
                    text: reader.str()?.to_owned(),
                }),
            },
            redrive_allow: match reader.u8()? {
                0 => None,
                form => {
                    let permission = match form {
                        1 => RedrivePermission::AllowAll,
                        2 => RedrivePermission::DenyAll,
                        3 => {
                            let count = reader.u32()?;
                            let arns = (0..count).map(|_| reader.str().map(str::to_owned));
                            RedrivePermission::ByQueue(arns.collect::<Result<_, _>>()?)
                        }
                        _ => return Err(Malformed),
                    };
                    Some(RedriveAllowPolicy { permission, text: reader.str()?.to_owned() })
                }
            },
            kms_key: reader.opt_str()?.map(str::to_owned),
            kms_reuse_seconds: Some(reader.u32()?).filter(|&seconds| seconds != 0),
            sqs_managed_sse: reader.u8()? != 0,
            fifo: match reader.u8()? {
                0 => None,
                bits => Some(FifoSettings {
                    content_based: bits & 2 != 0,
                    scope_is_group: bits & 4 != 0,
                    limit_is_per_group: bits & 8 != 0,
                    scope_changed: Some(reader.u64()?).filter(|&at| at != 0).map(Time),
                }),
            },
        })
    }
}
