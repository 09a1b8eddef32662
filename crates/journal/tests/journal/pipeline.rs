//! Tests of the threads: what they report, in which order, and how they react to a failed or full disk.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use kernel::Dice;
use posthaste_journal::engines::{FaultyDisk, Files, Memory};
use posthaste_journal::{
    Appender, Class, Durability, Extent, File, Journal, Options, Pipeline, Place, Position, Progress, Space,
    Storage, Time,
};

const FSYNC: Durability = Durability::Fsync { threads: 2, pace: Duration::ZERO };

fn options() -> Options {
    Options { segment_bytes: 16 << 10, log_id: 7, ..Options::default() }
}

fn start(storage: Arc<dyn Storage>, durability: Durability) -> (Appender, Pipeline, Receiver<Progress>) {
    let journal = Journal::open(storage, &options()).unwrap();
    let appender = journal.appender();
    let (tell, told) = channel();
    let pipeline = journal.into_pipeline(durability, move |progress| drop(tell.send(progress))).unwrap();
    (appender, pipeline, told)
}

fn submit(appender: &mut Appender, pipeline: &Pipeline, tail: usize) -> (Extent, Position) {
    let extent = appender.push(Class::Flow, |out| out.push(9), &vec![7; tail]);
    let batch = appender.take(Time(1), pipeline.durable(), 1).unwrap();
    let end = batch.end;
    pipeline.submit(batch);
    while let Some(batch) = pipeline.spent() {
        appender.recycle(batch);
    }
    (extent, end)
}

/// Waits for a report and drops all earlier ones.
fn wait(told: &Receiver<Progress>, mut wanted: impl FnMut(&Progress) -> bool) -> Progress {
    loop {
        let progress = told.recv().expect("the threads ended without saying so");
        if wanted(&progress) {
            return progress;
        }
        assert!(!matches!(progress, Progress::Failed(_)), "{progress:?}");
    }
}

fn wait_durable(told: &Receiver<Progress>, position: Position) {
    wait(told, |progress| matches!(progress, Progress::Durable(to) if *to >= position));
}

/// A batch that `submit` itself wrote is not reported.
fn wait_written(pipeline: &Pipeline, told: &Receiver<Progress>, position: Position) {
    if pipeline.written() >= position {
        return;
    }
    wait(
        told,
        |progress| matches!(progress, Progress::Written(to) | Progress::Durable(to) if *to >= position),
    );
}

#[test]
fn everything_submitted_is_reported_readable_and_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let storages: [Arc<dyn Storage>; 3] = [
        Arc::new(Memory::new()),
        Arc::new(FaultyDisk::new(Dice::from_seed(1))),
        Arc::new(Files::open(directory.path()).unwrap()),
    ];
    for (storage, durability) in
        storages.into_iter().flat_map(|storage| [(storage.clone(), FSYNC), (storage, Durability::Os)])
    {
        let before = Journal::open(storage.clone(), &options()).unwrap().recovered().segments.len();
        let (mut appender, pipeline, told) = start(storage.clone(), durability);
        let all: Vec<_> = (0..300).map(|i| submit(&mut appender, &pipeline, i * 3)).collect();
        let end = appender.end();
        match durability {
            Durability::Os => wait_written(&pipeline, &told, end),
            Durability::Fsync { .. } => wait_durable(&told, end),
        }
        let reader = pipeline.reader();
        let extents: Vec<Extent> = all.iter().map(|&(extent, _)| extent).collect();
        for (i, record) in reader.read_many(&extents).into_iter().enumerate() {
            assert_eq!(record.unwrap().tail.len(), i * 3);
        }
        assert!(reader.try_read_many(&extents[..3]).unwrap().iter().all(Result::is_ok));
        assert_eq!(pipeline.close().unwrap(), end);
        // Positions were reported in order, and nothing else.
        let mut last = Place::default();
        for progress in told.try_iter() {
            match progress {
                Progress::Durable(to) => {
                    assert!(to > last);
                    last = to;
                }
                // The written position may have been read before it was reported.
                Progress::Written(to) if durability == Durability::Os => assert!(to <= end && last < to),
                other => panic!("{other:?}"),
            }
        }
        let mut journal = Journal::open(storage, &options()).unwrap();
        assert_eq!(journal.recovered().end, end);
        assert!(journal.recovered().segments.len() > before + 5);
        let mut places = Vec::new();
        journal.flow(|entry| places.push(entry.extent)).unwrap();
        assert!(places.ends_with(&extents));
    }
}

