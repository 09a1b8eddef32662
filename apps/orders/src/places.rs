//! The queues and topics: which there are, their settings, and who hears whom.

use std::time::Duration;

use serde_json::json;
use toolkit::{Clients, Fault, Queue, QueueSpec, Subscription, Topic, TopicSpec};

use crate::model::Happening;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// AWS's longest wait of a receive.
const LONG_POLL: Duration = Duration::from_secs(20);

/// All queues and topics.
#[derive(Clone, Debug)]
pub struct Places {
    /// Orders of regular customers.
    pub orders: Queue,
    /// Orders of VIP customers, in order for each customer.
    pub priority_orders: Queue,
    /// Large orders.
    pub large_orders: Queue,
    /// Charges and refunds.
    pub payments: Queue,
    /// Changes of stock, in order for each product.
    pub inventory: Queue,
    /// What is to be shipped.
    pub shipping: Queue,
    /// Events that the order service waits for.
    pub order_events: Queue,
    /// Events that somebody is told of.
    pub notifications: Queue,
    /// What happens to orders.
    pub order_status: Topic,
    /// What happens to money.
    pub payment_notifications: Topic,
    /// Low stock.
    pub inventory_alerts: Topic,
    /// Trouble of the system itself.
    pub system_health: Topic,
}

/// Each queue's settings, with its dead-letter queue.
fn queues() -> [QueueSpec; 8] {
    let queue = |name: &str| QueueSpec::new(name).receive_wait(LONG_POLL);
    [
        queue("orders").visibility_timeout(5 * MINUTE).retention(14 * DAY).dead_letters("orders-dlq", 3),
        queue("priority-orders.fifo")
            .visibility_timeout(2 * MINUTE)
            .content_based_deduplication()
            .limits_per_group()
            .dead_letters("priority-orders-dlq.fifo", 3),
        queue("large-orders")
            .visibility_timeout(5 * MINUTE)
            .retention(14 * DAY)
            .dead_letters("large-orders-dlq", 3),
        queue("payments").visibility_timeout(10 * MINUTE).dead_letters("payments-dlq", 5),
        // Messages behind a failed one of their group are handed out, and counted, with it: hence the higher number.
        queue("inventory.fifo")
            .visibility_timeout(MINUTE)
            .limits_per_group()
            .dead_letters("inventory-dlq.fifo", 20),
        queue("shipping").visibility_timeout(5 * MINUTE).dead_letters("shipping-dlq", 5),
        queue("order-events").visibility_timeout(5 * MINUTE).dead_letters("order-events-dlq", 5),
        // Not critical: two attempts.
        queue("notifications").visibility_timeout(MINUTE).dead_letters("notifications-dlq", 2),
    ]
}

/// The dead-letter queue of each queue.
pub const DEAD_LETTERS: [(&str, &str); 8] = [
    ("orders", "orders-dlq"),
    ("priority-orders.fifo", "priority-orders-dlq.fifo"),
    ("large-orders", "large-orders-dlq"),
    ("payments", "payments-dlq"),
    ("inventory.fifo", "inventory-dlq.fifo"),
    ("shipping", "shipping-dlq"),
    ("order-events", "order-events-dlq"),
    ("notifications", "notifications-dlq"),
];

/// Who is written to by e-mail and by text message, beside the services.
#[derive(Clone, Debug, Default)]
pub struct People {
    /// An address that gets every event by e-mail, once it has confirmed.
    pub email: Option<String>,
    /// A telephone number that gets critical events.
    pub phone: Option<String>,
}

impl Places {
    /// Creates what is missing, and brings what is there to these settings.
    ///
    /// # Errors
    /// What SQS or SNS refuses.
    pub async fn ensure(clients: &Clients, people: &People) -> Result<Places, Fault> {
        let mut made = Vec::new();
        for spec in queues() {
            made.push(spec.ensure(clients).await?);
        }
        let places = Places::of(clients, made).await?;
        places.subscribe(clients, people).await?;
        Ok(places)
    }

    /// What [`ensure`](Self::ensure) has made.
    ///
    /// # Errors
    /// When a queue is not there.
    pub async fn find(clients: &Clients) -> Result<Places, Fault> {
        let mut found = Vec::new();
        for (queue, _) in DEAD_LETTERS {
            found.push(clients.queue(queue).await?);
        }
        Places::of(clients, found).await
    }

    /// `queues` in the order of [`DEAD_LETTERS`].
    async fn of(clients: &Clients, queues: Vec<Queue>) -> Result<Places, Fault> {
        let [
            orders,
            priority_orders,
            large_orders,
            payments,
            inventory,
            shipping,
            order_events,
            notifications,
        ] = <[Queue; 8]>::try_from(queues).map_err(|_| Fault::permanent("Queues", "one is missing"))?;
        let topic = |name: &'static str| async move { TopicSpec::new(name).ensure(clients).await };
        Ok(Places {
            orders,
            priority_orders,
            large_orders,
            payments,
            inventory,
            shipping,
            order_events,
            notifications,
            order_status: topic("order-status").await?,
            payment_notifications: topic("payment-notifications").await?,
            inventory_alerts: topic("inventory-alerts").await?,
            system_health: topic("system-health").await?,
        })
    }

    async fn subscribe(&self, clients: &Clients, people: &People) -> Result<(), Fault> {
        let types = |wanted: &[Happening]| json!({ "type": wanted.iter().map(|one| one.as_str()).collect::<Vec<_>>() });
        // The order service hears what it waits for; filtered at the subscription, so that nothing else is delivered.
        let waited_for = [
            Happening::StockReserved,
            Happening::StockRejected,
            Happening::StockShort,
            Happening::Shipped,
            Happening::Undeliverable,
        ];
        let order_events = Subscription::queue(&self.order_events).filter(types(&waited_for));
        order_events.ensure(clients, &self.order_status).await?;
        let money = [Happening::PaymentSucceeded, Happening::PaymentFailed, Happening::PaymentRefunded];
        let order_events = Subscription::queue(&self.order_events).filter(types(&money));
        order_events.ensure(clients, &self.payment_notifications).await?;
        for topic in self.topics() {
            Subscription::queue(&self.notifications).ensure(clients, topic).await?;
            if let Some(address) = &people.email {
                Subscription::endpoint("email", address).ensure(clients, topic).await?;
            }
            if let Some(number) = &people.phone {
                let critical = Subscription::endpoint("sms", number).filter(json!({ "critical": ["true"] }));
                critical.ensure(clients, topic).await?;
            }
        }
        Ok(())
    }

    /// All topics.
    pub fn topics(&self) -> [&Topic; 4] {
        [&self.order_status, &self.payment_notifications, &self.inventory_alerts, &self.system_health]
    }
}
