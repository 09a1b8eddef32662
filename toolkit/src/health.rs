//! The health of queues by thresholds (healthy, degraded or unhealthy), and gauges for dashboards.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde::Serialize;

use crate::clients::Clients;
use crate::fault::Fault;
use crate::queue::Queue;

/// A state of health. Ordered: the worst of several is their maximum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Works normally.
    Healthy,
    /// Works, but needs attention.
    Degraded,
    /// Does not work, or soon will not.
    Unhealthy,
}

/// The health of one queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QueueHealth {
    /// Its name.
    pub queue: String,
    /// Its state.
    pub status: Status,
    /// The reason, as text.
    pub why: String,
    /// Whether the queue answered. If not, it is unhealthy, and its counts are unknown.
    pub answered: bool,
    /// Number of waiting messages.
    pub depth: u64,
    /// Number of messages in flight.
    pub in_flight: u64,
    /// Number of delayed messages.
    pub delayed: u64,
}

impl QueueHealth {
    /// Returns the total number of messages; `None` if the queue did not answer.
    pub fn messages(&self) -> Option<u64> {
        self.answered.then_some(self.depth + self.in_flight + self.delayed)
    }
}

/// The result of a [`HealthCheck`]. It serialises to JSON, for a health endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Health {
    /// The worst state of all queues.
    pub status: Status,
    /// The queues.
    pub checks: Vec<QueueHealth>,
}

/// Depths from which a queue is not healthy. For a dead-letter queue use `degraded: 1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// Number of waiting messages that makes it degraded.
    pub degraded: u64,
    /// Number of waiting messages that makes it unhealthy.
    pub unhealthy: u64,
}

impl Default for Thresholds {
    /// Degraded at 1,000, unhealthy at 10,000.
    fn default() -> Thresholds {
        Thresholds { degraded: 1_000, unhealthy: 10_000 }
    }
}

/// Checks the health of queues.
///
/// Each check also sets the gauges `queue.depth`, `queue.in_flight` and `queue.delayed`.
///
/// ```
/// # toolkit::testing::block_on(async {
/// # let server = toolkit::testing::Server::in_memory()?;
/// # let clients = toolkit::Clients::local(server.endpoint()).await;
/// use toolkit::QueueSpec;
/// use toolkit::health::{HealthCheck, Status, Thresholds};
///
/// let orders = QueueSpec::new("orders").dead_letters("orders-dlq", 3).ensure(&clients).await?;
/// let dead = clients.queue("orders-dlq").await?;
/// let check = HealthCheck::new(&clients)
///     .queue(&orders, Thresholds::default())
///     .queue(&dead, Thresholds { degraded: 1, unhealthy: 100 });
/// assert_eq!(check.look().await.status, Status::Healthy);
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct HealthCheck {
    clients: Clients,
    queues: Vec<(Queue, Thresholds)>,
    patience: Duration,
}

impl HealthCheck {
    /// Creates a check without queues. A queue that does not answer within five seconds is unhealthy.
    pub fn new(clients: &Clients) -> HealthCheck {
        HealthCheck { clients: clients.clone(), queues: Vec::new(), patience: Duration::from_secs(5) }
    }

    /// Adds a queue.
    #[must_use]
    pub fn queue(mut self, queue: &Queue, thresholds: Thresholds) -> HealthCheck {
        self.queues.push((queue.clone(), thresholds));
        self
    }

    /// Sets the timeout for an answer.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> HealthCheck {
        self.patience = patience;
        self
    }

    /// Checks all queues at the same time.
    pub async fn look(&self) -> Health {
        let looks = self.queues.iter().map(|(queue, thresholds)| self.look_at(queue, *thresholds));
        let checks = futures_util::future::join_all(looks).await;
        let status = checks.iter().map(|check| check.status).max().unwrap_or(Status::Healthy);
        Health { status, checks }
    }

    async fn look_at(&self, queue: &Queue, thresholds: Thresholds) -> QueueHealth {
        let asked = tokio::time::timeout(self.patience, self.ask(queue)).await;
        let name = queue.name().to_owned();
        let none = QueueHealth {
            queue: name.clone(),
            status: Status::Unhealthy,
            why: String::new(),
            answered: false,
            depth: 0,
            in_flight: 0,
            delayed: 0,
        };
        let (depth, in_flight, delayed) = match asked {
            Ok(Ok(counts)) => counts,
            Ok(Err(fault)) => return QueueHealth { why: fault.to_string(), ..none },
            Err(_) => return QueueHealth { why: format!("no answer within {:?}", self.patience), ..none },
        };
        for (gauge, count) in
            [("queue.depth", depth), ("queue.in_flight", in_flight), ("queue.delayed", delayed)]
        {
            metrics::gauge!(gauge, "queue" => name.clone()).set(count as f64);
        }
        let status = match depth {
            depth if depth >= thresholds.unhealthy => Status::Unhealthy,
            depth if depth >= thresholds.degraded => Status::Degraded,
            _ => Status::Healthy,
        };
        let why = format!("{depth} messages wait");
        QueueHealth { status, why, answered: true, depth, in_flight, delayed, ..none }
    }

    async fn ask(&self, queue: &Queue) -> Result<(u64, u64, u64), Fault> {
        let names = [
            Attribute::ApproximateNumberOfMessages,
            Attribute::ApproximateNumberOfMessagesNotVisible,
            Attribute::ApproximateNumberOfMessagesDelayed,
        ];
        let call = self.clients.sqs.get_queue_attributes().queue_url(&queue.url);
        let found =
            call.set_attribute_names(Some(names.to_vec())).send().await?.attributes.unwrap_or_default();
        let [depth, in_flight, delayed] =
            names.map(|name| found.get(&name).and_then(|text| text.parse().ok()).unwrap_or(0));
        Ok((depth, in_flight, delayed))
    }
}
