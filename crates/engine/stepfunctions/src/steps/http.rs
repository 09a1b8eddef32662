//! Tasks that ask a server elsewhere, `http:invoke`: the request, and the result of its answer (developer guide, "Call HTTPS APIs in Step
//! Functions workflows"; facts/stepfunctions.md § 3, 16).

use kernel::request::{Answer, Asking, Request};
use kernel::{Arn, Outcome, Rests};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use states_language::{Failure, PAYLOAD_BYTES, names};

use super::Task;
use crate::data::encode_failure;
use crate::operations::{Context, Decision};
use crate::service::{Effect, Waiter};
use crate::state::State;

/// What need not be encoded in a form (RFC 3986, "unreserved").
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request that a task's parameters ask for.
///
/// Errors: the failure of the task.
pub(super) fn request(
    parameters: &Value,
    region: &str,
    context: &Context<'_, '_>,
) -> Result<Request, Failure> {
    let invalid = |text: String| Failure::new(names::RUNTIME, text);
    let text = |value: &Value, name: &str| match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(invalid(format!("The parameters of an HTTP task must have a text at {name}."))),
    };
    let url = text(&parameters["ApiEndpoint"], "ApiEndpoint")?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(invalid(format!("ApiEndpoint must be a URL that begins with https://, not {url}.")));
    }
    let method = text(&parameters["Method"], "Method")?;
    let config = ["InvocationConfig", "Authentication"].map(|name| &parameters[name]["ConnectionArn"]);
    let connection = config.into_iter().find(|arn| !arn.is_null()).unwrap_or(&Value::Null);
    let connection = text(connection, "InvocationConfig.ConnectionArn")?;
    let connection: Arn =
        connection.parse().map_err(|_| invalid(format!("ConnectionArn {connection} is no ARN.")))?;
    let mut headers = pairs(&parameters["Headers"]);
    let form = form_of(&parameters["Transform"], &parameters["RequestBody"]);
    let of_content = |name: &str| name.eq_ignore_ascii_case("content-type");
    if form.is_some() {
        headers.retain(|(name, _)| !of_content(name));
        headers.push(("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
    } else if !headers.iter().any(|(name, _)| of_content(name)) {
        headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
    }
    let body = form.unwrap_or_else(|| match &parameters["RequestBody"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    });
    let asking = Asking {
        through: &connection,
        to: Some((&method, &url)),
        path: &[],
        query: &pairs(&parameters["QueryParameters"]),
        headers: &headers,
        fixed: &[
            ("User-Agent", format!("Amazon|StepFunctions|HttpInvoke|{region}")),
            ("Range", format!("bytes=0-{PAYLOAD_BYTES}")),
        ],
        body: &body,
    };
    context.request(&asking).map_err(invalid)
}

/// Names with their values. A list gives its name several times.
fn pairs(object: &Value) -> Vec<(String, String)> {
    let members = object.as_object().into_iter().flatten();
    let pairs = members.flat_map(|(name, value)| match value {
        Value::Array(values) => values.iter().map(|value| (name.clone(), plain(value))).collect(),
        value => vec![(name.clone(), plain(value))],
    });
    pairs.collect()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The body as a form, if the task wants that.
fn form_of(transform: &Value, body: &Value) -> Option<String> {
    if transform["RequestBodyEncoding"] != "URL_ENCODED" {
        return None;
    }
    let format = transform["RequestEncodingOptions"]["ArrayFormat"].as_str().unwrap_or("INDICES");
    let mut fields = Vec::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        put_field(&mut fields, encoded(name), value, format);
    }
    Some(fields.join("&"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

fn put_field(fields: &mut Vec<String>, name: String, value: &Value, format: &str) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                put_field(fields, format!("{name}[{}]", encoded(member)), value, format);
            }
        }
        Value::Array(values) if format == "COMMAS" => {
            let values: Vec<String> = values.iter().map(|value| encoded(&plain(value))).collect();
            fields.push(format!("{name}={}", values.join(",")));
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                let name = match format {
                    "BRACKETS" => format!("{name}[]"),
                    "REPEAT" => name.clone(),
                    _ => format!("{name}[{index}]"),
                };
                put_field(fields, name, value, format);
            }
        }
        value => fields.push(format!("{name}={}", encoded(&plain(value)))),
    }
}

/// Sends the request of a task once the record is durable that says that it is waited for.
pub(super) fn ask<'a>(task: Task, at: kernel::Extent, request: Request) -> Decision<'a> {
    let effect = (Rests::OnRecord(at), Effect::Request(task, Box::new(request)));
    Decision { effects: vec![effect], ..Decision::with(Vec::new(), Outcome::Wait(Waiter::Asked(task))) }
}

