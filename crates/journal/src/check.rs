//! Verifies a whole data directory without changing it.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use kernel::{Extent, Place};

use crate::engines::{DirectoryError, Files};
use crate::error::{Beyond, Damage, Doing, Effect, Error};
use crate::format::{Class, FRAME_HEADER, RECORD_HEADER};
use crate::index::{Entry, INDEX_HEADER, IndexBuilder, IndexHeader};
use crate::manifest::{JOURNAL, Manifest, Unusable};
use crate::names;
use crate::scan::{self, Fault, Frames};
use crate::storage::Storage;

/// The content of a data directory, and its damage.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// The segments, in order.
    pub segments: Vec<CheckedSegment>,
    /// Durable data that is missing or damaged. Empty if there is none.
    pub damage: Vec<Damage>,
    /// Whether no server has ever written to the directory.
    pub empty: bool,
    /// The place of an unfinished write. The next start cuts it off, unless the frames behind it may have
    /// been acknowledged.
    pub torn: Option<Damage>,
    /// The valid frames behind that place.
    pub beyond: Beyond,
}

/// The content of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CheckedSegment {
    /// The segment's number.
    pub number: u32,
    /// Length of its file, in bytes.
    pub file_bytes: u64,
    /// Length of its whole frames, in bytes.
    pub bytes: u64,
    /// Number of whole frames.
    pub frames: u64,
    /// Number of records of [`Class::Configuration`] in them.
    pub configuration: u64,
    /// Number of records of [`Class::Flow`] in them.
    pub flow: u64,
    /// Whether the segment has an index.
    pub indexed: bool,
}

/// A directory cannot be checked.
#[derive(Debug)]
pub enum CheckError {
    /// It cannot be opened.
    Directory(DirectoryError),
    /// It cannot be read.
    Journal(Error),
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Directory(error) => error.fmt(f),
            CheckError::Journal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CheckError {}

/// Reads every byte of a data directory and verifies every checksum. Changes nothing, and takes no lock:
/// writes of a running server can look torn.
pub fn check(directory: &Path) -> Result<Report, CheckError> {
    check_showing(directory, |_| {})
}

/// Does the same, and shows every record of a whole frame, in the order of the log.
pub fn check_showing(directory: &Path, mut seen: impl FnMut(Entry<'_>)) -> Result<Report, CheckError> {
    let files = Files::read_only(directory).map_err(CheckError::Directory)?;
    check_records(&files, &mut seen).map_err(CheckError::Journal)
}

/// As [`check`], for any storage.
pub fn check_storage(storage: &dyn Storage) -> Result<Report, Error> {
    check_records(storage, &mut |_| {})
}

fn check_records(storage: &dyn Storage, seen: &mut dyn FnMut(Entry<'_>)) -> Result<Report, Error> {
    let mut report = Report::default();
    let listed = storage.list().doing("listing", || storage.describe(""))?;
    let mut numbers: Vec<u32> = listed.iter().filter_map(|name| names::parse_segment(name)).collect();
    numbers.sort_unstable();
    let manifest_file = storage.describe(names::MANIFEST);
    let manifest = match Manifest::read(JOURNAL, storage).doing("reading", || manifest_file.clone())? {
        Some(Ok(manifest)) => manifest,
        Some(Err(Unusable::Newer(version))) => return Err(Error::Newer { file: manifest_file, version }),
        None if numbers.is_empty() => return Ok(Report { empty: true, ..report }),
        other => {
            let what = if other.is_some() { "the manifest is damaged" } else { "the manifest is missing" };
            let what = what.to_owned();
            report.damage.push(Damage { file: manifest_file, offset: 0, what, effect: Effect::Refused });
            return Ok(report);
        }
    };
    numbers.retain(|&number| !manifest.is_dropped(number));
    let indexes: Vec<u32> = listed.iter().filter_map(|name| names::parse_index(name)).collect();
    let claimed = manifest.end.unwrap_or_default();
    let mut checking = Checking {
        storage,
        seen,
        manifest,
        report,
        gaps: Vec::new(),
        has_ended: false,
        remnant: None,
        claimed,
        end: None,
        trusted: BTreeSet::new(),
    };
    checking.missing(&numbers);
    for &number in &numbers {
        checking.segment(number, indexes.contains(&number))?;
    }
    Ok(checking.conclude())
}

struct Checking<'a> {
    storage: &'a dyn Storage,
    seen: &'a mut dyn FnMut(Entry<'_>),
    manifest: Manifest,
    report: Report,
    /// The place without a valid frame that has frames behind it: damage, or an unfinished write.
    gaps: Vec<Gap>,
    /// Whether the expected frame is missing and no later one was found yet.
    has_ended: bool,
    /// The fault of the bytes at that place, if they were a frame.
    remnant: Option<Gap>,
    /// Everything before this place was durable once.
    claimed: Place,
    /// The end of the previous segment, and the number of the frame that should follow.
    end: Option<(Place, u64)>,
    /// Segments of which a start reads only the index.
    trusted: BTreeSet<u32>,
}

struct Gap {
    at: Place,
    fault: Fault,
    /// The valid frames between that place and the next one.
    beyond: Beyond,
}

impl Gap {
    fn new(at: Place, fault: Fault) -> Gap {
        Gap { at, fault, beyond: Beyond::default() }
    }
}

impl Checking<'_> {
    fn damage(&mut self, name: &str, offset: u64, what: String, effect: Effect) {
        self.report.damage.push(Damage { file: self.storage.describe(name), offset, what, effect });
    }

