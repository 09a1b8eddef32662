//! Any body of a JSON request is understood or refused, and what is understood can be prepared or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&operation, body)) = data.split_first() else { return };
    let operations = api::sqs::Operation::ALL;
    let operation = operations[usize::from(operation) % operations.len()];
    let prefix = if operation.is_addition() { "Posthaste" } else { "AmazonSQS" };
    let target = format!("{prefix}.{}", operation.name());
    let (head, ()) = http::Request::post("/").header("x-amz-target", target).body(()).unwrap().into_parts();
    posthaste_fuzz::decode_and_prepare(&head, body);
});
