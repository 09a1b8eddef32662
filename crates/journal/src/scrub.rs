//! Reading every byte of a log that is in use, slowly, to find what rots before somebody needs it.

use std::io;
use std::ops::ControlFlow;

use kernel::Place;

use crate::error::Damage;
use crate::index::{INDEX_HEADER, IndexHeader};
use crate::names;
use crate::reader::Reader;
use crate::scan::{self, Fault, Frames};

impl Reader {
    /// The segments that there are.
    ///
    /// # Errors
    /// What the storage says.
    pub fn segments(&self) -> io::Result<Vec<u32>> {
        let listed = self.storage().list()?;
        let mut numbers: Vec<u32> = listed.iter().filter_map(|name| names::parse_segment(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads a full segment and verifies every checksum, also that of its index. `read` is told how many bytes were read since it
    /// was told last, and may wait, or say that it is enough. `found` is told what is damaged. A segment that is dropped
    /// meanwhile is not looked at any more.
    pub fn scrub(
        &self,
        segment: u32,
        mut read: impl FnMut(u64) -> ControlFlow<()>,
        mut found: impl FnMut(Damage),
    ) -> ControlFlow<()> {
        let mut seen = |offset: u32, what: String| {
            if !self.is_dropped(segment) {
                found(self.damage(Place::new(segment, offset), what));
            }
        };
        let storage = self.storage();
        let Ok(file) = storage.open(&names::segment(segment)) else { return ControlFlow::Continue(()) };
        let mut frames = Frames::new(&*file, self.log_id(), segment, None);
        let mut last = None;
        loop {
            let at = frames.offset();
            let (offset, what) = match frames.next(|_, _, _| {}) {
                Ok(Ok(header)) => {
                    last = Some(header.sequence);
                    read(header.frame_bytes() as u64)?;
                    continue;
                }
                Ok(Err(fault @ Fault::Record { offset })) => (offset, fault.to_string()),
                Ok(Err(fault)) => (at, fault.to_string()),
                Err(error) => {
                    // Where frames go on is not known if what is between cannot be read.
                    seen(at, format!("the disk cannot read it: {error}"));
                    return ControlFlow::Continue(());
                }
            };
            if self.is_dropped(segment) {
                return ControlFlow::Continue(());
            }
            // What follows the last frame of a full segment is what an older one has left.
            let mut behind = None;
            let searched = scan::search(&*file, self.log_id(), segment, at, |offset, header| {
                if last.is_none_or(|last| header.sequence > last) {
                    behind = Some((offset, header.frame_bytes() as u32));
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            match (behind, searched) {
                (Some((found, bytes)), _) => {
                    seen(offset, what);
                    // It may be the frame itself, whose header is sound.
                    let next = if found == at { found.saturating_add(bytes) } else { found };
                    read(u64::from(next - at))?;
                    frames.skip_to(next);
                }
                (None, Err(error)) => {
                    seen(at, format!("the disk cannot read it: {error}"));
                    return ControlFlow::Continue(());
                }
                (None, Ok(())) => break,
            }
        }
        self.scrub_end(segment, frames.offset(), &mut seen);
        ControlFlow::Continue(())
    }

    /// Whether the frames reach as far as the segment's index says.
    fn scrub_end(&self, segment: u32, end: u32, seen: &mut dyn FnMut(u32, String)) {
        let Ok(index) = self.storage().open(&names::index(segment)) else { return };
        let Ok(header) = scan::read_exactly(&*index, 0, INDEX_HEADER) else { return };
        let header = IndexHeader::decode(self.log_id(), segment, &header);
        if header.is_some_and(|header| header.summary.end > end) {
            seen(end, Fault::NoHeader.to_string());
        }
    }
}
