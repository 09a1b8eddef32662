//! A disk that loses unsynced data, tears writes, fails and fills up, all by random numbers. For tests and
//! simulations.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::Dice;

use crate::storage::{File, Storage};

/// A directory on a faulty disk. Clones share the disk.
#[derive(Clone)]
pub struct FaultyDisk {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    /// The files that a running process sees.
    names: BTreeMap<String, Shared>,
    /// The files that are certainly on the disk.
    durable: BTreeMap<String, Shared>,
    /// Changes of names since the last sync of the directory.
    changes: Vec<NameChange>,
    /// Maximum total length of all files, in bytes.
    capacity: u64,
    /// Number of operations until one fails.
    fail_in: Option<u64>,
    /// Whether it has failed.
    failed: bool,
    dice: Dice,
}

type Shared = Arc<Mutex<Inode>>;

enum NameChange {
    Create(String, Shared),
    Rename(String, String),
    Remove(String),
}

/// The content of a file.
#[derive(Default)]
struct Inode {
    /// The content that a running process sees.
    content: Vec<u8>,
    /// The content that is certainly on the disk.
    durable: Vec<u8>,
    /// Changes since then: any part of them may be on the disk, too.
    changes: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Len(usize),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Len(len) => content.resize(*len, 0),
            Change::Write(at, bytes) => {
                content.resize(content.len().max(at + bytes.len()), 0);
                content[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

fn below(dice: &mut Dice, end: u64) -> u64 {
    dice.roll() % end
}

fn percent(dice: &mut Dice, odds: u64) -> bool {
    below(dice, 100) < odds
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code that can panic runs under this lock. If a checker panicked, it has reported its error.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inode {
    /// Writes a random part of the changes to the disk. Sectors of one write survive independently, in any
    /// order.
    fn survive(&mut self, dice: &mut Dice) {
        let sector = [1, 16, 100, 512, 4096][below(dice, 5) as usize];
        // Sometimes all or nothing, so that the extremes occur, too.
        let odds = [0, 20, 50, 80, 100][below(dice, 5) as usize];
        for change in std::mem::take(&mut self.changes) {
            match change {
                Change::Len(_) if percent(dice, odds) => change.apply(&mut self.durable),
                Change::Len(_) => {}
                Change::Write(at, bytes) => {
                    let mut from = 0;
                    while from < bytes.len() {
                        let to = bytes.len().min(((at + from) / sector + 1) * sector - at);
                        if percent(dice, odds) {
                            Change::Write(at + from, bytes[from..to].to_vec()).apply(&mut self.durable);
                        }
                        from = to;
                    }
                }
            }
        }
    }
}

impl FaultyDisk {
    /// Creates an empty directory on a disk that has no faults yet.
    pub fn new(dice: Dice) -> Self {
        let inner = Inner {
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            changes: Vec::new(),
            capacity: u64::MAX,
            fail_in: None,
            failed: false,
            dice,
        };
        FaultyDisk { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Simulates a power failure of the machine: synced data remains, and any part of the rest. Files that
    /// were open before do not see later changes.
    pub fn lose_power(&self) {
        let mut guard = lock(&self.inner);
        let inner = &mut *guard;
        inner.fail_in = None;
        let mut names = inner.durable.clone();
        let odds = [0, 50, 67, 100][below(&mut inner.dice, 4) as usize];
        for change in std::mem::take(&mut inner.changes) {
            if !percent(&mut inner.dice, odds) {
                continue;
            }
            match change {
                NameChange::Create(name, inode) => {
                    names.insert(name, inode);
                }
                NameChange::Rename(from, to) => {
                    if let Some(inode) = names.remove(&from) {
                        names.insert(to, inode);
                    }
                }
                NameChange::Remove(name) => {
                    names.remove(&name);
                }
            }
        }
        let mut fresh = BTreeMap::new();
        for (name, inode) in names {
            let mut inode = lock(&inode);
            inode.survive(&mut inner.dice);
            let content = inode.durable.clone();
            fresh.insert(
                name,
                Arc::new(Mutex::new(Inode { durable: content.clone(), content, changes: Vec::new() })),
            );
        }
        inner.durable = fresh.clone();
        inner.names = fresh;
    }

    /// Makes the operation after `operations` others fail, once.
    pub fn fail_in(&self, operations: Option<u64>) {
        let mut inner = lock(&self.inner);
        inner.fail_in = operations;
        inner.failed = false;
    }

    /// Returns whether an operation has failed since the last call.
    pub fn has_failed(&self) -> bool {
        lock(&self.inner).failed
    }

    /// Sets the random numbers that decide what happens from now on.
    pub fn take_dice(&self, dice: Dice) {
        lock(&self.inner).dice = dice;
    }

    /// Limits the disk to this many more bytes; no limit if `None`.
    pub fn leave_room(&self, bytes: Option<u64>) {
        let mut inner = lock(&self.inner);
        inner.capacity = bytes.map_or(u64::MAX, |bytes| inner.used() + bytes);
    }

    /// Returns the total length of all files, in bytes.
    pub fn used(&self) -> u64 {
        lock(&self.inner).used()
    }

    fn step(&self) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        match inner.fail_in {
            None => Ok(()),
            Some(0) => {
                inner.fail_in = None;
                inner.failed = true;
                Err(io::Error::other("the disk failed"))
            }
            Some(left) => {
                inner.fail_in = Some(left - 1);
                Ok(())
            }
        }
    }
}

impl Inner {
    fn used(&self) -> u64 {
        self.names.values().map(|inode| lock(inode).content.len() as u64).sum()
    }
}

impl Storage for FaultyDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.inner).names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = lock(&self.inner).names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Open { inode, disk: self.clone() }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.step()?;
        let mut inner = lock(&self.inner);
        let inode = Arc::new(Mutex::new(Inode::default()));
        inner.names.insert(name.to_owned(), inode.clone());
        inner.changes.push(NameChange::Create(name.to_owned(), inode.clone()));
        Ok(Arc::new(Open { inode, disk: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        let mut inner = lock(&self.inner);
        let inode = inner.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inner.names.insert(to.to_owned(), inode);
        inner.changes.push(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step()?;
        let mut inner = lock(&self.inner);
        inner.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        inner.changes.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.step()?;
        let mut inner = lock(&self.inner);
        inner.durable = inner.names.clone();
        inner.changes.clear();
        Ok(())
    }
}

struct Open {
    inode: Shared,
    disk: FaultyDisk,
}

impl Open {
    fn change(&self, change: Change) -> io::Result<()> {
        let failed = self.disk.step();
        let mut inner = lock(&self.disk.inner);
        let used = inner.used();
        let mut inode = lock(&self.inode);
        let len = match &change {
            Change::Write(at, bytes) => inode.content.len().max(at + bytes.len()),
            Change::Len(len) => *len,
        };
        let more = (len as u64).saturating_sub(inode.content.len() as u64);
        if more > 0 && used.saturating_add(more) > inner.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // A failed write may have written any first part.
        let change = match (change, &failed) {
            (Change::Write(at, bytes), Err(_)) => {
                let part = below(&mut inner.dice, bytes.len() as u64 + 1) as usize;
                Change::Write(at, bytes[..part].to_vec())
            }
            (change, Ok(())) => change,
            (Change::Len(_), Err(_)) => return failed,
        };
        change.apply(&mut inode.content);
        inode.changes.push(change);
        failed
    }
}

impl File for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.inode).content.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Len(len as usize))
    }

    fn reserve(&self, len: u64) -> io::Result<()> {
        let len = len.max(self.len()?);
        self.change(Change::Len(len as usize))
    }

    fn write_at(&self, buffers: &[&[u8]], offset: u64) -> io::Result<()> {
        self.change(Change::Write(offset as usize, buffers.concat()))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let inode = lock(&self.inode);
        let rest = inode.content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let failed = self.disk.step();
        let mut inner = lock(&self.disk.inner);
        let mut inode = lock(&self.inode);
        if failed.is_err() {
            // A part was written. The system marks the rest as clean: processes see it, and it is never
            // written.
            inode.survive(&mut inner.dice);
        } else {
            let inode = &mut *inode;
            inode.changes.drain(..).for_each(|change| change.apply(&mut inode.durable));
        }
        failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &FaultyDisk, name: &str) -> Vec<u8> {
        let file = disk.open(name).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_survive_in_part() {
        let mut outcomes = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let disk = FaultyDisk::new(Dice::from_seed(seed));
            let file = disk.create("a").unwrap();
            file.write_at(&[b"1234"], 0).unwrap();
            file.sync().unwrap();
            disk.sync_dir().unwrap();
            file.write_at(&[b"5678"], 4).unwrap();
            file.write_at(&[b"x"], 0).unwrap();
            disk.lose_power();
            let bytes = read(&disk, "a");
            assert_eq!(&bytes[1..4], b"234");
            outcomes.insert(bytes);
        }
        assert!(outcomes.contains(&b"1234"[..]) && outcomes.contains(&b"x2345678"[..]), "{outcomes:?}");
        assert!(outcomes.len() > 5, "{outcomes:?}");
    }

    #[test]
    fn after_a_failed_sync_another_sync_promises_nothing() {
        let mut lost = false;
        for seed in 0..50 {
            let disk = FaultyDisk::new(Dice::from_seed(seed));
            let file = disk.create("a").unwrap();
            disk.sync_dir().unwrap();
            file.write_at(&[b"1234"], 0).unwrap();
            disk.fail_in(Some(0));
            assert!(file.sync().is_err());
            file.sync().unwrap();
            assert_eq!(read(&disk, "a"), b"1234");
            disk.lose_power();
            lost |= read(&disk, "a") != b"1234";
        }
        assert!(lost);
    }

    #[test]
    fn a_full_disk_takes_nothing_that_grows() {
        let disk = FaultyDisk::new(Dice::from_seed(1));
        let file = disk.create("a").unwrap();
        file.write_at(&[b"1234"], 0).unwrap();
        disk.leave_room(Some(2));
        assert!(file.write_at(&[b"567"], 4).is_err());
        file.write_at(&[b"56"], 4).unwrap();
        file.write_at(&[b"ab"], 0).unwrap();
        disk.leave_room(None);
        file.write_at(&[b"789"], 6).unwrap();
    }
}