    fn missing(&mut self, numbers: &[u32]) {
        let last = numbers.last().copied().unwrap_or(0);
        for number in (1..last).filter(|number| numbers.binary_search(number).is_err()) {
            if !self.manifest.is_dropped(number) {
                self.damage(
                    &names::segment(number),
                    0,
                    "the file is missing, but the segment was not dropped".to_owned(),
                    Effect::Refused,
                );
            }
        }
    }

    fn segment(&mut self, number: u32, indexed: bool) -> Result<(), Error> {
        let name = names::segment(number);
        let describe = || self.storage.describe(&name);
        let file = self.storage.open(&name).doing("opening", describe)?;
        let file_bytes = file.len().doing("reading", describe)?;
        let mut checked = CheckedSegment { number, file_bytes, indexed, ..CheckedSegment::default() };
        let mut builder = IndexBuilder::new(number);
        let mut frames = Frames::new(&*file, self.manifest.log_id, number, None);
        let adjacent = self.end.filter(|(end, _)| end.segment() + 1 == number);
        let before = self.gaps.len();
        loop {
            let at = frames.offset();
            let next = frames.next(|place, header, record| {
                match header.class {
                    Class::Configuration => checked.configuration += 1,
                    Class::Flow => checked.flow += 1,
                }
                builder.record(place, header, record);
                let head_end = RECORD_HEADER + header.head as usize;
                (self.seen)(Entry {
                    extent: Extent { place, len: header.record_bytes() as u32 },
                    class: header.class,
                    head: record.get(RECORD_HEADER..head_end).unwrap_or_default(),
                    tail_len: header.tail,
                });
            });
            match next.doing("reading", || self.storage.describe(&name))? {
                Ok(header) => {
                    if let Some((end, expected)) = adjacent.filter(|_| checked.frames == 0 && at == 0)
                        && expected != header.sequence
                    {
                        let fault = Fault::Sequence { expected, found: header.sequence };
                        self.gaps.push(Gap::new(end, fault));
                    }
                    checked.frames += 1;
                    (self.has_ended, self.remnant) = (false, None);
                    checked.bytes += header.frame_bytes() as u64;
                    if let Some(gap) = self.gaps.last_mut() {
                        gap.beyond.frames += 1;
                        gap.beyond.records += u64::from(header.records);
                        gap.beyond.bytes += header.frame_bytes() as u64;
                        gap.beyond.doubtful |= scan::is_doubtful(&header, true);
                    }
                    self.claimed = self.claimed.max(header.synced);
                    builder.frames(header.sequence, &header, frames.offset());
                    self.end = Some((Place::new(number, frames.offset()), header.sequence + 1));
                }
                Err(fault) => {
                    let here = Place::new(number, at);
                    let mut noted = false;
                    let mut behind = None;
                    scan::search(&*file, self.manifest.log_id, number, at, |offset, header| {
                        // The frame's own header proves nothing if the rest of the frame is damaged.
                        if offset == at && !matches!(fault, Fault::Sequence { .. }) {
                            noted = true;
                            self.claimed = self.claimed.max(header.synced);
                            return ControlFlow::Continue(());
                        }
                        behind = Some(offset);
                        ControlFlow::Break(())
                    })
                    .doing("reading", || self.storage.describe(&name))?;
                    match behind {
                        Some(offset) => {
                            self.gaps.push(Gap::new(here, fault));
                            frames.skip_to(offset);
                        }
                        None => {
                            if noted {
                                self.gaps.push(Gap::new(here, fault));
                            } else if !std::mem::replace(&mut self.has_ended, true) {
                                let after = self.end.map_or(0, |(_, next)| next - 1);
                                let there = scan::read_exactly(&*file, at.into(), FRAME_HEADER)
                                    .doing("reading", || self.storage.describe(&name))?;
                                let is_remnant = scan::is_remnant(&there, self.manifest.log_id, after);
                                self.remnant = is_remnant.then(|| Gap::new(here, fault));
                            }
                            break;
                        }
                    }
                }
            }
        }
        if indexed {
            self.claimed = self.claimed.max(Place::new(number + 1, 0));
            // The segment is full: the log continues in the next one.
            (self.has_ended, self.remnant) = (false, None);
            let whole = self.gaps[before..].iter().all(|gap| gap.at.segment() != number);
            self.index(number, &builder, (frames.offset(), file_bytes), whole)?;
        }
        self.report.segments.push(checked);
        Ok(())
    }

