//! Any parameters of a query request are understood or refused, and what is understood can be prepared or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&operation, body)) = data.split_first() else { return };
    let operations = api::sqs::Operation::ALL;
    let name = operations[usize::from(operation) % operations.len()].name();
    let request = http::Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let (head, ()) = request.body(()).unwrap().into_parts();
    let body = [format!("Action={name}&").as_bytes(), body].concat();
    posthaste_fuzz::decode_and_prepare(&head, &body);
});
