//! What botocore has no cases for: which operation a path means, what Smithy's RPC refuses, query codes in CBOR, events.

use api::{Text, Timestamp};
use bytes::Bytes;
use http::Response as HttpResponse;
use kernel::Refusal;
use serde_json::{Value, json};

use crate::eventstream::{HeaderValue, Message};
use crate::fixtures::rest_json::shapes as rest;
use crate::fixtures::streams::{self, shapes};
use crate::{Decoded, Exchange, Failure, Operation, Protocol, Response, decode, exchange_of};

fn ask(method: &str, uri: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Decoded, Box<Failure>> {
    let builder = http::Request::builder().method(method).uri(uri);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
    let head = builder.body(()).unwrap().into_parts().0;
    let decoded = decode(&head, Bytes::copy_from_slice(body), "id-1".into());
    // What is known before the body arrives is known afterwards, too.
    let early = exchange_of(&head, "id-1".into());
    if let Ok(decoded) = &decoded {
        assert_eq!(decoded.exchange.protocol, early.protocol);
        assert_eq!(decoded.exchange.query_mode, early.query_mode);
    }
    decoded
}

fn signed_for(service: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/{service}/aws4_request, Signature=0")
}

fn cbor(answer: &HttpResponse<Bytes>) -> Value {
    let value: ciborium::Value = ciborium::from_reader(&answer.body()[..]).unwrap();
    let text = |value: &ciborium::Value| value.as_text().unwrap().to_owned();
    value.as_map().unwrap().iter().map(|(name, value)| (text(name), json!(text(value)))).collect()
}

#[test]
fn the_route_that_says_more_is_taken() {
    let operation = |path: &str| ask("DELETE", path, &[], b"").unwrap().exchange.operation;
    assert_eq!(operation("/find/that"), Some(Operation::RestJson(rest::Operation::FindThat)));
    assert_eq!(operation("/find/that/"), Some(Operation::RestJson(rest::Operation::FindThat)));
    assert_eq!(operation("/find/it"), Some(Operation::RestJson(rest::Operation::FindOne)));
    assert_eq!(operation("/find/it/there"), Some(Operation::RestJson(rest::Operation::Find)));
    let decoded = ask("DELETE", "/find/a%2Fb/%C3%BC+", &[], b"").unwrap();
    let input = rest::Request::Find(rest::FindRequest { key: Some("a/b/ü+".into()) });
    assert_eq!(decoded.request, crate::Request::RestJson(input));
    let answer = decoded.exchange.answer(&Response::RestJson(rest::Response::Find(rest::FindOutput {})));
    assert_eq!((answer.status().as_u16(), answer.body().len()), (204, 0));
    assert!(!answer.headers().contains_key("content-type"), "what has no body has no type");
    let answer =
        decoded.exchange.answer(&Response::RestJson(rest::Response::FindOne(rest::FindOneOutput {})));
    assert_eq!((answer.status().as_u16(), answer.body().len()), (202, 0));
}

#[test]
fn what_is_signed_for_a_service_of_paths_is_refused_in_its_manner() {
    let authorization = signed_for("rest-json");
    let answer = ask("GET", "/nowhere", &[("authorization", &authorization)], b"").unwrap_err().answer();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["x-amzn-errortype"], "UnknownOperationException");
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(&answer.body()[..], b"{}");
    // Nobody's paths are the query protocol's, as before.
    let answer = ask("GET", "/nowhere", &[], b"").unwrap_err().answer();
    assert_eq!(&answer.body()[..], b"<UnknownOperationException/>\n");
    assert_eq!(
        ask("POST", "/JsonLists?Action=ListQueues", &[], b"").unwrap().exchange.protocol,
        Protocol::Query
    );
}

#[test]
fn what_cannot_be_read_from_its_place_is_refused() {
    for (method, uri, headers, body, message) in [
        ("PUT", "/SimpleScalarProperties", &[][..], &b"{"[..], ""),
        (
            "PUT",
            "/SimpleScalarProperties",
            &[],
            b"{\"stringValue\":5}",
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            "GET",
            "/AllQueryStringTypesInput?Integer=x",
            &[],
            b"",
            "STRING_VALUE can not be converted to an Integer",
        ),
        ("GET", "/FloatHttpLabels/inf/1", &[], b"", "STRING_VALUE can not be converted to a Float"),
        ("GET", "/FloatHttpLabels/%FF/1", &[], b"", ""),
        ("GET", "/AllQueryStringTypesInput?String=%FF", &[], b"", "The parameters are not UTF-8"),
        (
            "POST",
            "/InputAndOutputWithHeaders",
            &[("x-timestamplist", "Mon, 16 Dec")],
            b"",
            "STRING_VALUE can not be converted to a Timestamp",
        ),
        ("POST", "/StringPayload", &[], b"\xff", ""),
    ] {
        let answer = ask(method, uri, headers, body).unwrap_err().answer();
        assert_eq!(answer.status(), 400, "{uri}");
        assert_eq!(answer.headers()["x-amzn-errortype"], "SerializationException");
        let expected = if message.is_empty() { json!({}) } else { json!({"message": message}) };
        assert_eq!(serde_json::from_slice::<Value>(answer.body()).unwrap(), expected, "{uri}");
    }
}

