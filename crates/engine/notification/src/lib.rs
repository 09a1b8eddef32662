//! A topic's message as it stands in the log, and the forms in which its takers get it.
//!
//! Topics write a [`Notification`] once; queues and deliverers make of it what their clients see: the text itself (raw
//! delivery), or an [`envelope()`] around it, signed by whoever implements [`Signer`]. Nothing is wrapped before it is read.

mod payload;
pub use payload::{Kind, Notification, Protocol, SignatureVersion};

pub mod envelope;
pub use envelope::{Signer, Taker, envelope};

mod lambda;
pub use lambda::lambda_event;

mod names;
pub use names::{
    Keys, confirmation_token, message_id, subscription_arn, subscription_of_token, subscription_uuid,
};

mod json;
