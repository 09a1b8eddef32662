//! State machines and the texts of definitions, as they are remembered.

use std::sync::{Arc, OnceLock};

use resources::Standing;
use states_language::{Flow, Kind, State, StateMachine};

use crate::records::MachineDeclared;
use crate::rules::definitions;

/// A state machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What the log says of it.
    pub declared: MachineDeclared,
    pub(crate) standing: Standing,
}

/// The text of a definition, and what it means.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The text as it was sent.
    pub text: Arc<str>,
    /// Whether it was checked for an express state machine.
    pub is_express: bool,
    pub(crate) standing: Standing,
    /// How many state machines and executions need it.
    pub(crate) users: usize,
    /// Read when it is needed first: a restart reads texts only.
    read: OnceLock<Option<Arc<StateMachine>>>,
}

impl Definition {
    pub(crate) fn new(text: &str, is_express: bool, standing: Standing) -> Self {
        Definition { text: text.into(), is_express, standing, users: 0, read: OnceLock::new() }
    }

    /// What it means. It was checked when it came, so it means something, unless a later server is stricter.
    pub fn machine(&self) -> Option<Arc<StateMachine>> {
        self.read.get_or_init(|| definitions::read(&self.text, self.is_express).0.map(Arc::new)).clone()
    }

    /// Whether a state can ask for the execution's input besides its own: by the context object.
    pub(crate) fn asks_for_input(&self) -> bool {
        self.text.contains("$$") || self.text.contains("$states")
    }
}

/// The state of this name. Names are unique in a definition.
pub(crate) fn state_of<'m>(flow: &'m Flow, name: &str) -> Option<&'m State> {
    if let Some(state) = flow.states.get(name) {
        return Some(state);
    }
    flow.states.values().find_map(|state| match &state.kind {
        Kind::Parallel(parallel) => parallel.branches.iter().find_map(|branch| state_of(branch, name)),
        Kind::Map(map) => state_of(&map.processor, name),
        _ => None,
    })
}
