//! Writes that a crash must not undo or mix up, for the log and for the store of retained data.

use std::io;

use crate::scan::read_exactly;
use crate::storage::{File, Storage};

/// Returns whether an error means that there is no space left.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns whether an error means that the disk cannot read the bytes, such as those of a bad sector.
pub fn is_broken(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
}

/// Replaces a file as a whole and durably. `next` is its temporary name.
pub fn replace(storage: &dyn Storage, next: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = storage.create(next)?;
    file.write_at(&[bytes], 0)?;
    file.sync()?;
    storage.rename(next, name)?;
    storage.sync_dir()
}

/// Writes the bytes of a range again, without syncing them.
///
/// A sync alone is not enough after a restart. If the previous process failed to sync, the system has the
/// bytes in memory, marked as clean, and a sync would report success without writing them.
pub fn rewrite(file: &dyn File, from: u32, to: u32) -> io::Result<()> {
    let (mut at, end) = (u64::from(from), u64::from(to));
    while at < end {
        let part = (end - at).min(1 << 20) as usize;
        let bytes = read_exactly(file, at, part)?;
        file.write_at(&[&bytes], at)?;
        at += part as u64;
    }
    Ok(())
}

/// Writes zeros from an offset to the end of a file.
pub fn wipe(file: &dyn File, from: u32) -> io::Result<()> {
    let zeros = vec![0; 1 << 20];
    let (mut at, len) = (u64::from(from), file.len()?);
    while at < len
        && let Some(data) = file.next_data(at)?
    {
        at = at.max(data);
        let part = (len - at).min(zeros.len() as u64) as usize;
        file.write_at(&[&zeros[..part]], at)?;
        at += part as u64;
    }
    Ok(())
}
