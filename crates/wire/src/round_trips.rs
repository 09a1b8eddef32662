//! Every operation, in every protocol, both ways: samples are made from AWS's model, and what the generated code makes of
//! them is compared with what the model says, by code that shares nothing with the generator.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{Exchange, Operation, Request, Response, decode, generated};

/// AWS's model of SQS with our corrections.
fn model() -> Value {
    let mut model: Value = serde_json::from_str(include_str!("../../../models/sqs/service.json")).unwrap();
    let patches: Value = serde_json::from_str(include_str!("../../../models/sqs/patches.json")).unwrap();
    for patch in patches.as_array().unwrap() {
        let (parent, name) = patch["at"].as_str().unwrap().rsplit_once('/').unwrap();
        model.pointer_mut(parent).unwrap()[name] = patch["set"].clone();
    }
    model
}

/// The same with what we add, which is spoken in JSON alone.
fn model_with_additions() -> (Value, Value) {
    let mut model = model();
    let additions: Value = serde_json::from_str(include_str!("../../../models/sqs/additions.json")).unwrap();
    for (name, shape) in additions["shapes"].as_object().unwrap() {
        model["shapes"][name] = shape.clone();
    }
    (model, additions)
}

/// Numbers from a seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// A value of a shape in which every member is there.
fn sample(model: &Value, shape: &str, numbers: &mut Numbers) -> Value {
    const PIECES: &[&str] =
        &["plain", "\"", "\\", "\r\n", "<&>", "ü", "😀", "+%25=", " ", "]]>", "a longer piece of text"];
    let shape = &model["shapes"][shape];
    let of = |reference: &Value| reference["shape"].as_str().unwrap().to_owned();
    match shape["type"].as_str().unwrap() {
        "string" => {
            let pieces = 1 + numbers.next(8);
            (0..pieces).map(|_| PIECES[numbers.next(PIECES.len() as u64) as usize]).collect::<String>().into()
        }
        "integer" => (numbers.next(2_000_000) as i32 - 1_000_000).into(),
        "long" => (numbers.next(1 << 31) as i64 * 3_000_000_000).into(),
        "boolean" => (numbers.next(2) == 0).into(),
        "blob" => "AAECAw==".into(),
        "list" => (0..1 + numbers.next(12)).map(|_| sample(model, &of(&shape["member"]), numbers)).collect(),
        "map" => (0..1 + numbers.next(4))
            .map(|n| (format!("key.{n}"), sample(model, &of(&shape["value"]), numbers)))
            .collect::<Map<_, _>>()
            .into(),
        "structure" => shape["members"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, member)| (name.clone(), sample(model, &of(member), numbers)))
            .collect::<Map<_, _>>()
            .into(),
        other => panic!("{other}"),
    }
}

fn query_name<'a>(reference: &'a Value, otherwise: &'a str) -> &'a str {
    reference["queryName"].as_str().unwrap_or(otherwise)
}

/// A member's name in the query protocol. Every list and map of SQS is flattened there.
fn member_name<'a>(model: &'a Value, name: &'a str, member: &'a Value) -> &'a str {
    let shape = &model["shapes"][member["shape"].as_str().unwrap()];
    query_name(member, query_name(shape, query_name(&shape["member"], name)))
}

/// The parameters that stand for a value.
fn parameters(model: &Value, shape: &str, value: &Value, name: &str, out: &mut Vec<(String, String)>) {
    let shape = &model["shapes"][shape];
    let of = |reference: &Value| reference["shape"].as_str().unwrap().to_owned();
    let dot = if name.is_empty() { "" } else { "." };
    match value {
        Value::Object(members) if shape["type"] == "structure" => {
            for (member, value) in members {
                let reference = &shape["members"][member];
                let name = format!("{name}{dot}{}", member_name(model, member, reference));
                parameters(model, &of(reference), value, &name, out);
            }
        }
        Value::Object(entries) => {
            for (n, (key, value)) in (1..).zip(entries) {
                out.push((format!("{name}.{n}.{}", query_name(&shape["key"], "key")), key.clone()));
                let name = format!("{name}.{n}.{}", query_name(&shape["value"], "value"));
                parameters(model, &of(&shape["value"]), value, &name, out);
            }
        }
        Value::Array(items) => {
            for (n, item) in (1..).zip(items) {
                parameters(model, &of(&shape["member"]), item, &format!("{name}.{n}"), out);
            }
        }
        Value::String(text) => out.push((name.to_owned(), text.clone())),
        other => out.push((name.to_owned(), other.to_string())),
    }
}

