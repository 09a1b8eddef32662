//! A log from its creation through a restart.

use std::io;
use std::sync::Arc;

use posthaste_journal::engines::{Files, Memory};
use posthaste_journal::{Class, Extent, File, Journal, Options, Place, Space, Storage, Time};

fn options() -> Options {
    Options { segment_bytes: 4096, log_id: 7, ..Options::default() }
}

fn each(test: impl Fn(Arc<dyn Storage>)) {
    test(Arc::new(Memory::new()));
    let directory = tempfile::tempdir().unwrap();
    test(Arc::new(Files::open(directory.path()).unwrap()));
}

/// The result of the two passes: class, head, tail length, extent.
fn contents(journal: &mut Journal) -> Vec<(Class, Vec<u8>, u32, Extent)> {
    let mut all = Vec::new();
    journal
        .configuration(|entry| all.push((entry.class, entry.head.to_vec(), entry.tail_len, entry.extent)))
        .unwrap();
    journal.flow(|entry| all.push((entry.class, entry.head.to_vec(), entry.tail_len, entry.extent))).unwrap();
    all
}

#[test]
fn a_log_reads_back_as_it_was_written_over_many_segments() {
    each(|storage| {
        let journal = Journal::open(storage.clone(), &options()).unwrap();
        assert_eq!(journal.recovered().end, Place::new(1, 0));
        let mut appender = journal.appender();
        let mut writer = journal.into_writer();
        let mut extents = Vec::new();
        for i in 0..100u8 {
            let class = if i % 10 == 0 { Class::Configuration } else { Class::Flow };
            extents.push(appender.push(
                class,
                |out| out.extend_from_slice(&[i, i]),
                &vec![i; i as usize * 5],
            ));
            if i % 3 == 0 {
                let mut batch = appender.take(Time(i.into()), writer.durable(), u64::from(i) * 2).unwrap();
                assert_eq!(writer.write(&mut batch).unwrap(), batch.end);
                appender.recycle(batch);
                if i % 2 == 0 {
                    writer.sync().unwrap();
                    assert_eq!(writer.tidy().unwrap(), Space::Ok);
                }
            }
        }
        let reader = writer.reader();
        let all = reader.read_many(&extents.iter().rev().copied().collect::<Vec<_>>());
        for (i, record) in all.into_iter().rev().enumerate() {
            let record = record.unwrap();
            assert_eq!((&record.head[..], record.tail.len()), (&[i as u8; 2][..], i * 5));
            assert!(record.tail.iter().all(|&byte| byte == i as u8));
            assert_eq!(reader.read(extents[i]).unwrap(), record);
        }
        let end = appender.end();
        drop(writer);

        for _ in 0..2 {
            let mut journal = Journal::open(storage.clone(), &options()).unwrap();
            let recovered = journal.recovered().clone();
            assert_eq!((recovered.end, recovered.durable), (end, end));
            assert_eq!((recovered.now, recovered.counter), (Time(99), 198));
            assert_eq!((recovered.cut, recovered.warnings), (None, vec![]));
            assert!(recovered.segments.len() > 5);
            let expected = |class: Class| {
                let of_class = move |i: &u8| i.is_multiple_of(10) == (class == Class::Configuration);
                let extents = &extents;
                (0..100u8)
                    .filter(of_class)
                    .map(move |i| (class, vec![i, i], u32::from(i) * 5, extents[i as usize]))
            };
            let expected: Vec<_> = expected(Class::Configuration).chain(expected(Class::Flow)).collect();
            assert_eq!(contents(&mut journal), expected);
        }
    });
}

#[test]
fn a_dropped_segment_stays_dropped_and_its_file_is_written_again() {
    each(|storage| {
        let journal = Journal::open(storage.clone(), &options()).unwrap();
        let mut appender = journal.appender();
        let mut writer = journal.into_writer();
        let mut extents = Vec::new();
        for _ in 0..20 {
            extents.push(appender.push(Class::Flow, |_| {}, &[1; 1000]));
            let mut batch = appender.take(Time(1), writer.durable(), 5).unwrap();
            writer.write(&mut batch).unwrap();
            writer.sync().unwrap();
            writer.tidy().unwrap();
        }
        let reader = writer.reader();
        writer.discard(1).unwrap();
        writer.discard(3).unwrap();
        assert!(matches!(reader.read(extents[0]), Err(posthaste_journal::ReadError::Gone)));
        assert!(writer.discard(appender.segment()).is_err(), "the newest segment carries the numbers");
        for _ in 0..9 {
            extents.push(appender.push(Class::Flow, |_| {}, &[2; 1000]));
            let mut batch = appender.take(Time(1), writer.durable(), 5).unwrap();
            writer.write(&mut batch).unwrap();
        }
        writer.sync().unwrap();
        drop(writer);
        let mut journal = Journal::open(storage.clone(), &options()).unwrap();
        let segments: Vec<u32> = journal.recovered().segments.iter().map(|segment| segment.number).collect();
        assert_eq!(segments, [2, 4, 5, 6, 7, 8, 9, 10]);
        assert_eq!(contents(&mut journal).len(), 29 - 6);
    });
}

