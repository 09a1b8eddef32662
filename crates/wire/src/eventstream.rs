//! Event streams (`application/vnd.amazon.eventstream`): answers that go on, as frames of headers and a payload.

mod frame;
pub use frame::{FrameFault, HeaderValue, Message};

mod event;
pub use event::{Event, EventHeader, WriteEvent};

/// The media type of an event stream.
pub const MEDIA_TYPE: &str = "application/vnd.amazon.eventstream";
