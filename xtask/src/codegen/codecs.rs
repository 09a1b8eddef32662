//! How the shapes of a service are read and written: requests are read, answers are written.
//!
//! A structure has one reader and one writer for documents, which serve JSON and CBOR. What stands elsewhere is in [`places`],
//! what follows an answer in [`events`].

use std::error::Error;
use std::fmt::Write as _;

use serde_json::Value;

use super::view::{Member, Place, View};
use super::{HEADER, events, places, samples};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text of `wire::generated::SERVICE`.
pub fn codecs(view: &View<'_>) -> Result<String> {
    let mut body = String::new();
    service(view, &mut body)?;
    places::routes(view, &mut body)?;
    dispatch(view, &mut body)?;
    for (shape, definition) in view.structures() {
        structure(view, &mut body, &Structure::of(view, shape, definition))?;
    }
    for operation in view.operations_without("input") {
        structure(view, &mut body, &Structure::without_shape(view.type_of(operation, "input"), true))?;
    }
    for operation in view.operations_without("output") {
        structure(view, &mut body, &Structure::without_shape(view.type_of(operation, "output"), false))?;
    }
    events::events(view, &mut body)?;
    samples::samples(view, &mut body)?;
    Ok(format!("{}\n{body}", uses(view)))
}

/// The file's beginning.
fn uses(view: &View<'_>) -> String {
    let shapes = view.shapes_path();
    let mut out = format!("{HEADER}//! How the shapes of `{shapes}` are read and written.\n\n");
    match view.model.is_fixture {
        true => out.push_str("pub mod shapes;\nuse shapes::*;\n\n"),
        false => out.push_str(&format!("use {shapes}::*;\n\n")),
    }
    out.push_str("use crate::service::{ErrorForm, Service};\n");
    if view.speaks("query") {
        out.push_str("use crate::form::{FormFault, ReadForm, Scope};\nuse crate::xml::{self, WriteXml};\n");
    }
    let is_rest = view.speaks("rest-json");
    if is_rest {
        out.push_str("use crate::rest::{self, Piece, ReadRest, Route, WriteRest};\n");
    }
    if !view.event_streams().is_empty() {
        out.push_str("use crate::eventstream::{Event, WriteEvent};\n");
    }
    let is_read = view.reads_documents() || is_rest;
    let mut names = vec!["Members", "WriteMembers"];
    names.extend(if is_read { &["Fault", "ReadMembers", "Reader"][..] } else { &[] });
    names.extend(is_read.then_some("Writer"));
    let has_times = is_rest
        || view
            .structures()
            .any(|(_, shape)| view.members(shape).iter().any(|member| member.times.is_some()));
    names.extend(has_times.then_some("TimeFormat"));
    names.sort_unstable();
    out.push_str(&format!("use crate::document::{{{}}};\n", names.join(", ")));
    out.push_str("#[cfg(test)]\nuse crate::sample::{Sample, member};\n");
    out
}

/// A structure for which code is generated.
pub struct Structure<'a> {
    /// Rust's name.
    pub name: String,
    /// All members.
    pub members: Vec<Member<'a>>,
    /// Whether it occurs in requests.
    pub is_read: bool,
    /// Whether it occurs in answers.
    pub is_written: bool,
    /// Whether its members may stand outside of the body.
    pub is_top: bool,
    /// Whether a document is its body, if no member stands in one: the model has it, and no member is the body.
    pub may_be_empty: bool,
}

impl<'a> Structure<'a> {
    fn of(view: &View<'a>, shape: &str, definition: &'a Value) -> Self {
        Structure {
            name: view.type_name(shape),
            members: view.members(definition),
            is_read: view.is_read(shape),
            is_written: view.is_written(shape),
            is_top: view.is_top(shape),
            may_be_empty: definition["payload"].is_null(),
        }
    }

    fn without_shape(name: String, is_read: bool) -> Self {
        Structure {
            name,
            members: Vec::new(),
            is_read,
            is_written: !is_read,
            is_top: true,
            may_be_empty: false,
        }
    }
}