#[test]
fn a_survey_shows_a_full_segment_from_its_index_or_without_one() {
    each(|storage| {
        let journal = Journal::open(storage.clone(), &options()).unwrap();
        let mut appender = journal.appender();
        let mut writer = journal.into_writer();
        let mut first = Vec::new();
        for i in 0..12u8 {
            let class = if i % 2 == 0 { Class::Flow } else { Class::Configuration };
            let extent = appender.push(class, |out| out.push(i), &[i; 700]);
            if extent.place.segment() == 1 {
                first.push((class, vec![i], 700, extent));
            }
            writer.write(&mut appender.take(Time(1), writer.durable(), 5).unwrap()).unwrap();
        }
        first.sort_by_key(|&(class, _, _, extent)| (class, extent.place));
        writer.sync().unwrap();
        let survey = || {
            let mut all = Vec::new();
            let seen = |entry: posthaste_journal::Entry<'_>| {
                all.push((entry.class, entry.head.to_vec(), entry.tail_len, entry.extent));
            };
            writer.reader().survey(1, seen).unwrap();
            all
        };
        assert_eq!(storage.open("00000001.idx").err().map(|e| e.kind()), Some(std::io::ErrorKind::NotFound));
        assert_eq!(survey(), first);
        let mut writer = writer;
        writer.tidy().unwrap();
        let mut all = Vec::new();
        writer.reader().survey(1, |entry| all.push(entry.extent)).unwrap();
        assert_eq!(all, first.iter().map(|record| record.3).collect::<Vec<_>>());
        // The reader does not trust a damaged index.
        storage.open("00000001.idx").unwrap().write_at(&[b"xxx"], 90).unwrap();
        let mut again = Vec::new();
        writer.reader().survey(1, |entry| again.push(entry.extent)).unwrap();
        assert_eq!(again, all);
        // A survey of an incomplete segment does not claim to be complete.
        let frame = first.last().unwrap().3.place.offset() - 64;
        for offset in [frame, frame + 100] {
            let file = storage.open("00000001.log").unwrap();
            let mut good = [0; 1];
            file.read_at(&mut good, u64::from(offset)).unwrap();
            file.write_at(&[b"?"], u64::from(offset)).unwrap();
            assert!(matches!(writer.reader().survey(1, |_| {}), Err(posthaste_journal::Error::Damaged(_))));
            file.write_at(&[&good], u64::from(offset)).unwrap();
        }
    });
}

#[test]
fn records_read_together_come_in_the_order_asked_for_and_a_wrong_extent_is_damage() {
    each(|storage| {
        let journal = Journal::open(storage, &options()).unwrap();
        let mut appender = journal.appender();
        let mut writer = journal.into_writer();
        let extents: Vec<Extent> =
            (0..30u8).map(|i| appender.push(Class::Flow, |out| out.push(i), &[i; 300])).collect();
        writer.write(&mut appender.take(Time(1), Place::default(), 5).unwrap()).unwrap();
        let asked = [extents[29], extents[0], extents[15], extents[0], extents[1]];
        let reader = writer.reader();
        let tails = |records: Vec<Result<posthaste_journal::Record, _>>| {
            let records: Result<Vec<_>, posthaste_journal::ReadError> = records.into_iter().collect();
            records.unwrap().iter().map(|record| record.head[0]).collect::<Vec<_>>()
        };
        assert_eq!(tails(reader.read_many(&asked)), [29, 0, 15, 0, 1]);
        assert_eq!(tails(reader.try_read_many(&asked).unwrap()), [29, 0, 15, 0, 1]);
        let wrong = Extent { len: extents[0].len + 8, ..extents[0] };
        assert!(matches!(reader.read(wrong), Err(posthaste_journal::ReadError::Damaged(_))));
        let beyond = Extent { place: Place::new(1, 1 << 30), len: 20 };
        assert!(matches!(reader.read(beyond), Err(posthaste_journal::ReadError::Damaged(_))));
        let nowhere = Extent { place: Place::new(99, 0), len: 20 };
        let read = reader.read_many(&[extents[3], nowhere]);
        assert!(read[0].is_ok() && matches!(read[1], Err(posthaste_journal::ReadError::Gone)));
    });
}

/// Storage with a bad sector in its first segment.
struct Rotten(Memory, std::ops::Range<u64>);

struct RottenFile(Arc<dyn File>, std::ops::Range<u64>);

impl Storage for Rotten {
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let bad = if name == "00000001.log" { self.1.clone() } else { 0..0 };
        Ok(Arc::new(RottenFile(self.0.open(name)?, bad)))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.0.create(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
}

impl File for RottenFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn reserve(&self, len: u64) -> io::Result<()> {
        self.0.reserve(len)
    }
    fn write_at(&self, buffers: &[&[u8]], offset: u64) -> io::Result<()> {
        self.0.write_at(buffers, offset)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.1.start < offset + buffer.len() as u64 && offset < self.1.end {
            // EIO, which Linux returns for an unreadable sector.
            return Err(io::Error::from_raw_os_error(5));
        }
        self.0.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn a_sector_that_cannot_be_read_is_the_damage_of_one_record_and_not_of_its_neighbours() {
    let storage = Arc::new(Rotten(Memory::new(), 1500..1600));
    let journal = Journal::open(storage, &Options { segment_bytes: 64 << 10, ..options() }).unwrap();
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    let extents: Vec<Extent> =
        (0..10u8).map(|i| appender.push(Class::Flow, |out| out.push(i), &[i; 300])).collect();
    writer.write(&mut appender.take(Time(1), Place::new(1, 0), 5).unwrap()).unwrap();
    let reader = writer.reader();
    for read in [reader.read_many(&extents), reader.try_read_many(&extents).unwrap()] {
        for (extent, record) in extents.iter().zip(read) {
            let is_bad = extent.place.offset() < 1600 && extent.place.offset() + extent.len > 1500;
            match record {
                Ok(_) => assert!(!is_bad, "{extent:?}"),
                Err(posthaste_journal::ReadError::Damaged(damage)) => {
                    assert!(is_bad && damage.offset == u64::from(extent.place.offset()), "{damage}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
