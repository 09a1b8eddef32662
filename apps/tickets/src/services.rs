//! What the shop's services do: take orders and money, make tickets, manage events, write e-mails. All of it in the caller's transaction.

mod events;
mod mail;
mod payments;
mod tickets;

use sqlx::SqliteConnection;
use toolkit::outbox::OutboxError;
use toolkit::publisher::Outgoing;
use toolkit::sql::StoreError;
use toolkit::{Envelope, Message, Publisher};

use crate::events::Subject;
use crate::store::{LogLine, Status, Store};
use crate::topology::Publishers;

pub use events::{EventManagementEventPublisher, EventService};
pub use mail::{BOX_OFFICE, Mailbox, Sent};
pub use payments::{Order, PaymentEventPublisher, PaymentService};
pub use tickets::{TicketEventPublisher, TicketService};

/// The services over one database.
#[derive(Clone, Debug)]
pub struct Shop {
    pub store: Store,
    pub payments: PaymentService,
    pub tickets: TicketService,
    pub events: EventService,
}

impl Shop {
    /// With these ways out.
    pub fn new(store: &Store, publishers: &Publishers) -> Shop {
        let announcer = |to: &[Publisher]| Announcer { store: store.clone(), to: to.to_vec() };
        Shop {
            store: store.clone(),
            payments: PaymentService { publisher: PaymentEventPublisher(announcer(&publishers.payments)) },
            tickets: TicketService { publisher: TicketEventPublisher(announcer(&publishers.tickets)) },
            events: EventService { publisher: EventManagementEventPublisher(announcer(&publishers.events)) },
        }
    }
}

/// The message that something was done because of.
pub type Cause = Envelope<()>;

/// Writes events to the outbox, once for each destination and under one id: whoever hears both copies knows them as one.
#[derive(Clone, Debug)]
struct Announcer {
    store: Store,
    to: Vec<Publisher>,
}

impl Announcer {
    async fn announce<T: Message + Clone + Subject>(
        &self,
        tx: &mut SqliteConnection,
        event: T,
        cause: Option<&Cause>,
    ) -> Result<(), OutboxError> {
        let id = uuid::Uuid::now_v7().to_string();
        for publisher in &self.to {
            let mut message = Outgoing::new(event.clone()).id(&id);
            if let Some(cause) = cause {
                message = message.caused_by(cause);
            }
            self.store.outbox.add(tx, publisher, message).await?;
        }
        let names: Vec<&str> = self.to.iter().map(Publisher::destination).collect();
        let line = LogLine {
            key: id,
            message_id: String::new(),
            event_type: event.message_type().to_owned(),
            subject: event.subject().to_owned(),
            status: Status::Issued,
            attempt: 0,
            detail: format!("to {}", names.join(" and ")),
        };
        Ok(line.write(tx).await?)
    }
}

/// Why something was not done. What was begun is undone with its transaction.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It may succeed later.
    #[error("{0}")]
    Transient(String),
    /// It never will.
    #[error("{0}")]
    Permanent(String),
    /// The database is away or full: it may come back.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Trouble {
        Trouble::Store(error.into())
    }
}

impl From<OutboxError> for Trouble {
    fn from(error: OutboxError) -> Trouble {
        match error {
            OutboxError::Store(error) => Trouble::Store(error),
            OutboxError::Message(error) => Trouble::Permanent(error.to_string()),
        }
    }
}
