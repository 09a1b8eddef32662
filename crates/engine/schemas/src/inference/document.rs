//! A shape as a schema's content: OpenAPI 3 or JSON Schema draft 4. Each object is a component of its own, as in AWS's discovered schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::pascal_case;
use super::shape::{Number, Property, Shape, Text};

/// The languages of schemas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// `OpenApi3`.
    OpenApi3,
    /// `JSONSchemaDraft4`.
    Draft4,
}

impl Dialect {
    /// `Type`.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::OpenApi3 => "OpenApi3",
            Dialect::Draft4 => "JSONSchemaDraft4",
        }
    }

    /// The dialect that a `Type` names.
    pub fn named(name: &str) -> Option<Dialect> {
        [Dialect::OpenApi3, Dialect::Draft4].into_iter().find(|dialect| dialect.name() == name)
    }

    fn reference(self) -> &'static str {
        match self {
            Dialect::OpenApi3 => "#/components/schemas/",
            Dialect::Draft4 => "#/definitions/",
        }
    }
}

/// What a schema is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The events of a source and a detail type; the shape is that of their details.
    Event {
        /// `source`.
        source: String,
        /// `detail-type`.
        detail_type: String,
    },
    /// Other values; the shape is theirs.
    Value,
}

/// The component that is the envelope of events.
const ENVELOPE: &str = "AWSEvent";

/// The title of what is no event.
const TITLE: &str = "Event";

/// Levels of a document, and components and properties of one, that are read at the most.
const LEVELS: usize = 128;
const NODES: usize = 100_000;

/// Writes a schema.
pub fn write(dialect: Dialect, subject: &Subject, shape: &Shape) -> String {
    let mut writer = Writer { dialect, components: BTreeMap::new(), numbers: BTreeMap::new() };
    let (root, title, root_name) = match subject {
        Subject::Event { source, detail_type } => {
            writer.components.insert(ENVELOPE.to_owned(), Value::Null);
            let title = pascal_case(detail_type);
            let title = if title.is_empty() { "Detail".to_owned() } else { title };
            let detail = writer.value(shape, &title);
            writer.components.remove(ENVELOPE);
            (envelope(source, detail_type, detail), title, ENVELOPE.to_owned())
        }
        Subject::Value => {
            let value = writer.value(shape, TITLE);
            // An object is the root itself.
            let is_object = value.get("$ref").is_some();
            let object = Some(TITLE).filter(|_| is_object).and_then(|name| writer.components.remove(name));
            let name = writer.unused(TITLE);
            (object.unwrap_or(value), name.clone(), name)
        }
    };
    let document = match dialect {
        Dialect::OpenApi3 => {
            writer.components.insert(root_name, root);
            json!({
                "openapi": "3.0.0",
                "info": { "version": "1.0.0", "title": title },
                "paths": {},
                "components": { "schemas": writer.components },
            })
        }
        Dialect::Draft4 => {
            let mut document = root;
            document["$schema"] = json!("http://json-schema.org/draft-04/schema#");
            document["title"] = json!(title);
            document["definitions"] = json!(writer.components);
            document
        }
    };
    document.to_string()
}

/// The envelope of events (as AWS writes it; recorded in schemas that AWS discovered).
fn envelope(source: &str, detail_type: &str, detail: Value) -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "required": [
            "detail-type", "resources", "detail", "id", "source", "time", "region", "version", "account"
        ],
        "x-amazon-events-detail-type": detail_type,
        "x-amazon-events-source": source,
        "properties": {
            "detail": detail,
            "account": text,
            "detail-type": text,
            "id": text,
            "region": text,
            "resources": { "type": "array", "items": text },
            "source": text,
            "time": { "type": "string", "format": "date-time" },
            "version": text,
        },
    })
}

struct Writer {
    dialect: Dialect,
    components: BTreeMap<String, Value>,
    /// The next number for each name that is taken.
    numbers: BTreeMap<String, usize>,
}

impl Writer {
    /// A shape where it stands. Its objects become components that are named after `name`.
    fn value(&mut self, shape: &Shape, name: &str) -> Value {
        let mut kinds = Vec::new();
        if shape.boolean {
            kinds.push(json!({ "type": "boolean" }));
        }
        kinds.extend(shape.number.map(|number| match number {
            Number::Whole => json!({ "type": "integer", "format": "int64" }),
            Number::Any => json!({ "type": "number", "format": "double" }),
        }));
        kinds.extend(shape.text.map(|text| match text {
            Text::Moment => json!({ "type": "string", "format": "date-time" }),
            Text::Any => json!({ "type": "string" }),
        }));
        if let Some(items) = &shape.list {
            let items = self.value(items, &format!("{name}Item"));
            kinds.push(json!({ "type": "array", "items": items }));
        }
        if let Some(properties) = &shape.object {
            kinds.push(self.component(properties, name));
        }
        match (shape.null, kinds.len()) {
            // Nothing is known of it.
            (_, 0) => json!({}),
            (false, 1) => kinds.swap_remove(0),
            (false, _) => json!({ "oneOf": kinds }),
            (true, _) => self.nullable(kinds),
        }
    }

