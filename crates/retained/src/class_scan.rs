//! What recovery finds of a class, and where it ends.

use std::io;
use std::sync::Arc;

use journal::File;
use journal::common::read_exactly;
use journal::format::UNVOUCHED;
use kernel::Place;

use crate::index::Header;
use crate::scanning::{Content, Frame, Scanned};
use crate::series::{RetentionClass, Rule, Series};
use crate::shared::Inner;
use crate::spans::group_of;

/// A segment without a valid index.
pub struct Scan {
    pub file: Arc<dyn File>,
    pub scanned: Scanned,
    /// Whether it has a damaged index: then all of it was durable.
    pub sealed: bool,
}

/// A class: what its files contain.
pub struct ClassScan {
    pub class: RetentionClass,
    pub indexed: Vec<Header>,
    pub scans: Vec<Scan>,
    /// Everything before this place was durable once.
    pub claimed: Place,
    /// The number of the last segment that exists or was dropped.
    pub last_number: u32,
    /// Why the class ends where it does.
    pub why: String,
    /// Valid frames, and records in them, that do not count.
    pub beyond: (u64, u64),
}

impl ClassScan {
    /// Returns the rules in the class, in order, each with its segment.
    pub fn rules(&self) -> impl Iterator<Item = (u32, Series, Rule)> {
        self.scans.iter().flat_map(|part| {
            let items = part.scanned.frames.iter().flat_map(|frame| &frame.items);
            items.filter_map(|item| match item.content {
                Content::Rule(series, rule) => Some((part.scanned.segment, series, rule)),
                _ => None,
            })
        })
    }

    /// Keeps the frames before one, which is given by its scan and its number there.
    pub fn keep(&mut self, at: usize, index: usize) {
        let mut gone: Vec<Frame> = self.scans[at].scanned.frames.split_off(index);
        for later in &mut self.scans[at + 1..] {
            gone.append(&mut later.scanned.frames);
        }
        self.beyond.0 += gone.len() as u64;
        self.beyond.1 += gone.iter().map(|frame| frame.items.len() as u64).sum::<u64>();
    }

    /// Where a group's missing frame should be; `None` if it may lie in a segment that was sealed or dropped.
    pub fn place_of(&self, group: u64) -> Option<Place> {
        let sealed = self.indexed.iter().any(|header| header.groups.1 >= group);
        if sealed || self.last_number as usize != self.indexed.len() + self.scans.len() {
            return None;
        }
        let mut at = Place::new(self.class.segment(1), 0);
        for part in &self.scans {
            let earlier = part.scanned.frames.iter().rev().find(|frame| group_of(&frame.header) < group);
            at = earlier.map_or(at, |frame| Place::new(part.scanned.segment, frame.end));
        }
        Some(at)
    }

    pub fn last_frame(&self, inner: &Inner) -> u64 {
        let scanned = self.scans.iter().rev().find_map(|part| part.scanned.frames.last());
        let of_class = self.class.segment(0)..=self.class.segment(self.last_number);
        let sealed = inner.sealed.range(of_class).next_back().map(|(_, sealed)| sealed.header.frames.1);
        scanned.map(|frame| frame.header.sequence).max(sealed).unwrap_or(0)
    }
}

/// Cuts a class behind the last group that all classes have.
pub fn cut_groups(scan: &mut ClassScan, last: u64) {
    let found = scan.scans.iter().enumerate().find_map(|(at, part)| {
        let index = part.scanned.frames.iter().position(|frame| group_of(&frame.header) > last)?;
        Some((at, index))
    });
    if let Some((at, index)) = found {
        scan.why = format!("group {} was not completed", last + 1);
        scan.keep(at, index);
    }
}

/// Whether one of these frames, from the `index`th of the first segment on, may have been acknowledged although
/// nothing proves that it was durable.
pub fn is_doubtful<'s>(scans: impl Iterator<Item = &'s Scan>, index: usize) -> bool {
    scans.flat_map(|part| &part.scanned.frames).skip(index).any(|frame| frame.header.synced == UNVOUCHED)
}

/// Returns whether a file contains anything but zeros from an offset on.
pub fn has_content(file: &dyn File, from: u32) -> io::Result<bool> {
    let (mut at, len) = (u64::from(from), file.len()?);
    while at < len
        && let Some(data) = file.next_data(at)?
    {
        at = at.max(data);
        let bytes = read_exactly(file, at, len.saturating_sub(at).min(1 << 20) as usize)?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Ok(true);
        }
        if bytes.is_empty() {
            break;
        }
        at += bytes.len() as u64;
    }
    Ok(false)
}
