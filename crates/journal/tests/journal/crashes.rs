//! Random logs and crashes at random moments: all durable data is recovered, nothing is invented, and the
//! order is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::Dice;
use posthaste_journal::engines::FaultyDisk;
use posthaste_journal::{
    Appender, Class, Effect, Error, Extent, Journal, Options, Place, Position, Storage, Time, Writer,
    check_storage, repair,
};
use proptest::prelude::*;

fn options(segment_bytes: u32) -> Options {
    Options { segment_bytes, log_id: 0x1234_5678_9abc_def0, ..Options::default() }
}

#[derive(Clone, Debug)]
enum Step {
    Push {
        class: Class,
        head: usize,
        tail: usize,
    },
    Write,
    Sync,
    Tidy,
    Discard(usize),
    /// The machine loses power; the seed decides what remains on the disk.
    Crash(u64),
    /// Only the process dies.
    Restart,
    /// The disk fails for a moment: an operation fails, and the server stops and starts again.
    Fail(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let class = prop_oneof![4 => Just(Class::Flow), 1 => Just(Class::Configuration)];
    let tail = prop_oneof![4 => 0..200usize, 1 => 0..3000usize];
    prop_oneof![
        12 => (class, 0..60usize, tail).prop_map(|(class, head, tail)| Step::Push { class, head, tail }),
        6 => Just(Step::Write),
        3 => Just(Step::Sync),
        2 => Just(Step::Tidy),
        1 => any::<usize>().prop_map(Step::Discard),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Restart),
        1 => (1..12u64).prop_map(Step::Fail),
    ]
}

#[derive(Clone, PartialEq, Debug)]
struct Known {
    class: Class,
    extent: Extent,
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// A log, and a model of its exact content.
struct World {
    storage: FaultyDisk,
    options: Options,
    appender: Appender,
    writer: Writer,
    records: Vec<Known>,
    /// Segments that were dropped permanently.
    dropped: BTreeSet<u32>,
    /// A segment whose drop was interrupted.
    dropping: Option<u32>,
    durable: Position,
    counter: u64,
    dice: Dice,
}

impl World {
    fn new(segment_bytes: u32) -> World {
        let storage = FaultyDisk::new(Dice::from_seed(1));
        let options = options(segment_bytes);
        let journal = Journal::open(Arc::new(storage.clone()), &options).unwrap();
        World {
            storage,
            options,
            appender: journal.appender(),
            writer: journal.into_writer(),
            records: Vec::new(),
            dropped: BTreeSet::new(),
            dropping: None,
            durable: Place::default(),
            counter: 0,
            dice: Dice::from_seed(9),
        }
    }

    fn run(&mut self, step: &Step) {
        let outcome = self.try_step(step);
        if outcome.is_err() {
            assert!(self.storage.has_failed(), "{step:?} failed by itself: {outcome:?}");
            // Written bytes stay visible, although not all of them are on the disk.
            self.storage.fail_in(None);
            self.recover(self.storage.clone());
        }
    }

    fn try_step(&mut self, step: &Step) -> std::io::Result<()> {
        match *step {
            Step::Push { class, head, tail } => {
                let mut bytes =
                    |len: usize| -> Vec<u8> { (0..len).map(|_| self.dice.roll() as u8).collect() };
                let (head, tail) = (bytes(head), bytes(tail));
                let extent = self.appender.push(class, |out| out.extend_from_slice(&head), &tail);
                self.records.push(Known { class, extent, head, tail });
            }
            Step::Write => {
                self.counter += 1;
                let now = Time(self.counter * 1000);
                if let Some(mut batch) = self.appender.take(now, self.writer.durable(), self.counter) {
                    self.writer.write(&mut batch)?;
                    self.appender.recycle(batch);
                }
            }
            Step::Sync => self.durable = self.writer.sync()?,
            Step::Tidy => drop(self.writer.tidy()?),
            Step::Discard(which) => {
                let newest = if self.durable.offset() > 0 { self.durable.segment() } else { 0 };
                let there: Vec<u32> = (1..newest).filter(|number| !self.dropped.contains(number)).collect();
                if !there.is_empty() {
                    let segment = there[which % there.len()];
                    self.dropping = Some(segment);
                    self.writer.discard(segment)?;
                    self.dropping = None;
                    self.dropped.insert(segment);
                }
            }
            Step::Crash(seed) => self.crash(seed),
            Step::Restart => self.recover(self.storage.clone()),
            Step::Fail(operations) => self.storage.fail_in(Some(operations)),
        }
        Ok(())
    }

