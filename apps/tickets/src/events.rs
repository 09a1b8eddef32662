//! What the shop's services tell each other: payment events, ticket events and event-management events.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toolkit::Message;

/// What happens to orders and their money.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "eventType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum PaymentEvent {
    /// Payment successfully processed.
    PaymentCompleted { order_id: String, user_id: String, amount: Money },
    /// Payment processing failed.
    PaymentFailed { order_id: String, user_id: String, amount: Money, reason: String },
    /// Order confirmed after payment.
    OrderConfirmed { order_id: String, user_id: String, amount: Money },
    /// Order cancelled, by its user or because there is nothing left to go to.
    OrderCancelled { order_id: String, user_id: String, reason: String },
    /// Refund successfully processed.
    RefundProcessed { order_id: String, user_id: String, amount: Money },
}

/// What happens to tickets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "eventType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum TicketEvent {
    /// Digital tickets created.
    TicketsGenerated { order_id: String, user_id: String, ticket_ids: Vec<String> },
    /// Ticket cancelled.
    TicketCancelled { order_id: String, user_id: String, ticket_id: String },
    /// Tickets delivered to user.
    TicketsDelivered { order_id: String, user_id: String, ticket_ids: Vec<String> },
    /// Ticket delivery failed.
    TicketDeliveryFailed { order_id: String, user_id: String, ticket_ids: Vec<String>, reason: String },
}

/// What happens to the events that tickets are sold for.
#[expect(clippy::enum_variant_names, reason = "these are the names that the others read")]
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "eventType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum EventManagementEvent {
    /// New event created.
    EventCreated { event_id: String, name: String },
    /// Event details updated.
    EventUpdated { event_id: String, change: String },
    /// Event cancelled.
    EventCancelled { event_id: String, reason: String },
    /// Event published and available.
    EventPublished { event_id: String, name: String },
}

impl Message for PaymentEvent {
    const TYPES: &'static [&'static str] =
        &["PAYMENT_COMPLETED", "PAYMENT_FAILED", "ORDER_CONFIRMED", "ORDER_CANCELLED", "REFUND_PROCESSED"];

    fn message_type(&self) -> &str {
        match self {
            PaymentEvent::PaymentCompleted { .. } => "PAYMENT_COMPLETED",
            PaymentEvent::PaymentFailed { .. } => "PAYMENT_FAILED",
            PaymentEvent::OrderConfirmed { .. } => "ORDER_CONFIRMED",
            PaymentEvent::OrderCancelled { .. } => "ORDER_CANCELLED",
            PaymentEvent::RefundProcessed { .. } => "REFUND_PROCESSED",
        }
    }
}

impl Message for TicketEvent {
    const TYPES: &'static [&'static str] =
        &["TICKETS_GENERATED", "TICKET_CANCELLED", "TICKETS_DELIVERED", "TICKET_DELIVERY_FAILED"];

    fn message_type(&self) -> &str {
        match self {
            TicketEvent::TicketsGenerated { .. } => "TICKETS_GENERATED",
            TicketEvent::TicketCancelled { .. } => "TICKET_CANCELLED",
            TicketEvent::TicketsDelivered { .. } => "TICKETS_DELIVERED",
            TicketEvent::TicketDeliveryFailed { .. } => "TICKET_DELIVERY_FAILED",
        }
    }
}

impl Message for EventManagementEvent {
    const TYPES: &'static [&'static str] =
        &["EVENT_CREATED", "EVENT_UPDATED", "EVENT_CANCELLED", "EVENT_PUBLISHED"];

    fn message_type(&self) -> &str {
        match self {
            EventManagementEvent::EventCreated { .. } => "EVENT_CREATED",
            EventManagementEvent::EventUpdated { .. } => "EVENT_UPDATED",
            EventManagementEvent::EventCancelled { .. } => "EVENT_CANCELLED",
            EventManagementEvent::EventPublished { .. } => "EVENT_PUBLISHED",
        }
    }
}

/// Which order or event an event is about: what people look for in a log.
pub trait Subject {
    /// Its id.
    fn subject(&self) -> &str;
}

impl Subject for PaymentEvent {
    fn subject(&self) -> &str {
        let (PaymentEvent::PaymentCompleted { order_id, .. }
        | PaymentEvent::PaymentFailed { order_id, .. }
        | PaymentEvent::OrderConfirmed { order_id, .. }
        | PaymentEvent::OrderCancelled { order_id, .. }
        | PaymentEvent::RefundProcessed { order_id, .. }) = self;
        order_id
    }
}

impl Subject for TicketEvent {
    fn subject(&self) -> &str {
        let (TicketEvent::TicketsGenerated { order_id, .. }
        | TicketEvent::TicketCancelled { order_id, .. }
        | TicketEvent::TicketsDelivered { order_id, .. }
        | TicketEvent::TicketDeliveryFailed { order_id, .. }) = self;
        order_id
    }
}

impl Subject for EventManagementEvent {
    fn subject(&self) -> &str {
        let (EventManagementEvent::EventCreated { event_id, .. }
        | EventManagementEvent::EventUpdated { event_id, .. }
        | EventManagementEvent::EventCancelled { event_id, .. }
        | EventManagementEvent::EventPublished { event_id, .. }) = self;
        event_id
    }
}

/// An amount in cents. On the wire a number with a point, such as `100.00`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Money(pub i64);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        let amount = f64::deserialize(deserializer)?;
        let cents = (amount * 100.0).round();
        // Up to here every number of cents has a double of its own.
        if cents.abs() > 9e15 || (cents / 100.0 - amount).abs() > 1e-9 * amount.abs().max(1.0) {
            return Err(serde::de::Error::custom(format!("{amount} is not an amount of money in cents")));
        }
        Ok(Money(cents as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_its_readers_expect_it() {
        let (order_id, user_id) = ("o-1".to_owned(), "u-1".to_owned());
        let event = PaymentEvent::PaymentCompleted { order_id, user_id, amount: Money(10_000) };
        let written = serde_json::json!({
            "eventType": "PAYMENT_COMPLETED", "orderId": "o-1", "userId": "u-1", "amount": 100.00,
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), written);
        assert_eq!(serde_json::from_value::<PaymentEvent>(written).unwrap(), event);
        assert_eq!(event.message_type(), "PAYMENT_COMPLETED");
    }

    #[test]
    fn no_cent_is_lost_on_the_wire() {
        for cents in (0..100_000).chain([-1, 123_456_789_012_345, 9_000_000_000_000_000]) {
            let text = serde_json::to_string(&Money(cents)).unwrap();
            assert_eq!(serde_json::from_str::<Money>(&text).unwrap(), Money(cents), "{text}");
        }
        assert!(serde_json::from_str::<Money>("1.005").is_err());
        assert_eq!(Money(-5).to_string(), "-0.05");
    }
}
