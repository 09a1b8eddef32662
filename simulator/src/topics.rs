//! The topics of the simulated world, and their possible subscriptions.

use sns::TopicKey;

use crate::queues::QUEUES;

/// A topic that clients may create.
#[derive(Debug)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// Its attributes.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// All topics.
pub const TOPICS: [Plan; 7] = [
    Plan { name: "news", attributes: &[] },
    Plan { name: "side", attributes: &[] },
    Plan { name: "news.fifo", attributes: &[("FifoTopic", "true")] },
    Plan {
        name: "content.fifo",
        attributes: &[("FifoTopic", "true"), ("ContentBasedDeduplication", "true")],
    },
    Plan {
        name: "grouped.fifo",
        attributes: &[("FifoTopic", "true"), ("FifoThroughputScope", "MessageGroup")],
    },
    Plan { name: "kept.fifo", attributes: &[("FifoTopic", "true"), ("ArchivePolicy", ARCHIVES[0])] },
    Plan {
        name: "content-kept.fifo",
        attributes: &[
            ("FifoTopic", "true"),
            ("ContentBasedDeduplication", "true"),
            ("ArchivePolicy", ARCHIVES[1]),
        ],
    },
];

/// Number of topics in worlds without archives; the later ones have archives.
pub const WITHOUT_ARCHIVES: usize = 5;

