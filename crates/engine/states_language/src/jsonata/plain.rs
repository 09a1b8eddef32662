//! Expressions that only name a value, such as `$states.input.order.id`: the most frequent ones, which need no evaluator.
//!
//! The value is taken as it is. Through the evaluator a number would become a double, and the whole input would be converted to find one
//! value in it.

use jsonata_core::ast::{AstNode, PathStep};
use serde_json::Value;

use crate::scope::Scope;

/// A variable and the names below it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plain {
    variable: String,
    names: Vec<String>,
}

/// What a plain expression denotes.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    Value(&'a Value),
    Nothing,
    /// An array lies on the way: a name then denotes the values of all items, and the evaluator has to be asked.
    Unknown,
}

impl Plain {
    /// The expression, if it is plain.
    pub(super) fn of(tree: &AstNode) -> Option<Plain> {
        if let AstNode::Variable(name) = tree
            && !name.is_empty()
            && name != "states"
        {
            return Some(Plain { variable: name.clone(), names: Vec::new() });
        }
        let AstNode::Path { steps } = tree else { return None };
        let bare = |step: &PathStep| {
            step.stages.is_empty() && step.focus.is_none() && step.index_var.is_none() && !step.is_tuple
        };
        let (first, rest) = steps.split_first()?;
        let AstNode::Variable(variable) = &first.node else { return None };
        if variable.is_empty() || !steps.iter().all(bare) {
            return None;
        }
        let names = rest.iter().map(|step| match &step.node {
            AstNode::Name(name) => Some(name.clone()),
            _ => None,
        });
        let names = names.collect::<Option<Vec<_>>>()?;
        // `$states` alone is an object that has to be made.
        (variable != "states" || !names.is_empty()).then(|| Plain { variable: variable.clone(), names })
    }

    pub(super) fn find<'a>(&self, scope: &Scope<'a>) -> Found<'a> {
        let mut names = self.names.iter();
        let mut value = match self.variable.as_str() {
            "states" => {
                let member = match names.next().map(String::as_str) {
                    Some("input") => Some(scope.input),
                    Some("result") => scope.result,
                    Some("errorOutput") => scope.error_output,
                    Some("context") => Some(scope.context),
                    _ => None,
                };
                match member {
                    Some(value) => value,
                    None => return Found::Nothing,
                }
            }
            variable => match scope.variables.get(variable) {
                Some(value) => value,
                // It may be the name of a function.
                None => return Found::Unknown,
            },
        };
        for name in names {
            value = match value {
                Value::Object(members) => match members.get(name) {
                    Some(value) => value,
                    None => return Found::Nothing,
                },
                Value::Array(_) => return Found::Unknown,
                _ => return Found::Nothing,
            };
        }
        Found::Value(value)
    }
}