    /// One of some kinds, or null.
    fn nullable(&self, mut kinds: Vec<Value>) -> Value {
        match (self.dialect, &mut kinds[..]) {
            (Dialect::OpenApi3, [Value::Object(only)]) if !only.contains_key("$ref") => {
                only.insert("nullable".to_owned(), json!(true));
                kinds.swap_remove(0)
            }
            // What stands beside a reference does not count.
            (Dialect::OpenApi3, _) => json!({ "nullable": true, "oneOf": kinds }),
            (Dialect::Draft4, _) => {
                kinds.push(json!({ "type": "null" }));
                json!({ "oneOf": kinds })
            }
        }
    }

    fn component(&mut self, properties: &BTreeMap<String, Property>, name: &str) -> Value {
        let name = self.unused(name);
        self.components.insert(name.clone(), Value::Null);
        let required: Vec<&String> =
            properties.iter().filter(|(_, property)| property.is_required).map(|(name, _)| name).collect();
        let mut object = Map::from_iter([("type".to_owned(), json!("object"))]);
        if !required.is_empty() {
            // A list without items is none in draft 4.
            object.insert("required".to_owned(), json!(required));
        }
        let mut written = Map::new();
        for (property, Property { shape, .. }) in properties {
            written.insert(property.clone(), self.value(shape, &pascal_case(property)));
        }
        object.insert("properties".to_owned(), Value::Object(written));
        let reference = format!("{}{name}", self.dialect.reference());
        self.components.insert(name, Value::Object(object));
        json!({ "$ref": reference })
    }

    /// A name that no component has yet.
    fn unused(&mut self, name: &str) -> String {
        let name = if name.is_empty() { "Value" } else { name };
        let mut unused = name.to_owned();
        while self.components.contains_key(&unused) {
            let number = self.numbers.entry(name.to_owned()).or_insert(1);
            unused = format!("{name}_{number}");
            *number += 1;
        }
        unused
    }
}

/// Reads what [`write()`] wrote in OpenAPI 3: of what the schema is, and its shape. Nothing, if it is another document.
pub fn read(content: &str) -> Option<(Subject, Shape)> {
    let document: Value = serde_json::from_str(content).ok()?;
    let components = document.get("components")?.get("schemas")?.as_object()?;
    let mut reader = Reader { components, nodes: NODES };
    let Some(envelope) = components.get(ENVELOPE) else {
        let root = document.get("info")?.get("title")?.as_str()?;
        return Some((Subject::Value, reader.shape(components.get(root)?, LEVELS)?));
    };
    let text = |name: &str| Some(envelope.get(name)?.as_str()?.to_owned());
    let subject = Subject::Event {
        source: text("x-amazon-events-source")?,
        detail_type: text("x-amazon-events-detail-type")?,
    };
    let detail = envelope.get("properties")?.get("detail")?;
    Some((subject, reader.shape(detail, LEVELS)?))
}

struct Reader<'d> {
    components: &'d Map<String, Value>,
    nodes: usize,
}

