//! botocore's protocol tests, put through the fixtures that the generator made of their models: requests are read into what the
//! client meant, and answers are written as the client wants them. See `crates/wire/fixtures/README.md`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response as HttpResponse;
use kernel::Refusal;
use serde_json::{Map, Value, json};

use crate::fixtures::{amz_json, rest_json, rpc_cbor};
use crate::{Decoded, Exchange, Request, Response, decode};

/// The cases of one fixture.
fn cases(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Checks each case but those that are left out for a reason, and tells of all that fail at once.
fn each(cases: &Value, part: &str, left_out: &[(&str, &str)], check: impl Fn(&Value)) {
    let all = cases[part].as_array().unwrap();
    for (id, _) in left_out {
        assert!(all.iter().any(|case| case["id"] == *id), "there is no case {id}");
    }
    let kept = all.iter().filter(|case| !left_out.iter().any(|(id, _)| case["id"] == *id));
    let fails =
        |case: &&Value| std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(case))).is_err();
    let failed: Vec<&Value> = kept.filter(fails).map(|case| &case["id"]).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Sends what the client of a case sends. `cbor` says that bodies are base64 of CBOR.
fn send(case: &Value, target: &str, cbor: bool) -> Decoded {
    let uri = case["uri"].as_str().unwrap_or("/");
    let mut builder = http::Request::builder().method(case["method"].as_str().unwrap()).uri(uri);
    for (name, value) in case["headers"].as_object().into_iter().flatten() {
        builder = builder.header(name, value.as_str().unwrap());
    }
    if !target.is_empty() && case["headers"]["X-Amz-Target"].is_null() {
        builder = builder.header("x-amz-target", format!("{target}.{}", case["operation"].as_str().unwrap()));
    }
    let body = case["body"].as_str().unwrap_or_default();
    let body = if cbor { STANDARD.decode(body).unwrap() } else { body.into() };
    let head = builder.body(()).unwrap().into_parts().0;
    decode(&head, body.into(), "id-1".into()).unwrap_or_else(|failure| panic!("{}: {failure:?}", case["id"]))
}

/// Requests that are what the client meant. NaN is equal to nothing, so texts are compared.
fn same(case: &Value, read: &Request, meant: &Request) {
    assert_eq!(format!("{read:?}"), format!("{meant:?}"), "{}", case["id"]);
}

/// What of an answer the client looks for.
fn agree(case: &Value, answer: &HttpResponse<Bytes>) {
    assert_eq!(json!(answer.status().as_u16()), case["status_code"], "{}", case["id"]);
    let headers = case["headers"].as_object().into_iter().flatten();
    // The length is set by what sends the answer.
    for (name, value) in headers.filter(|(name, _)| *name != "Content-Length") {
        let ours = answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(ours, value.as_str(), "{} {name}", case["id"]);
    }
}

/// JSON by which two documents can be compared: numbers have no types, and what is not text has a kind.
fn plain(value: &ciborium::Value) -> Value {
    use ciborium::Value as Cbor;
    match value {
        Cbor::Integer(value) => json!(i128::from(*value) as f64),
        Cbor::Float(value) if value.is_finite() => json!(value),
        Cbor::Float(value) => json!(value.to_string()),
        Cbor::Bytes(bytes) => json!({"bytes": STANDARD.encode(bytes)}),
        Cbor::Text(text) => json!(text),
        Cbor::Bool(value) => json!(value),
        Cbor::Null => Value::Null,
        Cbor::Tag(tag, value) => json!({"tag": tag, "value": plain(value)}),
        Cbor::Array(items) => items.iter().map(plain).collect(),
        Cbor::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_text().unwrap().to_owned(), plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => panic!("{other:?}"),
    }
}

fn cbor(bytes: &[u8]) -> Value {
    if bytes.is_empty() { Value::Null } else { plain(&ciborium::from_reader(bytes).unwrap()) }
}

fn rest(operation: &str) -> rest_json::shapes::Operation {
    rest_json::shapes::Operation::from_name(operation).unwrap()
}

const REST: &str = include_str!("../fixtures/rest_json/cases.json");
const RPC: &str = include_str!("../fixtures/rpc_cbor/cases.json");
const JSON: &str = include_str!("../fixtures/amz_json/cases.json");

