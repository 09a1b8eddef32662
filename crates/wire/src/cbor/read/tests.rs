//! What CBOR permits and what it does not, against a reader that shares nothing with ours.

use super::*;
use api::{Map, Timestamp};
use proptest::prelude::*;

use crate::cbor::Writer;
use crate::document::{ReadValue, Reader as _, Writer as _};
use crate::fixtures::streams::shapes::{Nested, PutRecordInput, Record};

fn value<T: ReadValue>(hex: &str) -> Result<T, Fault> {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    T::read_value(&mut Reader::new(&bytes.into(), Dialect::RpcV2))
}

fn document(bytes: Vec<u8>) -> Result<PutRecordInput, Fault> {
    Reader::new(&bytes.into(), Dialect::RpcV2).document()
}

#[test]
fn numbers_may_be_written_in_every_way() {
    for (hex, number) in [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1900ff", 255),
        ("1a7fffffff", i64::from(i32::MAX)),
        ("1b7fffffffffffffff", i64::MAX),
        ("20", -1),
        ("3903e7", -1000),
        ("3b7fffffffffffffff", i64::MIN),
        // Bignums, also with zeros before them, and in pieces.
        ("c24101", 1),
        ("c2400000", 0),
        ("c2580a00000000000000000001", 1),
        ("c34103", -4),
        ("c25f41014100ff", 256),
        // Floats, and other tags before a number.
        ("f93c00", 1),
        ("fbc00c000000000000", -3),
        ("d9d9f705", 5),
    ] {
        assert_eq!(value::<i64>(hex), Ok(number), "{hex}");
    }
    for hex in
        ["1b8000000000000000", "3b8000000000000000", "c249010000000000000000", "fb7ff0000000000000", "f97e00"]
    {
        assert_eq!(value::<i64>(hex), Err(Fault::Range("a Long")), "{hex}");
    }
    assert_eq!(value::<i32>("1a80000000"), Err(Fault::Range("an Integer")));
}

#[test]
fn floats_have_three_sizes() {
    for (hex, number) in [
        ("f90000", 0.0),
        ("f93c00", 1.0),
        ("f97bff", 65504.0),
        ("f90001", 5.960_464_477_539_063e-8),
        ("f90400", 6.103_515_625e-5),
        ("f9c400", -4.0),
        ("f97c00", f64::INFINITY),
        ("f9fc00", f64::NEG_INFINITY),
        ("fa47c35000", 100_000.0),
        ("fa7f800000", f64::INFINITY),
        ("fb3ff199999999999a", 1.1),
        ("05", 5.0),
        ("c24a01000000000000000000", 4_722_366_482_869_645_213_696.0),
        ("c35102ffffffffffffffffffffffffffffffff", -1.020_847_100_762_815_4e39),
    ] {
        assert_eq!(value::<f64>(hex), Ok(number), "{hex}");
    }
    for hex in ["f97e00", "fa7fc00000", "fb7ff8000000000000"] {
        assert!(value::<f64>(hex).unwrap().is_nan(), "{hex}");
    }
    let huge = format!("c25901f4{}", "ff".repeat(500));
    assert_eq!(value::<f64>(&huge), Err(Fault::Range("a Double")));
    assert_eq!(value::<f32>("f93e00"), Ok(1.5));
}

#[test]
fn moments_are_seconds_or_milliseconds() {
    for (hex, millis) in [
        ("c11a514b67b0", 1_363_896_240_000),
        ("c1fb41d452d9ec200000", 1_363_896_240_500),
        ("1a514b67b0", 1_363_896_240_000),
    ] {
        assert_eq!(value::<Timestamp>(hex), Ok(Timestamp(millis)), "{hex}");
    }
    let bytes = Bytes::from_static(&[0xc1, 0x1b, 0, 0, 0x01, 0x3d, 0x8e, 0x8d, 0x07, 0x80]);
    let mut reader = Reader::new(&bytes, Dialect::Amz11);
    assert_eq!(reader.timestamp(), Ok(Timestamp(1_363_896_240_000)));
    assert_eq!(value::<Timestamp>("c1fb7e37e43c8800759c"), Err(Fault::Range("a Timestamp")));
    assert_eq!(value::<Timestamp>("c1f97e00"), Err(Fault::Range("a Timestamp")));
}

