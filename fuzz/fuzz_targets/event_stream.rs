//! Any frames are read or refused, and a message that is read is written as it came.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wire::eventstream::Message;

fuzz_target!(|data: &[u8]| {
    let mut stream = Bytes::copy_from_slice(data);
    loop {
        let before = stream.clone();
        let Ok(Some(message)) = Message::decode(&mut stream) else { return };
        let frame = message.encode().unwrap();
        assert_eq!(frame[..], before[..before.len() - stream.len()]);
    }
});
