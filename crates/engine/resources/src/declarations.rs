//! All resources of one kind: what the log declares of them, by key.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use kernel::codec::{Malformed, Reader, put_list, put_u64};
use kernel::{Extent, Ledger};

use crate::Standing;

/// What names a resource among those of its kind: by account, region and name, as a rule.
pub trait Key: Ord + Clone {
    /// Appends it to a record.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads what [`Key::encode`] wrote.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// The record that declares a resource: the whole of it, as it is from now on.
pub trait Declared: Clone {
    /// What names it.
    type Key: Key;

    /// Its number, never reused.
    fn id(&self) -> u64;

    /// What names it. Another resource may be called so once this one is gone.
    fn key(&self) -> &Self::Key;
}

/// All resources of one kind, with the places of their declarations.
#[derive(Clone, Debug)]
pub struct Declarations<T: Declared> {
    known: BTreeMap<T::Key, Known<T>>,
}

#[derive(Clone, Debug)]
struct Known<T> {
    declared: T,
    standing: Standing,
}

impl<T: Declared> Default for Declarations<T> {
    fn default() -> Self {
        Declarations { known: BTreeMap::new() }
    }
}

/// The record that a resource is gone. The kind of the record says of which kind the resource was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deleted<K> {
    /// Its number.
    pub id: u64,
    /// What named it.
    pub key: K,
    /// The segments that may still declare it.
    pub declared_in: Vec<u32>,
}

impl<K: Key> Deleted<K> {
    /// Appends it to a record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_u64(out, self.id);
        self.key.encode(out);
        put_list(out, &self.declared_in, |out, &segment| put_u64(out, segment.into()));
    }

    /// Reads what [`Deleted::encode`] wrote.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Deleted { id: reader.u64()?, key: K::decode(reader)?, declared_in: reader.list(Reader::u32)? })
    }

    /// The record as it is to be written before the segment at `at` goes: without the segments that need no tombstone. Nothing, if
    /// none does.
    pub fn again(&self, at: Extent, ledger: &Ledger) -> Option<Self> {
        let needs = |&segment: &u32| ledger.needs_tombstone(segment, at);
        let declared_in: Vec<u32> = self.declared_in.iter().copied().filter(needs).collect();
        (!declared_in.is_empty()).then(|| Deleted { declared_in, ..self.clone() })
    }
}

impl<T: Declared> Declarations<T> {
    /// The resource of this name.
    pub fn get(&self, key: &T::Key) -> Option<&T> {
        Some(&self.known.get(key)?.declared)
    }

    /// Whether there is one of this name.
    pub fn contains(&self, key: &T::Key) -> bool {
        self.known.contains_key(key)
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.known.values().map(|known| &known.declared)
    }

    /// Those whose keys lie in a range, by key.
    pub fn range(&self, keys: impl RangeBounds<T::Key>) -> impl DoubleEndedIterator<Item = &T> {
        self.known.range(keys).map(|(_, known)| &known.declared)
    }

    /// Applies a declaration. The one before of the same resource is returned.
    pub fn declare(&mut self, record: &T, at: Extent, ledger: &mut Ledger) -> Option<T> {
        let (standing, declared) = match self.known.remove(record.key()) {
            Some(old) if old.declared.id() == record.id() => (Some(old.standing), Some(old.declared)),
            // Another that was called so: its deletion was written again behind this.
            Some(old) => {
                old.standing.end(ledger);
                (None, Some(old.declared))
            }
            None => (None, None),
        };
        let standing = Standing::declared(at, standing, ledger);
        self.known.insert(record.key().clone(), Known { declared: record.clone(), standing });
        declared
    }

    /// Applies a deletion. What is gone is returned.
    pub fn delete(&mut self, record: &Deleted<T::Key>, at: Extent, ledger: &mut Ledger) -> Option<T> {
        record.declared_in.iter().for_each(|&segment| ledger.bury(at.place, segment));
        self.known.get(&record.key).filter(|known| known.declared.id() == record.id)?;
        let known = self.known.remove(&record.key)?;
        known.standing.end(ledger);
        Some(known.declared)
    }

    /// The fact that one is gone.
    pub fn deletion(&self, key: &T::Key) -> Option<Deleted<T::Key>> {
        let known = self.known.get(key)?;
        let declared_in = known.standing.declared_in().collect();
        Some(Deleted { id: known.declared.id(), key: key.clone(), declared_in })
    }

    /// The facts that all are gone.
    pub fn deletions(&self) -> impl Iterator<Item = Deleted<T::Key>> {
        self.known.keys().filter_map(|key| self.deletion(key))
    }

    /// The resource whose latest declaration is the record at `at`.
    pub fn declared_at(&self, key: &T::Key, at: Extent) -> Option<&T> {
        let known = self.known.get(key).filter(|known| known.standing.is_at(at));
        known.map(|known| &known.declared)
    }
}

#[cfg(test)]
mod tests {
    use kernel::Place;
    use kernel::codec::put_str;

    use super::*;

    #[derive(Clone, PartialEq, Debug)]
    struct Thing {
        id: u64,
        name: String,
    }

    impl Key for String {
        fn encode(&self, out: &mut Vec<u8>) {
            put_str(out, self);
        }

        fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
            Ok(reader.str()?.to_owned())
        }
    }

    impl Declared for Thing {
        type Key = String;

        fn id(&self) -> u64 {
            self.id
        }

        fn key(&self) -> &String {
            &self.name
        }
    }

    fn extent(segment: u32) -> Extent {
        Extent { place: Place::new(segment, 100), len: 10 }
    }

    #[test]
    fn a_deletion_that_is_written_again_does_not_touch_a_later_resource_of_the_same_name() {
        let mut ledger = Ledger::default();
        let mut things = Declarations::default();
        let thing = |id| Thing { id, name: "a".to_owned() };
        things.declare(&thing(1), extent(1), &mut ledger);
        let deleted = things.deletion(&"a".to_owned()).unwrap();
        assert_eq!(deleted.declared_in, [1]);
        assert_eq!(things.delete(&deleted, extent(2), &mut ledger), Some(thing(1)));
        things.declare(&thing(2), extent(3), &mut ledger);
        assert_eq!(things.delete(&deleted, extent(4), &mut ledger), None);
        assert_eq!(things.get(&"a".to_owned()), Some(&thing(2)));
        assert_eq!(things.declared_at(&"a".to_owned(), extent(3)), Some(&thing(2)));
        let held: Vec<u32> =
            ledger.segments().filter(|(_, used)| used.references > 0).map(|(segment, _)| segment).collect();
        assert_eq!(held, [3], "only the living declaration is held");
    }

    #[test]
    fn deletions_are_read_as_they_were_written() {
        let deleted = Deleted { id: 7, key: "a".to_owned(), declared_in: vec![1, 300] };
        let mut bytes = Vec::new();
        deleted.encode(&mut bytes);
        assert_eq!(Deleted::decode(&mut Reader::new(&bytes)), Ok(deleted));
    }
}
