//! Any text is an iterator, a token, a sequence number and a hash key, or none, and each reads back as it is written. Any bytes are a chunk of
//! records or none.
#![no_main]

use kernel::service::Record as _;
use kinesis::chunk::take_entry;
use kinesis::operations::list_shards::Token;
use kinesis::records::Record;
use kinesis::rules::hash_keys;
use kinesis::rules::iterator::Iterator;
use kinesis::rules::sequence::SequenceNumber;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut chunk = bytes::Bytes::copy_from_slice(data);
    while !chunk.is_empty() && take_entry(&mut chunk).is_ok() {}
    if let Ok(record) = Record::decode(data) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(iterator) = Iterator::parse(text) {
        assert_eq!(Iterator::parse(&iterator.to_string()), Some(iterator));
    }
    if let Some(number) = SequenceNumber::parse(text) {
        assert_eq!(number.to_string(), text);
    }
    if let Some(hash) = hash_keys::parse(text) {
        assert_eq!(hash.to_string(), text);
    }
    let _ = Token::parse(text);
});
