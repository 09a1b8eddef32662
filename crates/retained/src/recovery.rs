//! Finds the end of each class after a crash, and the last group that all of them have. DESIGN.md, section 3,
//! gives the reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use journal::common::{Doing, MANIFEST, Manifest, Unusable, read_exactly, rewrite, search_any, wipe};
use journal::format::UNVOUCHED;
use journal::{Damage, Effect, Error, Storage};
use kernel::{Place, Time};

use crate::class_scan::{ClassScan, Scan, cut_groups, has_content, is_doubtful};
use crate::index::{HEADER, Header};
use crate::lane::{Home, Lane, Target};
use crate::scanning::scan_segment;
use crate::series::{RetentionClass, Series, names};
use crate::shared::{Inner, Shared, Standing};
use crate::spans::{classes_of, group_of};
use crate::store::{Cut, Options, Recovered, Store};
use crate::tidying::{forget_rules, note_sealed};
use crate::writer::Writer;

/// The first line of a store's manifest.
pub const TITLE: &str = "posthaste retained";

/// A store that is being opened.
pub struct Opening<'a> {
    storage: Arc<dyn Storage>,
    options: &'a Options,
    pub recovered: Recovered,
    /// What readers will see.
    inner: Inner,
    /// The series that rules are about, even rules that are cut off later.
    ruled: BTreeSet<Series>,
    /// When to look at which sealed segment.
    due: BTreeSet<(Time, u32)>,
}

impl<'a> Opening<'a> {
    pub fn new(storage: Arc<dyn Storage>, options: &'a Options) -> Self {
        Opening {
            storage,
            options,
            recovered: Recovered::default(),
            inner: Inner::default(),
            ruled: BTreeSet::new(),
            due: BTreeSet::new(),
        }
    }

    pub fn run(mut self) -> Result<Store, Error> {
        let listed = self.io(self.storage.list(), "listing", "")?;
        let manifest = self.manifest(&listed)?;
        let found = self.io(Manifest::read(TITLE, &*self.storage), "reading", MANIFEST)?;
        self.recovered.is_new = found.is_none() && segments_in(&listed).is_empty();
        // From here on, recovery changes the directory. A manifest that is there is written again before
        // anything counts as durable (`Writer::settle`).
        if !matches!(found, Some(Ok(_))) {
            self.io(manifest.write(&*self.storage, false), "writing", MANIFEST)?;
        }
        for name in &listed {
            let dropped = names::parse_segment(name).or(names::parse_index(name));
            let unfinished = names::parse_index_next(name).is_some();
            if unfinished || dropped.is_some_and(|segment| manifest.is_dropped(segment)) {
                self.io(self.storage.remove(name), "removing", name)?;
            }
        }
        let (classes, group) = self.examine(&manifest, &listed)?;
        self.finish(manifest, classes, group)
    }

    /// Finds the end of each class, and the last group. Changes nothing.
    pub fn examine(
        &mut self,
        manifest: &Manifest,
        listed: &[String],
    ) -> Result<(Vec<ClassScan>, u64), Error> {
        let mut segments = segments_in(listed);
        segments.retain(|&segment| !manifest.is_dropped(segment));
        let mut classes = Vec::new();
        // Rules first: they decide when the other segments are looked at.
        let rules = std::iter::once(RetentionClass::RULES);
        for class in rules.chain(RetentionClass::all().filter(|&class| class != RetentionClass::RULES)) {
            let of_class: Vec<u32> =
                segments.iter().copied().filter(|&segment| RetentionClass::of(segment) == class).collect();
            let mut scan = self.scan_class(manifest, class, &of_class, listed)?;
            if class == RetentionClass::RULES {
                self.ruled.extend(scan.rules().map(|(_, series, _)| series));
            }
            self.find_gaps(&mut scan);
            classes.push(scan);
        }
        let group = self.last_group(manifest, &classes);
        for scan in &mut classes {
            cut_groups(scan, group);
        }
        Ok((classes, group))
    }

    fn io<T>(&self, result: io::Result<T>, doing: &'static str, name: &str) -> Result<T, Error> {
        result.doing(doing, || self.storage.describe(name))
    }

    fn damage(&mut self, at: Place, what: String) {
        let file = self.storage.describe(&names::segment(at.segment()));
        let offset = u64::from(at.offset());
        self.recovered.damage.push(Damage { file, offset, what, effect: Effect::Unreadable });
    }

