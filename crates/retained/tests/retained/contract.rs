//! What a store promises, on every storage engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use journal::engines::{FaultyDisk, Files, Memory};
use kernel::{Dice, Time};
use posthaste_retained::{
    Cursor, From, Limits, New, Options, Reader, Retention, Rule, Series, Storage, Store, Writer,
    check_storage,
};

const ALL: Limits = Limits { records: usize::MAX, bytes: usize::MAX };
const DAY: u64 = 86_400_000;

fn each(test: impl Fn(Arc<dyn Storage>)) {
    test(Arc::new(Memory::new()));
    test(Arc::new(FaultyDisk::new(Dice::from_seed(1))));
    let directory = tempfile::tempdir().unwrap();
    test(Arc::new(Files::open(directory.path()).unwrap()));
}

fn options() -> Options {
    Options { segment_bytes: 8 << 10, id: 7, durable: true }
}

fn open(storage: &Arc<dyn Storage>) -> Writer {
    let store = Store::open(storage.clone(), &options()).unwrap();
    assert_eq!(store.recovered.damage, []);
    store.writer
}

fn record(series: u64, sequence: u64, days: u32, tail: &[u8]) -> New<'_> {
    New {
        series: Series(series),
        sequence,
        time: Time(sequence * 1000),
        retention: Retention::days(days),
        head: b"head",
        tail,
    }
}

