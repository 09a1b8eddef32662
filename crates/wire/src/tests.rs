//! Requests as SDKs send them, and answers as they expect them. Sections are those of facts/protocols.md.

use bytes::Bytes;
use http::request::Parts;
use http::{Request as HttpRequest, Response as HttpResponse};
use kernel::Refusal;
use proptest::prelude::*;

use super::*;

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let builder =
        headers.iter().fold(HttpRequest::builder().method(method).uri(uri), |builder, (name, value)| {
            builder.header(*name, *value)
        });
    builder.body(()).unwrap().into_parts().0
}

fn ask(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Result<Decoded, Box<Failure>> {
    decode(&head(method, uri, headers), Bytes::copy_from_slice(body.as_bytes()), "id-1".into())
}

fn json(operation: &str, body: &str) -> Result<Decoded, Box<Failure>> {
    let target = format!("AmazonSQS.{operation}");
    let headers = [
        ("x-amz-target", target.as_str()),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amzn-query-mode", "true"),
    ];
    ask("POST", "/", &headers, body)
}

fn query(method: &str, uri: &str, body: &str) -> Result<Decoded, Box<Failure>> {
    ask(method, uri, &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")], body)
}

fn text(response: &HttpResponse<Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

#[test]
fn every_operation_is_understood_in_both_protocols() {
    for operation in sqs::Operation::ALL {
        let name = operation.name();
        assert_eq!(json(name, "{}").unwrap().exchange.operation, Some(Operation::Sqs(*operation)));
        assert_eq!(
            query("POST", "/", &format!("Action={name}")).unwrap().exchange.operation,
            Some(Operation::Sqs(*operation))
        );
    }
}

#[test]
fn the_path_names_the_queue_unless_a_parameter_does() {
    // § 3; facts/sqs.md § 12
    let url = |decoded: Decoded| match decoded.request {
        Request::Sqs(sqs::Request::PurgeQueue(input)) => input.queue_url.unwrap().to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(url(query("GET", "/000000000000/q?Action=PurgeQueue", "").unwrap()), "/000000000000/q");
    assert_eq!(
        url(query("POST", "/000000000000/q", "Action=PurgeQueue&QueueUrl=http://h/1/p").unwrap()),
        "http://h/1/p"
    );
    let target = [("x-amz-target", "AmazonSQS.PurgeQueue")];
    assert_eq!(url(ask("POST", "/000000000000/q", &target, r#"{"QueueUrl":"u"}"#).unwrap()), "u");
}

#[test]
fn what_is_not_understood_is_answered_as_aws_does() {
    // § 7; facts/sqs.md § 12
    let answer = json("Nonsense", "{}").unwrap_err().answer();
    assert_eq!(answer.status(), 400);
    assert_eq!(text(&answer), r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
    let answer = json("SendMessage", "{").unwrap_err().answer();
    assert!(text(&answer).contains("com.amazon.coral.service#SerializationException"), "{}", text(&answer));
    let answer = query("GET", "/000000000000/q", "").unwrap_err().answer();
    assert_eq!((answer.status().as_u16(), text(&answer).trim()), (404, "<UnknownOperationException/>"));
    for (method, uri, body) in [
        ("POST", "/", "Action=FooBar"),
        ("GET", "/000000000000/q?Action=CreateQueue&QueueName=x", ""),
        ("POST", "/000000000000/q", "Action=ListQueues"),
    ] {
        let answer = query(method, uri, body).unwrap_err().answer();
        assert_eq!(answer.status(), 400);
        assert!(text(&answer).contains("<Code>InvalidAction</Code>"), "{}", text(&answer));
        assert!(text(&answer).contains("is not valid for this endpoint."), "{}", text(&answer));
    }
}

#[test]
fn errors_have_their_names_and_statuses_in_each_protocol() {
    // § 4 and § 5; facts/sqs.md § 11
    let refusal = Refusal::new("PurgeQueueInProgress", "Only one.");
    let answer = json("PurgeQueue", "{}").unwrap().exchange.refuse(&refusal);
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["x-amzn-query-error"], "AWS.SimpleQueueService.PurgeQueueInProgress;Sender");
    assert_eq!(text(&answer), r#"{"__type":"com.amazonaws.sqs#PurgeQueueInProgress","message":"Only one."}"#);
    let plain = ask("POST", "/", &[("x-amz-target", "AmazonSQS.PurgeQueue")], "{}").unwrap();
    assert_eq!(plain.exchange.refuse(&refusal).status(), 400, "without x-amzn-query-mode");
    let refusal = Refusal::new("InvalidParameterValueException", "No.");
    let answer = json("PurgeQueue", "{}").unwrap().exchange.refuse(&refusal);
    assert_eq!(answer.headers()["x-amzn-query-error"], "InvalidParameterValue;Sender");
    let refusal = Refusal::new("QueueDoesNotExist", "The specified queue does not exist.");
    let answer = query("POST", "/", "Action=PurgeQueue").unwrap().exchange.refuse(&refusal);
    assert_eq!(
        text(&answer),
        "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error>\
         <Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>\
         <Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error>\
         <RequestId>id-1</RequestId></ErrorResponse>"
    );
    let refusal = Refusal::new("InternalFailure", "");
    let answer = json("PurgeQueue", "{}").unwrap().exchange.refuse(&refusal);
    assert_eq!(answer.status(), 500);
}

#[test]
fn answers_have_the_shape_of_their_protocol() {
    let message = sqs::Message { body: Some("a<\"\r".into()), ..Default::default() };
    let output = sqs::ReceiveMessageOutput { messages: Some(vec![message]) };
    let response = Response::Sqs(sqs::Response::ReceiveMessage(output));
    let answer = json("ReceiveMessage", "{}").unwrap().exchange.answer(&response);
    assert_eq!(text(&answer), r#"{"Messages":[{"Body":"a<\"\r"}]}"#);
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.0");
    assert_eq!(answer.headers()["x-amzn-requestid"], "id-1");
    let answer = query("POST", "/", "Action=ReceiveMessage").unwrap().exchange.answer(&response);
    assert!(text(&answer).contains(
        "<ReceiveMessageResult><Message><Body>a&lt;&quot;&#xD;</Body></Message></ReceiveMessageResult>"
    ));
    // Empty results: `{}` and an empty element (facts/sqs.md § 2).
    let response = Response::Sqs(sqs::Response::ReceiveMessage(sqs::ReceiveMessageOutput::default()));
    let answer = json("ReceiveMessage", "{}").unwrap().exchange.answer(&response);
    assert_eq!(text(&answer), "{}");
    // No output: no body, and no result element.
    let response = Response::Sqs(sqs::Response::PurgeQueue(sqs::PurgeQueueOutput {}));
    assert_eq!(text(&json("PurgeQueue", "{}").unwrap().exchange.answer(&response)), "");
    let answer = query("POST", "/", "Action=PurgeQueue").unwrap().exchange.answer(&response);
    assert!(!text(&answer).contains("Result"), "{}", text(&answer));
}

#[test]
fn a_query_is_answered_in_json_where_the_client_accepts_that() {
    // facts/sqs.md § 12
    let accept = [("accept", "application/json")];
    let decoded = ask("GET", "/?Action=ListQueues", &accept, "").unwrap();
    let output = sqs::ListQueuesOutput { queue_urls: Some(vec!["u".into()]), next_token: None };
    let answer = decoded.exchange.answer(&Response::Sqs(sqs::Response::ListQueues(output)));
    assert_eq!(
        text(&answer),
        r#"{"ListQueuesResponse":{"ListQueuesResult":{"QueueUrls":["u"]},"ResponseMetadata":{"RequestId":"id-1"}}}"#
    );
}

#[test]
fn a_gzip_body_is_inflated_within_a_bound() {
    use std::io::Write;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    };
    let head = head("POST", "/", &[("x-amz-target", "AmazonSQS.SendMessage"), ("content-encoding", "gzip")]);
    let decoded = decode(&head, gzip(br#"{"MessageBody":"b"}"#), "id".into()).unwrap();
    assert!(
        matches!(decoded.request, Request::Sqs(sqs::Request::SendMessage(input)) if input.message_body.as_deref() == Some("b"))
    );
    let bomb = decode(&head, gzip(&vec![b' '; 20 << 20]), "id".into()).unwrap_err();
    assert_eq!(bomb.answer().status(), 413);
    let broken = decode(&head, Bytes::from_static(b"no gzip"), "id".into()).unwrap_err();
    assert_eq!(broken.answer().status(), 400);
}

proptest! {
    #[test]
    fn any_bytes_are_understood_or_refused(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        target in proptest::option::of("(AmazonSQS\\.)?(SendMessage|SendMessageBatch|[A-Z.]{0,5})"),
        path in "(/[a-z0-9%]{0,5}){0,3}",
    ) {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(target.as_deref().map(|target| ("x-amz-target", target)));
        let uri = if path.is_empty() { "/".to_owned() } else { path };
        let head = head("POST", &uri, &headers);
        if let Err(failure) = decode(&head, body.into(), "id".into()) {
            prop_assert!(failure.answer().status().is_client_error());
        }
    }
}
