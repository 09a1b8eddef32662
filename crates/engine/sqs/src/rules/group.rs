//! The messages of one message group, and all groups of a queue.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};

use kernel::Time;

use crate::Seq;
use crate::rules::index::Index;
use crate::rules::lane::Lane;

/// The messages of a queue that share a `MessageGroupId`, or (on a standard queue) that have none.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id; `None` for the messages without one.
    pub name: Option<Box<str>>,
    /// Those that were never received.
    pub lane: Lane,
    /// FIFO: the numbers of those that were received or moved in and are still there.
    pub members: Option<Box<BTreeSet<Seq>>>,
    /// Standard: those that can be received again, by the moment since when they can.
    pub returned: Option<Box<BTreeSet<(Time, Seq)>>>,
    /// How many are in flight.
    pub in_flight: u32,
    /// How many wait in the queue's delay lanes.
    pub delayed: u32,
    /// Standard: it takes more than its share (fair queues).
    pub noisy: bool,
    /// When it last got a message.
    pub last_sent: Time,
    /// Under what the queue lists it as having something to give.
    pub listed: Option<Listed>,
}

/// A group's place among the groups that have something to give.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Listed {
    /// Quiet groups come first: zero. Noisy ones by how many they have in flight, plus one.
    pub burden: u32,
    /// The oldest first: FIFO by sequence number, standard by the moment since when it can be received.
    pub order: u64,
}

impl Group {
    fn new(name: Option<Box<str>>) -> Self {
        Group {
            name,
            lane: Lane::default(),
            members: None,
            returned: None,
            in_flight: 0,
            delayed: 0,
            noisy: false,
            last_sent: Time(0),
            listed: None,
        }
    }

    /// Whether nothing of it is left.
    pub fn is_empty(&self) -> bool {
        self.lane.is_empty()
            && self.members.is_none()
            && self.returned.is_none()
            && self.in_flight == 0
            && self.delayed == 0
    }
}

/// Adds to a set that is only there when it is needed.
pub fn add<T: Ord>(set: &mut Option<Box<BTreeSet<T>>>, item: T) {
    set.get_or_insert_default().insert(item);
}

/// Takes from such a set.
pub fn take<T: Ord>(set: &mut Option<Box<BTreeSet<T>>>, item: &T) {
    if let Some(items) = set {
        items.remove(item);
        if items.is_empty() {
            *set = None;
        }
    }
}

/// The groups of a queue, numbered; a number is used again when its group is gone.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    slots: Vec<Option<Group>>,
    free: Vec<u32>,
    index: Option<Box<Index>>,
    seed: u64,
}

/// The number of the messages without a group.
pub const LOOSE: u32 = 0;

impl Groups {
    /// No groups but the one of messages without a group. `seed` keeps others from choosing ids that collide.
    pub fn new(seed: u64) -> Self {
        Groups { slots: vec![Some(Group::new(None))], free: Vec::new(), index: None, seed }
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
        let is = |number: u32| self.get(number).is_some_and(|group| group.name.as_deref() == Some(name));
        self.index.as_ref()?.find(self.hash(name), is)
    }

    /// The group of this id, made if it is not there.
    pub fn find_or_add(&mut self, name: Option<&str>) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        // `find` always finds the group without a name.
        let name = name.unwrap_or_default();
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        });
        self.slots[number as usize] = Some(Group::new(Some(name.into())));
        let hash = self.hash(name);
        let mut index = self.index.take().unwrap_or_default();
        index.insert(hash, number, |number| {
            self.get(number).and_then(|group| group.name.as_deref()).map_or(0, |name| self.hash(name))
        });
        self.index = Some(index);
        number
    }

    /// Forgets a group that has become empty.
    pub fn remove_if_empty(&mut self, number: u32) {
        if number == LOOSE || !self.get(number).is_some_and(Group::is_empty) {
            return;
        }
        if let Some(group) = self.slots[number as usize].take() {
            self.free.push(number);
            let hash = self.hash(group.name.as_deref().unwrap_or_default());
            if let Some(index) = &mut self.index {
                index.remove(hash, number);
            }
            if self.free.len() + 1 == self.slots.len() {
                // Only the group without a name is left: give the memory back.
                self.slots.truncate(1);
                self.slots.shrink_to_fit();
                self.free = Vec::new();
                self.index = None;
            }
        }
    }

    /// The group with this number.
    pub fn get(&self, number: u32) -> Option<&Group> {
        self.slots.get(number as usize)?.as_ref()
    }

    /// The group with this number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// All groups, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        self.slots.iter().enumerate().filter_map(|(number, group)| Some((number as u32, group.as_ref()?)))
    }

    /// Takes groups off the end until `most` messages or so have been taken; empty when nothing is left.
    pub fn dismantle(&mut self, most: usize, mut each: impl FnMut(crate::rules::lane::Entry)) -> bool {
        let mut taken = 0;
        while let Some(group) = self.slots.last_mut() {
            if let Some(group) = group {
                while let Some(entry) = group.lane.pop_front() {
                    each(entry);
                    taken += 1;
                    if taken >= most {
                        return false;
                    }
                }
            }
            self.slots.pop();
            taken += 1;
            if taken >= most {
                return false;
            }
        }
        true
    }
}
