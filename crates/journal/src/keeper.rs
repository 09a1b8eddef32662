//! The files of a log: made ready before they are needed, given an index when they are full, dropped when they are dead.

use std::io;
use std::sync::Arc;

use kernel::Place;

use crate::cache::Cache;
use crate::error::named;
use crate::index::IndexBuilder;
use crate::manifest::Manifest;
use crate::names;
use crate::storage::{File, Storage};

/// Whether an error says that there is no space left.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// So many segments that are ready to be written stay: one that the log goes on in, and one for what comes until others die.
/// More may have to make room for an index.
pub const READY: usize = 2;

pub struct Keeper {
    pub storage: Arc<dyn Storage>,
    pub cache: Arc<Cache>,
    pub manifest: Manifest,
    pub segment_bytes: u32,
    /// Whether the directory was made by this process and is not durable yet.
    pub unsettled: bool,
    /// The last segment that holds something. It is never dropped, because the log goes on from what it says.
    pub newest: u32,
    /// The highest segment that has a file.
    pub last: u32,
}

impl Keeper {
    fn named<T>(&self, result: io::Result<T>, doing: &str, name: &str) -> io::Result<T> {
        named(result, doing, || self.storage.describe(name))
    }

    /// Makes the directory itself durable. Nothing in it is before that.
    ///
    /// The manifest is written again for that: if a process before this one failed to sync it, the system has it in
    /// memory, takes it for clean, and would report success without writing it.
    pub fn settle(&mut self) -> io::Result<()> {
        if self.unsettled {
            let mut written = self.manifest.write(&*self.storage, true);
            if written.as_ref().is_err_and(is_full) {
                written = self.manifest.write_in_place(&*self.storage);
            }
            self.named(written, "writing", names::MANIFEST)?;
            self.unsettled = false;
        }
        Ok(())
    }

    /// Notes that the log, all of which is durable, ends here: a server stops in order. What is missing then is known to be.
    pub fn note_end(&mut self, end: Place) -> io::Result<()> {
        if self.newest == 0 || self.manifest.end == Some(end) {
            return Ok(());
        }
        self.settle()?;
        let mut manifest = self.manifest.clone();
        manifest.end = Some(end);
        match manifest.write(&*self.storage, true) {
            // A full disk keeps nobody from stopping. What the frames say must do.
            Err(error) if is_full(&error) => Ok(()),
            written => {
                self.named(written, "writing", names::MANIFEST)?;
                self.manifest = manifest;
                Ok(())
            }
        }
    }

    /// Reserves the space of a segment that exists.
    pub fn reserve(&self, number: u32) -> io::Result<()> {
        let name = names::segment(number);
        let file = self.named(self.storage.open(&name), "opening", &name)?;
        self.named(file.reserve(u64::from(self.segment_bytes)), "reserving space for", &name)
    }

    /// The same without its space, for a log that has no other segment to go on in.
    pub fn prepare_unreserved(&mut self) -> io::Result<(u32, Arc<dyn File>)> {
        let number = self.last + 1;
        if number > 1 {
            self.settle()?;
        }
        let name = names::segment(number);
        let file = self.named(self.storage.create(&name), "creating", &name)?;
        self.named(self.storage.sync_dir(), "syncing the directory of", &name)?;
        self.last = number;
        Ok((number, file))
    }

    /// Makes the next segment's file ready to be written: its space is reserved and its name durable, so that no segment
    /// is ever there without those before it. Only a log's very first file may wait for [`Keeper::settle`].
    pub fn prepare(&mut self) -> io::Result<(u32, Arc<dyn File>)> {
        let number = self.last + 1;
        if number > 1 {
            self.settle()?;
        }
        let name = names::segment(number);
        let file = self.named(self.storage.create(&name), "creating", &name)?;
        if let Err(error) = file.reserve(u64::from(self.segment_bytes)) {
            // A file without its space would be found short later.
            let _ = self.storage.remove(&name);
            return self.named(Err(error), "reserving space for", &name);
        }
        if number > 1 {
            self.named(self.storage.sync_dir(), "syncing the directory of", &name)?;
        }
        self.last = number;
        Ok((number, file))
    }

    /// Removes the last segment that was made ready: something else needs its room.
    pub fn give_back(&mut self) -> io::Result<()> {
        let name = names::segment(self.last);
        self.named(self.storage.remove(&name), "removing", &name)?;
        self.last -= 1;
        Ok(())
    }

    /// Writes the index of a segment that is full and synced.
    pub fn index(&self, builder: &IndexBuilder) -> io::Result<()> {
        let (next, name) = (names::index_next(builder.segment()), names::index(builder.segment()));
        let write = || {
            let file = self.storage.create(&next)?;
            file.write_at(&[&builder.encode(self.manifest.log_id)], 0)?;
            file.sync()?;
            self.storage.rename(&next, &name)?;
            self.storage.sync_dir()
        };
        self.named(write(), "writing", &name)
    }

    /// Drops a segment. When this returns it is gone for good, whatever happens to its file.
    ///
    /// With `recycle`, its file becomes the next segment if nobody is reading it, and is returned.
    pub fn discard(&mut self, segment: u32, recycle: bool) -> io::Result<Option<(u32, Arc<dyn File>)>> {
        if segment >= self.newest {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the newest segment can't be dropped"));
        }
        self.settle()?;
        let mut manifest = self.manifest.clone();
        manifest.drop_segment(segment);
        let mut written = manifest.write(&*self.storage, true);
        if written.as_ref().is_err_and(is_full) {
            // An index makes room for the note, first that of what is dead. Others are made again at the next start.
            let listed = self.named(self.storage.list(), "listing", "")?;
            let others = listed.iter().filter_map(|name| names::parse_index(name));
            for number in std::iter::once(segment).chain(others) {
                if self.storage.remove(&names::index(number)).is_ok() {
                    written = manifest.write(&*self.storage, true);
                    if !written.as_ref().is_err_and(is_full) {
                        break;
                    }
                }
            }
        }
        self.named(written, "writing", names::MANIFEST)?;
        self.manifest = manifest;
        let read = self.cache.close(segment);
        for name in [names::index(segment), names::index_next(segment)] {
            match self.storage.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return self.named(Err(error), "removing", &name);
                }
                _ => {}
            }
        }
        let name = names::segment(segment);
        if recycle && !read {
            let file = self.named(self.storage.open(&name), "opening", &name)?;
            if file.len()? == u64::from(self.segment_bytes) {
                let number = self.last + 1;
                let renamed = self.storage.rename(&name, &names::segment(number));
                self.named(renamed, "renaming", &name)?;
                self.named(self.storage.sync_dir(), "syncing the directory of", &name)?;
                self.last = number;
                return Ok(Some((number, file)));
            }
        }
        self.named(self.storage.remove(&name), "removing", &name)?;
        Ok(None)
    }
}
