//! What the log says of tables and their items.
//!
//! | kind | record |
//! |---|---|
//! | 168 | [`TableDeclared`] |
//! | 169 | [`TableDeleted`] |
//! | 170 | [`ItemPut`] |
//! | 171 | [`ItemRemoved`] |
//! | 172 | [`TokenUsed`] |
//!
//! The first two are configuration: items of a table that is gone are nobody's, so a table takes no record for each of its items with it.

mod item;
pub use item::{ItemPut, ItemRemoved};

mod table;
pub use table::TableDeclared;

mod token;
pub use token::TokenUsed;

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};
use resources::Deleted;

use crate::TableKey;

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 168..=183;

/// A table is gone.
pub type TableDeleted = Deleted<TableKey>;

/// A fact about tables and items.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its type is.
pub enum Record<'a> {
    TableDeclared(Box<TableDeclared>),
    TableDeleted(TableDeleted),
    ItemPut(ItemPut<'a>),
    ItemRemoved(ItemRemoved),
    TokenUsed(TokenUsed),
}

impl<'a> kernel::service::Record<'a> for Record<'a> {
    fn is_configuration(&self) -> bool {
        matches!(self, Record::TableDeclared(_) | Record::TableDeleted(_))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::TableDeclared(record) => {
                out.push(168);
                record.encode(out);
            }
            Record::TableDeleted(record) => {
                out.push(169);
                record.encode(out);
            }
            Record::ItemPut(record) => {
                out.push(170);
                record.encode(out);
            }
            Record::ItemRemoved(record) => {
                out.push(171);
                record.encode(out);
            }
            Record::TokenUsed(record) => {
                out.push(172);
                record.encode(out);
            }
        }
    }

    fn decode(bytes: &'a [u8]) -> Result<Record<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            168 => Record::TableDeclared(Box::new(TableDeclared::decode(reader)?)),
            169 => Record::TableDeleted(Deleted::decode(reader)?),
            170 => Record::ItemPut(ItemPut::decode(reader)?),
            171 => Record::ItemRemoved(ItemRemoved::decode(reader)?),
            172 => Record::TokenUsed(TokenUsed::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