#[test]
fn texts_and_blobs_may_come_in_pieces() {
    assert_eq!(value::<Text>("63c3bc61"), Ok("üa".into()));
    assert_eq!(value::<Text>("7f6161606162ff"), Ok("ab".into()));
    assert_eq!(value::<Text>("7fff"), Ok("".into()));
    assert_eq!(value::<Bytes>("5f42010243030405ff"), Ok(Bytes::from_static(&[1, 2, 3, 4, 5])));
    for hex in [
        "61ff",
        "62c3",
        "7f61c361bcff",
        "7f4161ff",
        "7f7f6161ffff",
        "7f6161",
        "7f",
        "5f6161ff",
        "5b7fffffffffffffff01",
        "78",
        "7bffffffffffffffff61",
        "1c",
        "df01ff",
        "1f",
        "ff",
        "",
    ] {
        let fault = if hex.starts_with('5') { value::<Bytes>(hex).err() } else { value::<Text>(hex).err() };
        assert_eq!(fault, Some(Fault::Malformed), "{hex}");
    }
}

#[test]
fn a_text_in_one_piece_is_a_slice_of_the_document() {
    let document = Bytes::from_static(b"\xa1\x6aStreamName\x65hello");
    let input: PutRecordInput = Reader::new(&document, Dialect::RpcV2).document().unwrap();
    assert!(document.as_ptr_range().contains(&input.stream_name.unwrap().as_bytes().as_ptr()));
}

#[test]
fn what_nobody_asked_for_is_passed_over_and_the_last_of_a_name_counts() {
    let input = document(
        b"\xbf\x61x\xbf\x61a\x9f\x01\xf7\xc1\xfb\0\0\0\0\0\0\0\0\xff\x61b\x82\x5f\x41a\xff\xf8\x20\xff\
          \x6aStreamName\x61a\x7f\x66Stream\x64Name\xff\x61b\
          \x64Tags\xa4\x61k\x611\x61l\xf6\x61m\x612\x61k\x613\
          \x67Records\x83\xf6\xa1\x66Number\x05\xf7\xff"
            .to_vec(),
    )
    .unwrap();
    assert_eq!(input.stream_name.as_deref(), Some("b"));
    let tags = vec![(Text::from("k"), Text::from("3")), (Text::from("m"), Text::from("2"))];
    assert_eq!(input.tags, Some(Map(tags)));
    assert_eq!(input.records, Some(vec![Record { number: Some(5), ..Record::default() }]));
    assert_eq!(document(Vec::new()), Ok(PutRecordInput::default()));
    assert_eq!(document(b"\xa0\xa0".to_vec()), Err(Fault::Malformed), "something follows");
    assert_eq!(document(b"\xa1\x01\x02".to_vec()), Err(Fault::Malformed), "a name that is no text");
    assert_eq!(
        document(b"\xd9\xd9\xf7\xa0".to_vec()),
        Ok(PutRecordInput::default()),
        "a tag says it is CBOR"
    );
}