    fn crash(&mut self, seed: u64) {
        self.storage.take_dice(Dice::from_seed(seed));
        self.storage.lose_power();
        self.recover(self.storage.clone());
    }

    fn recover(&mut self, storage: FaultyDisk) {
        storage.fail_in(None);
        let report = check_storage(&storage).unwrap();
        let fresh = self.durable <= Place::new(1, 0);
        assert!(fresh || report.damage.is_empty(), "a crash is not damage: {report:?}");
        let mut journal = match Journal::open(Arc::new(storage.clone()), &self.options) {
            Ok(journal) => journal,
            Err(error) => panic!("after a crash the log does not open: {error}"),
        };
        let recovered = journal.recovered().clone();
        assert!(
            recovered.end >= self.durable,
            "{:?} was durable, {:?} is there",
            self.durable,
            recovered.end
        );
        assert_eq!(recovered.durable, recovered.end);
        assert!(recovered.counter <= self.counter);
        assert_eq!(recovered.now, Time(recovered.counter * 1000));
        assert!(recovered.warnings.is_empty(), "{:?}", recovered.warnings);
        if let Some(segment) = self.dropping.take()
            && !recovered.segments.iter().any(|there| there.number == segment)
        {
            self.dropped.insert(segment);
        }
        self.records.retain(|record| record.extent.place < recovered.end);
        let live: Vec<&Known> = self
            .records
            .iter()
            .filter(|record| !self.dropped.contains(&record.extent.place.segment()))
            .collect();
        let reader = journal.reader();
        for class in [Class::Configuration, Class::Flow] {
            let mut expected = live.iter().filter(|record| record.class == class);
            let mut compare = |entry: posthaste_journal::Entry<'_>| {
                let record = expected.next().expect("a record was invented");
                assert_eq!((entry.class, entry.extent, entry.head), (class, record.extent, &record.head[..]));
                assert_eq!(entry.tail_len as usize, record.tail.len());
            };
            match class {
                Class::Configuration => journal.configuration(&mut compare).unwrap(),
                Class::Flow => journal.flow(&mut compare).unwrap(),
            }
            assert_eq!(expected.next(), None, "a record was lost");
        }
        let extents: Vec<Extent> = live.iter().map(|record| record.extent).collect();
        for (read, record) in reader.read_many(&extents).into_iter().zip(live) {
            let read = read.unwrap();
            assert_eq!((&read.head[..], &read.tail[..]), (&record.head[..], &record.tail[..]));
        }
        // A check agrees with recovery.
        let report = check_storage(&storage).unwrap();
        assert_eq!((report.damage, report.torn), (vec![], None));
        self.durable = recovered.durable;
        self.counter = self.counter.max(recovered.counter);
        self.appender = journal.appender();
        self.writer = journal.into_writer();
        self.storage = storage;
    }
}

/// Runs 400 logs, or as many as `PROPTEST_CASES` says.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(400), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn what_was_durable_survives_any_crash_and_nothing_is_invented(
        segment_bytes in prop_oneof![Just(500u32), Just(2000), Just(8000)],
        steps in prop::collection::vec(step(), 1..150),
    ) {
        let mut world = World::new(segment_bytes);
        for step in &steps {
            world.run(step);
        }
        world.crash(1);
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_is_written_over_a_log_it_opens_or_refuses_and_a_check_says_so(
        file in any::<prop::sample::Index>(),
        patches in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 1..80)), 1..4),
    ) {
        let (storage, _) = small_log();
        let names: Vec<String> = storage.list().unwrap();
        let name = file.get(&names);
        for (offset, patch) in &patches {
            let len = bytes_of(&storage, name).len().max(1);
            storage.open(name).unwrap().write_at(&[patch], u64::from(*offset) % len as u64).unwrap();
        }
        let _ = check_storage(&storage);
        if let Ok(mut journal) = Journal::open(Arc::new(storage), &options(1200)) {
            let all = heads(&mut journal);
            let in_order = |class: Class| {
                let of_class = all.iter().filter(move |record| record.0 == class);
                of_class.map(|record| record.1.place).is_sorted()
            };
            assert!(in_order(Class::Configuration) && in_order(Class::Flow));
        }
    }
}