const RPC: (&str, &str) = ("smithy-protocol", "rpc-v2-cbor");

fn rpc(operation: &str, headers: &[(&str, &str)]) -> Result<Decoded, Box<Failure>> {
    let uri = format!("/prefix/service/Streams_20260101/operation/{operation}");
    ask("POST", &uri, &[&[RPC], headers].concat(), b"")
}

#[test]
fn smithy_s_rpc_has_one_way_to_name_an_operation() {
    let exchange = rpc("PutRecord", &[]).unwrap().exchange;
    assert_eq!(exchange.operation, Some(Operation::Streams(shapes::Operation::PutRecord)));
    assert!(ask("POST", "/service/com.example.Streams_20260101/operation/PutRecord", &[RPC], b"").is_ok());
    for (method, uri, header) in [
        (
            "POST",
            "/service/Streams_20260101/operation/PutRecord",
            ("x-amz-target", "Streams_20260101.PutRecord"),
        ),
        ("GET", "/service/Streams_20260101/operation/PutRecord", ("a", "b")),
        ("POST", "/service/Streams_20260101/operation/Fly", ("a", "b")),
        ("POST", "/service/AmazonSQS/operation/ListQueues", ("a", "b")),
        ("POST", "/service/Streams_20260101/operation/PutRecord/", ("a", "b")),
        ("POST", "/", ("a", "b")),
    ] {
        let answer = ask(method, uri, &[RPC, header], b"").unwrap_err().answer();
        assert_eq!(answer.status(), 400, "{uri}");
        assert_eq!(answer.headers()["smithy-protocol"], "rpc-v2-cbor");
        assert_eq!(answer.headers()["content-type"], "application/cbor");
        assert_eq!(cbor(&answer), json!({"__type": "com.amazon.coral.service#UnknownOperationException"}));
    }
    let unit = Response::Streams(shapes::Response::Unsubscribe(shapes::UnsubscribeOutput {}));
    let answer = exchange.answer(&unit);
    assert_eq!(answer.headers()["smithy-protocol"], "rpc-v2-cbor");
    assert!(answer.body().is_empty() && !answer.headers().contains_key("content-type"));
}

#[test]
fn query_codes_and_statuses_are_the_same_in_cbor_as_in_json() {
    let gone = Refusal::new("Gone", "why");
    let answer = rpc("PutRecord", &[]).unwrap().exchange.refuse(&gone);
    assert_eq!(answer.status(), 400, "without x-amzn-query-mode");
    assert_eq!(answer.headers()["x-amzn-query-error"], "Streams.Gone;Sender");
    assert_eq!(cbor(&answer), json!({"__type": "com.example.streams#Gone", "message": "why"}));
    let answer = rpc("PutRecord", &[("x-amzn-query-mode", "true")]).unwrap().exchange.refuse(&gone);
    assert_eq!(answer.status(), 404);
    let answer = rpc("PutRecord", &[]).unwrap().exchange.refuse(&Refusal::new("Busy", "why"));
    assert_eq!(answer.status(), 503);
    assert_eq!(cbor(&answer), json!({"__type": "com.example.streams#Busy", "Message": "why"}));
}

fn target(media_type: &str, operation: &str, body: &[u8]) -> Result<Decoded, Box<Failure>> {
    let target = format!("Streams_20260101.{operation}");
    ask("POST", "/", &[("content-type", media_type), ("x-amz-target", &target)], body)
}

