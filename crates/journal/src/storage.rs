//! The seam between the journal and the world: a flat directory of named files.
//!
//! Everything that must survive a crash is built above this seam, out of these few operations, so that a simulator that
//! implements them sees (and can break) every step: preparing, recycling and dropping segments as well as writing them.

use std::io;
use std::sync::Arc;

/// A directory of files. Shared by all threads of a journal.
///
/// What a crash leaves: any part of the bytes written to a file since its last completed [`File::sync`], and any of the
/// changes of names since the last completed [`Storage::sync_dir`], but a rename never leaves neither name.
pub trait Storage: Send + Sync {
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing. Every call makes a new file description, because a failed write-back is
    /// told once to each description: two threads that sync through one could miss an error that the other was told.
    /// `NotFound` if there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates an empty file and opens it, replacing one that exists.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, replacing a file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file's name. Who has the file open can go on reading it.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns when all changes of names made before are durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// How an error message should name a file.
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

/// An open file. All offsets are absolute; any number of threads may use it at once.
#[expect(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait File: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Makes it exactly this long, with zeros where it grew.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes room on the disk for `len` bytes, and the file at least that long, so that writing there can't fail for
    /// want of space. Where that is not supported, the file just becomes that long.
    fn reserve(&self, len: u64) -> io::Result<()>;

    /// Writes all buffers, one after another, from `offset` on.
    fn write_at(&self, buffers: &[&[u8]], offset: u64) -> io::Result<()>;

    /// The first offset from this one on where there may be anything but zeros; `None` if there is none.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }

    /// Reads into the buffer until it is full or the file ends; returns how much it read.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// The same, but fails with `WouldBlock` rather than wait for a disk.
    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buffer, offset)
    }

    /// Returns when everything that was written through any description before this call is durable.
    fn sync(&self) -> io::Result<()>;
}
