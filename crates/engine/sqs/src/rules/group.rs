//! The messages of one message group, and all groups of a queue.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

use kernel::{Secret, Seq, Time};

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
    /// Under what the queue lists it as having something to give; `upper` is [`UNLISTED`] if it has nothing.
    upper: u32,
    lower: u64,
}

/// What of a group does not simply wait. Few groups at a time have any.
#[derive(Clone, Debug, Default)]
struct Moving {
    /// Messages that were received or moved in, in the order in which they are given. FIFO: all of them, by number
    /// alone. Standard: those that can be received again, by the moment since when they can.
    returned: BTreeSet<Returned>,
    /// How many are in flight.
    in_flight: u32,
    /// How many wait in the queue's delay lanes.
    delayed: u32,
}

/// No turn has it: no group has so many in flight, and no moment is so late.
const UNLISTED: u32 = u32::MAX;

/// A returned message's place in its group: since when it can be received, how it came back, its number.
/// FIFO: the number alone; the others are zero.
pub type Returned = (Time, u32, Seq);

/// How a message came back: it did not, since it was never received (here).
pub const NEVER: u32 = 0;
/// How a message came back: its visibility timeout ended. Any other number: a client gave it back, and this is how many such
/// there had been in the queue.
pub const BY_ITSELF: u32 = 1;

/// A group's place among the groups that have something to give: the lowest is given first.
///
/// Standard: quiet groups first, then noisy ones by how many messages they have in flight; among equals the one that has waited
/// longest. FIFO: the one that has waited longest.
///
/// A group waits since its oldest message was sent, or since that message came back: so a group whose message comes back goes
/// behind all that wait already, and no group waits for ever. In one millisecond, what was never received comes before what came
/// back by itself, each by number, and both before what clients gave back, in the order in which they did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(Rust, packed(4))] // There may be millions: sixteen bytes instead of twenty-four.
pub struct Turn {
    /// Standard: the burden. FIFO: the upper bits of the moment.
    upper: u32,
    /// The moment (FIFO: its lower bits), and what tells apart groups that wait since the same moment.
    lower: u64,
    /// The group's number.
    pub group: u32,
}

/// Bits of a moment.
const MOMENT_BITS: u32 = 43;
/// Of these, a FIFO queue's `lower` has so many.
const FIFO_MOMENT_BITS: u32 = 11;
/// Later moments count as this one; it is in the year 2248.
const LATEST: u64 = (1 << MOMENT_BITS) - 1 - (1 << FIFO_MOMENT_BITS);
/// What tells apart groups of a standard queue that wait since the same moment.
const STANDARD_TIE_BITS: u32 = 64 - MOMENT_BITS;
/// And those of a FIFO queue.
const FIFO_TIE_BITS: u32 = 64 - FIFO_MOMENT_BITS;

/// Two bits for how a message came back, then what is left of its number, or of how many came back before.
fn tie(returned: u32, seq: Seq, bits: u32) -> u64 {
    let number = if returned <= BY_ITSELF { seq.0 } else { returned.into() };
    u64::from(returned.min(BY_ITSELF + 1)) << (bits - 2) | number & ((1 << (bits - 2)) - 1)
}

impl Turn {
    /// On a standard queue, of a group whose first message is `seq`. `burden`: zero for a quiet group, for a noisy one how many it
    /// has in flight, plus one. `returned`: how the message came back.
    pub fn standard(burden: u32, (since, returned, seq): Returned, group: u32) -> Self {
        let tie = tie(returned, seq, STANDARD_TIE_BITS);
        Turn { upper: burden.min(UNLISTED - 1), lower: since.0.min(LATEST) << STANDARD_TIE_BITS | tie, group }
    }

    /// On a FIFO queue, of a group whose first message is `seq`. `returned`: how the message came back.
    pub fn fifo((since, returned, seq): Returned, group: u32) -> Self {
        let since = since.0.min(LATEST);
        let tie = tie(returned, seq, FIFO_TIE_BITS);
        Turn { upper: (since >> FIFO_MOMENT_BITS) as u32, lower: since << FIFO_TIE_BITS | tie, group }
    }

    /// Standard: how much the group burdens the queue.
    pub fn burden(&self) -> u32 {
        self.upper
    }

    /// Since when the group has waited.
    pub fn since(&self, fifo: bool) -> Time {
        Time(match fifo {
            true => u64::from(self.upper) << FIFO_MOMENT_BITS | self.lower >> FIFO_TIE_BITS,
            false => self.lower >> STANDARD_TIE_BITS,
        })
    }
}

