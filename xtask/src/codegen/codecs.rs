//! How the shapes of a service are read and written: requests are read, answers are written.
//!
//! Tests read answers back; only they are built with the functions for that.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::Value;

use super::HEADER;
use super::view::{Member, View};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text of `wire::generated::SERVICE`.
pub fn codecs(view: &View<'_>) -> Result<String> {
    let mut body = String::new();
    service(view, &mut body)?;
    dispatch(view, &mut body)?;
    for (shape, definition) in view.structures() {
        let (is_read, is_written) = (view.is_read(shape), view.is_written(shape));
        structure(view, &mut body, &view.type_name(shape), &view.members(definition), is_read, is_written)?;
    }
    for operation in view.operations_without("input") {
        structure(view, &mut body, &view.type_of(operation, "input"), &[], true, false)?;
    }
    for operation in view.operations_without("output") {
        structure(view, &mut body, &view.type_of(operation, "output"), &[], false, true)?;
    }
    let mut out = format!(
        "{HEADER}//! How the shapes of `api::{0}` are read and written.\n\nuse api::{0}::*;\n\n",
        view.service
    );
    out.push_str("use crate::service::{ErrorForm, Service};\n");
    if view.speaks("query") {
        out.push_str("use crate::form::{FormFault, ReadForm, Scope};\nuse crate::xml::{self, WriteXml};\n");
    }
    let read = if view.speaks("json") { ", ReadMembers" } else { "" };
    writeln!(out, "use crate::json::{{self, Members{read}, WriteMembers}};")?;
    if read.is_empty() {
        out.push_str("#[cfg(test)]\nuse crate::json::ReadMembers;\n");
    }
    Ok(format!("{out}\n{body}"))
}

/// What there is to say about the service as a whole, and its errors.
fn service(view: &View<'_>, body: &mut String) -> Result<()> {
    let required = |name: &str| view.metadata(name).ok_or_else(|| format!("{} has no {name}", view.service));
    let endpoint = required("endpointPrefix")?;
    let target = if view.speaks("json") { view.metadata("targetPrefix") } else { None };
    let additions = view.metadata("additionsTargetPrefix");
    let is_query_compatible = view.model.json["metadata"].get("awsQueryCompatible").is_some();
    writeln!(
        body,
        "/// The service as a whole.\npub const SERVICE: Service = Service {{\n\
         name: \"{}\",\nsigning_name: \"{}\",\nversion: \"{}\",\njson_target: {target:?},\nadditions_target: {additions:?},\njson_version: {:?},\n\
         speaks_query: {},\nis_query_compatible: {is_query_compatible},\nxml_namespace: \"{}\",\n\
         shape_namespace: \"{}\",\nerrors: ERRORS,\n}};\n",
        view.service,
        view.metadata("signingName").unwrap_or(endpoint),
        required("apiVersion")?,
        view.metadata("jsonVersion").unwrap_or("1.0"),
        view.speaks("query"),
        view.metadata("xmlNamespace").unwrap_or_default(),
        view.metadata("shapeNamespace")
            .map_or_else(|| format!("com.amazonaws.{}", view.service), str::to_owned),
    )?;
    body.push_str("/// The errors that the model has, by shape.\npub const ERRORS: &[ErrorForm] = &[\n");
    for (name, shape) in view.shapes.iter().filter(|(_, shape)| shape["exception"] == true) {
        let error = &shape["error"];
        let code = error["code"].as_str().unwrap_or(name);
        let fallback = if shape["fault"] == true { 500 } else { 400 };
        let status = error["httpStatusCode"].as_u64().unwrap_or(fallback);
        writeln!(body, "ErrorForm {{ shape: \"{name}\", query_code: \"{code}\", status: {status} }},")?;
    }
    body.push_str("];\n\n");
    Ok(())
}

/// The functions that choose by operation.
fn dispatch(view: &View<'_>, body: &mut String) -> Result<()> {
    let arms = |body: &mut String, arm: &dyn Fn(&str) -> String| {
        view.operations.keys().for_each(|operation| {
            body.push_str(&arm(operation));
            body.push_str(",\n");
        });
    };
    if view.speaks("json") {
        body.push_str("/// Reads a request's body.\npub fn read_json(operation: Operation, reader: &mut json::Reader<'_>) -> Result<Request, json::Fault> {\nOk(match operation {\n");
        arms(body, &|name| format!("Operation::{name} => Request::{name}(reader.document()?)"));
        body.push_str("})\n}\n\n");
    }
    if view.speaks("query") {
        body.push_str("/// Reads a request's parameters.\npub fn read_form(operation: Operation, scope: &Scope<'_>) -> Result<Request, FormFault> {\nOk(match operation {\n");
        arms(body, &|name| format!("Operation::{name} => Request::{name}(ReadForm::read_form(scope)?)"));
        body.push_str("})\n}\n\n/// Writes an answer's members.\npub fn write_xml(response: &Response, xml: &mut xml::Writer) {\nmatch response {\n");
        arms(body, &|name| format!("Response::{name}(output) => output.write_xml(xml)"));
        body.push_str("}\n}\n\n");
    }
    body.push_str("/// Writes an answer's body.\npub fn write_json(response: &Response, writer: &mut json::Writer) {\nmatch response {\n");
    arms(body, &|name| format!("Response::{name}(output) => writer.document(output)"));
    body.push_str("}\n}\n\n/// Which operation an answer is of.\npub const fn operation_of(response: &Response) -> Operation {\nmatch response {\n");
    arms(body, &|name| format!("Response::{name}(_) => Operation::{name}"));
    body.push_str("}\n}\n\n/// Whether the model gives an operation's answer a body.\npub const fn has_output(operation: Operation) -> bool {\n");
    let without: Vec<String> =
        view.operations_without("output").map(|name| format!("Operation::{name}")).collect();
    if without.is_empty() {
        body.push_str("let _ = operation;\ntrue\n}\n\n");
    } else {
        writeln!(body, "!matches!(operation, {})\n}}\n", without.join(" | "))?;
    }
    body.push_str("/// Reads an answer's body.\n#[cfg(test)]\npub fn read_response(operation: Operation, reader: &mut json::Reader<'_>) -> Result<Response, json::Fault> {\nOk(match operation {\n");
    arms(body, &|name| format!("Operation::{name} => Response::{name}(reader.document()?)"));
    body.push_str("})\n}\n\n");
    Ok(())
}

