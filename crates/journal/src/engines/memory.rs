//! Storage in memory: nothing survives the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::storage::{File, Storage};

/// A directory that exists only in this process. Syncs do nothing, and allocated space takes no memory before
/// it is written.
#[derive(Default)]
pub struct Memory {
    files: Mutex<BTreeMap<String, Arc<Blocks>>>,
}

impl Memory {
    /// Creates an empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Blocks>>> {
        // Every change under this lock is one call of the map, so the map is valid after a panic on another
        // thread.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        match self.files().get(name) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = Arc::new(Blocks::default());
        self.files().insert(name.to_owned(), file.clone());
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files().remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }
}

const BLOCK: usize = 64 << 10;

/// A file: blocks that exist from their first write on.
#[derive(Default)]
struct Blocks {
    content: RwLock<Content>,
}

#[derive(Default)]
struct Content {
    len: u64,
    blocks: Vec<Option<Box<[u8]>>>,
}

/// Returns the parts of `len` bytes at `offset`, block by block: block number, offset in the block, number of
/// bytes.
fn parts(mut offset: u64, mut len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    std::iter::from_fn(move || {
        let within = (offset % BLOCK as u64) as usize;
        let part = (BLOCK - within).min(len);
        let block = (offset / BLOCK as u64) as usize;
        offset += part as u64;
        len -= part;
        (part > 0).then_some((block, within, part))
    })
}

impl File for Blocks {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content.read().unwrap_or_else(PoisonError::into_inner).len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.len = len;
        let (last, within) = ((len / BLOCK as u64) as usize, (len % BLOCK as u64) as usize);
        content.blocks.truncate(last + usize::from(within > 0));
        if let Some(Some(block)) = content.blocks.get_mut(last) {
            block[within..].fill(0);
        }
        Ok(())
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        content.len = content.len.max(len);
        Ok(())
    }

    fn write_at(&self, buffers: &[&[u8]], mut offset: u64) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        for buffer in buffers {
            let mut rest = *buffer;
            for (block, within, part) in parts(offset, buffer.len()) {
                if content.blocks.len() <= block {
                    content.blocks.resize_with(block + 1, || None);
                }
                let (now, later) = rest.split_at(part);
                let bytes = content.blocks[block].get_or_insert_with(|| vec![0; BLOCK].into());
                bytes[within..within + part].copy_from_slice(now);
                rest = later;
            }
            offset += buffer.len() as u64;
        }
        content.len = content.len.max(offset);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let len = (content.len.saturating_sub(offset)).min(buffer.len() as u64) as usize;
        let mut rest = &mut buffer[..len];
        for (block, within, part) in parts(offset, len) {
            let (now, later) = rest.split_at_mut(part);
            match content.blocks.get(block) {
                Some(Some(bytes)) => now.copy_from_slice(&bytes[within..within + part]),
                _ => now.fill(0),
            }
            rest = later;
        }
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
