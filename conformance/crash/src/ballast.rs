//! A file that makes the disk nearly full, so that the server is killed and started where it has no room.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// How many bytes are written at once.
const PIECE: usize = 1 << 20;
/// A disk with more room than this is not one that a test may fill.
const MOST: u64 = 4 << 30;

/// The file. It lies beside the server's directory, on the same disk, and is deleted when this value is dropped.
pub struct Ballast {
    path: PathBuf,
}

impl Ballast {
    /// A ballast for the disk of the server's `directory`. Nothing is written yet.
    pub fn beside(directory: &Path) -> Ballast {
        Ballast { path: directory.with_extension("ballast") }
    }

    /// Makes the file as large as the disk allows, less `free` bytes that stay for the server.
    pub fn fill(&self, free: u64) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.path.display());
        let mut file = File::options().create(true).append(true).open(&self.path).map_err(failed)?;
        let mut bytes = file.metadata().map_err(failed)?.len();
        let piece = vec![0; PIECE];
        loop {
            match file.write(&piece) {
                Ok(written) => bytes += written as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => return Err(failed(error)),
            }
            if bytes > MOST {
                self.release();
                return Err(format!(
                    "{} is on a disk with more than {} GiB of room: give --data on a small one, such as \
                     mount -t tmpfs -o size=400m tmpfs DIR",
                    self.path.display(),
                    MOST >> 30
                ));
            }
        }
        file.set_len(bytes.saturating_sub(free)).map_err(failed)
    }

    /// Gives the room back, as an operator does who hears that the disk is full.
    pub fn release(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        self.release();
    }
}
