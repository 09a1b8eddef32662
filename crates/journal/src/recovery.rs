//! Finds the end of a log, and what a crash left behind. DESIGN.md, section 3, gives the reasons.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use kernel::{Place, Time};

use crate::cache::{self, Cache};
use crate::discipline::{is_full, rewrite, wipe};
use crate::error::{Beyond, Damage, Doing, Effect, Error};
use crate::format::FRAME_HEADER;
use crate::index::{INDEX_HEADER, IndexBuilder, IndexHeader, Summary};
use crate::journal::{Cut, Journal, Options, Recovered, SegmentInfo};
use crate::keeper::{Keeper, READY};
use crate::manifest::{JOURNAL, Manifest, Unusable};
use crate::names;
use crate::scan::{self, Fault, Frames};
use crate::storage::{File, Storage};

/// A log that is being opened.
pub struct Opening<'a> {
    storage: &'a dyn Storage,
    warnings: Vec<String>,
}

impl<'a> Opening<'a> {
    pub fn new(storage: &'a dyn Storage) -> Self {
        Opening { storage, warnings: Vec::new() }
    }

    pub fn run(mut self, storage: Arc<dyn Storage>, options: &Options) -> Result<Journal, Error> {
        let names = self.storage.list().doing("listing", || self.storage.describe(""))?;
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| names::parse_segment(name)).collect();
        numbers.sort_unstable();
        let mut indexes: Vec<u32> = names.iter().filter_map(|name| names::parse_index(name)).collect();
        indexes.sort_unstable();
        let manifest = self.manifest(&mut numbers, &indexes, options)?;
        self.remove_dropped(&manifest, &names)?;
        numbers.retain(|&number| !manifest.is_dropped(number));
        indexes.retain(|&number| !manifest.is_dropped(number));
        self.refuse_missing(&manifest, &numbers, &indexes)?;

