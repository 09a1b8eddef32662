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
//! let mut machine: Machine = Machine::new(Options::default(), appender);
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

pub mod house;

mod services;
pub use services::{Command, Effect, Event, Limits, Plan, Recall, Reply, Services, prepare, present};

mod machine;
pub use machine::Machine;

mod recovery;
pub use recovery::{Recovery, Unknown};

mod calls;
mod deciding;
mod recording;

mod record;

mod parcels;

mod outbox;

mod pace;

mod room;

mod cleaning;
mod forwarding;

#[cfg(test)]
mod echo;

use std::ops::RangeInclusive;

use house::House;
use kernel::retained::{Order, Page};
use kernel::{Extent, Position, Refusal, Secret, Series, Stored, Undelivered};

/// The machine's own kinds of records, but for the secret's: parcels and ids.
pub const OWN_KINDS: RangeInclusive<u8> = 128..=135;

/// The kinds below those of the services: the secret's.
pub const OWN_FIRST_KINDS: RangeInclusive<u8> = 0..=1;

/// What happens to the machine.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Nearly all are requests: a box would be an allocation each.
pub enum Input<H: House = Services> {
    /// A client asks for something; the answer goes to the ticket.
    Request {
        /// Names the request until it is answered. Never used twice at the same time.
        ticket: u64,
        /// What it asks for.
        command: H::Command,
    },
    /// The client of a request has gone: nothing is to be given to it any more.
    Gone {
        /// Its ticket.
        ticket: u64,
    },
    /// Something has happened outside that a service wants to know of, mostly the end of an effect.
    Event(H::Event),
    /// An order to keep records has ended: the store has the series up to this number; nothing of what was ordered, if it is absent.
    Kept {
        /// The service that ordered it.
        service: usize,
        /// The series.
        series: Series,
        /// The number.
        through: Option<u64>,
    },
    /// A page that was ordered has been read.
    PageRead {
        /// The service that ordered it.
        service: usize,
        /// The page.
        page: Page,
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
    Fetched(Vec<Stored>),
    /// What [`Output::Survey`] or [`Output::Fetch`] asked for cannot be read, or not all of it.
    Unreadable {
        /// Of which segment.
        segment: u32,
        /// Whether nothing else of it will be told.
        ends: bool,
    },
    /// A segment is gone, as [`Output::Discard`] asked for, and will not be there after a crash.
    Discarded {
        /// Which.
        segment: u32,
    },
    /// Everything is to be forgotten (a test begins).
    Reset,
    /// The server is about to stop: all requests that wait are answered.
    Stop,
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Output<H: House = Services> {
    /// Write this to the log. Batches come in order.
    Append(journal::Batch),
    /// Answer a request.
    Reply {
        /// Which.
        ticket: u64,
        /// With what.
        answer: Answer<H>,
    },
    /// A service wants something done outside.
    Effect(H::Effect),
    /// Tell the operator that somebody does not get a message, if he asks.
    Undelivered(Box<Undelivered>),
    /// A service orders something from the store for retained data. Orders are carried out in this order, but for pages.
    Order {
        /// The service that hears of the end.
        service: usize,
        /// What.
        order: Order,
        /// What is changed in the store is changed only when the log is **on disk** up to here, whatever else counts as durable: the
        /// store must not know what a crash takes from the log.
        after: Position,
    },
    /// Read the heads of a sealed segment and hand them in with [`Input::Surveyed`].
    Survey {
        /// Which.
        segment: u32,
    },
    /// Read these records and hand them in with [`Input::Fetched`].
    Fetch(Vec<Extent>),
    /// Delete a segment: nobody needs it. Then say [`Input::Discarded`].
    Discard {
        /// Which.
        segment: u32,
    },
}

/// What a client hears, by service.
pub type Answer<H = Services> = Result<<H as House>::Reply, Refusal>;

/// How a machine is set up.
#[derive(Debug)]
pub struct Options<H: House = Services> {
    /// The limits of each service.
    pub limits: H::Limits,
    /// Of what follows without anybody asking, about so many steps of a microsecond happen between two calls of
    /// [`Machine::flush`].
    pub steps: usize,
    /// Bytes of records that the log may owe to the store for retained data. Beyond, what would be owed besides is refused.
    pub owed_bytes: u64,
}

/// Half a gigabyte: minutes of a fast stream, and no large part of a disk.
const OWED_BYTES: u64 = 512 << 20;

impl<H: House> Clone for Options<H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H: House> Copy for Options<H> {}

impl<H: House> Default for Options<H> {
    fn default() -> Self {
        Options { limits: H::Limits::default(), steps: 1000, owed_bytes: OWED_BYTES }
    }
}
