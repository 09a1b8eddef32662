//! What the log says of streams.
//!
//! | kind | record |
//! |---|---|
//! | 152 | [`StreamDeclared`] |
//! | 153 | [`StreamDeleted`] |
//! | 154 | [`ShardDeclared`] |
//! | 155 | [`ShardDeleted`] |
//! | 156 | [`ConsumerDeclared`] |
//! | 157 | [`ConsumerDeleted`] |
//! | 158 | [`AccountDeclared`] |
//! | 159 | [`AccountDeleted`] |
//! | 160 | [`RecordsPut`] |
//!
//! All but the last are configuration. The tail of [`RecordsPut`] has the records ([`crate::chunk`]).

mod consumer;
pub use consumer::{AccountDeclared, ConsumerDeclared};

mod put;
pub use put::{Part, RecordsPut};

mod shard;
pub use shard::{Closed, ShardDeclared};

mod stream;
pub use stream::StreamDeclared;

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};
use resources::Deleted;

use crate::ids::AccountKey;
use crate::{ConsumerKey, ShardKey, StreamKey};

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 152..=167;

/// A stream is gone.
pub type StreamDeleted = Deleted<StreamKey>;

/// A shard is gone with all of its records.
pub type ShardDeleted = Deleted<ShardKey>;

/// A consumer is gone.
pub type ConsumerDeleted = Deleted<ConsumerKey>;

/// The settings of an account are gone.
pub type AccountDeleted = Deleted<AccountKey>;

/// A fact about streams.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its type is.
pub enum Record {
    StreamDeclared(Box<StreamDeclared>),
    StreamDeleted(StreamDeleted),
    ShardDeclared(ShardDeclared),
    ShardDeleted(ShardDeleted),
    ConsumerDeclared(Box<ConsumerDeclared>),
    ConsumerDeleted(ConsumerDeleted),
    AccountDeclared(AccountDeclared),
    AccountDeleted(AccountDeleted),
    RecordsPut(RecordsPut),
}

impl kernel::service::Record<'_> for Record {
    fn is_configuration(&self) -> bool {
        !matches!(self, Record::RecordsPut(_))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let kind = match self {
            Record::StreamDeclared(_) => 152,
            Record::StreamDeleted(_) => 153,
            Record::ShardDeclared(_) => 154,
            Record::ShardDeleted(_) => 155,
            Record::ConsumerDeclared(_) => 156,
            Record::ConsumerDeleted(_) => 157,
            Record::AccountDeclared(_) => 158,
            Record::AccountDeleted(_) => 159,
            Record::RecordsPut(_) => put::KIND,
        };
        out.push(kind);
        match self {
            Record::StreamDeclared(record) => record.encode(out),
            Record::StreamDeleted(record) => record.encode(out),
            Record::ShardDeclared(record) => record.encode(out),
            Record::ShardDeleted(record) => record.encode(out),
            Record::ConsumerDeclared(record) => record.encode(out),
            Record::ConsumerDeleted(record) => record.encode(out),
            Record::AccountDeclared(record) => record.encode(out),
            Record::AccountDeleted(record) => record.encode(out),
            Record::RecordsPut(record) => record.encode(out),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            152 => Record::StreamDeclared(Box::new(StreamDeclared::decode(reader)?)),
            153 => Record::StreamDeleted(Deleted::decode(reader)?),
            154 => Record::ShardDeclared(ShardDeclared::decode(reader)?),
            155 => Record::ShardDeleted(Deleted::decode(reader)?),
            156 => Record::ConsumerDeclared(Box::new(ConsumerDeclared::decode(reader)?)),
            157 => Record::ConsumerDeleted(Deleted::decode(reader)?),
            158 => Record::AccountDeclared(AccountDeclared::decode(reader)?),
            159 => Record::AccountDeleted(Deleted::decode(reader)?),
            put::KIND => Record::RecordsPut(RecordsPut::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
