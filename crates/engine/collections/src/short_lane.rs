//! A lane for large numbers of short lanes, which share the cells that contain their entries.
//!
//! A queue may have a million groups of a few messages each. Then the fixed size of a lane matters, and so
//! does its growth. These lanes grow cell by cell, so nothing is moved, and no allocations of other sizes
//! remain.

use std::hint::black_box;
use std::num::NonZeroU8;

use kernel::{Place, Seq};

use crate::entry::{Basis, Entry};
use crate::lane::Lane;
use crate::slab::Slab;
use crate::work;

/// A longer lane becomes a separate [`Lane`].
const MOST: usize = 64;

/// The bytes of many lanes.
#[derive(Clone, Debug, Default)]
pub struct Cells(Slab<Cell>);

/// Some bytes of one lane, and the number of the next cell.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    next: u32,
    bytes: [u8; CELL],
}

/// With this size the unused end of a chain plus the links are smallest, for chains of some hundred bytes.
const CELL: usize = 28;

/// Waiting messages in the order of their sequence numbers. Most operations need the [`Cells`] in which the
/// entries are; dropping a lane leaves its cells allocated.
#[derive(Clone, Debug, Default)]
pub struct ShortLane(Form);

#[derive(Clone, Debug)]
enum Form {
    Short(Chain),
    Long(Box<Lane>),
}

impl Default for Form {
    fn default() -> Self {
        Form::Short(Chain::default())
    }
}

