//! The messages of one message group, and all groups of a queue.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

use kernel::{Seq, Time};

use collections::{Cells, Entry, Index, ShortLane, Slab};

/// The messages of a queue that share a `MessageGroupId`, or (on a standard queue) that have none. There may be
/// millions, so every byte counts.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id; `None` for the messages without one.
    name: Option<Name>,
    /// Those that were never received.
    pub lane: ShortLane,
    /// What does not simply wait, if there is any.
    moving: Option<Box<Moving>>,
    /// When it last got a message, in seconds.
    last_sent: u32,
    /// Under what the queue lists it as having something to give; its burden is [`UNLISTED`] if it has nothing.
    burden: u32,
    order: u64,
}

/// What of a group does not simply wait. Few groups at a time have any.
#[derive(Clone, Debug, Default)]
struct Moving {
    /// Those that were received or moved in, are still there, and are next in some order. FIFO: all of them, by number
    /// alone (the time is zero). Standard: those that can be received again, by the moment since when they can.
    returned: BTreeSet<(Time, Seq)>,
    /// How many are in flight.
    in_flight: u32,
    /// How many wait in the queue's delay lanes.
    delayed: u32,
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
    fn new(name: Option<&str>) -> Self {
        Group {
            name: name.map(Name::new),
            lane: ShortLane::default(),
            moving: None,
            last_sent: 0,
            burden: UNLISTED,
            order: 0,
        }
    }

    /// Its id; `None` for the messages without one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(Name::as_str)
    }

    /// Whether nothing of it is left.
    pub fn is_empty(&self) -> bool {
        self.lane.is_empty() && self.moving.is_none()
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

    /// How many are in flight.
    pub fn in_flight(&self) -> u32 {
        self.moving.as_ref().map_or(0, |moving| moving.in_flight)
    }

    /// One more is in flight.
    pub fn flight_begins(&mut self) {
        self.change(|moving| moving.in_flight += 1);
    }

    /// One is in flight no longer.
    pub fn flight_ends(&mut self) {
        self.change(|moving| moving.in_flight -= 1);
    }

    /// One more waits in the queue's delay lanes.
    pub fn delay_begins(&mut self) {
        self.change(|moving| moving.delayed += 1);
    }

    /// One waits there no longer.
    pub fn delay_ends(&mut self) {
        self.change(|moving| moving.delayed -= 1);
    }

    /// Adds to the returned ones.
    pub fn add_returned(&mut self, since: Time, seq: Seq) {
        self.change(|moving| {
            moving.returned.insert((since, seq));
        });
    }

    /// Takes from the returned ones.
    pub fn take_returned(&mut self, since: Time, seq: Seq) {
        self.change(|moving| {
            moving.returned.remove(&(since, seq));
        });
    }

    /// Those that were received or moved in, are still there, and are next in some order. FIFO: all of them, by number
    /// alone (the time is zero). Standard: those that can be received again, by the moment since when they can.
    pub fn returned(&self) -> impl Iterator<Item = (Time, Seq)> {
        self.moving.iter().flat_map(|moving| moving.returned.iter().copied())
    }

    /// The first of the returned ones.
    pub fn first_returned(&self) -> Option<(Time, Seq)> {
        self.moving.as_ref()?.returned.first().copied()
    }

    fn change(&mut self, change: impl FnOnce(&mut Moving)) {
        let moving = self.moving.get_or_insert_default();
        change(moving);
        if moving.in_flight == 0 && moving.delayed == 0 && moving.returned.is_empty() {
            self.moving = None;
        }
    }
}

/// A group's id: with the group if it is short, so that to find a group by its id is to look in one place.
#[derive(Clone, Debug)]
enum Name {
    Short(u8, [u8; 22]),
    Long(Box<str>),
}

