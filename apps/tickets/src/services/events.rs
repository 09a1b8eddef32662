//! The Event Service: what tickets are sold for.

use sqlx::SqliteConnection;
use toolkit::outbox::OutboxError;

use crate::events::{EventManagementEvent, Money};
use crate::services::{Announcer, Cause, Trouble};

/// Tells of events: to the event-management topic.
#[derive(Clone, Debug)]
pub struct EventManagementEventPublisher(pub(super) Announcer);

impl EventManagementEventPublisher {
    /// Publishes an event once the transaction commits.
    ///
    /// # Errors
    /// What the outbox says.
    pub async fn publish(
        &self,
        tx: &mut SqliteConnection,
        event: EventManagementEvent,
        cause: Option<&Cause>,
    ) -> Result<(), OutboxError> {
        self.0.announce(tx, event, cause).await
    }
}

/// Leads events through their lives: created, on sale, changed, cancelled.
#[derive(Clone, Debug)]
pub struct EventService {
    pub(super) publisher: EventManagementEventPublisher,
}

impl EventService {
    /// A new event, not yet on sale.
    ///
    /// # Errors
    /// [`Trouble::Store`] also when its id is taken.
    pub async fn create(
        &self,
        tx: &mut SqliteConnection,
        id: &str,
        name: &str,
        organiser: &str,
        price: Money,
    ) -> Result<(), Trouble> {
        let sql =
            "INSERT INTO events (id, name, organiser, price_cents, state) VALUES ($1, $2, $3, $4, 'created')";
        sqlx::query(sql).bind(id).bind(name).bind(organiser).bind(price.0).execute(&mut *tx).await?;
        let event = EventManagementEvent::EventCreated { event_id: id.to_owned(), name: name.to_owned() };
        Ok(self.publisher.publish(tx, event, None).await?)
    }

    /// Puts it on sale.
    ///
    /// # Errors
    /// [`Trouble::Permanent`] when it is unknown or has been before.
    pub async fn put_on_sale(&self, tx: &mut SqliteConnection, id: &str) -> Result<(), Trouble> {
        self.change(tx, id, "created", "on sale").await?;
        let (name, _) = self.event(tx, id).await?;
        let event = EventManagementEvent::EventPublished { event_id: id.to_owned(), name };
        Ok(self.publisher.publish(tx, event, None).await?)
    }

    /// Tells ticket holders of a change.
    ///
    /// # Errors
    /// What the database or the outbox says.
    pub async fn update(&self, tx: &mut SqliteConnection, id: &str, change: &str) -> Result<(), Trouble> {
        let event = EventManagementEvent::EventUpdated { event_id: id.to_owned(), change: change.to_owned() };
        Ok(self.publisher.publish(tx, event, None).await?)
    }

    /// Calls it off. Its orders are cancelled by whoever hears of it.
    ///
    /// # Errors
    /// [`Trouble::Permanent`] when it is not on sale.
    pub async fn call_off(&self, tx: &mut SqliteConnection, id: &str, reason: &str) -> Result<(), Trouble> {
        self.change(tx, id, "on sale", "cancelled").await?;
        let event =
            EventManagementEvent::EventCancelled { event_id: id.to_owned(), reason: reason.to_owned() };
        Ok(self.publisher.publish(tx, event, None).await?)
    }

    /// Its name and its organiser's address.
    ///
    /// # Errors
    /// [`Trouble::Permanent`] when it is unknown.
    pub async fn event(&self, tx: &mut SqliteConnection, id: &str) -> Result<(String, String), Trouble> {
        let sql = "SELECT name, organiser FROM events WHERE id = $1";
        let row = sqlx::query_as(sql).bind(id).fetch_optional(tx).await?;
        row.ok_or_else(|| Trouble::Permanent(format!("there is no event {id}")))
    }

    /// The addresses of those who hold tickets for it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn holders(&self, tx: &mut SqliteConnection, id: &str) -> Result<Vec<String>, Trouble> {
        let sql = "SELECT DISTINCT email FROM orders WHERE event_id = $1 AND state = 'paid' ORDER BY email";
        Ok(sqlx::query_scalar(sql).bind(id).fetch_all(tx).await?)
    }

    async fn change(&self, tx: &mut SqliteConnection, id: &str, from: &str, to: &str) -> Result<(), Trouble> {
        let sql = "UPDATE events SET state = $3 WHERE id = $1 AND state = $2";
        let changed = sqlx::query(sql).bind(id).bind(from).bind(to).execute(tx).await?;
        match changed.rows_affected() {
            0 => Err(Trouble::Permanent(format!("event {id} is not {from}"))),
            _ => Ok(()),
        }
    }
}
