//! What an operation is: the three parts of everything that a client can ask of a service.
//!
//! A service has one type per operation, which is the prepared request. [`Operation::prepare`] and [`Operation::present`] run on
//! the HTTP threads, [`Operation::decide`] runs in the engine's turn. `cargo xtask codegen` reads the names of the operations in
//! `models/` and writes the service's `operations/mod.rs`: the enum of all commands, and the dispatch to these functions.

use std::fmt::Debug;

use bytestring::ByteString;

use crate::codec::Malformed;
use crate::{Caller, Context, Decision, Demand, Refusal, Secret, Service};

/// Who asks, and how the request came.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'r> {
    /// The account, region and identity that sent the request.
    pub caller: &'r Caller,
    /// The URL under which the client reached this server.
    pub base: &'r str,
    /// The request's trace header.
    pub trace: Option<&'r ByteString>,
}

/// A service with an API.
pub trait Api: Service {
    /// What answers are made of besides replies, such as keys and records that were read.
    type Materials<'m>;

    /// The same for answers to calls from inside the server, for which no record is read.
    fn materials<'m>(base: &'m str, secret: &'m Secret) -> Self::Materials<'m>;

    /// Whether other services can call an operation: it does not wait, and its answer needs no record.
    fn is_callable(_command: &Self::Command) -> bool {
        true
    }
}

/// An operation of the service `S`: a prepared request.
pub trait Operation<S: Api>: Sized {
    /// The request's shape.
    type Input;
    /// The answer's shape.
    type Output;
    /// What must be remembered of the request until it is answered; for most operations nothing.
    type Plan: Clone + Debug + Default;

    /// What the operation may write to the log.
    const DEMAND: Demand;

    /// Checks what can be checked without state, and does what costs by the byte (hashes, encoding).
    ///
    /// Errors: a refusal that does not depend on the state.
    fn prepare(input: Self::Input, asker: &Asker<'_>) -> Result<Self, Refusal>;

    /// Does the same, and returns the plan beside the command. An operation with a plan implements this function.
    fn prepare_with_plan(input: Self::Input, asker: &Asker<'_>) -> Result<(Self, Self::Plan), Refusal> {
        Ok((Self::prepare(input, asker)?, Self::Plan::default()))
    }

    /// Looks at the state, and returns which facts to record and what to answer.
    fn decide<'a>(&'a self, state: &S, context: &mut Context<'a, '_, S::Limits>) -> Decision<'a, S>;

    /// Decides the next step after [`Outcome::Again`](crate::service::Outcome::Again). An operation with steps implements this
    /// function.
    fn decide_again<'a>(
        &'a self,
        _step: S::Step<'a>,
        _state: &S,
        _context: &mut Context<'a, '_, S::Limits>,
    ) -> Decision<'a, S> {
        Decision::silent(Vec::new())
    }

    /// Turns the reply into the answer.
    ///
    /// Errors: `decide` does not give such a reply, or a record that was read is damaged.
    fn present(
        reply: S::Reply,
        plan: &Self::Plan,
        materials: &S::Materials<'_>,
    ) -> Result<Self::Output, Malformed>;
}

/// An operation that only the server itself asks for: it has no shapes.
pub trait Internal<S: Service> {
    /// What the operation may write to the log.
    const DEMAND: Demand;

    /// Looks at the state, and returns which facts to record and what to answer.
    fn decide<'a>(&'a self, state: &S, context: &mut Context<'a, '_, S::Limits>) -> Decision<'a, S>;
}