        let mut found = self.find(&manifest, &numbers, &indexes)?;
        let end = self.find_end(&mut found);
        let cut = self.refuse_damage(&manifest, &numbers, &indexes, &end, options.durable)?;
        // From here on, recovery changes the directory.
        let mut keeper = Keeper {
            cache: Arc::new(Cache::new(storage.clone(), names::segment, cache::OPEN)),
            storage,
            manifest,
            segment_bytes: options.segment_bytes,
            unsettled: true,
            newest: 0,
            last: numbers.last().copied().unwrap_or(0),
        };
        let cut = match cut {
            Some(beyond) => Some(self.cut(&mut keeper, &mut numbers, &end, beyond)?),
            None => None,
        };
        if options.durable {
            self.make_durable(&found, end.synced)?;
        }
        self.finish(keeper, options, &numbers, found, &end, cut)
    }

    fn io<T>(&self, result: io::Result<T>, doing: &'static str, name: &str) -> Result<T, Error> {
        result.doing(doing, || self.storage.describe(name))
    }

    /// Returns the directory's manifest, or a new one if it never had any.
    fn manifest(
        &mut self,
        numbers: &mut Vec<u32>,
        indexes: &[u32],
        options: &Options,
    ) -> Result<Manifest, Error> {
        let file = || self.storage.describe(names::MANIFEST);
        let why = match self.io(Manifest::read(JOURNAL, self.storage), "reading", names::MANIFEST)? {
            Some(Ok(manifest)) => return Ok(manifest),
            Some(Err(Unusable::Newer(version))) => return Err(Error::Newer { file: file(), version }),
            Some(Err(Unusable::Malformed)) => "the manifest is damaged",
            None => "the manifest is missing, but there are segments",
        };
        // A crash just after the directory was created can leave files without a manifest. Nothing was
        // durable yet.
        let mut durable = !indexes.is_empty();
        for &number in &*numbers {
            let name = names::segment(number);
            let file = self.io(self.storage.open(&name), "opening", &name)?;
            let search =
                scan::search_any(&*file, number, |header| durable |= header.synced > Place::new(1, 0));
            self.io(search, "reading", &name)?;
        }
        if durable {
            let effect = Effect::Refused;
            return Err(Error::Damaged(Damage { file: file(), offset: 0, what: why.to_owned(), effect }));
        }
        let left = !numbers.is_empty();
        for number in numbers.drain(..) {
            let name = names::segment(number);
            self.io(self.storage.remove(&name), "removing", &name)?;
        }
        if left {
            // These files must not reappear beside the new manifest after another crash.
            self.io(self.storage.sync_dir(), "syncing the directory of", names::MANIFEST)?;
        }
        let manifest = Manifest::new(JOURNAL, options.log_id);
        self.io(manifest.write(self.storage, false), "writing", names::MANIFEST)?;
        Ok(manifest)
    }

    /// Finishes interrupted drops of segments and writes of indexes.
    fn remove_dropped(&self, manifest: &Manifest, names: &[String]) -> Result<(), Error> {
        for name in names {
            let dropped = names::parse_segment(name).or(names::parse_index(name));
            let unfinished = names::parse_index_next(name).is_some();
            if unfinished || dropped.is_some_and(|segment| manifest.is_dropped(segment)) {
                self.io(self.storage.remove(name), "removing", name)?;
            }
        }
        Ok(())
    }

    fn refuse_missing(&self, manifest: &Manifest, numbers: &[u32], indexes: &[u32]) -> Result<(), Error> {
        let last = numbers.iter().chain(indexes).max().copied().unwrap_or(0);
        for number in (1..=last).filter(|&number| !manifest.is_dropped(number)) {
            if numbers.binary_search(&number).is_err() {
                let what = "the file is missing, but the segment was not dropped".to_owned();
                return Err(damaged(self.storage, Place::new(number, 0), what));
            }
        }
        Ok(())
    }

    /// Reads the header of every index, and scans every segment without an index, up to the possible end of
    /// the log.
    fn find(&mut self, manifest: &Manifest, numbers: &[u32], indexes: &[u32]) -> Result<Vec<Found>, Error> {
        let mut found: Vec<Found> = Vec::new();
        let mut expected = None;
        let mut previous = 0;
        for &number in numbers {
            if number != previous + 1 {
                // Dropped segments are in between, so any number may follow.
                expected = None;
            }
            previous = number;
            let name = names::segment(number);
            let file = self.io(self.storage.open(&name), "opening", &name)?;
            let full = indexes.binary_search(&number).is_ok();
            let index = if full { self.index(manifest, number, &*file)? } else { None };
            if let Some(index) = index {
                if let Some(expected) = expected.filter(|&expected| expected != index.summary.first_sequence)
                {
                    let at = found.last().and_then(Found::summary);
                    let at = at.map_or(Place::new(number, 0), |last| Place::new(last.segment, last.end));
                    let first = index.summary.first_sequence;
                    let what = format!("frames {expected} to {} are missing", first.saturating_sub(1));
                    return Err(damaged(self.storage, at, what));
                }
                expected = Some(index.summary.last_sequence + 1);
                found.push(Found::Indexed(index));
                continue;
            }
            let expected_first = if number == 1 { Some(1) } else { expected };
            let scanned = scan_segment(file, manifest.log_id, number, expected_first);
            let mut scanned = self.io(scanned, "reading", &name)?;
            if full {
                self.refuse_unfinished(manifest, &scanned)?;
                scanned.full = true;
            }
            expected = match scanned.builder.summary() {
                Some(summary) => Some(summary.last_sequence + 1),
                None => expected_first,
            };
            found.push(Found::Scanned(scanned));
        }
        Ok(found)
    }

    /// A segment with an index was completely durable, so bytes behind its last frame must not look like a
    /// frame.
    fn refuse_unfinished(&self, manifest: &Manifest, scanned: &Scanned) -> Result<(), Error> {
        let end = scanned.builder.end();
        let mut more = scanned.builder.summary().is_none();
        let search = scan::search(&*scanned.file, manifest.log_id, end.segment(), end.offset(), |_, _| {
            more = true;
            ControlFlow::Break(())
        });
        self.io(search, "reading", &names::segment(end.segment()))?;
        if more {
            return Err(damaged(
                self.storage,
                end,
                format!("{}; the segment's index is damaged, too", scanned.fault),
            ));
        }
        Ok(())
    }

    /// Returns the header of an index, if the index is valid.
    fn index(
        &mut self,
        manifest: &Manifest,
        number: u32,
        segment: &dyn File,
    ) -> Result<Option<IndexHeader>, Error> {
        let name = names::index(number);
        let file = self.io(self.storage.open(&name), "opening", &name)?;
        let header = self.io(scan::read_exactly(&*file, 0, INDEX_HEADER), "reading", &name)?;
        let header = IndexHeader::decode(manifest.log_id, number, &header);
        let Some(header) = header.filter(|header| file.len().is_ok_and(|len| len == header.file_len()))
        else {
            self.warnings.push(format!(
                "{} was damaged and has been rebuilt from its segment",
                self.storage.describe(&name)
            ));
            return Ok(None);
        };
        let len = self.io(segment.len(), "reading", &names::segment(number))?;
        if len < u64::from(header.summary.end) {
            let what = format!("the file ends here, but should be {} bytes long", header.summary.end);
            return Err(damaged(self.storage, Place::new(number, len as u32), what));
        }
        Ok(Some(header))
    }

    /// Returns the end of the log. Leaves in `found` the segments before it.
    fn find_end(&self, found: &mut Vec<Found>) -> End {
        // The log ends before the first segment that does not begin with the expected frame.
        let after = found.iter().position(|found| found.summary().is_none()).unwrap_or(found.len());
        let beyond = found.drain(after..).next();
        let fault = match beyond {
            Some(Found::Scanned(scanned)) => scanned.fault,
            _ => Fault::NoHeader,
        };
        match found.last() {
            None => End { at: Place::new(1, 0), last: None, synced: Place::new(1, 0), fault },
            Some(Found::Indexed(index)) => {
                // A segment with an index is full.
                let at = Place::new(index.summary.segment + 1, 0);
                End { at, last: Some(index.summary), synced: at, fault }
            }
            Some(Found::Scanned(scanned)) if scanned.full => {
                let at = Place::new(scanned.builder.segment() + 1, 0);
                End { at, last: scanned.builder.summary(), synced: at, fault }
            }
            Some(Found::Scanned(scanned)) => End {
                at: scanned.builder.end(),
                last: scanned.builder.summary(),
                synced: scanned.synced,
                fault: scanned.fault,
            },
        }
    }

    /// Examines everything behind the end of the log. Fails if any of it proves that more was durable, or may
    /// have been acknowledged. Otherwise returns what must be overwritten before new records are written
    /// there.
    fn refuse_damage(
        &self,
        manifest: &Manifest,
        numbers: &[u32],
        indexes: &[u32],
        end: &End,
        durable: bool,
    ) -> Result<Option<Beyond>, Error> {
        let after = end.last.map_or(0, |last| last.last_sequence);
        let mut claimed = indexes.iter().max().map_or(Place::default(), |&last| Place::new(last + 1, 0));
        claimed = claimed.max(manifest.end.unwrap_or_default());
        let mut trace = false;
        let mut beyond = Beyond::default();
        for &number in numbers.iter().filter(|&&number| number >= end.at.segment()) {
            let name = names::segment(number);
            let file = self.io(self.storage.open(&name), "opening", &name)?;
            let from = if number == end.at.segment() { end.at.offset() } else { 0 };
            let mut candidates = Vec::new();
            let search = scan::search(&*file, manifest.log_id, number, from, |offset, header| {
                if header.sequence > after {
                    trace = true;
                    claimed = claimed.max(header.synced);
                    candidates.push(offset);
                }
                ControlFlow::Continue(())
            });
            self.io(search, "reading", &name)?;
            for offset in candidates {
                let mut frames = Frames::new(&*file, manifest.log_id, number, None);
                frames.skip_to(offset);
                if let Ok(header) = self.io(frames.next(|_, _, _| {}), "reading", &name)? {
                    beyond.frames += 1;
                    beyond.records += u64::from(header.records);
                    beyond.bytes += header.frame_bytes() as u64;
                    beyond.doubtful |= scan::is_doubtful(&header, durable);
                }
            }
        }
        if claimed > end.at {
            let (file, offset) = (claimed.segment(), claimed.offset());
            let what = format!("{}; the log was durable up to offset {offset} of segment {file}", end.fault);
            return Err(damaged(self.storage, self.suspect(numbers, end)?, what));
        }
        if end.last.is_none() && manifest.has_dropped() {
            let what = "there are no frames, but segments were dropped".to_owned();
            return Err(damaged(self.storage, end.at, what));
        }
        if beyond.doubtful {
            let at = self.suspect(numbers, end)?;
            let file = self.storage.describe(&names::segment(at.segment()));
            let (offset, what) = (u64::from(at.offset()), end.fault.to_string());
            let damage = Damage { file, offset, what, effect: Effect::Refused };
            return Err(Error::Doubtful(damage, beyond));
        }
        let trace = trace || self.has_remnant(manifest, numbers, end)?;
        Ok(trace.then_some(beyond))
    }

    /// Whether the bytes at the end of the log were the expected frame, although its header is damaged.
    fn has_remnant(&self, manifest: &Manifest, numbers: &[u32], end: &End) -> Result<bool, Error> {
        if numbers.binary_search(&end.at.segment()).is_err() {
            return Ok(false);
        }
        let name = names::segment(end.at.segment());
        let file = self.io(self.storage.open(&name), "opening", &name)?;
        let there = scan::read_exactly(&*file, u64::from(end.at.offset()), FRAME_HEADER);
        let there = self.io(there, "reading", &name)?;
        let after = end.last.map_or(0, |last| last.last_sequence);
        Ok(scan::is_remnant(&there, manifest.log_id, after))
    }

    /// Returns where the missing frame at the end of the log should be: at that place or, if nothing was ever
    /// written there, at the beginning of the next segment.
    fn suspect(&self, numbers: &[u32], end: &End) -> Result<Place, Error> {
        let next = end.at.segment() + 1;
        if numbers.binary_search(&next).is_err() || end.at.offset() == 0 {
            return Ok(end.at);
        }
        let name = names::segment(end.at.segment());
        let file = self.io(self.storage.open(&name), "opening", &name)?;
        let there = scan::read_exactly(&*file, u64::from(end.at.offset()), FRAME_HEADER);
        let there = self.io(there, "reading", &name)?;
        Ok(if there.iter().all(|&byte| byte == 0) { Place::new(next, 0) } else { end.at })
    }

    /// Removes the bytes behind the end of the log, so that they cannot reappear among new records.
    fn cut(
        &self,
        keeper: &mut Keeper,
        numbers: &mut Vec<u32>,
        end: &End,
        beyond: Beyond,
    ) -> Result<Cut, Error> {
        while let Some(number) = numbers.pop_if(|&mut number| number > end.at.segment()) {
            let name = names::segment(number);
            self.io(self.storage.remove(&name), "removing", &name)?;
            // One at a time: after a crash, no segment may exist without all earlier ones.
            self.io(self.storage.sync_dir(), "syncing the directory of", &name)?;
        }
        let name = names::segment(end.at.segment());
        if numbers.last() == Some(&end.at.segment()) {
            let file = self.io(self.storage.open(&name), "opening", &name)?;
            // The file is not truncated: on a full disk other files would take the space.
            self.io(wipe(&*file, end.at.offset()), "cutting", &name)?;
            self.io(file.sync(), "syncing", &name)?;
        }
        self.io(self.storage.sync_dir(), "syncing the directory of", &name)?;
        keeper.last = numbers.last().copied().unwrap_or(0);
        Ok(Cut { file: self.storage.describe(&name), at: end.at, why: end.fault.to_string(), beyond })
    }

    /// Rewrites everything that is not known to be on the disk, and syncs it.
    ///
    /// A sync alone is not enough. If the previous process failed to sync, the system has the bytes in
    /// memory, marked as clean, and a sync would report success without writing them.
    fn make_durable(&self, found: &[Found], synced: Place) -> Result<(), Error> {
        for found in found {
            let Found::Scanned(Scanned { file, builder, .. }) = found else { continue };
            if builder.segment() < synced.segment() {
                continue;
            }
            let name = names::segment(builder.segment());
            let from = if builder.segment() == synced.segment() { synced.offset() } else { 0 };
            self.io(rewrite(&**file, from, builder.end().offset()), "writing again", &name)?;
            self.io(file.sync(), "syncing", &name)?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        mut keeper: Keeper,
        options: &Options,
        numbers: &[u32],
        mut found: Vec<Found>,
        end: &End,
        cut: Option<Cut>,
    ) -> Result<Journal, Error> {
        let summaries: Vec<Summary> = found.iter().filter_map(Found::summary).collect();
        let open = match found.pop() {
            Some(Found::Scanned(scanned)) if !scanned.full => scanned.builder,
            Some(full) => {
                found.push(full);
                IndexBuilder::new(end.at.segment())
            }
            None => IndexBuilder::new(end.at.segment()),
        };
        let mut indexed = BTreeMap::new();
        let mut unindexed = Vec::new();
        for found in found {
            let index = match found {
                Found::Indexed(index) => index,
                Found::Scanned(Scanned { builder, file, .. }) => {
                    self.io(file.sync(), "syncing", &names::segment(builder.segment()))?;
                    match keeper.index(&builder) {
                        Err(error) if is_full(&error) => {
                            unindexed.push(builder);
                            continue;
                        }
                        other => self.io(other, "writing", &names::index(builder.segment()))?,
                    }
                    builder.header()
                }
            };
            indexed.insert(index.summary.segment, index);
        }
        let (file, unreserved) = match numbers.binary_search(&end.at.segment()) {
            Ok(_) => self.ready(options, end.at.segment())?,
            Err(_) => {
                let name = names::segment(end.at.segment());
                match keeper.prepare() {
                    // A full disk must not prevent a start, because deletes free space.
                    Err(error) if is_full(&error) => {
                        (self.io(keeper.prepare_unreserved(), "preparing", &name)?.1, Some(0))
                    }
                    prepared => (self.io(prepared, "preparing", &name)?.1, None),
                }
            }
        };
        let mut ahead = Vec::new();
        for &number in numbers.iter().filter(|&&number| number > end.at.segment()) {
            match self.ready(options, number)? {
                (file, None) => ahead.push((number, file)),
                // A crash left this file without its space. It and all later ones are created again when
                // there is space.
                (_, Some(_)) => {
                    for &number in numbers.iter().rev().take_while(|&&last| last >= number) {
                        let name = names::segment(number);
                        self.io(self.storage.remove(&name), "removing", &name)?;
                        self.io(self.storage.sync_dir(), "syncing the directory of", &name)?;
                        keeper.last = number - 1;
                    }
                    break;
                }
            }
        }
        if options.durable && !summaries.is_empty() {
            self.io(keeper.settle(), "syncing", names::MANIFEST)?;
        }
        let mut low = unreserved.is_some() || !unindexed.is_empty();
        // In a log that has filled its first segment, the next segments are prepared before the first
        // request, so that lack of space is known in time.
        while !low && ahead.len() < READY && end.at.segment() > 1 {
            match keeper.prepare() {
                Err(error) if is_full(&error) => low = true,
                prepared => ahead.push(self.io(prepared, "preparing", &names::segment(keeper.last + 1))?),
            }
        }
        keeper.newest = end.last.map_or(0, |last| last.segment);
        let recovered = Recovered {
            end: end.at,
            durable: if options.durable { end.at } else { end.synced.max(Place::new(1, 0)) },
            last_sequence: end.last.map_or(0, |last| last.last_sequence),
            now: Time(end.last.map_or(0, |last| last.now)),
            counter: end.last.map_or(0, |last| last.counter),
            segments: summaries
                .iter()
                .map(|summary| SegmentInfo { number: summary.segment, bytes: summary.end })
                .collect(),
            cut,
            warnings: std::mem::take(&mut self.warnings),
        };
        let Options { recycled, durable, .. } = *options;
        Ok(Journal {
            keeper,
            recovered,
            indexed,
            open,
            file,
            ahead,
            unreserved,
            low,
            unindexed,
            recycled,
            durable,
        })
    }

    /// Opens a segment's file for writing. If the disk is too full to allocate its space, returns how much of
    /// the file exists. That must not prevent a start, because deletes free space.
    fn ready(&self, options: &Options, number: u32) -> Result<(Arc<dyn File>, Option<u32>), Error> {
        let name = names::segment(number);
        let file = self.io(self.storage.open(&name), "opening", &name)?;
        let len = self.io(file.len(), "reading", &name)?;
        if len < u64::from(options.segment_bytes) {
            match file.reserve(u64::from(options.segment_bytes)) {
                Err(error) if is_full(&error) => return Ok((file, u32::try_from(len).ok())),
                other => self.io(other, "reserving space for", &name)?,
            }
        }
        Ok((file, None))
    }
}

