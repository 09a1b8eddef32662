//! Requests as SDKs send them, and answers as they expect them. Sections are those of facts/protocols.md.

use bytes::Bytes;
use http::request::Parts;
use http::{Request as HttpRequest, Response as HttpResponse};
use kernel::Refusal;
use proptest::prelude::*;

use api::sqs;

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
    for operation in sqs::Operation::ALL.iter().filter(|operation| !operation.is_addition()) {
        let name = operation.name();
        assert_eq!(json(name, "{}").unwrap().exchange.operation, Some(Operation::Sqs(*operation)));
        assert_eq!(
            query("POST", "/", &format!("Action={name}")).unwrap().exchange.operation,
            Some(Operation::Sqs(*operation))
        );
    }
}

#[test]
fn what_aws_does_not_have_is_understood_in_json_under_a_name_space_of_its_own() {
    let additions: Vec<_> = sqs::Operation::ALL.iter().filter(|operation| operation.is_addition()).collect();
    assert_eq!(additions, [&sqs::Operation::DeleteAndReceiveMessages]);
    let name = "DeleteAndReceiveMessages";
    let target = |prefix: &str, name: &str| {
        ask("POST", "/", &[("x-amz-target", &format!("{prefix}.{name}"))], "{}")
            .map(|decoded| decoded.exchange.operation)
            .map_err(|failure| failure.answer().status())
    };
    assert_eq!(target("Posthaste", name), Ok(Some(Operation::Sqs(*additions[0]))));
    let refused = Err(http::StatusCode::BAD_REQUEST);
    assert_eq!(target("AmazonSQS", name), refused);
    assert_eq!(target("Posthaste", "ReceiveMessage"), refused);
    assert!(query("POST", "/", &format!("Action={name}")).is_err());
    assert!(query("POST", "/000000000000/q", &format!("Action={name}&Version=2012-11-05")).is_err());
}

