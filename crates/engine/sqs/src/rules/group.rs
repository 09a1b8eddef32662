//! The messages of one message group, and all groups of a queue.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

use kernel::Time;

use crate::Seq;
use collections::index::Index;
use collections::lane::Lane;

/// The messages of a queue that share a `MessageGroupId`, or (on a standard queue) that have none. There may be
/// millions, so every byte counts.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id; `None` for the messages without one.
    pub name: Option<Box<str>>,
    /// Those that were never received.
    pub lane: Lane,
    /// Those that were received or moved in, are still there, and are next in some order. FIFO: all of them, by number
    /// alone (the time is zero). Standard: those that can be received again, by the moment since when they can.
    pub returned: Option<Box<BTreeSet<(Time, Seq)>>>,
    /// How many are in flight.
    pub in_flight: u32,
    /// How many wait in the queue's delay lanes.
    pub delayed: u32,
    /// When it last got a message, in seconds.
    last_sent: u32,
    /// Under what the queue lists it as having something to give; its burden is [`UNLISTED`] if it has nothing.
    burden: u32,
    order: u64,
}

/// No group has so many in flight.
const UNLISTED: u32 = u32::MAX;

/// A group's place among the groups that have something to give.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(Rust, packed(4))] // There may be millions: sixteen bytes instead of twenty-four.
pub struct Turn {
    /// Quiet groups come first: zero. Noisy ones by how many they have in flight, plus one.
    pub burden: u32,
    /// The oldest first: FIFO by sequence number, standard by the moment since when it can be received.
    pub order: u64,
    /// The group's number.
    pub group: u32,
}

impl Group {
    fn new(name: Option<Box<str>>) -> Self {
        Group {
            name,
            lane: Lane::default(),
            returned: None,
            in_flight: 0,
            delayed: 0,
            last_sent: 0,
            burden: UNLISTED,
            order: 0,
        }
    }

    /// Whether nothing of it is left.
    pub fn is_empty(&self) -> bool {
        self.lane.is_empty() && self.returned.is_none() && self.in_flight == 0 && self.delayed == 0
    }

    /// It got a message.
    pub fn sent(&mut self, at: Time) {
        self.last_sent = self.last_sent.max((at.0 / 1000) as u32);
    }

    /// Whether it got a message in the last `seconds`.
    pub fn sent_within(&self, seconds: u32, now: Time) -> bool {
        now.0 / 1000 <= u64::from(self.last_sent) + u64::from(seconds)
    }

    /// Its turn, if it has something to give. `number` is its own.
    pub fn turn(&self, number: u32) -> Option<Turn> {
        (self.burden != UNLISTED).then_some(Turn { burden: self.burden, order: self.order, group: number })
    }

    /// Standard: whether it takes more than its share (fair queues). A group that has nothing to give does not.
    pub fn is_noisy(&self) -> bool {
        self.burden != UNLISTED && self.burden > 0
    }

    /// Sets its turn.
    pub fn set_turn(&mut self, turn: Option<Turn>) {
        (self.burden, self.order) = turn.map_or((UNLISTED, 0), |turn| (turn.burden, turn.order));
    }

    /// Adds to the returned ones, a set that is only there when it is needed.
    pub fn add_returned(&mut self, since: Time, seq: Seq) {
        self.returned.get_or_insert_default().insert((since, seq));
    }

    /// Takes from the returned ones.
    pub fn take_returned(&mut self, since: Time, seq: Seq) {
        if let Some(returned) = &mut self.returned {
            returned.remove(&(since, seq));
            if returned.is_empty() {
                self.returned = None;
            }
        }
    }

    /// The first of the returned ones.
    pub fn first_returned(&self) -> Option<(Time, Seq)> {
        self.returned.as_ref()?.first().copied()
    }
}

/// The groups of a queue, numbered; a number is used again when its group is gone.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// In blocks, all but the last full, so that growing copies little.
    blocks: Vec<Vec<Option<Group>>>,
    free: Vec<u32>,
    index: Option<Box<Index>>,
    seed: u64,
}

