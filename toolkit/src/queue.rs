//! Queues and topics as the application wants them: declared in code, created if missing, brought to their settings if not.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;

use crate::clients::Clients;
use crate::fault::Fault;

/// A queue that exists.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Queue {
    /// What the API wants to hear.
    pub url: String,
}

impl Queue {
    /// The queue at this URL. Nothing is asked.
    pub fn at(url: impl Into<String>) -> Queue {
        Queue { url: url.into() }
    }

    /// The last part of the URL.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Whether its messages have an order.
    pub fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// Its ARN.
    ///
    /// # Errors
    /// When it is not there any more.
    pub async fn arn(&self, clients: &Clients) -> Result<String, Fault> {
        Ok(self.attribute(clients, QueueAttributeName::QueueArn).await?.unwrap_or_default())
    }

    pub(crate) async fn attribute(
        &self,
        clients: &Clients,
        name: QueueAttributeName,
    ) -> Result<Option<String>, Fault> {
        let call = clients.sqs.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        Ok(call.send().await?.attributes.and_then(|mut all| all.remove(&name)))
    }
}

/// What a queue should be like. What is not said is left as it is (for a new queue: AWS's default).
///
/// ```no_run
/// # async fn example() -> Result<(), toolkit::Fault> {
/// use std::time::Duration;
/// use toolkit::{Clients, QueueSpec};
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// let clients = Clients::from_env().await;
/// let payments = QueueSpec::new("payment-events-queue")
///     .visibility_timeout(Duration::from_secs(30))
///     .retention(4 * DAY)
///     .dead_letters("payment-events-dlq", 3)
///     .ensure(&clients)
///     .await?;
/// # let _ = payments; Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct QueueSpec {
    name: String,
    attributes: HashMap<QueueAttributeName, String>,
    dead_letters: Option<(String, u32)>,
}

/// AWS's longest retention: how long dead letters are kept.
const FOURTEEN_DAYS: Duration = Duration::from_secs(14 * 86_400);

impl QueueSpec {
    /// A queue of this name; FIFO if it ends in `.fifo`.
    pub fn new(name: impl Into<String>) -> QueueSpec {
        let name = name.into();
        let spec = QueueSpec { name, ..QueueSpec::default() };
        match spec.name.ends_with(".fifo") {
            true => spec.attribute(QueueAttributeName::FifoQueue, "true"),
            false => spec,
        }
    }

    /// How long a received message stays hidden: up to 12 hours.
    #[must_use]
    pub fn visibility_timeout(self, time: Duration) -> QueueSpec {
        self.attribute(QueueAttributeName::VisibilityTimeout, time.as_secs())
    }

    /// How long a message is kept: 60 seconds to 14 days.
    #[must_use]
    pub fn retention(self, time: Duration) -> QueueSpec {
        self.attribute(QueueAttributeName::MessageRetentionPeriod, time.as_secs())
    }

    /// How long a receive waits where it says nothing: up to 20 seconds.
    #[must_use]
    pub fn receive_wait(self, time: Duration) -> QueueSpec {
        self.attribute(QueueAttributeName::ReceiveMessageWaitTimeSeconds, time.as_secs())
    }

    /// FIFO only: equal bodies within five minutes are one message.
    #[must_use]
    pub fn content_based_deduplication(self) -> QueueSpec {
        self.attribute(QueueAttributeName::ContentBasedDeduplication, "true")
    }

    /// FIFO only: throughput limits and deduplication count for each message group by itself.
    #[must_use]
    pub fn limits_per_group(self) -> QueueSpec {
        self.attribute(QueueAttributeName::DeduplicationScope, "messageGroup")
            .attribute(QueueAttributeName::FifoThroughputLimit, "perMessageGroupId")
    }

    /// After `max_receives` receives a message moves to this queue, which is created too and keeps it for 14 days.
    #[must_use]
    pub fn dead_letters(mut self, queue: impl Into<String>, max_receives: u32) -> QueueSpec {
        self.dead_letters = Some((queue.into(), max_receives));
        self
    }

    /// Any other attribute, by AWS's name.
    #[must_use]
    pub fn attribute(mut self, name: QueueAttributeName, value: impl ToString) -> QueueSpec {
        self.attributes.insert(name, value.to_string());
        self
    }

    /// Creates what is missing, and changes the settings of what is there and differs. May be repeated.
    ///
    /// # Errors
    /// What SQS refuses.
    pub async fn ensure(&self, clients: &Clients) -> Result<Queue, Fault> {
        let mut wanted = self.attributes.clone();
        if let Some((name, max_receives)) = &self.dead_letters {
            let graveyard = Box::pin(QueueSpec::new(name).retention(FOURTEEN_DAYS).ensure(clients)).await?;
            let target = graveyard.arn(clients).await?;
            let policy = json!({ "deadLetterTargetArn": target, "maxReceiveCount": max_receives });
            wanted.insert(QueueAttributeName::RedrivePolicy, policy.to_string());
        }
        let create = clients.sqs.create_queue().queue_name(&self.name).set_attributes(Some(wanted.clone()));
        match create.send().await {
            Ok(created) => Ok(Queue::at(created.queue_url().unwrap_or_default())),
            // It is there with other settings. What makes a queue FIFO cannot be set again.
            Err(error) => {
                let fault = Fault::from(error);
                if !fault.code.ends_with("QueueAlreadyExists") && !fault.code.ends_with("QueueNameExists") {
                    return Err(fault);
                }
                let queue = clients.queue(&self.name).await?;
                wanted.remove(&QueueAttributeName::FifoQueue);
                let set =
                    clients.sqs.set_queue_attributes().queue_url(&queue.url).set_attributes(Some(wanted));
                set.send().await?;
                Ok(queue)
            }
        }
    }
}