#[test]
fn requests_of_rest_json_are_read_as_they_are_meant() {
    let cases = cases(REST);
    let left_out = [
        ("RestJsonHostWithPath", "the client was configured with a path before that of the model"),
        ("RestJsonHttpPrefixHeadersAreNotPresent", "an empty map is not sent"),
        ("RestJsonOmitsEmptyListQueryValues", "an empty list is not sent"),
        ("RestJsonQueryIdempotencyTokenAutoFill", "the client makes up the token"),
        ("RestJsonQueryParamsStringListMap", "servers put all parameters into the map"),
        ("RestJsonQueryPrecedence", "the same"),
        ("RestJsonHttpWithEmptyStructurePayload", "the client sends an empty structure for an absent one"),
        ("RestJsonHttpWithHeadersButNoPayload", "the same"),
    ];
    each(&cases, "requests", &left_out, |case| {
        let operation = rest(case["operation"].as_str().unwrap());
        let decoded = send(case, "", false);
        let mut params = case["params"].clone();
        // Parameters come sorted by their names.
        if let Some(Value::Object(map)) = params.get_mut("queryParamsMapOfStringList") {
            map.sort_keys();
        }
        let meant = Request::RestJson(rest_json::sample_request(operation, &params));
        same(case, &decoded.request, &meant);
    });
}

#[test]
fn answers_of_rest_json_are_written_as_clients_want_them() {
    let cases = cases(REST);
    let left_out = [
        ("RestJsonDateTimeWithNegativeOffset", "we write no offsets"),
        ("RestJsonDateTimeWithPositiveOffset", "the same"),
        ("RestJsonDeserializesDenseSetMapAndSkipsNull", "we write no nulls"),
        ("RestJsonDoesntDeserializeNullStructureValues", "the same"),
        ("RestJsonDeserializeIgnoreType", "we write no types of unions"),
    ];
    each(&cases, "answers", &left_out, |case| {
        let operation = rest(case["operation"].as_str().unwrap());
        let response = Response::RestJson(rest_json::sample_response(operation, &case["result"]));
        let answer = exchange_of_rest().answer(&response);
        agree(case, &answer);
        let body = case["body"].as_str().unwrap_or_default();
        match serde_json::from_str::<Value>(body) {
            Ok(expected) => {
                let ours: Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(ours, expected, "{}", case["id"]);
            }
            // Where no member stands in the body, clients accept none and an empty structure.
            Err(_) if body.is_empty() => assert!(matches!(&answer.body()[..], b"" | b"{}"), "{}", case["id"]),
            Err(_) => assert_eq!(answer.body(), body, "{}", case["id"]),
        }
    });
}

fn exchange_of_rest() -> Exchange {
    let case =
        json!({"id": "", "method": "POST", "uri": "/NoInputAndNoOutput", "operation": "NoInputAndNoOutput"});
    send(&case, "", false).exchange
}

#[test]
fn errors_of_rest_json_have_their_name_in_a_header() {
    let cases = cases(REST);
    each(&cases, "errors", &[], |case| {
        let message = case["message"].as_str().unwrap().to_owned();
        let shape: &'static str = case["error"].as_str().unwrap().to_owned().leak();
        let answer = exchange_of_rest().refuse(&Refusal::new(shape, message.clone()));
        assert_eq!(json!(answer.status().as_u16()), case["status_code"], "{}", case["id"]);
        assert_eq!(answer.headers()["x-amzn-errortype"], shape);
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        let text = body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default();
        assert_eq!(text, message, "{}", case["id"]);
    });
}

#[test]
fn requests_of_rpc_with_cbor_are_read_as_they_are_meant() {
    let cases = cases(RPC);
    each(&cases, "requests", &[], |case| {
        let operation = rpc_cbor::shapes::Operation::from_name(case["operation"].as_str().unwrap()).unwrap();
        let decoded = send(case, "", true);
        let meant = Request::RpcCbor(rpc_cbor::sample_request(operation, &case["params"]));
        same(case, &decoded.request, &meant);
    });
}

fn exchange_of_rpc() -> Exchange {
    let case = json!({
        "id": "", "method": "POST", "uri": "/service/RpcV2Protocol/operation/NoInputOutput",
        "headers": {"smithy-protocol": "rpc-v2-cbor"}
    });
    send(&case, "", true).exchange
}

