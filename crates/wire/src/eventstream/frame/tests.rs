//! Frames against vectors, and whether what is written reads back.

use super::*;
use proptest::prelude::*;

fn bytes(hex: &str) -> Bytes {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// botocore's vectors (tests/unit/test_eventstream.py).
#[test]
fn messages_of_other_writers_are_read_and_written_alike() {
    let text = |text: &'static str| HeaderValue::Text(text.into());
    let all = vec![
        ("0", HeaderValue::Boolean(true)),
        ("1", HeaderValue::Boolean(false)),
        ("2", HeaderValue::Byte(2)),
        ("3", HeaderValue::Short(3)),
        ("4", HeaderValue::Integer(4)),
        ("5", HeaderValue::Long(5)),
        ("6", HeaderValue::Bytes(Bytes::from_static(b"bytes"))),
        ("7", text("utf8")),
        ("8", HeaderValue::Timestamp(Timestamp(8))),
        ("9", HeaderValue::Uuid(*b"0123456789abcdef")),
    ];
    let json = Bytes::from_static(b"{'foo':'bar'}");
    for (frame, headers, payload) in [
        ("000000100000000005c248eb7d98c8ff", vec![], Bytes::new()),
        (
            "000000620000005203b5cb9c01300001310101320202013303000301340400000004013505000000000000000501360600056279746573\
             01370700047574663801380800000000000000080139093031323334353637383961626364656663353671",
            all,
            Bytes::new(),
        ),
        (
            "0000001900000009710e923e0573686f727403ffffb27cb6cc",
            vec![("short", HeaderValue::Short(-1))],
            Bytes::new(),
        ),
        ("0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936", vec![], json.clone()),
        (
            "0000003d0000002007fd83960c636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b27666f6f273a27626172277d8d9c08b1",
            vec![("content-type", text("application/json"))],
            json,
        ),
    ] {
        let frame = bytes(frame);
        let headers = headers.into_iter().map(|(name, value)| (Text::from(name), value)).collect();
        let message = Message { headers, payload };
        assert_eq!(message.encode().unwrap(), frame);
        let mut stream = frame.clone();
        assert_eq!(Message::decode(&mut stream), Ok(Some(message)));
        assert!(stream.is_empty());
        for len in 0..frame.len() {
            assert_eq!(Message::decode(&mut frame.slice(..len)), Ok(None), "a frame that is not there yet");
        }
    }
}

#[test]
fn damage_is_found() {
    let frame = Message {
        headers: vec![("n".into(), HeaderValue::Text("v".into()))],
        payload: Bytes::from_static(b"payload"),
    };
    let frame = frame.encode().unwrap();
    for at in 0..frame.len() {
        let mut damaged = frame.to_vec();
        damaged[at] ^= 0x10;
        let expected = match at {
            ..12 => FrameFault::PreludeChecksum,
            _ => FrameFault::Checksum,
        };
        assert_eq!(Message::decode(&mut damaged.into()), Err(expected), "{at}");
    }
}

/// A frame whose checksums are right.
fn sealed(total: u32, headers_len: u32, content: &[u8]) -> Bytes {
    let mut frame = Vec::new();
    frame.put_u32(total);
    frame.put_u32(headers_len);
    frame.put_u32(crc(&frame));
    frame.put_slice(content);
    frame.put_u32(crc(&frame));
    frame.into()
}

#[test]
fn lengths_must_agree_and_have_limits() {
    for (total, headers, fault) in [
        (15, 0, FrameFault::Lengths),
        (0, 0, FrameFault::Lengths),
        (16, 1, FrameFault::Lengths),
        (u32::MAX, 0, FrameFault::TooLong),
        (200_000, 131_073, FrameFault::TooLong),
        (u32::MAX, u32::MAX, FrameFault::Lengths),
    ] {
        assert_eq!(Message::decode(&mut sealed(total, headers, b"")), Err(fault), "{total} {headers}");
    }
    let long = |len| Message {
        headers: vec![("n".into(), HeaderValue::Bytes(vec![0; len].into()))],
        payload: Bytes::new(),
    };
    assert!(long(65_535).encode().is_ok());
    assert_eq!(long(65_536).encode(), Err(FrameFault::TooLong));
    let name =
        Message { headers: vec![("n".repeat(256).into(), HeaderValue::Byte(1))], payload: Bytes::new() };
    assert_eq!(name.encode(), Err(FrameFault::TooLong));
    let payload = Message { headers: Vec::new(), payload: vec![0; (24 << 20) + 1].into() };
    assert_eq!(payload.encode(), Err(FrameFault::TooLong));
}

#[test]
fn damaged_headers_are_refused() {
    for headers in [
        &b"\x01"[..],
        b"\x01n",
        b"\x01n\x0a",
        b"\x01n\x04\0",
        b"\x01n\x07\0\x02a",
        b"\x01n\x09abc",
        b"\x01\xff\0",
        b"\x01n\x07\0\x01\xff",
    ] {
        let len = headers.len() as u32;
        assert_eq!(
            Message::decode(&mut sealed(16 + len, len, headers)),
            Err(FrameFault::Headers),
            "{headers:x?}"
        );
    }
}

fn value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        any::<bool>().prop_map(HeaderValue::Boolean),
        any::<i8>().prop_map(HeaderValue::Byte),
        any::<i16>().prop_map(HeaderValue::Short),
        any::<i32>().prop_map(HeaderValue::Integer),
        any::<i64>().prop_map(HeaderValue::Long),
        proptest::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| HeaderValue::Bytes(bytes.into())),
        ".{0,20}".prop_map(|text| HeaderValue::Text(text.into())),
        any::<i64>().prop_map(|millis| HeaderValue::Timestamp(Timestamp(millis))),
        any::<[u8; 16]>().prop_map(HeaderValue::Uuid),
    ]
}

proptest! {
    #[test]
    fn any_messages_read_back(
        messages in proptest::collection::vec(
            (proptest::collection::vec((".{0,20}", value()), 0..6), proptest::collection::vec(any::<u8>(), 0..99)), 0..4,
        ),
    ) {
        let messages: Vec<Message> = messages
            .into_iter()
            .map(|(headers, payload)| Message {
                headers: headers.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                payload: payload.into(),
            })
            .collect();
        let stream: Vec<u8> = messages.iter().flat_map(|message| message.encode().unwrap()).collect();
        let mut stream = Bytes::from(stream);
        for message in messages {
            prop_assert_eq!(Message::decode(&mut stream), Ok(Some(message)));
        }
        prop_assert_eq!(Message::decode(&mut stream), Ok(None));
    }

    #[test]
    fn any_headers_are_read_or_refused(headers in proptest::collection::vec(0u8..12, 0..40), noise in proptest::collection::vec(any::<u8>(), 0..40)) {
        for content in [headers, noise] {
            let len = content.len() as u32;
            if let Ok(message) = Message::decode(&mut sealed(16 + len, len, &content)) {
                prop_assert_eq!(message.unwrap().encode().unwrap(), sealed(16 + len, len, &content));
            }
        }
    }
}
