//! The Notification Service: what it does when it hears of something, once for each message.

use sqlx::SqliteConnection;
use toolkit::consumer::{Delivery, Handler, Outcome};
use toolkit::inbox::InboxSettings;
use toolkit::{Envelope, Message};

use crate::events::{EventManagementEvent, PaymentEvent, Subject, TicketEvent};
use crate::services::{BOX_OFFICE, Cause, Mailbox, Sent, Shop, Trouble};
use crate::store::{LogLine, Status};

/// What is done because of an event: all of it through the transaction. Gives it in words.
pub trait Reaction<T>: Send + Sync + 'static {
    /// Does it.
    fn react(
        &self,
        tx: &mut SqliteConnection,
        event: &T,
        why: &Why,
    ) -> impl Future<Output = Result<String, Trouble>> + Send;
}

/// The message that brought an event.
pub struct Why {
    pub cause: Cause,
    /// How often it has been handed out.
    pub attempt: u32,
}

impl Why {
    async fn mail(&self, tx: &mut SqliteConnection, address: &str, subject: &str) -> Result<Sent, Trouble> {
        Mailbox { address, cause: &self.cause, attempt: self.attempt }.send(tx, subject).await
    }
}

/// Runs a reaction once for each envelope id: its changes, its e-mails, the events that follow from it, the memory of the message and
/// the line in the log are one transaction.
pub struct Once<R> {
    pub shop: Shop,
    pub reaction: R,
    /// How often a message is tried before the consumer makes a dead letter of it: for the log.
    pub attempts: u32,
}

impl<T: Message + Subject, R: Reaction<T>> Handler<T> for Once<R> {
    async fn handle(&self, delivery: Delivery<T>) -> Outcome {
        let trouble = match self.attempt(&delivery).await {
            Ok(()) => return Outcome::Done,
            Err(trouble) => trouble,
        };
        let permanent = matches!(trouble, Trouble::Permanent(_)) || delivery.receive_count >= self.attempts;
        let status = if permanent { Status::GaveUp } else { Status::Retry };
        if let Err(error) = self.shop.store.log(&line(&delivery, status, trouble.to_string())).await {
            tracing::error!(%error, %trouble, id = delivery.envelope.id, "a failure was not logged");
        }
        match trouble {
            Trouble::Permanent(reason) => Outcome::give_up(reason),
            passing => Outcome::retry(passing),
        }
    }
}

impl<R> Once<R> {
    async fn attempt<T: Message + Subject>(&self, delivery: &Delivery<T>) -> Result<(), Trouble>
    where
        R: Reaction<T>,
    {
        let store = &self.shop.store;
        let mut tx = store.begin().await?;
        let keep = InboxSettings::default().keep;
        let line = match store.inbox.first_time(&mut tx, &delivery.envelope.id, keep).await? {
            false => line(delivery, Status::Duplicate, "handled before".to_owned()),
            true => {
                let why = Why { cause: cause(&delivery.envelope), attempt: delivery.receive_count };
                let done = self.reaction.react(&mut tx, delivery.data(), &why).await?;
                line(delivery, Status::Processed, done)
            }
        };
        line.write(&mut tx).await?;
        tx.commit().await?;
        store.outbox.wake();
        Ok(())
    }
}

fn line<T: Subject>(delivery: &Delivery<T>, status: Status, detail: String) -> LogLine {
    LogLine {
        key: delivery.envelope.id.clone(),
        message_id: delivery.message_id.clone(),
        event_type: delivery.envelope.message_type.clone(),
        subject: delivery.data().subject().to_owned(),
        status,
        attempt: delivery.receive_count,
        detail,
    }
}

fn cause<T>(envelope: &Envelope<T>) -> Cause {
    Envelope {
        id: envelope.id.clone(),
        message_type: envelope.message_type.clone(),
        source: envelope.source.clone(),
        timestamp: envelope.timestamp,
        data: (),
        metadata: envelope.metadata.clone(),
    }
}

/// Hears of orders and money, at the payment events queue.
pub struct PaymentEventConsumer {
    pub shop: Shop,
}