impl ShortLane {
    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Form::Short(chain) => chain.count == 0,
            Form::Long(lane) => lane.is_empty(),
        }
    }

    /// Returns the first entry.
    pub fn front(&self, cells: &Cells) -> Option<Entry> {
        match &self.0 {
            Form::Short(chain) => chain.entries(cells).next(),
            Form::Long(lane) => lane.front(),
        }
    }

    /// Returns the number of the last entry.
    pub fn last(&self) -> Option<Seq> {
        match &self.0 {
            Form::Short(chain) => (chain.count > 0).then(|| Seq(chain.tail().seq)),
            Form::Long(lane) => lane.last(),
        }
    }

    /// Returns all entries, first to last.
    pub fn iter<'a>(&'a self, cells: &'a Cells) -> impl Iterator<Item = Entry> + 'a {
        let (short, long) = match &self.0 {
            Form::Short(chain) => (Some(chain.entries(cells)), None),
            Form::Long(lane) => (None, Some(lane.iter())),
        };
        short.into_iter().flatten().chain(long.into_iter().flatten())
    }

    /// Returns the entries with this number or a later one, first to last. Reads at most a few dozen entries
    /// before them.
    pub fn iter_from<'a>(&'a self, seq: Seq, cells: &'a Cells) -> impl Iterator<Item = Entry> + 'a {
        let (short, long) = match &self.0 {
            Form::Short(chain) => (Some(chain.entries(cells).skip_while(move |entry| entry.seq < seq)), None),
            Form::Long(lane) => (None, Some(lane.iter_from(seq))),
        };
        short.into_iter().flatten().chain(long.into_iter().flatten())
    }

    /// Returns the entry with this number.
    pub fn get(&self, seq: Seq, cells: &Cells) -> Option<Entry> {
        work::look();
        match &self.0 {
            Form::Short(chain) if chain.count == 0 || seq.0 > chain.tail().seq => None,
            Form::Short(chain) => chain.entries(cells).find(|entry| entry.seq == seq),
            Form::Long(lane) => lane.get(seq),
        }
    }

    /// Loads the place of the next entry into the processor's cache.
    #[inline]
    pub fn look_ahead(&self, cells: &Cells) {
        if let Form::Short(Chain { last, .. }) = &self.0 {
            black_box(cells.0.get(*last).map(|cell| cell.next));
        }
    }

    /// Inserts a message at its sequence number: at the end in O(1); in the middle by rewriting a few dozen
    /// entries. Replaces and returns an entry with the same number.
    pub fn put(&mut self, entry: Entry, cells: &mut Cells) -> Option<Entry> {
        let chain = match &mut self.0 {
            Form::Long(lane) => return lane.put(entry),
            Form::Short(chain) => chain,
        };
        if chain.count == 0 || entry.seq.0 > chain.tail().seq {
            if !chain.push(entry, cells) {
                self.lengthen(cells).put(entry);
            }
            return None;
        }
        let mut entries = chain.take_all(cells);
        let replaced = match entries.binary_search_by_key(&entry.seq, |entry| entry.seq) {
            Ok(at) => Some(std::mem::replace(&mut entries[at], entry)),
            Err(at) => {
                entries.insert(at, entry);
                None
            }
        };
        self.push_all(&entries, cells);
        replaced
    }

    /// Removes and returns the first entry.
    pub fn pop_front(&mut self, cells: &mut Cells) -> Option<Entry> {
        match &mut self.0 {
            Form::Short(chain) => chain.pop(cells),
            Form::Long(lane) => {
                let entry = lane.pop_front();
                self.shorten();
                entry
            }
        }
    }

    /// Removes and returns the entry with this number: at the front in O(1), elsewhere by rewriting a few
    /// dozen entries.
    pub fn remove(&mut self, seq: Seq, cells: &mut Cells) -> Option<Entry> {
        let chain = match &mut self.0 {
            Form::Short(chain) => chain,
            Form::Long(lane) => {
                let entry = lane.remove(seq);
                self.shorten();
                return entry;
            }
        };
        let mut entries = chain.entries(cells);
        if entries.next()?.seq == seq {
            return chain.pop(cells);
        }
        let at = 1 + entries.position(|entry| entry.seq == seq)?;
        let mut entries = chain.take_all(cells);
        let removed = entries.remove(at);
        self.push_all(&entries, cells);
        Some(removed)
    }

    /// Appends these entries.
    fn push_all(&mut self, entries: &[Entry], cells: &mut Cells) {
        for &entry in entries {
            self.put(entry, cells);
        }
    }

    /// Converts it to a separate lane.
    fn lengthen(&mut self, cells: &mut Cells) -> &mut Lane {
        if let Form::Short(chain) = &mut self.0 {
            let mut lane = Lane::default();
            for entry in chain.take_all(cells) {
                lane.put(entry);
            }
            self.0 = Form::Long(Box::new(lane));
        }
        match &mut self.0 {
            Form::Long(lane) => lane,
            Form::Short(_) => unreachable!("it has just been made long"),
        }
    }

    /// A separate lane is dropped when it is empty.
    fn shorten(&mut self) {
        if self.is_empty() {
            self.0 = Form::default();
        }
    }
}

/// Entries in cells. There may be millions of these structs, so every byte counts.
#[derive(Clone, Debug)]
struct Chain {
    /// The values relative to which the first entry is encoded.
    basis: Basis,
    /// The values relative to which the next entry is encoded; two of its numbers are stored relative to the
    /// first entry's.
    tail_end: Place,
    tail_seq: u32,
    tail_sent: u32,
    /// The assumed length of most messages: that of the first one.
    usual: u32,
    /// The first and the last cell, if there are entries.
    first: u32,
    last: u32,
    /// The offset of the first entry in the first cell.
    read: u8,
    /// One more than the end of the last entry in the last cell. (It is never zero, so the compiler can use
    /// zero for a long lane.)
    end: NonZeroU8,
    count: u8,
}

impl Default for Chain {
    fn default() -> Self {
        Chain {
            basis: Basis::default(),
            tail_end: Place::default(),
            tail_seq: 0,
            tail_sent: 0,
            usual: 0,
            first: 0,
            last: 0,
            read: 0,
            end: NonZeroU8::MIN,
            count: 0,
        }
    }
}

