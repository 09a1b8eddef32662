//! Appends groups to a store and syncs them. `tidying.rs` has the rest of the writer: seals and drops.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use journal::common::{Manifest, is_full, named};
use journal::format::{self, FrameHeader, GROUP_BYTES, HEAD_LIMIT, RECORD_HEADER};
use journal::{Batch, Class, Overlong};
use kernel::{Extent, Place, Time};

use crate::lane::{Home, Lane};
use crate::reader::Reader;
use crate::record::{New, encode_rule};
use crate::series::{RetentionClass, Rule, Series};
use crate::shared::{Shared, Standing, to_io};
use crate::spans::{Spans, group_bits};

/// Space that rules find on a full disk, in bytes.
const RULES_RESERVE: usize = 64 << 10;

/// The writing end of a store. There is one.
///
/// A failed write or sync ends it: every later call fails, because the content of the disk is unknown. A call
/// that fails with `StorageFull` or `InvalidInput` has changed nothing.
pub struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) home: Home,
    pub(crate) manifest: Manifest,
    pub(crate) lanes: BTreeMap<RetentionClass, Lane>,
    /// Numbers of frames in classes whose segments have all been dropped.
    pub(crate) ended: BTreeMap<RetentionClass, (u32, u64)>,
    /// The last group that was written, and the last one that is durable.
    pub(crate) written: u64,
    pub(crate) synced: u64,
    /// Whether the directory itself is not durable yet.
    pub(crate) unsettled: bool,
    pub(crate) failed: bool,
    /// Whether the last attempt to get space failed.
    pub(crate) low: bool,
    /// When sealed segments are to be looked at, because all in them may have passed.
    pub(crate) due: BTreeSet<(Time, u32)>,
    /// The last group with rules. Nothing is dropped before it is durable.
    pub(crate) ruled: u64,
    /// Segments whose indexes are damaged, or that are full and have none.
    pub(crate) unindexed: Vec<u32>,
    heads: Vec<u8>,
}

/// The result of an append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The group's number: the records are durable when [`Writer::sync`] returns it or a higher one.
    pub group: u64,
    /// Number of records that were left out, because their series had them or is deleted.
    pub skipped: usize,
}

/// A record of a group, with its head in the writer's buffer.
struct Part<'a> {
    record: New<'a>,
    class: RetentionClass,
    head: (usize, usize),
}