/// What there is to say about the service as a whole, and its errors.
fn service(view: &View<'_>, body: &mut String) -> Result<()> {
    let required = |name: &str| view.metadata(name).ok_or_else(|| format!("{} has no {name}", view.service));
    let endpoint = required("endpointPrefix")?;
    let target = if view.speaks("json") { view.metadata("targetPrefix") } else { None };
    let rpc_name = match view.speaks("smithy-rpc-v2-cbor") {
        true => Some(required("targetPrefix")?),
        false => None,
    };
    let routes = if view.speaks("rest-json") { "ROUTES" } else { "&[]" };
    let additions = view.metadata("additionsTargetPrefix");
    let is_query_compatible = view.model.json["metadata"].get("awsQueryCompatible").is_some();
    writeln!(
        body,
        "/// The service as a whole.\npub const SERVICE: Service = Service {{\n\
         name: \"{}\",\nsigning_name: \"{}\",\nversion: \"{}\",\njson_target: {target:?},\nadditions_target: {additions:?},\njson_version: {:?},\n\
         speaks_cbor: {},\nrpc_name: {rpc_name:?},\nroutes: {routes},\nspeaks_query: {},\nis_query_compatible: {is_query_compatible},\nhas_checksums: {},\nxml_namespace: \"{}\",\n\
         shape_namespace: \"{}\",\nerrors: ERRORS,\n}};\n",
        view.service,
        view.metadata("signingName").unwrap_or(endpoint),
        required("apiVersion")?,
        view.metadata("jsonVersion").unwrap_or("1.0"),
        view.speaks("cbor"),
        view.speaks("query"),
        view.model.json["metadata"]["hasChecksums"] == true,
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
        let members = shape["members"].as_object();
        let has_member = |name: &str| members.is_some_and(|members| members.contains_key(name));
        let message = if has_member("Message") && !has_member("message") { "Message" } else { "message" };
        let has_code = has_member("Code");
        writeln!(
            body,
            "ErrorForm {{ shape: \"{name}\", query_code: \"{code}\", status: {status}, message: \"{message}\", has_code: {has_code} }},"
        )?;
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
    let has_documents = view.reads_documents() || view.speaks("rest-json");
    if has_documents {
        body.push_str("/// Reads a request's body.\npub fn read_document<R: Reader>(operation: Operation, reader: &mut R) -> Result<Request, Fault> {\nOk(match operation {\n");
        arms(body, &|name| format!("Operation::{name} => Request::{name}(reader.document()?)"));
        body.push_str("})\n}\n\n");
    }
    if view.speaks("rest-json") {
        places::dispatch(view, body)?;
    }
    if view.speaks("query") {
        body.push_str("/// Reads a request's parameters.\npub fn read_form(operation: Operation, scope: &Scope<'_>) -> Result<Request, FormFault> {\nOk(match operation {\n");
        arms(body, &|name| format!("Operation::{name} => Request::{name}(ReadForm::read_form(scope)?)"));
        body.push_str("})\n}\n\n/// Writes an answer's members.\npub fn write_xml(response: &Response, xml: &mut xml::Writer) {\nmatch response {\n");
        arms(body, &|name| format!("Response::{name}(output) => output.write_xml(xml)"));
        body.push_str("}\n}\n\n");
    }
    if has_documents {
        body.push_str("/// Writes an answer's body.\npub fn write_document<W: Writer>(response: &Response, writer: &mut W) {\nmatch response {\n");
        arms(body, &|name| format!("Response::{name}(output) => writer.structure(output)"));
        body.push_str("}\n}\n\n");
    }
    body.push_str("/// Which operation an answer is of.\npub const fn operation_of(response: &Response) -> Operation {\nmatch response {\n");
    arms(body, &|name| format!("Response::{name}(_) => Operation::{name}"));
    body.push_str("}\n}\n\n");
    let without: Vec<String> =
        view.operations_without("output").map(|name| format!("Operation::{name}")).collect();
    body.push_str("/// Whether the model gives an operation's answer a body.\n");
    choice(body, "has_output", "!", &without);
    let streams = view.operations.keys().filter(|name| view.event_stream(name, "output").is_some());
    let streams: Vec<String> = streams.map(|name| format!("Operation::{name}")).collect();
    if !streams.is_empty() {
        body.push_str("/// Whether events follow an operation's answer.\n");
        choice(body, "has_events", "", &streams);
    }
    Ok(())
}

/// A function that says whether an operation is one of some, or, with `not`, none of them.
fn choice(body: &mut String, name: &str, not: &str, operations: &[String]) {
    body.push_str(&format!("pub const fn {name}(operation: Operation) -> bool {{\n"));
    match operations {
        [] => body.push_str(&format!("let _ = operation;\n{}\n", !not.is_empty())),
        _ => body.push_str(&format!("{not}matches!(operation, {})\n", operations.join(" | "))),
    }
    body.push_str("}\n\n");
}

fn structure(view: &View<'_>, body: &mut String, structure: &Structure<'_>) -> Result<()> {
    let is_rest = view.speaks("rest-json");
    let Structure { name, members, is_read, is_written, .. } = structure;
    let in_document = |member: &&Member<'_>| !is_rest || !structure.is_top || member.place == Place::Document;
    let documents: Vec<&Member<'_>> = members.iter().filter(in_document).collect();
    if *is_read && (view.reads_documents() || is_rest) {
        // Calls inside the server have all members in one document, wherever they stand in HTTP requests.
        let key = |member: &Member<'_>| match is_rest && structure.is_top && member.place != Place::Document {
            true => member.name.to_owned(),
            false => member.document.to_owned(),
        };
        let keyed: Vec<(String, &Member<'_>)> = members.iter().map(|member| (key(member), member)).collect();
        read_members(body, name, &keyed)?;
    }
    if *is_written {
        write_members(view, body, name, &documents)?;
    }
    if is_rest && structure.is_top {
        places::structure(body, structure, documents.len())?;
    }
    if view.speaks("query") {
        if *is_read {
            read_form(view, body, name, members)?;
        }
        if *is_written {
            write_xml(view, body, name, members)?;
        }
    }
    Ok(())
}

fn unused<T>(members: &[T]) -> &'static str {
    if members.is_empty() { "_" } else { "" }
}