impl Reaction<PaymentEvent> for PaymentEventConsumer {
    async fn react(
        &self,
        tx: &mut SqliteConnection,
        event: &PaymentEvent,
        why: &Why,
    ) -> Result<String, Trouble> {
        let Shop { payments, tickets, .. } = &self.shop;
        let order = payments.order(tx, event.subject()).await?;
        let to = &order.email;
        match event {
            PaymentEvent::PaymentCompleted { amount, .. } => {
                let sent =
                    why.mail(tx, to, &format!("Your receipt for {amount}, order {}", order.id)).await?;
                // It may have been cancelled before this was heard.
                if order.state != "paid" {
                    return Ok(format!(
                        "{}; no tickets, the order is {}",
                        mailed("receipt", sent),
                        order.state
                    ));
                }
                let made = tickets.generate(tx, &order, &why.cause).await?;
                Ok(format!("{}; tickets made: {made}", mailed("receipt", sent)))
            }
            PaymentEvent::PaymentFailed { reason, .. } => {
                let sent = why.mail(tx, to, &format!("Order {} was not paid: {reason}", order.id)).await?;
                Ok(mailed("bad news", sent))
            }
            PaymentEvent::OrderConfirmed { .. } => {
                let sent = why.mail(tx, to, &format!("Order {} is confirmed", order.id)).await?;
                Ok(mailed("confirmation", sent))
            }
            PaymentEvent::OrderCancelled { reason, .. } => {
                let cancelled = tickets.cancel(tx, &order, &why.cause).await?;
                let sent = why.mail(tx, to, &format!("Order {} is cancelled: {reason}", order.id)).await?;
                Ok(format!("{}; tickets cancelled: {cancelled}", mailed("cancellation", sent)))
            }
            PaymentEvent::RefundProcessed { amount, .. } => {
                let sent = why.mail(tx, to, &format!("{amount} of order {} are paid back", order.id)).await?;
                Ok(mailed("refund", sent))
            }
        }
    }
}

/// Hears of tickets, and of events that change, at the ticket events queue.
pub struct TicketEventConsumer {
    pub shop: Shop,
}

impl Reaction<TicketEvent> for TicketEventConsumer {
    async fn react(
        &self,
        tx: &mut SqliteConnection,
        event: &TicketEvent,
        why: &Why,
    ) -> Result<String, Trouble> {
        let Shop { payments, tickets, .. } = &self.shop;
        let order = payments.order(tx, event.subject()).await?;
        let (order_id, user_id) = (order.id.clone(), order.user_id.clone());
        match event {
            TicketEvent::TicketsGenerated { ticket_ids, .. } => {
                if !tickets.any_valid(tx, &order.id).await? {
                    return Ok("not sent, since they were cancelled meanwhile".to_owned());
                }
                let ticket_ids = ticket_ids.clone();
                let subject = format!("Your tickets, order {}", order.id);
                let event = match why.mail(tx, &order.email, &subject).await? {
                    Sent::Accepted => TicketEvent::TicketsDelivered { order_id, user_id, ticket_ids },
                    Sent::Bounced => {
                        let reason = format!("there is no address {}", order.email);
                        TicketEvent::TicketDeliveryFailed { order_id, user_id, ticket_ids, reason }
                    }
                };
                let done = match &event {
                    TicketEvent::TicketDeliveryFailed { reason, .. } => reason.clone(),
                    _ => "tickets mailed".to_owned(),
                };
                tickets.publisher.publish(tx, event, Some(&why.cause)).await?;
                Ok(done)
            }
            TicketEvent::TicketCancelled { ticket_id, .. } => {
                let subject = format!("Ticket {ticket_id} lets nobody in any more");
                Ok(mailed("notice", why.mail(tx, &order.email, &subject).await?))
            }
            TicketEvent::TicketsDelivered { ticket_ids, .. } => {
                let sql = "UPDATE tickets SET state = 'delivered' WHERE order_id = $1 AND state = 'valid'";
                sqlx::query(sql).bind(&order.id).execute(tx).await?;
                Ok(format!("noted: {} delivered", ticket_ids.len()))
            }
            TicketEvent::TicketDeliveryFailed { reason, .. } => {
                let subject = format!("Print the tickets of order {}: {reason}", order.id);
                why.mail(tx, BOX_OFFICE, &subject).await?;
                Ok("the box office prints them".to_owned())
            }
        }
    }
}

impl Reaction<EventManagementEvent> for TicketEventConsumer {
    async fn react(
        &self,
        tx: &mut SqliteConnection,
        event: &EventManagementEvent,
        why: &Why,
    ) -> Result<String, Trouble> {
        let Shop { payments, events, .. } = &self.shop;
        let id = event.subject();
        let (name, organiser) = events.event(tx, id).await?;
        match event {
            EventManagementEvent::EventCreated { .. } => {
                let sent = why.mail(tx, &organiser, &format!("{name} is in our book")).await?;
                Ok(mailed("note to the organiser", sent))
            }
            EventManagementEvent::EventPublished { .. } => {
                let sent = why.mail(tx, &organiser, &format!("{name} is on sale")).await?;
                Ok(mailed("note to the organiser", sent))
            }
            EventManagementEvent::EventUpdated { change, .. } => {
                let holders = events.holders(tx, id).await?;
                for holder in &holders {
                    why.mail(tx, holder, &format!("{name}: {change}")).await?;
                }
                Ok(format!("{} ticket holders told", holders.len()))
            }
            EventManagementEvent::EventCancelled { reason, .. } => {
                let cancelled = payments.cancel_all(tx, id, reason, &why.cause).await?;
                Ok(format!("{cancelled} orders cancelled and paid back"))
            }
        }
    }
}

fn mailed(what: &str, sent: Sent) -> String {
    match sent {
        Sent::Accepted => format!("{what} mailed"),
        Sent::Bounced => format!("{what} bounced"),
    }
}
