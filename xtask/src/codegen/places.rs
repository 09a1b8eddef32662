//! restJson1: where in a request or an answer the members of inputs and outputs stand, and the routes of operations.

use std::error::Error;
use std::fmt::Write as _;

use super::codecs::Structure;
use super::view::{Member, Place, View};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The routes, those first that say more: a literal before a label, a label before a greedy one, then who wants parameters.
pub fn routes(view: &View<'_>, body: &mut String) -> Result<()> {
    if !view.speaks("rest-json") {
        return Ok(());
    }
    let mut routes = Vec::new();
    for (operation, definition) in view.operations {
        let http = &definition["http"];
        let missing = || format!("{operation} has no method or no path");
        let (method, uri) = (http["method"].as_str(), http["requestUri"].as_str());
        let (method, uri) = (method.ok_or_else(missing)?, uri.ok_or_else(missing)?);
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let pieces: Vec<&str> = path.trim_matches('/').split('/').filter(|piece| !piece.is_empty()).collect();
        let pieces: Vec<(u8, String)> = pieces.into_iter().map(piece).collect();
        if pieces.iter().filter(|(kind, _)| *kind == 2).count() > 1 {
            return Err(format!("{operation} has more than one greedy label").into());
        }
        let query: Vec<String> = query.split('&').filter(|pair| !pair.is_empty()).map(parameter).collect();
        let kinds: Vec<u8> = pieces.iter().map(|(kind, _)| *kind).collect();
        let pieces: Vec<String> = pieces.into_iter().map(|(_, piece)| piece).collect();
        let text = format!(
            "Route {{ operation: \"{operation}\", method: \"{method}\", path: &[{}], query: &[{}] }},\n",
            pieces.join(", "),
            query.join(", ")
        );
        routes.push((kinds, std::cmp::Reverse(query.len()), operation, text));
    }
    routes.sort();
    body.push_str("/// The routes, those first that say more.\npub const ROUTES: &[Route] = &[\n");
    routes.iter().for_each(|(.., text)| body.push_str(text));
    body.push_str("];\n\n");
    Ok(())
}

/// A piece of a path, after a number by which it is sorted.
fn piece(text: &str) -> (u8, String) {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        None => (0, format!("Piece::Literal({text:?})")),
        Some(label) => match label.strip_suffix('+') {
            None => (1, format!("Piece::Label({label:?})")),
            Some(label) => (2, format!("Piece::Greedy({label:?})")),
        },
    }
}

fn parameter(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) => format!("({name:?}, Some({value:?}))"),
        None => format!("({pair:?}, None)"),
    }
}

/// The functions that choose by operation.
pub fn dispatch(view: &View<'_>, body: &mut String) -> Result<()> {
    body.push_str("/// Reads a request from its places.\npub fn read_rest(operation: Operation, request: &rest::Request<'_>) -> Result<Request, Fault> {\nOk(match operation {\n");
    for operation in view.operations.keys() {
        writeln!(body, "Operation::{operation} => Request::{operation}(ReadRest::read_rest(request)?),")?;
    }
    body.push_str("})\n}\n\n/// Writes an answer into its places.\npub fn write_rest(response: &Response) -> rest::Answer {\nmatch response {\n");
    for (operation, definition) in view.operations {
        let status = definition["http"]["responseCode"].as_u64().unwrap_or(200);
        writeln!(body, "Response::{operation}(output) => rest::Answer::of({status}, output),")?;
    }
    body.push_str("}\n}\n\n");
    Ok(())
}

/// How an input or an output is read and written; `documents` of its members stand in the body's document.
pub fn structure(body: &mut String, structure: &Structure<'_>, documents: usize) -> Result<()> {
    let Structure { name, members, .. } = structure;
    let elsewhere: Vec<&Member<'_>> =
        members.iter().filter(|member| member.place != Place::Document).collect();
    if structure.is_read {
        let unused = if members.is_empty() { "_" } else { "" };
        writeln!(
            body,
            "impl ReadRest for {name} {{\nfn read_rest({unused}request: &rest::Request<'_>) -> Result<Self, Fault> {{"
        )?;
        match (documents, elsewhere.len()) {
            (0, 0) => writeln!(body, "Ok({name} {{}})")?,
            (_, 0) => body.push_str("request.document()\n"),
            _ => {
                writeln!(body, "Ok({name} {{")?;
                for member in &elsewhere {
                    writeln!(body, "{}: {},", member.field, read(member)?)?;
                }
                if documents > 0 {
                    body.push_str("..request.document()?\n");
                }
                body.push_str("})\n");
            }
        }
        body.push_str("}\n}\n\n");
    }
    if structure.is_written {
        let writes: Vec<String> = elsewhere.iter().filter_map(|member| write(member)).collect();
        let is_document = documents > 0 || structure.may_be_empty;
        let unused = if writes.is_empty() && !is_document { "_" } else { "" };
        writeln!(
            body,
            "impl WriteRest for {name} {{\nfn write_rest(&self, {unused}answer: &mut rest::Answer) {{"
        )?;
        writes.iter().for_each(|write| body.push_str(write));
        if is_document {
            body.push_str("answer.document(self);\n");
        }
        body.push_str("}\n}\n\n");
    }
    Ok(())
}

/// How a member is read.
fn read(member: &Member<'_>) -> Result<String> {
    if member.jsonvalue && matches!(member.place, Place::Header(_)) {
        return Err(
            format!("{} is JSON in a header, which the generator does not know yet", member.name).into()
        );
    }
    let times = |usual: &str| member.times.unwrap_or(usual).to_owned();
    Ok(match member.place {
        Place::Label(name) => format!("request.label({name:?}, TimeFormat::{})?", times("DateTime")),
        Place::Query(name) => format!("request.query({name:?}, TimeFormat::{})?", times("DateTime")),
        Place::QueryMap => "request.query_map()?".into(),
        Place::Header(name) => format!("request.header({name:?}, TimeFormat::{})?", times("HttpDate")),
        Place::PrefixHeaders(prefix) => format!("request.prefix_headers({prefix:?})"),
        Place::Payload => match member.shape["type"].as_str() {
            Some("blob") => "request.blob()".into(),
            Some("string") => "request.text()?".into(),
            Some("structure") => "request.structure()?".into(),
            _ => return Err(format!("{} cannot be a payload", member.name).into()),
        },
        // Only answers have it.
        Place::Status | Place::Document => "None".into(),
    })
}

/// How a member is written; none of what only requests have.
fn write(member: &Member<'_>) -> Option<String> {
    let field = &member.field;
    Some(match member.place {
        Place::Header(name) => {
            let times = member.times.unwrap_or("HttpDate");
            format!("answer.header({name:?}, TimeFormat::{times}, &self.{field});\n")
        }
        Place::PrefixHeaders(prefix) => format!("answer.prefix_headers({prefix:?}, &self.{field});\n"),
        Place::Status => format!("answer.status(&self.{field});\n"),
        Place::Payload => match member.shape["type"].as_str() {
            Some("blob") => format!("answer.blob(&self.{field});\n"),
            Some("string") => format!("answer.text(&self.{field});\n"),
            _ => format!("answer.structure(&self.{field});\n"),
        },
        Place::Label(_) | Place::Query(_) | Place::QueryMap | Place::Document => return None,
    })
}
