//! JSON as AWS reads and writes it.

mod read;
pub use read::Reader;

mod write;
pub use write::Writer;
