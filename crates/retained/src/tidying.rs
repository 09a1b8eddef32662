//! The slow work of a writer, a step at a time: seals full segments, drops those that have passed.

use std::collections::BTreeSet;
use std::io;

use journal::common::{is_full, named, replace};
use kernel::{Place, Time};

use crate::index::{self, Header};
use crate::scanning::scan_segment;
use crate::series::{RetentionClass, Rule, Series, names};
use crate::shared::{Inner, Sealed, to_io};
use crate::spans::Spans;
use crate::writer::Writer;

/// Readers wait while the directory changes by this many series.
const AT_ONCE: usize = 4096;

impl Writer {
    /// Does one step of slow work that is due at `now`: seals a full segment, or drops or looks at one that may
    /// have passed. A step reads and writes at most one index. Returns whether there may be more.
    ///
    /// Errors: `StorageFull` if there is no space for an index. The segment stays readable, and the next start
    /// scans it.
    pub fn tidy(&mut self, now: Time) -> io::Result<bool> {
        self.guarded(|writer| {
            // What frees space comes before what needs some.
            let freed = writer.drop_passed(now)? || writer.drop_full(now)? || writer.end_passed(now)?;
            Ok(freed || writer.renew_rules()? || writer.index_unindexed()? || writer.seal()?)
        })
    }

    /// Ends an open segment in which everything has passed, so that it can go.
    fn end_passed(&mut self, now: Time) -> io::Result<bool> {
        let inner = self.shared.read();
        let passed = self.lanes.iter().find_map(|(&class, lane)| {
            let spans = inner.open.get(&lane.current.segment)?;
            (spans_pass(&inner, spans) <= now && spans.groups.1 <= self.synced).then_some(class)
        });
        drop(inner);
        let Some(lane) = passed.and_then(|class| self.lanes.get_mut(&class)) else { return Ok(false) };
        lane.end_segment(&self.home)?;
        Ok(true)
    }

    /// Drops a full segment in which everything has passed before it got an index.
    fn drop_full(&mut self, now: Time) -> io::Result<bool> {
        if self.ruled > self.synced {
            return Ok(false);
        }
        let inner = self.shared.read();
        let passed = self.lanes.iter().find_map(|(&class, lane)| {
            let (full, _) = lane.full.first().filter(|_| class != RetentionClass::RULES)?;
            let spans = inner.open.get(&full.segment)?;
            let passed = spans_pass(&inner, spans) <= now && spans.groups.1 <= self.synced;
            passed.then(|| (class, full.segment, spans.series.keys().copied().collect::<Vec<Series>>()))
        });
        drop(inner);
        let Some((class, segment, series)) = passed else { return Ok(false) };
        self.drop_segment(segment, &series)?;
        if let Some(lane) = self.lanes.get_mut(&class) {
            lane.full.remove(0);
        }
        Ok(true)
    }

    /// Seals the first full segment whose groups are all durable.
    fn seal(&mut self) -> io::Result<bool> {
        let inner = self.shared.read();
        let full = self.lanes.iter().find_map(|(&class, lane)| {
            let (full, _) = lane.full.first().filter(|_| class != RetentionClass::RULES)?;
            let spans = inner.open.get(&full.segment)?;
            (spans.groups.1 <= self.synced).then_some((class, spans.clone()))
        });
        drop(inner);
        let Some((class, spans)) = full else { return Ok(false) };
        // What was allocated and not used is given back before the index needs space.
        if let Some((full, synced)) = self.lanes.get_mut(&class).and_then(|lane| lane.full.first_mut()) {
            let name = || self.home.storage.describe(&names::segment(full.segment));
            named(full.file.set_len(u64::from(spans.end)), "shortening", name)?;
            named(full.file.sync(), "syncing", name)?;
            *synced = true;
        }
        self.write_index(&spans)?;
        if let Some(lane) = self.lanes.get_mut(&class) {
            lane.full.remove(0);
        }
        Ok(true)
    }

    /// Writes the index of a segment, and tells readers to use it.
    fn write_index(&mut self, spans: &Spans) -> io::Result<()> {
        let (header, bytes) = index::encode(self.home.id, spans);
        let (next, name) = (names::index_next(spans.segment), names::index(spans.segment));
        self.settle()?;
        let written = replace(&*self.home.storage, &next, &name, &bytes);
        if written.as_ref().is_err_and(is_full) {
            let _ = self.home.storage.remove(&next);
        }
        named(written, "writing", || self.home.storage.describe(&name))?;
        self.shared.indexes.reopen(spans.segment);
        let series: Vec<Series> = spans.series.keys().copied().collect();
        for some in series.chunks(AT_ONCE) {
            let mut inner = self.shared.write();
            some.iter().for_each(|&series| inner.directory.insert(series, spans.segment));
        }
        let mut inner = self.shared.write();
        inner.open.remove(&spans.segment);
        self.due.insert((due(&inner, &header, &series), spans.segment));
        inner.sealed.insert(spans.segment, Sealed { header, fences: index::fences(&series) });
        Ok(())
    }

    /// Writes an index that a start has found damaged or missing.
    fn index_unindexed(&mut self) -> io::Result<bool> {
        let Some(&segment) = self.unindexed.last() else { return Ok(false) };
        self.index_again(segment)?;
        self.unindexed.pop();
        Ok(true)
    }