#[test]
fn wrong_kinds_are_told_in_the_words_of_aws() {
    let said = |bytes: &[u8]| document(bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(said(b"\xa1\x6aStreamName\x05"), "NUMBER_VALUE can not be converted to a String");
    assert_eq!(said(b"\xa1\x6aStreamName\x80"), "Start of list found where not expected");
    assert_eq!(said(b"\xa1\x6aStreamName\xa0"), "Start of structure or map found where not expected.");
    assert_eq!(said(b"\xa1\x67Records\x05"), "Expected list or null");
    assert_eq!(said(b"\xa1\x64Tags\xf5"), "Expected map or null");
    assert_eq!(said(b"\xa1\x66Weight\x61x"), "STRING_VALUE can not be converted to a Float");
    assert_eq!(said(b"\x80"), "Start of list found where not expected");
    assert_eq!(said(b"\x05"), "Expected null");
}

#[test]
fn nesting_has_an_end_and_a_length_is_not_believed() {
    for level in [&b"\xa1\x66Nested"[..], b"\xa1\x61x", b"\xbf\x61x", b"\xa1\x61x\x81", b"\xa1\x61x\x9f"] {
        assert_eq!(document(level.repeat(100_000)), Err(Fault::Deep));
    }
    let lists = |levels: usize| [&b"\xa1\x61x"[..], &vec![0x81; levels], b"\x01"].concat();
    let deepest = crate::document::DEPTH as usize - 1;
    assert!(document(lists(deepest)).is_ok());
    assert_eq!(document(lists(deepest + 1)), Err(Fault::Deep));
    let tags = [&b"\xa1\x61x"[..], &vec![0xc1; 1_000_000]].concat();
    assert_eq!(document(tags), Err(Fault::Malformed), "tags may be many");
    for claim in [
        &b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\xa1\x67Records\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\x64Tags\xbb\x7f\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert_eq!(document(claim.to_vec()), Err(Fault::Malformed));
    }
}

/// CBOR items, as another writer writes them.
fn items() -> impl Strategy<Value = ciborium::Value> {
    use ciborium::Value as Cbor;
    let leaf = prop_oneof![
        any::<i64>().prop_map(|value| Cbor::Integer(value.into())),
        any::<u64>().prop_map(|value| Cbor::Integer(value.into())),
        any::<f64>().prop_map(Cbor::Float),
        ".{0,9}".prop_map(Cbor::Text),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Cbor::Bytes),
        any::<bool>().prop_map(Cbor::Bool),
        Just(Cbor::Null),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let name = "(StreamName|Records|Tags|Weight|Nested|Value|Data|ArrivedAt|IsLast|Number|[a-z])";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Cbor::Array),
            proptest::collection::vec((name.prop_map(Cbor::Text), inner.clone()), 0..6).prop_map(Cbor::Map),
            (any::<u64>(), inner).prop_map(|(tag, item)| Cbor::Tag(tag, Box::new(item))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_another_writer_writes_is_passed_over(item in items()) {
        let mut bytes = b"\xa2\x61x".to_vec();
        ciborium::into_writer(&item, &mut bytes).unwrap();
        bytes.extend_from_slice(b"\x6aStreamName\x61a");
        let input = document(bytes).unwrap();
        prop_assert_eq!(input.stream_name.as_deref(), Some("a"));
    }

    #[test]
    fn whatever_another_writer_writes_is_read_or_refused(item in items()) {
        let mut bytes = Vec::new();
        ciborium::into_writer(&item, &mut bytes).unwrap();
        if let Err(fault) = document(bytes) {
            prop_assert!(!matches!(fault, Fault::Malformed | Fault::Deep), "{:?}", item);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..60), begin in 0..4usize, change in any::<(usize, u8)>(),
    ) {
        let begins = [&b""[..], b"\xbf", b"\xa2\x64Tags\xbf", b"\xa1\x67Records\x9f\xa1\x64Data"];
        bytes.splice(0..0, begins[begin].iter().copied());
        if !bytes.is_empty() {
            let at = change.0 % bytes.len();
            bytes[at] = change.1;
        }
        if document(bytes.clone()).is_ok() && !bytes.is_empty() {
            prop_assert!(ciborium::from_reader::<ciborium::Value, _>(&bytes[..]).is_ok(), "{:x?}", bytes);
        }
    }

    #[test]
    fn whatever_is_written_reads_back(
        text in ".{0,300}", numbers in proptest::collection::vec(any::<i32>(), 0..30), weight in any::<f32>(),
        millis in -1_000_000_000_000i64..10_000_000_000_000, value in any::<f64>(), data in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let record = |number: i32| Record {
            data: Some(data.clone().into()),
            arrived_at: Some(Timestamp(millis)),
            is_last: Some(number % 2 == 0),
            number: Some(number),
        };
        let written = PutRecordInput {
            stream_name: Some(text.as_str().into()),
            records: Some(numbers.iter().map(|number| record(*number)).collect()),
            tags: Some(Map(numbers.iter().enumerate().map(|(at, n)| (format!("{at}").into(), n.to_string().into())).collect())),
            weight: Some(weight),
            nested: Some(Nested { nested: Some(Box::new(Nested { nested: None, value: Some(value) })), value: None }),
        };
        for dialect in [Dialect::Amz11, Dialect::RpcV2] {
            // It is only read in production; the answer has the same members.
            let output = crate::fixtures::streams::shapes::PutRecordOutput {
                records: written.records.clone(), count: Some(i64::from(i32::MAX) * 2), tags: written.tags.clone(), nested: written.nested.clone(),
            };
            let mut writer = Writer::new(dialect);
            writer.structure(&output);
            let bytes = Bytes::from(writer.finish());
            let read: PutRecordInput = Reader::new(&bytes, dialect).document().unwrap();
            let expected = PutRecordInput { stream_name: None, weight: None, ..written.clone() };
            prop_assert_eq!(format!("{:?}", read), format!("{:?}", expected));
        }
        let mut writer = Writer::new(Dialect::RpcV2);
        writer.float(weight);
        writer.text(&text);
        let bytes = Bytes::from(writer.finish());
        let mut reader = Reader::new(&bytes, Dialect::RpcV2);
        prop_assert_eq!(f32::read_value(&mut reader).unwrap().to_bits(), weight.to_bits());
        prop_assert_eq!(reader.text().unwrap(), text.as_str());
    }
}
