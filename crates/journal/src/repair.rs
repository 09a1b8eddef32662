//! Repairs a damaged log at an operator's request: keeps valid records, and sets damaged bytes aside.
//!
//! A damaged segment gets an index of its valid records, and a start reads only these. The damaged bytes stay
//! in place, and are also copied to a file of their own, because cleaning will drop the segment one day.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use kernel::{Extent, Place};

use crate::cache::{self, Cache};
use crate::error::{Doing, Error};
use crate::format::{FRAME_HEADER, FrameHeader, RECORD_HEADER};
use crate::index::{Entry, INDEX_HEADER, IndexBuilder, IndexHeader};
use crate::keeper::Keeper;
use crate::manifest::{JOURNAL, Manifest, Unusable};
use crate::names;
use crate::scan::{self, Fault, Frames};
use crate::storage::{File, Storage};

/// The result of a repair.
#[derive(Clone, Default, Debug)]
pub struct Repaired {
    /// Byte ranges that are not valid frames, and the files that contain them now.
    pub holes: Vec<Hole>,
    /// Segments that are missing, or without a valid record: the log continues without them.
    pub missing: Vec<u32>,
    /// Whether the manifest was rebuilt from the segments.
    pub manifest: bool,
}

/// A range of bytes that was set aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hole {
    /// The segment's file.
    pub file: String,
    /// The offset in the file.
    pub offset: u64,
    /// The length, in bytes.
    pub bytes: u64,
    /// Description of the damage.
    pub what: String,
    /// Number of valid records inside the range, which are kept.
    pub kept: u32,
    /// The file that contains the bytes now.
    pub set_aside: String,
}

/// A segment during a repair.
enum Segment {
    /// A start reads only the index of this segment.
    Indexed(IndexHeader),
    /// The repair walked the segment. The flag says whether the segment needs an index of its valid records.
    Walked(IndexBuilder, bool),
}

