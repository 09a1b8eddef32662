//! What a target is handed of an event: all of it, a part, a constant, or what a template makes of it
//! (facts/eventbridge.md § 6).

use std::borrow::Cow;
use std::collections::BTreeMap;

use api::eventbridge::{InputTransformer, Target};
use json_text::path::Path;
use json_text::template::{Piece, split};
use json_text::{Parts, is_json, is_name, quote, quoted};
use kernel::{Refusal, Time, iso8601};

use crate::{limits, refusals};

/// How a target's input is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The event.
    Whole,
    /// The same for every event.
    Constant(String),
    /// A part of the event.
    Part(Path),
    /// A template.
    Template(Template),
}

/// What a template can say besides what is in the event.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The rule's ARN.
    pub rule_arn: &'a str,
    /// Its name.
    pub rule_name: &'a str,
    /// When the event came.
    pub ingested: Time,
}

/// An input template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    pieces: Vec<Piece<Variable>>,
    /// Each of its lines is a quoted text. The result is handed on as it is.
    is_text: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Variable {
    Part(Path),
    RuleArn,
    RuleName,
    IngestionTime,
    /// The event without its detail.
    Event,
    /// The event as it is.
    EventJson,
}

impl Input {
    /// What a target asks for.
    ///
    /// Errors: AWS's refusal of the target.
    pub fn of(target: &Target) -> Result<Input, Refusal> {
        let id = target.id.as_deref().unwrap_or_default();
        match (&target.input, &target.input_path, &target.input_transformer) {
            (None, None, None) => Ok(Input::Whole),
            (Some(input), None, None) => match is_json(input) {
                true => Ok(Input::Constant(input.to_string())),
                false => Err(refusals::invalid(format_args!("JSON syntax error in input for target {id}."))),
            },
            (None, Some(path), None) => match Path::parse(path) {
                Some(path) => Ok(Input::Part(path)),
                None => Err(refusals::invalid(format_args!("Invalid InputPath for target {id}."))),
            },
            (None, None, Some(transformer)) => Template::of(transformer, id).map(Input::Template),
            _ => Err(refusals::invalid(format_args!(
                "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
            ))),
        }
    }

    /// What a target is handed of an event, which is JSON without blanks; none if that would not be valid JSON, or too long.
    pub fn render<'a>(&'a self, event: &'a str, about: &About<'_>) -> Option<Cow<'a, str>> {
        match self {
            Input::Whole => Some(Cow::Borrowed(event)),
            Input::Constant(text) => Some(Cow::Borrowed(text)),
            // What AWS makes of a path that leads nowhere is not known.
            Input::Part(path) => Some(path.find(event).unwrap_or(Cow::Borrowed("null"))),
            Input::Template(template) => template.render(event, about).map(Cow::Owned),
        }
    }
}

impl Template {
    fn of(transformer: &InputTransformer, target: &str) -> Result<Template, Refusal> {
        let mut paths = BTreeMap::new();
        for (name, path) in transformer.input_paths_map.iter().flat_map(|map| &map.0) {
            let is_reserved = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws."));
            let path = Path::parse(path).filter(|_| !is_reserved && name.chars().all(is_of_name));
            let invalid =
                || refusals::invalid(format_args!("Invalid InputPathsMap entry {name} for target {target}."));
            paths.insert(&**name, path.ok_or_else(invalid)?);
        }
        let template = transformer.input_template.as_deref().unwrap_or_default();
        let variable = |name: &str| match name {
            "aws.events.rule-arn" => Some(Variable::RuleArn),
            "aws.events.rule-name" => Some(Variable::RuleName),
            "aws.events.event.ingestion-time" => Some(Variable::IngestionTime),
            "aws.events.event" => Some(Variable::Event),
            "aws.events.event.json" => Some(Variable::EventJson),
            name => paths.get(name).cloned().map(Variable::Part),
        };
        let mut lines = template.lines().map(str::trim).filter(|line| !line.is_empty());
        let is_quoted = |line: &str| line.len() > 1 && line.starts_with('"') && line.ends_with('"');
        let is_text = lines.all(is_quoted);
        let pieces = split(template, |name| {
            if name.is_empty() || !name.chars().all(|c| is_of_name(c) || c == '.') {
                return Ok(None);
            }
            variable(name).map(Some).ok_or_else(|| {
                refusals::invalid(format_args!(
                    "InputTemplate for target {target} contains invalid placeholder {name}."
                ))
            })
        })?;
        Ok(Template { pieces, is_text })
    }