    /// Returns the manifest. A missing or damaged one is made again from the frames.
    pub fn manifest(&mut self, listed: &[String]) -> Result<Manifest, Error> {
        let segments = segments_in(listed);
        let file = self.storage.describe(MANIFEST);
        let what = match self.io(Manifest::read(TITLE, &*self.storage), "reading", MANIFEST)? {
            Some(Ok(manifest)) => return Ok(manifest),
            Some(Err(Unusable::Newer(version))) => return Err(Error::Newer { file, version }),
            Some(Err(Unusable::Malformed)) => "is damaged",
            None => "is missing",
        };
        let mut ids: BTreeMap<u64, u64> = BTreeMap::new();
        for &segment in &segments {
            let name = names::segment(segment);
            let opened = self.io(self.storage.open(&name), "opening", &name)?;
            let search = search_any(&*opened, segment, |header| *ids.entry(header.log_id).or_default() += 1);
            self.io(search, "reading", &name)?;
        }
        let found = ids.into_iter().max_by_key(|&(_, frames)| frames).map(|(id, _)| id);
        let mut manifest = Manifest::new(TITLE, found.unwrap_or(self.options.id));
        if found.is_some() {
            self.recovered.warnings.push(format!("{file} {what} and has been made again from the frames"));
            // Whatever is not there counts as dropped: nothing else is known about it.
            for class in RetentionClass::all() {
                let first = segments.iter().find(|&&segment| RetentionClass::of(segment) == class);
                let before = first.map_or(0, |&first| RetentionClass::number_of(first) - 1);
                (1..=before).for_each(|number| manifest.drop_segment(class.segment(number)));
            }
        }
        Ok(manifest)
    }

    /// Reads the indexes of a class, and its segments without one.
    fn scan_class(
        &mut self,
        manifest: &Manifest,
        class: RetentionClass,
        segments: &[u32],
        listed: &[String],
    ) -> Result<ClassScan, Error> {
        let dropped = manifest.dropped().iter().map(|&(_, last)| last);
        let of_class = dropped.filter(|&last| RetentionClass::of(last) == class);
        let last_number = of_class.chain(segments.iter().copied()).max().map_or(0, RetentionClass::number_of);
        let mut scan = ClassScan {
            class,
            indexed: Vec::new(),
            scans: Vec::new(),
            claimed: Place::default(),
            last_number,
            why: String::new(),
            beyond: (0, 0),
        };
        for number in 1..=last_number {
            let segment = class.segment(number);
            let exists = segments.binary_search(&segment).is_ok();
            if !exists && !manifest.is_dropped(segment) {
                self.damage(Place::new(segment, 0), "the file is missing, but was not dropped".to_owned());
            }
        }
        for &segment in segments {
            let name = names::segment(segment);
            let file = self.io(self.storage.open(&name), "opening", &name)?;
            let sealed = listed.iter().any(|name| names::parse_index(name) == Some(segment));
            if sealed {
                scan.claimed = scan.claimed.max(Place::new(segment + 1, 0));
            }
            let index = if sealed { self.index(manifest.log_id, segment)? } else { None };
            match index {
                Some((header, series)) => {
                    let len = self.io(file.len(), "reading", &name)?;
                    if len < u64::from(header.end) {
                        let what = format!("the file ends here, but should be {} bytes long", header.end);
                        self.damage(Place::new(segment, len as u32), what);
                    }
                    self.note_index(header, &series);
                    scan.indexed.push(header);
                }
                None => {
                    let scanned = scan_segment(&*file, manifest.log_id, segment);
                    let scanned = self.io(scanned, "reading", &name)?;
                    let synced = scanned.frames.iter().map(|frame| frame.header.synced).max();
                    scan.claimed = scan.claimed.max(synced.unwrap_or_default());
                    scan.scans.push(Scan { file, scanned, sealed });
                }
            }
        }
        Ok(scan)
    }

    /// Returns a valid index.
    fn index(&mut self, id: u64, segment: u32) -> Result<Option<(Header, Vec<Series>)>, Error> {
        let name = names::index(segment);
        let file = self.io(self.storage.open(&name), "opening", &name)?;
        let header = self.io(read_exactly(&*file, 0, HEADER), "reading", &name)?;
        let len = self.io(file.len(), "reading", &name)?;
        if let Some(header) = Header::decode(id, segment, &header).filter(|header| header.file_len() == len) {
            let (at, len) = header.directory();
            let directory = self.io(read_exactly(&*file, at, len), "reading", &name)?;
            if let Ok(series) = header.series(&directory) {
                return Ok(Some((header, series)));
            }
        }
        let file = self.storage.describe(&name);
        self.recovered.warnings.push(format!("{file} was damaged and is made again from its segment"));
        Ok(None)
    }

    /// Shows an index to the readers.
    fn note_index(&mut self, header: Header, series: &[Series]) {
        let is_ruled = !self.ruled.is_empty() && series.iter().any(|series| self.ruled.contains(series));
        self.due.insert((if is_ruled { Time(0) } else { header.passes }, header.segment));
        note_sealed(&mut self.inner, header, series);
    }

