//! What the log says of pipes.
//!
//! | kind | record |
//! |---|---|
//! | 136 | [`PipeDeclared`] |
//! | 137 | [`PipeDeleted`] |
//!
//! Both are configuration. The log says nothing of messages that are on their way through a pipe: their source has them until they are
//! handed on.

mod pipe;
pub use pipe::{PipeDeclared, PipeState};

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};
use resources::Deleted;

use crate::PipeKey;

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 136..=143;

/// A pipe is gone.
pub type PipeDeleted = Deleted<PipeKey>;

/// A fact about pipes.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its type is.
pub enum Record {
    PipeDeclared(Box<PipeDeclared>),
    PipeDeleted(PipeDeleted),
}

impl kernel::service::Record<'_> for Record {
    fn is_configuration(&self) -> bool {
        true
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::PipeDeclared(record) => {
                out.push(136);
                record.encode(out);
            }
            Record::PipeDeleted(record) => {
                out.push(137);
                record.encode(out);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            136 => Record::PipeDeclared(Box::new(PipeDeclared::decode(reader)?)),
            137 => Record::PipeDeleted(Deleted::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