#[test]
fn a_small_batch_is_written_as_it_is_handed_in_and_a_large_one_is_reported() {
    let options = Options { segment_bytes: 8 << 20, ..options() };
    for durability in [Durability::Os, FSYNC] {
        let journal = Journal::open(Arc::new(Memory::new()), &options).unwrap();
        let mut appender = journal.appender();
        let (tell, told) = channel();
        let pipeline = journal.into_pipeline(durability, move |progress| drop(tell.send(progress))).unwrap();
        let reader = pipeline.reader();
        // The last batches begin new segments.
        for tail in [10, 1000, 2 << 20, 10, 3 << 20, 4 << 20, 10, 7 << 20, 10] {
            let segment = appender.end().segment();
            let extent = appender.push(Class::Flow, |_| {}, &vec![7; tail]);
            let batch = appender.take(Time(1), pipeline.durable(), 1).unwrap();
            let end = batch.end;
            match pipeline.submit(batch) {
                Some(written) => {
                    assert!(durability == Durability::Os && tail <= 1 << 20 && end.segment() == segment);
                    assert_eq!(written, end);
                }
                None => {
                    assert!(durability == FSYNC || tail > 1 << 20 || end.segment() > segment, "{tail} bytes");
                    wait(
                        &told,
                        |progress| matches!(progress, Progress::Written(to) | Progress::Durable(to) if *to >= end),
                    );
                }
            }
            assert_eq!(reader.read(extent).unwrap().tail.len(), tail);
        }
        assert_eq!(pipeline.close().unwrap(), appender.end());
        assert!(told.try_iter().all(|progress| !matches!(progress, Progress::Written(_))));
    }
}

/// Storage whose syncs wait at a gate, which opens for one sync at a time.
#[derive(Clone, Default)]
struct Gated {
    inner: Arc<Memory>,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

#[derive(Default)]
struct Gate {
    closed: bool,
    waiting: Vec<u64>,
    arrived: u64,
    let_through: Vec<u64>,
}

impl Gated {
    fn close(&self) {
        self.gate.0.lock().unwrap().closed = true;
    }

    fn open(&self) {
        self.gate.0.lock().unwrap().closed = false;
        self.gate.1.notify_all();
    }

    /// Waits until this many threads wait at the gate, and returns them in the order of arrival.
    fn until_waiting(&self, count: usize) -> Vec<u64> {
        let mut gate = self.gate.0.lock().unwrap();
        while gate.waiting.len() < count {
            gate = self.gate.1.wait(gate).unwrap();
        }
        gate.waiting.clone()
    }

    /// Returns how many threads have arrived at the gate.
    fn arrived(&self) -> u64 {
        self.gate.0.lock().unwrap().arrived
    }

    fn let_through(&self, which: u64) {
        self.gate.0.lock().unwrap().let_through.push(which);
        self.gate.1.notify_all();
    }

    fn pass(&self) {
        let mut gate = self.gate.0.lock().unwrap();
        gate.arrived += 1;
        let me = gate.arrived;
        gate.waiting.push(me);
        self.gate.1.notify_all();
        while gate.closed && !gate.let_through.contains(&me) {
            gate = self.gate.1.wait(gate).unwrap();
        }
        gate.waiting.retain(|&other| other != me);
    }
}

struct GatedFile(Arc<dyn File>, Gated);

impl Storage for Gated {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(GatedFile(self.inner.open(name)?, self.clone())))
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(GatedFile(self.inner.create(name)?, self.clone())))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }
}

impl File for GatedFile {
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
        self.0.read_at(buffer, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync()
    }
}

