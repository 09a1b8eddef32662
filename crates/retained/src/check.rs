//! Verifies a whole store without changing it.

use std::path::Path;
use std::sync::Arc;

use journal::common::{Doing, read_exactly};
use journal::engines::Files;
use journal::{CheckError, Damage, Effect, Error, Storage};

use crate::class_scan::has_content;
use crate::index::{self, Header};
use crate::recovery::Opening;
use crate::scanning::{Scanned, scan_segment};
use crate::series::{Series, names};
use crate::store::Options;

/// The content of a store, and its damage.
#[derive(Clone, Default, Debug)]
pub struct Report {
    /// The segments, by class and in order.
    pub segments: Vec<CheckedSegment>,
    /// Durable data that is missing or damaged. Empty if there is none.
    pub damage: Vec<Damage>,
    /// Unfinished writes. The next start cuts them off.
    pub torn: Vec<Damage>,
    /// What the next start makes again, as texts.
    pub warnings: Vec<String>,
}

/// The content of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CheckedSegment {
    /// The segment's number.
    pub segment: u32,
    /// The end of its last frame.
    pub bytes: u32,
    /// Number of frames.
    pub frames: u64,
    /// Number of records.
    pub records: u64,
    /// Number of series; 0 in segments of rules.
    pub series: u64,
    /// Whether it has an index.
    pub sealed: bool,
}

/// Reads every byte of a store's directory and verifies every checksum. Changes nothing, and takes no lock:
/// writes of a running server can look torn.
pub fn check(directory: &Path) -> Result<Report, CheckError> {
    check_showing(directory, |_, _| {})
}

/// As [`check`]. Calls `show` with each series of each segment and the number of its last record there.
pub fn check_showing(directory: &Path, show: impl FnMut(Series, u64)) -> Result<Report, CheckError> {
    let files = Files::read_only(directory).map_err(CheckError::Directory)?;
    check_shown(Arc::new(files), show).map_err(CheckError::Journal)
}

/// As [`check`], for any storage.
pub fn check_storage(storage: Arc<dyn Storage>) -> Result<Report, Error> {
    check_shown(storage, |_, _| {})
}

fn check_shown(storage: Arc<dyn Storage>, mut show: impl FnMut(Series, u64)) -> Result<Report, Error> {
    let options = Options::default();
    let mut opening = Opening::new(storage.clone(), &options);
    let listed = storage.list().doing("listing", || storage.describe(""))?;
    let manifest = opening.manifest(&listed)?;
    let (classes, _) = opening.examine(&manifest, &listed)?;
    let mut report = Report::default();
    for class in classes {
        for header in &class.indexed {
            let scanned = sealed_segment(&*storage, manifest.log_id, header, &mut report)?;
            report.segments.push(checked(&scanned, true, &mut show));
        }
        for part in &class.scans {
            let name = names::segment(part.scanned.segment);
            let describe = || storage.describe(&name);
            let end = part.scanned.end();
            let is_last = class.scans.last().is_some_and(|last| std::ptr::eq(last, part));
            let is_torn = is_last && has_content(&*part.file, end).doing("reading", describe)?;
            if is_torn {
                let what =
                    if class.why.is_empty() { part.scanned.fault.to_string() } else { class.why.clone() };
                report.torn.push(Damage {
                    file: describe(),
                    offset: end.into(),
                    what,
                    effect: Effect::Rebuilt,
                });
            }
            report.segments.push(checked(&part.scanned, false, &mut show));
        }
    }
    report.segments.sort_by_key(|segment| segment.segment);
    report.damage.extend(opening.recovered.damage);
    report.warnings = opening.recovered.warnings;
    Ok(report)
}

fn checked(scanned: &Scanned, sealed: bool, show: &mut impl FnMut(Series, u64)) -> CheckedSegment {
    let spans = scanned.spans();
    spans.series.iter().for_each(|(&series, span)| show(series, span.bounds.last_sequence));
    CheckedSegment {
        segment: scanned.segment,
        bytes: scanned.end(),
        frames: scanned.frames.len() as u64,
        records: scanned.frames.iter().map(|frame| frame.items.len() as u64).sum(),
        series: spans.series.len() as u64,
        sealed,
    }
}

/// Compares a sealed segment with its index.
fn sealed_segment(
    storage: &dyn Storage,
    id: u64,
    header: &Header,
    report: &mut Report,
) -> Result<Scanned, Error> {
    let (name, index_name) = (names::segment(header.segment), names::index(header.segment));
    let describe = || storage.describe(&name);
    let file = storage.open(&name).doing("opening", describe)?;
    let scanned = scan_segment(&*file, id, header.segment).doing("reading", describe)?;
    let mut damage = |file: String, offset: u64, what: String, effect: Effect| {
        report.damage.push(Damage { file, offset, what, effect });
    };
    let (mut end, mut next) = (0, header.frames.0);
    let mut is_whole = true;
    for frame in &scanned.frames {
        if frame.offset != end || frame.header.sequence != next {
            is_whole = false;
            let what = format!("frame {next} should begin here, {} follows", frame.header.sequence);
            damage(describe(), end.into(), what, Effect::Unreadable);
        }
        (end, next) = (frame.end, frame.header.sequence + 1);
    }
    if end != header.end {
        is_whole = false;
        damage(describe(), end.into(), scanned.fault.to_string(), Effect::Unreadable);
    }
    let describe = || storage.describe(&index_name);
    let file = storage.open(&index_name).doing("opening", describe)?;
    let bytes = read_exactly(&*file, 0, header.file_len() as usize).doing("reading", describe)?;
    let expected = index::encode(id, &scanned.spans()).1;
    if is_whole && bytes != expected {
        let differs = bytes.iter().zip(&expected).take_while(|(one, other)| one == other).count();
        let what = "the index does not match its segment".to_owned();
        damage(describe(), differs as u64, what, Effect::Rebuilt);
    }
    Ok(scanned)
}