impl Chain {
    fn tail(&self) -> Basis {
        let Basis { seq, sent, .. } = self.basis;
        Basis {
            seq: seq.wrapping_add(u64::from(self.tail_seq.wrapping_sub(seq as u32))),
            end: self.tail_end,
            sent: sent.wrapping_add_signed(i64::from(self.tail_sent.wrapping_sub(sent as u32) as i32)),
        }
    }

    /// Appends an entry. Returns `false` if there is no room, or it is too far from the first entry.
    fn push(&mut self, entry: Entry, cells: &mut Cells) -> bool {
        if self.count == 0 {
            let cell = cells.0.insert(Cell::default());
            *self = Chain {
                basis: Basis::of(&entry),
                usual: entry.extent.len,
                first: cell,
                last: cell,
                ..Chain::default()
            };
            self.set_tail(self.basis);
        }
        let tail = self.tail();
        let after = Basis::after(&entry);
        self.set_tail(after);
        if usize::from(self.count) == MOST || self.tail() != after {
            self.set_tail(tail);
            return false;
        }
        self.append(tail.write(&entry, self.usual).bytes(), cells);
        self.count += 1;
        true
    }

    fn set_tail(&mut self, tail: Basis) {
        self.tail_end = tail.end;
        self.tail_seq = tail.seq as u32;
        self.tail_sent = tail.sent as u32;
    }

    fn append(&mut self, mut bytes: &[u8], cells: &mut Cells) {
        let mut end = usize::from(self.end.get() - 1);
        while !bytes.is_empty() {
            if end == CELL {
                let next = cells.0.insert(Cell::default());
                if let Some(last) = cells.0.get_mut(self.last) {
                    last.next = next;
                }
                (self.last, end) = (next, 0);
            }
            let (now, later) = bytes.split_at(bytes.len().min(CELL - end));
            if let Some(last) = cells.0.get_mut(self.last) {
                last.bytes[end..end + now.len()].copy_from_slice(now);
            }
            (bytes, end) = (later, end + now.len());
        }
        self.end = NonZeroU8::MIN.saturating_add(end as u8);
    }

    fn entries<'a>(&self, cells: &'a Cells) -> Entries<'a> {
        Entries {
            bytes: Bytes { cells, cell: self.first, at: self.read },
            basis: self.basis,
            usual: self.usual,
            left: self.count,
        }
    }

    fn pop(&mut self, cells: &mut Cells) -> Option<Entry> {
        let mut entries = self.entries(cells);
        let entry = entries.next()?;
        let Bytes { cell, at, .. } = entries.bytes;
        self.basis = Basis::after(&entry);
        self.count -= 1;
        while self.first != cell {
            self.first = cells.0.remove(self.first).next;
        }
        self.read = at;
        if self.count == 0 {
            cells.0.remove(self.first);
            *self = Chain::default();
        }
        Some(entry)
    }

    fn take_all(&mut self, cells: &mut Cells) -> Vec<Entry> {
        std::iter::from_fn(|| self.pop(cells)).collect()
    }
}

/// Reads the bytes of a chain, to its end and beyond.
struct Bytes<'a> {
    cells: &'a Cells,
    cell: u32,
    at: u8,
}

impl Iterator for Bytes<'_> {
    type Item = u8;

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let mut cell = self.cells.0.get(self.cell)?;
        if usize::from(self.at) == CELL {
            (self.cell, self.at) = (cell.next, 0);
            cell = self.cells.0.get(self.cell)?;
        }
        self.at += 1;
        Some(cell.bytes[usize::from(self.at) - 1])
    }
}