/// A segment that recovery found.
enum Found {
    Indexed(IndexHeader),
    Scanned(Scanned),
}

/// A segment that was read frame by frame.
pub struct Scanned {
    file: Arc<dyn File>,
    pub builder: IndexBuilder,
    /// The place up to which the log was durable, according to the last frame.
    synced: Place,
    pub fault: Fault,
    /// Whether there is an index, even a damaged one. If so, the whole segment was durable.
    full: bool,
}

/// Reads a segment's frames from its beginning, as long as each is the expected one.
pub fn scan_segment(
    file: Arc<dyn File>,
    log_id: u64,
    segment: u32,
    expected: Option<u64>,
) -> io::Result<Scanned> {
    let mut builder = IndexBuilder::new(segment);
    let mut synced = Place::new(segment, 0);
    let mut frames = Frames::new(&*file, log_id, segment, expected);
    let fault = loop {
        let next = frames.next(|place, header, record| builder.record(place, header, record))?;
        match next {
            Ok(header) => {
                synced = header.synced;
                builder.frames(header.sequence, &header, frames.offset());
            }
            Err(fault) => break fault,
        }
    };
    Ok(Scanned { file, builder, synced, fault, full: false })
}

pub fn damaged(storage: &dyn Storage, at: Place, what: String) -> Error {
    let file = storage.describe(&names::segment(at.segment()));
    Error::Damaged(Damage { file, offset: u64::from(at.offset()), what, effect: Effect::Refused })
}

impl Found {
    fn summary(&self) -> Option<Summary> {
        match self {
            Found::Indexed(index) => Some(index.summary),
            Found::Scanned(scanned) => scanned.builder.summary(),
        }
    }
}

/// The end of the log, before anything was changed.
struct End {
    /// The place where the next frame should begin.
    at: Place,
    /// The last segment with content.
    last: Option<Summary>,
    /// The place up to which the log is known to be durable.
    synced: Place,
    /// Why the bytes at `at` are not a frame.
    fault: Fault,
}