/// Makes a damaged log usable again. Shows every valid record behind the first damaged place, which a start
/// would not have read. Changes nothing in an undamaged log.
///
/// # Errors
/// [`Error::Newer`], or an error of the storage.
pub fn repair(storage: Arc<dyn Storage>, mut seen: impl FnMut(Entry<'_>)) -> Result<Repaired, Error> {
    let describe = |name: &str| storage.describe(name);
    let listed = storage.list().doing("listing", || describe(""))?;
    let mut numbers: Vec<u32> = listed.iter().filter_map(|name| names::parse_segment(name)).collect();
    numbers.sort_unstable();
    let indexes: BTreeSet<u32> = listed.iter().filter_map(|name| names::parse_index(name)).collect();
    let mut repaired = Repaired::default();
    let read = Manifest::read(JOURNAL, &*storage).doing("reading", || describe(names::MANIFEST))?;
    let mut manifest = match read {
        Some(Ok(manifest)) => manifest,
        Some(Err(Unusable::Newer(version))) => {
            return Err(Error::Newer { file: describe(names::MANIFEST), version });
        }
        _ => {
            let Some(manifest) = manifest_from(&*storage, &numbers)? else { return Ok(repaired) };
            repaired.manifest = true;
            manifest
        }
    };
    numbers.retain(|&number| !manifest.is_dropped(number));
    let last = numbers.iter().chain(&indexes).max().copied().unwrap_or(0);
    for number in (1..=last).filter(|&number| !manifest.is_dropped(number)) {
        if numbers.binary_search(&number).is_err() {
            repaired.missing.push(number);
        }
    }
    let mut segments: Vec<Segment> = Vec::new();
    // The number of the last valid frame.
    let mut before = 0;
    for &number in &numbers {
        let name = names::segment(number);
        let file = storage.open(&name).doing("opening", || describe(&name))?;
        let index = match indexes.contains(&number) {
            true => trusted_index(&*storage, manifest.log_id, number, &*file)?,
            false => None,
        };
        let segment = match index {
            Some(index) => {
                before = index.summary.last_sequence;
                Segment::Indexed(index)
            }
            None => {
                let holes = repaired.holes.len();
                let mut walk = Walk {
                    storage: &*storage,
                    file: &*file,
                    log_id: manifest.log_id,
                    number,
                    before: &mut before,
                };
                let is_behind = holes > 0 || !repaired.missing.is_empty();
                let builder = walk.run(is_behind, &mut repaired.holes, &mut seen)?;
                Segment::Walked(builder, repaired.holes.len() > holes || indexes.contains(&number))
            }
        };
        segments.push(segment);
    }
    settle_numbers(&mut segments);
    let end = segments.iter().filter_map(Segment::summary).next_back();
    for segment in &segments {
        let number = segment.number();
        let is_empty = segment.summary().is_none();
        if is_empty && end.is_some_and(|end| number < end.segment) {
            repaired.missing.push(number);
            let name = names::segment(number);
            let aside = format!("{name}.damaged");
            storage.rename(&name, &aside).doing("renaming", || describe(&name))?;
        }
        if is_empty && indexes.contains(&number) {
            let name = names::index(number);
            storage.remove(&name).doing("removing", || describe(&name))?;
        }
    }
    for &number in &repaired.missing {
        if end.is_some_and(|end| number < end.segment) {
            manifest.drop_segment(number);
        } else if indexes.contains(&number) {
            let name = names::index(number);
            storage.remove(&name).doing("removing", || describe(&name))?;
        }
    }
    // The end noted in the manifest is no longer valid if the repair removed that end.
    let reached = end.map_or(Place::new(1, 0), |end| Place::new(end.segment, end.end));
    manifest.end = manifest.end.filter(|&end| end <= reached);
    let keeper = Keeper {
        cache: Arc::new(Cache::new(storage.clone(), names::segment, cache::OPEN)),
        storage: storage.clone(),
        manifest,
        segment_bytes: 0,
        unsettled: false,
        newest: 0,
        last,
    };
    for segment in &segments {
        if let Segment::Walked(builder, true) = segment
            && builder.summary().is_some()
        {
            let name = names::index(builder.segment());
            keeper.index(builder).doing("writing", || describe(&name))?;
        }
    }
    storage.sync_dir().doing("syncing the directory of", || describe(names::MANIFEST))?;
    keeper.manifest.write(&*storage, true).doing("writing", || describe(names::MANIFEST))?;
    Ok(repaired)
}

impl Segment {
    fn number(&self) -> u32 {
        match self {
            Segment::Indexed(index) => index.summary.segment,
            Segment::Walked(builder, _) => builder.segment(),
        }
    }

    fn summary(&self) -> Option<crate::index::Summary> {
        match self {
            Segment::Indexed(index) => Some(index.summary),
            Segment::Walked(builder, _) => builder.summary(),
        }
    }
}

/// A start expects the numbers of frames to continue from segment to segment. Where frames are missing, the
/// index of a segment claims their numbers.
fn settle_numbers(segments: &mut [Segment]) {
    for at in 1..segments.len() {
        let (earlier, later) = segments.split_at_mut(at);
        let (Some(before), Some(next)) = (earlier.last_mut(), later.first_mut()) else { continue };
        let (Some(last), Some(first)) = (before.summary(), next.summary()) else { continue };
        if last.segment + 1 != first.segment || last.last_sequence + 1 == first.first_sequence {
            continue;
        }
        match (before, next) {
            (_, Segment::Walked(builder, index)) => {
                builder.begin_with(last.last_sequence + 1);
                *index = true;
            }
            (Segment::Walked(builder, index), _) => {
                builder.end_with(first.first_sequence - 1);
                *index = true;
            }
            _ => {}
        }
    }
}

/// Returns a manifest for segments without one. Missing segments count as dropped.
fn manifest_from(storage: &dyn Storage, numbers: &[u32]) -> Result<Option<Manifest>, Error> {
    let mut manifest: Option<Manifest> = None;
    for &number in numbers {
        let name = names::segment(number);
        let describe = || storage.describe(&name);
        let file = storage.open(&name).doing("opening", describe)?;
        scan::search_any(&*file, number, |header| {
            manifest.get_or_insert_with(|| Manifest::new(JOURNAL, header.log_id));
        })
        .doing("reading", describe)?;
    }
    if let Some(manifest) = &mut manifest {
        let last = numbers.last().copied().unwrap_or(0);
        for number in (1..last).filter(|number| numbers.binary_search(number).is_err()) {
            manifest.drop_segment(number);
        }
    }
    Ok(manifest)
}

/// Returns the header of an index on which a start relies.
fn trusted_index(
    storage: &dyn Storage,
    log_id: u64,
    number: u32,
    segment: &dyn File,
) -> Result<Option<IndexHeader>, Error> {
    let name = names::index(number);
    let describe = || storage.describe(&name);
    let file = storage.open(&name).doing("opening", describe)?;
    let len = file.len().doing("reading", describe)?;
    let bytes = scan::read_exactly(&*file, 0, len as usize).doing("reading", describe)?;
    let whole = segment.len().doing("reading", || storage.describe(&names::segment(number)))?;
    let header = bytes.get(..INDEX_HEADER).and_then(|header| IndexHeader::decode(log_id, number, header));
    Ok(header.filter(|header| whole >= header.summary.end.into() && header.is_sound_in(&bytes)))
}

/// A walk through one segment.
struct Walk<'a> {
    storage: &'a dyn Storage,
    file: &'a dyn File,
    log_id: u64,
    number: u32,
    before: &'a mut u64,
}

