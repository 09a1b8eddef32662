//! Any path, headers and body of restJson1 are understood or refused. The input's lines are a number that chooses the route,
//! the path and the query string, headers, an empty line and the body.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::fixtures::rest_json::ROUTES;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, data)) = data.split_first() else { return };
    let mut lines = data.splitn(12, |byte| *byte == b'\n');
    let route = &ROUTES[usize::from(choice) % ROUTES.len()];
    let mut request = http::Request::builder().method(route.method).uri(lines.next().unwrap_or_default());
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        request = request.header(&line[..at], line.get(at + 1..).unwrap_or_default());
    }
    let body = lines.next().unwrap_or_default();
    let Ok(request) = request.body(()) else { return };
    let (head, ()) = request.into_parts();
    if let Err(failure) = wire::decode(&head, Bytes::copy_from_slice(body), "id".into()) {
        assert!(failure.answer().status().is_client_error());
    }
});