#[test]
fn the_old_cbor_is_spoken_by_services_that_say_so() {
    let media_type = "application/x-amz-cbor-1.1";
    assert!(target(media_type, "PutRecord", b"\xbf\xff").is_ok());
    assert!(target(media_type, "PutRecord", b"").is_ok());
    let answer = target(media_type, "PutRecord", b"\xbf\x6aStreamName\x05\xff").unwrap_err().answer();
    assert_eq!(answer.headers()["content-type"], media_type);
    assert_eq!(
        cbor(&answer),
        json!({"__type": "SerializationException", "message": "NUMBER_VALUE can not be converted to a String"})
    );
    let headers = [("content-type", media_type), ("x-amz-target", "AmazonSQS.ListQueues")];
    let answer = ask("POST", "/", &headers, b"\xa0").unwrap_err().answer();
    assert_eq!(cbor(&answer), json!({"__type": "UnknownOperationException"}));
}

fn messages(mut stream: Bytes) -> Vec<Message> {
    let messages = std::iter::from_fn(|| Message::decode(&mut stream).unwrap()).collect();
    assert!(stream.is_empty());
    messages
}

fn text(message: &Message, header: &str) -> String {
    match message.header(header) {
        Some(HeaderValue::Text(text)) => text.to_string(),
        other => panic!("{header}: {other:?}"),
    }
}

fn names(message: &Message) -> Vec<&str> {
    message.headers.iter().map(|(name, _)| &**name).collect()
}

fn subscribed() -> Response {
    let output = json!({"StartedAt": 5});
    Response::Streams(streams::sample_response(shapes::Operation::Subscribe, &output))
}

fn only(exchange: &Exchange, event: &shapes::SubscribeEvents) -> Message {
    messages(exchange.event(event).unwrap()).remove(0)
}

#[test]
fn events_of_an_rpc_protocol_begin_with_the_answer() {
    let exchanges = [
        (target("application/x-amz-json-1.1", "Subscribe", b"{}"), "application/x-amz-json-1.1"),
        (target("application/x-amz-cbor-1.1", "Subscribe", b""), "application/x-amz-cbor-1.1"),
        (rpc("Subscribe", &[]), "application/cbor"),
    ];
    for (decoded, media_type) in exchanges {
        let exchange = decoded.unwrap().exchange;
        let answer = exchange.answer(&subscribed());
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "application/vnd.amazon.eventstream");
        let begin = messages(answer.body().clone()).remove(0);
        assert_eq!(names(&begin), [":message-type", ":event-type", ":content-type"]);
        assert_eq!(text(&begin, ":message-type"), "event");
        assert_eq!(text(&begin, ":event-type"), "initial-response");
        assert_eq!(text(&begin, ":content-type"), media_type);
        let record = shapes::Record { number: Some(5), ..Default::default() };
        let event = shapes::SubscribeEvent { records: Some(vec![record]), behind: None };
        let event = only(&exchange, &shapes::SubscribeEvents::SubscribeEvent(event));
        assert_eq!(text(&event, ":event-type"), "SubscribeEvent");
        let is_json = media_type == "application/x-amz-json-1.1";
        assert_eq!(text(&event, ":content-type"), if is_json { "application/json" } else { media_type });
        if is_json {
            assert_eq!(&begin.payload[..], b"{\"StartedAt\":5}");
            assert_eq!(&event.payload[..], b"{\"Records\":[{\"Number\":5}]}");
        } else {
            let moment = if media_type == "application/cbor" { &b"\x05"[..] } else { b"\x19\x13\x88" };
            assert_eq!(begin.payload, [b"\xbf\x69StartedAt\xc1", moment, b"\xff"].concat());
            assert_eq!(&event.payload[..], b"\xbf\x67Records\x81\xbf\x66Number\x05\xff\xff");
        }
    }
}

#[test]
fn members_of_an_event_may_be_headers_or_its_payload() {
    let exchange = target("application/x-amz-json-1.1", "Subscribe", b"{}").unwrap().exchange;
    let notice = shapes::Notice {
        is_last: Some(true),
        number: Some(-5),
        length: Some(1 << 40),
        name: Some("ü".into()),
        digest: Some(Bytes::from_static(b"d")),
        at: Some(Timestamp(1234)),
        text: Some("hello".into()),
    };
    let message = only(&exchange, &shapes::SubscribeEvents::Notice(notice));
    let expected: Vec<(Text, HeaderValue)> = vec![
        (":message-type".into(), HeaderValue::Text("event".into())),
        (":event-type".into(), HeaderValue::Text("notice".into())),
        ("isLast".into(), HeaderValue::Boolean(true)),
        ("number".into(), HeaderValue::Integer(-5)),
        ("length".into(), HeaderValue::Long(1 << 40)),
        ("name".into(), HeaderValue::Text("ü".into())),
        ("digest".into(), HeaderValue::Bytes(Bytes::from_static(b"d"))),
        ("at".into(), HeaderValue::Timestamp(Timestamp(1234))),
        (":content-type".into(), HeaderValue::Text("text/plain".into())),
    ];
    assert_eq!(message, Message { headers: expected, payload: Bytes::from_static(b"hello") });
    let chunk = shapes::Chunk { data: Some(Bytes::from_static(b"\0\x01")) };
    let message = only(&exchange, &shapes::SubscribeEvents::Chunk(chunk));
    assert_eq!(text(&message, ":content-type"), "application/octet-stream");
    assert_eq!(&message.payload[..], b"\0\x01");
    let nested = shapes::Nested { value: Some(1.5), nested: None };
    let message =
        only(&exchange, &shapes::SubscribeEvents::Summary(shapes::Summary { nested: Some(nested) }));
    assert_eq!(&message.payload[..], b"{\"Value\":1.5}");
}