fn append(writer: &mut Writer, records: &[New<'_>]) -> u64 {
    writer.append(&mut records.to_vec()).unwrap().group
}

fn tidy(writer: &mut Writer, now: u64) {
    while writer.tidy(Time(now)).unwrap() {}
}

fn sequences(reader: &Reader, series: u64) -> Vec<u64> {
    let page = reader.forwards(Series(series), From::Sequence(0), ALL).unwrap();
    assert_eq!((page.damage, page.next), (vec![], None));
    page.records.iter().map(|record| record.sequence).collect()
}

#[test]
fn a_series_is_read_from_anywhere_across_segments_and_restarts() {
    each(|storage| {
        let mut writer = open(&storage);
        let payload = [5; 300];
        for i in 0..200u64 {
            let records =
                [record(1, i * 2 + 1, 3, &payload), record(2, i + 1, 3, b""), record(3 + i, 1, 300, b"x")];
            assert_eq!(append(&mut writer, &records), i + 1);
            if i % 10 == 9 {
                assert_eq!(writer.sync().unwrap(), i + 1);
                tidy(&mut writer, 0);
            }
        }
        for round in 0..2 {
            let reader = writer.reader();
            assert_eq!(sequences(&reader, 1), (0..200).map(|i| i * 2 + 1).collect::<Vec<_>>());
            assert_eq!(sequences(&reader, 2), (1..=200).collect::<Vec<_>>());
            assert_eq!(sequences(&reader, 100), [1]);
            assert_eq!(sequences(&reader, 1000), []);
            let page =
                reader.forwards(Series(1), From::Time(Time(101_500)), Limits { records: 2, bytes: 9999 });
            let page = page.unwrap();
            assert_eq!(page.records.iter().map(|r| r.sequence).collect::<Vec<_>>(), [103, 105]);
            assert_eq!((page.next, &page.records[0].tail[..]), (Some(107), &payload[..]));
            assert_eq!(&page.records[0].head[..], b"head");
            let page = reader.backwards(Series(2), Some(150), Limits { records: 3, bytes: 9999 }).unwrap();
            assert_eq!(page.records.iter().map(|r| r.sequence).collect::<Vec<_>>(), [149, 148, 147]);
            assert_eq!(page.next, Some(147));
            assert_eq!(reader.series(Series(2), 3), [2, 3, 4].map(Series));
            assert_eq!(reader.last_sequence(Series(1)).unwrap(), Some(399));
            if round == 0 {
                writer.close().unwrap();
                writer = open(&storage);
            }
        }
        let report = check_storage(storage).unwrap();
        assert_eq!((report.damage, report.torn), (vec![], vec![]));
        assert!(report.segments.iter().filter(|segment| segment.sealed).count() > 5);
        assert_eq!(report.segments.iter().map(|segment| segment.records).sum::<u64>(), 600);
    });
}

#[test]
fn a_reader_on_another_thread_follows_the_writer() {
    each(|storage| {
        let mut writer = open(&storage);
        let reader = writer.reader();
        let follower = std::thread::spawn(move || {
            let mut next = 1;
            while next <= 300 {
                let page = reader.forwards(Series(1), From::Sequence(next), ALL).unwrap();
                assert_eq!(page.damage, []);
                for record in page.records {
                    assert_eq!((record.sequence, &record.tail[..]), (next, &next.to_le_bytes()[..]));
                    next += 1;
                }
            }
        });
        for i in 1..=300u64 {
            append(&mut writer, &[record(1, i, 1, &i.to_le_bytes())]);
            if i % 20 == 0 {
                writer.sync().unwrap();
                tidy(&mut writer, 0);
            }
        }
        follower.join().unwrap();
    });
}

#[test]
fn segments_go_when_all_in_them_has_passed_and_not_before() {
    each(|storage| {
        let mut writer = open(&storage);
        let payload = [1; 500];
        for i in 1..=100 {
            append(&mut writer, &[record(1, i, 1, &payload), record(2, i, 2, &payload)]);
        }
        writer.sync().unwrap();
        tidy(&mut writer, DAY);
        assert_eq!(sequences(&writer.reader(), 1).len(), 100);
        tidy(&mut writer, DAY + 101_000);
        assert_eq!(sequences(&writer.reader(), 1), []);
        assert_eq!(sequences(&writer.reader(), 2).len(), 100);
        tidy(&mut writer, 2 * DAY + 101_000);
        assert_eq!(writer.reader().series(Series(0), 9), []);
        let names: Vec<String> = storage.list().unwrap();
        assert!(names.iter().filter(|name| name.ends_with(".seg")).count() <= 3, "{names:?}");
        // Numbers are not used again.
        append(&mut writer, &[record(1, 101, 1, &payload)]);
        writer.close().unwrap();
        let writer = open(&storage);
        assert_eq!(sequences(&writer.reader(), 1), [101]);
    });
}

#[test]
fn rules_change_how_long_a_series_is_kept_and_outlive_restarts() {
    each(|storage| {
        let mut writer = open(&storage);
        let payload = [1; 500];
        for i in 1..=60 {
            append(
                &mut writer,
                &[record(1, i, 1, &payload), record(2, i, 1, &payload), record(3, i, 1, &payload)],
            );
        }
        writer
            .set_rules(&[
                (Series(1), Rule::Keep(Retention::days(9))),
                (Series(3), Rule::Delete),
                (Series(99), Rule::Delete),
            ])
            .unwrap();
        writer.close().unwrap();
        let mut writer = open(&storage);
        assert_eq!(sequences(&writer.reader(), 3), []);
        assert_eq!(writer.append(&mut [record(3, 61, 1, b"")]).unwrap().skipped, 1);
        writer.sync().unwrap();
        tidy(&mut writer, 5 * DAY);
        assert_eq!(sequences(&writer.reader(), 1).len(), 60);
        writer.set_rules(&[(Series(1), Rule::Keep(Retention::days(1)))]).unwrap();
        writer.sync().unwrap();
        tidy(&mut writer, 5 * DAY);
        assert_eq!(writer.reader().series(Series(0), 9), []);
    });
}

#[test]
fn rules_in_effect_survive_their_segments() {
    each(|storage| {
        let mut writer = open(&storage);
        for series in 1..=400 {
            append(&mut writer, &[record(series, 1, 50, b"x")]);
        }
        for round in 0..4u32 {
            for series in 1..=400 {
                let rule =
                    if series % 2 == 0 { Rule::Delete } else { Rule::Keep(Retention::days(51 + round)) };
                writer.set_rules(&[(Series(series), rule)]).unwrap();
            }
            writer.sync().unwrap();
            tidy(&mut writer, 0);
            writer.sync().unwrap();
            tidy(&mut writer, 0);
        }
        let rules = |names: Vec<String>| names.iter().filter(|name| name.starts_with("15-")).count();
        assert!(rules(storage.list().unwrap()) <= 6, "{:?}", storage.list());
        writer.close().unwrap();
        let writer = open(&storage);
        let kept: Vec<Series> = (1..=400).filter(|series| series % 2 == 1).map(Series).collect();
        assert_eq!(writer.reader().series(Series(0), 1000), kept);
    });
}

#[test]
fn a_group_that_is_too_long_is_refused_and_changes_nothing() {
    each(|storage| {
        let mut writer = open(&storage);
        let long = vec![7; 3 << 20];
        let error = writer.append(&mut [record(1, 1, 1, &long), record(1, 2, 1, &long)]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert_eq!(append(&mut writer, &[record(1, 1, 1, &long)]), 1);
        assert_eq!(append(&mut writer, &[record(1, 2, 1, &long)]), 2);
        writer.close().unwrap();
        let writer = open(&storage);
        let page =
            writer.reader().forwards(Series(1), From::Sequence(0), Limits { records: 9, bytes: 1 }).unwrap();
        assert_eq!((page.records.len(), page.next), (1, Some(2)));
        assert_eq!(page.records[0].tail, long);
    });
}

#[test]
fn series_are_listed_by_time_across_open_and_sealed_segments() {
    each(|storage| {
        let mut writer = open(&storage);
        for i in 1..=300u64 {
            append(&mut writer, &[record(1000 - i, i, 9, &[1; 60]), record(5, i, 90, b"")]);
        }
        writer.set_rules(&[(Series(900), Rule::Delete)]).unwrap();
        writer.sync().unwrap();
        tidy(&mut writer, 0);
        let reader = writer.reader();
        for (from, to) in [(0, 999_000), (50_000, 150_000), (299_500, 400_000), (0, 500)] {
            let (mut found, mut cursor, mut calls) = (Vec::new(), Some(Cursor::default()), 0);
            while let Some(at) = cursor {
                let (more, next) = reader.between(Time(from), Time(to), at).unwrap();
                found.extend(more.iter().map(|found| found.series.0));
                (cursor, calls) = (next, calls + 1);
            }
            found.sort_unstable();
            found.dedup();
            let due = (1..=300).filter(|i| (from..=to).contains(&(i * 1000)) && *i != 100).map(|i| 1000 - i);
            let mut expected: Vec<u64> = due.collect();
            if !expected.is_empty() {
                expected.push(5);
            }
            expected.sort_unstable();
            assert_eq!(found, expected);
            assert!(calls <= expected.len() / 10 + 10, "{calls} calls");
        }
    });
}

#[test]
fn a_full_disk_takes_rules_and_drops_and_then_has_room() {
    let disk = FaultyDisk::new(Dice::from_seed(1));
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let mut writer = open(&storage);
    let payload = [1; 900];
    for i in 1..=60 {
        append(&mut writer, &[record(1, i, 1, &payload), record(2, i, 9, &payload)]);
    }
    writer.sync().unwrap();
    tidy(&mut writer, 0);
    disk.leave_room(Some(0));
    let mut next = 61;
    while writer.append(&mut [record(2, next, 9, &payload)]).is_ok() {
        next += 1;
    }
    assert!(writer.is_full());
    writer.set_rules(&[(Series(2), Rule::Delete)]).unwrap();
    writer.sync().unwrap();
    let readers_do = sequences(&writer.reader(), 1);
    assert_eq!(readers_do.len(), 60);
    tidy(&mut writer, 0);
    assert_eq!(append(&mut writer, &[record(3, 1, 9, &payload)]), writer.written());
    assert!(!writer.is_full());
    writer.close().unwrap();
    let writer = open(&storage);
    assert_eq!((sequences(&writer.reader(), 2), sequences(&writer.reader(), 3)), (vec![], vec![1]));
}

#[test]
fn readers_are_not_disturbed_by_seals_and_drops() {
    each(|storage| {
        let mut writer = open(&storage);
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2u64)
            .map(|seed| {
                let (reader, done) = (writer.reader(), done.clone());
                std::thread::spawn(move || {
                    let (mut dice, mut seen) = (Dice::from_seed(seed), 0);
                    while !done.load(Ordering::Relaxed) || seen == 0 {
                        let series = Series(1 + dice.roll() % 3);
                        let page = if dice.roll() % 2 == 0 {
                            reader.forwards(series, From::Sequence(0), ALL).unwrap()
                        } else {
                            reader.clone().passing().backwards(series, None, ALL).unwrap()
                        };
                        assert_eq!(page.damage, []);
                        for record in &page.records {
                            assert_eq!(record.tail, [record.sequence as u8; 400][..]);
                        }
                        seen += page.records.len();
                        reader.between(Time(0), Time(u64::MAX), Cursor::default()).unwrap();
                    }
                })
            })
            .collect();
        for i in 1..=400u64 {
            let payload = [i as u8; 400];
            let mut records = [1, 2, 3].map(|series| record(series, i, series as u32, &payload));
            // A day passes with each record.
            records.iter_mut().for_each(|record| record.time = Time(i * DAY));
            append(&mut writer, &records);
            if i % 5 == 0 {
                writer.sync().unwrap();
                tidy(&mut writer, i * DAY);
            }
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert!(sequences(&writer.reader(), 3).len() < 60);
    });
}

#[test]
fn a_full_disk_is_freed_although_no_segment_is_full() {
    let disk = FaultyDisk::new(Dice::from_seed(1));
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let mut writer = open(&storage);
    let payload = [1; 900];
    append(&mut writer, &[record(1, 1, 9, &payload), record(2, 1, 90, &payload), record(3, 1, 1, &payload)]);
    writer.sync().unwrap();
    let before = disk.used();
    disk.leave_room(Some(0));
    writer.set_rules(&[(Series(1), Rule::Delete)]).unwrap();
    writer.sync().unwrap();
    tidy(&mut writer, DAY + 5000);
    assert!(disk.used() < before - 10_000, "{} of {before}", disk.used());
    assert_eq!(writer.reader().series(Series(0), 9), [Series(2)]);
    append(&mut writer, &[record(4, 1, 9, &payload)]);
    writer.close().unwrap();
    assert_eq!(open(&storage).reader().series(Series(0), 9), [2, 4].map(Series));
}

#[test]
fn space_is_reserved_to_the_byte_before_anything_is_written() {
    // Payloads of all lengths modulo eight, since frames are padded; in a class that begins, or goes on.
    for (len, begins) in (0..16).flat_map(|len| [(len, false), (len, true)]) {
        let disk = FaultyDisk::new(Dice::from_seed(1));
        let mut writer = open(&(Arc::new(disk.clone()) as Arc<dyn Storage>));
        let payload = vec![1; len + 7000];
        append(&mut writer, &[record(1, 1, if begins { 9 } else { 90 }, &payload)]);
        let mut room = 0;
        loop {
            disk.leave_room(Some(room));
            match writer.append(&mut [record(2, 1, 90, &payload)]) {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}"),
            }
            assert_eq!(writer.written(), 1);
            room += 1;
        }
        assert!(room > 1000, "{room}");
        assert_eq!(sequences(&writer.reader(), 2), [1]);
    }
}