impl Group {
    fn new(name: Option<&str>) -> Self {
        Group {
            name: name.map(Name::new),
            lane: ShortLane::default(),
            moving: None,
            last_sent: 0,
            upper: UNLISTED,
            lower: 0,
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
        (self.upper != UNLISTED).then_some(Turn { upper: self.upper, lower: self.lower, group: number })
    }

    /// Standard: whether it takes more than its share (fair queues). A group that has nothing to give does not.
    pub fn is_noisy(&self) -> bool {
        self.upper != UNLISTED && self.upper > 0
    }

    /// Sets its turn.
    pub fn set_turn(&mut self, turn: Option<Turn>) {
        (self.upper, self.lower) = turn.map_or((UNLISTED, 0), |turn| (turn.upper, turn.lower));
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
    pub fn add_returned(&mut self, returned: Returned) {
        self.change(|moving| {
            moving.returned.insert(returned);
        });
    }

    /// Takes from the returned ones.
    pub fn take_returned(&mut self, returned: Returned) {
        self.change(|moving| {
            moving.returned.remove(&returned);
        });
    }

    /// Messages that were received or moved in, in the order in which they are given. FIFO: all of them, by number
    /// alone. Standard: those that can be received again, by the moment since when they can.
    pub fn returned(&self) -> impl Iterator<Item = Returned> {
        self.moving.iter().flat_map(|moving| moving.returned.iter().copied())
    }

    /// The first of the returned ones.
    pub fn first_returned(&self) -> Option<Returned> {
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

/// What keeps clients from choosing ids that collide, and is the same after a restart.
pub fn seed_of(secret: &Secret) -> u64 {
    let mut seed = [0; 8];
    seed.copy_from_slice(&secret.0[..8]);
    u64::from_le_bytes(seed)
}

/// The hash of a group's id. Receipt handles have it in them: it must be the same in the next version.
pub fn hash(seed: u64, name: &[u8]) -> u32 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    hasher.write(name);
    hasher.finish() as u32
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

    /// The seed is known only now, or is another one. The cleaner may have written the server's identity again, behind the
    /// declarations of queues, so that a start meets these first.
    pub fn reseed(&mut self, seed: u64) {
        if self.seed == seed {
            return;
        }
        self.seed = seed;
        let mut index = Index::<u32>::default();
        for (number, group) in self.iter() {
            if let Some(name) = &group.name {
                index.insert(hash(seed, name.as_bytes()), number);
            }
        }
        self.index = index;
    }

    fn hash(&self, name: &[u8]) -> u32 {
        hash(self.seed, name)
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

    /// The group with this hash that is the one.
    pub fn find_by_hash(&self, hash: u32, is: impl Fn(&Group) -> bool) -> Option<u32> {
        self.index.find(hash, |number| self.get(number).is_some_and(&is))
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
            black_box((group.name.is_some(), group.is_empty(), group.lower));
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

    /// All groups' numbers are less than this.
    pub fn numbers(&self) -> u32 {
        self.slab.end()
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_780_000_000_123);

    #[test]
    fn a_group_has_the_same_hash_in_every_version() {
        // The standard library does not promise which hash its default is. If this fails, that one is to be written out here.
        assert_eq!(hash(0x0123_4567_89ab_cdef, b"customer-17"), 1_400_366_694);
    }

    #[test]
    fn a_turn_is_by_moment_then_by_what_was_sent_then_by_what_came_back() {
        for fifo in [true, false] {
            let turn = |since: Time, returned: u32, seq: u64| match fifo {
                true => Turn::fifo((since, returned, Seq(seq)), 1),
                false => Turn::standard(0, (since, returned, Seq(seq)), 1),
            };
            let (before, later) = (Time(NOW.0 - 1), NOW + 1);
            assert!(turn(before, 9, 9) < turn(NOW, NEVER, 1), "{fifo}");
            assert!(turn(NOW, NEVER, 1) < turn(NOW, NEVER, 2), "{fifo}");
            assert!(turn(NOW, NEVER, u64::MAX) < turn(NOW, BY_ITSELF, 1), "{fifo}");
            assert!(turn(NOW, BY_ITSELF, 1) < turn(NOW, BY_ITSELF, 2), "{fifo}");
            assert!(turn(NOW, BY_ITSELF, u64::MAX) < turn(NOW, 2, 1), "{fifo}");
            assert!(turn(NOW, 2, 9) < turn(NOW, 3, 1), "{fifo}");
            assert!(turn(NOW, 3, 1) < turn(later, NEVER, 1), "{fifo}");
            for since in [Time(0), before, NOW, Time(LATEST)] {
                assert_eq!(turn(since, 7, 3).since(fifo), since);
            }
        }
        let first = |burden: u32, since: Time| Turn::standard(burden, (since, NEVER, Seq(1)), 1);
        assert!(first(0, NOW) < first(1, Time(0)));
    }

    #[test]
    fn no_moment_makes_a_group_that_is_listed_seem_not_to_be() {
        let latest = (Time(u64::MAX), u32::MAX, Seq(u64::MAX));
        for turn in [Turn::fifo(latest, 1), Turn::standard(u32::MAX, latest, 1)] {
            let mut group = Group::new(None);
            group.set_turn(Some(turn));
            assert_eq!(group.turn(1), Some(turn));
        }
    }
}