#[test]
fn answers_of_rpc_with_cbor_are_written_as_clients_want_them() {
    let cases = cases(RPC);
    let left_out = [
        ("empty_output_no_body", "clients accept no body, we write an empty structure"),
        ("NoOutputClientAllowsEmptyCbor", "clients accept an empty structure, we write no body"),
        ("NoOutputClientAllowsEmptyBody", "clients accept a type without a body, we write none"),
        ("RpcV2CborDeserializesDenseSetMapAndSkipsNull", "we write no nulls"),
        ("RpcV2CborClientDoesntDeserializeNullStructureValues", "the same"),
        (
            "RpcV2CborExtraFieldsInTheBodyShouldBeSkippedByClients",
            "we write no members that the model does not have",
        ),
        ("RpcV2CborPayloadWithUnsetUnion", "a case of restJson1 that strayed into these"),
    ];
    each(&cases, "answers", &left_out, |case| {
        let operation = rpc_cbor::shapes::Operation::from_name(case["operation"].as_str().unwrap()).unwrap();
        let response = Response::RpcCbor(rpc_cbor::sample_response(operation, &case["result"]));
        let answer = exchange_of_rpc().answer(&response);
        agree(case, &answer);
        let body = STANDARD.decode(case["body"].as_str().unwrap_or_default()).unwrap();
        assert_eq!(cbor(answer.body()), cbor(&body), "{}", case["id"]);
    });
}

#[test]
fn errors_of_rpc_with_cbor_have_their_name_in_the_body() {
    let cases = cases(RPC);
    let left_out = [("RpcV2CborComplexError", "a refusal has a name and a text, no other members")];
    each(&cases, "errors", &left_out, |case| {
        let shape: &'static str = case["error"].as_str().unwrap().to_owned().leak();
        let message = case["message"].as_str().unwrap().to_owned();
        let answer = exchange_of_rpc().refuse(&Refusal::new(shape, message));
        agree(case, &answer);
        let body = STANDARD.decode(case["body"].as_str().unwrap()).unwrap();
        assert_eq!(cbor(answer.body()), cbor(&body), "{}", case["id"]);
    });
}

#[test]
fn requests_of_aws_json_are_read_as_they_are_meant() {
    let cases = cases(JSON);
    each(&cases, "requests", &[], |case| {
        let operation = amz_json::shapes::Operation::from_name(case["operation"].as_str().unwrap()).unwrap();
        let decoded = send(case, "JsonProtocol", false);
        let meant = Request::AmzJson(amz_json::sample_request(operation, &case["params"]));
        same(case, &decoded.request, &meant);
    });
}

/// Answers of awsJson that we do not give.
const NOT_WRITTEN: &[(&str, &str)] = &[
    ("AwsJson11DateTimeWithNegativeOffset", "we write no offsets"),
    ("AwsJson11DateTimeWithPositiveOffset", "the same"),
    ("handles_empty_output_shape", "clients accept an empty structure, we write no body"),
    ("handles_unexpected_json_output", "the same"),
    ("AwsJson11IntEnums", "the headers are those of a request"),
    ("AwsJson11DeserializeIgnoreType", "we write no types of unions"),
    ("parses_the_request_id_from_the_response", "the id is ours"),
    ("AwsJson11StructuresDontDeserializeNullValues", "we write no nulls"),
];

fn exchange_of_json(content_type: &str) -> Exchange {
    let headers = json!({"Content-Type": content_type});
    let case = json!({"id": "", "method": "POST", "operation": "EmptyOperation", "headers": headers});
    send(&case, "JsonProtocol", false).exchange
}

#[test]
fn answers_of_aws_json_are_written_as_clients_want_them() {
    let cases = cases(JSON);
    each(&cases, "answers", NOT_WRITTEN, |case| {
        let operation = amz_json::shapes::Operation::from_name(case["operation"].as_str().unwrap()).unwrap();
        let response = Response::AmzJson(amz_json::sample_response(operation, &case["result"]));
        let answer = exchange_of_json("application/x-amz-json-1.1").answer(&response);
        agree(case, &answer);
        if let Ok(expected) = serde_json::from_str::<Value>(case["body"].as_str().unwrap_or_default()) {
            let ours: Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!(ours, expected, "{}", case["id"]);
        }
    });
}

