//! Damaged files: every changed byte is reported with its file, and nothing but what it hit is lost.

use std::sync::{Arc, LazyLock};

use journal::engines::Memory;
use kernel::Time;
use posthaste_retained::{From, Limits, New, Options, Retention, Series, Storage, Store, check_storage};
use proptest::prelude::*;

/// Only read.
static SOUND: LazyLock<Arc<dyn Storage>> = LazyLock::new(store);

const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };

fn options() -> Options {
    Options { segment_bytes: 6000, id: 7, durable: true }
}

/// A store of 60 groups with two series in two classes, orderly closed.
fn store() -> Arc<dyn Storage> {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut writer = Store::open(storage.clone(), &options()).unwrap().writer;
    for i in 1..=60u64 {
        let tail = vec![i as u8; 200];
        let new = |series, days| New {
            series: Series(series),
            sequence: i,
            time: Time(i),
            retention: Retention::days(days),
            head: b"",
            tail: &tail,
        };
        writer.append(&mut [new(1, 1), new(2, 90)]).unwrap();
        writer.sync().unwrap();
        while writer.tidy(Time(0)).unwrap() {}
    }
    writer.close().unwrap();
    storage
}

fn copy(from: &Arc<dyn Storage>) -> Arc<dyn Storage> {
    let to = Memory::new();
    for name in from.list().unwrap() {
        let file = from.open(&name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        to.create(&name).unwrap().write_at(&[&bytes], 0).unwrap();
    }
    Arc::new(to)
}

#[test]
fn every_changed_byte_is_reported_and_costs_little() {
    let sound = store();
    let report = check_storage(sound.clone()).unwrap();
    assert_eq!((report.damage, report.torn), (vec![], vec![]));
    for name in sound.list().unwrap().iter().filter(|name| name.contains('-')) {
        let file = sound.open(name).unwrap();
        let mut end = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut end, 0).unwrap();
        let used = end.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1) as u64;
        for at in (0..used).step_by(37) {
            let storage = copy(&sound);
            let file = storage.open(name).unwrap();
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            file.write_at(&[&[byte[0] ^ 0x10]], at).unwrap();
            let report = check_storage(storage.clone()).unwrap();
            let told = report.damage.iter().chain(&report.torn).any(|damage| &damage.file == name)
                || report.warnings.iter().any(|warning| warning.contains(name.as_str()));
            assert!(told, "{name}, byte {at}: {report:?}");
            let Store { mut writer, recovered } = Store::open(storage.clone(), &options()).unwrap();
            let reader = writer.reader();
            let mut missing = 0;
            let mut damage = recovered.damage.len() + recovered.cuts.len();
            for series in [1, 2] {
                let page = reader.forwards(Series(series), From::Sequence(0), ALL).unwrap();
                for record in &page.records {
                    assert_eq!(record.tail, vec![record.sequence as u8; 200]);
                }
                missing += 60 - page.records.len();
                damage += page.damage.len();
                let page = reader.backwards(Series(series), None, ALL).unwrap();
                assert!(page.records.is_sorted_by(|one, next| one.sequence > next.sequence));
            }
            assert!(missing == 0 || damage > 0, "{name}, byte {at}: {missing} missing in silence");
            // A page of an index has all of a segment here. Nothing else costs more than a record, or the
            // last group.
            assert!(missing <= if name.ends_with("spans") { 60 } else { 2 }, "{name}, byte {at}: {missing}");
            // The series go on, and what can be made again is.
            let next = New {
                series: Series(1),
                sequence: 61,
                time: Time(61),
                retention: Retention::days(1),
                head: b"",
                tail: b"more",
            };
            assert_eq!(writer.append(&mut [next]).unwrap().skipped, 0);
            writer.sync().unwrap();
            while writer.tidy(Time(0)).unwrap() {}
            if name.ends_with("spans") {
                writer.close().unwrap();
            }
        }
    }
}

#[test]
fn a_missing_file_is_reported_and_the_rest_serves() {
    let sound = store();
    for name in sound.list().unwrap().iter().filter(|name| name.contains('-') && !name.starts_with("15")) {
        let storage = copy(&sound);
        storage.remove(name).unwrap();
        let store = Store::open(storage, &options()).unwrap();
        let page = store.writer.reader().forwards(Series(1), From::Sequence(0), ALL).unwrap();
        assert!(page.records.len() >= 30);
        if name.ends_with(".seg") {
            assert!(!store.recovered.damage.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_manifest_is_made_again_from_the_frames() {
    let sound = store();
    for change in [None, Some(20)] {
        let storage = copy(&sound);
        match change {
            None => storage.remove("MANIFEST").unwrap(),
            Some(at) => storage.open("MANIFEST").unwrap().write_at(&[b"?"], at).unwrap(),
        }
        let other = Options { id: 99, ..options() };
        let store = Store::open(storage.clone(), &other).unwrap();
        assert_eq!((store.recovered.damage, store.recovered.warnings.len()), (vec![], 1));
        assert_eq!(store.writer.reader().last_sequence(Series(2)).unwrap(), Some(60));
        drop(store.writer);
        assert_eq!(Store::open(storage, &other).unwrap().recovered.warnings, [""; 0]);
    }
}

#[test]
fn a_newer_version_is_refused() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new());
    let mut text = "posthaste retained\nversion 2\nwhatever that holds\n".to_owned();
    text += &format!("checksum {:08x}\n", crc32c::crc32c(text.as_bytes()));
    storage.create("MANIFEST").unwrap().write_at(&[text.as_bytes()], 0).unwrap();
    let error = Store::open(storage, &options()).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// As the fuzz target `retained_segments`.
    #[test]
    fn overwritten_files_are_never_misread(
        name in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        patch in prop::collection::vec(any::<u8>(), 1..80),
        moved in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let storage = copy(&SOUND);
        let mut names: Vec<String> = storage.list().unwrap();
        names.retain(|name| name.contains('-') && !name.starts_with("15"));
        names.sort();
        let name: &String = name.get(&names);
        let file = storage.open(name).unwrap();
        let at = place.index(file.len().unwrap() as usize) as u64;
        let mut patch = patch;
        if let Some((other, from)) = moved {
            // Valid bytes in a wrong place.
            let other = storage.open(other.get::<String>(&names)).unwrap();
            patch = vec![0; 500];
            let read = other.read_at(&mut patch, from.index(other.len().unwrap() as usize) as u64).unwrap();
            patch.truncate(read);
        }
        file.write_at(&[&patch], at).unwrap();
        let report = check_storage(storage.clone()).unwrap();
        let Store { mut writer, recovered } = Store::open(storage.clone(), &options()).unwrap();
        let (mut missing, mut damage) = (0, recovered.damage.len() + recovered.cuts.len());
        for series in [1, 2] {
            for (page, forwards) in [
                (writer.reader().forwards(Series(series), From::Sequence(0), ALL).unwrap(), true),
                (writer.reader().backwards(Series(series), None, ALL).unwrap(), false),
            ] {
                let sequences: Vec<u64> = page.records.iter().map(|record| record.sequence).collect();
                assert!(sequences.is_sorted_by(|one, next| (one < next) == forwards && one != next));
                for record in &page.records {
                    assert_eq!(record.tail, vec![record.sequence as u8; 200]);
                }
                missing += 60 - page.records.len();
                damage += page.damage.len();
            }
        }
        assert!(missing == 0 || damage > 0, "{missing} missing in silence: {report:?}");
        while writer.tidy(Time(0)).unwrap_or(false) {}
    }
}
