//! Directories written by earlier versions must open with every later version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::engines::Files;
use kernel::Time;
use posthaste_retained::{From, Limits, New, Options, Retention, Rule, Series, Store, check};

fn fixture(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version)
}

#[test]
fn a_store_of_version_1_opens_with_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("v1")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), directory.path().join(entry.file_name())).unwrap();
    }
    let report = check(directory.path()).unwrap();
    assert_eq!((report.damage, report.torn), (vec![], vec![]));
    let store = Store::open(Arc::new(Files::open(directory.path()).unwrap()), &Options::default()).unwrap();
    assert_eq!((store.recovered.group, store.recovered.cuts, store.recovered.damage), (41, vec![], vec![]));
    let reader = store.writer.reader();
    assert_eq!(reader.series(Series(0), 99), [1, 2, 3].map(Series));
    let mut digest = 0;
    for series in 1..=3 {
        let limits = Limits { records: 99, bytes: 1 << 20 };
        let page = reader.forwards(Series(series), From::Sequence(0), limits).unwrap();
        assert_eq!(page.records.len(), 40);
        for record in page.records {
            digest = crc32c::crc32c_append(digest, &record.sequence.to_le_bytes());
            digest = crc32c::crc32c_append(digest, &record.time.millis().to_le_bytes());
            digest = crc32c::crc32c_append(digest, &record.head);
            digest = crc32c::crc32c_append(digest, &record.tail);
        }
    }
    assert_eq!(digest, 0x9e2d_bbe4);
}

/// Writes the fixture of this program's version. Run it once when a version is new: `cargo test -p
/// posthaste-retained write_the_fixture -- --ignored`.
#[test]
#[ignore = "writes into the source tree"]
fn write_the_fixture_of_this_version() {
    let path = fixture("v1");
    assert!(!path.exists(), "a fixture is never written again");
    let options = Options { segment_bytes: 4000, id: 0x0123_4567_89ab_cdef, durable: true };
    let mut writer = Store::open(Arc::new(Files::open(&path).unwrap()), &options).unwrap().writer;
    for i in 1..=40u64 {
        let (head, tail) = (format!("head {i}"), vec![i as u8; i as usize * 5]);
        let days = [1, 20, 20, 4000];
        let mut records = [1, 2, 3, 4].map(|series| New {
            series: Series(series),
            sequence: i * series,
            time: Time(1_700_000_000_000 + i),
            retention: Retention::days(days[series as usize - 1]),
            head: head.as_bytes(),
            tail: &tail,
        });
        writer.append(&mut records).unwrap();
        writer.sync().unwrap();
        while writer.tidy(Time(1_700_000_000_000 + i)).unwrap() {}
    }
    writer.set_rules(&[(Series(4), Rule::Delete), (Series(1), Rule::Keep(Retention::days(700)))]).unwrap();
    writer.close().unwrap();
    drop(writer);
    fs::remove_file(path.join("LOCK")).unwrap();
}
