//! What the operations of queues share: the types that they decide on, and what their answers are made of.

use bytes::Bytes;
use kernel::{Api, Secret};
use notification::{Keys, Unsigned};

use super::Command;
use crate::limits::Limits;
use crate::state::State;

pub use super::batch::BatchOutcome;
pub use super::reply::{Reply, needs};
pub use crate::due::Receive;
pub use crate::records::Draft;

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// What the caller hears.
pub type Outcome<'a> = kernel::Outcome<'a, State>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// What answers are made of besides replies.
#[derive(Clone, Copy)]
pub struct Materials<'m> {
    /// The URL under which the client reached this server.
    pub base: &'m str,
    /// The secret of the server, and the key that signs notifications.
    pub keys: Keys<'m>,
    /// Heads and tails of the records that [`needs`] asked for.
    pub records: &'m [(Bytes, Bytes)],
}

impl Api for State {
    type Materials<'m> = Materials<'m>;

    fn materials<'m>(base: &'m str, secret: &'m Secret) -> Materials<'m> {
        Materials { base, keys: Keys { secret, signer: &Unsigned }, records: &[] }
    }

    fn is_callable(command: &Command) -> bool {
        use Command::{DeleteAndReceiveMessages, PeekMessages, ReceiveMessage};
        !matches!(command, ReceiveMessage(_) | DeleteAndReceiveMessages(_) | PeekMessages(_))
    }
}
