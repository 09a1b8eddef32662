//! A log and a store that lose power together, and a mover between them as DESIGN.md, section 4, describes it:
//! neither half of an acknowledged publish can be missing, and none can appear alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use journal::engines::FaultyDisk;
use journal::{Class, Extent, Journal, Position, Reader};
use kernel::{Dice, Time};
use posthaste_retained::{From, Limits, New, Options, Retention, Series, Store, Writer};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A publish with this number of records to one of the series, whose copy in a queue lives on, or not.
    Publish(u8, u16, bool),
    /// The log is synced, and what is durable is acknowledged.
    Sync,
    /// The mover takes up to so many owed records.
    Move(usize),
    /// The mover syncs, and the log may let go.
    Settle,
    /// Dead segments of the log go.
    Clean,
    Crash(u64),
    Restart,
    /// An operation of one of the two disks fails.
    Fail(bool, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..3u8, 0..300u16, prop::bool::weighted(0.02)).prop_map(|(s, len, kept)| Step::Publish(s, len, kept)),
        5 => Just(Step::Sync),
        5 => (1..20usize).prop_map(Step::Move),
        3 => Just(Step::Settle),
        5 => Just(Step::Clean),
        2 => any::<u64>().prop_map(Step::Crash),
        1 => Just(Step::Restart),
        1 => (any::<bool>(), 0..9u64).prop_map(|(which, operations)| Step::Fail(which, operations)),
    ]
}

/// A parcel as the machine knows it.
#[derive(Clone, Copy, Debug)]
struct Parcel {
    series: Series,
    extent: Extent,
    time: Time,
    /// Whether a queue has a copy.
    kept: bool,
}

/// The machine's state, as a replay makes it.
struct Machine {
    appender: journal::Appender,
    log: journal::Writer,
    reader: Reader,
    store: Writer,
    /// Every parcel in the log, by number.
    parcels: BTreeMap<u64, Parcel>,
    /// The numbers that are not known to be in the store.
    owed: Vec<u64>,
    /// What the mover has appended and not synced.
    moved: Vec<u64>,
    durable: Position,
    next: u64,
    /// The last dropped segment of the log.
    dropped: u32,
}

struct World {
    disks: [FaultyDisk; 2],
    machine: Machine,
    acknowledged: BTreeMap<u64, Series>,
}

const SEGMENT: u32 = 1200;

fn open(disks: &[FaultyDisk; 2]) -> Result<Machine, String> {
    let options = Options { segment_bytes: 4000, id: 5, durable: true };
    let store = Store::open(Arc::new(disks[1].clone()), &options).map_err(|error| error.to_string())?;
    assert_eq!(store.recovered.damage, []);
    let in_store = store.writer.reader();
    let options = journal::Options { segment_bytes: SEGMENT, log_id: 6, ..journal::Options::default() };
    let mut log = Journal::open(Arc::new(disks[0].clone()), &options).map_err(|error| error.to_string())?;
    let (mut parcels, mut owed) = (BTreeMap::new(), Vec::new());
    log.flow(|entry| {
        let number = |at: usize| u64::from_le_bytes(entry.head[at..at + 8].try_into().unwrap());
        let (series, time) = (Series(number(8)), Time(number(16)));
        parcels.insert(number(0), Parcel { series, extent: entry.extent, time, kept: entry.head[24] == 1 });
        // What the store has is not owed.
        if in_store.last_sequence(series).unwrap().is_none_or(|last| last < number(0)) {
            owed.push(number(0));
        }
    })
    .map_err(|error| error.to_string())?;
    let dropped = log.recovered().segments.first().map_or(0, |first| first.number - 1);
    let (next, durable) = (log.recovered().counter.max(1), log.recovered().durable);
    Ok(Machine {
        appender: log.appender(),
        reader: log.reader(),
        log: log.into_writer(),
        store: store.writer,
        parcels,
        owed,
        moved: Vec::new(),
        durable,
        next,
        dropped,
    })
}

impl World {
    fn new() -> World {
        let disks = [1, 2].map(|seed| FaultyDisk::new(Dice::from_seed(seed)));
        let machine = open(&disks).unwrap();
        World { disks, machine, acknowledged: BTreeMap::new() }
    }

    fn run(&mut self, step: &Step) {
        if let Err(error) = self.try_step(step) {
            assert!(self.disks.iter().any(FaultyDisk::has_failed), "{step:?}: {error}");
            self.restart();
        }
    }

