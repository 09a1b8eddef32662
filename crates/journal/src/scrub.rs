//! Reads every used byte of a log slowly, to find damage before a client needs the data.

use std::io;
use std::ops::ControlFlow;

use kernel::Place;

use crate::error::Damage;
use crate::index::{INDEX_HEADER, IndexHeader};
use crate::names;
use crate::reader::Reader;
use crate::scan::{self, Fault, Frames};

impl Reader {
    /// Returns the existing segments.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn segments(&self) -> io::Result<Vec<u32>> {
        let listed = self.storage().list()?;
        let mut numbers: Vec<u32> = listed.iter().filter_map(|name| names::parse_segment(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Reads a full segment and verifies every checksum, also those of its index. Calls `read` with the
    /// number of bytes read since its last call; `read` may wait, or stop the scrub. Calls `found` for each
    /// damage. Stops if the segment is dropped meanwhile.
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
                    // If these bytes cannot be read, the start of the next frame is unknown.
                    seen(at, format!("the disk cannot read these bytes: {error}"));
                    return ControlFlow::Continue(());
                }
            };
            if self.is_dropped(segment) {
                return ControlFlow::Continue(());
            }
            // Bytes behind the last frame of a full segment are remains of an older segment.
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
                    // The damage may be the frame with the valid header itself.
                    let next = if found == at { found.saturating_add(bytes) } else { found };
                    read(u64::from(next - at))?;
                    frames.skip_to(next);
                }
                (None, Err(error)) => {
                    seen(at, format!("the disk cannot read these bytes: {error}"));
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