/// Maximum number of bytes to set aside behind the last frame.
const TAIL_BYTES: u64 = 64 << 10;

impl Walk<'_> {
    fn run(
        &mut self,
        mut is_behind: bool,
        holes: &mut Vec<Hole>,
        seen: &mut dyn FnMut(Entry<'_>),
    ) -> Result<IndexBuilder, Error> {
        let name = names::segment(self.number);
        let describe = || self.storage.describe(&name);
        let mut builder = IndexBuilder::new(self.number);
        let first = scan::read_exactly(self.file, 0, FRAME_HEADER).doing("reading", describe)?;
        if let Some(first) = FrameHeader::decode(self.log_id, self.number, &first) {
            is_behind |= self.number > 1 && first.sequence != *self.before + 1;
        }
        let mut frames = Frames::new(self.file, self.log_id, self.number, None);
        loop {
            let at = frames.offset();
            let next = frames.next(|place, header, record| {
                builder.record(place, header, record);
                if is_behind {
                    let len = header.record_bytes() as u32;
                    let head = &record[RECORD_HEADER..RECORD_HEADER + header.head as usize];
                    let (class, tail_len) = (header.class, header.tail);
                    seen(Entry { extent: Extent { place, len }, class, head, tail_len });
                }
            });
            let fault = match next.doing("reading", describe)? {
                Ok(header) => {
                    builder.frames(header.sequence, &header, frames.offset());
                    *self.before = header.sequence;
                    continue;
                }
                Err(fault) => fault,
            };
            let mut behind = None;
            let before = *self.before;
            scan::search(self.file, self.log_id, self.number, at, |offset, header| {
                if offset > at && header.sequence > before {
                    behind = Some(offset);
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })
            .doing("reading", describe)?;
            // The valid records of a frame with a valid header are kept.
            let salvaged = scan::salvage(self.file, self.log_id, self.number, at, |place, header, record| {
                builder.record(place, header, record);
            })
            .doing("reading", describe)?
            .filter(|(header, _)| header.sequence > before);
            let len = self.file.len().doing("reading", describe)?;
            let end = match (behind, &salvaged) {
                (Some(offset), _) => u64::from(offset),
                (None, Some((header, _))) => (u64::from(at) + header.frame_bytes() as u64).min(len),
                (None, None) => {
                    let there = scan::read_exactly(self.file, at.into(), TAIL_BYTES as usize)
                        .doing("reading", describe)?;
                    if !scan::is_remnant(&there, self.log_id, before) {
                        return Ok(builder);
                    }
                    (u64::from(at) + TAIL_BYTES).min(len)
                }
            };
            holes.push(self.set_aside(at, end, &fault, salvaged.as_ref().map_or(0, |&(_, kept)| kept))?);
            is_behind = true;
            if let Some((header, _)) = salvaged {
                let end = u32::try_from(u64::from(at) + header.frame_bytes() as u64).unwrap_or(u32::MAX);
                self.take(&mut builder, &header, end.min(u32::try_from(len).unwrap_or(u32::MAX)));
            }
            match behind {
                Some(offset) => frames.skip_to(offset),
                None => return Ok(builder),
            }
        }
    }

    fn take(&mut self, builder: &mut IndexBuilder, header: &FrameHeader, end: u32) {
        builder.frames(header.sequence, header, end);
        *self.before = header.sequence;
    }

    /// Copies bytes to a file of their own.
    fn set_aside(&self, from: u32, to: u64, fault: &Fault, kept: u32) -> Result<Hole, Error> {
        let segment = names::segment(self.number);
        let name = format!("{segment}.{from}.damaged");
        let describe = || self.storage.describe(&name);
        let file = self.storage.create(&name).doing("creating", describe)?;
        let mut at = u64::from(from);
        while at < to {
            let part = (to - at).min(1 << 20) as usize;
            let bytes = scan::read_exactly(self.file, at, part)
                .doing("reading", || self.storage.describe(&segment))?;
            if bytes.is_empty() {
                break;
            }
            file.write_at(&[&bytes], at - u64::from(from)).doing("writing", describe)?;
            at += bytes.len() as u64;
        }
        file.sync().doing("syncing", describe)?;
        Ok(Hole {
            file: self.storage.describe(&segment),
            offset: from.into(),
            bytes: at - u64::from(from),
            what: fault.to_string(),
            kept,
            set_aside: self.storage.describe(&name),
        })
    }
}
