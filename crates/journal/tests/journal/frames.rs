//! Tests recovery with every fault that the next frame can have. The table of DESIGN.md, section 3, lists the same faults.

use std::sync::Arc;

use kernel::Dice;
use posthaste_journal::engines::FaultyDisk;
use posthaste_journal::format::{FRAME_HEADER, FrameHeader, RecordHeader, record_crc};
use posthaste_journal::{Class, Error, Journal, Options, Place, Storage, Time};

const LOG: u64 = 0x5eed;
/// The offsets of the second of the three frames and of its only record.
const SECOND: usize = 112;
const RECORD: usize = SECOND + FRAME_HEADER;

fn options() -> Options {
    Options { segment_bytes: 4096, log_id: LOG, ..Options::default() }
}

/// A segment of three frames, each with one record of 35 bytes; the last says that the others were durable if `claimed`.
fn segment(claimed: bool) -> Vec<u8> {
    let storage = FaultyDisk::new(Dice::from_seed(1));
    let journal = Journal::open(Arc::new(storage.clone()), &options()).unwrap();
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    for i in 0..3 {
        appender.push(Class::Flow, |out| out.extend_from_slice(b"abc"), &[i; 32]);
        let synced = if claimed && i == 2 { Place::new(1, 224) } else { Place::new(1, 0) };
        let mut batch = appender.take(Time(u64::from(i)), synced, 1).unwrap();
        writer.write(&mut batch).unwrap();
    }
    let mut bytes = vec![0; 4096];
    storage.open("00000001.log").unwrap().read_at(&mut bytes, 0).unwrap();
    bytes
}

fn open(segment: &[u8]) -> Result<Journal, Error> {
    let storage = FaultyDisk::new(Dice::from_seed(1));
    drop(Journal::open(Arc::new(storage.clone()), &options()).unwrap());
    let file = storage.create("00000001.log").unwrap();
    file.write_at(&[segment], 0).unwrap();
    Journal::open(Arc::new(storage), &options())
}

fn header(segment: &[u8]) -> FrameHeader {
    FrameHeader::decode(LOG, 1, &segment[SECOND..]).unwrap()
}

/// Replaces the header of the second frame, with a valid checksum.
fn set_header(bytes: &mut [u8], segment: u32, header: FrameHeader) {
    header.encode(segment, bytes[SECOND..].first_chunk_mut().unwrap());
}

type Spoil = fn(&mut Vec<u8>);

const FAULTS: &[(&str, Spoil, &str)] = &[
    ("nothing was written", |bytes| bytes[SECOND..SECOND + 112].fill(0), "no frame begins here"),
    ("the header has wrong magic bytes", |bytes| bytes[SECOND] = b'X', "no frame begins here"),
    ("the header's checksum is wrong", |bytes| bytes[SECOND + 33] ^= 1, "no frame begins here"),
    (
        "the frame belongs to another log",
        |bytes| {
            let header = FrameHeader { log_id: 1, ..header(bytes) };
            set_header(bytes, 1, header);
        },
        "no frame begins here",
    ),
    (
        "the frame belongs to another segment, left in a recycled file",
        |bytes| {
            let header = header(bytes);
            set_header(bytes, 9, header);
        },
        "no frame begins here",
    ),
    (
        "the frame's number is not the next one",
        |bytes| {
            let header = FrameHeader { sequence: 7, ..header(bytes) };
            set_header(bytes, 1, header);
        },
        "frame 7 stands where 2 should",
    ),
    (
        "the frame is longer than its file",
        |bytes| {
            let header = FrameHeader { payload: 5000, ..header(bytes) };
            set_header(bytes, 1, header);
        },
        "the file ends inside the frame",
    ),
    (
        "a record's class is unknown",
        |bytes| bytes[RECORD + 7] = 9,
        "the checksum of the record at offset 176 is wrong",
    ),
    (
        "a record is longer than its frame",
        |bytes| bytes[RECORD + 10] = 1,
        "the checksum of the record at offset 176 is wrong",
    ),
    (
        "a record's checksum is wrong",
        |bytes| bytes[RECORD + 20] ^= 1,
        "the checksum of the record at offset 176 is wrong",
    ),
    (
        "a record is valid but not the one the frame was written with",
        |bytes| {
            bytes[RECORD + 20] ^= 1;
            let crc = record_crc(Place::new(1, RECORD as u32), &bytes[RECORD..RECORD + 47]);
            bytes[RECORD..RECORD + 4].copy_from_slice(&crc.to_le_bytes());
            assert!(
                RecordHeader::verify(Place::new(1, RECORD as u32), &bytes[RECORD..RECORD + 47]).is_some()
            );
        },
        "the frame's records are not those it was written with",
    ),
    (
        "the frame has more or fewer records than its header says",
        |bytes| {
            let header = FrameHeader { records: 2, ..header(bytes) };
            set_header(bytes, 1, header);
        },
        "the frame's records are not those it was written with",
    ),
    (
        "the padding is not zero",
        |bytes| bytes[SECOND + 111] = 1,
        "the frame's records are not those it was written with",
    ),
];

#[test]
fn an_invalid_frame_ends_the_log_if_nothing_proves_that_it_was_durable() {
    for (name, spoil, why) in FAULTS {
        let mut bytes = segment(false);
        spoil(&mut bytes);
        let mut journal = open(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let recovered = journal.recovered();
        assert_eq!((recovered.end, recovered.last_sequence), (Place::new(1, 112), 1), "{name}");
        let cut = recovered.cut.as_ref().unwrap_or_else(|| panic!("{name}: nothing was cut off"));
        assert_eq!((cut.at, &cut.why[..]), (Place::new(1, 112), *why), "{name}");
        let mut records = 0;
        journal.flow(|_| records += 1).unwrap();
        assert_eq!(records, 1, "{name}");
    }
}

#[test]
fn an_invalid_frame_is_damage_if_a_later_frame_proves_that_it_was_durable() {
    for (name, spoil, why) in FAULTS {
        let mut bytes = segment(true);
        spoil(&mut bytes);
        match open(&bytes) {
            Err(Error::Damaged(damage)) => {
                assert_eq!((&damage.file[..], damage.offset), ("00000001.log", 112), "{name}");
                assert!(damage.what.contains(why), "{name}: {damage}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn a_body_that_looks_like_a_frame_is_not_taken_for_one() {
    // A client may know the format and guess everything but the log's random number.
    let storage = FaultyDisk::new(Dice::from_seed(1));
    let journal = Journal::open(Arc::new(storage.clone()), &options()).unwrap();
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    let forged = FrameHeader {
        payload: 0,
        records: 0,
        log_id: 12345,
        sequence: 99,
        now: 0,
        synced: Place::new(1, 4000),
        counter: 0,
        records_crc: 0,
    };
    let mut body = [0; FRAME_HEADER];
    forged.encode(1, &mut body);
    // The body lies at a place where a frame could begin.
    appender.push(Class::Flow, |out| out.extend_from_slice(b"1234"), &body);
    let mut batch = appender.take(Time(1), Place::new(1, 0), 1).unwrap();
    assert_eq!(batch.pieces[0].bytes.len(), FRAME_HEADER + 16 + FRAME_HEADER);
    writer.write(&mut batch).unwrap();
    let mut bytes = vec![0; 4096];
    storage.open("00000001.log").unwrap().read_at(&mut bytes, 0).unwrap();
    // The write was torn: the header of the frame is lost, and only the body is left.
    bytes[..40].fill(0);
    let journal = open(&bytes).unwrap();
    assert_eq!(journal.recovered().end, Place::new(1, 0));
}
