//! Runs the whole server in one thread from a seed, with a faulty disk and clock.
//!
//! A world is a server (the real machine, the real journal, the real store for retained data), two
//! [disks](journal::engines::FaultyDisk) that lose data and refuse operations, a clock that jumps, and clients. All of their actions are a function of
//! the seed. A [`History`](history::History) records all answers to clients, and checks the rules that must
//! always hold.

pub mod dice;

pub mod disks;

pub mod server;

pub mod test_server;

pub mod queues;

pub mod topics;

pub mod publishing;

pub mod replays;

pub mod history;

pub mod world;
pub use world::{Options, Outcome, Violation, run};

/// A planted fault, which the checkers must find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Replies leave when the log has been written, before it is synced.
    LostAck,
    /// A start ignores some of the tombstones of messages.
    Resurrect,
    /// A segment is dropped without a request.
    EarlyDiscard,
    /// A start ignores some of the deliveries of publishes.
    ForgottenDelivery,
    /// A start ignores some of the tombstones of deliveries.
    RepeatedDelivery,
    /// A start ignores one queue's copies of publishes, as if each copy were a separate record.
    SplitFanOut,
    /// A start ignores the progress of some replays.
    RepeatedReplay,
    /// A start ignores that some messages are archived.
    ForgottenArchive,
    /// A start ignores that some events are archived.
    ForgottenEvent,
    /// The machine hears that records are kept before the store is synced.
    EarlyKept,
    /// The store gets records before they are durable in the log.
    EarlyKeep,
    /// The records of a group get separate frames, so a crash can keep some of them.
    SplitGroups,
}

impl Bug {
    /// All faults, with their names.
    pub const ALL: [(&'static str, Bug); 12] = [
        ("lost-ack", Bug::LostAck),
        ("resurrect", Bug::Resurrect),
        ("early-discard", Bug::EarlyDiscard),
        ("forgotten-delivery", Bug::ForgottenDelivery),
        ("repeated-delivery", Bug::RepeatedDelivery),
        ("split-fan-out", Bug::SplitFanOut),
        ("repeated-replay", Bug::RepeatedReplay),
        ("forgotten-archive", Bug::ForgottenArchive),
        ("forgotten-event", Bug::ForgottenEvent),
        ("early-kept", Bug::EarlyKept),
        ("early-keep", Bug::EarlyKeep),
        ("split-groups", Bug::SplitGroups),
    ];
}