impl Name {
    fn new(name: &str) -> Self {
        let mut bytes = [0; 22];
        match bytes.get_mut(..name.len()) {
            Some(start) => {
                start.copy_from_slice(name.as_bytes());
                Name::Short(name.len() as u8, bytes)
            }
            None => Name::Long(name.into()),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Short(len, bytes) => &bytes[..usize::from(*len)],
            Name::Long(name) => name.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        // It was made of text.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// The groups of a queue, numbered; a number is used again when its group is gone.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    slab: Slab<Option<Group>>,
    /// What the groups' lanes are made of.
    cells: Cells,
    index: Index<u32>,
    seed: u64,
    /// The one that is being dismantled.
    last: Option<Group>,
}

/// The number of the messages without a group.
pub const LOOSE: u32 = 0;

impl Groups {
    /// No groups but the one of messages without a group. `seed` keeps others from choosing ids that collide.
    pub fn new(seed: u64) -> Self {
        let mut slab = Slab::default();
        // The first number is zero.
        slab.insert(Some(Group::new(None)));
        Groups { slab, seed, ..Groups::default() }
    }

    fn hash(&self, name: &[u8]) -> u32 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        hasher.write(name);
        hasher.finish() as u32
    }

    /// The group of this id, if it has messages; [`LOOSE`] for none.
    pub fn find(&self, name: Option<&str>) -> Option<u32> {
        let Some(name) = name else { return Some(LOOSE) };
        self.find_hashed(name.as_bytes(), self.hash(name.as_bytes()))
    }

    fn find_hashed(&self, name: &[u8], hash: u32) -> Option<u32> {
        let name_of = |number: u32| Some(self.get(number)?.name.as_ref()?.as_bytes());
        self.index.find(hash, |number| name_of(number) == Some(name))
    }

    /// The group of this id, made if it is not there.
    pub fn find_or_add(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return LOOSE };
        let hash = self.hash(name.as_bytes());
        if let Some(number) = self.find_hashed(name.as_bytes(), hash) {
            return number;
        }
        let number = self.slab.insert(Some(Group::new(Some(name))));
        self.index.insert(hash, number);
        number
    }

    /// Looks at what it takes to put a message into each of these groups, all at once, so that it is at hand when that is done.
    pub fn look_ahead<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let hashes: Vec<u32> = names.map(|name| self.hash(name.as_bytes())).collect();
        for &hash in &hashes {
            self.index.look_ahead(hash);
        }
        // Two ids may share a hash; then it is the wrong group that is looked at, and nothing is lost but time.
        let numbers: Vec<u32> = hashes.iter().filter_map(|&hash| self.index.find(hash, |_| true)).collect();
        let groups = || numbers.iter().filter_map(|&number| self.get(number));
        for group in groups() {
            black_box((group.name.is_some(), group.is_empty(), group.order));
        }
        for group in groups() {
            group.lane.look_ahead(&self.cells);
        }
    }

    /// Forgets a group that has become empty.
    pub fn remove_if_empty(&mut self, number: u32) {
        if number == LOOSE || !self.get(number).is_some_and(Group::is_empty) {
            return;
        }
        if let Some(Group { name: Some(name), .. }) = self.slab.remove(number) {
            self.index.remove(self.hash(name.as_bytes()), number);
        }
        if self.slab.len() == 1 {
            // Only the group without a name is left: give the memory back.
            self.index = Index::default();
        }
    }

    /// The group with this number.
    pub fn get(&self, number: u32) -> Option<&Group> {
        self.slab.get(number)?.as_ref()
    }

    /// The group with this number.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Group> {
        self.slab.get_mut(number)?.as_mut()
    }

    /// What the groups' lanes are made of.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The group with this number, and what its lane is made of.
    pub fn get_mut_with_cells(&mut self, number: u32) -> Option<(&mut Group, &mut Cells)> {
        Some((self.slab.get_mut(number)?.as_mut()?, &mut self.cells))
    }

    /// All groups, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        self.slab.iter().filter_map(|(number, group)| Some((number, group.as_ref()?)))
    }

    /// Takes groups off the end until `most` messages or so have been taken; says whether nothing is left.
    pub fn dismantle(&mut self, most: usize, mut each: impl FnMut(Entry)) -> bool {
        for _ in 0..most {
            if let Some(group) = &mut self.last {
                match group.lane.pop_front(&mut self.cells) {
                    Some(entry) => each(entry),
                    None => self.last = None,
                }
            } else {
                match self.slab.take_down() {
                    Some(group) => self.last = group,
                    None => return true,
                }
            }
        }
        false
    }
}