/// The result of a task, or its failure.
fn result(answer: &Answer) -> Result<Value, Failure> {
    let (status, reason, headers, body) = match answer {
        Answer::Answered { status, reason, headers, body } => (*status, reason, headers, body),
        Answer::TooLong(_) => return Err(too_long()),
        Answer::None(reason) => return Err(Failure::new("States.Http.Socket", reason.clone())),
    };
    let text = String::from_utf8_lossy(body);
    if !(200..300).contains(&status) {
        let cause = if text.is_empty() { reason.clone() } else { text.into_owned() };
        return Err(Failure::new(&format!("States.Http.StatusCode.{status}"), cause));
    }
    let content = headers.iter().find(|(name, _)| name == "content-type");
    let content = content.map_or("", |(_, value)| value).to_ascii_lowercase();
    let is_binary = ["application/octet-stream", "image/", "video/", "audio/"];
    if is_binary.iter().any(|kind| content.starts_with(kind)) {
        let text = format!("The response has a content type that is not supported: {content}");
        return Err(Failure::new(names::RUNTIME, text));
    }
    let body = match serde_json::from_str(&text) {
        Ok(value) if content.contains("json") => value,
        _ => Value::String(text.into_owned()),
    };
    let mut by_name = Map::new();
    for (name, value) in headers {
        let values = by_name.entry(name.clone()).or_insert_with(|| json!([]));
        if let Some(values) = values.as_array_mut() {
            values.push(value.clone().into());
        }
    }
    let result =
        json!({"Headers": by_name, "ResponseBody": body, "StatusCode": status, "StatusText": reason});
    if result.to_string().len() > PAYLOAD_BYTES { Err(too_long()) } else { Ok(result) }
}

fn too_long() -> Failure {
    let text = format!("The response of the HTTP task is longer than {PAYLOAD_BYTES} bytes.");
    Failure::new(names::DATA_LIMIT_EXCEEDED, text)
}

impl State {
    /// A task has been answered: the fact that it has ended, unless nobody waits for it any more.
    pub(crate) fn answered<'a>(&self, task: &Task, answer: &Answer) -> Decision<'a> {
        let (data, has_failed) = match result(answer) {
            Ok(result) => (result.to_string().into_bytes(), false),
            Err(failure) => (encode_failure(&failure), true),
        };
        Decision::silent(self.reported(task, data, has_failed).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_can_be_a_form() {
        // developer guide, "Call HTTPS APIs": RequestEncodingOptions
        let body = json!({"a b": "x&y", "n": 1, "list": ["p", "q r"], "deep": {"k": true}});
        for (format, list) in [
            (None, "list[0]=p&list[1]=q%20r"),
            (Some("INDICES"), "list[0]=p&list[1]=q%20r"),
            (Some("REPEAT"), "list=p&list=q%20r"),
            (Some("COMMAS"), "list=p,q%20r"),
            (Some("BRACKETS"), "list[]=p&list[]=q%20r"),
        ] {
            let mut transform = json!({"RequestBodyEncoding": "URL_ENCODED"});
            if let Some(format) = format {
                transform["RequestEncodingOptions"] = json!({"ArrayFormat": format});
            }
            let form = form_of(&transform, &body).unwrap();
            let mut fields: Vec<&str> = form.split('&').collect();
            fields.sort_unstable();
            let mut expected = vec!["a%20b=x%26y", "n=1", "deep[k]=true"];
            expected.extend(list.split('&'));
            expected.sort_unstable();
            assert_eq!(fields, expected, "{format:?}");
        }
        assert_eq!(form_of(&json!({"RequestBodyEncoding": "NONE"}), &body), None);
    }

    #[test]
    fn an_answer_is_a_result_or_a_failure() {
        // facts/stepfunctions.md § 16
        let answered = |status: u16, content: &str, body: &str| Answer::Answered {
            status,
            reason: "R".to_owned(),
            headers: vec![
                ("content-type".into(), content.into()),
                ("x".into(), "1".into()),
                ("x".into(), "2".into()),
            ],
            body: body.to_owned().into(),
        };
        let good = result(&answered(200, "application/json; charset=utf-8", r#"{"a":1}"#)).unwrap();
        assert_eq!(good["ResponseBody"], json!({"a": 1}));
        assert_eq!((&good["StatusCode"], &good["StatusText"]), (&json!(200), &json!("R")));
        assert_eq!(good["Headers"]["x"], json!(["1", "2"]));
        assert_eq!(result(&answered(201, "text/plain", "[1]")).unwrap()["ResponseBody"], "[1]");
        let error = |answer: &Answer| result(answer).unwrap_err().error.unwrap();
        assert_eq!(error(&answered(404, "text/plain", "no")), "States.Http.StatusCode.404");
        assert_eq!(error(&answered(302, "", "")), "States.Http.StatusCode.302");
        assert_eq!(error(&answered(200, "image/png", "")), "States.Runtime");
        assert_eq!(
            error(&answered(200, "text/plain", &"x".repeat(PAYLOAD_BYTES))),
            "States.DataLimitExceeded"
        );
        assert_eq!(error(&Answer::TooLong(1)), "States.DataLimitExceeded");
        assert_eq!(error(&Answer::None("lost".into())), "States.Http.Socket");
    }
}