#[test]
fn parameters_have_the_names_that_old_sdks_send() {
    // facts/sqs.md § 2. By hand, so that a model that is misread cannot vouch for itself.
    for (parameters, field) in [
        ("CreateQueue&Attribute.1.Name=k&Attribute.1.Value=v", r#"attributes: Some(Map([("k", "v")]))"#),
        ("CreateQueue&Tag.1.Key=k&Tag.1.Value=v", r#"tags: Some(Map([("k", "v")]))"#),
        ("TagQueue&Tag.1.Key=k&Tag.1.Value=v", r#"tags: Some(Map([("k", "v")]))"#),
        ("UntagQueue&TagKey.1=k", r#"tag_keys: Some(["k"])"#),
        (
            "SetQueueAttributes&Attribute.1.Name=k&Attribute.1.Value=v",
            r#"attributes: Some(Map([("k", "v")]))"#,
        ),
        ("GetQueueAttributes&AttributeName.1=All", r#"attribute_names: Some(["All"])"#),
        ("ReceiveMessage&AttributeName.1=All", r#"attribute_names: Some(["All"])"#),
        ("ReceiveMessage&MessageAttributeName.1=a", r#"message_attribute_names: Some(["a"])"#),
        ("ReceiveMessage&MessageSystemAttributeName.1=a", r#"message_system_attribute_names: Some(["a"])"#),
        ("AddPermission&ActionName.1=a", r#"actions: Some(["a"])"#),
        ("AddPermission&AWSAccountId.1=1", r#"aws_account_ids: Some(["1"])"#),
        ("SendMessageBatch&SendMessageBatchRequestEntry.1.Id=a", r#"id: Some("a")"#),
        ("DeleteMessageBatch&DeleteMessageBatchRequestEntry.1.Id=a", r#"id: Some("a")"#),
        ("ChangeMessageVisibilityBatch&ChangeMessageVisibilityBatchRequestEntry.1.Id=a", r#"id: Some("a")"#),
        (
            "SendMessage&MessageAttribute.1.Name=a&MessageAttribute.1.Value.StringValue=s",
            r#"string_value: Some("s")"#,
        ),
        (
            "SendMessage&MessageSystemAttribute.1.Name=a&MessageSystemAttribute.1.Value.DataType=String",
            r#"message_system_attributes: Some(Map([("a", MessageSystemAttributeValue {"#,
        ),
    ] {
        let request = query("POST", "/", &format!("Action={parameters}")).unwrap().request;
        assert!(format!("{request:?}").contains(field), "{parameters}: {request:?}");
    }
}

#[test]
fn elements_have_the_names_that_old_sdks_read() {
    // facts/sqs.md § 2
    let map = || Some(api::Map(vec![("k".into(), "v".into())]));
    let outputs = [
        (
            sqs::Response::ListQueueTags(sqs::ListQueueTagsOutput { tags: map() }),
            "<Tag><Key>k</Key><Value>v</Value></Tag>",
        ),
        (
            sqs::Response::GetQueueAttributes(sqs::GetQueueAttributesOutput { attributes: map() }),
            "<Attribute><Name>k</Name><Value>v</Value></Attribute>",
        ),
        (
            sqs::Response::ListQueues(sqs::ListQueuesOutput {
                queue_urls: Some(vec!["u".into()]),
                next_token: None,
            }),
            "<QueueUrl>u</QueueUrl>",
        ),
        (
            sqs::Response::ListDeadLetterSourceQueues(sqs::ListDeadLetterSourceQueuesOutput {
                queue_urls: Some(vec!["u".into()]),
                next_token: None,
            }),
            "<QueueUrl>u</QueueUrl>",
        ),
        (
            sqs::Response::SendMessageBatch(sqs::SendMessageBatchOutput {
                successful: Some(vec![Default::default()]),
                failed: Some(vec![Default::default()]),
            }),
            "<SendMessageBatchResultEntry></SendMessageBatchResultEntry><BatchResultErrorEntry></BatchResultErrorEntry>",
        ),
    ];
    for (response, elements) in outputs {
        let response = Response::Sqs(response);
        let name = response.operation().name();
        let answer = query("POST", "/", &format!("Action={name}")).unwrap().exchange.answer(&response);
        assert!(
            text(&answer).contains(&format!("<{name}Result>{elements}</{name}Result>")),
            "{}",
            text(&answer)
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
    assert_eq!(answer.headers()["x-amzn-query-error"], "InvalidAction;Sender");
    let answer =
        ask("POST", "/", &[("content-type", "application/x-amz-json-1.0")], "{}").unwrap_err().answer();
    assert_eq!(text(&answer), r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#);
    let answer = ask("POST", "/", &[("x-amz-target", "TrentService.Encrypt")], "{}").unwrap_err().answer();
    assert_eq!(answer.status(), 400);
    assert!(text(&answer).contains("UnknownOperationException"), "{}", text(&answer));
    let answer = json("SendMessage", "{").unwrap_err().answer();
    assert_eq!(text(&answer), r#"{"__type":"com.amazon.coral.service#SerializationException"}"#);
    assert_eq!(answer.headers()["x-amzn-query-error"], "MalformedInput;Sender");
    let answer = json("SendMessage", r#"{"MessageBody":5}"#).unwrap_err().answer();
    assert_eq!(
        text(&answer),
        r#"{"__type":"com.amazon.coral.service#SerializationException","message":"NUMBER_VALUE can not be converted to a String"}"#
    );
    for body in ["Action=SendMessage&DelaySeconds=soon", "Action=SendMessage&MessageBody=%FF"] {
        let answer = query("POST", "/", body).unwrap_err().answer();
        assert!(text(&answer).contains("<Code>MalformedInput</Code>"), "{}", text(&answer));
    }
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
    assert_eq!(
        text(&answer),
        r#"{"__type":"com.amazon.coral.service#InvalidParameterValueException","message":"No."}"#
    );
    let version = [("x-amz-target", "AmazonSQS.PurgeQueue"), ("content-type", "application/x-amz-json-1.1")];
    let answer = ask("POST", "/", &version, "{}").unwrap().exchange.refuse(&refusal);
    assert_eq!(text(&answer), r#"{"__type":"InvalidParameterValueException","message":"No."}"#);
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.1");
    let refusal = Refusal::new("QueueDoesNotExist", "The specified queue does not exist.");
    let answer = query("POST", "/", "Action=PurgeQueue").unwrap().exchange.refuse(&refusal);
    assert_eq!(
        text(&answer),
        "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error>\
         <Type>Sender</Type><Code>AWS.SimpleQueueService.NonExistentQueue</Code>\
         <Message>The specified queue does not exist for this wsdl version.</Message><Detail/></Error>\
         <RequestId>id-1</RequestId></ErrorResponse>"
    );
    // Also one that nobody knows is ours.
    for shape in ["InternalFailure", "NoSuchShape"] {
        let answer = json("PurgeQueue", "{}").unwrap().exchange.refuse(&Refusal::new(shape, ""));
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()["x-amzn-query-error"], "InternalFailure;Receiver");
    }
}

#[test]
fn every_error_of_the_model_has_its_code_and_status_in_each_protocol() {
    let json = json("PurgeQueue", "{}").unwrap().exchange;
    let query = query("POST", "/", "Action=PurgeQueue").unwrap().exchange;
    assert_eq!(generated::sqs::ERRORS.len(), 28);
    for form in generated::sqs::ERRORS {
        let refusal = Refusal::new(form.shape, "why");
        let answer = json.refuse(&refusal);
        assert_eq!(answer.status().as_u16(), form.status);
        assert!(text(&answer).contains(&format!("\"com.amazonaws.sqs#{}\"", form.shape)));
        assert_eq!(answer.headers()["x-amzn-query-error"], format!("{};Sender", form.query_code));
        let answer = query.refuse(&refusal);
        assert_eq!(answer.status().as_u16(), form.status);
        assert!(text(&answer).contains(&format!("<Code>{}</Code>", form.query_code)));
    }
}

#[test]
fn a_query_goes_to_the_service_that_it_is_signed_for_or_names() {
    // § 3
    let signed = |service: &str| {
        format!("AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/{service}/aws4_request, Signature=0")
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let ask = |path: &str, service: &str, body: &str| {
        ask("POST", path, &[form, ("authorization", &signed(service))], body)
    };
    assert!(ask("/", "sqs", "Action=AddPermission&Version=2010-03-31").is_ok());
    assert!(ask("/", "other", "Action=AddPermission&Version=2012-11-05").is_ok());
    assert!(ask("/1/q", "other", "Action=AddPermission&Version=2008-01-01").is_ok());
    let service = |decoded: Decoded| decoded.exchange.service.map(|service| service.name);
    assert_eq!(
        service(ask("/", "sns", "Action=AddPermission&Version=2012-11-05").unwrap()),
        Some("sns"),
        "the signature counts for more than the version"
    );
    assert_eq!(service(ask("/", "other", "Action=AddPermission&Version=2010-03-31").unwrap()), Some("sns"));
    let link = query("GET", "/?Action=ConfirmSubscription&TopicArn=a&Token=t", "").unwrap();
    assert_eq!(service(link), Some("sns"), "a link in a message names no service");
    assert_eq!(service(query("GET", "/?Action=AddPermission", "").unwrap()), Some("sqs"));
    let answer = ask("/", "other", "Action=AddPermission&Version=2001-01-01").unwrap_err().answer();
    assert_eq!(answer.status(), 400);
    assert!(
        text(&answer).contains("Could not find operation AddPermission for version 2001-01-01"),
        "{}",
        text(&answer)
    );
}

#[test]
fn who_signed_is_told_from_the_header_or_the_url() {
    let region = |decoded: Decoded| decoded.credential.map(|credential| credential.region);
    let presigned = "X-Amz-Credential=A%2F20260101%2Feu-west-1%2Fsqs%2Faws4_request";
    assert_eq!(
        region(query("GET", &format!("/1/q?Action=PurgeQueue&{presigned}"), "").unwrap()).as_deref(),
        Some("eu-west-1")
    );
    let target = [("x-amz-target", "AmazonSQS.ListQueues")];
    assert_eq!(
        region(ask("POST", &format!("/?{presigned}"), &target, "{}").unwrap()).as_deref(),
        Some("eu-west-1")
    );
    assert_eq!(region(ask("POST", "/", &target, "{}").unwrap()), None);
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
        r#"{"ListQueuesResponse":{"ListQueuesResult":{"queueUrls":["u"],"NextToken":null},"ResponseMetadata":{"RequestId":"id-1"}}}"#
    );
    let empty = Response::Sqs(sqs::Response::ReceiveMessage(sqs::ReceiveMessageOutput::default()));
    let decoded = ask("GET", "/?Action=ReceiveMessage", &accept, "").unwrap();
    assert_eq!(
        text(&decoded.exchange.answer(&empty)),
        r#"{"ReceiveMessageResponse":{"ReceiveMessageResult":{"messages":null},"ResponseMetadata":{"RequestId":"id-1"}}}"#
    );
    let refusal = Refusal::new("QueueDoesNotExist", "");
    assert_eq!(
        text(&decoded.exchange.refuse(&refusal)),
        r#"{"Error":{"Code":"AWS.SimpleQueueService.NonExistentQueue","Message":"The specified queue does not exist for this wsdl version.","Type":"Sender"},"RequestId":"id-1"}"#
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
    // A query is refused in its own protocol.
    let form = [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "br")];
    let answer = ask("POST", "/", &form, "").unwrap_err().answer();
    assert!(text(&answer).contains("<Code>MalformedInput</Code>"), "{}", text(&answer));
}

proptest! {
    #[test]
    fn any_bytes_are_understood_or_refused(
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "(Action=SendMessage(Batch)?|[&=%.+a-z0-9]|&SendMessageBatchRequestEntry\\.[0-9]{1,3}\\.(Id|DelaySeconds)=){0,40}"
                .prop_map(String::into_bytes),
        ],
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
