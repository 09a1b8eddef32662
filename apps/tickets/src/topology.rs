//! The queues, dead-letter queues, topics and subscriptions of the shop, and their settings.

use std::time::Duration;

use toolkit::{Clients, Fault, Publisher, Queue, QueueSpec, Subscription, Topic, TopicSpec};

use crate::settings::Settings;

/// How long a received message stays hidden.
const VISIBILITY: Duration = Duration::from_secs(30);
/// How long a message waits at most.
const RETENTION: Duration = Duration::from_secs(4 * 86_400);
/// How often a message is tried before it is a dead letter. (Dead letters are kept for 14 days: `QueueSpec` sees to that.)
pub const MAX_RECEIVE_COUNT: u32 = 3;

/// All of them, made.
#[derive(Clone, Debug)]
pub struct Topology {
    pub payment_queue: Queue,
    pub payment_dlq: Queue,
    pub payment_topic: Topic,
    pub ticket_queue: Queue,
    pub ticket_dlq: Queue,
    pub ticket_topic: Topic,
    pub event_topic: Topic,
}

/// Makes what is missing, and sets what differs. May be repeated.
///
/// The Notification Service is a subscriber of all three topics. It hears the first two twice, by queue and by topic, and its inbox
/// makes once of twice; the third it hears at the ticket events queue.
///
/// # Errors
/// What SQS or SNS refuses.
pub async fn ensure(clients: &Clients, settings: &Settings) -> Result<Topology, Fault> {
    let payment_queue = queue(&settings.payment_events_queue, &settings.payment_events_dlq, clients).await?;
    let ticket_queue = queue(&settings.ticket_events_queue, &settings.ticket_events_dlq, clients).await?;
    let payment_topic = topic(&settings.payment_events_topic, clients).await?;
    let ticket_topic = topic(&settings.ticket_events_topic, clients).await?;
    let event_topic = topic(&settings.event_management_topic, clients).await?;
    Subscription::queue(&payment_queue).ensure(clients, &payment_topic).await?;
    Subscription::queue(&ticket_queue).ensure(clients, &ticket_topic).await?;
    Subscription::queue(&ticket_queue).ensure(clients, &event_topic).await?;
    Ok(Topology {
        payment_dlq: clients.queue(&settings.payment_events_dlq).await?,
        ticket_dlq: clients.queue(&settings.ticket_events_dlq).await?,
        payment_queue,
        payment_topic,
        ticket_queue,
        ticket_topic,
        event_topic,
    })
}

async fn queue(name: &str, dead_letters: &str, clients: &Clients) -> Result<Queue, Fault> {
    let spec = QueueSpec::new(name).visibility_timeout(VISIBILITY).retention(RETENTION);
    spec.dead_letters(dead_letters, MAX_RECEIVE_COUNT).ensure(clients).await
}

/// A topic is made by its name; the account that makes it is the one in its ARN.
async fn topic(arn: &str, clients: &Clients) -> Result<Topic, Fault> {
    let topic = TopicSpec::new(arn.rsplit(':').next().unwrap_or(arn)).ensure(clients).await?;
    if topic.arn != arn {
        tracing::warn!(configured = arn, made = %topic.arn, "the topic is in another account or region than configured");
    }
    Ok(topic)
}

impl Topology {
    /// Each queue with its dead letters.
    pub fn pairs(&self) -> [(&Queue, &Queue); 2] {
        [(&self.payment_queue, &self.payment_dlq), (&self.ticket_queue, &self.ticket_dlq)]
    }

    /// Where events go: the queue, if there is one, and the topic.
    pub fn publishers(&self, clients: &Clients) -> Publishers {
        let to = |queue: &Queue, topic: &Topic, source: &str| {
            let queue = Publisher::queue(clients, queue).source(source);
            vec![queue, Publisher::topic(clients, &topic.arn).source(source)]
        };
        Publishers {
            payments: to(&self.payment_queue, &self.payment_topic, "payment-service"),
            tickets: to(&self.ticket_queue, &self.ticket_topic, "ticket-service"),
            events: vec![Publisher::topic(clients, &self.event_topic.arn).source("event-service")],
        }
    }
}

/// The ways out of the shop's services.
#[derive(Clone, Debug)]
pub struct Publishers {
    pub payments: Vec<Publisher>,
    pub tickets: Vec<Publisher>,
    pub events: Vec<Publisher>,
}

impl Publishers {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Publisher> {
        self.payments.iter().chain(&self.tickets).chain(&self.events)
    }
}
