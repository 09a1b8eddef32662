//! Shapes from JSON by the model's own names, whatever a protocol calls them and wherever it puts them; only for tests.

use std::error::Error;
use std::fmt::Write as _;

use super::view::{Member, View};

/// The functions that make requests, answers and structures.
pub fn samples(view: &View<'_>, body: &mut String) -> Result<(), Box<dyn Error>> {
    for (function, what, of) in [
        ("sample_request", "Makes a request from JSON.", "Request"),
        ("sample_response", "Makes an answer from JSON.", "Response"),
    ] {
        writeln!(
            body,
            "/// {what}\n#[cfg(test)]\npub fn {function}(operation: Operation, json: &serde_json::Value) -> {of} {{\nmatch operation {{"
        )?;
        for operation in view.operations.keys() {
            writeln!(body, "Operation::{operation} => {of}::{operation}(Sample::sample(json)),")?;
        }
        body.push_str("}\n}\n\n");
    }
    for (shape, definition) in view.structures() {
        structure(body, &view.type_name(shape), &view.members(definition))?;
    }
    for part in ["input", "output"] {
        for operation in view.operations_without(part) {
            structure(body, &view.type_of(operation, part), &[])?;
        }
    }
    Ok(())
}

fn structure(body: &mut String, name: &str, members: &[Member<'_>]) -> Result<(), Box<dyn Error>> {
    let unused = if members.is_empty() { "_" } else { "" };
    writeln!(
        body,
        "#[cfg(test)]\nimpl Sample for {name} {{\nfn sample({unused}json: &serde_json::Value) -> Self {{\n{name} {{"
    )?;
    for member in members {
        writeln!(body, "{}: member(json, {:?}),", member.field, member.name)?;
    }
    body.push_str("}\n}\n}\n\n");
    Ok(())
}