    /// Makes a damaged index again from its segment.
    pub(crate) fn index_again(&mut self, segment: u32) -> io::Result<()> {
        let Some(file) = self.shared.segments.get(segment)? else { return Ok(()) };
        let scanned = scan_segment(&*file, self.home.id, segment)?;
        self.write_index(&scanned.spans())
    }

    /// Looks at the first segment that may have passed, and drops it if it has.
    fn drop_passed(&mut self, now: Time) -> io::Result<bool> {
        let Some(&(time, segment)) = self.due.first() else { return Ok(false) };
        if time > now || self.ruled > self.synced {
            return Ok(false);
        }
        let Some(header) = self.shared.read().sealed.get(&segment).map(|sealed| sealed.header) else {
            // Its segment has gone, or is not sealed yet: then it is looked at when it is.
            self.due.remove(&(time, segment));
            return Ok(true);
        };
        let (passes, series) = match self.exact(&header) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.index_again(segment)?;
                let again = self.shared.read().sealed.get(&segment).map_or(header, |sealed| sealed.header);
                self.exact(&again)?
            }
            exact => exact?,
        };
        if passes > now {
            self.due.retain(|&(_, other)| other != segment);
            self.due.insert((passes, segment));
            return Ok(true);
        }
        self.drop_segment(segment, &series)?;
        self.due.retain(|&(_, other)| other != segment);
        Ok(true)
    }

    /// Returns when all spans of a sealed segment have passed, and their series.
    fn exact(&self, header: &Header) -> io::Result<(Time, Vec<Series>)> {
        let (mut passes, mut series) = (Time(0), Vec::with_capacity(header.spans as usize));
        for number in 0..header.pages() {
            let page = self.shared.page(header.segment, number, header.page(number)).map_err(to_io)?;
            let inner = self.shared.read();
            for entry in page.unwrap_or_default() {
                passes = passes.max(inner.passes(entry.series, &entry.bounds));
                series.push(entry.series);
            }
        }
        Ok((passes, series))
    }

    /// Drops a segment. When this returns, it is dropped for ever, whatever happens to its files.
    fn drop_segment(&mut self, segment: u32, series: &[Series]) -> io::Result<()> {
        self.settle()?;
        let mut manifest = self.manifest.clone();
        manifest.drop_segment(segment);
        // The groups that only dropped segments had are not missing.
        manifest.end = Some(Place::from_bits(self.synced));
        let storage = self.home.storage.clone();
        named(manifest.write(&*storage, true), "writing", || storage.describe(journal::common::MANIFEST))?;
        self.manifest = manifest;
        let mut inner = self.shared.write();
        inner.sealed.remove(&segment);
        inner.open.remove(&segment);
        drop(inner);
        for some in series.chunks(AT_ONCE) {
            let mut inner = self.shared.write();
            for &series in some {
                inner.directory.remove(series, segment);
                if !inner.rules.is_empty() && !inner.has(series) {
                    inner.rules.remove(&series);
                }
            }
        }
        self.shared.segments.close(segment);
        self.shared.indexes.close(segment);
        for name in [names::index(segment), names::segment(segment)] {
            match storage.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return named(Err(error), "removing", || storage.describe(&name));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the rules of a full segment again that still have an effect, and drops it.
    fn renew_rules(&mut self) -> io::Result<bool> {
        let lane = self.lanes.get(&RetentionClass::RULES);
        let Some(segment) = lane.and_then(|lane| lane.full.first()).map(|(full, _)| full.segment) else {
            return Ok(false);
        };
        let inner = self.shared.read();
        let rules: Vec<(Series, Rule)> = inner
            .rules
            .iter()
            .filter(|(_, standing)| standing.segment == segment)
            .map(|(&series, standing)| (series, standing.rule))
            .take(1000)
            .collect();
        drop(inner);
        if !rules.is_empty() {
            self.write_rules(&rules)?;
            return Ok(true);
        }
        if self.synced < self.written {
            // The rules must be durable in their new place first.
            return Ok(false);
        }
        self.drop_segment(segment, &[])?;
        if let Some(lane) = self.lanes.get_mut(&RetentionClass::RULES) {
            lane.full.remove(0);
        }
        Ok(true)
    }
}

/// Returns when everything in an open segment has passed.
fn spans_pass(inner: &Inner, spans: &Spans) -> Time {
    if inner.rules.is_empty() {
        return spans.passes;
    }
    spans.series.iter().map(|(&series, span)| inner.passes(series, &span.bounds)).max().unwrap_or_default()
}

/// Returns when to look at a segment: at the time in its index, or at once if a rule may have changed that.
fn due(inner: &Inner, header: &Header, series: &[Series]) -> Time {
    let is_ruled = !inner.rules.is_empty() && series.iter().any(|series| inner.rules.contains_key(series));
    if is_ruled { Time(0) } else { header.passes }
}

/// Adds a sealed segment to what readers see.
pub fn note_sealed(inner: &mut Inner, header: Header, series: &[Series]) {
    for &series in series {
        inner.directory.insert(series, header.segment);
    }
    inner.sealed.insert(header.segment, Sealed { header, fences: index::fences(series) });
}

/// The series that rules are about and that no segment holds any more.
pub fn forget_rules(inner: &mut Inner) {
    let idle: BTreeSet<Series> = inner.rules.keys().copied().filter(|&series| !inner.has(series)).collect();
    inner.rules.retain(|series, _| !idle.contains(series));
}