/// Returns a small log of several frames and segments, and the places where its frames end.
fn small_log() -> (FaultyDisk, Vec<Position>) {
    let mut world = World::new(1200);
    let mut ends = vec![Place::new(1, 0)];
    for i in 0..12 {
        world.run(&Step::Push { class: Class::Flow, head: 5, tail: 100 + i });
        world.run(&Step::Push { class: Class::Configuration, head: 9, tail: 0 });
        world.run(&Step::Write);
        world.run(&Step::Sync);
        ends.push(world.durable);
    }
    (world.storage, ends)
}

fn copy(storage: &dyn Storage, changed: &str, content: Option<&[u8]>) -> FaultyDisk {
    let copy = FaultyDisk::new(Dice::from_seed(1));
    for name in storage.list().unwrap() {
        let bytes = match content {
            Some(content) if name == changed => content.to_vec(),
            _ => bytes_of(storage, &name),
        };
        copy.create(&name).unwrap().write_at(&[&bytes], 0).unwrap();
    }
    copy
}

fn bytes_of(storage: &dyn Storage, name: &str) -> Vec<u8> {
    let file = storage.open(name).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn heads(journal: &mut Journal) -> Vec<(Class, Extent, Vec<u8>)> {
    let mut all = Vec::new();
    journal.configuration(|entry| all.push((entry.class, entry.extent, entry.head.to_vec()))).unwrap();
    journal.flow(|entry| all.push((entry.class, entry.extent, entry.head.to_vec()))).unwrap();
    all
}

#[test]
fn a_log_cut_at_any_byte_opens_at_the_last_whole_frame_or_names_the_damage() {
    let (storage, ends) = small_log();
    let last = ends[ends.len() - 1].segment();
    assert!(last >= 3);
    for segment in [last - 1, last] {
        let name = format!("{segment:08}.log");
        let bytes = bytes_of(&storage, &name);
        for len in 0..bytes.len() {
            let cut = copy(&storage, &name, Some(&bytes[..len]));
            let opened = Journal::open(Arc::new(cut), &options(1200));
            let whole = Place::new(segment, len as u32);
            let here = ends.iter().filter(|end| end.segment() == segment).copied().max().unwrap();
            if segment < last && whole < here {
                // The next segment's frames prove that this was durable.
                assert!(matches!(opened, Err(Error::Damaged(_))), "{len} bytes of {name}");
                continue;
            }
            let end = opened.unwrap().recovered().end;
            let expected = ends.iter().filter(|&&end| end <= whole || end.segment() < segment).max().unwrap();
            // Nothing after the cut proves durability, so recovery treats the last frames as unfinished.
            assert_eq!(
                end,
                if segment == last { *expected } else { ends[ends.len() - 1] },
                "{len} bytes of {name}"
            );
        }
    }
}

#[test]
fn a_log_cut_at_any_byte_of_a_group_has_all_of_the_group_or_nothing() {
    // At the beginning of a log, within a segment, and at the end of a segment.
    for before in [0, 3, 8] {
        for split in [false, true] {
            let storage = FaultyDisk::new(Dice::from_seed(1));
            let journal = Journal::open(Arc::new(storage.clone()), &options(1200)).unwrap();
            let mut appender = journal.appender();
            let mut writer = journal.into_writer();
            for _ in 0..before {
                appender.push(Class::Flow, |head| head.push(0), &[0; 100]);
            }
            if split {
                appender.split_groups();
            }
            let push = |group: &mut posthaste_journal::Group<'_>| {
                group.push(Class::Flow, 9, |head| head.push(1), &[1; 70])?;
                group.push(Class::Configuration, 9, |head| head.push(1), &[])?;
                group.push(Class::Flow, 9, |head| head.push(1), &[1; 100])
            };
            let last = appender.group(100, push).unwrap()[2];
            appender.extend_group(|group| group.push(Class::Flow, 9, |head| head.push(1), &[1; 50])).unwrap();
            // Another record of the same frame.
            appender.push(Class::Flow, |head| head.push(2), &[2; 10]);
            let mut batch = appender.take(Time(0), Place::new(1, 0), 0).unwrap();
            writer.write(&mut batch).unwrap();
            drop(writer);
            let segment = last.place.segment();
            assert_eq!(segment, if before == 8 { 2 } else { 1 });
            let name = format!("{segment:08}.log");
            let bytes = bytes_of(&storage, &name);
            let mut found = BTreeSet::new();
            for len in 0..=bytes.len() {
                let cut = copy(&storage, &name, Some(&bytes[..len]));
                let mut journal = Journal::open(Arc::new(cut), &options(1200)).unwrap();
                found.insert(heads(&mut journal).iter().filter(|(_, _, head)| head == &[1]).count());
            }
            let whole = BTreeSet::from([0, 4]);
            assert_eq!(found == whole, !split, "{before} records before: {found:?}");
        }
    }
}

