//! Input templates and dynamic parameters: how an event is put into other words (AWS's documentation of EventBridge Pipes, "input
//! transformation" and "Dynamic path parameters").

use std::borrow::Cow;

use json_text::path::Path;
use json_text::template::{Piece, split};
use json_text::{is_json, quoted};
use kernel::{Refusal, Time, iso8601};

use super::record::Record;
use crate::{limits, refusals};

/// What a template can say besides what is in the event.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The pipe's ARN.
    pub pipe_arn: &'a str,
    /// Its name.
    pub pipe_name: &'a str,
    /// The ARN of its source.
    pub source_arn: &'a str,
    /// The ARN of its enrichment, if it has one.
    pub enrichment_arn: Option<&'a str>,
    /// The ARN of its target.
    pub target_arn: &'a str,
    /// When the event came.
    pub ingested: Time,
}

/// An input template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    pieces: Vec<Piece<Variable>>,
    /// Whether the result must be JSON. Otherwise it is any text.
    is_json: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Variable {
    Part(Path),
    PipeArn,
    PipeName,
    SourceArn,
    EnrichmentArn,
    TargetArn,
    IngestionTime,
    Event,
    EventJson,
}

impl Template {
    /// Reads a template. What stands between `<` and `>` and is neither a path nor a reserved variable stands for itself.
    ///
    /// Errors: a path that cannot be read, a reserved variable that does not exist.
    pub fn parse(text: &str) -> Result<Template, Refusal> {
        let pieces = split(text, |name| {
            let unknown = || refusals::invalid(format_args!("Invalid InputTemplate: <{name}> is not known."));
            Ok(Some(match name {
                "aws.pipes.pipe-arn" => Variable::PipeArn,
                "aws.pipes.pipe-name" => Variable::PipeName,
                "aws.pipes.source-arn" => Variable::SourceArn,
                "aws.pipes.enrichment-arn" => Variable::EnrichmentArn,
                "aws.pipes.target-arn" => Variable::TargetArn,
                "aws.pipes.event.ingestion-time" => Variable::IngestionTime,
                "aws.pipes.event" => Variable::Event,
                "aws.pipes.event.json" => Variable::EventJson,
                name if name.starts_with("aws.pipes.") => return Err(unknown()),
                name if name.starts_with('$') => Variable::Part(Path::parse(name).ok_or_else(unknown)?),
                _ => return Ok(None),
            }))
        })?;
        Ok(Template { pieces, is_json: text.trim_start().starts_with(['{', '[']) })
    }

    /// What it makes of an event; none if that would not be valid JSON though the template is, or too long.
    pub fn render(&self, event: &Record, about: &About<'_>) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Variable { variable, in_string } => {
                    let value = variable.value(event, about);
                    match self.is_json {
                        true => put_json(&mut out, value.as_deref(), *in_string),
                        false => out.push_str(&text_of(value.as_deref().unwrap_or_default())),
                    }
                }
            }
            if out.len() > limits::PAYLOAD_BYTES {
                return None;
            }
        }
        (!self.is_json || is_json(&out)).then_some(out)
    }
}

/// Appends a variable's value to JSON. In a string there are no quotes around a text, and what is no text is escaped. A path that leads
/// nowhere is an empty text, as in rules (facts/eventbridge.md § 6).
fn put_json(out: &mut String, value: Option<&str>, in_string: bool) {
    match value {
        None if in_string => {}
        None => out.push_str("\"\""),
        Some(value) if !in_string => out.push_str(value),
        Some(text) if text.starts_with('"') => out.push_str(text.get(1..text.len() - 1).unwrap_or_default()),
        Some(value) => {
            let quoted = quoted(value);
            out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
        }
    }
}

/// JSON as plain text: a string without its quotes, anything else as it is.
fn text_of(json: &str) -> Cow<'_, str> {
    match json.starts_with('"').then(|| serde_json::from_str::<String>(json)) {
        Some(Ok(text)) => Cow::Owned(text),
        _ => Cow::Borrowed(json),
    }
}

impl Variable {
    fn value<'a>(&self, event: &'a Record, about: &About<'_>) -> Option<Cow<'a, str>> {
        let quoted = |text: &str| Some(Cow::Owned(quoted(text)));
        match self {
            Variable::Part(path) => path.find(event.parsed()),
            Variable::PipeArn => quoted(about.pipe_arn),
            Variable::PipeName => quoted(about.pipe_name),
            Variable::SourceArn => quoted(about.source_arn),
            Variable::EnrichmentArn => about.enrichment_arn.and_then(quoted),
            Variable::TargetArn => quoted(about.target_arn),
            Variable::IngestionTime => quoted(&iso8601::write_seconds(about.ingested.signed_millis())),
            Variable::Event => Some(Cow::Borrowed(event.text())),
            Variable::EventJson => Some(Cow::Borrowed(event.parsed())),
        }
    }
}

/// A parameter that is a text, or a path whose value is taken from the event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dynamic {
    /// The same for every event.
    Fixed(String),
    /// What the event has there.
    Part(Path),
}

