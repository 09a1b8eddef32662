//! A storage that forgets what was not synced, refuses when it is full, and fails when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use kernel::Dice;
use posthaste_journal::{File, Storage};

/// A directory on a disk that can lose power.
#[derive(Clone)]
pub struct Faulty {
    disk: Arc<Mutex<Disk>>,
}

struct Disk {
    /// What a running process sees.
    names: BTreeMap<String, Arc<Mutex<Inode>>>,
    /// What the disk has.
    durable_names: BTreeMap<String, Arc<Mutex<Inode>>>,
    /// Changes of names since the last sync of the directory.
    renames: Vec<NameChange>,
    /// Bytes that may still be reserved or written.
    space: u64,
    /// Fails the operation that brings this to zero.
    fail_in: Option<u64>,
}

enum NameChange {
    Create(String, Arc<Mutex<Inode>>),
    Rename(String, String),
    Remove(String),
}

#[derive(Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
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

impl Faulty {
    pub fn new() -> Self {
        Faulty {
            disk: Arc::new(Mutex::new(Disk {
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                renames: Vec::new(),
                space: u64::MAX,
                fail_in: None,
            })),
        }
    }

    /// What could be left if the machine lost its power now: any part of what was not synced, in any combination.
    pub fn crashed(&self, seed: u64) -> Faulty {
        let mut dice = Dice::from_seed(seed);
        let disk = self.disk.lock().unwrap();
        let mut names = disk.durable_names.clone();
        for change in disk.renames.iter().filter(|_| !dice.roll().is_multiple_of(3)) {
            match change {
                NameChange::Create(name, inode) => {
                    names.insert(name.clone(), inode.clone());
                }
                NameChange::Rename(from, to) => {
                    if let Some(inode) = names.remove(from) {
                        names.insert(to.clone(), inode);
                    }
                }
                NameChange::Remove(name) => {
                    names.remove(name);
                }
            }
        }
        let survive = |inode: &Arc<Mutex<Inode>>| {
            let inode = inode.lock().unwrap();
            let mut content = inode.durable.clone();
            // Now and then all of a kind, so that the extremes are seen, too.
            let mood = dice.roll() % 4;
            for change in &inode.changes {
                match change {
                    Change::Write(at, bytes) if mood < 2 => {
                        let mut from = 0;
                        while from < bytes.len() {
                            let part = (1 + dice.roll() as usize % 100).min(bytes.len() - from);
                            if dice.roll().is_multiple_of(2) {
                                Change::Write(at + from, bytes[from..from + part].to_vec())
                                    .apply(&mut content);
                            }
                            from += part;
                        }
                    }
                    change if mood == 2 || dice.roll().is_multiple_of(2) => change.apply(&mut content),
                    _ => {}
                }
            }
            Arc::new(Mutex::new(Inode { durable: content.clone(), content, changes: Vec::new() }))
        };
        let mut survive = survive;
        let names: BTreeMap<_, _> =
            names.iter().map(|(name, inode)| (name.clone(), survive(inode))).collect();
        let (durable_names, renames) = (names.clone(), Vec::new());
        Faulty {
            disk: Arc::new(Mutex::new(Disk {
                names,
                durable_names,
                renames,
                space: u64::MAX,
                fail_in: None,
            })),
        }
    }

    /// From now on only this many bytes can be reserved or written where nothing was before.
    pub fn leave_space(&self, bytes: u64) {
        self.disk.lock().unwrap().space = bytes;
    }

    /// The write, sync or change of names that comes after so many others fails.
    pub fn fail_in(&self, operations: Option<u64>) {
        self.disk.lock().unwrap().fail_in = operations;
    }

    /// Whether the failure has happened.
    pub fn has_failed(&self) -> bool {
        self.disk.lock().unwrap().fail_in == Some(0)
    }

    fn step(&self) -> io::Result<()> {
        let mut disk = self.disk.lock().unwrap();
        match &mut disk.fail_in {
            None | Some(0) => Ok(()),
            Some(left) => {
                *left -= 1;
                if *left == 0 { Err(io::Error::other("the disk failed")) } else { Ok(()) }
            }
        }
    }
}

impl Storage for Faulty {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk.lock().unwrap().names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = self.disk.lock().unwrap().names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Opened { inode, storage: self.clone() }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.step()?;
        let mut disk = self.disk.lock().unwrap();
        let inode = Arc::new(Mutex::new(Inode::default()));
        disk.names.insert(name.to_owned(), inode.clone());
        disk.renames.push(NameChange::Create(name.to_owned(), inode.clone()));
        Ok(Arc::new(Opened { inode, storage: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        let mut disk = self.disk.lock().unwrap();
        let inode = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        if let Some(replaced) = disk.names.insert(to.to_owned(), inode) {
            disk.space = disk.space.saturating_add(replaced.lock().unwrap().content.len() as u64);
        }
        disk.renames.push(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.step()?;
        let mut disk = self.disk.lock().unwrap();
        let inode = disk.names.remove(name).ok_or(io::ErrorKind::NotFound)?;
        disk.space = disk.space.saturating_add(inode.lock().unwrap().content.len() as u64);
        disk.renames.push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.step()?;
        let mut disk = self.disk.lock().unwrap();
        disk.durable_names = disk.names.clone();
        disk.renames.clear();
        Ok(())
    }
}

struct Opened {
    inode: Arc<Mutex<Inode>>,
    storage: Faulty,
}

impl Opened {
    fn change(&self, change: Change) -> io::Result<()> {
        self.storage.step()?;
        let mut disk = self.storage.disk.lock().unwrap();
        let mut inode = self.inode.lock().unwrap();
        let len = match &change {
            Change::Write(at, bytes) => inode.content.len().max(at + bytes.len()),
            Change::Len(len) => *len,
        };
        let more = (len as u64).saturating_sub(inode.content.len() as u64);
        if more > disk.space {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.space -= more;
        change.apply(&mut inode.content);
        inode.changes.push(change);
        Ok(())
    }
}

impl File for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.lock().unwrap().content.len() as u64)
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
        let inode = self.inode.lock().unwrap();
        let rest = inode.content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn sync(&self) -> io::Result<()> {
        let failed = self.storage.step();
        let mut inode = self.inode.lock().unwrap();
        // After a failed sync the system takes the bytes for clean: they are seen, and never written.
        for change in std::mem::take(&mut inode.changes) {
            if failed.is_ok() {
                change.apply(&mut inode.durable);
            }
        }
        failed
    }
}