/// Escapes everything but letters and digits.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).into() } else { format!("%{b:02X}") })
        .collect()
}

/// An element: its name, its text, its elements.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    elements: Vec<Element>,
}

/// Reads what is between an element's tags; gives back what follows its end.
fn elements<'x>(mut xml: &'x str, into: &mut Element) -> &'x str {
    loop {
        let (text, rest) = xml.split_once('<').unwrap_or((xml, ""));
        into.text += &text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#xD;", "\r")
            .replace("&amp;", "&");
        assert!(!text.contains(['>', '"', '\r']), "{text:?}");
        if rest.is_empty() {
            return "";
        }
        let (tag, rest) = rest.split_once('>').unwrap();
        if let Some(end) = tag.strip_prefix('/') {
            assert_eq!(end, into.name);
            return rest;
        }
        let mut element = Element { name: tag.split(' ').next().unwrap().to_owned(), ..Element::default() };
        xml = if tag.ends_with(['/', '?']) { rest } else { elements(rest, &mut element) };
        into.elements.push(element);
    }
}

impl Element {
    fn all<'e>(&'e self, name: &str) -> impl Iterator<Item = &'e Element> {
        let name = name.to_owned();
        self.elements.iter().filter(move |element| element.name == name)
    }

    fn one(&self, name: &str) -> &Element {
        let mut all = self.all(name);
        let one = all.next().unwrap_or_else(|| panic!("no {name} in {self:?}"));
        assert!(all.next().is_none(), "more than one {name}");
        one
    }
}

/// The value for which a structure's elements stand.
fn value_of(model: &Value, shape: &str, element: &Element) -> Value {
    let shape = &model["shapes"][shape];
    let of = |reference: &Value| reference["shape"].as_str().unwrap().to_owned();
    match shape["type"].as_str().unwrap() {
        "string" | "blob" => element.text.clone().into(),
        "structure" => {
            let mut value = Map::new();
            let mut expected = 0;
            for (name, member) in shape["members"].as_object().unwrap() {
                let element_name = member_name(model, name, member);
                let member_shape = &model["shapes"][of(member)];
                let found: Vec<&Element> = element.all(element_name).collect();
                expected += found.len();
                value.insert(
                    name.clone(),
                    match member_shape["type"].as_str().unwrap() {
                        "list" => found
                            .iter()
                            .map(|item| value_of(model, &of(&member_shape["member"]), item))
                            .collect(),
                        "map" => found
                            .iter()
                            .map(|entry| {
                                let key = entry.one(query_name(&member_shape["key"], "key")).text.clone();
                                let value = entry.one(query_name(&member_shape["value"], "value"));
                                (key, value_of(model, &of(&member_shape["value"]), value))
                            })
                            .collect::<Map<_, _>>()
                            .into(),
                        _ => value_of(model, &of(member), element.one(element_name)),
                    },
                );
            }
            assert_eq!(expected, element.elements.len(), "{element:?} has what the model does not have");
            value.into()
        }
        _ => serde_json::from_str(&element.text).unwrap(),
    }
}

/// The value for which an answer in the query protocol's JSON stands.
fn value_in_query_manner(model: &Value, shape: &str, value: &Value) -> Value {
    let shape = &model["shapes"][shape];
    let of = |reference: &Value| reference["shape"].as_str().unwrap().to_owned();
    match (shape["type"].as_str().unwrap(), value) {
        ("structure", Value::Object(members)) => shape["members"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, member)| {
                let value = &members[member["queryJsonName"].as_str().unwrap_or(name)];
                (name.clone(), value_in_query_manner(model, &of(member), value))
            })
            .collect::<Map<_, _>>()
            .into(),
        ("list", Value::Array(items)) => {
            items.iter().map(|item| value_in_query_manner(model, &of(&shape["member"]), item)).collect()
        }
        ("map", Value::Array(entries)) => entries
            .iter()
            .map(|entry| {
                let key = entry[query_name(&shape["key"], "key")].as_str().unwrap().to_owned();
                let value = &entry[query_name(&shape["value"], "value")];
                (key, value_in_query_manner(model, &of(&shape["value"]), value))
            })
            .collect::<Map<_, _>>()
            .into(),
        ("structure" | "list" | "map", other) => panic!("{other}"),
        (_, value) => value.clone(),
    }
}

