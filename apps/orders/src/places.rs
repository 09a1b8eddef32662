//! The queues, and the topics or the event bus: which there are, their settings, and who hears whom.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::json;
use toolkit::{Bus, Clients, Fault, Publisher, Queue, QueueSpec, RuleSpec, Subscription, Topic, TopicSpec};

use crate::model::Happening;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// AWS's longest wait of a receive.
const LONG_POLL: Duration = Duration::from_secs(20);

/// How events travel from a service to those who listen.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum Events {
    /// By four topics, whose subscriptions filter.
    #[default]
    Topics,
    /// By one event bus, whose rules filter.
    Eventbridge,
}

/// What leads an order from step to step.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, ValueEnum)]
pub enum Conduct {
    /// The order service's own saga, in its database.
    #[default]
    Saga,
    /// A state machine of Step Functions.
    Stepfunctions,
}

/// The event bus, if events travel by one.
const BUS: &str = "shop";

/// An order of so many cents or more is an event of its own interest: the rule `valuable-orders` brings it to a queue of that name.
const VALUABLE_CENTS: i64 = 10_000;

/// Where events are published.
#[derive(Clone, Debug)]
pub enum Channel {
    /// One of the topics.
    Topic(Topic),
    /// The event bus.
    Bus(Bus),
}

impl Channel {
    /// A publisher to it.
    pub fn publisher(&self, clients: &Clients) -> Publisher {
        match self {
            Channel::Topic(topic) => Publisher::topic(clients, &topic.arn),
            Channel::Bus(bus) => Publisher::bus(clients, bus),
        }
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Channel::Topic(topic) => write!(f, "topic  {}", topic.arn),
            Channel::Bus(bus) => write!(f, "bus    {}", bus.name),
        }
    }
}

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
    pub order_status: Channel,
    /// What happens to money.
    pub payment_notifications: Channel,
    /// Low stock.
    pub inventory_alerts: Channel,
    /// Trouble of the system itself.
    pub system_health: Channel,
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

/// What the order service waits for, of orders.
const WAITED_FOR: [Happening; 5] = [
    Happening::StockReserved,
    Happening::StockRejected,
    Happening::StockShort,
    Happening::Shipped,
    Happening::Undeliverable,
];

/// And of money.
const MONEY: [Happening; 3] =
    [Happening::PaymentSucceeded, Happening::PaymentFailed, Happening::PaymentRefunded];

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
    /// What SQS, SNS or EventBridge refuses; or people are to be written to, and there are no topics.
    pub async fn ensure(clients: &Clients, people: &People, events: Events) -> Result<Places, Fault> {
        if events == Events::Eventbridge && (people.email.is_some() || people.phone.is_some()) {
            let text = "--email and --sms subscribe to topics, which there are not with --events eventbridge";
            return Err(Fault::permanent("People", text));
        }
        let mut made = Vec::new();
        for spec in queues() {
            made.push(spec.ensure(clients).await?);
        }
        let places = Places::of(clients, made, events).await?;
        match events {
            Events::Topics => places.subscribe(clients, people).await?,
            Events::Eventbridge => places.rule(clients).await?,
        }
        Ok(places)
    }

    /// What [`ensure`](Self::ensure) has made.
    ///
    /// # Errors
    /// When a queue is not there.
    pub async fn find(clients: &Clients, events: Events) -> Result<Places, Fault> {
        let mut found = Vec::new();
        for (queue, _) in DEAD_LETTERS {
            found.push(clients.queue(queue).await?);
        }
        Places::of(clients, found, events).await
    }

    /// `queues` in the order of [`DEAD_LETTERS`].
    async fn of(clients: &Clients, queues: Vec<Queue>, events: Events) -> Result<Places, Fault> {
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
        let channel = |name: &'static str| async move {
            match events {
                Events::Topics => TopicSpec::new(name).ensure(clients).await.map(Channel::Topic),
                Events::Eventbridge => Bus::ensure(clients, BUS).await.map(Channel::Bus),
            }
        };
        Ok(Places {
            orders,
            priority_orders,
            large_orders,
            payments,
            inventory,
            shipping,
            order_events,
            notifications,
            order_status: channel("order-status").await?,
            payment_notifications: channel("payment-notifications").await?,
            inventory_alerts: channel("inventory-alerts").await?,
            system_health: channel("system-health").await?,
        })
    }

    async fn subscribe(&self, clients: &Clients, people: &People) -> Result<(), Fault> {
        let types = |wanted: &[Happening]| json!({ "type": wanted.iter().map(|one| one.as_str()).collect::<Vec<_>>() });
        // The order service hears what it waits for; filtered at the subscription, so that nothing else is delivered.
        for (channel, wanted) in
            [(&self.order_status, &WAITED_FOR[..]), (&self.payment_notifications, &MONEY[..])]
        {
            let Channel::Topic(topic) = channel else { continue };
            Subscription::queue(&self.order_events).filter(types(wanted)).ensure(clients, topic).await?;
        }
        for channel in self.channels() {
            let Channel::Topic(topic) = channel else { continue };
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

    /// The same with rules of the bus: who listens, to what.
    async fn rule(&self, clients: &Clients) -> Result<(), Fault> {
        let bus = Bus { name: BUS.to_owned() };
        let waited_for = WAITED_FOR.iter().chain(&MONEY).map(|happening| happening.as_str());
        RuleSpec::new("order-events", &self.order_events).types(waited_for).ensure(clients, &bus).await?;
        RuleSpec::new("notifications", &self.notifications).ensure(clients, &bus).await?;
        // Nobody handles these: they are there to be looked at, for an hour.
        let valuable = QueueSpec::new("valuable-orders").retention(60 * MINUTE).ensure(clients).await?;
        RuleSpec::new("valuable-orders", &valuable)
            .types([Happening::Created.as_str()])
            .data(json!({ "totalCents": [{ "numeric": [">=", VALUABLE_CENTS] }] }))
            .ensure(clients, &bus)
            .await?;
        Ok(())
    }

    /// All that events are published to.
    pub fn channels(&self) -> [&Channel; 4] {
        [&self.order_status, &self.payment_notifications, &self.inventory_alerts, &self.system_health]
    }
}
