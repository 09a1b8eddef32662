//! What an expression can see: the state's input, the context object and variables; and how much it may do.

use std::cell::Cell;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::failure::Failure;
use crate::random::Random;

/// The variables that a state sees, by name without `$`.
pub type Variables = BTreeMap<String, Value>;

/// Values that one call may visit or copy. A payload of 256 KiB has at most 131,072 values.
const STEPS: u32 = 1_000_000;

/// What the expressions of one state see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// What `$` means.
    pub input: &'a Value,
    /// The context object, which `$$` means.
    pub context: &'a Value,
    /// The variables of the scopes around the state.
    pub variables: &'a Variables,
    /// What the state's task, branches or iterations returned: `$states.result`.
    pub(crate) result: Option<&'a Value>,
    /// The failure that a catcher has caught: `$states.errorOutput`.
    pub(crate) error_output: Option<&'a Value>,
    /// The current moment in milliseconds since 1970-01-01T00:00Z.
    pub now: i64,
    /// Where random numbers come from.
    pub random: &'a Random,
    pub(crate) work: &'a Work,
}

impl<'a> Scope<'a> {
    /// The scope of one state.
    pub fn new(
        input: &'a Value,
        context: &'a Value,
        variables: &'a Variables,
        now: i64,
        random: &'a Random,
        work: &'a Work,
    ) -> Scope<'a> {
        Scope { input, context, variables, result: None, error_output: None, now, random, work }
    }

    /// The same scope with another context object: that of one iteration of a Map state has `Map.Item`.
    #[must_use]
    pub fn with_context<'b>(self, context: &'b Value) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { context, ..self }
    }

    /// The same scope with another input.
    #[must_use]
    pub fn with_input<'b>(self, input: &'b Value) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { input, ..self }
    }
}

/// Counts the steps of evaluations, so that one state can neither take the engine's turn for long nor fill its memory.
#[derive(Debug)]
pub struct Work(Cell<u32>);

impl Default for Work {
    fn default() -> Work {
        Work(Cell::new(STEPS))
    }
}

impl Work {
    /// Takes so many steps. Errors: none are left.
    pub(crate) fn take(&self, steps: usize) -> Result<(), Exhausted> {
        let left = u32::try_from(steps).ok().and_then(|steps| self.0.get().checked_sub(steps));
        self.0.set(left.unwrap_or(0));
        left.map(drop).ok_or(Exhausted)
    }

    /// Steps that are left.
    pub(crate) fn left(&self) -> usize {
        self.0.get() as usize
    }

    /// Takes the steps of copying a value.
    pub(crate) fn copy(&self, value: &Value) -> Result<(), Exhausted> {
        self.take(weight(value))
    }
}

/// An expression has taken all of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl From<Exhausted> for Failure {
    fn from(_: Exhausted) -> Failure {
        Failure::runtime("The evaluation of the state's expressions takes too many steps.")
    }
}

/// How many values and pieces of text a value consists of.
pub(crate) fn weight(value: &Value) -> usize {
    let mut sum = 0;
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        sum += 1;
        match value {
            Value::String(text) => sum += text.len() / 16,
            Value::Array(items) => rest.extend(items),
            Value::Object(members) => {
                rest.extend(members.values());
                sum += members.keys().map(|name| name.len() / 16).sum::<usize>();
            }
            _ => {}
        }
    }
    sum
}