fn structure(
    view: &View<'_>,
    body: &mut String,
    name: &str,
    members: &[Member<'_>],
    is_read: bool,
    is_written: bool,
) -> Result<()> {
    let for_tests = if is_read && view.speaks("json") { "" } else { "#[cfg(test)]\n" };
    if is_written || for_tests.is_empty() {
        read_json(body, name, members, for_tests)?;
    }
    if is_written {
        write_json(view, body, name, members)?;
    }
    if view.speaks("query") {
        if is_read {
            read_form(view, body, name, members)?;
        }
        if is_written {
            write_xml(view, body, name, members)?;
        }
    }
    Ok(())
}

fn unused(members: &[Member<'_>]) -> &'static str {
    if members.is_empty() { "_" } else { "" }
}

fn read_json(body: &mut String, name: &str, members: &[Member<'_>], attribute: &str) -> Result<()> {
    let unused = unused(members);
    writeln!(
        body,
        "{attribute}impl ReadMembers for {name} {{\nfn read_member(&mut self, {unused}name: &str, {unused}reader: &mut json::Reader<'_>) -> Result<bool, json::Fault> {{"
    )?;
    if members.is_empty() {
        body.push_str("Ok(false)\n");
    } else {
        body.push_str("match name {\n");
        for member in members {
            writeln!(body, "\"{}\" => self.{} = reader.optional()?,", member.name, member.field)?;
        }
        body.push_str("_ => return Ok(false),\n}\nOk(true)\n");
    }
    body.push_str("}\n}\n\n");
    Ok(())
}

fn write_json(view: &View<'_>, body: &mut String, name: &str, members: &[Member<'_>]) -> Result<()> {
    let unused = unused(members);
    writeln!(
        body,
        "impl WriteMembers for {name} {{\nfn write_members(&self, {unused}members: &mut Members<'_>) {{"
    )?;
    for Member { name, field, query_json, shape, .. } in members {
        match query_json {
            Some(other) => writeln!(body, "members.put_as(\"{name}\", \"{other}\", &self.{field});")?,
            None if shape["type"] == "map" && view.speaks("query") => {
                let (key, value) = view.map_names(shape);
                writeln!(body, "members.put_map(\"{name}\", \"{key}\", \"{value}\", &self.{field});")?;
            }
            None => writeln!(body, "members.put(\"{name}\", &self.{field});")?,
        }
    }
    body.push_str("}\n}\n\n");
    Ok(())
}

fn read_form(view: &View<'_>, body: &mut String, name: &str, members: &[Member<'_>]) -> Result<()> {
    let unused = unused(members);
    writeln!(
        body,
        "impl ReadForm for {name} {{\nfn read_form({unused}scope: &Scope<'_>) -> Result<Self, FormFault> {{\nOk({name} {{"
    )?;
    for Member { field, query, query_of_java, shape, flattened, .. } in members {
        match shape["type"].as_str() {
            Some("list") => {
                writeln!(body, "{field}: scope.list(\"{query}\", {})?,", item(view, shape, *flattened))?;
            }
            Some("map") => {
                let (key, value) = view.map_names(shape);
                let entry = entry(*flattened);
                let read = |name: &str| format!("scope.map(\"{name}\", {entry}, \"{key}\", \"{value}\")?");
                match query_of_java {
                    None => writeln!(body, "{field}: {},", read(query))?,
                    Some(other) => writeln!(body, "{field}: {}.or({}),", read(query), read(other))?,
                }
            }
            _ => writeln!(body, "{field}: scope.member(\"{query}\")?,")?,
        }
    }
    body.push_str("})\n}\n}\n\n");
    Ok(())
}

fn write_xml(view: &View<'_>, body: &mut String, name: &str, members: &[Member<'_>]) -> Result<()> {
    let unused = unused(members);
    writeln!(body, "impl WriteXml for {name} {{\nfn write_xml(&self, {unused}xml: &mut xml::Writer) {{")?;
    for Member { field, query, shape, flattened, .. } in members {
        match shape["type"].as_str() {
            Some("list") => {
                writeln!(body, "xml.list(\"{query}\", {}, &self.{field});", item(view, shape, *flattened))?;
            }
            Some("map") => {
                let (key, value) = view.map_names(shape);
                let entry = entry(*flattened);
                writeln!(body, "xml.map(\"{query}\", {entry}, \"{key}\", \"{value}\", &self.{field});")?;
            }
            _ => writeln!(body, "xml.member(\"{query}\", &self.{field});")?,
        }
    }
    body.push_str("}\n}\n\n");
    Ok(())
}

/// What an item of a list is called, unless the list is flattened.
fn item<'a>(view: &View<'a>, list: &'a Value, flattened: bool) -> String {
    let name = view.query_name(&list["member"]).unwrap_or("member");
    if flattened { "None".into() } else { format!("Some(\"{name}\")") }
}

/// What an entry of a map is called, unless the map is flattened.
fn entry(flattened: bool) -> &'static str {
    if flattened { "None" } else { "Some(\"entry\")" }
}
