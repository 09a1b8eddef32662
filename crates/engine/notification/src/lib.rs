//! The format of a topic's message in the log, and the formats in which takers get it.
//!
//! Topics write a [`Notification`] once. Queues and deliverers convert it to the format of their clients: the
//! text itself (raw delivery), or an [`envelope()`] around it, signed by a [`Signer`]. The conversion happens
//! when the message is read.

mod payload;
pub use payload::{Kind, Notification, Protocol, SignatureVersion};

pub mod envelope;
pub use envelope::{Signer, Taker, Unsigned, envelope};

mod lambda;
pub use lambda::lambda_event;

mod names;
pub use names::{
    Keys, confirmation_token, message_id, subscription_arn, subscription_of_token, subscription_uuid,
};

mod json;
