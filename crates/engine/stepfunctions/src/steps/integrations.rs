//! Tasks that ask a service of this server: how the request is made of the state's parameters, and the result of the answer
//! (facts/stepfunctions.md § 7, 16).

use kernel::{Called, Refusal, iso8601};
use serde_json::{Map, Value, json};
use states_language::{Failure, Resource};

/// A service as tasks call it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Integrated {
    /// The service here.
    pub(super) service: &'static str,
    /// What stands before the dot in names of errors.
    errors: &'static str,
    /// What the cause of an error calls the service.
    caused_by: &'static str,
    is_sdk: bool,
}

/// The services that are served here: in resources of optimized integrations, or behind `aws-sdk`.
const SERVED: &[(bool, &str, Integrated)] = &[
    (false, "sqs", Integrated { service: "sqs", errors: "SQS", caused_by: "AmazonSQS", is_sdk: false }),
    (false, "sns", Integrated { service: "sns", errors: "SNS", caused_by: "AmazonSNS", is_sdk: false }),
    (
        false,
        "events",
        Integrated {
            service: "eventbridge",
            errors: "EventBridge",
            caused_by: "AmazonCloudWatchEvents",
            is_sdk: false,
        },
    ),
    (
        false,
        "states",
        Integrated {
            service: "stepfunctions",
            errors: "StepFunctions",
            caused_by: "AWSStepFunctions",
            is_sdk: false,
        },
    ),
    (
        false,
        "dynamodb",
        Integrated { service: "dynamodb", errors: "DynamoDB", caused_by: "AmazonDynamoDBv2", is_sdk: false },
    ),
    (
        true,
        "dynamodb",
        Integrated { service: "dynamodb", errors: "DynamoDb", caused_by: "DynamoDb", is_sdk: true },
    ),
    (true, "sqs", Integrated { service: "sqs", errors: "Sqs", caused_by: "Sqs", is_sdk: true }),
    (true, "sns", Integrated { service: "sns", errors: "Sns", caused_by: "Sns", is_sdk: true }),
    (
        true,
        "eventbridge",
        Integrated { service: "eventbridge", errors: "EventBridge", caused_by: "EventBridge", is_sdk: true },
    ),
    (
        true,
        "scheduler",
        Integrated { service: "scheduler", errors: "Scheduler", caused_by: "Scheduler", is_sdk: true },
    ),
    (
        true,
        "schemas",
        Integrated { service: "schemas", errors: "Schemas", caused_by: "Schemas", is_sdk: true },
    ),
    (
        true,
        "kinesis",
        Integrated { service: "kinesis", errors: "Kinesis", caused_by: "Kinesis", is_sdk: true },
    ),
    (true, "sfn", Integrated { service: "stepfunctions", errors: "Sfn", caused_by: "Sfn", is_sdk: true }),
];

/// The service that a task names, if it is served here.
pub(super) fn find(service: &str, is_sdk: bool) -> Option<Integrated> {
    SERVED.iter().find(|served| served.0 == is_sdk && served.1 == service).map(|served| served.2)
}

/// Whether a task of a resource can do its work.
pub(crate) fn serves(resource: &Resource) -> bool {
    match resource {
        Resource::Service { service, sdk, .. } => find(service, *sdk).is_some(),
        Resource::Activity(_) | Resource::Http => true,
        Resource::Function(_) => false,
    }
}

/// The failure of a task of a service that is not served here: what AWS's SDK says when it reaches nobody.
pub(super) fn unserved(service: &str) -> Failure {
    Failure::new(
        &format!("{service}.SdkClientException"),
        format!("The service {service} is not served here."),
    )
}

impl Integrated {
    /// The request as JSON with the names of AWS's model.
    pub(super) fn request(&self, payload: &Value) -> String {
        let mut request = payload.clone();
        if !self.is_sdk {
            // What these services take as a text can be written as JSON in the state (developer guide, "Call Amazon SQS", "Amazon SNS",
            // "Add EventBridge events", "Start workflow executions").
            let texts: &[&str] = match self.service {
                "sqs" => &["MessageBody"],
                "sns" => &["Message"],
                "stepfunctions" => &["Input"],
                _ => &[],
            };
            texts.iter().for_each(|name| as_text(&mut request, name));
            if let Some(entries) = request.get_mut("Entries").and_then(Value::as_array_mut) {
                entries.iter_mut().for_each(|entry| as_text(entry, "Detail"));
            }
        }
        if self.service == "stepfunctions" {
            // The API's names begin with small letters, those of states with capital ones (facts/stepfunctions.md § 16).
            request = renamed(request, &|name| with_first(name, |first| first.to_ascii_lowercase()));
        }
        request.to_string()
    }

    /// The result of the task, or its failure. `request_id` is the request's.
    pub(super) fn result(&self, called: Called, request_id: &str) -> Result<Value, Failure> {
        let answer = match called {
            Called::Answered(answer) => answer,
            Called::Refused(refusal) => return Err(self.failure(&refusal, request_id)),
            Called::Impossible(why) => {
                return Err(Failure::new(&format!("{}.SdkClientException", self.errors), why));
            }
        };
        let mut answer: Value = serde_json::from_str(&answer).unwrap_or_else(|_| json!({}));
        if self.service == "stepfunctions" {
            answer = renamed(answer, &|name| with_first(name, |first| first.to_ascii_uppercase()));
        }
        // The other services write moments as texts, or have none.
        if matches!(self.service, "stepfunctions" | "scheduler") {
            dates(&mut answer, self.is_sdk);
        }
        if self.is_sdk {
            return Ok(answer);
        }
        if answer.get("FailedEntryCount").and_then(Value::as_i64).is_some_and(|failed| failed > 0) {
            return Err(Failure::new("EventBridge.FailedEntry", answer.to_string()));
        }
        if let Some(members) = answer.as_object_mut() {
            add_metadata(members, request_id);
        }
        Ok(answer)
    }