#[test]
fn syncs_overlap_and_the_later_one_counts_for_the_earlier() {
    let storage = Gated::default();
    let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), FSYNC);
    // The directory itself is durable when the first batch is.
    let (_, first) = submit(&mut appender, &pipeline, 10);
    wait_durable(&told, first);

    storage.close();
    let (_, second) = submit(&mut appender, &pipeline, 10);
    let one = storage.until_waiting(1)[0];
    let (_, third) = submit(&mut appender, &pipeline, 10);
    let both = storage.until_waiting(2);
    assert_eq!(both[0], one, "the second sync began while the first was under way");
    storage.let_through(both[1]);
    wait_durable(&told, third);
    storage.let_through(one);
    assert_eq!(pipeline.durable(), third);
    assert!(second < third);
    storage.open();
    assert_eq!(pipeline.close().unwrap(), third);
    assert_eq!(told.try_iter().count(), 0, "what was reported is not reported again");
}

#[test]
fn what_arrives_during_a_sync_that_is_not_slow_is_one_group() {
    let storage = Gated::default();
    let unhurried = Durability::Fsync { threads: 2, pace: Duration::from_secs(3600) };
    let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), unhurried);
    let (_, first) = submit(&mut appender, &pipeline, 10);
    wait_durable(&told, first);
    storage.close();
    submit(&mut appender, &pipeline, 10);
    let before = storage.until_waiting(1)[0];
    submit(&mut appender, &pipeline, 10);
    let (_, last) = submit(&mut appender, &pipeline, 10);
    assert!(pipeline.written() < last, "it waits for the sync that is under way");
    storage.open();
    wait_durable(&told, last);
    assert_eq!(storage.arrived(), before + 1);
}

#[test]
fn nothing_is_acknowledged_before_its_sync_returns() {
    let storage = Gated::default();
    let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), FSYNC);
    let (_, first) = submit(&mut appender, &pipeline, 10);
    wait_durable(&told, first);
    storage.close();
    let (_, second) = submit(&mut appender, &pipeline, 10);
    wait_written(&pipeline, &told, second);
    storage.until_waiting(1);
    assert_eq!(pipeline.durable(), first);
    storage.open();
    wait_durable(&told, second);
}

#[test]
fn a_failure_of_any_operation_is_reported_once_and_ends_everything() {
    // Any of the operations may be the one that fails.
    for operations in 0..39 {
        for durability in [FSYNC, Durability::Os] {
            let storage = FaultyDisk::new(Dice::from_seed(1));
            let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), durability);
            let (_, first) = submit(&mut appender, &pipeline, 10);
            match durability {
                FSYNC => wait_durable(&told, first),
                _ => wait_written(&pipeline, &told, first),
            }
            storage.fail_in(Some(operations));
            let mut end = first;
            for _ in 0..60 {
                end = submit(&mut appender, &pipeline, 1000).1;
            }
            let closed = pipeline.close();
            let mut reports = told.try_iter();
            let failures =
                reports.by_ref().filter(|progress| matches!(progress, Progress::Failed(_))).count();
            assert_eq!(closed.is_err(), failures == 1, "operation {operations}");
            assert!(closed.is_err() || closed.unwrap() == end);
            if durability == FSYNC {
                assert_eq!(storage.has_failed(), failures == 1, "operation {operations}");
            }
        }
    }
}

#[test]
fn after_a_failure_nothing_is_reported() {
    let storage = FaultyDisk::new(Dice::from_seed(1));
    let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), FSYNC);
    let (_, first) = submit(&mut appender, &pipeline, 10);
    wait_durable(&told, first);
    storage.fail_in(Some(0));
    submit(&mut appender, &pipeline, 10);
    let Progress::Failed(error) = wait(&told, |progress| matches!(progress, Progress::Failed(_))) else {
        unreachable!()
    };
    assert!(error.to_string().contains("00000001.log: the disk failed"), "{error}");
    submit(&mut appender, &pipeline, 10);
    assert!(pipeline.close().is_err());
    assert_eq!(told.try_iter().count(), 0);
}

