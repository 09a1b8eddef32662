//! What names a queue, a message, a move task.

pub use kernel::Seq;
use kernel::codec::{Malformed, Reader, put_str};
use kernel::{Arn, Secret, uuid_text};

/// A queue's number: drawn from the same counter as [`Seq`], never reused, so that what the log still says about a
/// deleted queue can never be taken for another's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct QueueId(pub u64);

/// A message move task's number, from the same counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct TaskId(pub u64);

/// Account, region and name: what a queue's URL and ARN say.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueKey {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
    /// With `.fifo` at its end for a FIFO queue.
    pub name: String,
}

impl QueueKey {
    /// The queue's ARN.
    pub fn arn(&self) -> Arn {
        Arn::new("sqs", &self.region, &self.account, &self.name)
    }

    /// The queue that an ARN names, if it names one.
    pub fn from_arn(arn: &Arn) -> Option<QueueKey> {
        (arn.service == "sqs").then(|| QueueKey {
            account: arn.account.clone(),
            region: arn.region.clone(),
            name: arn.resource.clone(),
        })
    }

    /// Whether the name is a FIFO queue's.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_str(out, &self.account);
        put_str(out, &self.region);
        put_str(out, &self.name);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(QueueKey {
            account: reader.str()?.to_owned(),
            region: reader.str()?.to_owned(),
            name: reader.str()?.to_owned(),
        })
    }
}

/// The `MessageId` of the message that was first sent with the number `origin`: a version 4 UUID, a function of the
/// server's secret, so that nothing has to remember it and nobody else can guess it.
pub fn message_id(secret: &Secret, origin: Seq) -> String {
    uuid_text(secret.derive("message", origin.0))
}

/// The id of a move task, as it stands in its handle.
pub fn task_uuid(secret: &Secret, task: TaskId) -> String {
    uuid_text(secret.derive("task", task.0))
}

/// A sequence number as AWS shows it: twenty digits.
pub fn sequence_number(seq: Seq) -> String {
    kernel::sequence_number(seq.0)
}