    fn index(
        &mut self,
        number: u32,
        builder: &IndexBuilder,
        (end, file_bytes): (u32, u64),
        whole: bool,
    ) -> Result<(), Error> {
        let name = names::index(number);
        let describe = || self.storage.describe(&name);
        let file = self.storage.open(&name).doing("opening", describe)?;
        let len = file.len().doing("reading", describe)?;
        let bytes = scan::read_exactly(&*file, 0, len as usize).doing("reading", describe)?;
        let header = IndexHeader::decode(self.manifest.log_id, number, &bytes);
        let trusted = header
            .is_some_and(|header| file_bytes >= header.summary.end.into() && header.is_sound_in(&bytes));
        if trusted {
            self.trusted.insert(number);
        }
        if let Some(header) = &header
            && header.summary.end != end
            && whole
        {
            let what = format!("the segment's frames end here, but should end at {}", header.summary.end);
            // A start refuses a segment that is shorter than that.
            let effect = if trusted { Effect::Unreadable } else { Effect::Refused };
            self.damage(&names::segment(number), u64::from(end), what, effect);
        } else if whole && bytes != builder.encode(self.manifest.log_id) {
            let expected = builder.encode(self.manifest.log_id);
            let differs = bytes.iter().zip(&expected).take_while(|(one, other)| one == other).count();
            let what = "the index does not match its segment; the next start rebuilds it".to_owned();
            self.damage(&name, differs as u64, what, Effect::Rebuilt);
        }
        debug_assert!(header.is_none() || bytes.len() >= INDEX_HEADER);
        Ok(())
    }

    fn conclude(mut self) -> Report {
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.extend(self.remnant.take());
        for Gap { at, fault, beyond } in &gaps {
            let name = names::segment(at.segment());
            let offset = match fault {
                Fault::Record { offset } => *offset,
                _ => at.offset(),
            };
            if *at < self.claimed {
                let trusted = self.trusted.contains(&at.segment());
                let effect = if trusted { Effect::Unreadable } else { Effect::Refused };
                self.damage(&name, u64::from(offset), fault.to_string(), effect);
                continue;
            }
            if self.report.torn.is_none() {
                let (file, what) = (self.storage.describe(&name), fault.to_string());
                let effect = Effect::Refused;
                self.report.torn = Some(Damage { file, offset: u64::from(offset), what, effect });
            }
            let sum = &mut self.report.beyond;
            sum.frames += beyond.frames;
            sum.records += beyond.records;
            sum.bytes += beyond.bytes;
            sum.doubtful |= beyond.doubtful;
        }
        // Missing frames at the end of the log leave no gap.
        let end = self.end.map_or(Place::new(1, 0), |(end, _)| end);
        if let Some(noted) =
            self.manifest.end.filter(|&noted| end < noted && gaps.iter().all(|gap| gap.at < end))
        {
            let what = format!(
                "the log ends here, but reached to offset {} of segment {} at the last orderly stop",
                noted.offset(),
                noted.segment()
            );
            self.damage(&names::segment(end.segment()), end.offset().into(), what, Effect::Refused);
        }
        self.report
    }
}
