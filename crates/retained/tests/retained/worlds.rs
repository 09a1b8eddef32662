//! Random stores against a plain model, with crashes, failing and full disks: everything durable is recovered,
//! groups are whole, nothing is invented, and nothing that was deleted comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

use journal::engines::FaultyDisk;
use kernel::{Dice, Time};
use posthaste_retained::{
    From, Limits, New, Options, Page, Reader, Record, Retention, Rule, Series, Storage, Store, Writer,
    check_storage,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Records: series, length.
    Append(Vec<(u8, u16)>),
    Sync,
    Tidy,
    Keep(u8, u8),
    Delete(u8),
    /// Days pass.
    Pass(u8),
    Look(u64),
    /// The machine loses power; the seed decides what remains.
    Crash(u64),
    /// Only the process dies.
    Restart,
    Close,
    /// An operation of the disk fails.
    Fail(u64),
    /// The disk has room for so many more bytes.
    Room(Option<u16>),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![6 => 0..120u16, 1 => 0..3000u16];
    let records = prop::collection::vec((0..7u8, len), 1..12);
    prop_oneof![
        14 => records.prop_map(Step::Append),
        4 => Just(Step::Sync),
        6 => Just(Step::Tidy),
        1 => (0..7u8, 0..5u8).prop_map(|(series, days)| Step::Keep(series, days)),
        1 => (0..7u8).prop_map(Step::Delete),
        1 => (0..9u8).prop_map(Step::Pass),
        2 => any::<u64>().prop_map(Step::Look),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Restart),
        1 => Just(Step::Close),
        1 => (0..14u64).prop_map(Step::Fail),
        1 => prop::option::weighted(0.6, 0..6000u16).prop_map(Step::Room),
    ]
}

#[derive(Clone, PartialEq, Debug)]
struct Known {
    sequence: u64,
    time: Time,
    tail: Vec<u8>,
}

/// What a group did.
#[derive(Clone, Debug)]
enum Act {
    Record(Series, Known),
    Rule(Series, Rule),
}

struct World {
    disk: FaultyDisk,
    options: Options,
    writer: Writer,
    /// The groups, by number; the last may not have been written.
    groups: BTreeMap<u64, Vec<Act>>,
    /// Every series that was deleted, so that its number is not used again.
    ids: [u64; 7],
    next: u64,
    /// The numbers of records that had passed their retention at some time: a later rule need not bring them
    /// back.
    passed: BTreeSet<u64>,
    now: Time,
    synced: u64,
    dice: Dice,
}

const DAYS: [u32; 5] = [1, 2, 5, 40, u32::MAX];

fn retention(index: u8) -> Retention {
    match DAYS[usize::from(index)] {
        u32::MAX => Retention::FOREVER,
        days => Retention::days(days),
    }
}

impl World {
    fn new(segment_bytes: u32, durable: bool) -> World {
        let disk = FaultyDisk::new(Dice::from_seed(1));
        let options = Options { segment_bytes, id: 0x1234_5678_9abc_def0, durable };
        let store = Store::open(Arc::new(disk.clone()), &options).unwrap();
        World {
            disk,
            options,
            writer: store.writer,
            groups: BTreeMap::new(),
            ids: [1, 2, 3, 4, 5, 6, 7],
            next: 1,
            passed: BTreeSet::new(),
            now: Time(1_700_000_000_000),
            synced: 0,
            dice: Dice::from_seed(9),
        }
    }

    /// The rule that was given last.
    fn rule(&self, series: Series) -> Option<Rule> {
        self.groups.values().flatten().rev().find_map(|act| match act {
            Act::Rule(other, rule) if *other == series => Some(*rule),
            _ => None,
        })
    }

    /// How long the owner keeps a series.
    fn retention(&self, series: Series) -> Retention {
        match self.rule(series) {
            Some(Rule::Keep(retention)) => retention,
            _ => retention((series.0 % 5) as u8),
        }
    }

    fn records(&self, series: Series) -> Vec<&Known> {
        let all = self.groups.values().flatten();
        all.filter_map(|act| match act {
            Act::Record(other, known) if *other == series => Some(known),
            _ => None,
        })
        .collect()
    }

