//! What reading a request and writing an answer cost, beside what must be done to the bytes in any case.
//!
//! `cargo bench -p posthaste-wire [-- NAME]`. Each number is the best of many short rounds: the cost without the
//! neighbours' noise, not the cost on a busy machine. Buffers are warm in the cache; sockets are not measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use api::sqs;
use bytes::Bytes;
use http::request::Parts;
use wire::{Decoded, Request, Response, decode};

/// Shorter than the slices in which a busy machine gives out its cores.
const ROUND: Duration = Duration::from_micros(500);
const ROUNDS: usize = 1000;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    // A test run only sees that everything works.
    let small = std::env::args().any(|argument| argument == "--test");
    let bench = |name: &str, bytes: usize, task: &mut dyn FnMut()| {
        if name.contains(&wanted) {
            run(name, bytes, small, task);
        }
    };

    let plain = body_of(1024, false);
    let quoted = body_of(1024, true);
    for (name, body) in [("1 KiB", &plain), ("1 KiB with escapes", &quoted)] {
        let json = format!(
            r#"{{"QueueUrl":"http://127.0.0.1:4566/000000000000/orders","MessageBody":{}}}"#,
            serde_json::to_string(body).unwrap()
        );
        let head = head("SendMessage");
        let bytes = Bytes::from(json);
        assert_eq!(message_body(decode(&head, bytes.clone(), "id".into()).unwrap()), *body);
        bench(&format!("decode SendMessage, {name}"), bytes.len(), &mut || {
            black_box(decode(&head, bytes.clone(), "id".into()).is_ok());
        });
        bench(&format!("… only the UTF-8 check, {name}"), bytes.len(), &mut || {
            black_box(std::str::from_utf8(black_box(&bytes)).is_ok());
        });
    }

    let entries: Vec<String> = (0..10)
        .map(|n| format!(r#"{{"Id":"{n}","MessageBody":{}}}"#, serde_json::to_string(&plain).unwrap()))
        .collect();
    let batch = Bytes::from(format!(r#"{{"QueueUrl":"http://h/0/q","Entries":[{}]}}"#, entries.join(",")));
    let batch_head = head("SendMessageBatch");
    bench("decode SendMessageBatch, 10 × 1 KiB", batch.len(), &mut || {
        black_box(decode(&batch_head, batch.clone(), "id".into()).is_ok());
    });

    let form =
        format!("Action=SendMessage&QueueUrl=http%3A%2F%2Fh%2F0%2Fq&MessageBody={}", "word+".repeat(204));
    let form = Bytes::from(form);
    let form_head = http::Request::builder()
        .method("POST")
        .uri("/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    bench("decode SendMessage as a form, 1 KiB", form.len(), &mut || {
        black_box(decode(&form_head, form.clone(), "id".into()).is_ok());
    });

    for (name, body) in [("10 × 1 KiB", &plain), ("10 × 1 KiB with escapes", &quoted)] {
        let response = received(body);
        let exchange = decode(&head("ReceiveMessage"), Bytes::new(), "id".into()).unwrap().exchange;
        let len = exchange.answer(&response).body().len();
        bench(&format!("encode ReceiveMessage, {name}"), len, &mut || {
            black_box(exchange.answer(black_box(&response)));
        });
        let form = Bytes::from_static(b"Action=ReceiveMessage");
        let exchange = decode(&form_head, form, "id".into()).unwrap().exchange;
        let len = exchange.answer(&response).body().len();
        bench(&format!("encode ReceiveMessage as XML, {name}"), len, &mut || {
            black_box(exchange.answer(black_box(&response)));
        });
    }
    let bytes = vec![b'x'; 12_000];
    bench("… only a copy, 12,000 bytes", bytes.len(), &mut || {
        black_box(black_box(&bytes).to_vec());
    });
}

fn run(name: &str, bytes: usize, small: bool, task: &mut dyn FnMut()) {
    if small {
        return task();
    }
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut count = 0u32;
        while start.elapsed() < ROUND {
            (0..8).for_each(|_| task());
            count += 8;
        }
        best = best.min(start.elapsed().as_secs_f64() / f64::from(count));
    }
    println!("{name:<48} {:>9.0} ns {:>8.2} GB/s", best * 1e9, bytes as f64 / best / 1e9);
}

fn head(operation: &str) -> Parts {
    let builder = http::Request::builder()
        .method("POST")
        .uri("/")
        .header("x-amz-target", format!("AmazonSQS.{operation}"))
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amzn-query-mode", "true")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/sqs/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=00",
        );
    builder.body(()).unwrap().into_parts().0
}

/// Text as people send it; `escapes` makes it JSON itself, with a quotation mark every few bytes.
fn body_of(len: usize, escapes: bool) -> String {
    let piece = if escapes { "{\"order\":1234,\"state\":\"new\"}\n" } else { "The quick brown fox jumps, " };
    piece.chars().cycle().take(len).collect()
}

fn message_body(decoded: Decoded) -> String {
    match decoded.request {
        Request::Sqs(sqs::Request::SendMessage(input)) => input.message_body.unwrap().to_string(),
        other => panic!("{other:?}"),
    }
}

fn received(body: &str) -> Response {
    let message = sqs::Message {
        message_id: Some("8d1b1b4e-6a3c-4b1f-9f0e-2f6c8f3b7a10".into()),
        receipt_handle: Some("AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHq".into()),
        md5_of_body: Some("0cc175b9c0f1b6a831c399e269772661".into()),
        body: Some(body.into()),
        ..Default::default()
    };
    let output = sqs::ReceiveMessageOutput { messages: Some(vec![message; 10]) };
    Response::Sqs(sqs::Response::ReceiveMessage(output))
}
