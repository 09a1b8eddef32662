//! What the user may ask for on the command line.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// The shortest message that has room for its own identity (see [`crate::ledger`]).
pub(crate) const SHORTEST_MESSAGE_BYTES: usize = 64;

/// The longest message and the longest batch that SQS takes (AWS: quota "Message size", 1 MiB since August 2025).
pub(crate) const LONGEST_REQUEST_BYTES: usize = 1024 * 1024;

/// The arguments of `posthaste bench`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// What to measure, in this order
    #[arg(value_enum, default_values = ["send", "send-batch", "drain", "end-to-end"])]
    pub tasks: Vec<Task>,

    /// The server to load; http only
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4566")]
    pub endpoint: String,

    /// Queues and topics are created under this name and a number, and deleted afterwards
    #[arg(long, value_name = "NAME", default_value = "bench")]
    pub queue_prefix: String,

    /// How many queues share the load; not for topics
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub queues: usize,

    /// Queues that subscribe to the topic, raw (for `publish`, `publish-batch`, `fan-out`)
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub subscriptions: usize,

    /// Each subscription filters by an attribute, and messages match one of them alone
    #[arg(long)]
    pub filtered: bool,

    /// Messages carry the attribute that --filtered is about, though nothing filters by it
    #[arg(long)]
    pub attribute: bool,

    /// So many deliveries wait for a dead HTTP endpoint while `deliver` measures a healthy one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub pending: u64,

    /// How long the server is to wait before it tries the dead endpoint again: long enough for the measurement to fit in
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=300))]
    pub retry_seconds: u64,

    /// Use this queue, which exists, instead of creating one; what lies in it already is not counted (may be repeated)
    #[arg(long = "queue", value_name = "URL")]
    pub queue_urls: Vec<String>,

    /// Leave the queues and what is in them, and print their URLs
    #[arg(long)]
    pub keep: bool,

    /// FIFO queues; the order within each group is checked
    #[arg(long)]
    pub fifo: bool,

    /// Message groups, shared out among the connections (with --fifo)
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub groups: u32,

    /// Bytes of a message's body
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub size: usize,

    /// Connections, each with one request under way
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,

    /// Threads of the client, each with its share of the connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// How long a measurement lasts; `drain` and `fan-out` end when the queues are empty, if that is sooner
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub duration: f64,

    /// Load for this long before measuring (not for `drain` and `fan-out`, nor with --messages)
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub warmup: f64,

    /// Send so many messages, however long it takes (rounded up to whole batches on each connection); for `drain`, how many
    /// to prefill (200,000 unless told), for `fan-out` how many to publish (20,000)
    #[arg(long, value_name = "N")]
    pub messages: Option<u64>,

    /// Messages in one SendMessageBatch of `end-to-end`; 1 uses SendMessage
    #[arg(long, value_name = "1..10", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10))]
    pub batch: u64,

    /// Messages a second that the producers of all connections send together; without it, as fast as answers come (for
    /// `deliver`, 1,000)
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// Messages that `end-to-end` lets be sent and not yet received before its producers wait
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub window: u64,

    /// Give up on an answer after so long
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub timeout: f64,

    /// Count requests only: for a server that has no state, such as the bare one
    #[arg(long)]
    pub no_checks: bool,

    /// The server's process on this machine: its CPU time, memory and bytes written to disk are then reported too
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,

    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// No progress bar
    #[arg(long)]
    pub quiet: bool,
}

/// One thing to measure. What a number means, and what it does not, stands with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// SendMessage as fast as answers come.
    ///
    /// Means: the rate and latency of acknowledged single sends. Does not mean: what a consumer gets meanwhile; nobody
    /// receives.
    Send,
    /// SendMessageBatch of ten messages.
    ///
    /// Means: the rate of acknowledged messages when HTTP's cost is shared by ten. The latency is that of a whole batch.
    SendBatch,
    /// ReceiveMessage of up to ten, then DeleteMessageBatch of those, until the queue is empty.
    ///
    /// Means: how fast a backlog goes away; every message must come, with its own bytes. Does not mean: steady traffic,
    /// since nobody sends.
    Drain,
    /// Half of the connections send, the other half long-poll, receive and delete.
    ///
    /// Means: the rate that a queue sustains while both sides work, and each message's time from just before its send to
    /// its arrival. Unless --rate is given, producers run until --window messages are under way, so that the time is the
    /// time at saturation: that window over the rate. With a modest --rate it is the time a user would see.
    EndToEnd,
    /// Each connection sends one message, receives one, deletes it, and begins again.
    ///
    /// Means: the latency of each of the three at a constant number of waiting messages: run it on an empty queue and on
    /// a full one (--queue) to see what a backlog costs. Does not mean: peak rates.
    Cycle,
    /// ReceiveMessage on an empty queue, without waiting.
    ///
    /// Means: what an idle consumer that polls costs. Does not mean: long polls.
    Poll,
    /// Publish to a topic as fast as answers come; each message goes to --subscriptions queues.
    ///
    /// Means: the rate and latency of acknowledged publishes, counted once each however many queues they reach; beside
    /// `send`, what a copy costs. With --filtered, what subscriptions cost that do not want the message. That every queue
    /// holds every message is checked afterwards. Does not mean: what consumers get meanwhile; nobody receives.
    Publish,
    /// PublishBatch of ten messages.
    ///
    /// Means and does not mean: as `publish`, with HTTP's cost shared by ten.
    PublishBatch,
    /// What was published to a topic is received and deleted from all of its queues, until they are empty.
    ///
    /// Means: how fast the copies go away; every message must come once from each queue, with its own bytes. Does not
    /// mean: steady traffic, since nobody publishes.
    FanOut,
    /// Publish at a modest rate to a topic with one HTTP subscription, this program's own (the server must be on this
    /// machine), raw.
    ///
    /// Means: each message's time from just before its publish to its arrival by HTTP. With --pending, first so many
    /// messages are published to an endpoint that confirmed and then died: their memory, and the server's CPU between two
    /// retries, are measured, then the healthy endpoint's deliveries beside them; at the end the dead endpoint comes
    /// back and must get them all. Does not mean: signed envelopes, or peak rates.
    Deliver,
}

impl Task {
    /// The task's name on the command line and in results.
    pub fn name(self) -> &'static str {
        match self {
            Task::Send => "send",
            Task::SendBatch => "send-batch",
            Task::Drain => "drain",
            Task::EndToEnd => "end-to-end",
            Task::Cycle => "cycle",
            Task::Poll => "poll",
            Task::Publish => "publish",
            Task::PublishBatch => "publish-batch",
            Task::FanOut => "fan-out",
            Task::Deliver => "deliver",
        }
    }

    /// Its messages go to a topic.
    pub fn publishes(self) -> bool {
        matches!(self, Task::Publish | Task::PublishBatch | Task::FanOut | Task::Deliver)
    }
}
