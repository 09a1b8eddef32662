//! The manifest: a small text file that identifies a directory of segments and lists the dropped ones.
//!
//! A segment counts as dropped as soon as the manifest says so; its file may be removed later. A missing file
//! of a segment that the manifest does not list is damage.

use std::fmt::Write;
use std::io;

use kernel::Place;

use crate::names;
use crate::storage::Storage;

/// The version of a manifest whose log has handed records on to a store for retained data. A program that knows only version 1
/// does not know that store, and would miss what is only there.
const WITH_STORE: u64 = 2;

/// Space that is reserved on the disk for the next manifest, so that segments can be dropped on a full disk.
const ROOM: usize = 4096;

/// The first line of a log's manifest.
pub const JOURNAL: &str = "posthaste journal";

/// The content of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// The first line, which tells what the directory is.
    title: &'static str,
    /// A random number that marks this log's frames.
    pub log_id: u64,
    /// Ranges of dropped segments, both ends included, ascending, with gaps between them.
    dropped: Vec<(u32, u32)>,
    /// The end of the log at the last orderly stop of a server: everything before it was durable.
    pub end: Option<Place>,
    /// Whether records may be in a store for retained data, and no longer in the log.
    pub has_store: bool,
}

/// Why a manifest cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// A newer version of the program wrote it.
    Newer(u64),
    /// The bytes are not a manifest.
    Malformed,
}

impl Manifest {
    /// Creates the manifest of an empty directory of this kind.
    pub fn new(title: &'static str, log_id: u64) -> Self {
        Manifest { title, log_id, dropped: Vec::new(), end: None, has_store: false }
    }

    /// Returns whether the segment was dropped.
    pub fn is_dropped(&self, segment: u32) -> bool {
        self.dropped.iter().any(|&(first, last)| (first..=last).contains(&segment))
    }

    /// Returns the dropped segments as ranges, both ends included, ascending.
    pub fn dropped(&self) -> &[(u32, u32)] {
        &self.dropped
    }

    /// Returns whether any segment was dropped.
    pub fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// Adds a segment to the dropped ones.
    pub fn drop_segment(&mut self, segment: u32) {
        if self.is_dropped(segment) {
            return;
        }
        let at = self.dropped.partition_point(|&(_, last)| last < segment);
        self.dropped.insert(at, (segment, segment));
        self.dropped.dedup_by(|next, previous| {
            let adjoins = previous.1 + 1 == next.0;
            if adjoins {
                previous.1 = next.1;
            }
            adjoins
        });
    }

    /// Returns the manifest's text.
    pub fn encode(&self) -> String {
        let version = if self.has_store { WITH_STORE } else { 1 };
        let mut text = format!("{}\nversion {version}\nlog {:016x}\ndropped", self.title, self.log_id);
        // Writing to a String cannot fail.
        for &(first, last) in &self.dropped {
            let _ = if first == last { write!(text, " {first}") } else { write!(text, " {first}-{last}") };
        }
        text.push('\n');
        if let Some(end) = self.end {
            let _ = writeln!(text, "end {}:{}", end.segment(), end.offset());
        }
        let _ = writeln!(text, "checksum {:08x}", crc32c::crc32c(text.as_bytes()));
        text
    }

    /// Reads a manifest's text. Later versions keep the first two lines and the checksum.
    pub fn decode(title: &'static str, text: &str) -> Result<Manifest, Unusable> {
        let (version, rest) = Self::checked(title, text).ok_or(Unusable::Malformed)?;
        match version {
            1 => Self::parse(title, rest).ok_or(Unusable::Malformed),
            // No other kind of directory has a store.
            WITH_STORE if title == JOURNAL => {
                let manifest = Self::parse(title, rest).ok_or(Unusable::Malformed)?;
                Ok(Manifest { has_store: true, ..manifest })
            }
            newer if newer > 1 => Err(Unusable::Newer(newer)),
            _ => Err(Unusable::Malformed),
        }
    }

