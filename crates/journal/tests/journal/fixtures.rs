//! Directories written by earlier versions must open with every later version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use posthaste_journal::engines::Files;
use posthaste_journal::{Class, Journal, Options, Time, check};

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version)
}

#[test]
fn a_log_of_version_1_opens_with_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("v1")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    let report = check(directory.path()).unwrap();
    assert_eq!((report.damage, report.torn), (vec![], None));
    let mut journal =
        Journal::open(Arc::new(Files::open(directory.path()).unwrap()), &Options::default()).unwrap();
    let recovered = journal.recovered().clone();
    assert_eq!(recovered.segments.iter().map(|segment| segment.number).collect::<Vec<_>>(), [2, 3, 4, 5]);
    assert_eq!(
        (recovered.last_sequence, recovered.now, recovered.counter),
        (31, Time(1_700_000_000_030), 31)
    );
    let mut extents = Vec::new();
    let (mut configuration, mut flow, mut digest) = (0, 0, 0);
    journal
        .configuration(|entry| {
            configuration += 1;
            digest = crc32c::crc32c_append(digest, entry.head);
            extents.push(entry.extent);
        })
        .unwrap();
    journal
        .flow(|entry| {
            flow += 1;
            digest = crc32c::crc32c_append(digest, entry.head);
            extents.push(entry.extent);
        })
        .unwrap();
    for record in journal.reader().read_many(&extents) {
        digest = crc32c::crc32c_append(digest, &record.unwrap().tail);
    }
    assert_eq!((configuration, flow, digest), (4, 36, 0x8a18_9cfb));
}

/// Writes the fixture of this program's version. Run it once when a version is new: `cargo test -p
/// posthaste-journal write_the_fixture -- --ignored`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_fixture_of_this_version() {
    let options = Options { segment_bytes: 1500, log_id: 0x0123_4567_89ab_cdef, ..Options::default() };
    let path = fixture("v1");
    assert!(!path.exists(), "a fixture is never written again");
    let journal = Journal::open(Arc::new(Files::open(&path).unwrap()), &options).unwrap();
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    for i in 0..=30u64 {
        let class = if i % 5 == 0 { Class::Configuration } else { Class::Flow };
        appender.push(
            class,
            |out| out.extend_from_slice(format!("head {i}").as_bytes()),
            &vec![i as u8; i as usize * 7],
        );
        appender.push(Class::Flow, |out| out.push(i as u8), b"");
        let mut batch = appender.take(Time(1_700_000_000_000 + i), writer.durable(), i + 1).unwrap();
        writer.write(&mut batch).unwrap();
        writer.sync().unwrap();
        writer.tidy().unwrap();
    }
    writer.discard(1).unwrap();
    drop(writer);
    fs::remove_file(path.join("LOCK")).unwrap();
}