#[test]
fn a_stream_may_end_in_an_exception_or_an_error() {
    let exchange = target("application/x-amz-json-1.1", "Subscribe", b"{}").unwrap().exchange;
    let gone = shapes::SubscribeEvents::Gone(shapes::Gone { message: Some("why".into()) });
    let message = only(&exchange, &gone);
    assert_eq!(text(&message, ":message-type"), "exception");
    assert_eq!(text(&message, ":exception-type"), "Gone");
    assert_eq!(&message.payload[..], b"{\"message\":\"why\"}");
    let message = messages(exchange.interrupt(&Refusal::new("InternalFailure", "why")).unwrap()).remove(0);
    assert_eq!(names(&message), [":message-type", ":error-code", ":error-message"]);
    assert_eq!(text(&message, ":message-type"), "error");
    assert_eq!(text(&message, ":error-code"), "InternalFailure");
    assert_eq!(text(&message, ":error-message"), "why");
    let long = Refusal::new("InternalFailure", "x".repeat(70_000));
    assert!(exchange.interrupt(&long).is_err());
    let long = shapes::Chunk { data: Some(vec![0; 25 << 20].into()) };
    assert!(exchange.event(&shapes::SubscribeEvents::Chunk(long)).is_err());
}

#[test]
fn events_of_rest_json_follow_the_head_alone() {
    let uri = "/functions/f/response-streaming-invocations";
    let decoded = ask("POST", uri, &[("content-type", "application/json")], b"{\"any\":").unwrap();
    let input = rest::InvokeWithResponseStreamInput {
        function_name: Some("f".into()),
        payload: Some(Bytes::from_static(b"{\"any\":")),
    };
    let expected = crate::Request::RestJson(rest::Request::InvokeWithResponseStream(input));
    assert_eq!(decoded.request, expected);
    let output =
        rest::InvokeWithResponseStreamOutput { status_code: Some(202), executed_version: Some("7".into()) };
    let response = Response::RestJson(rest::Response::InvokeWithResponseStream(output));
    let answer = decoded.exchange.answer(&response);
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["content-type"], "application/vnd.amazon.eventstream");
    assert_eq!(answer.headers()["x-amz-executed-version"], "7");
    assert!(answer.body().is_empty());
    let chunk = rest::InvokeResponseStreamUpdate { payload: Some(Bytes::from_static(b"chunk")) };
    let event = rest::InvokeWithResponseStreamResponseEvent::PayloadChunk(chunk);
    let message = messages(decoded.exchange.event(&event).unwrap()).remove(0);
    assert_eq!(text(&message, ":event-type"), "PayloadChunk");
    assert_eq!(&message.payload[..], b"chunk");
    let end =
        rest::InvokeWithResponseStreamCompleteEvent { error_code: None, log_result: Some("log".into()) };
    let event = rest::InvokeWithResponseStreamResponseEvent::InvokeComplete(end);
    let message = messages(decoded.exchange.event(&event).unwrap()).remove(0);
    assert_eq!(text(&message, ":content-type"), "application/json");
    assert_eq!(&message.payload[..], b"{\"LogResult\":\"log\"}");
}

#[test]
fn a_status_that_does_not_exist_is_ours() {
    let exchange = ask("PUT", "/HttpResponseCode", &[], b"").unwrap().exchange;
    for (status, answered) in
        [(None, 200), (Some(201), 201), (Some(-1), 200), (Some(70_000), 200), (Some(5), 500)]
    {
        let output = rest::HttpResponseCodeOutput { status };
        let answer = exchange.answer(&Response::RestJson(rest::Response::HttpResponseCode(output)));
        assert_eq!(answer.status().as_u16(), answered, "{status:?}");
    }
}