    /// Returns the version and the lines between it and the checksum, if the checksum is right.
    fn checked<'a>(title: &str, text: &'a str) -> Option<(u64, &'a str)> {
        let (body, checksum) = text.split_at(text.rfind("checksum ")?);
        let checksum = checksum.trim_end().strip_prefix("checksum ")?;
        if u32::from_str_radix(checksum, 16).ok()? != crc32c::crc32c(body.as_bytes()) {
            return None;
        }
        let (version, rest) = body.strip_prefix(title)?.strip_prefix("\nversion ")?.split_once('\n')?;
        Some((version.parse().ok()?, rest))
    }

    fn parse(title: &'static str, lines: &str) -> Option<Manifest> {
        let mut lines = lines.lines();
        let log_id = u64::from_str_radix(lines.next()?.strip_prefix("log ")?, 16).ok()?;
        let mut dropped = Vec::new();
        for range in lines.next()?.strip_prefix("dropped")?.split_whitespace() {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            dropped.push((first.parse().ok()?, last.parse().ok()?));
        }
        // Manifests of older versions do not have this line, nor do those of a server that never stopped
        // orderly.
        let end = match lines.next().and_then(|line| line.strip_prefix("end ")) {
            None => None,
            Some(end) => {
                let (segment, offset) = end.split_once(':')?;
                Some(Place::new(segment.parse().ok()?, offset.parse().ok()?))
            }
        };
        Some(Manifest { title, log_id, dropped, end, has_store: false })
    }

    /// Reads the manifest of a directory. Returns `None` if it is missing, empty or all zeros: a crash leaves
    /// this if the new directory was not durable yet.
    pub fn read(
        title: &'static str,
        storage: &dyn Storage,
    ) -> io::Result<Option<Result<Manifest, Unusable>>> {
        let file = match storage.open(names::MANIFEST) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let mut bytes = vec![0; file.len()?.min(1 << 20) as usize];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        Ok(Some(
            String::from_utf8(bytes)
                .map_err(|_| Unusable::Malformed)
                .and_then(|text| Self::decode(title, &text)),
        ))
    }

    /// Replaces the manifest. With `durable`, returns after the replacement is durable.
    pub fn write(&self, storage: &dyn Storage, durable: bool) -> io::Result<()> {
        let mut text = self.encode();
        while !text.len().is_multiple_of(ROOM) {
            text.push('\n');
        }
        let next = match storage.open(names::MANIFEST_NEXT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => storage.create(names::MANIFEST_NEXT)?,
            other => other?,
        };
        next.write_at(&[text.as_bytes()], 0)?;
        if next.len()? != text.len() as u64 {
            next.set_len(text.len() as u64)?;
        }
        if durable {
            next.sync()?;
        }
        storage.rename(names::MANIFEST_NEXT, names::MANIFEST)?;
        if durable {
            storage.sync_dir()?;
        }
        // Reserves space for the next manifest. If there is none now, dropping segments may free some until
        // then.
        if let Ok(room) = storage.create(names::MANIFEST_NEXT) {
            let _ = room.reserve(ROOM as u64);
        }
        Ok(())
    }

    /// Overwrites the existing text with the same text, and syncs it. This is possible on a full disk.
    ///
    /// # Errors
    /// `StorageFull` if the existing text is different.
    pub fn write_in_place(&self, storage: &dyn Storage) -> io::Result<()> {
        if Self::read(self.title, storage)? != Some(Ok(self.clone())) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = storage.open(names::MANIFEST)?;
        let mut bytes = vec![0; file.len()? as usize];
        let read = file.read_at(&mut bytes, 0)?;
        file.write_at(&[&bytes[..read]], 0)?;
        file.sync()?;
        storage.sync_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::Memory;

    #[test]
    fn a_manifest_reads_back_as_it_was_written() {
        let storage = Memory::new();
        assert_eq!(Manifest::read(JOURNAL, &storage).unwrap(), None);
        let mut manifest = Manifest::new(JOURNAL, 0xfeed);
        for segment in [3, 1, 9, 2, 8, 5, 5] {
            manifest.drop_segment(segment);
        }
        assert_eq!(manifest.dropped, [(1, 3), (5, 5), (8, 9)]);
        for (end, has_store) in [(None, false), (Some(Place::new(9, 77)), true), (None, true)] {
            (manifest.end, manifest.has_store) = (end, has_store);
            manifest.write(&storage, true).unwrap();
            assert_eq!(Manifest::read(JOURNAL, &storage).unwrap(), Some(Ok(manifest.clone())));
        }
        assert!(manifest.is_dropped(2) && !manifest.is_dropped(4));
    }

    #[test]
    fn a_changed_manifest_is_malformed_and_a_newer_one_is_said_to_be_newer() {
        let text = Manifest::new(JOURNAL, 7).encode();
        for at in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(Manifest::decode(JOURNAL, &changed).is_err(), "{changed}");
        }
        let mut newer = "posthaste journal\nversion 3\nwhatever that holds\n".to_owned();
        assert_eq!(Manifest::decode(JOURNAL, &newer), Err(Unusable::Malformed));
        newer += &format!("checksum {:08x}\n", crc32c::crc32c(newer.as_bytes()));
        assert_eq!(Manifest::decode(JOURNAL, &newer), Err(Unusable::Newer(3)));
    }
}