    fn render(&self, event: &str, about: &About<'_>) -> Option<String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Variable { variable, in_string } => {
                    let value = variable.value(event, about);
                    put(&mut out, value.as_deref(), *in_string, self.is_text);
                }
            }
            if out.len() > limits::INPUT_BYTES {
                return None;
            }
        }
        (self.is_text || is_json(&out)).then_some(out)
    }
}

/// Appends a variable's value, which is JSON.
///
/// In a string there are no quotes around a text. In a template of quoted texts, objects and arrays lose all of their quotes; in
/// a JSON template they keep them, which makes the result invalid where they stand in a string (facts/eventbridge.md § 6).
fn put(out: &mut String, value: Option<&str>, in_string: bool, is_text: bool) {
    match value {
        None if in_string || is_text => {}
        None => out.push_str("\"\""),
        Some(text) if text.starts_with('"') && (in_string || is_text) => {
            out.push_str(text.get(1..text.len() - 1).unwrap_or_default());
        }
        Some(value) if is_text => out.extend(value.chars().filter(|&c| c != '"')),
        Some(value) => out.push_str(value),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

impl Variable {
    fn value<'a>(&self, event: &'a str, about: &About<'_>) -> Option<Cow<'a, str>> {
        let quoted = |text: &str| Some(Cow::Owned(quoted(text)));
        match self {
            Variable::Part(path) => path.find(event),
            Variable::RuleArn => quoted(about.rule_arn),
            Variable::RuleName => quoted(about.rule_name),
            Variable::IngestionTime => quoted(&iso8601::write_seconds(about.ingested.signed_millis())),
            Variable::Event => Some(Cow::Owned(without_detail(
                event,
                &iso8601::write_seconds(about.ingested.signed_millis()),
            ))),
            Variable::EventJson => Some(Cow::Borrowed(event)),
        }
    }
}

/// The event without its detail, with names in camel case, at the time of its ingestion (facts/eventbridge.md § 6).
fn without_detail(event: &str, ingested: &str) -> String {
    let mut out = String::from("{");
    for (name, value) in Parts::of(event).filter(|(name, _)| !is_name(name, "detail")) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(match name {
            "\"detail-type\"" => "\"detailType\"",
            "\"replay-name\"" => "\"replayName\"",
            name => name,
        });
        out.push(':');
        match name {
            "\"time\"" => quote(&mut out, ingested),
            _ => out.push_str(value),
        }
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use api::Map;

    use super::*;

    const EVENT: &str = r#"{"version":"0","id":"i","detail-type":"t","source":"s","account":"1","time":"2020-01-01T00:00:00Z","region":"r","resources":[],"detail":{"user":"u","payload":{"acc_id":"0a78","sf_id":"baz"},"one":["HIGH"],"many":["ACTIVE","INACTIVE"],"n":1.50,"yes":true,"none":null,"q":"say \"hi\""}}"#;
    const ABOUT: About<'_> =
        About { rule_arn: "arn:aws:events:r:1:rule/n", rule_name: "n", ingested: Time(1_767_225_600_000) };

    fn transformer(template: &str) -> Target {
        let paths = ["user", "payload", "one", "many", "n", "yes", "none", "q"];
        let path = |name: &&str| ((*name).into(), format!("$.detail.{name}").into());
        let missing = ("missing".into(), "$.detail.missing".into());
        Target {
            id: Some("x".into()),
            input_transformer: Some(InputTransformer {
                input_paths_map: Some(Map(paths.iter().map(path).chain([missing]).collect())),
                input_template: Some(template.into()),
            }),
            ..Target::default()
        }
    }

    fn rendered(template: &str) -> Option<String> {
        let input = Input::of(&transformer(template)).unwrap_or_else(|refusal| panic!("{refusal:?}"));
        input.render(EVENT, &ABOUT).map(Cow::into_owned)
    }

    #[test]
    fn a_template_of_quoted_texts_loses_the_quotes_of_what_it_is_given() {
        // facts/eventbridge.md § 6
        for (template, expected) in [
            (
                r#""Payload of <payload> with path users/<user>""#,
                r#""Payload of {acc_id:0a78,sf_id:baz} with path users/u""#,
            ),
            (r#""<one>""#, r#""[HIGH]""#),
            (r#""<many> <n> <yes>""#, r#""[ACTIVE,INACTIVE] 1.50 true""#),
            (r#""a <missing>b""#, r#""a b""#),
            ("\"a <user>\"\n\"b <user>\"", "\"a u\"\n\"b u\""),
            (r#""<q>""#, r#""say \"hi\"""#),
            (r#""<aws.events.rule-name> <aws.events.event.ingestion-time>""#, r#""n 2026-01-01T00:00:00Z""#),
        ] {
            assert_eq!(rendered(template).as_deref(), Some(expected), "{template}");
        }
    }

    #[test]
    fn a_json_template_gets_json() {
        // facts/eventbridge.md § 6
        for (template, expected) in [
            (
                r#"{"a": <user>, "b": <payload>, "c": [<one>, <n>]}"#,
                r#"{"a": "u", "b": {"acc_id":"0a78","sf_id":"baz"}, "c": [["HIGH"], 1.50]}"#,
            ),
            (
                r#"{"a": "users/<user>", "b": "<n>", "c": "<none>"}"#,
                r#"{"a": "users/u", "b": "1.50", "c": "null"}"#,
            ),
            (r#"{"a": <missing>, "b": "<missing>"}"#, r#"{"a": "", "b": ""}"#),
            (r#"{"a": "\"<user>\""}"#, r#"{"a": "\"u\""}"#),
            ("<payload>", r#"{"acc_id":"0a78","sf_id":"baz"}"#),
            ("<aws.events.event.json>", EVENT),
            (
                r#"{"e": <aws.events.event>, "r": <aws.events.rule-arn>}"#,
                r#"{"e": {"version":"0","id":"i","detailType":"t","source":"s","account":"1","time":"2026-01-01T00:00:00Z","region":"r","resources":[]}, "r": "arn:aws:events:r:1:rule/n"}"#,
            ),
        ] {
            assert_eq!(rendered(template).as_deref(), Some(expected), "{template}");
        }
    }

    #[test]
    fn what_would_not_be_json_is_not_handed_to_anybody() {
        // facts/eventbridge.md § 6
        for template in
            [r#"{"x": "<one>"}"#, r#"{"x": "<payload>"}"#, "Payload of <user>", "<user> and more", "{"]
        {
            assert_eq!(rendered(template), None, "{template}");
        }
        let long = format!("[{}]", vec!["<payload>"; 900].join(","));
        assert!(rendered(&long).is_some());
    }

    #[test]
    fn what_grows_too_long_is_not_made() {
        let event = format!(r#"{{"detail":"{}"}}"#, "x".repeat(300_000));
        let target = Target {
            id: Some("x".into()),
            input_transformer: Some(InputTransformer {
                input_paths_map: Some(Map(vec![("a".into(), "$.detail".into())])),
                input_template: Some(format!("[{}]", vec!["<a>"; 1000].join(",")).into()),
            }),
            ..Target::default()
        };
        assert_eq!(Input::of(&target).unwrap().render(&event, &ABOUT), None);
    }

    #[test]
    fn a_target_asks_for_one_kind_of_input() {
        // facts/eventbridge.md § 6
        let target = |input: Option<&str>, path: Option<&str>| Target {
            id: Some("x".into()),
            input: input.map(Into::into),
            input_path: path.map(Into::into),
            ..Target::default()
        };
        let refusal = |target: Target| Input::of(&target).unwrap_err().message.into_owned();
        assert_eq!(
            refusal(target(Some("{}"), Some("$"))),
            "Only one of Input, InputPath, or InputTransformer must be provided for target x."
        );
        assert_eq!(refusal(target(Some("{"), None)), "JSON syntax error in input for target x.");
        assert_eq!(refusal(target(None, Some("a"))), "Invalid InputPath for target x.");
        assert_eq!(
            refusal(transformer("<other>")),
            "InputTemplate for target x contains invalid placeholder other."
        );
        let render = |target: Target| Input::of(&target).unwrap().render(EVENT, &ABOUT).unwrap().into_owned();
        assert_eq!(render(target(None, None)), EVENT);
        assert_eq!(render(target(Some("[1]"), None)), "[1]");
        assert_eq!(render(target(None, Some("$.detail.user"))), "\"u\"", "a text keeps its quotes");
        assert_eq!(render(target(None, Some("$.detail.missing"))), "null");
    }

    proptest::proptest! {
        #[test]
        fn any_template_is_refused_or_rendered(template in r#"[<>"\\{}:, a\n.é]{0,40}"#) {
            if let Ok(input) = Input::of(&transformer(&template)) {
                let _ = input.render(EVENT, &ABOUT);
            }
        }
    }
}
