//! A model as the generator looks at it: Rust's names and types, the query protocol's names, what is read and written.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;

use serde_json::{Map, Value};

use crate::model::Model;

/// Members that the largest shape of an operation may have if it is not to be boxed: those of SNS's `Publish`.
const INLINE: usize = 9;

/// One service's model.
pub struct View<'a> {
    /// The folder under `models`.
    pub service: &'a str,
    pub model: &'a Model,
    pub shapes: &'a Map<String, Value>,
    pub operations: &'a Map<String, Value>,
    /// Rust's names for structures: inputs and outputs are named after their operations.
    names: BTreeMap<&'a str, String>,
    /// The shapes that occur in requests.
    read: BTreeSet<&'a str>,
    /// The shapes that occur in answers.
    written: BTreeSet<&'a str>,
    /// The shapes that are the input or the output of an operation.
    tops: BTreeSet<&'a str>,
}

/// Where a member of an input or an output stands in restJson1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    Document,
    Label(&'a str),
    Query(&'a str),
    QueryMap,
    Header(&'a str),
    PrefixHeaders(&'a str),
    Status,
    Payload,
}

/// A member of a structure.
pub struct Member<'a> {
    /// As in the model.
    pub name: &'a str,
    /// As in JSON and CBOR.
    pub document: &'a str,
    pub place: Place<'a>,
    /// How its moments are written, as a variant of `TimeFormat`, if the model says so.
    pub times: Option<&'static str>,
    /// Whether it is a header or the payload of an event.
    pub is_event_header: bool,
    pub is_event_payload: bool,
    /// Whether it is a text that holds JSON.
    pub jsonvalue: bool,
    /// As in Rust.
    pub field: String,
    /// As in the query protocol.
    pub query: &'a str,
    /// As in requests of SDKs that look at the member alone, where the map that it holds lends a name: Java's, up to the last
    /// release that speaks the query protocol (`TagQueueRequestMarshaller`: `Tags.1.Key`, where others say `Tag.1.Key`).
    pub query_of_java: Option<&'a str>,
    /// As in the query protocol's JSON answers, if there it has another name.
    pub query_json: Option<&'a str>,
    pub shape: &'a Value,
    pub shape_name: &'a str,
    /// Whether the query protocol puts no element around the items.
    pub flattened: bool,
}

/// Members that a structure can have without being boxed in another.
const FEW_MEMBERS: usize = 10;

impl<'a> View<'a> {
    /// Looks at a model.
    pub fn new(model: &'a Model) -> Result<Self, Box<dyn Error>> {
        let operations = model.operations()?;
        let mut view = View {
            service: &model.service,
            model,
            shapes: model.shapes()?,
            operations,
            names: BTreeMap::new(),
            read: BTreeSet::new(),
            written: BTreeSet::new(),
            tops: BTreeSet::new(),
        };
        for (operation, definition) in operations {
            for (part, suffix) in [("input", "Input"), ("output", "Output")] {
                let Some(shape) = definition[part]["shape"].as_str() else { continue };
                let reachable = view.reachable(shape);
                view.tops.insert(shape);
                if part == "input" && view.event_stream(operation, part).is_some() {
                    return Err(format!(
                        "{operation} is sent an event stream, which the generator does not know yet"
                    )
                    .into());
                }
                if part == "input" { &mut view.read } else { &mut view.written }.extend(reachable);
                // What several operations share keeps its own name.
                let uses = |other: &&Value| other[part]["shape"].as_str() == Some(shape);
                if operations.values().filter(uses).count() == 1 {
                    view.names.insert(shape, format!("{operation}{suffix}"));
                }
            }
        }
        Ok(view)
    }

    /// A word from the model's metadata.
    pub fn metadata(&self, name: &str) -> Option<&'a str> {
        self.model.json["metadata"][name].as_str()
    }

    /// Whether the service is spoken in a protocol.
    pub fn speaks(&self, protocol: &str) -> bool {
        match self.model.json["metadata"]["protocols"].as_array() {
            Some(protocols) => protocols.iter().any(|other| other == protocol),
            None => self.metadata("protocol") == Some(protocol),
        }
    }

    /// Whether it is spoken in any protocol that `wire` has.
    pub fn is_spoken(&self) -> bool {
        ["json", "query", "rest-json", "smithy-rpc-v2-cbor"].iter().any(|protocol| self.speaks(protocol))
    }

    /// Whether documents are read from CBOR: the old one (`cbor`, which only our patches say) or that of Smithy's RPC.
    pub fn speaks_cbor(&self) -> bool {
        self.speaks("cbor") || self.speaks("smithy-rpc-v2-cbor")
    }

    /// Whether requests are read from whole documents.
    pub fn speaks_documents(&self) -> bool {
        self.speaks("json") || self.speaks_cbor()
    }

    /// Whether its requests can be read from documents: also those of a service that is spoken in the query protocol alone, since other
    /// services here call it with JSON.
    pub fn reads_documents(&self) -> bool {
        self.speaks_documents() || self.speaks("query")
    }

    /// Where the service's shapes lie, as a path in Rust.
    pub fn shapes_path(&self) -> String {
        match self.model.is_fixture {
            false => format!("api::{}", self.service),
            true => format!("crate::fixtures::{}::shapes", self.service),
        }
    }

    /// Where its codecs lie, as seen from `wire::generated`.
    pub fn codecs_path(&self) -> String {
        match self.model.is_fixture {
            false => self.service.to_owned(),
            true => format!("crate::fixtures::{}", self.service),
        }
    }

    /// Whether its requests and answers lie behind a box where those of all services are one type: requests of every service are moved
    /// as often as that type is large.
    pub fn is_boxed(&self) -> bool {
        let shapes =
            self.operations.values().flat_map(|operation| [&operation["input"], &operation["output"]]);
        let mut shapes = shapes.filter_map(|part| part["shape"].as_str());
        !self.model.is_fixture && shapes.any(|shape| self.members(&self.shapes[shape]).len() > INLINE)
    }

    /// What keeps a fixture out of what ships.
    pub fn attribute(&self) -> &'static str {
        if self.model.is_fixture { "#[cfg(any(test, feature = \"fixtures\"))]\n" } else { "" }
    }

    /// All shapes below a shape, and itself.
    fn reachable(&self, shape: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut next = vec![shape];
        while let Some(name) = next.pop() {
            if !found.insert(name) {
                continue;
            }
            let shape = &self.shapes[name];
            next.extend(self.members(shape).iter().map(|member| member.shape_name));
            let streams = shape["members"].as_object().into_iter().flat_map(Map::values);
            let streams = streams.filter_map(|member| self.shapes.get(member["shape"].as_str()?));
            for stream in streams.filter(|stream| stream["eventstream"] == true) {
                next.extend(self.members(stream).iter().map(|event| event.shape_name));
            }
            next.extend(
                [&shape["member"], &shape["value"]].into_iter().filter_map(|of| of["shape"].as_str()),
            );
        }
        found
    }

    /// Whether a shape occurs in requests.
    pub fn is_read(&self, shape: &str) -> bool {
        self.read.contains(shape)
    }

    /// Whether a shape occurs in answers.
    pub fn is_written(&self, shape: &str) -> bool {
        self.written.contains(shape)
    }

    /// The structures that occur in requests or answers, with their names in the model.
    pub fn structures(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + '_ {
        self.shapes.iter().map(|(name, shape)| (name.as_str(), shape)).filter(|(name, shape)| {
            shape["type"] == "structure"
                && shape["document"] != true
                && (self.is_read(name) || self.is_written(name))
        })
    }

    /// Whether a shape is the input or the output of an operation, so that its members may stand outside of the body.
    pub fn is_top(&self, shape: &str) -> bool {
        self.tops.contains(shape)
    }

    /// The member of an operation's `part` that is an event stream, and its shape.
    pub fn event_stream(&self, operation: &str, part: &str) -> Option<(&'a str, &'a str)> {
        let shape = self.operations[operation][part]["shape"].as_str()?;
        self.shapes[shape]["members"].as_object()?.iter().find_map(|(name, member)| {
            let shape = member["shape"].as_str()?;
            (self.shapes[shape]["eventstream"] == true).then_some((name.as_str(), shape))
        })
    }

    /// The event streams that occur in answers, each once.
    pub fn event_streams(&self) -> BTreeSet<&'a str> {
        let streams = self.operations.keys().filter_map(|operation| self.event_stream(operation, "output"));
        streams.map(|(_, shape)| shape).collect()
    }

    /// Operations whose `part` (`input` or `output`) has no shape.
    pub fn operations_without(&self, part: &str) -> impl Iterator<Item = &'a str> + '_ {
        let part = part.to_owned();
        self.operations
            .iter()
            .filter(move |(_, definition)| definition[&part].is_null())
            .map(|(name, _)| name.as_str())
    }

    /// Rust's name of an operation's `part` (`input` or `output`).
    pub fn type_of(&self, operation: &str, part: &str) -> String {
        match self.operations[operation][part]["shape"].as_str() {
            Some(shape) => self.type_name(shape),
            None => format!("{operation}{}", if part == "input" { "Input" } else { "Output" }),
        }
    }

    /// Rust's name of a structure.
    pub fn type_name(&self, shape: &str) -> String {
        let own = || if TAKEN.contains(&shape) { format!("{shape}Shape") } else { shape.to_owned() };
        self.names.get(shape).cloned().unwrap_or_else(own)
    }

    /// A structure's members. Event streams are left out: they are not values, but what follows an answer.
    pub fn members(&self, owner: &'a Value) -> Vec<Member<'a>> {
        let Some(members) = owner["members"].as_object() else { return Vec::new() };
        members
            .iter()
            .filter_map(|(name, member)| {
                let shape_name = member["shape"].as_str()?;
                let shape = &self.shapes[shape_name];
                if shape["eventstream"] == true {
                    return None;
                }
                let flattened = member["flattened"] == true || shape["flattened"] == true;
                // A flattened list or map may lend its own name, or its items'.
                let lent = || self.query_name(shape).or_else(|| self.query_name(&shape["member"]));
                let query = self.query_name(member).or_else(|| lent().filter(|_| flattened)).unwrap_or(name);
                let is_lent = self.query_name(member).is_none() && query != name;
                let query_of_java = (is_lent && shape["type"] == "map").then_some(name.as_str());
                let query_json = member["queryJsonName"].as_str();
                let payload = owner["payload"].as_str();
                Some(Member {
                    name,
                    document: match member["locationName"].as_str() {
                        Some(other) if self.metadata("protocol") != Some("query") => other,
                        _ => name,
                    },
                    place: place(name, member, shape, payload),
                    times: self.times(member),
                    is_event_header: member["eventheader"] == true,
                    is_event_payload: member["eventpayload"] == true,
                    jsonvalue: member["jsonvalue"] == true,
                    field: snake(name),
                    query,
                    query_of_java,
                    query_json,
                    shape,
                    shape_name,
                    flattened,
                })
            })
            .collect()
    }

    /// What the query protocol calls a member, an item, a key or a value, if it is not called by its own name.
    pub fn query_name(&self, reference: &'a Value) -> Option<&'a str> {
        // Models of the query protocol call it thus; in models of others that is the others' name.
        let own = if self.metadata("protocol") == Some("query") { "locationName" } else { "queryName" };
        reference["queryName"].as_str().or_else(|| reference[own].as_str())
    }

    /// What a map's keys and values are called in the query protocol.
    pub fn map_names(&self, map: &'a Value) -> (&'a str, &'a str) {
        (self.query_name(&map["key"]).unwrap_or("key"), self.query_name(&map["value"]).unwrap_or("value"))
    }

    /// How the moments in a value are written, as a variant of `TimeFormat`.
    fn times(&self, reference: &'a Value) -> Option<&'static str> {
        let shape = self.shapes.get(reference["shape"].as_str()?)?;
        let format = reference["timestampFormat"].as_str().or_else(|| shape["timestampFormat"].as_str());
        match (shape["type"].as_str()?, format) {
            ("timestamp", Some("unixTimestamp")) => Some("EpochSeconds"),
            ("timestamp", Some("iso8601")) => Some("DateTime"),
            ("timestamp", Some("rfc822")) => Some("HttpDate"),
            ("list", _) => self.times(&shape["member"]),
            ("map", _) => self.times(&shape["value"]),
            _ => None,
        }
    }

    /// Rust's type of a member of a structure. A structure that contains itself without a list or a map between is boxed, and so is
    /// one with many members: requests of all services are moved as one type, which is as large as the largest.
    pub fn member_type(&self, owner: &'a str, member: &Member<'a>) -> Result<String, Box<dyn Error>> {
        let name = self.rust_type(member.shape_name)?;
        let shape = &self.shapes[member.shape_name];
        if shape["type"] == "structure" && self.members(shape).len() > FEW_MEMBERS {
            return Ok(format!("Box<{name}>"));
        }
        let mut next = vec![member.shape_name];
        let mut seen = BTreeSet::new();
        while let Some(shape) = next.pop() {
            if self.shapes[shape]["type"] != "structure" || !seen.insert(shape) {
                continue;
            }
            if shape == owner {
                return Ok(format!("Box<{name}>"));
            }
            next.extend(self.members(&self.shapes[shape]).iter().map(|member| member.shape_name));
        }
        Ok(name)
    }

    /// Rust's type of a shape.
    pub fn rust_type(&self, shape_name: &str) -> Result<String, Box<dyn Error>> {
        let shape = &self.shapes[shape_name];
        if shape["document"] == true {
            if self.speaks_cbor() || self.speaks("query") {
                return Err(format!("{shape_name} is a document, which only JSON has").into());
            }
            return Ok("Json".into());
        }
        if let Some(format) = shape["timestampFormat"].as_str()
            && !matches!(format, "unixTimestamp" | "iso8601" | "rfc822")
        {
            return Err(format!(
                "{shape_name} is written as {format}, which the generator does not know yet"
            )
            .into());
        }
        let of = |reference: &str| self.rust_type(shape[reference]["shape"].as_str().unwrap_or_default());
        Ok(match shape["type"].as_str().unwrap_or_default() {
            "string" => "Text".into(),
            "integer" => "i32".into(),
            "long" => "i64".into(),
            "float" => "f32".into(),
            "double" => "f64".into(),
            "boolean" => "bool".into(),
            "blob" => "Bytes".into(),
            "timestamp" => "Timestamp".into(),
            "structure" => self.type_name(shape_name),
            "list" => format!("Vec<{}>", of("member")?),
            "map" => format!("Map<{}>", of("value")?),
            other => {
                return Err(
                    format!("{shape_name} is a {other}, which the generator does not know yet").into()
                );
            }
        })
    }
}

/// Names that generated code has for other things.
const TAKEN: &[&str] = &[
    "Box",
    "Bytes",
    "ErrorForm",
    "Event",
    "Fault",
    "FormFault",
    "Json",
    "Map",
    "Members",
    "Operation",
    "Option",
    "Piece",
    "Reader",
    "Request",
    "Response",
    "Result",
    "Route",
    "Sample",
    "Scope",
    "Self",
    "Service",
    "Text",
    "TimeFormat",
    "Timestamp",
    "Vec",
    "Writer",
];

/// A name as a variant of an enum: `sessionStart` → `SessionStart`.
pub fn variant(name: &str) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    first.to_uppercase() + rest
}

/// Where a member of an input or an output stands.
fn place<'a>(name: &'a str, member: &'a Value, shape: &Value, payload: Option<&str>) -> Place<'a> {
    let at = member["locationName"].as_str().unwrap_or(name);
    match member["location"].as_str() {
        Some("uri") => Place::Label(at),
        Some("querystring") if shape["type"] == "map" => Place::QueryMap,
        Some("querystring") => Place::Query(at),
        Some("header") => Place::Header(at),
        Some("headers") => Place::PrefixHeaders(at),
        Some("statusCode") => Place::Status,
        _ if payload == Some(name) => Place::Payload,
        _ => Place::Document,
    }
}

/// `MD5OfBody` → `md5_of_body`, `QueueOwnerAWSAccountId` → `queue_owner_aws_account_id`.
fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, &c) in chars.iter().enumerate() {
        let after_lower = at > 0 && (chars[at - 1].is_ascii_lowercase() || chars[at - 1].is_ascii_digit());
        let begins_word = at > 0
            && chars.get(at + 1).is_some_and(char::is_ascii_lowercase)
            && chars[at - 1].is_ascii_uppercase();
        if c.is_ascii_uppercase() && (after_lower || begins_word) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    match out.as_str() {
        "type" | "match" | "ref" | "use" | "where" | "in" | "mod" | "enum" | "struct" | "static" => {
            format!("r#{out}")
        }
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::snake;

    #[test]
    fn names_become_rust_s() {
        assert_eq!(snake("MD5OfMessageBody"), "md5_of_message_body");
        assert_eq!(snake("QueueOwnerAWSAccountId"), "queue_owner_aws_account_id");
        assert_eq!(snake("AWSAccountIds"), "aws_account_ids");
        assert_eq!(snake("queueUrls"), "queue_urls");
        assert_eq!(snake("Type"), "r#type");
    }
}
