//! Open files of segments, shared by all readers, and closed to new readers when a segment is dropped.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::storage::{File, Storage};

/// Number of the log's segments that are kept open for reading.
pub const OPEN: usize = 64;

/// The files of segments that readers have open.
pub struct Cache {
    storage: Arc<dyn Storage>,
    /// Returns the name of a segment's file.
    name: fn(u32) -> String,
    /// Maximum number of open files.
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: HashMap<u32, (Arc<dyn File>, u64)>,
    clock: u64,
    /// Segments dropped since the start. Segments dropped before have no file.
    dropped: BTreeSet<u32>,
}

impl Cache {
    /// Creates a cache of up to `most` of the files that `name` names.
    pub fn new(storage: Arc<dyn Storage>, name: fn(u32) -> String, most: usize) -> Self {
        Cache { storage, name, most, inner: Mutex::default() }
    }

    /// Returns the directory.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // After a panic on another thread, the cache may lack a file, but is valid.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the segment's file; `None` if the segment was dropped.
    pub fn get(&self, segment: u32) -> io::Result<Option<Arc<dyn File>>> {
        let mut inner = self.inner();
        inner.clock += 1;
        let clock = inner.clock;
        if let Some((file, used)) = inner.open.get_mut(&segment) {
            *used = clock;
            return Ok(Some(file.clone()));
        }
        if inner.dropped.contains(&segment) {
            return Ok(None);
        }
        // The file is opened under the lock, so it cannot be that of a segment that is being dropped and
        // recycled.
        let file = match self.storage.open(&(self.name)(segment)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if inner.open.len() >= self.most {
            let oldest = inner.open.iter().min_by_key(|(_, (_, used))| *used).map(|(&segment, _)| segment);
            oldest.map(|segment| inner.open.remove(&segment));
        }
        inner.open.insert(segment, (file.clone(), clock));
        Ok(Some(file))
    }

    /// Closes a segment's file, because another one has taken its name. The next reader opens that one.
    pub fn reopen(&self, segment: u32) {
        self.inner().open.remove(&segment);
    }

    /// Returns whether the segment was dropped since the start.
    pub fn is_dropped(&self, segment: u32) -> bool {
        self.inner().dropped.contains(&segment)
    }

    /// Closes a segment to new readers. Returns whether a reader may still use it.
    pub fn close(&self, segment: u32) -> bool {
        let mut inner = self.inner();
        inner.dropped.insert(segment);
        match inner.open.remove(&segment) {
            Some((file, _)) => Arc::strong_count(&file) > 1,
            // The file was evicted from the cache, so it is unknown whether a reader still has it.
            None => false,
        }
    }
}
