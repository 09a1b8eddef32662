//! The command line arguments.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// Minimum length of a message, which contains its own identity (see [`crate::ledger`]).
pub(crate) const SHORTEST_MESSAGE_BYTES: usize = 64;

/// Maximum size of a message and of a batch in SQS (AWS: quota "Message size", 1 MiB since August 2025).
pub(crate) const LONGEST_REQUEST_BYTES: usize = 1024 * 1024;

/// The arguments of `posthaste bench`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Tasks to measure, in this order
    #[arg(value_enum, default_values = ["send", "send-batch", "drain", "end-to-end"])]
    pub tasks: Vec<Task>,

    /// Server to load; http only
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4566")]
    pub endpoint: String,

    /// Prefix of the names of queues and topics, which are created and deleted afterwards
    #[arg(long, value_name = "NAME", default_value = "bench")]
    pub queue_prefix: String,

    /// Queues that share the load; not for topics
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub queues: usize,

    /// Queues that subscribe to the topic, with raw delivery (for `publish`, `publish-batch`, `fan-out`), or that are the
    /// target of one rule each (for `put-events`)
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub subscriptions: usize,

    /// Each subscription or rule filters by an attribute, and each message matches one of them
    #[arg(long)]
    pub filtered: bool,

    /// Messages carry the attribute of --filtered, but nothing filters by it
    #[arg(long)]
    pub attribute: bool,

    /// Deliveries that wait for a dead HTTP endpoint while `deliver` measures a healthy one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub pending: u64,

    /// How long the server waits before it retries the dead endpoint: long enough for the measurement
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(5..=300))]
    pub retry_seconds: u64,

    /// Use this existing queue instead of creating one; messages that are in it already are not counted (may
    /// be repeated)
    #[arg(long = "queue", value_name = "URL")]
    pub queue_urls: Vec<String>,

    /// Keep the queues and their messages, and print their URLs
    #[arg(long)]
    pub keep: bool,

    /// Use FIFO queues, and check the order within each group
    #[arg(long)]
    pub fifo: bool,

    /// Message groups, divided among the connections (with --fifo)
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub groups: u32,

    /// Length of a message's body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    pub size: usize,

    /// Connections, each with one request in progress
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub connections: usize,

    /// Client threads, which share the connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,

    /// Duration of a measurement; `drain` and `fan-out` end earlier when the queues are empty
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub duration: f64,

    /// Load for this long before measuring (not for `drain` and `fan-out`, nor with --messages)
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    pub warmup: f64,

    /// Number of messages to send, without a time limit (rounded up to whole batches on each connection); for
    /// `drain`, the number to prefill (default 200,000), for `fan-out`, the number to publish (default
    /// 20,000)
    #[arg(long, value_name = "N")]
    pub messages: Option<u64>,

    /// Messages per SendMessageBatch of `end-to-end`, where 1 uses SendMessage, and per PutEvents of `put-events` and
    /// `route`; records per PutRecords of `put-records`, up to 500
    #[arg(long, value_name = "1..10", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=500))]
    pub batch: u64,

    /// Messages per second of all producers together; without it, as fast as answers arrive (for `deliver`,
    /// 1,000)
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,

    /// Messages of `end-to-end`, `route` and `execute` that may be sent and not yet received before the producers wait
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub window: u64,

    /// Timeout of an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub timeout: f64,

    /// Only count requests: for a server without state, such as the bare one
    #[arg(long)]
    pub no_checks: bool,

    /// Process id of the server on this machine, to report its CPU time, memory and bytes written to disk,
    /// too
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,

    /// Write the results as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Show no progress bar
    #[arg(long)]
    pub quiet: bool,
}

