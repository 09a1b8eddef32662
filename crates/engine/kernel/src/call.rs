//! A call: an operation of one service that another asks for, inside the server.
//!
//! A consequence asks with [`Outcome::Call`](crate::Outcome::Call). The machine prepares the operation as if a client had asked for
//! it, decides it, and hands the answer to [`Service::called`](crate::Service::called). What both services record is one group of the
//! log: after a crash either nothing has happened, or the call and what its caller knows of it.

use std::borrow::Cow;

use crate::{Caller, Refusal};

/// An operation that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The service, by the name that its SDKs have, such as `eventbridge`.
    pub service: String,
    /// The operation's name, with a small or a capital first letter.
    pub operation: String,
    /// The request as JSON, with the names of AWS's model.
    pub input: String,
    /// For whom it is asked.
    pub caller: Caller,
    /// The URL under which this server is reached, for URLs in answers.
    pub base: String,
    /// Bytes that the caller's own records of this group can take.
    pub room: usize,
}

/// What became of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Called {
    /// The answer as JSON, with the names of AWS's model.
    Answered(String),
    /// The operation was refused, and has changed nothing.
    Refused(Refusal),
    /// The operation cannot be called: there is none of that name, it waits, or it reads messages.
    Impossible(Cow<'static, str>),
}

/// Calls that one consequence can make, one after the other. What it would ask beyond that is refused.
pub const CALLS: usize = 10;