impl Dynamic {
    /// Reads a parameter: the whole of it is a path, or none of it.
    ///
    /// Errors: a path that cannot be read.
    pub fn parse(text: &str) -> Result<Dynamic, Refusal> {
        if text != "$" && !text.starts_with("$.") && !text.starts_with("$[") {
            return Ok(Dynamic::Fixed(text.to_owned()));
        }
        let path = Path::parse(text).map(Dynamic::Part);
        path.ok_or_else(|| refusals::invalid(format_args!("Invalid JSON path {text}.")))
    }

    /// Its value for an event; none if the path leads nowhere.
    pub fn value<'v>(&'v self, event: &'v Record) -> Option<Cow<'v, str>> {
        match self {
            Dynamic::Fixed(text) => Some(Cow::Borrowed(text)),
            Dynamic::Part(path) => path.find(event.parsed()).map(|found| match found {
                Cow::Borrowed(json) => text_of(json),
                Cow::Owned(json) => Cow::Owned(text_of(&json).into_owned()),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'_> = About {
        pipe_arn: "arn:aws:pipes:us-east-1:1:pipe/p",
        pipe_name: "p",
        source_arn: "arn:aws:sqs:us-east-1:1:s",
        enrichment_arn: None,
        target_arn: "arn:aws:sqs:us-east-1:1:t",
        ingested: Time(1_767_225_600_000),
    };

    fn event(body: &str) -> Record {
        let body = serde_json::Value::from(body);
        Record::new(format!("{{\"messageId\":\"m\",\"body\":{body},\"attributes\":{{\"SenderId\":\"1\"}}}}"))
    }

    #[test]
    fn templates_are_text_or_json() {
        // AWS's documentation of EventBridge Pipes, "input transformation"
        let of_json = event(r#"{"key":"v \"q\"","n":1.50,"list":[{"a":1},{"a":2}],"none":null}"#);
        for (template, expected) in [
            ("Hello", "Hello"),
            ("<$.attributes.SenderId>", "1"),
            ("Hello, <$.attributes.SenderId>!", "Hello, 1!"),
            ("<$.body.key>", "v \"q\""),
            ("<$.body.n> <$.body.list>", r#"1.50 [{"a":1},{"a":2}]"#),
            (r#"{"a":<$.body.key>,"b":"<$.body.key>"}"#, r#"{"a":"v \"q\"","b":"v \"q\""}"#),
            (r#"{"a":<$.body.list[1].a>,"b":<$.body.list[*].a>}"#, r#"{"a":2,"b":[1,2]}"#),
            (r#"{"a":"<$.body.list[0]>"}"#, r#"{"a":"{\"a\":1}"}"#),
            (r#"{"a":<$.body.missing>,"b":"<$.body.missing>"}"#, r#"{"a":"","b":""}"#),
            (r#"["<aws.pipes.pipe-name>",<aws.pipes.source-arn>]"#, r#"["p","arn:aws:sqs:us-east-1:1:s"]"#),
            (
                "<aws.pipes.pipe-arn> <aws.pipes.target-arn>",
                &format!("{} {}", ABOUT.pipe_arn, ABOUT.target_arn),
            ),
            ("<aws.pipes.event.ingestion-time>", "2026-01-01T00:00:00Z"),
            ("a < b > c <d>", "a < b > c <d>"),
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(template.render(&of_json, &ABOUT).as_deref(), Some(expected), "{template:?}");
        }
        let text = event("plain");
        let rendered = |template: &str| Template::parse(template).unwrap().render(&text, &ABOUT);
        assert_eq!(rendered("<$.body>").as_deref(), Some("plain"));
        assert_eq!(rendered("<aws.pipes.event>").as_deref(), Some(text.text()));
        assert_eq!(rendered(r#"{"a":<aws.pipes.event.json>}"#), Some(format!("{{\"a\":{}}}", text.text())));
        assert_eq!(rendered(r#"{"a":"#), None, "no JSON comes of it");
        for wrong in ["<$.>", "<$x>", "<aws.pipes.nothing>"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_result_of_a_template_is_bounded() {
        let large = event(&"x".repeat(200_000));
        let template = Template::parse(&"<aws.pipes.event>".repeat(480)).unwrap();
        assert_eq!(template.render(&large, &ABOUT), None);
    }

    #[test]
    fn a_parameter_is_a_path_as_a_whole_or_not_at_all() {
        // AWS's documentation of EventBridge Pipes, "Dynamic path parameters"
        let event = event(r#"{"group":"g","n":7}"#);
        let value = |text: &str| Dynamic::parse(text).unwrap().value(&event).map(Cow::into_owned);
        assert_eq!(value("fixed $.body.group").as_deref(), Some("fixed $.body.group"));
        assert_eq!(value("$.body.group").as_deref(), Some("g"));
        assert_eq!(value("$.body.n").as_deref(), Some("7"));
        assert_eq!(value("$.body.missing"), None);
        assert_eq!(value("$5").as_deref(), Some("$5"));
        assert!(Dynamic::parse("$.").is_err());
    }
}
