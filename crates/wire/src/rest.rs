//! The restJson1 protocol: which operation a method and a path mean, and what of a shape stands in the path, the query
//! string, the headers, the status and the body.

mod route;
pub(crate) use route::unescape;
pub use route::{Labels, Path, Piece, Route};

mod text;
pub use text::{TextValue, TextValues};

mod read;
pub use read::{ReadRest, Request};

mod write;
pub use write::{Answer, WriteRest};
