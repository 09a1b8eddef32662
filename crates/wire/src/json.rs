//! JSON as AWS reads and writes it: typed, forgiving about what is not known, strict about types.

mod read;
pub use read::{Fault, ReadMembers, ReadValue, Reader};

mod write;
pub use write::{Members, WriteMembers, WriteValue, Writer};
