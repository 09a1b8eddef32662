//! What becomes of one item: by an operation, by a part of a batch, by a part of a transaction, or by time.

use std::borrow::Cow;

use items::expression::Condition;
use items::update::Update;
use items::value::{ITEM_BYTES, Item, LEVELS, Value};
use kernel::Refusal;

use crate::TableKey;
use crate::capacity::{self, Units};
use crate::contents::{Contents, Held};
use crate::limits::EXPIRED;
use crate::operations::{Decision, Setting};
use crate::records::{ItemPut, ItemRemoved, Record, TableDeclared};
use crate::refusals::{self, invalid, of_fault, wrong};
use crate::rules::definition::{self, KeyFault};
use crate::state::State;

/// What is done with an item.
#[derive(Clone, Debug)]
pub enum What {
    /// It is put: all of its attributes.
    Put(Vec<u8>),
    /// It is changed: its key, and how. Without an update there is an item of this key afterwards.
    Update(Vec<u8>, Option<Box<Update>>),
    /// It is removed: its key.
    Delete(Vec<u8>),
    /// Only its condition is looked at: its key.
    Check(Vec<u8>),
}

/// A write of one item.
#[derive(Clone, Debug)]
pub struct Write {
    /// The table.
    pub table: TableKey,
    /// What is done.
    pub what: What,
    /// What must hold of the item.
    pub condition: Option<Condition>,
    /// Whether the item is shown if the condition does not hold.
    pub shows_unmet: bool,
}

/// Why a write is not made.
#[derive(Debug)]
pub enum Unmade {
    /// The whole request is refused, also one of several writes.
    Refused(Refusal),
    /// Its key is not one of the table's: a transaction is cancelled for it.
    Mismatch(Refusal),
    /// The item cannot be so: a transaction is cancelled for it.
    Unfit(Refusal),
    /// Its condition does not hold of this item.
    Unmet(Option<Held>),
}

impl Unmade {
    /// The refusal of a request with this write alone. `shows`: whether the item is shown.
    pub fn refusal(self, shows: bool) -> Refusal {
        match self {
            Unmade::Refused(refusal) | Unmade::Mismatch(refusal) | Unmade::Unfit(refusal) => refusal,
            Unmade::Unmet(held) => {
                let held = held.filter(|_| shows);
                refusals::unmet(held.map(|held| items::json::text_of_item(held.item())))
            }
        }
    }
}

/// Where a write is made.
#[derive(Clone, Debug)]
pub struct Target<'s> {
    /// The table.
    pub table: &'s TableDeclared,
    /// Its items.
    pub contents: &'s Contents,
    /// The item's key in bytes.
    pub key: Vec<u8>,
}

/// What a write makes of an item.
#[derive(Debug)]
pub struct Made<'a, 's> {
    /// Where.
    pub target: Target<'s>,
    /// The item until now.
    pub old: Option<Held>,
    /// Its attributes from now on; none: there is no item.
    pub new: Option<Cow<'a, [u8]>>,
    /// Whether only its condition was looked at. Then it stays, and `new` says nothing.
    is_checked: bool,
}

impl Write {
    /// The table and the item.
    pub fn target<'s>(&self, state: &'s State) -> Result<Target<'s>, Unmade> {
        let found = state.table(&self.table);
        let (table, contents) = found.ok_or_else(|| Unmade::Refused(refusals::resource_missing()))?;
        let definition = &table.definition;
        let key = match &self.what {
            What::Put(item) => definition.key_of_item(Item(item)),
            What::Update(key, _) | What::Delete(key) | What::Check(key) => definition.key_of(Item(key)),
        };
        // An empty key refuses the request, a key of another type cancels a transaction (facts/dynamodb.md § 12).
        let key = key.map_err(|fault| match fault {
            KeyFault::Empty(refusal) => Unmade::Refused(refusal),
            KeyFault::Mismatch(refusal) => Unmade::Mismatch(refusal),
            KeyFault::TooLong(refusal) => Unmade::Unfit(refusal),
        })?;
        self.check_key_untouched(table).map_err(Unmade::Refused)?;
        Ok(Target { table, contents, key })
    }

    /// An update does not touch the key, and no path goes into an index's key.
    fn check_key_untouched(&self, table: &TableDeclared) -> Result<(), Refusal> {
        let What::Update(_, Some(update)) = &self.what else { return Ok(()) };
        let definition = &table.definition;
        for path in update.paths() {
            let root = path.root();
            if definition.key.has(root) {
                return Err(wrong(format_args!(
                    "Cannot update attribute {root}. This attribute is part of the key"
                )));
            }
            if !path.is_root() && definition.indexes.iter().any(|index| index.key.has(root)) {
                return Err(invalid(format_args!(
                    "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: {root}"
                )));
            }
        }
        Ok(())
    }

    /// What the write makes of an item that was found.
    pub fn make<'a, 's>(&'a self, target: Target<'s>) -> Result<Made<'a, 's>, Unmade> {
        let unfit = |refusal| Unmade::Unfit(refusal);
        let old = target.contents.get(&target.key).cloned();
        let definition = &target.table.definition;
        let item = Item(old.as_ref().map_or(&[][..], Held::content));
        if let What::Put(content) = &self.what {
            definition.check_indexed(Item(content), definition::Setting::Put).map_err(unfit)?;
        }
        if self.condition.as_ref().is_some_and(|condition| !condition.holds(item)) {
            return Err(Unmade::Unmet(old));
        }
        let new = match &self.what {
            What::Put(content) => Some(Cow::Borrowed(&content[..])),
            What::Delete(_) | What::Check(_) => None,
            What::Update(key, update) => updated(key, update.as_deref(), old.as_ref()).map_err(unfit)?,
        };
        if let (What::Update(..), Some(new)) = (&self.what, &new) {
            definition.check_indexed(Item(new), definition::Setting::Update).map_err(unfit)?;
        }
        Ok(Made { target, old, new, is_checked: matches!(self.what, What::Check(_)) })
    }
}

