//! Archives of any service, and replays of them.
//!
//! An archive is a series of the store for retained data ([`Archives`]). The record of what was published is all there is to say: the
//! log owes it to the store, and holds it until the store has it. What the store has is the beginning of the archive, and what is
//! owed is the rest.
//!
//! A replay is a cursor that goes through an archive page by page ([`Cursor`]), first through what the store has and then through what the
//! log owes. What it reads may move from the log to the store at any time. Then it is read again there, since its number is what counts.
//!
//! Nothing here knows what is archived, who archives it, or to whom a replay hands it on.

mod archives;
pub use archives::Archives;

mod cursor;
pub use cursor::{Cursor, Step};