    fn try_step(&mut self, step: &Step) -> std::io::Result<()> {
        let machine = &mut self.machine;
        match *step {
            Step::Publish(series, len, kept) => {
                let (number, series, time) = (machine.next, Series(u64::from(series)), Time(machine.next));
                machine.next += 1;
                let extent = machine.appender.push(
                    Class::Flow,
                    |head| {
                        [number, series.0, time.millis()]
                            .iter()
                            .for_each(|n| head.extend_from_slice(&n.to_le_bytes()));
                        head.push(kept.into());
                    },
                    &vec![number as u8; usize::from(len)],
                );
                machine.parcels.insert(number, Parcel { series, extent, time, kept });
                machine.owed.push(number);
            }
            Step::Sync => {
                if let Some(mut batch) =
                    machine.appender.take(Time(machine.next), machine.log.durable(), machine.next)
                {
                    machine.log.write(&mut batch)?;
                }
                machine.durable = machine.log.sync()?;
                machine.log.tidy()?;
                let all = machine.parcels.iter().filter(|(_, parcel)| parcel.extent.place < machine.durable);
                self.acknowledged.extend(all.map(|(&number, parcel)| (number, parcel.series)));
            }
            Step::Move(most) => {
                let ready = machine.owed.iter().filter(|number| !machine.moved.contains(number));
                let ready: Vec<u64> = ready
                    .filter(|number| machine.parcels[number].extent.place < machine.durable)
                    .copied()
                    .take(most)
                    .collect();
                let extents: Vec<Extent> =
                    ready.iter().map(|number| machine.parcels[number].extent).collect();
                let read: Vec<_> =
                    machine.reader.read_many(&extents).into_iter().map(Result::unwrap).collect();
                let mut new: Vec<New<'_>> = ready
                    .iter()
                    .zip(&read)
                    .map(|(&number, record)| New {
                        series: machine.parcels[&number].series,
                        sequence: number,
                        time: machine.parcels[&number].time,
                        retention: Retention::days(30),
                        head: b"",
                        tail: &record.tail,
                    })
                    .collect();
                machine.store.append(&mut new)?;
                machine.moved.extend(ready);
            }
            Step::Settle => {
                machine.store.sync()?;
                while machine.store.tidy(Time(0))? {}
                let moved = std::mem::take(&mut machine.moved);
                machine.owed.retain(|number| !moved.contains(number));
            }
            Step::Clean => {
                // The ledger: a segment is held by a queue's copy and by what is owed.
                let newest = machine.log.durable().segment();
                let held = |segment: u32| {
                    machine.parcels.iter().any(|(number, parcel)| {
                        parcel.extent.place.segment() == segment
                            && (parcel.kept || machine.owed.contains(number))
                    })
                };
                let dead = (1..newest).find(|&segment| segment > machine.dropped && !held(segment));
                if let Some(dead) = dead.filter(|&dead| dead == machine.dropped + 1) {
                    machine.parcels.retain(|_, parcel| parcel.extent.place.segment() != dead);
                    machine.log.discard(dead)?;
                    machine.dropped = dead;
                }
            }
            Step::Crash(seed) => {
                let mut dice = Dice::from_seed(seed);
                for disk in &self.disks {
                    disk.take_dice(Dice::from_seed(dice.roll()));
                    disk.lose_power();
                }
                self.restart();
            }
            Step::Restart => self.restart(),
            Step::Fail(which, operations) => self.disks[usize::from(which)].fail_in(Some(operations)),
        }
        Ok(())
    }

    fn restart(&mut self) {
        self.machine = open(&self.disks).unwrap_or_else(|error| {
            assert!(self.disks.iter().any(FaultyDisk::has_failed), "{error}");
            self.disks.iter().for_each(|disk| disk.fail_in(None));
            open(&self.disks).unwrap()
        });
        self.disks.iter().for_each(|disk| disk.fail_in(None));
        self.check();
        // A start makes durable what it finds: from now on it must not get lost either.
        self.acknowledged
            .extend(self.machine.parcels.iter().map(|(&number, parcel)| (number, parcel.series)));
    }

    fn check(&self) {
        let machine = &self.machine;
        let reader = machine.store.reader();
        let mut stored = BTreeMap::new();
        for series in (0..3).map(Series) {
            let limits = Limits { records: usize::MAX, bytes: usize::MAX };
            let page = reader.forwards(series, From::Sequence(0), limits).unwrap();
            assert_eq!((page.damage, page.next), (vec![], None));
            for record in page.records {
                assert!(record.tail.iter().all(|&byte| byte == record.sequence as u8));
                stored.insert(record.sequence, series);
            }
        }
        for (number, series) in &self.acknowledged {
            let owed = machine.owed.contains(number);
            assert!(stored.get(number) == Some(series) || owed, "the archive lost {number}");
            assert!(!owed || machine.parcels.contains_key(number));
        }
        for number in stored.keys() {
            // Without the log's durability, the number could be given to another parcel.
            assert!(*number < machine.next, "{number} is in the store only");
            let in_log = machine.parcels.get(number);
            assert!(
                in_log.is_some() || self.acknowledged.contains_key(number),
                "{number} is in the store only"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn neither_half_of_a_publish_is_missing_after_any_crash(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
        world.restart();
        // In the end the store has all, and the log needs to keep only what queues have.
        for step in [Step::Sync, Step::Move(usize::MAX), Step::Settle] {
            world.try_step(&step).unwrap();
        }
        prop_assert!(world.machine.owed.is_empty());
        world.check();
    }
}
