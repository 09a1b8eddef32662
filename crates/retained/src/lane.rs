//! The end of a class, where its next frame is written.

use std::io;
use std::sync::Arc;

use journal::common::{is_full, named};
use journal::format::{FRAME_HEADER, align};
use journal::{Appender, File, Storage};
use kernel::Place;

use crate::series::names;

/// Space is reserved in steps of this many bytes.
const STEP: u64 = 4 << 20;

/// A segment's file and how much of its space is allocated.
pub struct Target {
    pub segment: u32,
    pub file: Arc<dyn File>,
    pub reserved: u64,
}

/// The end of a class.
pub struct Lane {
    pub appender: Appender,
    pub current: Target,
    /// The next segment, once it is prepared.
    pub next: Option<Target>,
    /// Full segments that have no index yet, and whether they are synced.
    pub full: Vec<(Target, bool)>,
    /// The end of the last frame.
    pub end: Place,
    /// Everything before this place is durable.
    pub durable: Place,
    /// The number of the last frame.
    pub last_frame: u64,
}

/// The directory of a store and its constants.
#[derive(Clone)]
pub struct Home {
    pub storage: Arc<dyn Storage>,
    pub id: u64,
    pub segment_bytes: u32,
    /// Whether a sync makes durable, and frames say how far their class is durable.
    pub durable: bool,
}

impl Home {
    pub fn named<T>(&self, result: io::Result<T>, doing: &str, segment: u32) -> io::Result<T> {
        named(result, doing, || self.storage.describe(&names::segment(segment)))
    }

    fn appender(&self, at: Place, sequence: u64) -> Appender {
        Appender::new(self.id, self.segment_bytes, at, sequence).vouches(self.durable)
    }

    /// Allocates at least `bytes` of a file.
    fn reserve(&self, target: &mut Target, bytes: u64) -> io::Result<()> {
        if bytes > target.reserved {
            // A segment does not take more than its length, unless one group is longer.
            let most = u64::from(self.segment_bytes).max(bytes);
            let wanted = bytes.next_multiple_of(STEP).min(most);
            let mut reserved = target.file.reserve(wanted).map(|()| wanted);
            if reserved.as_ref().is_err_and(is_full) && wanted > bytes {
                reserved = target.file.reserve(bytes).map(|()| bytes);
            }
            target.reserved = self.named(reserved, "reserving space for", target.segment)?;
        }
        Ok(())
    }

    /// Creates a segment's file with space for `bytes`.
    fn create(&self, segment: u32, bytes: u64) -> io::Result<Target> {
        let name = names::segment(segment);
        let file = self.named(self.storage.create(&name), "creating", segment)?;
        let mut target = Target { segment, file, reserved: 0 };
        if let Err(error) = self.reserve(&mut target, bytes) {
            // Nothing is in it, so nobody misses it.
            let _ = self.storage.remove(&name);
            return Err(error);
        }
        self.named(self.storage.sync_dir(), "syncing the directory of", segment)?;
        Ok(target)
    }
}

impl Lane {
    /// Begins a class with its first segment, with space for `bytes`.
    pub fn begin(home: &Home, segment: u32, last_frame: u64, bytes: u64) -> io::Result<Lane> {
        let current = home.create(segment, bytes)?;
        Ok(Lane::go_on(home, current, Place::new(segment, 0), last_frame))
    }

    /// Continues a class at `end`, before which all is durable as far as anybody asks.
    pub fn go_on(home: &Home, current: Target, end: Place, last_frame: u64) -> Lane {
        let appender = home.appender(end, last_frame + 1);
        Lane { appender, current, next: None, full: Vec::new(), end, durable: end, last_frame }
    }

    /// Makes sure that there is space for a frame with `payload` bytes of records, so that writing it cannot
    /// fail for lack of space.
    ///
    /// Errors: `StorageFull`; then nothing has changed for anybody.
    pub fn make_room(&mut self, home: &Home, payload: usize) -> io::Result<()> {
        let bytes = FRAME_HEADER + payload;
        let end = self.end.offset() as usize + bytes;
        // As the appender decides.
        let rolls = end > home.segment_bytes as usize && self.end.offset() > 0;
        if !rolls {
            return home.reserve(&mut self.current, align(end) as u64);
        }
        let needed = align(bytes) as u64;
        match &mut self.next {
            Some(next) => home.reserve(next, needed),
            None => {
                self.next = Some(home.create(self.current.segment + 1, needed)?);
                Ok(())
            }
        }
    }

    /// Continues in the next segment, which [`Lane::make_room`] has prepared.
    pub fn roll(&mut self, segment: u32) -> io::Result<()> {
        let next = self
            .next
            .take()
            .filter(|next| next.segment == segment)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the group skips a segment"))?;
        self.full.push((std::mem::replace(&mut self.current, next), false));
        Ok(())
    }

    /// Ends the current segment although it is not full.
    pub fn end_segment(&mut self, home: &Home) -> io::Result<()> {
        if self.next.is_none() {
            self.next = Some(home.create(self.current.segment + 1, 0)?);
        }
        let segment = self.current.segment + 1;
        self.roll(segment)?;
        self.end = Place::new(segment, 0);
        self.appender = home.appender(self.end, self.last_frame + 1);
        Ok(())
    }

    /// Syncs everything that was written.
    pub fn sync(&mut self, home: &Home) -> io::Result<()> {
        for (full, synced) in self.full.iter_mut().filter(|(_, synced)| !synced) {
            home.named(full.file.sync(), "syncing", full.segment)?;
            *synced = true;
        }
        if self.durable < self.end {
            home.named(self.current.file.sync(), "syncing", self.current.segment)?;
            self.durable = self.end;
        }
        Ok(())
    }
}
