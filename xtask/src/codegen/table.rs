//! All services as one: what chooses by service.

use std::error::Error;
use std::fmt::Write as _;

use super::HEADER;
use super::view::View;

/// The text of `wire::generated`.
pub fn services(views: &[&View<'_>]) -> Result<String, Box<dyn Error>> {
    let variant =
        |view: &View<'_>| view.service.split('_').map(super::view::variant).collect::<Vec<_>>().concat();
    let mut out = format!(
        "{HEADER}//! Readers and writers of each service's shapes, and what chooses between the services.\n\n"
    );
    for view in views.iter().filter(|view| !view.model.is_fixture) {
        writeln!(out, "pub mod {};", view.service)?;
    }
    out.push_str(
        "\nuse crate::document::Fault;\nuse crate::form::{FormFault, Scope};\nuse crate::service::Service;\n\
         use crate::{cbor, json, rest, xml};\n\n",
    );
    for (name, what, derive) in [
        ("Request", "A request to any service.", "Clone, Debug, PartialEq"),
        ("Response", "An answer from any service.", "Clone, Debug, PartialEq"),
        ("Operation", "An operation of any service.", "Clone, Copy, Debug, PartialEq, Eq"),
    ] {
        // Where the shapes are small, a box would be an allocation for nothing.
        let allow = "#[allow(clippy::large_enum_variant)]";
        writeln!(out, "/// {what}\n#[derive({derive})]\n{allow}\npub enum {name} {{")?;
        for view in views {
            let (attribute, shapes) = (view.attribute(), view.shapes_path());
            let of_service = match view.is_boxed() && name != "Operation" {
                true => format!("Box<{shapes}::{name}>"),
                false => format!("{shapes}::{name}"),
            };
            writeln!(out, "/// Of {}.\n{attribute}{}({of_service}),", view.service, variant(view))?;
        }
        out.push_str("}\n\n");
    }
    out.push_str("/// The services.\npub const SERVICES: &[&Service] = &[");
    for view in views {
        write!(out, "{}&{}::SERVICE, ", view.attribute(), view.codecs_path())?;
    }
    out.push_str("];\n\n");
    let arms = |out: &mut String, arm: &dyn Fn(&View<'_>, &str) -> String| {
        views.iter().for_each(|view| {
            out.push_str(view.attribute());
            out.push_str(&arm(view, &variant(view)));
            out.push_str(",\n");
        });
    };
    // An arm for each service, of one kind where something holds for it and of another where not.
    let either_arms = |out: &mut String,
                       holds: &dyn Fn(&View<'_>) -> bool,
                       arm: &dyn Fn(&View<'_>, &str) -> String,
                       otherwise: &dyn Fn(&str) -> String| {
        arms(out, &|view, variant| if holds(view) { arm(view, variant) } else { otherwise(variant) });
    };
    out.push_str(
        "impl Operation {\n/// AWS's name of it.\npub const fn name(self) -> &'static str {\nmatch self {\n",
    );
    arms(&mut out, &|_, variant| format!("Operation::{variant}(operation) => operation.name()"));
    out.push_str("}\n}\n\n/// Whether it is an operation of our own, which AWS does not have.\npub const fn is_addition(self) -> bool {\nmatch self {\n");
    arms(&mut out, &|_, variant| format!("Operation::{variant}(operation) => operation.is_addition()"));
    out.push_str("}\n}\n\n/// Whose operation it is.\npub const fn service(self) -> &'static Service {\nmatch self {\n");
    arms(&mut out, &|view, variant| format!("Operation::{variant}(_) => &{}::SERVICE", view.codecs_path()));
    out.push_str(
        "}\n}\n\n/// Whether its answer has a body.\npub const fn has_output(self) -> bool {\nmatch self {\n",
    );
    arms(&mut out, &|view, variant| {
        format!("Operation::{variant}(operation) => {}::has_output(operation)", view.codecs_path())
    });
    out.push_str(
        "}\n}\n\n/// Whether events follow its answer.\npub const fn has_events(self) -> bool {\nmatch self {\n",
    );
    either_arms(
        &mut out,
        &|view| !view.event_streams().is_empty(),
        &|view, variant| {
            format!("Operation::{variant}(operation) => {}::has_events(operation)", view.codecs_path())
        },
        &|variant| format!("Operation::{variant}(_) => false"),
    );
    out.push_str("}\n}\n\n/// A service's operation of this name.\npub fn from_name(service: &Service, name: &str) -> Option<Operation> {\nmatch service.name {\n");
    arms(&mut out, &|view, variant| {
        format!(
            "\"{}\" => {}::Operation::from_name(name).map(Operation::{variant})",
            view.service,
            view.shapes_path()
        )
    });
    out.push_str("_ => None,\n}\n}\n}\n\nimpl Response {\n/// Which operation it is of.\npub fn operation(&self) -> Operation {\nmatch self {\n");
    arms(&mut out, &|view, variant| {
        format!(
            "Response::{variant}(response) => Operation::{variant}({}::operation_of(response))",
            view.codecs_path()
        )
    });
    out.push_str("}\n}\n}\n\n");
    type Holds = fn(&View<'_>) -> bool;
    let reads: [(&str, &str, &str, Holds); 4] = [
        (
            "/// Reads a request's body; none if the service is spoken in CBOR alone.\n",
            "read_json(operation: Operation, reader: &mut json::Reader<'_>) -> Option<Result<Request, Fault>>",
            "read_document(operation, reader)",
            |view| view.speaks("json") || view.speaks("query") || view.speaks("rest-json"),
        ),
        (
            "/// Reads a request's body; none if the service is not spoken in CBOR.\n",
            "read_cbor(operation: Operation, reader: &mut cbor::Reader<'_>) -> Option<Result<Request, Fault>>",
            "read_document(operation, reader)",
            |view| view.speaks_cbor(),
        ),
        (
            "/// Reads a request's parameters; none if the service is not spoken in the query protocol.\n",
            "read_form(operation: Operation, scope: &Scope<'_>) -> Option<Result<Request, FormFault>>",
            "read_form(operation, scope)",
            |view| view.speaks("query"),
        ),
        (
            "/// Reads a request from its places; none if the service is not spoken in restJson1.\n",
            "read_rest(operation: Operation, request: &rest::Request<'_>) -> Option<Result<Request, Fault>>",
            "read_rest(operation, request)",
            |view| view.speaks("rest-json"),
        ),
    ];
    for (docs, signature, call, holds) in reads {
        writeln!(out, "{docs}pub fn {signature} {{\nmatch operation {{")?;
        // The argument behind the operation, which no arm uses where only fixtures speak the protocol.
        let argument = call.trim_end_matches(')').rsplit(' ').next().unwrap_or_default();
        either_arms(
            &mut out,
            &holds,
            &|view, variant| {
                let codecs = view.codecs_path();
                let boxed = if view.is_boxed() { ".map(Box::new)" } else { "" };
                format!(
                    "Operation::{variant}(operation) => Some({codecs}::{call}{boxed}.map(Request::{variant}))"
                )
            },
            &|variant| format!("Operation::{variant}(_) => {{ let _ = {argument}; None }}"),
        );
        out.push_str("}\n}\n\n");
    }
    let writes: [(&str, &str, &str, Holds); 3] = [
        (
            "/// Writes an answer's body, unless the service is spoken in CBOR alone.\n",
            "write_json(response: &Response, writer: &mut json::Writer)",
            "write_document(response, writer)",
            |view| view.speaks("json") || view.speaks("query") || view.speaks("rest-json"),
        ),
        (
            "/// Writes an answer's body, if the service is spoken in CBOR.\n",
            "write_cbor(response: &Response, writer: &mut cbor::Writer)",
            "write_document(response, writer)",
            |view| view.speaks_cbor(),
        ),
        (
            "/// Writes an answer's members as elements, if the service is spoken in the query protocol.\n",
            "write_xml(response: &Response, xml: &mut xml::Writer)",
            "write_xml(response, xml)",
            |view| view.speaks("query"),
        ),
    ];
    for (docs, signature, call, holds) in writes {
        writeln!(out, "{docs}pub fn {signature} {{\nmatch response {{")?;
        let argument = call.trim_end_matches(')').rsplit(' ').next().unwrap_or_default();
        either_arms(
            &mut out,
            &holds,
            &|view, variant| format!("Response::{variant}(response) => {}::{call}", view.codecs_path()),
            &|variant| format!("Response::{variant}(_) => {{ let _ = {argument}; }}"),
        );
        out.push_str("}\n}\n\n");
    }
    out.push_str("/// Writes an answer into its places; none if the service is not spoken in restJson1.\npub fn write_rest(response: &Response) -> Option<rest::Answer> {\nmatch response {\n");
    either_arms(
        &mut out,
        &|view| view.speaks("rest-json"),
        &|view, variant| {
            format!("Response::{variant}(response) => Some({}::write_rest(response))", view.codecs_path())
        },
        &|variant| format!("Response::{variant}(_) => None"),
    );
    out.push_str("}\n}\n");
    Ok(out)
}