const BLOCK: usize = 512;

/// The number of the messages without a group.
pub const LOOSE: u32 = 0;

impl Groups {
    /// No groups but the one of messages without a group. `seed` keeps others from choosing ids that collide.
    pub fn new(seed: u64) -> Self {
        Groups { blocks: vec![vec![Some(Group::new(None))]], free: Vec::new(), index: None, seed }
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    /// The group of this id, if it has messages; [`LOOSE`] for none.
    pub fn find(&self, name: Option<&str>) -> Option<u32> {
        let Some(name) = name else { return Some(LOOSE) };
        self.find_hashed(name, self.hash(name))
    }

    fn find_hashed(&self, name: &str, hash: u64) -> Option<u32> {
        let is = |number: u32| self.get(number).is_some_and(|group| group.name.as_deref() == Some(name));
        self.index.as_ref()?.find(hash, is)
    }

    /// The group of this id, made if it is not there.
    pub fn find_or_add(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return LOOSE };
        let hash = self.hash(name);
        if let Some(number) = self.find_hashed(name, hash) {
            return number;
        }
        let group = Some(Group::new(Some(name.into())));
        let number = match self.free.pop() {
            Some(number) => {
                self.blocks[number as usize / BLOCK][number as usize % BLOCK] = group;
                number
            }
            None => self.push(group),
        };
        let mut index = self.index.take().unwrap_or_default();
        index.insert(hash, number, |number| {
            self.get(number).and_then(|group| group.name.as_deref()).map_or(0, |name| self.hash(name))
        });
        self.index = Some(index);
        number
    }

    fn push(&mut self, group: Option<Group>) -> u32 {
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::new());
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(group);
        }
        self.slots() as u32 - 1
    }

    fn slots(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len())
    }

    /// Forgets a group that has become empty.
    pub fn remove_if_empty(&mut self, number: u32) {
        if number == LOOSE || !self.get(number).is_some_and(Group::is_empty) {
            return;
        }
        if let Some(group) = self.blocks[number as usize / BLOCK][number as usize % BLOCK].take() {
            self.free.push(number);
            let hash = self.hash(group.name.as_deref().unwrap_or_default());
            if let Some(index) = &mut self.index {
                index.remove(hash, number);
            }
            if self.free.len() + 1 == self.slots() {
                // Only the group without a name is left: give the memory back.
                self.blocks.truncate(1);
                self.blocks.shrink_to_fit();
                self.blocks[0].truncate(1);
                self.blocks[0].shrink_to_fit();
                self.free = Vec::new();
                self.index = None;
            }
        }
    }

    /// The group with this number.
    pub fn get(&self, number: u32) -> Option<&Group> {
        self.blocks.get(number as usize / BLOCK)?.get(number as usize % BLOCK)?.as_ref()
    }

    /// The group with this number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.blocks.get_mut(number as usize / BLOCK)?.get_mut(number as usize % BLOCK)?.as_mut()
    }

    /// All groups, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        let slots = self.blocks.iter().flatten();
        slots.enumerate().filter_map(|(number, group)| Some((number as u32, group.as_ref()?)))
    }

    /// Takes groups off the end until `most` messages or so have been taken; empty when nothing is left.
    pub fn dismantle(&mut self, most: usize, mut each: impl FnMut(collections::lane::Entry)) -> bool {
        let mut taken = 0;
        while let Some(block) = self.blocks.last_mut() {
            while let Some(group) = block.last_mut() {
                if let Some(group) = group {
                    while let Some(entry) = group.lane.pop_front() {
                        each(entry);
                        taken += 1;
                        if taken >= most {
                            return false;
                        }
                    }
                }
                block.pop();
                taken += 1;
                if taken >= most {
                    return false;
                }
            }
            self.blocks.pop();
        }
        true
    }
}