    /// Looks for missing frames between the valid ones of a class. Those in a durable part are damage; the
    /// class ends at the first other one.
    fn find_gaps(&mut self, scan: &mut ClassScan) {
        let mut expected = None;
        let mut end = Place::default();
        let mut cut = None;
        let mut indexed = scan.indexed.iter().peekable();
        for (at, part) in scan.scans.iter().enumerate() {
            let segment = part.scanned.segment;
            while let Some(header) = indexed.next_if(|header| header.segment < segment) {
                expected = Some((header.segment, header.frames.1 + 1));
                // All of it is there, so the next frame begins the next segment.
                end = Place::new(header.segment + 1, 0);
            }
            // Numbers continue only from the segment just before.
            let number = RetentionClass::number_of(segment);
            let mut next = match expected {
                Some((before, next)) if before + 1 == segment => Some(next),
                _ => (number == 1).then_some(1),
            };
            end = if next.is_none() || end == Place::default() { Place::new(segment, 0) } else { end };
            for (index, frame) in part.scanned.frames.iter().enumerate() {
                let sequence = frame.header.sequence;
                if next.is_some_and(|next| next != sequence) || index > 0 && frame.offset != end.offset() {
                    let doubtful = is_doubtful(scan.scans[at..].iter(), index);
                    if scan.claimed <= end && !doubtful {
                        cut = cut.or(Some((at, index)));
                        break;
                    }
                    let what = format!(
                        "frame {} should begin here, {sequence} follows",
                        next.unwrap_or(sequence - 1)
                    );
                    self.damage(end, what);
                }
                next = Some(sequence + 1);
                end = Place::new(segment, frame.end);
            }
            if cut.is_some() {
                break;
            }
            if part.sealed && part.scanned.frames.is_empty() {
                self.damage(Place::new(segment, 0), part.scanned.fault.to_string());
            }
            expected = next.map(|next| (segment, next));
        }
        if let Some((at, index)) = cut {
            scan.why = "a frame is missing".to_owned();
            scan.keep(at, index);
        }
    }

    /// Returns the last group up to which all are complete. Reports groups that were durable and are not.
    fn last_group(&mut self, manifest: &Manifest, classes: &[ClassScan]) -> u64 {
        let mut floor = manifest.end.unwrap_or_default().to_bits();
        let mut groups: BTreeMap<u64, (u16, u16)> = BTreeMap::new();
        for scan in classes {
            floor = scan.indexed.iter().map(|header| header.groups.1).fold(floor, u64::max);
            for part in &scan.scans {
                for frame in &part.scanned.frames {
                    let (group, classes) = (group_of(&frame.header), classes_of(&frame.header));
                    let end = Place::new(part.scanned.segment, frame.end);
                    if end <= scan.claimed {
                        floor = floor.max(group);
                    } else if frame.header.synced == UNVOUCHED {
                        // It may have been acknowledged, unless it belongs to the very last group.
                        floor = floor.max(group.saturating_sub(1));
                    }
                    if classes != 0 {
                        groups.entry(group).or_insert((classes, 0)).1 |= scan.class.bit();
                    }
                }
            }
        }
        let incomplete: Vec<(u64, u16)> = groups
            .range(..=floor)
            .filter(|(_, (classes, found))| classes != found)
            .map(|(&group, (classes, found))| (group, classes & !found))
            .collect();
        for (group, missing) in incomplete {
            for scan in classes.iter().filter(|scan| scan.class.bit() & missing != 0) {
                if let Some(at) = scan.place_of(group) {
                    self.damage(at, format!("the part of group {group} is missing"));
                }
            }
        }
        let mut last = floor;
        while groups.get(&(last + 1)).is_some_and(|(classes, found)| classes == found) {
            last += 1;
        }
        last
    }

    fn finish(mut self, manifest: Manifest, classes: Vec<ClassScan>, group: u64) -> Result<Store, Error> {
        let home = Home {
            storage: self.storage.clone(),
            id: manifest.log_id,
            // A group may go beyond it, and offsets have 32 bits.
            segment_bytes: self.options.segment_bytes.min(1 << 30),
            durable: self.options.durable,
        };
        let shared = Arc::new(Shared::new(self.storage.clone(), manifest.log_id, Inner::default()));
        let mut writer = Writer::new(shared.clone(), home, manifest);
        (writer.written, writer.synced) = (group, group);
        let mut inner = std::mem::take(&mut self.inner);
        writer.due = std::mem::take(&mut self.due);
        for (segment, series, rule) in classes.iter().flat_map(ClassScan::rules) {
            inner.rules.insert(series, Standing { rule, segment });
        }
        for scan in classes {
            self.continue_class(&mut writer, &mut inner, scan)?;
        }
        forget_rules(&mut inner);
        *shared.write() = inner;
        self.recovered.group = group;
        Ok(Store { writer, recovered: self.recovered })
    }

