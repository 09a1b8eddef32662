//! Any CBOR body is understood or refused, in both dialects.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::fixtures::streams::shapes::Operation;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else { return };
    let name = Operation::ALL[usize::from(choice >> 1) % Operation::ALL.len()].name();
    let request = match choice & 1 {
        0 => http::Request::post("/")
            .header("x-amz-target", format!("Streams_20260101.{name}"))
            .header("content-type", "application/x-amz-cbor-1.1"),
        _ => http::Request::post(format!("/service/Streams_20260101/operation/{name}"))
            .header("smithy-protocol", "rpc-v2-cbor"),
    };
    let (head, ()) = request.body(()).unwrap().into_parts();
    if let Err(failure) = wire::decode(&head, Bytes::copy_from_slice(body), "id".into()) {
        assert!(failure.answer().status().is_client_error());
    }
});
