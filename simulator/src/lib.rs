//! The whole server in one thread, from a seed, over a faulty disk and clock.
//!
//! A world is a server (the real machine, the real journal), a [disk](journal::engines::FaultyDisk) that loses and refuses what disks
//! lose and refuse, a clock that jumps, and clients. What they do is a function of the seed alone. Everything that
//! clients are told goes into a [`History`](history::History), which knows what must hold whatever happens.

pub mod dice;

pub mod server;

pub mod queues;

pub mod topics;

pub mod publishing;

pub mod replays;

pub mod history;

pub mod world;
pub use world::{Options, Outcome, Violation, run};

/// A fault that is built into the world to see that it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// Answers leave when the log has been written, before it is synced.
    LostAck,
    /// A start overlooks some of the records that say that messages are gone.
    Resurrect,
    /// A segment is dropped that nobody asked to drop.
    EarlyDiscard,
    /// A start overlooks some of the deliveries of what was published.
    ForgottenDelivery,
    /// A start overlooks some of the records that say that deliveries are over.
    RepeatedDelivery,
    /// Of what was published, a start overlooks a queue's copy, as if each had been a record of its own.
    SplitFanOut,
    /// A start overlooks how far some replays have come.
    RepeatedReplay,
    /// A start overlooks that some messages are archived.
    ForgottenArchive,
    /// The records of a group get frames of their own, so that a crash can leave some of them.
    SplitGroups,
}

impl Bug {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Bug); 9] = [
        ("lost-ack", Bug::LostAck),
        ("resurrect", Bug::Resurrect),
        ("early-discard", Bug::EarlyDiscard),
        ("forgotten-delivery", Bug::ForgottenDelivery),
        ("repeated-delivery", Bug::RepeatedDelivery),
        ("split-fan-out", Bug::SplitFanOut),
        ("repeated-replay", Bug::RepeatedReplay),
        ("forgotten-archive", Bug::ForgottenArchive),
        ("split-groups", Bug::SplitGroups),
    ];
}