    /// The failure of a task whose request was refused.
    fn failure(&self, refusal: &Refusal, request_id: &str) -> Failure {
        let shape = refusal.shape.strip_suffix("Exception").unwrap_or(refusal.shape);
        let (by, message) = (self.caused_by, &refusal.message);
        let cause = match self.is_sdk {
            true => format!(
                "{message} (Service: {by}, Status Code: 400, Request ID: {request_id}) (SDK Attempt Count: 1)"
            ),
            false => format!(
                "{message} (Service: {by}; Status Code: 400; Error Code: {}; Request ID: {request_id}; Proxy: null)",
                refusal.shape
            ),
        };
        Failure::new(&format!("{}.{shape}Exception", self.errors), cause)
    }
}

/// What optimized integrations add to an answer.
fn add_metadata(members: &mut Map<String, Value>, request_id: &str) {
    let http = json!({
        "AllHttpHeaders": {
            "x-amzn-RequestId": [request_id],
            "Content-Type": ["application/x-amz-json-1.0"],
        },
        "HttpHeaders": {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-RequestId": request_id,
        },
        "HttpStatusCode": 200,
    });
    members.insert("SdkHttpMetadata".to_owned(), http);
    members.insert("SdkResponseMetadata".to_owned(), json!({"RequestId": request_id}));
}

/// A member that is JSON becomes the text of it.
fn as_text(value: &mut Value, name: &str) {
    if let Some(member) = value.get_mut(name)
        && !member.is_string()
        && !member.is_null()
    {
        *member = Value::String(member.to_string());
    }
}

/// The value with other names of members, however deep.
fn renamed(value: Value, rename: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (rename(&name), renamed(value, rename))).collect()
        }
        Value::Array(items) => items.into_iter().map(|item| renamed(item, rename)).collect(),
        value => value,
    }
}

fn with_first(name: &str, change: impl Fn(&char) -> char) -> String {
    let mut letters = name.chars();
    letters.next().iter().map(change).chain(letters).collect()
}

/// Moments are seconds in the API. Optimized integrations give milliseconds (facts/stepfunctions.md § 16), and AWS's SDK gives texts.
fn dates(answer: &mut Value, is_sdk: bool) {
    match answer {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_f64().filter(|_| name.ends_with("Date")) {
                    Some(seconds) => {
                        let millis = (seconds * 1000.0).round() as i64;
                        *value = if is_sdk { json!(iso8601::write_exactly(millis)) } else { json!(millis) };
                    }
                    None => dates(value, is_sdk),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| dates(item, is_sdk)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_those_of_the_services() {
        let sqs = find("sqs", false).unwrap();
        let request = sqs.request(&json!({"QueueUrl": "q", "MessageBody": {"a": 1}}));
        assert_eq!(request, r#"{"QueueUrl":"q","MessageBody":"{\"a\":1}"}"#);
        let events = find("events", false).unwrap();
        let request = events.request(&json!({"Entries": [{"Detail": {"a": 1}}, {"Detail": "{}"}]}));
        assert_eq!(request, r#"{"Entries":[{"Detail":"{\"a\":1}"},{"Detail":"{}"}]}"#);
        let sfn = find("sfn", true).unwrap();
        let request = sfn.request(&json!({"StateMachineArn": "m", "Tags": [{"Key": "k"}], "Input": "{}"}));
        assert_eq!(request, r#"{"stateMachineArn":"m","tags":[{"key":"k"}],"input":"{}"}"#);
        assert_eq!(find("glue", false), None);
    }

    #[test]
    fn answers_and_refusals_are_results_and_failures() {
        let refusal = Refusal::new("QueueDoesNotExist", "The specified queue does not exist.");
        let failure = find("sqs", true).unwrap().result(Called::Refused(refusal.clone()), "id").unwrap_err();
        assert_eq!(failure.name(), "Sqs.QueueDoesNotExistException");
        let cause = "The specified queue does not exist. (Service: Sqs, Status Code: 400, Request ID: id) (SDK Attempt Count: 1)";
        assert_eq!(failure.cause.as_deref(), Some(cause));
        let failure = find("sqs", false).unwrap().result(Called::Refused(refusal), "id").unwrap_err();
        assert_eq!(failure.name(), "SQS.QueueDoesNotExistException");
        let answered = |text: &str| Called::Answered(text.to_owned());
        let started = answered(r#"{"executionArn":"e","startDate":1.5}"#);
        let result = find("sfn", true).unwrap().result(started.clone(), "id");
        assert_eq!(result, Ok(json!({"ExecutionArn": "e", "StartDate": "1970-01-01T00:00:01.500Z"})));
        let result = find("states", false).unwrap().result(started, "id").unwrap();
        assert_eq!(
            (&result["StartDate"], &result["SdkResponseMetadata"]["RequestId"]),
            (&json!(1500), &json!("id"))
        );
        let put = answered(r#"{"FailedEntryCount":1,"Entries":[]}"#);
        let failure = find("events", false).unwrap().result(put, "id").unwrap_err();
        assert_eq!(failure.name(), "EventBridge.FailedEntry");
    }
}