    fn run(&mut self, step: &Step) {
        match self.try_step(step) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => {
                self.groups.retain(|&group, _| group <= self.writer.written());
            }
            Err(error) => {
                assert!(self.disk.has_failed(), "{step:?} failed by itself: {error}");
                self.disk.fail_in(None);
                assert!(self.writer.sync().is_err(), "nothing works after a failure");
                self.recover();
            }
        }
    }

    fn try_step(&mut self, step: &Step) -> std::io::Result<()> {
        match step {
            Step::Append(records) => self.append(records)?,
            Step::Sync => self.synced = self.writer.sync()?,
            Step::Tidy => {
                self.note_passed();
                while self.writer.tidy(self.now)? {}
            }
            Step::Keep(slot, days) => {
                self.rule_on(*slot, Rule::Keep(retention(*days)))?;
            }
            Step::Delete(slot) => {
                self.rule_on(*slot, Rule::Delete)?;
                self.ids[usize::from(*slot)] += 7;
            }
            Step::Pass(days) => self.now = self.now.plus_seconds(u64::from(*days) * 86_400),
            Step::Look(seed) => self.look(*seed),
            Step::Crash(seed) => {
                self.disk.take_dice(Dice::from_seed(*seed));
                self.disk.lose_power();
                self.recover();
            }
            Step::Restart => self.recover(),
            Step::Close => {
                self.synced = self.writer.close()?;
                self.recover();
            }
            Step::Fail(operations) => self.disk.fail_in(Some(*operations)),
            Step::Room(room) => self.disk.leave_room(room.map(u64::from)),
        }
        Ok(())
    }

    fn note_passed(&mut self) {
        for series in (1..100).map(Series) {
            let retention = self.retention(series);
            let passed =
                self.records(series).into_iter().filter(|known| retention.passes(known.time) <= self.now);
            let passed: Vec<u64> = passed.map(|known| known.sequence).collect();
            self.passed.extend(passed);
        }
    }

    fn append(&mut self, records: &[(u8, u16)]) -> std::io::Result<()> {
        self.now = self.now + 1;
        let mut known = Vec::new();
        for &(slot, len) in records {
            let series = Series(self.ids[usize::from(slot)]);
            let tail: Vec<u8> = (0..len).map(|_| self.dice.roll() as u8).collect();
            known.push((series, Known { sequence: self.next, time: self.now, tail }));
            self.next += 1 + u64::from(len) % 3;
        }
        let head = self.next.to_le_bytes();
        let mut new: Vec<New<'_>> = known
            .iter()
            .map(|(series, known)| New {
                series: *series,
                sequence: known.sequence,
                time: known.time,
                retention: self.retention(*series),
                head: &head[..known.tail.len() % 8],
                tail: &known.tail,
            })
            .collect();
        let group = self.writer.written() + 1;
        let acts = known.iter().map(|(series, known)| Act::Record(*series, known.clone())).collect();
        self.groups.insert(group, acts);
        let appended = self.writer.append(&mut new)?;
        assert_eq!((appended.group, appended.skipped), (group, 0));
        // What a series has is left out.
        let again = self.writer.append(&mut new)?;
        assert_eq!((again.group, again.skipped), (group, records.len()));
        Ok(())
    }

    fn rule_on(&mut self, slot: u8, rule: Rule) -> std::io::Result<()> {
        let series = Series(self.ids[usize::from(slot)]);
        let group = self.writer.written() + 1;
        self.groups.insert(group, vec![Act::Rule(series, rule)]);
        if self.writer.set_rules(&[(series, rule)])? < group {
            // It was in effect, or the series has no records: then nothing of it can be seen.
            self.groups.remove(&group);
            if rule == Rule::Delete {
                assert!(self.writer.reader().last_sequence(series).unwrap().is_none());
            }
        }
        Ok(())
    }

    /// Opens the store again, and compares which groups it has.
    fn recover(&mut self) {
        let written = self.writer.written();
        let store = match Store::open(Arc::new(self.disk.clone()), &self.options) {
            Ok(store) => store,
            Err(error) => {
                assert!(self.disk.has_failed(), "{error}");
                self.disk.fail_in(None);
                Store::open(Arc::new(self.disk.clone()), &self.options).unwrap()
            }
        };
        let group = store.recovered.group;
        assert_eq!(store.recovered.damage, []);
        let lowest = if self.options.durable { self.synced } else { 0 };
        assert!((lowest..=written + 1).contains(&group), "group {group}, not {lowest} to {written}");
        self.groups.retain(|&number, _| number <= group);
        self.writer = store.writer;
        self.synced = self.synced.max(group);
        self.look(group);
    }

    /// Compares what readers see.
    fn look(&mut self, seed: u64) {
        let mut dice = Dice::from_seed(seed);
        let reader = self.writer.reader();
        let all: Vec<Series> = (1..self.ids.iter().max().unwrap() + 1).map(Series).collect();
        for &series in &all {
            let known = self.records(series);
            if self.rule(series) == Some(Rule::Delete) {
                assert_eq!(read(&reader, series, From::Sequence(0), &mut dice), []);
                assert_eq!(reader.last_sequence(series).unwrap(), None);
                continue;
            }
            let retention = self.retention(series);
            let seen = read(&reader, series, From::Sequence(0), &mut dice);
            let is_due = |known: &Known| {
                retention.passes(known.time) > self.now && !self.passed.contains(&known.sequence)
            };
            let mut rest = known.iter();
            for record in &seen {
                let same = rest.by_ref().find(|known| known.sequence == record.sequence || is_due(known));
                let same = same.unwrap_or_else(|| panic!("{record:?} was never appended to {series:?}"));
                assert_eq!((record.sequence, record.time), (same.sequence, same.time), "{series:?}");
                assert_eq!(record.tail, same.tail);
                assert_eq!(record.head.len(), same.tail.len() % 8);
            }
            assert!(!rest.any(|known| is_due(known)), "records of {series:?} are missing");
            assert_eq!(reader.last_sequence(series).unwrap(), seen.last().map(|last| last.sequence));
            // Reads from anywhere give the same records.
            if let Some(some) = known.get((dice.roll() as usize) % known.len().max(1)) {
                let from = From::Sequence(some.sequence.saturating_sub(dice.roll() % 3));
                let From::Sequence(least) = from else { unreachable!() };
                let later: Vec<Record> =
                    seen.iter().filter(|record| record.sequence >= least).cloned().collect();
                assert_eq!(read(&reader, series, from, &mut dice), later);
                let later: Vec<Record> =
                    seen.iter().filter(|record| record.time >= some.time).cloned().collect();
                assert_eq!(read(&reader, series, From::Time(some.time), &mut dice), later);
                let before: Vec<Record> =
                    seen.iter().rev().filter(|record| record.sequence < least).cloned().collect();
                assert_eq!(back(&reader, series, Some(least), &mut dice), before);
            }
            let backwards: Vec<Record> = seen.iter().rev().cloned().collect();
            assert_eq!(back(&reader, series, None, &mut dice), backwards);
        }
        let listed = reader.series(Series(0), 1000);
        assert!(all.iter().filter(|&&series| reader.last_sequence(series).unwrap().is_some()).eq(&listed));
    }
}

