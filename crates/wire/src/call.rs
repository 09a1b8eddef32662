//! Requests that services make to each other inside the server: an operation by its name, and JSON with the names of the model, whatever
//! protocol the service speaks with its clients.

use api::Text;

use crate::generated::{self, SERVICES};
use crate::{Operation, Request, Response, json};

/// Why a call is no request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallFault {
    /// The service is not served here, or has no such operation.
    Unknown,
    /// The input is not a document of the operation's: what is wrong with it.
    Malformed(String),
}

/// Understands a call. The operation's name may begin with a small letter, as SDKs have it.
pub fn request(service: &str, operation: &str, input: &str) -> Result<Request, CallFault> {
    let mut letters = operation.chars();
    let name: String = letters.next().iter().flat_map(|first| first.to_uppercase()).chain(letters).collect();
    let service = SERVICES.iter().copied().find(|known| known.name == service).ok_or(CallFault::Unknown)?;
    let operation = Operation::from_name(service, &name).filter(|operation| !operation.is_addition());
    let input = Text::from(input);
    let mut reader = json::Reader::new(&input);
    let request = operation.and_then(|operation| generated::read_json(operation, &mut reader));
    request.ok_or(CallFault::Unknown)?.map_err(|fault| CallFault::Malformed(fault.to_string()))
}

/// The answer to a call.
pub fn answer(response: &Response) -> String {
    let mut writer = json::Writer::with_room();
    if response.operation().has_output() {
        generated::write_json(response, &mut writer);
    } else {
        writer.raw("{}");
    }
    // What is written consists of texts and digits.
    String::from_utf8(writer.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_understood_whatever_protocol_the_service_speaks() {
        let sent = request("sqs", "sendMessage", r#"{"QueueUrl":"q","MessageBody":"hello"}"#).unwrap();
        let Request::Sqs(api::sqs::Request::SendMessage(sent)) = sent else { panic!("{sent:?}") };
        assert_eq!((sent.queue_url.as_deref(), sent.message_body.as_deref()), (Some("q"), Some("hello")));
        let input = r#"{"TopicArn":"t","Message":"m","MessageAttributes":{"a":{"DataType":"Binary","BinaryValue":"aGk="}}}"#;
        let published = request("sns", "Publish", input).unwrap();
        let Request::Sns(api::sns::Request::Publish(published)) = published else { panic!("{published:?}") };
        let attributes = published.message_attributes.unwrap().0;
        assert_eq!(attributes[0].1.binary_value.as_deref(), Some(&b"hi"[..]));
    }

    #[test]
    fn members_that_stand_elsewhere_in_http_requests_are_in_the_document_of_a_call() {
        let input = r#"{"Name":"s","GroupName":"g","ScheduleExpression":"rate(1 hour)"}"#;
        let Ok(Request::Scheduler(sent)) = request("scheduler", "createSchedule", input) else { panic!() };
        let api::scheduler::Request::CreateSchedule(input) = *sent else { panic!("{sent:?}") };
        assert_eq!((input.name.as_deref(), input.group_name.as_deref()), (Some("s"), Some("g")));
        // In a query string the group has another name.
        let input = r#"{"GroupName":"g","MaxResults":7}"#;
        let Ok(Request::Scheduler(sent)) = request("scheduler", "ListSchedules", input) else { panic!() };
        let api::scheduler::Request::ListSchedules(input) = *sent else { panic!("{sent:?}") };
        assert_eq!((input.group_name.as_deref(), input.max_results), (Some("g"), Some(7)));
    }

    #[test]
    fn what_nobody_can_be_asked_is_told() {
        assert_eq!(request("ec2", "runInstances", "{}"), Err(CallFault::Unknown));
        assert_eq!(request("sqs", "sendLetter", "{}"), Err(CallFault::Unknown));
        assert_eq!(request("sqs", "", "{}"), Err(CallFault::Unknown));
        assert!(matches!(request("sqs", "sendMessage", "[]"), Err(CallFault::Malformed(_))));
        assert!(matches!(request("sqs", "sendMessage", r#"{"QueueUrl":1}"#), Err(CallFault::Malformed(_))));
        assert!(matches!(request("sqs", "sendMessage", "{"), Err(CallFault::Malformed(_))));
    }

    #[test]
    fn an_answer_is_a_document() {
        let output = api::sns::PublishOutput { message_id: Some("m".into()), sequence_number: None };
        assert_eq!(answer(&Response::Sns(api::sns::Response::Publish(output))), r#"{"MessageId":"m"}"#);
        let output = api::sqs::DeleteMessageOutput {};
        assert_eq!(answer(&Response::Sqs(api::sqs::Response::DeleteMessage(output))), "{}");
    }
}
