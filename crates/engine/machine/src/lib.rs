//! The services as one deterministic machine: inputs in, outputs out.
//!
//! The machine has no clock, no disk, no threads. Whoever drives it tells it what happens and when, and carries out what
//! it wants done. The contract, in words: hand it any number of inputs; then [`Machine::flush`]; then take outputs with
//! [`Machine::poll`] until there are none. An answer comes out of `poll` only when the log is durable up to what the
//! answer rests on, which the driver tells with [`Input::Durable`].
//!
//! ```
//! # use kernel::{Secret, Time};
//! # use machine::{Input, Machine, Options, Output};
//! # use kernel::Place;
//! let appender = journal::Appender::new(1, 64 << 20, Place::new(1, 0), 1);
//! let mut machine = Machine::new(Options::default(), appender);
//! let now = Time(1_700_000_000_000);
//! machine.handle(now, Input::Identify { secret: Secret([7; 32]) });
//! machine.flush(now);
//! while let Some(output) = machine.poll() {
//!     match output {
//!         // Write it, sync it, and say so:
//!         Output::Append(batch) => machine.handle(now, Input::Durable(batch.end)),
//!         Output::Reply { ticket, answer } => println!("{ticket}: {answer:?}"),
//!         _ => {}
//!     }
//! }
//! ```

mod outbox;

mod record;

mod topics;

mod cleaning;
pub use cleaning::Survivor;

mod machine;
pub use machine::Machine;

use bytes::Bytes;
use kernel::{Extent, Position, Refusal, Secret};

/// What happens to the machine.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Nearly all are requests: a box would be an allocation each.
pub enum Input {
    /// A client asks for something; the answer goes to the ticket.
    Request {
        /// Names the request until it is answered. Never used twice at the same time.
        ticket: u64,
        /// What it asks for.
        command: Command,
    },
    /// The client of a request has gone: nothing is to be given to it any more.
    Gone {
        /// Its ticket.
        ticket: u64,
    },
    /// The log is durable up to this position.
    Durable(Position),
    /// Time has passed.
    Tick,
    /// The disk has no room for another segment of the log, or has room again.
    Space {
        /// Up to where the log can be written; absent: there is room for more.
        end: Option<Position>,
    },
    /// The secret of a data directory that has none yet.
    Identify {
        /// 32 random bytes.
        secret: Secret,
    },
    /// The heads of a segment's records, as [`Output::Survey`] asked for.
    Surveyed {
        /// Which segment.
        segment: u32,
        /// Where each record lies, and its head.
        records: Vec<(Extent, Vec<u8>)>,
    },
    /// Records, as [`Output::Fetch`] asked for.
    Fetched(Vec<Survivor>),
    /// Messages that clients were to get cannot be read: the bytes on disk are not those that were written.
    Damaged(Vec<(sqs::QueueId, sqs::Seq, Extent)>),
    /// What [`Output::Survey`] or [`Output::Fetch`] asked for cannot be read, or not all of it.
    Unreadable {
        /// Of which segment.
        segment: u32,
        /// Whether nothing else of it will be told.
        ends: bool,
    },
    /// The first of the records that [`Output::Recall`] asked for cannot be read.
    RecallFailed {
        /// For which replay.
        subscription: sns::SubscriptionId,
        /// Where the record lies.
        extent: Extent,
    },
    /// A segment is gone, as [`Output::Discard`] asked for, and will not be there after a crash.
    Discarded {
        /// Which.
        segment: u32,
    },
    /// An attempt that [`Output::Deliver`] asked for has ended. Each must be told, or it counts as under way for ever.
    Delivered {
        /// The delivery's number.
        number: u64,
        /// How.
        outcome: sns::deliveries::Outcome,
        /// The parcel, head and tail, unless it arrived: its dead letter is made of it. Without it a delivery that is to be given
        /// up is tried once more a minute later.
        parcel: Option<(Bytes, Bytes)>,
    },
    /// Records, as [`Output::Recall`] asked for: as many of them, from the first on, as could be read.
    Recalled {
        /// For which replay.
        subscription: sns::SubscriptionId,
        /// What was read.
        records: Vec<Survivor>,
    },
    /// Everything is to be forgotten (a test begins).
    Reset,
    /// The server is about to stop: whoever waits for a message is answered with none.
    Stop,
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Output {
    /// Write this to the log. Batches come in order.
    Append(journal::Batch),
    /// Answer a request.
    Reply {
        /// Which.
        ticket: u64,
        /// With what.
        answer: Answer,
    },
    /// Try to deliver something, and say how it went with [`Input::Delivered`].
    Deliver(Box<sns::deliveries::Attempt>),
    /// Tell the operator that somebody did not take a message, if he asks.
    Refused(Box<sns::fanout::Refused>),
    /// Read the heads of a sealed segment and hand them in with [`Input::Surveyed`].
    Survey {
        /// Which.
        segment: u32,
    },
    /// Read these records and hand them in with [`Input::Fetched`].
    Fetch(Vec<Extent>),
    /// Read these records for a replay and hand them in with [`Input::Recalled`].
    Recall {
        /// Whose.
        subscription: sns::SubscriptionId,
        /// Which, in this order.
        extents: Vec<Extent>,
    },
    /// Delete a segment: nobody needs it. Then say [`Input::Discarded`].
    Discard {
        /// Which.
        segment: u32,
    },
}

/// What a client asks for, by service.
#[derive(Clone, Debug)]
pub enum Command {
    /// Of topics.
    Sns(sns::operations::Command),
    /// Of queues.
    Sqs(sqs::operations::Command),
}

/// What a client hears, by service.
pub type Answer = Result<Reply, Refusal>;

/// What a client gets, by service.
#[derive(Clone, Debug)]
pub enum Reply {
    /// From topics.
    Sns(sns::operations::Reply),
    /// From queues.
    Sqs(sqs::operations::Reply),
}

/// How a machine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// SQS's limits.
    pub sqs_limits: sqs::limits::Limits,
    /// SNS's limits.
    pub sns_limits: sns::limits::Limits,
    /// Of what follows without anybody asking, about so many steps of a microsecond happen between two calls of
    /// [`Machine::flush`].
    pub steps: usize,
    /// Attempts to deliver something that may be under way at once. More than these wait for their turn.
    pub attempts: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sqs_limits: sqs::limits::Limits::relaxed(),
            sns_limits: sns::limits::Limits::relaxed(),
            steps: 1000,
            attempts: sns::deliveries::ATTEMPTS,
        }
    }
}
