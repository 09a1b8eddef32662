//! Reads a segment without an index: all its valid frames, whatever lies between them.

use std::io;
use std::ops::ControlFlow;

use journal::Class;
use journal::File;
use journal::common::{Fault, Frames, search};
use journal::format::{FrameHeader, RECORD_HEADER};

use crate::record::{Stamp, decode_rule};
use crate::series::{Rule, Series};
use crate::spans::Spans;

/// A record, as far as the store itself reads it.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Record(Stamp),
    Rule(Series, Rule),
    /// A valid record whose head this version cannot read.
    Unknown,
}

/// A record of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    pub offset: u32,
    pub len: u32,
    pub content: Content,
}

/// A valid frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub offset: u32,
    pub end: u32,
    pub header: FrameHeader,
    pub items: Vec<Item>,
}

/// A scanned segment.
#[derive(Debug)]
pub struct Scanned {
    pub segment: u32,
    /// The valid frames, with ascending numbers.
    pub frames: Vec<Frame>,
    /// Why the bytes behind the last frame are not a frame.
    pub fault: Fault,
}

/// Reads all valid frames of a segment.
pub fn scan_segment(file: &dyn File, id: u64, segment: u32) -> io::Result<Scanned> {
    let mut frames = Frames::new(file, id, segment, None);
    let mut found: Vec<Frame> = Vec::new();
    loop {
        let (offset, mut items) = (frames.offset(), Vec::new());
        let next = frames.next(|place, header, record| {
            let head = &record[RECORD_HEADER..RECORD_HEADER + header.head as usize];
            let content = match header.class {
                Class::Flow => Stamp::decode(head).map(|(stamp, _)| Content::Record(stamp)),
                Class::Configuration => decode_rule(head).map(|(series, rule)| Content::Rule(series, rule)),
            };
            items.push(Item {
                offset: place.offset(),
                len: record.len() as u32,
                content: content.unwrap_or(Content::Unknown),
            });
        })?;
        let last = found.last().map_or(0, |frame| frame.header.sequence);
        let fault = match next {
            Ok(header) if header.sequence > last => {
                found.push(Frame { offset, end: frames.offset(), header, items });
                continue;
            }
            // A valid frame with an old number: the rest is not a continuation.
            Ok(header) => Fault::Sequence { expected: last + 1, found: header.sequence },
            Err(fault) => fault,
        };
        let mut behind = None;
        search(file, id, segment, offset, |at, header| {
            if at > offset && header.sequence > last {
                behind = Some(at);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        match behind {
            Some(at) => frames.skip_to(at),
            None => return Ok(Scanned { segment, frames: found, fault }),
        }
    }
}

impl Scanned {
    /// The end of the last frame.
    pub fn end(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.end)
    }

    /// Returns the spans of the segment.
    pub fn spans(&self) -> Spans {
        let mut spans = Spans::new(self.segment);
        let mut end = 0;
        for frame in &self.frames {
            spans.gaps += u32::from(frame.offset != end);
            end = frame.end;
            for item in &frame.items {
                if let Content::Record(stamp) = &item.content {
                    // What a series cannot hold was not written by a writer, and readers must not see it.
                    let last = spans.series.get(&stamp.series).map(|span| span.bounds.last_sequence);
                    if last.is_none_or(|last| last < stamp.sequence) {
                        spans.record(item.offset, item.len, stamp);
                    }
                }
            }
            spans.frame(&frame.header, frame.end);
        }
        spans
    }
}
