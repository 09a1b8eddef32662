//! The Amazon States Language: definitions of state machines, and what each state does with its input.
//!
//! Everything here is a pure function. Time and random numbers are arguments, nothing waits, and nothing is remembered. The service that
//! runs executions keeps them, and calls this crate for each step.

mod choice;

mod definition;
pub use definition::{
    Choice, Code, Diagnostic, Diagnostics, Distributed, Fail, Flow, Kind, Map, Parallel, Pass, Pattern,
    QueryLanguage, Resource, Severity, State, StateMachine, Target, Task, Transition, Wait,
};

mod failure;
pub use failure::{Failure, names};

mod intrinsic;

mod jsonata;

mod jsonpath;

mod random;
pub use random::Random;

mod scope;
pub use scope::{Scope, Variables, Work};

mod size;

mod states;
pub use states::{
    Batching, Departure, Inspection, Iterations, PAYLOAD_BYTES, Reaction, Reading, Run, Step, Tolerance,
    Writing,
};

mod template;

#[cfg(test)]
mod testing;

mod timestamp;
