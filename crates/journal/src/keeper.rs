//! The files of a log: prepares them before they are needed, indexes them when they are full, drops them when
//! they are dead.

use std::io;
use std::sync::Arc;

use kernel::Place;

use crate::cache::Cache;
use crate::discipline::{is_full, replace};
use crate::error::named;
use crate::index::IndexBuilder;
use crate::manifest::Manifest;
use crate::names;
use crate::storage::{File, Storage};

/// Number of prepared segments to keep: the next one, and a reserve for the records that free space. Segments
/// beyond this may have to make room for an index.
pub const READY: usize = 2;

pub struct Keeper {
    pub storage: Arc<dyn Storage>,
    pub cache: Arc<Cache>,
    pub manifest: Manifest,
    pub segment_bytes: u32,
    /// Whether this process created the directory and it is not durable yet.
    pub unsettled: bool,
    /// The last segment with content. It is never dropped, because the log continues after its last frame.
    pub newest: u32,
    /// The highest segment that has a file.
    pub last: u32,
}

impl Keeper {
    fn named<T>(&self, result: io::Result<T>, doing: &str, name: &str) -> io::Result<T> {
        named(result, doing, || self.storage.describe(name))
    }

    /// Makes the directory itself durable. Before that, nothing in it is durable.
    ///
    /// It writes the manifest again. If the previous process failed to sync the manifest, the system has it
    /// in memory, marked as clean, and a sync would report success without writing it.
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

    /// Notes, durably, that a store for retained data belongs to the log. It needs no space.
    pub fn note_store(&mut self) -> io::Result<()> {
        if self.manifest.has_store {
            return Ok(());
        }
        self.settle()?;
        let mut manifest = self.manifest.clone();
        manifest.has_store = true;
        self.named(manifest.write(&*self.storage, true), "writing", names::MANIFEST)?;
        self.manifest = manifest;
        Ok(())
    }

    /// Notes the end of a log that is completely durable, because the server stops orderly. The next start
    /// then recognises missing data.
    pub fn note_end(&mut self, end: Place) -> io::Result<()> {
        if self.newest == 0 || self.manifest.end == Some(end) {
            return Ok(());
        }
        self.settle()?;
        let mut manifest = self.manifest.clone();
        manifest.end = Some(end);
        match manifest.write(&*self.storage, true) {
            // A full disk must not prevent a stop. Recovery then relies on the frames.
            Err(error) if is_full(&error) => Ok(()),
            written => {
                self.named(written, "writing", names::MANIFEST)?;
                self.manifest = manifest;
                Ok(())
            }
        }
    }

    /// Allocates the space of an existing segment.
    pub fn reserve(&self, number: u32) -> io::Result<()> {
        let name = names::segment(number);
        let file = self.named(self.storage.open(&name), "opening", &name)?;
        self.named(file.reserve(u64::from(self.segment_bytes)), "reserving space for", &name)
    }

    /// Does the same without the space, for a log that has no other segment to continue in.
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

    /// Prepares the next segment's file: allocates its space and makes its name durable, so that a segment
    /// never exists without all earlier ones. Only a log's very first file may wait for [`Keeper::settle`].
    pub fn prepare(&mut self) -> io::Result<(u32, Arc<dyn File>)> {
        let number = self.last + 1;
        if number > 1 {
            self.settle()?;
        }
        let name = names::segment(number);
        let file = self.named(self.storage.create(&name), "creating", &name)?;
        if let Err(error) = file.reserve(u64::from(self.segment_bytes)) {
            // A later start would find a file without its space too short.
            let _ = self.storage.remove(&name);
            return self.named(Err(error), "reserving space for", &name);
        }
        if number > 1 {
            self.named(self.storage.sync_dir(), "syncing the directory of", &name)?;
        }
        self.last = number;
        Ok((number, file))
    }

    /// Removes the last prepared segment, because its space is needed for something else.
    pub fn give_back(&mut self) -> io::Result<()> {
        let name = names::segment(self.last);
        self.named(self.storage.remove(&name), "removing", &name)?;
        self.last -= 1;
        Ok(())
    }

    /// Writes the index of a full and synced segment.
    pub fn index(&self, builder: &IndexBuilder) -> io::Result<()> {
        let (next, name) = (names::index_next(builder.segment()), names::index(builder.segment()));
        let written = replace(&*self.storage, &next, &name, &builder.encode(self.manifest.log_id));
        self.named(written, "writing", &name)
    }

    /// Drops a segment. When this returns, the segment is dropped permanently, whatever happens to its file.
    ///
    /// With `recycle`, its file becomes the next segment if no reader uses it. Returns that segment.
    pub fn discard(&mut self, segment: u32, recycle: bool) -> io::Result<Option<(u32, Arc<dyn File>)>> {
        if segment >= self.newest {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the newest segment cannot be dropped"));
        }
        self.settle()?;
        let mut manifest = self.manifest.clone();
        manifest.drop_segment(segment);
        let mut written = manifest.write(&*self.storage, true);
        if written.as_ref().is_err_and(is_full) {
            // Removing an index frees space for the manifest. It removes the dropped segment's index first;
            // the next start rebuilds others.
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