/// A task to measure. Each describes what its number means, and what it does not mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// SendMessage as fast as answers arrive.
    ///
    /// Means: the rate and latency of acknowledged single sends. Does not mean: the rate of a consumer at the
    /// same time; nothing is received.
    Send,
    /// SendMessageBatch of ten messages.
    ///
    /// Means: the rate of acknowledged messages when ten share the cost of HTTP. The latency is that of a
    /// whole batch.
    SendBatch,
    /// ReceiveMessage of up to ten, then DeleteMessageBatch of those, until the queue is empty.
    ///
    /// Means: the rate at which a backlog is consumed; every message must arrive, with its own bytes. Does
    /// not mean: steady traffic, because nothing is sent.
    Drain,
    /// Half of the connections send, the other half long-poll, receive and delete.
    ///
    /// Means: the rate that a queue sustains while both sides work, and each message's time from just before
    /// its send to its arrival. Without --rate, producers run until --window messages are in transit, so the
    /// time is that at saturation: the window divided by the rate. With a modest --rate it is the time that a
    /// user would see.
    EndToEnd,
    /// Each connection repeatedly sends one message, receives one and deletes it.
    ///
    /// Means: the latency of each of the three at a constant number of waiting messages: run it on an empty
    /// queue and on a full one (--queue) to see the cost of a backlog. Does not mean: peak rates.
    Cycle,
    /// ReceiveMessage on an empty queue, without waiting.
    ///
    /// Means: the cost of an idle consumer that polls. Does not mean: long polls.
    Poll,
    /// Publish to a topic as fast as answers arrive; each message goes to --subscriptions queues.
    ///
    /// Means: the rate and latency of acknowledged publishes, each counted once for any number of queues;
    /// compared with `send`, the cost of a copy. With --filtered, the cost of subscriptions that do not match
    /// the message. Afterwards the task checks that every queue has every message. Does not mean: the rate of
    /// consumers at the same time; nothing is received.
    Publish,
    /// PublishBatch of ten messages.
    ///
    /// Means and does not mean: as `publish`, with the cost of HTTP shared by ten.
    PublishBatch,
    /// The messages of a topic are received and deleted from all of its queues, until they are empty.
    ///
    /// Means: the rate at which the copies are consumed; every message must arrive once from each queue, with
    /// its own bytes. Does not mean: steady traffic, because nothing is published.
    FanOut,
    /// Publish at a modest rate to a topic with one raw HTTP subscription, to this program (the server must
    /// be on this machine).
    ///
    /// Means: each message's time from just before its publish to its arrival by HTTP. With --pending,
    /// messages are first published to an endpoint that confirmed and then stopped. Their memory, and the
    /// server's CPU between two retries, are measured, then the healthy endpoint's deliveries at the same
    /// time. At the end the dead endpoint returns and must get all messages. Does not mean: signed envelopes,
    /// or peak rates.
    Deliver,
    /// PutEvents of --batch events to a bus with --subscriptions rules, each of which has a queue as its target.
    ///
    /// Means: as `publish-batch`, for EventBridge.
    PutEvents,
    /// Half of the connections put events on a bus, the other half receive and delete from the queue of its one rule.
    ///
    /// Means: as `end-to-end`, through a rule.
    Route,
    /// Half of the connections start executions of a standard workflow of ten states, the last of which sends a message to a
    /// queue; the other half receive and delete.
    ///
    /// Means: the rate at which executions are started and end, each with its one message; ten times that of the transitions.
    /// --window says how many executions run side by side. Does not mean: ten effects; nine states only pass their input on.
    Execute,
    /// StartSyncExecution of an express workflow of three states that pass their input on.
    ///
    /// Means: the rate and latency of answers that an execution has succeeded.
    ExecuteSync,
    /// CreateSchedule of one-time schedules that do not run yet.
    ///
    /// Means: the rate and latency of acknowledged schedules, and with --keep and --server-pid their memory. Does not mean: how
    /// fast they run.
    Schedule,
    /// PutItem of new items, on the condition that there is none with their key.
    ///
    /// Means: the rate and latency of acknowledged items.
    PutItem,
    /// PutRecords of --batch records to a stream of four shards.
    ///
    /// Means: the rate and latency of acknowledged records.
    PutRecords,
}

impl Task {
    /// Returns the task's name on the command line and in results.
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
            Task::PutEvents => "put-events",
            Task::Route => "route",
            Task::Execute => "execute",
            Task::ExecuteSync => "execute-sync",
            Task::Schedule => "schedule",
            Task::PutItem => "put-item",
            Task::PutRecords => "put-records",
        }
    }

    /// Returns whether its messages go to a topic.
    pub fn publishes(self) -> bool {
        matches!(self, Task::Publish | Task::PublishBatch | Task::FanOut | Task::Deliver)
    }

    /// Returns whether its messages are received while others are sent.
    pub(crate) fn has_both_sides(self) -> bool {
        matches!(self, Task::EndToEnd | Task::Route | Task::Execute)
    }

    /// Returns whether it makes its queues itself, because what leads to them must know them.
    pub(crate) fn has_hub(self) -> bool {
        self.publishes()
            || matches!(
                self,
                Task::PutEvents
                    | Task::Route
                    | Task::Execute
                    | Task::ExecuteSync
                    | Task::Schedule
                    | Task::PutItem
                    | Task::PutRecords
            )
    }
}