/// An item after an update; none if it makes no item.
fn updated<'a>(
    key: &[u8],
    update: Option<&Update>,
    old: Option<&Held>,
) -> Result<Option<Cow<'a, [u8]>>, Refusal> {
    let before = old.map_or(key, Held::content);
    let Some(update) = update else { return Ok(Some(Cow::Owned(before.to_vec()))) };
    if old.is_none() && !update.creates() {
        return Ok(None);
    }
    let new = update.apply(Item(before)).map_err(|fault| of_fault(&fault, false))?;
    if Item(&new).size() > ITEM_BYTES {
        return Err(invalid("Item size to update has exceeded the maximum allowed size"));
    }
    if Item(&new).entries().any(|(_, value)| Value::levels(value) > LEVELS) {
        return Err(invalid(
            "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit",
        ));
    }
    Ok(Some(Cow::Owned(new)))
}

/// What is put of a request. Errors: it is larger than an item may be.
pub fn put(content: Vec<u8>) -> Result<What, Refusal> {
    match Item(&content).size() > ITEM_BYTES {
        true => Err(invalid("Item size has exceeded the maximum allowed size")),
        false => Ok(What::Put(content)),
    }
}

impl<'a> Made<'a, '_> {
    /// Whether the item is as it was.
    pub fn is_unchanged(&self) -> bool {
        self.is_checked || self.old.as_ref().map(Held::content) == self.new.as_deref()
    }

    /// Bytes of memory that the write needs besides those that it frees.
    pub fn growth(&self) -> usize {
        let of = |content: &[u8]| self.target.contents.memory_of(&self.target.key, content);
        let old = self.old.as_ref().map_or(0, |held| of(held.content()));
        self.new.as_deref().map_or(0, of).saturating_sub(old)
    }

    /// The fact; none if nothing changes.
    pub fn fact(self, setting: &Setting<'_>) -> Option<Record<'a>> {
        if self.is_unchanged() {
            return None;
        }
        let table = self.target.table.id;
        match self.new {
            Some(content) => {
                let id = self.old.as_ref().map_or_else(|| setting.numbers.draw(), Held::id);
                Some(Record::ItemPut(ItemPut { table, id, content }))
            }
            None => removal(table, self.target.contents, &self.target.key),
        }
    }
}

/// The fact that an item is gone; none if there is no such item.
fn removal(table: u64, contents: &Contents, key: &[u8]) -> Option<Record<'static>> {
    let (held, put_in) = contents.get_with_places(key)?;
    Some(Record::ItemRemoved(ItemRemoved { table, id: held.id(), key: key.into(), put_in }))
}

/// Refuses what needs more memory than there is.
pub fn check_memory(state: &State, growth: usize, setting: &Setting<'_>) -> Result<(), Refusal> {
    let most = setting.limits.memory;
    match growth > 0 && state.memory().saturating_add(growth) > most {
        true => Err(refusals::memory_full(most)),
        false => Ok(()),
    }
}

/// The facts that items of a table are gone whose time has ended.
pub fn expire<'a>(state: &State, table: u64, setting: &Setting<'_>) -> Decision<'a> {
    let Some(contents) = state.contents(table) else { return Decision::silent(Vec::new()) };
    let keys = contents.expired(setting.now.seconds(), EXPIRED);
    let facts = keys.iter().filter_map(|key| removal(table, contents, key));
    Decision::silent(facts.map(kernel::Fact::from).collect())
}

impl Made<'_, '_> {
    /// Units that the write takes: an index takes one for each entry that is put or removed (facts/dynamodb.md § 14).
    pub fn units(&self) -> Units {
        let definition = &self.target.table.definition;
        let old = self.old.as_ref().map(Held::item);
        let new = if self.is_checked { old } else { self.new.as_deref().map(Item) };
        let size = |item: Option<Item<'_>>| item.map_or(0, Item::size);
        let mut units = Units::of_table(capacity::write(size(old), size(new)));
        for index in &definition.indexes {
            let key = |item: Option<Item<'_>>| {
                item.and_then(|item| definition.key_in_index(index, item, &self.target.key))
            };
            let count = match (key(old), key(new)) {
                (None, None) => continue,
                (Some(_), None) | (None, Some(_)) => 1.0,
                (Some(before), Some(after)) if before != after => 2.0,
                _ => {
                    let shown = definition.shown_by(index);
                    let seen = |item: Option<Item<'_>>| {
                        item.map(|item| match &shown {
                            Some(shown) => shown.apply(item),
                            None => item.0.to_vec(),
                        })
                    };
                    if seen(old) == seen(new) {
                        continue;
                    }
                    1.0
                }
            };
            units.indexes.push((index.name.clone(), index.is_global, count));
        }
        units
    }
}
