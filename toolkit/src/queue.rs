//! Queues declared in code: created if missing, and updated if their settings differ.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::fault::Fault;

/// An existing queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Queue {
    /// The queue's URL, which the API expects.
    pub url: String,
}

impl Queue {
    /// Returns the queue at this URL, without a request.
    pub fn at(url: impl Into<String>) -> Queue {
        Queue { url: url.into() }
    }

    /// Returns the last part of the URL.
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// Returns whether it is a FIFO queue.
    pub fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// Requests its ARN.
    ///
    /// # Errors
    /// The queue does not exist any more.
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

    /// Adds a statement to the queue's policy that allows a service to send for this source, such as a topic,
    /// unless it exists. `queue_arn`: the queue's own ARN.
    pub(crate) async fn allow(
        &self,
        clients: &Clients,
        queue_arn: &str,
        service: &str,
        source_arn: &str,
    ) -> Result<(), Fault> {
        let found = self.attribute(clients, QueueAttributeName::Policy).await?;
        let mut policy: Value = found
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_else(|| json!({ "Version": "2012-10-17", "Statement": [] }));
        let statement = json!({
            "Effect": "Allow",
            "Principal": { "Service": service },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": source_arn } },
        });
        let Some(statements) = policy["Statement"].as_array_mut() else {
            return Err(Fault::permanent(
                "Policy",
                format!("the policy of {} is not as AWS writes it", self.name()),
            ));
        };
        if statements.contains(&statement) {
            return Ok(());
        }
        statements.push(statement);
        let call = clients.sqs.set_queue_attributes().queue_url(&self.url);
        call.attributes(QueueAttributeName::Policy, policy.to_string()).send().await?;
        Ok(())
    }
}

/// The declaration of a queue. Undeclared settings stay as they are (in a new queue: AWS's defaults).
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

/// AWS's longest retention, used for dead letters.
const FOURTEEN_DAYS: Duration = Duration::from_secs(14 * 86_400);

impl QueueSpec {
    /// Declares a queue with this name; FIFO if it ends in `.fifo`.
    pub fn new(name: impl Into<String>) -> QueueSpec {
        let name = name.into();
        let spec = QueueSpec { name, ..QueueSpec::default() };
        match spec.name.ends_with(".fifo") {
            true => spec.attribute(QueueAttributeName::FifoQueue, "true"),
            false => spec,
        }
    }

    /// Sets the visibility timeout: up to 12 hours.
    #[must_use]
    pub fn visibility_timeout(self, time: Duration) -> QueueSpec {
        self.attribute(QueueAttributeName::VisibilityTimeout, time.as_secs())
    }

    /// Sets the retention period: 60 seconds to 14 days.
    #[must_use]
    pub fn retention(self, time: Duration) -> QueueSpec {
        self.attribute(QueueAttributeName::MessageRetentionPeriod, time.as_secs())
    }

    /// Sets the default wait of a receive: up to 20 seconds.
    #[must_use]
    pub fn receive_wait(self, time: Duration) -> QueueSpec {
        self.attribute(QueueAttributeName::ReceiveMessageWaitTimeSeconds, time.as_secs())
    }

    /// FIFO only: treats equal bodies within five minutes as one message.
    #[must_use]
    pub fn content_based_deduplication(self) -> QueueSpec {
        self.attribute(QueueAttributeName::ContentBasedDeduplication, "true")
    }

    /// FIFO only: applies throughput limits and deduplication per message group.
    #[must_use]
    pub fn limits_per_group(self) -> QueueSpec {
        self.attribute(QueueAttributeName::DeduplicationScope, "messageGroup")
            .attribute(QueueAttributeName::FifoThroughputLimit, "perMessageGroupId")
    }

    /// Moves a message to this dead-letter queue after `max_receives` receives. The dead-letter queue is
    /// created, too, with a retention of 14 days.
    #[must_use]
    pub fn dead_letters(mut self, queue: impl Into<String>, max_receives: u32) -> QueueSpec {
        self.dead_letters = Some((queue.into(), max_receives));
        self
    }

    /// Sets any other attribute, by AWS's name.
    #[must_use]
    pub fn attribute(mut self, name: QueueAttributeName, value: impl ToString) -> QueueSpec {
        self.attributes.insert(name, value.to_string());
        self
    }

    /// Creates the queue if it is missing, and updates settings that differ. May be repeated.
    ///
    /// # Errors
    /// Those of SQS.
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
            // The queue exists with other settings. The settings that make it FIFO cannot be changed.
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