/// The possible archives of a topic: one day, two days, none.
pub const ARCHIVES: [&str; 3] =
    [r#"{"MessageRetentionPeriod":"1"}"#, r#"{"MessageRetentionPeriod":"2"}"#, "{}"];

/// The retention of the shortest archive, in milliseconds.
pub const SHORTEST_ARCHIVE: u64 = 86_400_000;

/// The endpoint of a subscription.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// A queue: an index into [`QUEUES`].
    Queue(usize),
    /// A queue that is never created.
    NoQueue,
    /// An endpoint outside, with this URL.
    Web(&'static str),
}

/// A subscription that clients may create.
#[derive(Debug)]
pub struct Subscription {
    /// The topic: an index into [`TOPICS`].
    pub topic: usize,
    /// The endpoint.
    pub target: Target,
    /// Its initial attributes, without the redrive policy.
    pub attributes: &'static [(&'static str, &'static str)],
    /// Whether failed deliveries go to [`LETTERS`].
    pub has_letters: bool,
    /// Retries after the first attempt, for an endpoint outside.
    pub retries: u32,
}

/// The dead-letter queue of subscriptions: an index into [`QUEUES`].
pub const LETTERS: usize = 10;

/// The filter policies: none, only messages of `a`, and messages of `a` and `b`.
pub const FILTERS: [(&str, &str); 3] = [("", ""), (r#"{"k":["a"]}"#, "a"), (r#"{"k":["a","b"]}"#, "ab")];

const RAW: (&str, &str) = ("RawMessageDelivery", "true");
const SLOW: (&str, &str) = (
    "DeliveryPolicy",
    r#"{"healthyRetryPolicy":{"minDelayTarget":1,"maxDelayTarget":2,"numRetries":2},"throttlePolicy":{"maxReceivesPerSecond":2}}"#,
);

const fn subscription(topic: usize, target: Target) -> Subscription {
    Subscription { topic, target, attributes: &[], has_letters: false, retries: 3 }
}

/// All subscriptions.
pub const SUBSCRIPTIONS: [Subscription; 24] = [
    Subscription { attributes: &[RAW], ..subscription(0, Target::Queue(0)) },
    Subscription {
        attributes: &[("FilterPolicy", FILTERS[1].0)],
        has_letters: true,
        ..subscription(0, Target::Queue(11))
    },
    Subscription { attributes: &[RAW], ..subscription(0, Target::Queue(4)) },
    subscription(0, Target::Queue(1)),
    Subscription { has_letters: true, ..subscription(0, Target::Web("http://one.test/")) },
    Subscription {
        attributes: &[("FilterPolicy", FILTERS[2].0), SLOW],
        retries: 2,
        ..subscription(0, Target::Web("http://two.test/"))
    },
    Subscription { attributes: &[RAW], has_letters: true, ..subscription(1, Target::Queue(11)) },
    subscription(1, Target::Queue(2)),
    Subscription {
        attributes: &[RAW],
        has_letters: true,
        ..subscription(1, Target::Web("https://three.test/"))
    },
    Subscription { has_letters: true, ..subscription(1, Target::NoQueue) },
    Subscription { attributes: &[RAW], ..subscription(2, Target::Queue(5)) },
    subscription(2, Target::Queue(12)),
    Subscription { attributes: &[RAW], ..subscription(2, Target::Queue(8)) },
    Subscription { attributes: &[("FilterPolicy", FILTERS[1].0)], ..subscription(2, Target::Queue(11)) },
    subscription(3, Target::Queue(12)),
    Subscription { attributes: &[RAW], ..subscription(3, Target::Queue(9)) },
    // A queue with queue-wide deduplication would accept only one of two groups' messages with the same id.
    Subscription { attributes: &[RAW], ..subscription(4, Target::Queue(9)) },
    subscription(4, Target::Queue(11)),
    Subscription { attributes: &[RAW], ..subscription(5, Target::Queue(13)) },
    Subscription { attributes: &[("FilterPolicy", FILTERS[1].0)], ..subscription(5, Target::Queue(14)) },
    Subscription { has_letters: true, ..subscription(5, Target::NoQueue) },
    Subscription { attributes: &[FROM_THE_BEGINNING], ..subscription(6, Target::Queue(13)) },
    Subscription { attributes: &[RAW, ("FilterPolicy", FILTERS[2].0)], ..subscription(6, Target::Queue(12)) },
    Subscription { has_letters: true, ..subscription(6, Target::Queue(14)) },
];

/// Number of subscriptions in worlds without archives.
pub const WITHOUT_REPLAYS: usize = 18;

/// A replay of the whole archive, because worlds begin later.
pub const FROM_THE_BEGINNING: (&str, &str) =
    ("ReplayPolicy", r#"{"PointType":"Timestamp","StartingPoint":"2023-11-14T00:00:00.000Z"}"#);

impl Plan {
    /// Account, region and name.
    pub fn key(&self) -> TopicKey {
        TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: self.name.into() }
    }

    /// Returns whether it uses content-based deduplication.
    pub fn is_content_based(&self) -> bool {
        self.attributes.contains(&("ContentBasedDeduplication", "true"))
    }

    /// Returns whether its deduplication scope is the group.
    pub fn deduplicates_by_group(&self) -> bool {
        self.attributes.contains(&("FifoThroughputScope", "MessageGroup"))
    }

    /// Returns whether it is FIFO.
    pub fn is_fifo(&self) -> bool {
        self.name.ends_with(".fifo")
    }
}

impl Subscription {
    /// Returns the name of its protocol.
    pub fn protocol(&self) -> &'static str {
        match self.target {
            Target::Queue(_) | Target::NoQueue => "sqs",
            Target::Web(url) if url.starts_with("https:") => "https",
            Target::Web(_) => "http",
        }
    }

    /// Returns its endpoint, as clients write it.
    pub fn endpoint(&self) -> String {
        match self.target {
            Target::Queue(queue) => QUEUES[queue].key().arn().to_string(),
            Target::NoQueue => "arn:aws:sqs:us-east-1:000000000000:nowhere".into(),
            Target::Web(url) => url.into(),
        }
    }

    /// Returns the attributes for its creation.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let mut attributes: Vec<(String, String)> =
            self.attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        if self.has_letters {
            let target = QUEUES[LETTERS].key().arn();
            attributes.push(("RedrivePolicy".into(), format!("{{\"deadLetterTargetArn\":\"{target}\"}}")));
        }
        attributes
    }
}
