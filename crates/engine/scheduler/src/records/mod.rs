//! What the log says of schedules.
//!
//! | kind | record |
//! |---|---|
//! | 48 | [`GroupDeclared`] |
//! | 49 | [`GroupDeleted`] |
//! | 50 | [`ScheduleDeclared`] |
//! | 51 | [`SchedulesDeleted`] |
//! | 52 | [`ScheduleRan`] |
//! | 53 | [`InvocationDeclared`] |
//! | 54 | [`InvocationTried`] |
//! | 55 | [`InvocationEnded`] |
//!
//! All are configuration: a restart reads them in the order in which they were written, and heads of declarations can be long.

mod group;
pub use group::{GroupDeclared, GroupDeleted};

mod schedule;
pub use schedule::{Own, ScheduleDeclared, ScheduleRan, SchedulesDeleted, Shared};

mod invocation;
pub use invocation::{InvocationDeclared, InvocationEnded, InvocationTried, Tried};

#[cfg(test)]
mod tests;

use kernel::codec::{Malformed, Reader};

/// The kinds of records that are this service's.
pub const KINDS: std::ops::RangeInclusive<u8> = 48..=63;

/// A fact about schedules.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // Each variant is documented where its struct is.
pub enum Record {
    GroupDeclared(GroupDeclared),
    GroupDeleted(GroupDeleted),
    ScheduleDeclared(Box<ScheduleDeclared>),
    SchedulesDeleted(SchedulesDeleted),
    ScheduleRan(ScheduleRan),
    InvocationDeclared(Box<InvocationDeclared>),
    InvocationTried(InvocationTried),
    InvocationEnded(InvocationEnded),
}

impl kernel::service::Record<'_> for Record {
    fn is_configuration(&self) -> bool {
        true
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::GroupDeclared(record) => {
                out.push(48);
                record.encode(out);
            }
            Record::GroupDeleted(record) => {
                out.push(49);
                record.encode(out);
            }
            Record::ScheduleDeclared(record) => {
                out.push(50);
                record.encode(out);
            }
            Record::SchedulesDeleted(record) => {
                out.push(51);
                record.encode(out);
            }
            Record::ScheduleRan(record) => {
                out.push(52);
                record.encode(out);
            }
            Record::InvocationDeclared(record) => {
                out.push(53);
                record.encode(out);
            }
            Record::InvocationTried(record) => {
                out.push(54);
                record.encode(out);
            }
            Record::InvocationEnded(record) => {
                out.push(55);
                record.encode(out);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        let record = match reader.u8()? {
            48 => Record::GroupDeclared(GroupDeclared::decode(reader)?),
            49 => Record::GroupDeleted(GroupDeleted::decode(reader)?),
            50 => Record::ScheduleDeclared(Box::new(ScheduleDeclared::decode(reader)?)),
            51 => Record::SchedulesDeleted(SchedulesDeleted::decode(reader)?),
            52 => Record::ScheduleRan(ScheduleRan::decode(reader)?),
            53 => Record::InvocationDeclared(Box::new(InvocationDeclared::decode(reader)?)),
            54 => Record::InvocationTried(InvocationTried::decode(reader)?),
            55 => Record::InvocationEnded(InvocationEnded::decode(reader)?),
            _ => return Err(Malformed),
        };
        if reader.is_empty() { Ok(record) } else { Err(Malformed) }
    }
}