impl Part<'_> {
    fn bytes(&self) -> usize {
        RECORD_HEADER + self.head.1 - self.head.0 + self.record.tail.len()
    }
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, home: Home, manifest: Manifest) -> Writer {
        Writer {
            shared,
            home,
            manifest,
            lanes: BTreeMap::new(),
            ended: BTreeMap::new(),
            written: 0,
            synced: 0,
            unsettled: true,
            failed: false,
            low: false,
            due: BTreeSet::new(),
            ruled: 0,
            unindexed: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// Appends records as one group: a crash keeps all of them or none. Sorts the slice by series.
    ///
    /// A record whose number is not above the last of its series is left out, as is one of a deleted series. So
    /// the caller can append again what may have been lost.
    ///
    /// Errors: `StorageFull` if there is no space, `InvalidInput` if the records of one class take more than 4
    /// MiB or a number is `u64::MAX`; then nothing has changed.
    pub fn append(&mut self, records: &mut [New<'_>]) -> io::Result<Appended> {
        self.guarded(|writer| writer.try_append(records))
    }

    fn try_append(&mut self, records: &mut [New<'_>]) -> io::Result<Appended> {
        records.sort_by_key(|record| (record.series, record.sequence));
        self.heads.clear();
        let mut parts: Vec<Part<'_>> = Vec::with_capacity(records.len());
        for of_series in records.chunk_by(|one, next| one.series == next.series) {
            let (mut known, segment) = self.known(of_series[0].series)?;
            // A series has one class in a group, so that its records stay in order.
            let mut class = None;
            for &record in of_series {
                if known.is_some_and(|known| record.sequence <= known) {
                    continue;
                }
                if record.sequence == u64::MAX {
                    let what = "the highest sequence number cannot be used";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
                }
                known = Some(record.sequence);
                let class = *class.get_or_insert(RetentionClass::for_retention(record.retention));
                let begin = self.heads.len();
                record.stamp().encode(&mut self.heads);
                self.heads.extend_from_slice(record.head);
                parts.push(Part { record, class, head: (begin, self.heads.len()) });
            }
            if let (Some(class), Some(segment)) = (class, segment) {
                self.keep_order(of_series[0].series, class, segment)?;
            }
        }
        let skipped = records.len() - parts.len();
        if parts.is_empty() {
            return Ok(Appended { group: self.written, skipped });
        }
        parts.sort_by_key(|part| part.class);
        if !self.lanes.contains_key(&RetentionClass::RULES) {
            // Rules free space, so they must find some on a full disk.
            match self.make_room(RetentionClass::RULES, RULES_RESERVE) {
                Err(error) if !is_full(&error) => return Err(error),
                _ => {}
            }
        }
        let mut classes = 0;
        for of_class in parts.chunk_by(|one, next| one.class == next.class) {
            let bytes = of_class.iter().map(Part::bytes).sum();
            if bytes > GROUP_BYTES || of_class.iter().any(|part| part.head.1 - part.head.0 >= HEAD_LIMIT) {
                let what = format!("{bytes} bytes of one class are more than a group can have");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            self.make_room(of_class[0].class, bytes)?;
            classes |= of_class[0].class.bit();
        }
        let counter = group_bits(self.written + 1, classes);
        let heads = std::mem::take(&mut self.heads);
        for of_class in parts.chunk_by(|one, next| one.class == next.class) {
            self.write_parts(of_class, &heads, counter)?;
        }
        self.heads = heads;
        self.written += 1;
        self.low = false;
        Ok(Appended { group: self.written, skipped })
    }

    /// The number up to which a series has everything, the highest possible one if it is deleted; and the
    /// segment of its last record.
    fn known(&mut self, series: Series) -> io::Result<(Option<u64>, Option<u32>)> {
        if self.shared.read().is_deleted(series) {
            return Ok((Some(u64::MAX), None));
        }
        let last = match self.shared.last(series) {
            Err(journal::ReadError::Damaged(_)) => {
                // A damaged index must not end the series: it is made again from its segment.
                let segments: Vec<u32> = self.shared.read().directory.runs(series).flatten().collect();
                segments.into_iter().try_for_each(|segment| self.index_again(segment))?;
                self.shared.last(series)
            }
            other => other,
        };
        Ok(last.map_err(to_io)?.unzip())
    }

    /// A series that comes back to a class does not continue in a segment with records from before it left:
    /// spans of one series do not overlap.
    fn keep_order(&mut self, series: Series, class: RetentionClass, last: u32) -> io::Result<()> {
        if RetentionClass::of(last) == class {
            return Ok(());
        }
        let Some(lane) = self.lanes.get_mut(&class) else { return Ok(()) };
        let inner = self.shared.read();
        let open = inner.open.get(&lane.current.segment);
        let overlaps = open.is_some_and(|spans| spans.series.contains_key(&series));
        drop(inner);
        if overlaps { lane.end_segment(&self.home) } else { Ok(()) }
    }

    fn write_parts(&mut self, parts: &[Part<'_>], heads: &[u8], counter: u64) -> io::Result<()> {
        let class = parts[0].class;
        let lane = lane(&mut self.lanes, class)?;
        let extents = lane.appender.group(0, |group| {
            parts.iter().try_for_each(|part| {
                let head = &heads[part.head.0..part.head.1];
                group.push(Class::Flow, HEAD_LIMIT, |out| out.extend_from_slice(head), part.record.tail)
            })
        });
        let extents: Vec<Extent> = extents.map_err(overlong)?.to_vec();
        let now = parts.iter().map(|part| part.record.time).max().unwrap_or_default();
        let durable = lane.durable;
        let batch = lane.appender.take(now, durable, counter);
        let header = self.write_batch(class, batch)?;
        self.note_frame(class, &header, |spans| {
            for (part, extent) in parts.iter().zip(&extents) {
                spans.record(extent.place.offset(), extent.len, &part.record.stamp());
            }
        });
        Ok(())
    }

    /// Shows the readers a frame that was written.
    fn note_frame(&self, class: RetentionClass, header: &FrameHeader, fill: impl FnOnce(&mut Spans)) {
        let Some(lane) = self.lanes.get(&class).filter(|_| class != RetentionClass::RULES) else { return };
        let mut inner = self.shared.write();
        let segment = lane.end.segment();
        let spans = inner.open.entry(segment).or_insert_with(|| Spans::new(segment));
        fill(spans);
        spans.frame(header, lane.end.offset());
    }

    /// Writes one frame of a class. Returns its header.
    fn write_batch(&mut self, class: RetentionClass, batch: Option<Batch>) -> io::Result<FrameHeader> {
        let lane = lane(&mut self.lanes, class)?;
        let mut batch = batch.ok_or_else(|| io::Error::other("a group without a frame"))?;
        let mut last = None;
        for piece in &mut batch.pieces {
            if piece.segment != lane.current.segment {
                lane.roll(piece.segment)?;
            }
            let place = Place::new(piece.segment, piece.offset);
            last = format::seal(place, &mut piece.bytes, |_| {}, |_, _, _| {});
            let written = lane.current.file.write_at(&[&piece.bytes], u64::from(piece.offset));
            // The space was reserved. Without it, a part of the group may be written, so this is a failure.
            self.home.named(written, "writing", piece.segment).map_err(io::Error::other)?;
            lane.end = Place::new(piece.segment, piece.offset + piece.bytes.len() as u32);
        }
        lane.appender.recycle(batch);
        let header = last.ok_or_else(|| io::Error::other("a group without a frame"))?;
        lane.last_frame = header.sequence;
        Ok(header)
    }

    /// Records what its owner says about series. As [`append`](Writer::append), it returns a group's number.
    ///
    /// A rule that is in effect already, and a rule about a series without records, is not recorded: the owner
    /// must not append to a deleted series that had none.
    ///
    /// There is room for rules on a full disk, because they free space.
    pub fn set_rules(&mut self, rules: &[(Series, Rule)]) -> io::Result<u64> {
        self.guarded(|writer| {
            let inner = writer.shared.read();
            let news: Vec<(Series, Rule)> = rules
                .iter()
                .filter(|&&(series, rule)| {
                    inner.has(series) && inner.rules.get(&series).map(|standing| standing.rule) != Some(rule)
                })
                .copied()
                .collect();
            drop(inner);
            for some in news.chunks(1000) {
                writer.write_rules(some)?;
            }
            Ok(writer.written)
        })
    }

    /// Writes rules as a group of their own.
    pub(crate) fn write_rules(&mut self, rules: &[(Series, Rule)]) -> io::Result<()> {
        const CLASS: RetentionClass = RetentionClass::RULES;
        let mut heads = Vec::new();
        let mut ends = Vec::new();
        for &(series, rule) in rules {
            encode_rule(series, rule, &mut heads);
            ends.push(heads.len());
        }
        let bytes = heads.len() + rules.len() * RECORD_HEADER;
        self.make_room(CLASS, bytes)?;
        // The reserve behind them is for the rules after them. It may be missing now.
        match self.make_room(CLASS, bytes + RULES_RESERVE) {
            Err(error) if !is_full(&error) => return Err(error),
            _ => {}
        }
        let counter = group_bits(self.written + 1, CLASS.bit());
        let lane = lane(&mut self.lanes, CLASS)?;
        let pushed = lane.appender.group(0, |group| {
            let mut begin = 0;
            ends.iter().try_for_each(|&end| {
                let head = &heads[std::mem::replace(&mut begin, end)..end];
                group.push(Class::Configuration, HEAD_LIMIT, |out| out.extend_from_slice(head), b"")
            })
        });
        pushed.map_err(overlong)?;
        let durable = lane.durable;
        let batch = lane.appender.take(Time(0), durable, counter);
        self.write_batch(CLASS, batch)?;
        let segment = self.lanes[&CLASS].current.segment;
        let mut inner = self.shared.write();
        for &(series, rule) in rules {
            inner.rules.insert(series, Standing { rule, segment });
            let runs: Vec<u32> = inner.directory.runs(series).flatten().collect();
            self.due.extend(runs.into_iter().map(|segment| (Time(0), segment)));
        }
        drop(inner);
        self.written += 1;
        self.ruled = self.written;
        Ok(())
    }

    /// Makes everything durable that was appended. Returns the number of the last durable group. With
    /// [`Options::durable`](crate::Options) off it returns the last written one.
    pub fn sync(&mut self) -> io::Result<u64> {
        self.guarded(|writer| {
            writer.sync_lanes()?;
            writer.synced = writer.written;
            Ok(writer.synced)
        })
    }

    fn sync_lanes(&mut self) -> io::Result<()> {
        if !self.home.durable {
            return Ok(());
        }
        self.settle()?;
        self.lanes.values_mut().try_for_each(|lane| lane.sync(&self.home))
    }

    /// Syncs everything and says so on the disk, so that a later start can tell damage to the last frames from
    /// frames that were never finished. The last call before an orderly stop.
    pub fn close(&mut self) -> io::Result<u64> {
        self.sync()?;
        self.guarded(|writer| {
            if !writer.home.durable {
                return Ok(writer.synced);
            }
            let classes: Vec<RetentionClass> = writer.lanes.keys().copied().collect();
            for class in classes {
                let counter = group_bits(writer.written, 0);
                let lane = lane(&mut writer.lanes, class)?;
                // A full disk must not prevent a stop. Recovery then relies on the other frames.
                if lane.end.offset() == 0 || lane.make_room(&writer.home, 0).is_err() {
                    continue;
                }
                let durable = lane.durable;
                let batch = lane.appender.mark(Time(0), durable, counter);
                let header = writer.write_batch(class, batch)?;
                writer.note_frame(class, &header, |_| {});
            }
            writer.sync_lanes()?;
            Ok(writer.synced)
        })
    }

    /// Returns the number of the last record of a series, if the store has one. Unlike [`Reader::last_sequence`], it makes a damaged
    /// index again.
    pub fn last_sequence(&mut self, series: Series) -> io::Result<Option<u64>> {
        if self.shared.read().is_deleted(series) {
            return Ok(None);
        }
        Ok(self.guarded(|writer| writer.known(series))?.0)
    }

    /// Returns a reader, for any thread.
    pub fn reader(&self) -> Reader {
        Reader::new(self.shared.clone())
    }

    /// Returns whether the last call that needed space found none.
    pub fn is_full(&self) -> bool {
        self.low
    }

    /// Returns the number of the last group that was written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Returns the number of the last group that is durable.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// Makes the directory itself durable. Before that, nothing in it is.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        if self.unsettled {
            let mut written = self.manifest.write(&*self.home.storage, true);
            if written.as_ref().is_err_and(is_full) {
                written = self.manifest.write_in_place(&*self.home.storage);
            }
            named(written, "writing", || self.home.storage.describe(journal::common::MANIFEST))?;
            self.unsettled = false;
        }
        Ok(())
    }

    fn make_room(&mut self, class: RetentionClass, bytes: usize) -> io::Result<()> {
        if let Some(lane) = self.lanes.get_mut(&class) {
            return lane.make_room(&self.home, bytes);
        }
        let (number, last_frame) = self.ended.get(&class).copied().unwrap_or_default();
        let room = format::align(format::FRAME_HEADER + bytes) as u64;
        let lane = Lane::begin(&self.home, class.segment(number + 1), last_frame, room)?;
        self.lanes.insert(class, lane);
        Ok(())
    }

    pub(crate) fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other("the store failed before"));
        }
        let outcome = act(self);
        self.low |= outcome.as_ref().is_err_and(is_full);
        if let Err(error) = &outcome {
            self.failed = !is_full(error) && error.kind() != io::ErrorKind::InvalidInput;
        }
        outcome
    }
}

fn lane(lanes: &mut BTreeMap<RetentionClass, Lane>, class: RetentionClass) -> io::Result<&mut Lane> {
    lanes.get_mut(&class).ok_or_else(|| io::Error::other("a class without a segment"))
}

fn overlong(overlong: Overlong) -> io::Error {
    io::Error::other(format!("a group of {} bytes", overlong.bytes))
}