fn limits(dice: &mut Dice) -> Limits {
    Limits { records: 1 + dice.roll() as usize % 20, bytes: dice.roll() as usize % 5000 }
}

/// Reads to the end, in pages.
fn read(reader: &Reader, series: Series, from: From, dice: &mut Dice) -> Vec<Record> {
    let page = reader.forwards(series, from, limits(dice)).unwrap();
    all(page, |next| reader.forwards(series, From::Sequence(next), limits(dice)).unwrap())
}

fn back(reader: &Reader, series: Series, before: Option<u64>, dice: &mut Dice) -> Vec<Record> {
    let page = reader.backwards(series, before, limits(dice)).unwrap();
    all(page, |next| reader.backwards(series, Some(next), limits(dice)).unwrap())
}

fn all(mut page: Page, mut more: impl FnMut(u64) -> Page) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        assert_eq!(page.damage, []);
        assert!(page.next.is_none() || !page.records.is_empty(), "a page has at least one record");
        records.append(&mut page.records);
        match page.next {
            Some(next) => page = more(next),
            None => return records,
        }
    }
}

fn run(segment_bytes: u32, durable: bool, steps: &[Step]) {
    let mut world = World::new(segment_bytes, durable);
    for step in steps {
        world.run(step);
    }
    world.disk.fail_in(None);
    world.disk.leave_room(None);
    world.look(1);
    world.recover();
    world.note_passed();
    while world.writer.tidy(world.now).unwrap() {}
    world.writer.close().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(world.disk.clone());
    let report = check_storage(storage).unwrap();
    assert_eq!((report.damage, report.torn, report.warnings), (vec![], vec![], Vec::<String>::new()));
    world.recover();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_was_durable_is_there_after_any_crash(
        segment_bytes in prop_oneof![Just(1500u32), Just(4000), Just(20_000)],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(segment_bytes, true, &steps);
    }

    #[test]
    fn with_os_the_death_of_a_process_loses_nothing(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let steps: Vec<Step> = steps
            .into_iter()
            .map(|step| if matches!(step, Step::Crash(_)) { Step::Restart } else { step })
            .collect();
        run(3000, false, &steps);
    }
}
