//! Definitions of state machines: their types, and how they are read and checked.

mod branches;
mod choice;
mod diagnostics;
mod fields;
mod flow;
mod map;
mod reader;
mod resource;
mod retry;
mod state;
mod task;
mod template;
mod transitions;
mod variables;
mod wait;

#[cfg(test)]
mod tests;

pub use diagnostics::{Code, Diagnostic, Diagnostics, Severity};
pub use resource::{Pattern, Resource};

use std::collections::BTreeMap;

use crate::choice::Condition;
use crate::jsonata::Expression;
use crate::jsonpath::{Path, ReferencePath};
use crate::template::Template;

/// The language in which a state selects and transforms data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryLanguage {
    /// `InputPath`, `Parameters`, `ResultSelector`, `ResultPath`, `OutputPath`.
    JsonPath,
    /// `Arguments` and `Output`, with expressions in `{% %}`.
    Jsonata,
}

/// What a definition is checked for.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Whether the state machine is an express one, which has fewer kinds of tasks.
    pub express: bool,
    /// Whether a resource of a task exists. The list belongs to the service.
    pub recognizes: &'a dyn Fn(&Resource) -> bool,
    /// Whether a task of it can do its work here. Others are a warning.
    pub serves: &'a dyn Fn(&Resource) -> bool,
}

/// A state machine.
#[derive(Debug, Clone, PartialEq)]
pub struct StateMachine {
    /// `Comment`.
    pub comment: Option<String>,
    /// `TimeoutSeconds`: how long an execution may take.
    pub timeout_seconds: Option<u64>,
    /// The states.
    pub flow: Flow,
}

/// States that follow one another: those of a state machine, of a branch, or of an item processor.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// The name of the first state.
    pub start_at: String,
    /// The states by name.
    pub states: BTreeMap<String, State>,
}

/// One state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The name.
    pub name: String,
    /// The language in which its fields are written.
    pub query_language: QueryLanguage,
    /// What the state does.
    pub kind: Kind,
    /// Where the execution goes afterwards. None for Choice and Fail states.
    pub transition: Option<Transition>,
    pub(crate) input_path: PathField,
    pub(crate) output_path: PathField,
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

/// What follows a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The state with this name.
    Next(String),
    /// Nothing: the flow ends with the state's output.
    End,
}

/// A path that may be left out, or null.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum PathField {
    #[default]
    Whole,
    Nothing,
    Path(Path),
}

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum ResultPath {
    #[default]
    Replaces,
    Discarded,
    Into(ReferencePath),
}

/// The kinds of states.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Passes its input on, or something made of it.
    Pass(Pass),
    /// Has work done elsewhere.
    Task(Box<Task>),
    /// Chooses the next state.
    Choice(Choice),
    /// Waits.
    Wait(Wait),
    /// Ends the flow.
    Succeed,
    /// Ends the execution with a failure.
    Fail(Fail),
    /// Runs branches side by side.
    Parallel(Parallel),
    /// Runs a flow for each item.
    Map(Box<Map>),
}

/// A Pass state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    pub(crate) parameters: Option<Template>,
    pub(crate) result: Option<serde_json::Value>,
    pub(crate) result_path: ResultPath,
}

/// A Task state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Who does the work.
    pub resource: Resource,
    /// `Parameters` or `Arguments`.
    pub(crate) parameters: Option<Template>,
    pub(crate) result_selector: Option<Template>,
    pub(crate) result_path: ResultPath,
    pub(crate) timeout: Option<Template>,
    pub(crate) heartbeat: Option<Template>,
    pub(crate) credentials: Option<Template>,
}

/// A Choice state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Option<String>,
}

/// One rule of a Choice state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) condition: RuleCondition,
    pub(crate) next: String,
    pub(crate) assign: Option<Template>,
    pub(crate) output: Option<Template>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RuleCondition {
    Paths(Condition),
    Expression(Expression),
    Constant(bool),
}

/// A Wait state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    pub(crate) until: Until,
}

/// When a Wait state ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Until {
    Seconds(Template),
    Timestamp(Template),
}

/// A Fail state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Fail {
    pub(crate) error: Option<Template>,
    pub(crate) cause: Option<Template>,
}

/// A Parallel state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Parallel {
    /// The branches, at least one.
    pub branches: Vec<Flow>,
    pub(crate) parameters: Option<Template>,
    pub(crate) result_selector: Option<Template>,
    pub(crate) result_path: ResultPath,
}

/// A Map state's own fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// The flow that runs for each item or batch.
    pub processor: Flow,
    /// How a distributed Map runs its children; none for an inline Map.
    pub distributed: Option<Distributed>,
    pub(crate) items: Items,
    pub(crate) item_selector: Option<Template>,
    pub(crate) max_concurrency: Option<Template>,
    pub(crate) result_selector: Option<Template>,
    pub(crate) result_path: ResultPath,
}

/// Which items a Map has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Items {
    /// `ItemsPath`, `$` if it is left out.
    Path(Path),
    /// `Items` of JSONata.
    Template(Template),
    /// The state's input (JSONata without `Items`).
    Input,
}

/// What only a distributed Map has.
#[derive(Debug, Clone, PartialEq)]
pub struct Distributed {
    /// Whether children are express executions.
    pub express: bool,
    /// `Label`, a part of the ARNs of its runs.
    pub label: Option<String>,
    pub(crate) item_reader: Option<ItemReader>,
    pub(crate) item_batcher: Option<ItemBatcher>,
    pub(crate) result_writer: Option<ResultWriter>,
    pub(crate) tolerated_count: Option<Template>,
    pub(crate) tolerated_percentage: Option<Template>,
}

/// Where a distributed Map reads items from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ItemReader {
    pub(crate) resource: String,
    pub(crate) parameters: Option<Template>,
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
    pub(crate) max_items: Option<Template>,
}

/// How many items one child gets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ItemBatcher {
    pub(crate) batch_input: Option<Template>,
    pub(crate) max_items: Option<Template>,
    pub(crate) max_bytes: Option<Template>,
}

/// Where a distributed Map writes results to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ResultWriter {
    pub(crate) resource: Option<String>,
    pub(crate) parameters: Option<Template>,
    pub(crate) config: serde_json::Map<String, serde_json::Value>,
}

/// How often and when a state is tried again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<String>,
    pub(crate) interval_seconds: i64,
    pub(crate) max_attempts: u64,
    pub(crate) backoff_rate: f64,
    pub(crate) max_delay_seconds: Option<i64>,
    pub(crate) full_jitter: bool,
}

/// Where the execution goes after a failure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<String>,
    pub(crate) next: String,
    pub(crate) result_path: ResultPath,
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
}
