//! The interface between the journal and the operating system: a flat directory of named files.
//!
//! Everything that must survive a crash is built from these few operations. So a simulator that implements
//! them sees, and can break, every step: preparing, recycling and dropping segments as well as writing them.

use std::io;
use std::sync::Arc;

/// A directory of files. All threads of a journal share it.
///
/// After a crash, any part of the bytes written to a file since its last completed [`File::sync`] may be
/// there, and any of the changes of names since the last completed [`Storage::sync_dir`]. A rename leaves at
/// least one of the two names.
pub trait Storage: Send + Sync {
    /// Returns the names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing.
    ///
    /// Each call makes a new file description, because the system reports a failed write-back once to each
    /// description. With a shared description, one thread could miss an error that another thread got.
    ///
    /// Errors: `NotFound` if the file does not exist.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates an empty file and opens it. Replaces an existing file.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Renames a file. Replaces a file with the new name.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name. Threads that have the file open can still read it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes all earlier changes of names durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Returns the name of a file for error messages.
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// An open file. All offsets are absolute; any number of threads may use it at the same time.
#[expect(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait File: Send + Sync {
    /// Returns the length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Sets the length, and fills new bytes with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Allocates disk space for `len` bytes and makes the file at least that long, so that writes there
    /// cannot fail for lack of space. Where allocation is not supported, it only sets the length.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Writes all buffers, one after another, beginning at `offset`.
    fn write_at(&self, buffers: &[&[u8]], offset: u64) -> io::Result<()>;

    /// Returns the first offset, from this one on, that may contain anything but zeros; `None` if there is
    /// none.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }

    /// Reads until the buffer is full or the file ends. Returns the number of bytes read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// As `read_at`, but fails with `WouldBlock` instead of waiting for a disk.
    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    /// Tells the system that this part was read once and will not be needed soon, so that it does not push
    /// other data out of the page cache. Only advice: it may do nothing, and never fails.
    fn forget(&self, _offset: u64, _len: u64) {}

    /// Makes everything durable that was written before this call, through any description.
    fn sync(&self) -> io::Result<()>;
}
