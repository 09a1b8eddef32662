//! How a table is declared: its attributes, keys and indexes, and what else is set of it.

use std::collections::BTreeMap;

use items::expression::{Part, Path, Projection};
use items::keys::{partition, put_part};
use items::value::{Item, Type, Value};
use kernel::Refusal;
use serde::{Deserialize, Serialize};

use crate::limits::{HASH_BYTES, RANGE_BYTES};
use crate::refusals::{invalid, key_mismatch, wrong};

/// The attributes of a key, in their order. A table has one of each at the most, a global index up to four.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Schema {
    /// The partition key.
    pub hash: Vec<String>,
    /// The sort key.
    #[serde(default)]
    pub range: Vec<String>,
}

impl Schema {
    /// All attributes of the key.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hash.iter().chain(&self.range).map(String::as_str)
    }

    /// Whether an attribute belongs to the key.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }
}

/// Which attributes an index shows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Shows {
    /// All.
    All,
    /// The keys of the table and of the index.
    Keys,
    /// The keys and these.
    Some(Vec<String>),
}

/// A secondary index.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Index {
    /// Its number, never reused.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Whether it has a partition key of its own.
    pub is_global: bool,
    /// Its key.
    pub key: Schema,
    /// What it shows.
    pub shows: Shows,
    /// Provisioned units of reading and writing.
    #[serde(default)]
    pub units: (i64, i64),
}

/// How a table is declared.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// The types of key attributes: `S`, `N` or `B`.
    pub attributes: BTreeMap<String, String>,
    /// The table's key.
    pub key: Schema,
    /// Its indexes, in the order in which they were declared.
    pub indexes: Vec<Index>,
    /// When it became a table on demand; absent: it has provisioned units.
    pub on_demand_since: Option<u64>,
    /// Provisioned units of reading and writing; zeros on demand.
    pub units: (i64, i64),
    /// `DeletionProtectionEnabled`.
    pub is_protected: bool,
    /// `TableClass`, if it was given.
    pub class: Option<String>,
    /// The key of `SSESpecification`, if it is enabled.
    pub encryption: Option<String>,
    /// The attribute of its time to live.
    pub expires_by: Option<String>,
    /// When recovery to a point in time was enabled, and for how many days.
    pub recovery: Option<(u64, i32)>,
    /// Warm throughput that was asked for.
    pub warm: Option<(i64, i64)>,
}

/// How the value of an index's key was set, which makes a difference in refusals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// By an item that is put.
    Put,
    /// By an update.
    Update,
}

/// What is wrong with the key of an item. What follows differs by operation (facts/dynamodb.md § 6, 12).
#[derive(Debug)]
pub enum KeyFault {
    /// It has other attributes than the schema, or attributes of other types.
    Mismatch(Refusal),
    /// An attribute of it is empty.
    Empty(Refusal),
    /// It is too long.
    TooLong(Refusal),
}

impl Definition {
    /// The type of a key attribute.
    pub fn kind(&self, name: &str) -> Type {
        self.attributes.get(name).and_then(|kind| Type::from_name(kind)).unwrap_or(Type::S)
    }

    /// The index of this name, and its place among the indexes.
    pub fn index(&self, name: &str) -> Option<(usize, &Index)> {
        self.indexes.iter().enumerate().find(|(_, index)| index.name == name)
    }

    /// Whether it has a local index, so that its partitions are collections with a size.
    pub fn has_collections(&self) -> bool {
        self.indexes.iter().any(|index| !index.is_global)
    }

    /// The key of an item that is put, in bytes. Errors: AWS's texts for items (facts/dynamodb.md § 6).
    pub fn key_of_item(&self, item: Item<'_>) -> Result<Vec<u8>, KeyFault> {
        for name in self.key.names() {
            let Some(value) = item.get(name) else {
                return Err(KeyFault::Mismatch(wrong(format_args!("Missing the key {name} in the item"))));
            };
            if value.kind() != self.kind(name) {
                let (expected, actual) = (self.kind(name).name(), value.kind().name());
                return Err(KeyFault::Mismatch(wrong(format_args!(
                    "Type mismatch for key {name} expected: {expected} actual: {actual}"
                ))));
            }
        }
        self.checked_key(item)
    }

    /// The key that a request names an item by, in bytes. Errors: it has other attributes than the schema.
    pub fn key_of(&self, key: Item<'_>) -> Result<Vec<u8>, KeyFault> {
        let is_fit = key.entries().count() == self.key.names().count()
            && self
                .key
                .names()
                .all(|name| key.get(name).is_some_and(|value| value.kind() == self.kind(name)));
        if is_fit { self.checked_key(key) } else { Err(KeyFault::Mismatch(key_mismatch())) }
    }

