//! What the operations of DynamoDB share: the types that they decide on, and replies.

use api::dynamodb::ItemCollectionMetrics;
use api::{Json, Map, Text, Timestamp};
use items::expression::Projection;
use items::json::{text_of, text_of_item};
use items::value::Item;
use kernel::codec::Malformed;
use kernel::{Api, Refusal, Time};
use resources::tags::Tags;

use crate::capacity::Units;
use crate::contents::Held;
use crate::limits::Limits;
use crate::page::Page;
use crate::records::{Record, TableDeclared};
use crate::rules::definition::Definition;
use crate::state::State;
use crate::write::Made;

impl Api for State {
    /// Answers are made of replies alone.
    type Materials<'m> = ();

    fn materials<'m>(_: &'m str, _: &'m kernel::Secret) {}
}

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record<'a>>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// A table as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// How it is declared.
    pub table: Box<TableDeclared>,
    /// `TableStatus`.
    pub status: &'static str,
    /// Items and bytes.
    pub measure: (u64, u64),
    /// The same of each index, and whether it is complete.
    pub indexes: Vec<(u64, u64, bool)>,
}

/// What became of an item.
#[derive(Clone, Debug)]
pub struct Written {
    /// The item before.
    pub old: Option<Held>,
    /// Its attributes now, if they are shown.
    pub new: Option<Vec<u8>>,
    /// Units.
    pub units: Units,
    /// The key of the collection that the item belongs to, if the table has collections.
    pub collection: Option<Vec<u8>>,
}

impl Written {
    /// What became of the item of a write, of which the answer shows neither the one before nor the one afterwards.
    pub fn of(made: &Made<'_, '_>) -> Written {
        let of_item = made.new.as_deref().or(made.old.as_ref().map(Held::content));
        let definition = &made.target.table.definition;
        let collection = of_item.and_then(|content| collection_key(definition, Item(content)));
        Written { old: None, new: None, units: made.units(), collection }
    }
}

/// An item that was looked for, with units; absent: it was not looked for.
pub type Found = Option<(Option<Held>, Units)>;

/// What a client gets.
#[derive(Clone, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// A table.
    Table(Shown),
    /// Names of tables, and the last one if more follow.
    Tables(Vec<String>, Option<String>),
    /// Tags.
    Tags(Tags),
    /// What became of an item.
    Written(Box<Written>),
    /// What became of items, in the order of the request; absent: it was not touched.
    AllWritten(Vec<Option<Written>>),
    /// A transaction that was carried out before.
    Repeated,
    /// An item, if there is one, and units.
    Item(Option<Held>, Units),
    /// Items in the order of the request, with units; absent: it was not looked at.
    Items(Vec<Found>),
    /// What a query or a scan looked at.
    Page(Box<Page>),
    /// A table whose recovery is shown, and the moment.
    Backups(Box<TableDeclared>, Time),
    /// How a table is declared.
    Definition(Box<TableDeclared>),
}

impl Reply {
    /// The answer of an operation that has nothing to say.
    pub(super) fn done<O: Default>(self) -> Result<O, Malformed> {
        match self {
            Reply::Done => Ok(O::default()),
            _ => Err(Malformed),
        }
    }

    /// A declaration.
    pub(super) fn definition(self) -> Result<TableDeclared, Malformed> {
        match self {
            Reply::Definition(table) => Ok(*table),
            _ => Err(Malformed),
        }
    }
}

/// What is decided, or why not.
pub(super) fn decided<'a>(tried: Result<Decision<'a>, Refusal>) -> Decision<'a> {
    tried.unwrap_or_else(Decision::refuse)
}

/// A table as it is from now on, which is also the answer.
pub(super) fn declared<'a>(table: TableDeclared, reply: Reply) -> Decision<'a> {
    Decision::done(vec![Record::TableDeclared(Box::new(table)).into()], reply)
}

/// A moment in an answer.
pub(super) fn shown_time(time: Time) -> Option<Timestamp> {
    time.0.try_into().ok().map(Timestamp)
}

/// A text in an answer.
pub(super) fn text(text: impl Into<String>) -> Option<Text> {
    Some(text.into().into())
}

/// An item in an answer.
pub(super) fn shown_item(content: &[u8]) -> Json {
    Json(text_of_item(Item(content)).into())
}

/// What a request wants to see of an item, in an answer.
pub(super) fn shown_part(held: &Held, projection: Option<&Projection>) -> Json {
    match projection {
        Some(projection) => shown_item(&projection.apply(held.item())),
        None => shown_item(held.content()),
    }
}

/// Attributes of an item in an answer, of those names that it has.
pub(crate) fn shown_key<'n>(names: impl IntoIterator<Item = &'n str>, item: Item<'_>) -> Map<Json> {
    let mut entries: Vec<(Text, Json)> = Vec::new();
    for name in names {
        if let Some(value) = item.get(name)
            && entries.iter().all(|(other, _)| &**other != name)
        {
            entries.push((name.into(), Json(text_of(value).into())));
        }
    }
    Map(entries)
}

/// The collection of a partition key, as `ReturnItemCollectionMetrics` shows it. Sizes are estimated in steps of a gigabyte.
pub(super) fn collection_of(key: &[u8]) -> ItemCollectionMetrics {
    let item = Item(key);
    ItemCollectionMetrics {
        item_collection_key: Some(shown_key(item.entries().map(|(name, _)| name), item)),
        size_estimate_range_gb: Some(vec![0.0, 1.0]),
    }
}

/// The partition key of an item in bytes, if its table has collections.
fn collection_key(definition: &Definition, item: Item<'_>) -> Option<Vec<u8>> {
    if !definition.has_collections() {
        return None;
    }
    let entries = item.entries().filter(|(name, _)| definition.key.hash.iter().any(|hash| hash == name));
    Some(items::value::content_of(entries.map(|(name, value)| (name, value.bytes()))))
}
