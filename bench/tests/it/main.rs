//! Each task, small: against the bare server so that the benchmark cannot rot, and against a little queue that lies on
//! demand, so that a check that stays quiet is noticed.

mod queue;
mod tasks;