#[test]
fn a_full_disk_is_reported_ahead_of_need_and_dropping_segments_makes_room() {
    for durability in [FSYNC, Durability::Os] {
        let storage = FaultyDisk::new(Dice::from_seed(1));
        let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), durability);
        while appender.end().segment() < 4 {
            submit(&mut appender, &pipeline, 1000);
        }
        let (extent, end) = submit(&mut appender, &pipeline, 1000);
        wait_written(&pipeline, &told, end);
        // The next segment is prepared; then there is no space for another.
        while !storage.list().unwrap().contains(&"00000006.log".to_owned()) {
            std::thread::yield_now();
        }
        storage.leave_room(Some(0));
        while appender.end().segment() < 5 {
            submit(&mut appender, &pipeline, 1000);
        }
        wait(&told, |progress| matches!(progress, Progress::Space(Space::Low(_))));
        // The reserve has room for deletes, and for dropping segments.
        let (_, end) = submit(&mut appender, &pipeline, 100);
        pipeline.discard(1, end);
        pipeline.discard(2, end);
        // In any order: an index may have to be written before there is space again.
        let (mut has_room, mut is_gone) = (false, false);
        wait(&told, |progress| {
            has_room |= matches!(progress, Progress::Space(Space::Ok));
            is_gone |= matches!(progress, Progress::Discarded(2));
            has_room && is_gone
        });
        while appender.end().segment() < 7 {
            submit(&mut appender, &pipeline, 1000);
        }
        let end = appender.end();
        assert_eq!(pipeline.reader().read(extent).unwrap().tail.len(), 1000);
        assert_eq!(pipeline.close().unwrap(), end);
        let journal = Journal::open(Arc::new(storage), &options()).unwrap();
        assert_eq!(journal.recovered().end, end);
        assert_eq!(journal.recovered().segments[0].number, 3);
    }
}

#[test]
fn a_segment_that_was_kept_to_be_written_again_makes_room_for_an_index() {
    for durability in [FSYNC, Durability::Os] {
        let storage = FaultyDisk::new(Dice::from_seed(1));
        let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), durability);
        while appender.end().segment() < 7 {
            submit(&mut appender, &pipeline, 1000);
        }
        let end = appender.end();
        (1..=4).for_each(|segment| pipeline.discard(segment, end));
        wait(&told, |progress| matches!(progress, Progress::Discarded(4)));
        let kept = |number: u32| storage.list().unwrap().contains(&format!("{number:08}.log"));
        assert!(kept(9), "segments are ready to be written again");
        let last = (9..).find(|&number| !kept(number + 1)).unwrap();
        while !storage.list().unwrap().contains(&"00000006.idx".to_owned()) {
            std::thread::yield_now();
        }
        storage.leave_room(Some(0));
        while appender.end().segment() < 8 {
            submit(&mut appender, &pipeline, 1000);
        }
        assert_eq!(pipeline.close().unwrap(), appender.end());
        assert!(storage.list().unwrap().contains(&"00000007.idx".to_owned()));
        assert!(!kept(last));
        assert!(told.try_iter().all(|progress| !matches!(progress, Progress::Space(Space::Low(_)))));
        let journal = Journal::open(Arc::new(storage), &options()).unwrap();
        assert_eq!(journal.recovered().end, appender.end());
    }
}

#[test]
fn a_full_segment_is_synced_though_others_are_ready() {
    let (mut appender, pipeline, told) = start(Arc::new(Memory::new()), Durability::Os);
    while appender.end().segment() < 5 {
        submit(&mut appender, &pipeline, 1000);
    }
    let end = appender.end();
    (1..=4).for_each(|segment| pipeline.discard(segment, end));
    wait(&told, |progress| matches!(progress, Progress::Discarded(4)));
    // Those four are reused, so that no new file is needed.
    for segment in 6..=8 {
        while appender.end().segment() < segment {
            submit(&mut appender, &pipeline, 1000);
        }
        wait(&told, |progress| matches!(progress, Progress::Durable(to) if to.segment() >= segment - 1));
    }
}

#[test]
fn a_segment_is_dropped_only_when_the_log_is_durable_up_to_where_its_survivors_are() {
    let storage = Gated::default();
    let (mut appender, pipeline, told) = start(Arc::new(storage.clone()), FSYNC);
    let (extent, _) = submit(&mut appender, &pipeline, 1000);
    while appender.end().segment() < 3 {
        submit(&mut appender, &pipeline, 1000);
    }
    let end = appender.end();
    wait_durable(&told, end);
    storage.close();
    let (_, end) = submit(&mut appender, &pipeline, 10);
    pipeline.discard(1, end);
    storage.until_waiting(1);
    assert!(pipeline.reader().read(extent).is_ok());
    storage.open();
    wait(&told, |progress| matches!(progress, Progress::Discarded(1)));
    assert!(pipeline.durable() >= end);
    assert!(pipeline.reader().read(extent).is_err());
}