fn ask(headers: &[(&str, &str)], body: String) -> (Request, Exchange) {
    let builder =
        headers.iter().fold(http::Request::builder().method("POST").uri("/"), |builder, (name, value)| {
            builder.header(*name, *value)
        });
    let head = builder.body(()).unwrap().into_parts().0;
    let decoded = decode(&head, Bytes::from(body), "id-1".into()).unwrap();
    (decoded.request, decoded.exchange)
}

fn ask_json(operation: &str, body: &Value) -> (Request, Exchange) {
    ask(&[("x-amz-target", &format!("AmazonSQS.{operation}"))], body.to_string())
}

fn ask_query(operation: &str, parameters: &[(String, String)], accept: &str) -> (Request, Exchange) {
    let parameters = parameters.iter().map(|(name, value)| format!("&{}={}", escaped(name), escaped(value)));
    let body = format!("Action={operation}{}", parameters.collect::<String>());
    ask(&[("content-type", "application/x-www-form-urlencoded"), ("accept", accept)], body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn requests_are_the_same_in_both_protocols_and_complete(seed in any::<u64>()) {
        let model = model();
        for (operation, definition) in model["operations"].as_object().unwrap() {
            let Some(shape) = definition["input"]["shape"].as_str() else { continue };
            let value = sample(&model, shape, &mut Numbers(seed));
            let (from_json, _) = ask_json(operation, &value);
            let mut form = Vec::new();
            parameters(&model, shape, &value, "", &mut form);
            let (from_form, _) = ask_query(operation, &form, "*/*");
            prop_assert_eq!(&from_json, &from_form);
            prop_assert!(!format!("{:?}", from_json).contains("None"), "{}: {:?}", operation, from_json);
        }
    }

    #[test]
    fn what_is_added_is_read_and_written_completely(seed in any::<u64>()) {
        let (model, additions) = model_with_additions();
        let prefix = additions["targetPrefix"].as_str().unwrap();
        for (name, definition) in additions["operations"].as_object().unwrap() {
            let value = sample(&model, definition["input"]["shape"].as_str().unwrap(), &mut Numbers(seed));
            let (request, exchange) = ask(&[("x-amz-target", &format!("{prefix}.{name}"))], value.to_string());
            prop_assert!(!format!("{request:?}").contains("None"), "{request:?}");
            let value = sample(&model, definition["output"]["shape"].as_str().unwrap(), &mut Numbers(seed));
            let answer = exchange.answer(&response(name, &value));
            prop_assert_eq!(serde_json::from_slice::<Value>(answer.body()).unwrap(), value);
        }
    }

    #[test]
    fn answers_say_the_same_in_every_protocol(seed in any::<u64>()) {
        let model = model();
        for (name, definition) in model["operations"].as_object().unwrap() {
            let shape = definition["output"]["shape"].as_str();
            let value = shape.map_or(json!({}), |shape| sample(&model, shape, &mut Numbers(seed)));
            let response = response(name, &value);

            let answer = ask_json(name, &json!({})).1.answer(&response);
            let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
            prop_assert_eq!(body, shape.map(|_| value.clone()));

            let answer = ask_query(name, &[], "*/*").1.answer(&response);
            let mut document = Element::default();
            elements(std::str::from_utf8(answer.body()).unwrap(), &mut document);
            let answer = document.one(&format!("{name}Response"));
            prop_assert_eq!(&answer.one("ResponseMetadata").one("RequestId").text, "id-1");
            if let Some(shape) = shape {
                prop_assert_eq!(value_of(&model, shape, answer.one(&format!("{name}Result"))), value.clone());
            }

            let answer = ask_query(name, &[], "application/json").1.answer(&response);
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            let body = &body[format!("{name}Response")];
            prop_assert_eq!(&body["ResponseMetadata"]["RequestId"], "id-1");
            if let Some(shape) = shape {
                let result = &body[format!("{name}Result")];
                prop_assert_eq!(value_in_query_manner(&model, shape, result), value);
            }
        }
    }
}

fn response(operation: &str, value: &Value) -> Response {
    let operation = api::sqs::Operation::from_name(operation).unwrap();
    let response = Response::Sqs(generated::sqs::sample_response(operation, value));
    assert_eq!(response.operation(), Operation::Sqs(operation));
    response
}