#[test]
fn a_flipped_bit_in_durable_data_is_always_detected() {
    let (storage, ends) = small_log();
    // One more frame proves that all of it was durable.
    let mut journal = Journal::open(Arc::new(storage.clone()), &options(1200)).unwrap();
    let expected = heads(&mut journal);
    let end = journal.recovered().end;
    let mut appender = journal.appender();
    let mut batch = appender.mark(Time(1), end, 1).unwrap();
    let mut writer = journal.into_writer();
    writer.write(&mut batch).unwrap();
    writer.sync().unwrap();
    // Once with segments that must be scanned, once with their indexes.
    let indexed = copy(&storage, "", None);
    for number in 1..end.segment() {
        storage.remove(&format!("{number:08}.idx")).unwrap();
    }
    let (mut damaged, mut rebuilt) = (0, 0);
    for (storage, what) in [(&storage, ".log"), (&indexed, ".idx"), (&indexed, "MANIFEST")] {
        for name in storage.list().unwrap().into_iter().filter(|name| name.ends_with(what)) {
            let bytes = bytes_of(storage, &name);
            let number: u32 = name[..8].parse().unwrap_or(0);
            let used =
                ends.iter().filter(|end| end.segment() == number).map(|end| end.offset() as usize).max();
            let used = if what == ".log" { used.unwrap_or(0) } else { bytes.len().min(200) };
            for bit in (0..used * 8).step_by(3) {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let flipped = copy(storage, &name, Some(&flipped));
                let checked = check_storage(&flipped).unwrap();
                match Journal::open(Arc::new(flipped.clone()), &options(1200)) {
                    Ok(mut journal) => {
                        assert_eq!(heads(&mut journal), expected, "bit {bit} of {name}");
                        let warned = !journal.recovered().warnings.is_empty();
                        assert_eq!(warned, !checked.damage.is_empty(), "bit {bit} of {name}: {checked:?}");
                        rebuilt += usize::from(warned);
                    }
                    Err(Error::Damaged(damage)) => {
                        assert!(damage.file.ends_with(&name), "{damage}");
                        assert!(!checked.damage.is_empty(), "bit {bit} of {name}: {checked:?}");
                        damaged += 1;
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    assert!(damaged > 1000 && rebuilt > 100, "{damaged} {rebuilt}");
}

#[test]
fn a_flipped_bit_in_an_indexed_segment_is_found_when_the_record_is_read_and_by_a_check() {
    let (storage, _) = small_log();
    let journal = Journal::open(Arc::new(storage.clone()), &options(1200)).unwrap();
    drop(journal);
    let mut bytes = bytes_of(&storage, "00000001.log");
    bytes[64 + 12 + 5 + 20] ^= 4;
    let flipped = copy(&storage, "00000001.log", Some(&bytes));
    let report = check_storage(&flipped).unwrap();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert_eq!((&report.damage[0].file[..], report.damage[0].offset), ("00000001.log", 64));
    let mut journal = Journal::open(Arc::new(flipped), &options(1200)).unwrap();
    let mut first = None;
    journal.flow(|entry| first = first.or(Some(entry.extent))).unwrap();
    let error = journal.reader().read(first.unwrap()).unwrap_err().to_string();
    assert!(error.contains("00000001.log, offset 64"), "{error}");
}

#[test]
fn a_scrub_finds_every_flipped_bit_of_full_segments_and_nothing_in_undamaged_ones() {
    let (storage, ends) = small_log();
    let last = ends.last().unwrap().segment();
    // Full segments get their indexes.
    drop(Journal::open(Arc::new(storage.clone()), &options(1200)).unwrap());
    let scrub = |storage: &FaultyDisk| {
        let journal = Journal::open(Arc::new(storage.clone()), &options(1200)).unwrap();
        let (reader, mut found, mut bytes) = (journal.reader(), Vec::new(), 0);
        for segment in reader.segments().unwrap().into_iter().filter(|&segment| segment < last) {
            let read = |more: u64| {
                bytes += more;
                std::ops::ControlFlow::Continue(())
            };
            assert!(reader.scrub(segment, read, |damage| found.push(damage)).is_continue());
        }
        (found, bytes)
    };
    let full =
        |segment: u32| ends.iter().filter(|end| end.segment() == segment).map(|end| end.offset()).max();
    let (found, bytes) = scrub(&copy(&storage, "", None));
    assert_eq!(found, []);
    let expected: u64 = (1..last).filter_map(full).map(u64::from).sum();
    assert_eq!(bytes, expected, "all of it was read");
    for segment in 1..last {
        let name = format!("{segment:08}.log");
        let whole = bytes_of(&storage, &name);
        for bit in (0..full(segment).unwrap() as usize * 8).step_by(41) {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (found, _) = scrub(&copy(&storage, &name, Some(&flipped)));
            assert_eq!(found.len(), 1, "bit {bit} of {name}: {found:?}");
            assert_eq!((&*found[0].file, found[0].effect), (&*name, Effect::Unreadable));
        }
    }
}

#[test]
fn a_missing_segment_is_damage_unless_it_was_dropped() {
    let (storage, _) = small_log();
    let missing = copy(&storage, "", None);
    missing.remove("00000002.log").unwrap();
    let error = Journal::open(Arc::new(missing), &options(1200)).unwrap_err().to_string();
    assert!(error.contains("00000002.log") && error.contains("missing"), "{error}");
    let missing = copy(&storage, "", None);
    missing.remove("MANIFEST").unwrap();
    let error = Journal::open(Arc::new(missing), &options(1200)).unwrap_err().to_string();
    assert!(error.contains("MANIFEST"), "{error}");
}

#[test]
fn an_os_log_opens_after_a_power_failure() {
    let (mut whole, mut doubtful) = (0, 0);
    for seed in 0..300 {
        let storage = FaultyDisk::new(Dice::from_seed(seed));
        let options = Options { durable: false, ..options(2000) };
        let journal = Journal::open(Arc::new(storage.clone()), &options).unwrap();
        let mut appender = journal.appender();
        let mut writer = journal.into_writer();
        let mut written = appender.end();
        for counter in 1..20 {
            appender.push(Class::Flow, |head| head.push(1), &[7; 100]);
            // With `os` a written position counts as durable, so the frames are given that.
            let mut batch = appender.take(Time(counter), written, counter).unwrap();
            writer.write(&mut batch).unwrap();
            written = appender.end();
        }
        storage.lose_power();
        match Journal::open(Arc::new(storage.clone()), &options) {
            Ok(_) => whole += 1,
            // Some frames behind the missing bytes may be intact, and the server must not decide to drop
            // them.
            Err(Error::Doubtful(..)) => {
                let mut kept = 0;
                repair(Arc::new(storage.clone()), |_| kept += 1).unwrap();
                assert!(kept > 0);
                let mut journal = Journal::open(Arc::new(storage), &options).unwrap();
                let mut there = 0;
                journal.flow(|_| there += 1).unwrap();
                assert!(there >= kept, "{there} {kept}");
                doubtful += 1;
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(whole > 50 && doubtful > 20, "{whole} {doubtful}");
}

/// Returns the files of a server with durability `os` that was killed or stopped orderly, and the ends of its
/// frames.
fn os_log(in_order: bool) -> (FaultyDisk, Vec<u32>) {
    let storage = FaultyDisk::new(Dice::from_seed(1));
    let options = Options { durable: false, ..options(8000) };
    let journal = Journal::open(Arc::new(storage.clone()), &options).unwrap();
    let mut appender = journal.appender();
    let mut writer = journal.into_writer();
    let mut ends = vec![0];
    for counter in 1..=12 {
        appender.push(Class::Flow, |head| head.push(counter), &[7; 100]);
        appender.push(Class::Flow, |head| head.push(counter), &[8; 30]);
        let mut batch = appender.take(Time(counter.into()), appender.end(), counter.into()).unwrap();
        ends.push(batch.end.offset());
        writer.write(&mut batch).unwrap();
    }
    if in_order {
        writer.note_end().unwrap();
    }
    (storage, ends)
}

#[test]
fn after_an_orderly_stop_every_changed_bit_and_missing_byte_is_damage() {
    let (storage, ends) = os_log(true);
    let name = "00000001.log";
    let bytes = bytes_of(&storage, name);
    let end = *ends.last().unwrap() as usize;
    for durable in [false, true] {
        let options = Options { durable, ..options(8000) };
        assert!(Journal::open(Arc::new(copy(&storage, "", None)), &options).is_ok());
        let refused = |spoiled: Vec<u8>, what: String| {
            let spoiled = copy(&storage, name, Some(&spoiled));
            let report = check_storage(&spoiled).unwrap();
            assert!(
                report.damage.iter().any(|damage| damage.effect == Effect::Refused),
                "{what}: {report:?}"
            );
            match Journal::open(Arc::new(spoiled), &options) {
                Err(Error::Damaged(damage)) => assert_eq!(damage.file, name, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        };
        for bit in (0..end * 8).step_by(37) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            refused(flipped, format!("bit {bit}"));
        }
        for len in (0..end).step_by(13) {
            refused(bytes[..len].to_vec(), format!("cut at {len}"));
        }
    }
}

#[test]
fn valid_frames_behind_a_damaged_one_are_dropped_only_by_an_operator() {
    let (storage, ends) = os_log(false);
    let name = "00000001.log";
    let bytes = bytes_of(&storage, name);
    let options = Options { durable: false, ..options(8000) };
    for bit in (0..*ends.last().unwrap() as usize * 8).step_by(29) {
        let frame = ends.iter().filter(|&&end| end as usize <= bit / 8).count() - 1;
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let flipped = copy(&storage, name, Some(&flipped));
        let report = check_storage(&flipped).unwrap();
        let torn = report.torn.unwrap_or_else(|| panic!("bit {bit} of frame {frame}: nothing is reported"));
        assert!(
            torn.offset >= ends[frame].into() && torn.offset < ends[frame + 1].into(),
            "bit {bit}: {torn}"
        );
        let behind = 11 - frame as u64;
        assert_eq!((report.beyond.frames, report.beyond.records), (behind, 2 * behind), "bit {bit}");
        assert_eq!(report.beyond.doubtful, behind > 0);
        let opened = Journal::open(Arc::new(flipped.clone()), &options);
        if behind == 0 {
            // No frame follows, so the frame may be unfinished. Recovery reports it.
            let cut = opened.unwrap().recovered().cut.clone().expect("it is said");
            assert_eq!((cut.at.offset(), cut.beyond.frames), (ends[frame], 0));
            continue;
        }
        match opened {
            Err(Error::Doubtful(damage, beyond)) => {
                assert_eq!((&*damage.file, damage.offset), (name, ends[frame].into()));
                assert_eq!((beyond.frames, beyond.records), (behind, 2 * behind));
            }
            other => panic!("bit {bit} of frame {frame}: {other:?}"),
        }
        let mut kept = 0;
        let repaired = repair(Arc::new(flipped.clone()), |_| kept += 1).unwrap();
        assert_eq!((repaired.holes.len(), repaired.missing.len(), kept), (1, 0, 2 * behind));
        let hole = &repaired.holes[0];
        assert_eq!((hole.offset, hole.bytes), (ends[frame].into(), (ends[frame + 1] - ends[frame]).into()));
        let aside = bytes_of(&flipped, &hole.set_aside);
        let (from, to) = (ends[frame] as usize, ends[frame + 1] as usize);
        assert_eq!(aside.iter().zip(&bytes[from..to]).filter(|(one, other)| one != other).count(), 1);
        let mut journal = Journal::open(Arc::new(flipped.clone()), &options).unwrap();
        let there = heads(&mut journal);
        assert_eq!(there.len() as u64, 22 + u64::from(hole.kept), "bit {bit}: {hole:?}");
        for (_, extent, _) in &there {
            journal.reader().read(*extent).unwrap();
        }
        // The log continues, and a check agrees that it opens.
        let mut appender = journal.appender();
        let mut writer = journal.into_writer();
        appender.push(Class::Flow, |head| head.push(99), &[9; 10]);
        writer.write(&mut appender.take(Time(99), appender.end(), 99).unwrap()).unwrap();
        writer.note_end().unwrap();
        let report = check_storage(&flipped).unwrap();
        assert!(report.damage.iter().all(|damage| damage.effect == Effect::Unreadable), "{report:?}");
        let mut journal = Journal::open(Arc::new(flipped), &options).unwrap();
        assert_eq!(heads(&mut journal).len(), there.len() + 1);
    }
}

#[test]
fn a_repair_goes_on_without_what_is_missing_and_keeps_the_rest() {
    let (storage, _) = small_log();
    let whole = heads(&mut Journal::open(Arc::new(copy(&storage, "", None)), &options(1200)).unwrap());
    let segments: Vec<String> =
        storage.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).collect();
    for name in &segments {
        let number: u32 = name[..8].parse().unwrap();
        let there = |extent: &Extent| extent.place.segment() == number;
        if !whole.iter().any(|(_, extent, _)| there(extent)) {
            continue;
        }
        let spoils: [&dyn Fn(&FaultyDisk); 4] = [
            &|disk| disk.remove(name).unwrap(),
            &|disk| disk.open(name).unwrap().set_len(100).unwrap(),
            &|disk| disk.open(name).unwrap().write_at(&[&[0; 1200]], 0).unwrap(),
            &|disk| disk.remove("MANIFEST").unwrap(),
        ];
        for (which, spoil) in spoils.iter().enumerate() {
            let spoiled = copy(&storage, "", None);
            spoil(&spoiled);
            repair(Arc::new(spoiled.clone()), |_| {}).unwrap();
            let mut journal = Journal::open(Arc::new(spoiled.clone()), &options(1200))
                .unwrap_or_else(|error| panic!("{name} spoiled {which}: {error}"));
            let after = heads(&mut journal);
            let elsewhere = |all: &[(Class, Extent, Vec<u8>)]| {
                all.iter().filter(|(_, extent, _)| !there(extent)).cloned().collect::<Vec<_>>()
            };
            assert_eq!(elsewhere(&after), elsewhere(&whole), "{name} spoiled {which}");
            // A second repair has nothing to do.
            let again = repair(Arc::new(spoiled), |_| {}).unwrap();
            assert!(again.holes.is_empty() && again.missing.is_empty(), "{name} spoiled {which}: {again:?}");
        }
    }
}
