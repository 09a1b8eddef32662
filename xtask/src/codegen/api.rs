//! The plain structs of a service, and its operations as enums.

use std::error::Error;
use std::fmt::Write as _;

use super::HEADER;
use super::view::{View, variant};

const DERIVE: &str = "#[derive(Clone, Debug, Default, PartialEq)]\n";

/// The text of `api::services`.
pub fn modules(views: &[View<'_>]) -> Result<String, Box<dyn Error>> {
    let mut out = format!("{HEADER}//! The shapes of each service.\n\n");
    for view in views.iter().filter(|view| !view.model.is_fixture) {
        writeln!(out, "pub mod {};", view.service)?;
    }
    Ok(out)
}

/// The text of `api::SERVICE`.
pub fn shapes(view: &View<'_>) -> Result<String, Box<dyn Error>> {
    let mut body = String::new();
    for (name, shape) in view.structures() {
        writeln!(body, "{DERIVE}pub struct {} {{", view.type_name(name))?;
        for member in view.members(shape) {
            writeln!(body, "pub {}: Option<{}>,", member.field, view.member_type(name, &member)?)?;
        }
        body.push_str("}\n\n");
    }
    for part in ["input", "output"] {
        for operation in view.operations_without(part) {
            writeln!(body, "{DERIVE}pub struct {} {{}}\n", view.type_of(operation, part))?;
        }
    }
    for shape in view.event_streams() {
        let stream = view.type_name(shape);
        writeln!(
            body,
            "/// An event of a stream.\n#[derive(Clone, Debug, PartialEq)]\npub enum {stream} {{"
        )?;
        for event in view.members(&view.shapes[shape]) {
            writeln!(body, "{}({}),", variant(event.name), view.rust_type(event.shape_name)?)?;
        }
        body.push_str("}\n\n");
    }
    for (name, part, what) in [
        ("Request", "input", "A request for any operation."),
        ("Response", "output", "The answer of any operation."),
    ] {
        writeln!(body, "/// {what}\n#[derive(Clone, Debug, PartialEq)]\npub enum {name} {{")?;
        for operation in view.operations.keys() {
            writeln!(body, "{operation}({}),", view.type_of(operation, part))?;
        }
        body.push_str("}\n\n");
    }
    operations(view, &mut body)?;

    let title = view.metadata("serviceFullName").unwrap_or(view.service);
    let uses = |name: &str| body.contains(&format!("<{name}>")) || body.contains(&format!("<{name}<"));
    let bytes = if uses("Bytes") { "use bytes::Bytes;\n\n" } else { "" };
    let ours: Vec<&str> =
        ["Json", "Map", "Text", "Timestamp"].into_iter().filter(|name| uses(name)).collect();
    let api = if view.model.is_fixture { "api" } else { "crate" };
    let ours = match ours[..] {
        [] => String::new(),
        ref ours => format!("use {api}::{{{}}};\n\n", ours.join(", ")),
    };
    Ok(format!(
        "{HEADER}//! The shapes of {title}.\n\n\
         #![allow(missing_docs, clippy::large_enum_variant)] // AWS's names say it, and its operations differ in size.\n\n\
         {bytes}{ours}{body}"
    ))
}

fn operations(view: &View<'_>, body: &mut String) -> Result<(), Box<dyn Error>> {
    body.push_str("/// Which operation.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]\npub enum Operation {\n");
    for operation in view.operations.keys() {
        writeln!(body, "{operation},")?;
    }
    body.push_str("}\n\nimpl Operation {\n/// All operations.\npub const ALL: &[Operation] = &[\n");
    for operation in view.operations.keys() {
        writeln!(body, "Operation::{operation},")?;
    }
    body.push_str(
        "];\n\n/// AWS's name of the operation.\npub const fn name(self) -> &'static str {\nmatch self {\n",
    );
    for operation in view.operations.keys() {
        writeln!(body, "Operation::{operation} => \"{operation}\",")?;
    }
    body.push_str(
        "}\n}\n\n/// Whether this server carries it out.\npub const fn is_implemented(self) -> bool {\n",
    );
    let implemented = &view.model.implemented;
    if implemented.len() == view.operations.len() {
        body.push_str("true\n");
    } else if implemented.is_empty() {
        body.push_str("false\n");
    } else {
        let list: Vec<String> = implemented.iter().map(|name| format!("Operation::{name}")).collect();
        writeln!(body, "matches!(self, {})", list.join(" | "))?;
    }
    body.push_str("}\n\n/// Whether it is an operation of our own, which AWS does not have.\npub const fn is_addition(self) -> bool {\n");
    let additions: Vec<String> =
        view.model.additions.iter().map(|name| format!("Operation::{name}")).collect();
    if additions.is_empty() {
        body.push_str("false\n");
    } else {
        writeln!(body, "matches!(self, {})", additions.join(" | "))?;
    }
    body.push_str("}\n\n/// The operation of this name.\npub fn from_name(name: &str) -> Option<Operation> {\nSome(match name {\n");
    for operation in view.operations.keys() {
        writeln!(body, "\"{operation}\" => Operation::{operation},")?;
    }
    body.push_str("_ => return None,\n})\n}\n}\n");
    Ok(())
}
