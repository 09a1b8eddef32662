//! How the queues are: healthy, degraded or unhealthy, by thresholds; and the gauges that dashboards want.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde::Serialize;

use crate::clients::Clients;
use crate::fault::Fault;
use crate::queue::Queue;

/// How something is. Ordered: the worst of many is their maximum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Healthy,
    /// It works, and somebody should look.
    Degraded,
    /// It does not work, or soon will not.
    Unhealthy,
}

/// What is known of one queue.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QueueHealth {
    /// Its name.
    pub queue: String,
    /// How it is.
    pub status: Status,
    /// Why, in words.
    pub why: String,
    /// Whether it could be asked. If not, it is unhealthy, and nothing is known of its messages.
    pub answered: bool,
    /// Messages that wait.
    pub depth: u64,
    /// Messages that have been handed out and not yet dealt with.
    pub in_flight: u64,
    /// Messages that are not to be seen yet.
    pub delayed: u64,
}

impl QueueHealth {
    /// How many messages are in it, whether they wait or not; `None` if it could not be asked.
    pub fn messages(&self) -> Option<u64> {
        self.answered.then_some(self.depth + self.in_flight + self.delayed)
    }
}

/// The answer of a [`HealthCheck`]: JSON by serde, for a health endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Health {
    /// The worst of all.
    pub status: Status,
    /// Each queue.
    pub checks: Vec<QueueHealth>,
}

/// From which depth on a queue is not well. A queue for dead letters is best given `degraded: 1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thresholds {
    /// So many waiting messages are a warning.
    pub degraded: u64,
    /// So many are a failure.
    pub unhealthy: u64,
}

impl Default for Thresholds {
    /// A warning at 1,000; a failure at 10,000.
    fn default() -> Thresholds {
        Thresholds { degraded: 1_000, unhealthy: 10_000 }
    }
}

/// Asks queues how they are.
///
/// Each look also sets the gauges `queue.depth`, `queue.in_flight` and `queue.delayed`.
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
    /// Of nothing yet. A queue that does not answer within five seconds is unhealthy.
    pub fn new(clients: &Clients) -> HealthCheck {
        HealthCheck { clients: clients.clone(), queues: Vec::new(), patience: Duration::from_secs(5) }
    }

    /// This queue, too.
    #[must_use]
    pub fn queue(mut self, queue: &Queue, thresholds: Thresholds) -> HealthCheck {
        self.queues.push((queue.clone(), thresholds));
        self
    }

    /// How long an answer may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> HealthCheck {
        self.patience = patience;
        self
    }

    /// Asks all of them at once.
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