struct Entries<'a> {
    bytes: Bytes<'a>,
    basis: Basis,
    usual: u32,
    left: u8,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    #[inline]
    fn next(&mut self) -> Option<Entry> {
        self.left = self.left.checked_sub(1)?;
        let entry = self.basis.read(&mut self.bytes, self.usual)?;
        self.basis = Basis::after(&entry);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kernel::{Extent, Time};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lane_takes_fifty_six_bytes_besides_its_cells() {
        assert_eq!((size_of::<ShortLane>(), size_of::<Cell>()), (56, 32));
    }

    #[test]
    fn ten_messages_of_one_group_among_a_million_need_four_cells() {
        let (mut lane, mut cells) = (ShortLane::default(), Cells::default());
        for round in 0..10 {
            let place = Place::new(7 + 6 * round as u32, 60_000_000 + 700_000 * round as u32);
            lane.put(
                Entry {
                    seq: Seq(round * 1_000_000 + 500),
                    extent: Extent { place, len: 392 },
                    sent: Time(1_700_000_000_000 + round * 4400),
                    tag: 0,
                },
                &mut cells,
            );
        }
        assert_eq!(cells.0.len(), 4);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u64, u64),
        Pop,
        Remove(u64),
    }

    fn entry(seq: u64, at: u64) -> Entry {
        Entry {
            seq: Seq(seq),
            extent: Extent { place: Place::from_bits(1 << 32 | at), len: 300 + seq.is_multiple_of(3) as u32 },
            // Sometimes too far apart for a short lane.
            sent: Time(1_000_000_000_000 + seq + ((at.is_multiple_of(50) as u64) << 33)),
            tag: seq.is_multiple_of(5) as u32 * 7,
        }
    }

    #[test]
    fn a_lane_that_becomes_long_leaves_its_cells_and_comes_back_when_it_is_empty() {
        let (mut lane, mut cells) = (ShortLane::default(), Cells::default());
        let entries: Vec<Entry> = (0..200).map(|seq| entry(seq, 1 + 340 * seq)).collect();
        for &entry in &entries {
            lane.put(entry, &mut cells);
        }
        assert!(cells.0.is_empty() && matches!(lane.0, Form::Long(_)));
        assert!(lane.iter(&cells).eq(entries.iter().copied()));
        assert!(entries.iter().all(|&entry| lane.pop_front(&mut cells) == Some(entry)));
        assert!(matches!(lane.0, Form::Short(_)));
    }

    proptest! {
        #[test]
        fn lanes_that_share_cells_are_sorted_maps(steps in proptest::collection::vec(
            (0usize..3, prop_oneof![
                5 => (0u64..300, 0u64..1 << 50).prop_map(|(seq, at)| Step::Put(seq, at)),
                3 => Just(Step::Pop),
                1 => (0u64..300).prop_map(Step::Remove),
            ]), 0..400)
        ) {
            let mut cells = Cells::default();
            let mut lanes = [(); 3].map(|()| (ShortLane::default(), BTreeMap::new()));
            for (which, step) in steps {
                let (lane, model) = &mut lanes[which];
                match step {
                    Step::Put(seq, at) => {
                        let entry = entry(seq, at);
                        prop_assert_eq!(lane.put(entry, &mut cells), model.insert(seq, entry));
                    }
                    Step::Pop => {
                        let first = model.pop_first().map(|(_, entry)| entry);
                        prop_assert_eq!(lane.pop_front(&mut cells), first);
                    }
                    Step::Remove(seq) => prop_assert_eq!(lane.remove(Seq(seq), &mut cells), model.remove(&seq)),
                }
                prop_assert_eq!(lane.is_empty(), model.is_empty());
                prop_assert_eq!(lane.front(&cells), model.values().next().copied());
                prop_assert_eq!(lane.last(), model.keys().next_back().map(|&seq| Seq(seq)));
            }
            for (lane, model) in &mut lanes {
                for seq in (0..300).step_by(13) {
                    prop_assert_eq!(lane.get(Seq(seq), &cells), model.get(&seq).copied());
                }
                prop_assert_eq!(lane.iter(&cells).collect::<Vec<_>>(), model.values().copied().collect::<Vec<_>>());
                while lane.pop_front(&mut cells).is_some() {}
            }
            prop_assert!(cells.0.is_empty(), "no cell is left behind");
        }
    }
}
