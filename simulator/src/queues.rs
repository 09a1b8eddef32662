//! The queues of the simulated world: a few of each kind.

use sqs::QueueKey;

/// A queue that clients may create.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// Its attributes, without the redrive policy.
    pub attributes: &'static [(&'static str, &'static str)],
    /// Its dead-letter queue, as an index into [`QUEUES`], and the maximum number of receives.
    pub dead_letters: Option<(usize, u32)>,
    /// Its retention period, in seconds.
    pub retention: u64,
    /// Its delay, in seconds.
    pub delay: u64,
    /// Queues between which messages move have the same family.
    pub family: usize,
    /// Whether messages move into it or out of it.
    pub movable: bool,
}

const DAYS4: u64 = 345_600;

/// All queues.
pub const QUEUES: [Plan; 15] = [
    Plan {
        name: "plain",
        attributes: &[],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 0,
        movable: false,
    },
    Plan {
        name: "delayed",
        attributes: &[("DelaySeconds", "3")],
        dead_letters: None,
        retention: DAYS4,
        delay: 3,
        family: 1,
        movable: false,
    },
    Plan {
        name: "short",
        attributes: &[("MessageRetentionPeriod", "60")],
        dead_letters: None,
        retention: 60,
        delay: 0,
        family: 2,
        movable: false,
    },
    Plan {
        name: "dead",
        attributes: &[],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 3,
        movable: true,
    },
    Plan {
        name: "work",
        attributes: &[],
        dead_letters: Some((3, 2)),
        retention: DAYS4,
        delay: 0,
        family: 3,
        movable: true,
    },
    Plan {
        name: "order.fifo",
        attributes: &[("FifoQueue", "true")],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 4,
        movable: false,
    },
    Plan {
        name: "content.fifo",
        attributes: &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 5,
        movable: false,
    },
    Plan {
        name: "dead.fifo",
        attributes: &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 6,
        movable: true,
    },
    Plan {
        name: "work.fifo",
        attributes: &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")],
        dead_letters: Some((7, 2)),
        retention: DAYS4,
        delay: 0,
        family: 6,
        movable: true,
    },
    Plan {
        name: "grouped.fifo",
        attributes: &[
            ("FifoQueue", "true"),
            ("DeduplicationScope", "messageGroup"),
            ("FifoThroughputLimit", "perMessageGroupId"),
        ],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 7,
        movable: false,
    },
    Plan {
        name: "letters",
        attributes: &[],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 8,
        movable: false,
    },
    Plan {
        name: "copies",
        attributes: &[],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 9,
        movable: false,
    },
    Plan {
        name: "copies.fifo",
        attributes: &[("FifoQueue", "true")],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 10,
        movable: false,
    },
    Plan {
        name: "replays.fifo",
        attributes: &[("FifoQueue", "true")],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 11,
        movable: false,
    },
    Plan {
        name: "replays",
        attributes: &[],
        dead_letters: None,
        retention: DAYS4,
        delay: 0,
        family: 12,
        movable: false,
    },
];

/// Number of queues in worlds without topics.
pub const WITHOUT_TOPICS: usize = 10;

/// Number of queues in worlds without archives.
pub const WITHOUT_ARCHIVES: usize = 13;

/// Number of families.
pub const FAMILIES: usize = 13;

impl Plan {
    /// Account, region and name.
    pub fn key(&self) -> QueueKey {
        QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: self.name.into() }
    }

    /// Returns whether it is FIFO.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }

    /// Returns the attributes for its creation.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let mut attributes: Vec<(String, String)> =
            self.attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Some((target, most)) = self.dead_letters {
            let target = QUEUES[target].key().arn();
            let policy = format!("{{\"deadLetterTargetArn\":\"{target}\",\"maxReceiveCount\":\"{most}\"}}");
            attributes.push(("RedrivePolicy".into(), policy));
        }
        attributes
    }

    /// Returns whether its deduplication scope is the group.
    pub fn deduplicates_by_group(&self) -> bool {
        self.attributes.contains(&("DeduplicationScope", "messageGroup"))
    }

    /// Returns whether it uses content-based deduplication.
    pub fn is_content_based(&self) -> bool {
        self.attributes.contains(&("ContentBasedDeduplication", "true"))
    }
}