    /// The key of an item of which all attributes of the key are there.
    fn checked_key(&self, item: Item<'_>) -> Result<Vec<u8>, KeyFault> {
        for name in self.key.names() {
            let Some(value) = item.get(name) else { continue };
            if value.content().is_empty() {
                let what = empty(value.kind());
                return Err(KeyFault::Empty(invalid(format_args!(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an {what} value. Key: {name}"
                ))));
            }
        }
        self.check_sizes(&self.key, item).map_err(KeyFault::TooLong)?;
        // They were checked to be there.
        Ok(key_in(&self.key, item).unwrap_or_default())
    }

    fn check_sizes(&self, schema: &Schema, item: Item<'_>) -> Result<(), Refusal> {
        let bytes = |names: &[String]| -> usize {
            let values = names.iter().filter_map(|name| item.get(name));
            values.map(|value| if value.kind() == Type::N { 0 } else { value.content().len() }).sum()
        };
        if bytes(&schema.hash) > HASH_BYTES {
            return Err(wrong("Size of hashkey has exceeded the maximum size limit of2048 bytes"));
        }
        if bytes(&schema.range) > RANGE_BYTES {
            return Err(wrong("Aggregated size of all range keys has exceeded the size limit of 1024 bytes"));
        }
        Ok(())
    }

    /// Refuses an item whose attributes of index keys no index can hold.
    pub fn check_indexed(&self, item: Item<'_>, setting: Setting) -> Result<(), Refusal> {
        for index in &self.indexes {
            for name in index.key.names().filter(|name| !self.key.has(name)) {
                let Some(value) = item.get(name) else { continue };
                if value.kind() != self.kind(name) {
                    return Err(wrong(format_args!(
                        "Type mismatch for Index Key {name} Expected: {} Actual: {} IndexName: {}",
                        self.kind(name).name(),
                        value.kind().name(),
                        index.name
                    )));
                }
                if value.content().is_empty() {
                    let what = empty(value.kind());
                    return Err(invalid(match setting {
                        Setting::Put => format!(
                            "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The AttributeValue for a key attribute cannot contain an {what} value. IndexName: {}, IndexKey: {name}",
                            index.name
                        ),
                        Setting::Update => format!(
                            "One or more parameter values are not valid. The update expression attempted to update a secondary index key to a value that is not supported. The AttributeValue for a key attribute cannot contain an {what} value."
                        ),
                    }));
                }
            }
            self.check_sizes(&index.key, item)?;
        }
        Ok(())
    }

    /// The key of an item in an index, with the table's key behind it; none if the item is not in the index.
    pub fn key_in_index(&self, index: &Index, item: Item<'_>, table_key: &[u8]) -> Option<Vec<u8>> {
        for name in index.key.names() {
            let value = item.get(name)?;
            if value.kind() != self.kind(name) || value.content().is_empty() {
                return None;
            }
        }
        // An index that was made later skips what it cannot hold (facts/dynamodb.md § 13).
        self.check_sizes(&index.key, item).ok()?;
        let mut key = key_in(&index.key, item)?;
        key.extend_from_slice(table_key);
        Some(key)
    }

    /// What an index shows of items; none if it shows all.
    pub fn shown_by(&self, index: &Index) -> Option<Projection> {
        let others: &[String] = match &index.shows {
            Shows::All => return None,
            Shows::Keys => &[],
            Shows::Some(names) => names,
        };
        let names = self.key.names().chain(index.key.names()).chain(others.iter().map(String::as_str));
        Some(Projection::of(names.map(|name| Path(vec![Part::Name(name.into())]))))
    }

    /// What expires when: whole seconds since 1970, of an item whose attribute says so.
    pub fn expiry(&self, item: Item<'_>) -> Option<u64> {
        let value = item.get(self.expires_by.as_deref()?)?;
        (value.kind() == Type::N).then(|| value.number().seconds()).flatten()
    }

    /// The definition as it lies in the log.
    pub fn to_json(&self) -> String {
        // It consists of texts and numbers.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Definition::to_json`] wrote.
    pub fn from_json(json: &str) -> Option<Definition> {
        serde_json::from_str(json).ok()
    }
}

/// A key in bytes; none if an attribute is missing.
pub fn key_in(schema: &Schema, item: Item<'_>) -> Option<Vec<u8>> {
    let parts: Option<Vec<Value<'_>>> = schema.hash.iter().map(|name| item.get(name)).collect();
    let mut key = partition(parts?);
    for name in &schema.range {
        put_part(&mut key, item.get(name)?);
    }
    Some(key)
}

fn empty(kind: Type) -> &'static str {
    if kind == Type::B { "empty binary" } else { "empty string" }
}
