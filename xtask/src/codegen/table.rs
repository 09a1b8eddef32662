//! All services as one: what chooses by service.

use std::error::Error;
use std::fmt::Write as _;

use super::HEADER;
use super::view::View;

/// The text of `wire::generated`.
pub fn services(views: &[&View<'_>]) -> Result<String, Box<dyn Error>> {
    let variant = |view: &View<'_>| {
        let (first, rest) = view.service.split_at(1);
        first.to_uppercase() + rest
    };
    let mut out = format!(
        "{HEADER}//! Readers and writers of each service's shapes, and what chooses between the services.\n\n"
    );
    for view in views {
        writeln!(out, "pub mod {};", view.service)?;
    }
    out.push_str(
        "\nuse crate::form::{FormFault, Scope};\nuse crate::service::Service;\nuse crate::{json, xml};\n\n",
    );
    for (name, what, derive) in [
        ("Request", "A request to any service.", "Clone, Debug, PartialEq"),
        ("Response", "An answer from any service.", "Clone, Debug, PartialEq"),
        ("Operation", "An operation of any service.", "Clone, Copy, Debug, PartialEq, Eq"),
    ] {
        writeln!(out, "/// {what}\n#[derive({derive})]\npub enum {name} {{")?;
        for view in views {
            writeln!(out, "/// Of {}.\n{}(api::{}::{name}),", view.service, variant(view), view.service)?;
        }
        out.push_str("}\n\n");
    }
    out.push_str("/// The services.\npub const SERVICES: &[&Service] = &[");
    views.iter().for_each(|view| out.push_str(&format!("&{}::SERVICE, ", view.service)));
    out.push_str("];\n\n");
    let arms = |out: &mut String, arm: &dyn Fn(&View<'_>, &str) -> String| {
        views.iter().for_each(|view| {
            out.push_str(&arm(view, &variant(view)));
            out.push_str(",\n");
        });
    };
    out.push_str(
        "impl Operation {\n/// AWS's name of it.\npub const fn name(self) -> &'static str {\nmatch self {\n",
    );
    arms(&mut out, &|_, variant| format!("Operation::{variant}(operation) => operation.name()"));
    out.push_str("}\n}\n\n/// Whether it is an operation of our own, which AWS does not have.\npub const fn is_addition(self) -> bool {\nmatch self {\n");
    arms(&mut out, &|_, variant| format!("Operation::{variant}(operation) => operation.is_addition()"));
    out.push_str("}\n}\n\n/// Whose operation it is.\npub const fn service(self) -> &'static Service {\nmatch self {\n");
    arms(&mut out, &|view, variant| format!("Operation::{variant}(_) => &{}::SERVICE", view.service));
    out.push_str(
        "}\n}\n\n/// Whether its answer has a body.\npub const fn has_output(self) -> bool {\nmatch self {\n",
    );
    arms(&mut out, &|view, variant| {
        format!("Operation::{variant}(operation) => {}::has_output(operation)", view.service)
    });
    out.push_str("}\n}\n\n/// A service's operation of this name.\npub fn from_name(service: &Service, name: &str) -> Option<Operation> {\nmatch service.name {\n");
    arms(&mut out, &|view, variant| {
        format!("\"{0}\" => api::{0}::Operation::from_name(name).map(Operation::{variant})", view.service)
    });
    out.push_str("_ => None,\n}\n}\n}\n\nimpl Response {\n/// Which operation it is of.\npub const fn operation(&self) -> Operation {\nmatch self {\n");
    arms(&mut out, &|view, variant| {
        format!(
            "Response::{variant}(response) => Operation::{variant}({}::operation_of(response))",
            view.service
        )
    });
    out.push_str("}\n}\n}\n\n/// Reads a request's body; none if the service is not spoken in JSON.\npub fn read_json(operation: Operation, reader: &mut json::Reader<'_>) -> Option<Result<Request, json::Fault>> {\nSome(match operation {\n");
    let read = |out: &mut String, protocol: &str, call: &str| {
        arms(out, &|view, variant| match view.speaks(protocol) {
            true => {
                format!("Operation::{variant}(operation) => {}::{call}.map(Request::{variant})", view.service)
            }
            false => format!("Operation::{variant}(_) => return None"),
        });
    };
    read(&mut out, "json", "read_json(operation, reader)");
    out.push_str("})\n}\n\n/// Reads a request's parameters; none if the service is not spoken in the query protocol.\npub fn read_form(operation: Operation, scope: &Scope<'_>) -> Option<Result<Request, FormFault>> {\nSome(match operation {\n");
    read(&mut out, "query", "read_form(operation, scope)");
    out.push_str("})\n}\n\n/// Writes an answer's body.\npub fn write_json(response: &Response, writer: &mut json::Writer) {\nmatch response {\n");
    arms(&mut out, &|view, variant| {
        format!("Response::{variant}(response) => {}::write_json(response, writer)", view.service)
    });
    out.push_str("}\n}\n\n/// Writes an answer's members as elements, if the service is spoken in the query protocol.\npub fn write_xml(response: &Response, xml: &mut xml::Writer) {\nmatch response {\n");
    arms(&mut out, &|view, variant| match view.speaks("query") {
        true => format!("Response::{variant}(response) => {}::write_xml(response, xml)", view.service),
        false => format!("Response::{variant}(_) => {{}}"),
    });
    out.push_str("}\n}\n");
    Ok(out)
}
