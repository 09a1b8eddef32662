//! Storage in a directory of the file system.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FallocateFlags, FlockOperation};
use rustix::io::{Errno, ReadWriteFlags};

use crate::storage::{File, Storage};

/// The file that a process locks while it uses a directory.
pub const LOCK: &str = "LOCK";

/// A directory, locked for one process as long as this value lives.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    directory: fs::File,
    writable: bool,
    /// The parent directory, if this directory is new and its name is not durable yet.
    parent: Mutex<Option<fs::File>>,
    _lock: Option<fs::File>,
}

/// A directory cannot be used.
#[derive(Debug)]
pub enum DirectoryError {
    /// Another process uses it.
    InUse {
        /// The directory.
        path: PathBuf,
        /// The id of that process, if it is known.
        pid: Option<u32>,
    },
    /// The operating system reported an error.
    Io {
        /// The file or directory of the failed operation.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
}

impl std::fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DirectoryError::InUse { path, pid: Some(pid) } => {
                write!(f, "the data directory {} is in use by process {pid}", path.display())
            }
            DirectoryError::InUse { path, pid: None } => {
                write!(f, "the data directory {} is in use by another process", path.display())
            }
            DirectoryError::Io { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DirectoryError::InUse { .. } => None,
            DirectoryError::Io { error, .. } => Some(error),
        }
    }
}

impl Files {
    /// Opens a directory, creates it if necessary, and locks it against other processes.
    pub fn open(path: impl Into<PathBuf>) -> Result<Files, DirectoryError> {
        let path = path.into();
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error: io::Error| DirectoryError::Io { path, error }
        };
        let mut parent = None;
        if !path.is_dir() {
            fs::create_dir_all(&path).map_err(at(&path))?;
            parent = Some(fs::File::open(path.join("..")).map_err(at(&path))?);
        }
        let lock_path = path.join(LOCK);
        let mut lock = fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(at(&lock_path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(DirectoryError::InUse { path, pid });
            }
            Err(error) => return Err(DirectoryError::Io { path: lock_path, error: error.into() }),
        }
        let note = (|| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        })();
        // The process id only informs people, so a full disk must not prevent the start.
        drop(note);
        let directory = fs::File::open(&path).map_err(at(&path))?;
        Ok(Files { path, directory, writable: true, parent: Mutex::new(parent), _lock: Some(lock) })
    }

    /// Opens a directory for reading: takes no lock, and allows no operation that would change it.
    pub fn read_only(path: impl Into<PathBuf>) -> Result<Files, DirectoryError> {
        let path = path.into();
        match fs::File::open(&path) {
            Ok(directory) => {
                Ok(Files { path, directory, writable: false, parent: Mutex::default(), _lock: None })
            }
            Err(error) => Err(DirectoryError::Io { path, error }),
        }
    }

    /// Returns the directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn changing(&self) -> io::Result<()> {
        if self.writable {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the directory was opened for reading only"))
    }
}

impl Storage for Files {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::File::options().read(true).write(self.writable).open(self.path.join(name))?;
        Ok(Arc::new(Opened(file)))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.changing()?;
        let mut options = fs::File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(self.path.join(name))?;
        Ok(Arc::new(Opened(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.changing()?;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.changing()?;
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut parent = self.parent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &*parent {
            directory.sync_all()?;
            *parent = None;
        }
        self.directory.sync_all()
    }

    fn describe(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

struct Opened(fs::File);

impl File for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    return if self.len()? < len { self.0.set_len(len) } else { Ok(()) };
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn write_at(&self, buffers: &[&[u8]], mut offset: u64) -> io::Result<()> {
        if let [buffer] = buffers {
            return self.0.write_all_at(buffer, offset);
        }
        // IOV_MAX is 1024 on Linux.
        for some in buffers.chunks(1024) {
            let mut slices: Vec<IoSlice<'_>> = some.iter().map(|buffer| IoSlice::new(buffer)).collect();
            let mut slices = &mut slices[..];
            IoSlice::advance_slices(&mut slices, 0);
            while !slices.is_empty() {
                match rustix::io::pwritev(&self.0, slices, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut slices, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => Ok(Some(data)),
            Err(Errno::NXIO) => Ok(None),
            // A file system that cannot distinguish holes from data.
            Err(_) => Ok(Some(offset)),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.0.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn try_read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            let rest = &mut [IoSliceMut::new(&mut buffer[read..])];
            match rustix::io::preadv2(&self.0, rest, offset + read as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Err(io::ErrorKind::WouldBlock.into()),
                // Kernels and file systems without this flag: the caller must use a read that may wait.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(read)
    }

    fn forget(&self, offset: u64, len: u64) {
        // A length of 0 would be the rest of the file.
        if let Some(len) = std::num::NonZero::new(len) {
            let _ = rustix::fs::fadvise(&self.0, offset, Some(len), rustix::fs::Advice::DontNeed);
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}
