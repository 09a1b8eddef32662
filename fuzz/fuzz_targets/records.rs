//! Any bytes are a record or none, and a record reads back as it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sqs::records::Record;

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::decode(data) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
    let _ = sqs::rules::payload::Payload::decode(&bytes::Bytes::copy_from_slice(data));
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = sqs::rules::handle::Handle::from_text(text);
    }
});