impl Reader<'_> {
    fn shape(&mut self, value: &Value, levels: usize) -> Option<Shape> {
        (self.nodes, _) = (self.nodes.checked_sub(1)?, levels.checked_sub(1)?);
        let levels = levels - 1;
        if let Some(reference) = value.get("$ref") {
            let name = reference.as_str()?.strip_prefix(Dialect::OpenApi3.reference())?;
            return self.shape(self.components.get(name)?, levels);
        }
        let mut shape = Shape::default();
        for kind in value.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
            shape.merge(self.shape(kind, levels)?);
        }
        shape.null |= value.get("nullable") == Some(&json!(true));
        let format = value.get("format").and_then(Value::as_str);
        match value.get("type").and_then(Value::as_str) {
            Some("boolean") => shape.boolean = true,
            Some("integer") => shape.number = Some(Number::Whole),
            Some("number") => shape.number = Some(Number::Any),
            Some("string") => {
                let is_moment = format == Some("date-time");
                shape.text = Some(if is_moment { Text::Moment } else { Text::Any });
            }
            Some("array") => shape.list = Some(Box::new(self.shape(value.get("items")?, levels)?)),
            Some("object") => shape.object = Some(self.properties(value, levels)?),
            Some(_) => return None,
            // `null` is written as what nothing is known of.
            None if value.get("oneOf").is_none() => shape.null = true,
            None => {}
        }
        Some(shape)
    }

    fn properties(&mut self, value: &Value, levels: usize) -> Option<BTreeMap<String, Property>> {
        let required: BTreeSet<&str> = value
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut properties = BTreeMap::new();
        for (name, value) in value.get("properties")?.as_object()? {
            let is_required = required.contains(&**name);
            let shape = self.shape(value, levels)?;
            properties.insert(name.clone(), Property { shape, is_required });
        }
        Some(properties)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inference::testing::value;

    fn event(source: &str, detail_type: &str) -> Subject {
        Subject::Event { source: source.to_owned(), detail_type: detail_type.to_owned() }
    }

    #[test]
    fn an_event_is_described_as_aws_describes_it() {
        let detail = json!({"key1": "a", "key2": "b"});
        let content =
            write(Dialect::OpenApi3, &event("myapp.users", "ThisIsANewEvent10"), &Shape::of(&detail));
        let text = json!({"type": "string"});
        // As AWS discovered it.
        let expected = json!({
            "openapi": "3.0.0",
            "info": {"version": "1.0.0", "title": "ThisIsANewEvent10"},
            "paths": {},
            "components": {"schemas": {
                "AWSEvent": {
                    "type": "object",
                    "required": ["detail-type", "resources", "detail", "id", "source", "time", "region", "version", "account"],
                    "x-amazon-events-detail-type": "ThisIsANewEvent10",
                    "x-amazon-events-source": "myapp.users",
                    "properties": {
                        "detail": {"$ref": "#/components/schemas/ThisIsANewEvent10"},
                        "account": text, "detail-type": text, "id": text, "region": text,
                        "resources": {"type": "array", "items": text},
                        "source": text,
                        "time": {"type": "string", "format": "date-time"},
                        "version": text,
                    },
                },
                "ThisIsANewEvent10": {
                    "type": "object", "required": ["key1", "key2"], "properties": {"key1": text, "key2": text},
                },
            }},
        });
        assert_eq!(serde_json::from_str::<Value>(&content).unwrap(), expected);
    }

    #[test]
    fn objects_are_components_of_their_own_with_names_of_their_own() {
        let detail = json!({"user": {"user": {"id": 1}}, "orders": [{"id": 1}], "aWSEvent": {}, "": {}});
        let content = write(Dialect::OpenApi3, &event("s", "t"), &Shape::of(&detail));
        let content: Value = serde_json::from_str(&content).unwrap();
        let names: Vec<&String> = content["components"]["schemas"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["AWSEvent", "AWSEvent_1", "OrdersItem", "T", "User", "User_1", "Value"]);
    }

    #[test]
    fn an_export_in_draft_4_has_definitions() {
        let detail = json!({"n": 1.5, "lines": [{"sku": "a"}], "note": null});
        let mut shape = Shape::of(&detail);
        shape.merge(Shape::of(&json!({"n": 1, "lines": [], "note": "x"})));
        let content = write(Dialect::Draft4, &event("s", "a type"), &shape);
        let content: Value = serde_json::from_str(&content).unwrap();
        assert_eq!(content["$schema"], "http://json-schema.org/draft-04/schema#");
        assert_eq!(content["title"], "AType");
        assert_eq!(content["properties"]["detail"], json!({"$ref": "#/definitions/AType"}));
        let properties = &content["definitions"]["AType"]["properties"];
        assert_eq!(
            properties["lines"],
            json!({"type": "array", "items": {"$ref": "#/definitions/LinesItem"}})
        );
        assert_eq!(properties["note"], json!({"oneOf": [{"type": "string"}, {"type": "null"}]}));
        assert!(content["definitions"].get("AWSEvent").is_none());
    }

    #[test]
    fn many_objects_of_one_name_cost_no_more_than_others() {
        // With a search for a free name from the beginning this would take minutes.
        let detail: Map<String, Value> = (0..20_000).map(|at| (format!("p{at}"), json!({"a": {}}))).collect();
        let shape = Shape::of(&Value::Object(detail));
        assert_eq!(shape.size(), 40_001);
        let (_, read) = read(&write(Dialect::OpenApi3, &event("s", "t"), &shape)).unwrap();
        assert_eq!(read, shape);
    }

    #[test]
    fn other_documents_are_not_read() {
        for other in [
            "",
            "[]",
            r#"{"openapi":"3.0.0"}"#,
            r##"{"info":{"title":"a"},"components":{"schemas":{"a":{"$ref":"#/components/schemas/a"}}}}"##,
            r#"{"info":{"title":"a"},"components":{"schemas":{"a":{"type":"file"}}}}"#,
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_again(values in prop::collection::vec(value(), 1..5), is_event in any::<bool>()) {
            let mut shape = Shape::default();
            values.iter().for_each(|value| shape.merge(Shape::of(value)));
            let subject = if is_event { event("a source", "a.type") } else { Subject::Value };
            let (read_subject, read_shape) = read(&write(Dialect::OpenApi3, &subject, &shape)).unwrap();
            prop_assert_eq!(read_subject, subject);
            // What nothing is known of is read as something that can be null: it includes what was written.
            prop_assert!(read_shape.includes(&shape), "{:?} {:?}", read_shape, shape);
            let again = write(Dialect::OpenApi3, &event("a source", "a.type"), &read_shape);
            prop_assert_eq!(read(&again).unwrap().1, read_shape);
        }
    }
}