/// The value of a shape in CBOR, as Java's SDKs write it: structures have an indefinite length there, but that says nothing.
fn amz_cbor(model: &Value, shape: &str, value: &Value) -> ciborium::Value {
    use ciborium::Value as Cbor;
    let shape = &model["shapes"][shape];
    let of = |reference: &Value| reference["shape"].as_str().unwrap().to_owned();
    let name = |name: &str| Cbor::Text(name.to_owned());
    match (shape["type"].as_str().unwrap(), value) {
        (_, Value::Null) => Cbor::Null,
        ("structure", Value::Object(members)) => Cbor::Map(
            members
                .iter()
                .map(|(member, value)| {
                    let reference = &shape["members"][member];
                    let json_name = reference["locationName"].as_str().unwrap_or(member);
                    (name(json_name), amz_cbor(model, &of(reference), value))
                })
                .collect(),
        ),
        ("map", Value::Object(entries)) => Cbor::Map(
            entries
                .iter()
                .map(|(key, value)| (name(key), amz_cbor(model, &of(&shape["value"]), value)))
                .collect(),
        ),
        ("list", Value::Array(items)) => {
            Cbor::Array(items.iter().map(|item| amz_cbor(model, &of(&shape["member"]), item)).collect())
        }
        ("blob", text) => Cbor::Bytes(STANDARD.decode(text.as_str().unwrap()).unwrap()),
        ("timestamp", seconds) => {
            let millis = (seconds.as_f64().unwrap() * 1000.0) as i64;
            Cbor::Tag(1, Box::new(Cbor::Integer(millis.into())))
        }
        ("float" | "double", number) => Cbor::Float(match number.as_str() {
            Some("NaN") => f64::NAN,
            Some("Infinity") => f64::INFINITY,
            Some("-Infinity") => f64::NEG_INFINITY,
            _ => number.as_f64().unwrap(),
        }),
        ("string", text) => name(text.as_str().unwrap()),
        ("boolean", value) => Cbor::Bool(value.as_bool().unwrap()),
        (_, number) => Cbor::Integer(number.as_i64().unwrap().into()),
    }
}

#[test]
fn the_old_cbor_says_the_same_as_json() {
    let cases = cases(JSON);
    let model: Value = serde_json::from_str(include_str!("../fixtures/amz_json/service.json")).unwrap();
    let media_type = "application/x-amz-cbor-1.1";
    each(&cases, "requests", &[], |case| {
        let name = case["operation"].as_str().unwrap();
        let operation = amz_json::shapes::Operation::from_name(name).unwrap();
        let Some(shape) = model["operations"][name]["input"]["shape"].as_str() else { return };
        let mut body = Vec::new();
        ciborium::into_writer(&amz_cbor(&model, shape, &case["params"]), &mut body).unwrap();
        let meant = Request::AmzJson(amz_json::sample_request(operation, &case["params"]));
        let sent = json!({
            "id": case["id"], "method": "POST", "operation": name, "body": STANDARD.encode(body),
            "headers": {"Content-Type": media_type}
        });
        same(case, &send(&sent, "JsonProtocol", true).request, &meant);
    });
    each(&cases, "answers", &[], |case| {
        let name = case["operation"].as_str().unwrap();
        let operation = amz_json::shapes::Operation::from_name(name).unwrap();
        let response = Response::AmzJson(amz_json::sample_response(operation, &case["result"]));
        let answer = exchange_of_json(media_type).answer(&response);
        assert_eq!(answer.headers()["content-type"], media_type);
        if let Some(shape) = model["operations"][name]["output"]["shape"].as_str() {
            assert_eq!(
                cbor(answer.body()),
                plain(&amz_cbor(&model, shape, &case["result"])),
                "{}",
                case["id"]
            );
        }
    });
    let answer = exchange_of_json(media_type).refuse(&Refusal::new("FooError", "why"));
    assert_eq!(answer.headers()["content-type"], media_type);
    assert_eq!(cbor(answer.body()), json!({"__type": "FooError", "message": "why"}));
}
