//! Topics declared in code, with their subscriptions.

use std::collections::HashMap;

use serde_json::Value;

use crate::clients::Clients;
use crate::fault::Fault;
use crate::queue::Queue;

/// An existing topic.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Topic {
    /// The topic's ARN, which the API expects.
    pub arn: String,
}

/// The declaration of a topic.
///
/// ```no_run
/// # async fn example(clients: toolkit::Clients, notifications: toolkit::Queue) -> Result<(), toolkit::Fault> {
/// use toolkit::{Publisher, Subscription, TopicSpec};
///
/// let topic = TopicSpec::new("payment-events").ensure(&clients).await?;
/// Subscription::queue(&notifications)
///     .filter(serde_json::json!({ "type": ["PAYMENT_COMPLETED", "REFUND_PROCESSED"] }))
///     .ensure(&clients, &topic)
///     .await?;
/// let publisher = Publisher::topic(&clients, &topic.arn);
/// # let _ = publisher; Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TopicSpec {
    name: String,
    attributes: HashMap<String, String>,
}

impl TopicSpec {
    /// Declares a topic with this name; FIFO if it ends in `.fifo`.
    pub fn new(name: impl Into<String>) -> TopicSpec {
        let spec = TopicSpec { name: name.into(), attributes: HashMap::new() };
        match spec.name.ends_with(".fifo") {
            true => spec.attribute("FifoTopic", "true"),
            false => spec,
        }
    }

    /// Sets an attribute, by AWS's name.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> TopicSpec {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Creates the topic if it is missing. May be repeated.
    ///
    /// # Errors
    /// Those of SNS.
    pub async fn ensure(&self, clients: &Clients) -> Result<Topic, Fault> {
        let call = clients.sns.create_topic().name(&self.name).set_attributes(Some(self.attributes.clone()));
        Ok(Topic { arn: call.send().await?.topic_arn.unwrap_or_default() })
    }
}

/// The declaration of a subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    protocol: String,
    endpoint: Endpoint,
    attributes: HashMap<String, String>,
}

#[derive(Clone, Debug)]
enum Endpoint {
    Queue(Queue),
    Other(String),
}

impl Subscription {
    /// Subscribes a queue, with raw delivery: messages arrive as they were published and keep their message
    /// attributes.
    pub fn queue(queue: &Queue) -> Subscription {
        let attributes = HashMap::from([("RawMessageDelivery".to_owned(), "true".to_owned())]);
        Subscription { protocol: "sqs".to_owned(), endpoint: Endpoint::Queue(queue.clone()), attributes }
    }

    /// Subscribes an endpoint of another protocol: `email`, `sms`, `https`, …
    pub fn endpoint(protocol: impl Into<String>, endpoint: impl Into<String>) -> Subscription {
        let endpoint = Endpoint::Other(endpoint.into());
        Subscription { protocol: protocol.into(), endpoint, attributes: HashMap::new() }
    }

    /// Selects messages whose attributes match this filter policy. A [publisher](crate::Publisher) sets
    /// `type` and `source`.
    #[must_use]
    pub fn filter(self, policy: Value) -> Subscription {
        self.attribute("FilterPolicy", policy.to_string())
    }

    /// Sets an attribute, by AWS's name.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Subscription {
        self.attributes.insert(name.into(), value.into());
        self
    }

    /// Creates the subscription and allows the topic to send to the queue, or updates the attributes of an
    /// existing subscription. Returns its ARN, or `pending confirmation` if the endpoint has to confirm
    /// first.
    ///
    /// # Errors
    /// Those of SNS or SQS.
    pub async fn ensure(&self, clients: &Clients, topic: &Topic) -> Result<String, Fault> {
        let endpoint = match &self.endpoint {
            Endpoint::Other(endpoint) => endpoint.clone(),
            Endpoint::Queue(queue) => {
                let arn = queue.arn(clients).await?;
                queue.allow(clients, &arn, "sns.amazonaws.com", &topic.arn).await?;
                arn
            }
        };
        let call = clients.sns.subscribe().topic_arn(&topic.arn).protocol(&self.protocol).endpoint(endpoint);
        let call = call.set_attributes(Some(self.attributes.clone())).return_subscription_arn(true);
        match call.send().await {
            Ok(subscribed) => Ok(subscribed.subscription_arn.unwrap_or_default()),
            Err(error) => self.change(clients, topic, error.into()).await,
        }
    }

    /// SNS refuses to subscribe an endpoint again with other attributes. They can be set on the existing
    /// subscription.
    async fn change(&self, clients: &Clients, topic: &Topic, refused: Fault) -> Result<String, Fault> {
        let Endpoint::Queue(queue) = &self.endpoint else { return Err(refused) };
        if !refused.message.contains("already exists with different attributes") {
            return Err(refused);
        }
        let arn = queue.arn(clients).await?;
        let mut pages =
            clients.sns.list_subscriptions_by_topic().topic_arn(&topic.arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            for subscription in page?.subscriptions.unwrap_or_default() {
                if subscription.endpoint.as_deref() != Some(&arn) {
                    continue;
                }
                let own = subscription.subscription_arn.unwrap_or_default();
                for (name, value) in &self.attributes {
                    let set = clients.sns.set_subscription_attributes().subscription_arn(&own);
                    set.attribute_name(name).attribute_value(value).send().await?;
                }
                return Ok(own);
            }
        }
        Err(refused)
    }
}