    /// Cuts the end of a class, makes the rest durable, and shows it to the readers and the writer.
    fn continue_class(
        &mut self,
        writer: &mut Writer,
        inner: &mut Inner,
        mut scan: ClassScan,
    ) -> Result<(), Error> {
        self.cut(&mut scan)?;
        let last_frame = scan.last_frame(inner);
        let open = scan.scans.pop_if(|last| {
            !last.sealed && RetentionClass::number_of(last.scanned.segment) == scan.last_number
        });
        if self.options.durable {
            for part in scan.scans.iter().chain(&open) {
                let (segment, end) = (part.scanned.segment, part.scanned.end());
                let name = names::segment(segment);
                let from = match scan.claimed {
                    claimed if claimed.segment() > segment => end,
                    claimed if claimed.segment() == segment => claimed.offset().min(end),
                    _ => 0,
                };
                self.io(rewrite(&*part.file, from, end), "writing again", &name)?;
                self.io(part.file.sync(), "syncing", &name)?;
            }
        }
        let mut full = Vec::new();
        for part in scan.scans {
            let spans = part.scanned.spans();
            let segment = spans.segment;
            if scan.class != RetentionClass::RULES {
                inner.open.insert(segment, spans);
            }
            if part.sealed {
                writer.unindexed.push(segment);
            } else {
                full.push((Target { segment, file: part.file, reserved: 0 }, true));
            }
        }
        match open {
            Some(open) => {
                let (segment, end) =
                    (open.scanned.segment, Place::new(open.scanned.segment, open.scanned.end()));
                let spans = open.scanned.spans();
                if scan.class != RetentionClass::RULES && !spans.is_empty() {
                    inner.open.insert(segment, spans);
                }
                let target = Target { segment, file: open.file, reserved: 0 };
                let mut lane = Lane::go_on(&writer.home, target, end, last_frame);
                lane.full = full;
                writer.lanes.insert(scan.class, lane);
            }
            None => {
                writer.unindexed.extend(full.iter().map(|(full, _)| full.segment));
                writer.ended.insert(scan.class, (scan.last_number, last_frame));
            }
        }
        Ok(())
    }

    /// Removes the bytes behind the end of a class, so that they cannot reappear among new records.
    fn cut(&mut self, scan: &mut ClassScan) -> Result<(), Error> {
        let mut traces = false;
        // A segment behind the end has no frame that counts.
        while let Some(last) = scan.scans.pop_if(|last| {
            !last.sealed
                && last.scanned.frames.is_empty()
                && RetentionClass::number_of(last.scanned.segment) > 1
        }) {
            let name = names::segment(last.scanned.segment);
            traces |= self.io(has_content(&*last.file, 0), "reading", &name)?;
            self.io(self.storage.remove(&name), "removing", &name)?;
            // One at a time: after a crash, no segment may exist without all earlier ones.
            self.io(self.storage.sync_dir(), "syncing the directory of", &name)?;
            scan.last_number = RetentionClass::number_of(last.scanned.segment) - 1;
        }
        let open = scan.scans.last().filter(|last| !last.sealed);
        let at = match open {
            Some(open) => {
                let (segment, end) = (open.scanned.segment, open.scanned.end());
                let name = names::segment(segment);
                if self.io(has_content(&*open.file, end), "reading", &name)? {
                    traces = true;
                    self.io(wipe(&*open.file, end), "cutting", &name)?;
                    self.io(open.file.sync(), "syncing", &name)?;
                }
                Place::new(segment, end)
            }
            None => Place::new(scan.class.segment(scan.last_number + 1), 0),
        };
        if traces {
            let why = match open {
                Some(open) if scan.why.is_empty() => open.scanned.fault.to_string(),
                _ if scan.why.is_empty() => "no frame begins here".to_owned(),
                _ => scan.why.clone(),
            };
            let (frames, records) = scan.beyond;
            let file = self.storage.describe(&names::segment(at.segment()));
            self.recovered.cuts.push(Cut { file, at, why, frames, records });
        }
        Ok(())
    }
}

/// Returns the segments that have files, in order.
fn segments_in(listed: &[String]) -> Vec<u32> {
    let mut segments: Vec<u32> = listed.iter().filter_map(|name| names::parse_segment(name)).collect();
    segments.sort_unstable();
    segments
}
