//! Schedule expressions of EventBridge rules and of EventBridge Scheduler: `rate(5 minutes)`, `cron(0 8 ? * MON-FRI *)`,
//! `at(2026-12-24T18:00:00)`; when they run next in a time zone; and what has fallen due and waits for its turn ([`Timetable`]).
//!
//! The engine is deterministic: the time-zone database is compiled in, so that a log gives the same state on every machine.
//! The parser is our own: which texts AWS accepts and refuses is exact (facts/eventbridge.md § 16), and the libraries for cron
//! accept other sets.

mod cron;
pub use cron::Cron;

mod days;

mod expression;
pub use expression::{Dialect, Expression, Invalid};

mod timetable;
pub use timetable::Timetable;

mod zone;
pub use zone::Zone;
