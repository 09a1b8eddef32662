//! Event buses declared in code, with the rules that bring their events to queues.

use aws_sdk_eventbridge::types::{SqsParameters, Target};
use serde_json::{Value, json};

use crate::clients::Clients;
use crate::fault::Fault;
use crate::queue::Queue;

/// An existing event bus.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Bus {
    /// Its name, which the API expects.
    pub name: String,
}

impl Bus {
    /// Returns the bus that every account has.
    pub fn default_bus() -> Bus {
        Bus { name: "default".to_owned() }
    }

    /// Creates the bus if it is missing. May be repeated.
    ///
    /// # Errors
    /// Those of EventBridge.
    pub async fn ensure(clients: &Clients, name: impl Into<String>) -> Result<Bus, Fault> {
        let bus = Bus { name: name.into() };
        match clients.events.create_event_bus().name(&bus.name).send().await.map_err(Fault::from) {
            Err(fault) if fault.code != "ResourceAlreadyExistsException" => Err(fault),
            _ => Ok(bus),
        }
    }
}

/// The declaration of a rule that brings events of a bus to a queue.
///
/// A [publisher](crate::Publisher::bus) puts each envelope into the event's `detail`. The queue gets the `detail` alone, so a
/// [`Consumer`](crate::Consumer) reads the same envelope as from a queue or a topic.
///
/// ```no_run
/// # async fn example(clients: toolkit::Clients, large_orders: toolkit::Queue) -> Result<(), toolkit::Fault> {
/// use serde_json::json;
/// use toolkit::{Bus, Publisher, RuleSpec};
///
/// let bus = Bus::ensure(&clients, "orders").await?;
/// RuleSpec::new("large-orders", &large_orders)
///     .types(["order.placed"])
///     .data(json!({ "total": [{ "numeric": [">=", 100] }] }))
///     .ensure(&clients, &bus)
///     .await?;
/// let publisher = Publisher::bus(&clients, &bus).source("shop");
/// # let _ = publisher; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RuleSpec {
    name: String,
    queue: Queue,
    pattern: Value,
    group: Option<String>,
    whole: bool,
}

/// The id of the rule's target.
const TARGET: &str = "queue";

impl RuleSpec {
    /// Declares a rule with this name that brings all events of its account to a queue.
    pub fn new(name: impl Into<String>, queue: &Queue) -> RuleSpec {
        // EventBridge refuses a pattern without conditions.
        let pattern = json!({ "source": [{ "prefix": "" }] });
        RuleSpec { name: name.into(), queue: queue.clone(), pattern, group: None, whole: false }
    }

    /// Selects messages of these types (`detail-type`).
    #[must_use]
    pub fn types<'t>(mut self, types: impl IntoIterator<Item = &'t str>) -> RuleSpec {
        self.pattern["detail-type"] = types.into_iter().collect();
        self
    }

    /// Selects messages of these senders (`source`).
    #[must_use]
    pub fn sources<'s>(mut self, sources: impl IntoIterator<Item = &'s str>) -> RuleSpec {
        self.pattern["source"] = sources.into_iter().collect();
        self
    }

    /// Selects messages whose data match an event pattern: what a [publisher](crate::Publisher::bus) put into its envelopes.
    #[must_use]
    pub fn data(mut self, pattern: Value) -> RuleSpec {
        self.pattern["detail"]["data"] = pattern;
        self
    }

    /// Selects events that match this pattern, whoever put them on the bus. Replaces the other selections.
    #[must_use]
    pub fn pattern(mut self, pattern: Value) -> RuleSpec {
        self.pattern = pattern;
        self
    }

    /// Sets the message group, which a FIFO queue requires. The queue must have content-based deduplication, since events have no
    /// deduplication ids.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> RuleSpec {
        self.group = Some(group.into());
        self
    }

    /// Brings whole events to the queue instead of their details: for events that no toolkit put on the bus. A
    /// [`Consumer`](crate::Consumer) reads the event as an envelope whose type is `detail-type`.
    #[must_use]
    pub fn whole_events(mut self) -> RuleSpec {
        self.whole = true;
        self
    }

    /// Creates the rule and allows it to send to the queue, or updates both. Returns the rule's ARN.
    ///
    /// # Errors
    /// Those of EventBridge or SQS.
    pub async fn ensure(&self, clients: &Clients, bus: &Bus) -> Result<String, Fault> {
        let queue_arn = self.queue.arn(clients).await?;
        let rule = clients.events.put_rule().name(&self.name).event_bus_name(&bus.name);
        let rule = rule.event_pattern(self.pattern.to_string()).send().await?.rule_arn.unwrap_or_default();
        self.queue.allow(clients, &queue_arn, "events.amazonaws.com", &rule).await?;
        let parameters = |group| SqsParameters::builder().message_group_id(group).build();
        let target = Target::builder()
            .id(TARGET)
            .arn(&queue_arn)
            .set_input_path((!self.whole).then(|| "$.detail".to_owned()))
            .set_sqs_parameters(self.group.as_ref().map(parameters))
            .build()
            .map_err(|error| Fault::permanent("Construction", error.to_string()))?;
        let put = clients.events.put_targets().rule(&self.name).event_bus_name(&bus.name).targets(target);
        match put.send().await?.failed_entries.unwrap_or_default().pop() {
            None => Ok(rule),
            Some(failed) => Err(Fault::permanent(
                failed.error_code.unwrap_or_default(),
                failed.error_message.unwrap_or_default(),
            )),
        }
    }
}
