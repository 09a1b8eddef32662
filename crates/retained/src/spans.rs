//! What a segment holds of each series, while the segment is written or scanned.

use std::collections::BTreeMap;

use journal::format::FrameHeader;
use kernel::Time;

use crate::record::Stamp;
use crate::series::Series;

/// A record that begins farther than this from the previous one of its series begins a new stretch. So a
/// reader passes over at most this much of other series for each record.
pub const NEAR: u32 = 16 << 10;
/// A stretch does not grow beyond this, so that a seek reads little. A longer record has its own.
pub const STRETCH: u32 = 64 << 10;

/// A part of a segment with records of a series, and perhaps of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub offset: u32,
    pub len: u32,
    /// The sequence number of the first record of the series in it.
    pub sequence: u64,
    /// The time of that record.
    pub time: Time,
}

impl Stretch {
    pub fn end(&self) -> u32 {
        self.offset + self.len
    }
}

/// The first and last records of a series in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    pub first_sequence: u64,
    pub last_sequence: u64,
    pub first_time: Time,
    pub last_time: Time,
    /// When all records have passed their retention, unless a rule says otherwise.
    pub passes: Time,
}

/// What a segment holds of a series.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    pub bounds: Bounds,
    pub first: Stretch,
    pub more: Vec<Stretch>,
}

impl Span {
    fn add(&mut self, offset: u32, len: u32, stamp: &Stamp) {
        let bounds = &mut self.bounds;
        bounds.last_sequence = stamp.sequence;
        bounds.last_time = bounds.last_time.max(stamp.time);
        bounds.passes = bounds.passes.max(stamp.retention.passes(stamp.time));
        let time = bounds.last_time;
        let last = self.more.last_mut().unwrap_or(&mut self.first);
        let end = offset + len;
        if offset - last.end() <= NEAR && end - last.offset <= STRETCH {
            last.len = end - last.offset;
        } else {
            self.more.push(Stretch { offset, len, sequence: stamp.sequence, time });
        }
    }

    /// Returns the stretches in order.
    pub fn stretches(&self) -> impl DoubleEndedIterator<Item = &Stretch> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

/// The spans of a segment that has no index yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spans {
    pub segment: u32,
    pub series: BTreeMap<Series, Span>,
    /// The end of the last frame.
    pub end: u32,
    /// The numbers of the first and the last frame.
    pub frames: (u64, u64),
    /// The numbers of the first and the last group.
    pub groups: (u64, u64),
    /// The earliest and the latest time.
    pub times: (Time, Time),
    /// When all records have passed, unless rules say otherwise.
    pub passes: Time,
    /// Number of gaps that recovery has set aside.
    pub gaps: u32,
}

impl Spans {
    pub fn new(segment: u32) -> Spans {
        Spans {
            segment,
            series: BTreeMap::new(),
            end: 0,
            frames: (0, 0),
            groups: (0, 0),
            times: (Time(u64::MAX), Time(0)),
            passes: Time(0),
            gaps: 0,
        }
    }

    /// Adds a record.
    pub fn record(&mut self, offset: u32, len: u32, stamp: &Stamp) {
        self.times = (self.times.0.min(stamp.time), self.times.1.max(stamp.time));
        let passes = stamp.retention.passes(stamp.time);
        self.passes = self.passes.max(passes);
        if let Some(span) = self.series.get_mut(&stamp.series) {
            return span.add(offset, len, stamp);
        }
        let bounds = Bounds {
            first_sequence: stamp.sequence,
            last_sequence: stamp.sequence,
            first_time: stamp.time,
            last_time: stamp.time,
            passes,
        };
        let first = Stretch { offset, len, sequence: stamp.sequence, time: stamp.time };
        self.series.insert(stamp.series, Span { bounds, first, more: Vec::new() });
    }

    /// Notes that a frame ends at `end`.
    pub fn frame(&mut self, header: &FrameHeader, end: u32) {
        let group = group_of(header);
        if self.frames.0 == 0 {
            (self.frames.0, self.groups.0) = (header.sequence, group);
        }
        (self.frames.1, self.groups.1) = (header.sequence, group);
        self.end = end;
    }

    /// Returns whether it contains no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.0 == 0
    }
}

/// The number of the group that a frame belongs to.
pub fn group_of(header: &FrameHeader) -> u64 {
    header.counter >> 16
}

/// The classes that the group of a frame touches, one bit each.
pub fn classes_of(header: &FrameHeader) -> u16 {
    header.counter as u16
}

/// What a frame says about its group.
pub fn group_bits(group: u64, classes: u16) -> u64 {
    group << 16 | u64::from(classes)
}