fn read_members(body: &mut String, name: &str, members: &[(String, &Member<'_>)]) -> Result<()> {
    let unused = unused(members);
    writeln!(
        body,
        "impl ReadMembers for {name} {{\nfn read_member<R: Reader>(&mut self, {unused}name: &str, {unused}reader: &mut R) -> Result<bool, Fault> {{"
    )?;
    if members.is_empty() {
        body.push_str("Ok(false)\n");
    } else {
        body.push_str("match name {\n");
        for (document, Member { field, times, .. }) in members {
            match times.filter(|times| *times != "EpochSeconds") {
                None => writeln!(body, "\"{document}\" => self.{field} = reader.optional()?,")?,
                Some(times) => {
                    writeln!(
                        body,
                        "\"{document}\" => self.{field} = reader.optional_in(TimeFormat::{times})?,"
                    )?;
                }
            }
        }
        body.push_str("_ => return Ok(false),\n}\nOk(true)\n");
    }
    body.push_str("}\n}\n\n");
    Ok(())
}

fn write_members(view: &View<'_>, body: &mut String, name: &str, members: &[&Member<'_>]) -> Result<()> {
    let unused = unused(members);
    writeln!(
        body,
        "impl WriteMembers for {name} {{\nfn write_members<M: Members>(&self, {unused}members: &mut M) {{"
    )?;
    for Member { document, field, query_json, shape, times, .. } in members {
        match (query_json, times.filter(|times| *times != "EpochSeconds")) {
            (Some(other), _) => {
                writeln!(body, "members.put_as(\"{document}\", \"{other}\", &self.{field});")?;
            }
            (None, Some(times)) => {
                writeln!(body, "members.put_in(TimeFormat::{times}, \"{document}\", &self.{field});")?;
            }
            (None, None) if shape["type"] == "map" && view.speaks("query") => {
                let (key, value) = view.map_names(shape);
                writeln!(body, "members.put_map(\"{document}\", \"{key}\", \"{value}\", &self.{field});")?;
            }
            (None, None) => writeln!(body, "members.put(\"{document}\", &self.{field});")?,
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
