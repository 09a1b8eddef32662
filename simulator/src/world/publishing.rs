//! Clients that publish and subscribe, and the checks of topics.

use api::sns::{self as shapes, Request};
use bytestring::ByteString;
use collections::dedup::WINDOW_MILLIS;
use kernel::parcel::{Form, is_parcel};
use kernel::{Asker, AttributeValue, Caller, ParcelSent, Secret};
use machine::Command;
use notification::{Keys, Notification, Unsigned};
use sns::operations::Reply as SnsReply;
use sns::{SubscriptionId, ids};
use sqs::operations::receive_message::Delivered;
use sqs::rules::payload::Payload;

use super::clients::body_of;
use super::{Asked, Check, World};
use crate::publishing::{Publish, Standing};
use crate::queues::QUEUES;
use crate::topics::{FILTERS, LETTERS, SUBSCRIPTIONS, Subscription, TOPICS, Target, WITHOUT_ARCHIVES};

pub(crate) const SECRET: Secret = Secret([7; 32]);

/// A request to a topic without an answer yet.
#[derive(Debug)]
pub(super) enum AskedTopic {
    /// A publish of these messages.
    Publish(Vec<usize>),
    /// A declaration of the state that the history recorded then.
    Configure(usize),
}

pub(super) fn text(text: impl Into<ByteString>) -> Option<ByteString> {
    Some(text.into())
}

fn map(pairs: &[(String, String)]) -> Option<api::Map<ByteString>> {
    Some(api::Map(pairs.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()))
}

/// Returns the number in the attribute of a publish.
pub(super) fn number_of(notification: &Notification) -> Option<usize> {
    let number = notification.attributes.iter().find(|attribute| &*attribute.name == "n")?;
    match &number.value {
        AttributeValue::Text(text) => text.parse().ok(),
        AttributeValue::Binary(_) => None,
    }
}

/// Returns whether a subscription's filter policy accepts a message.
pub(super) fn wants(subscription: &sns::topic::Subscription, k: &str) -> Result<bool, String> {
    let filter = subscription.attribute("FilterPolicy").unwrap_or_default();
    let wanted = FILTERS.iter().find(|(policy, _)| *policy == filter);
    let wanted = wanted.ok_or_else(|| format!("a filter that nobody has set: {filter}"))?.1;
    Ok(wanted.is_empty() || wanted.contains(k))
}

impl World {
    // --- clients ---

    pub(super) fn topic_client(&mut self) -> Check {
        if self.options.archives && self.dice.percent(45) {
            return self.archive_client();
        }
        let topic = self.dice.below(self.topics as u64) as usize;
        let which = self.dice.below(self.subscriptions as u64) as usize;
        let configures = 820;
        match self.dice.below(if self.takers_wait() { configures } else { 1000 }) {
            0..300 => self.publish(topic, false),
            300..400 => self.publish(topic, true),
            400..820 => self.endpoint_answers(),
            820..900 => self.subscribe(which),
            900..930 => self.confirm(which),
            930..950 => self.unsubscribe(which),
            950..965 => self.set_subscription(which),
            965..985 => self.create_topic(topic),
            985..990 => self.delete_topic(topic),
            _ => Ok(()),
        }
    }

    /// Whether subscriptions are still to get messages that were published. Who is to get them is known when they are published,
    /// so nobody changes topics or queues meanwhile.
    pub(super) fn takers_wait(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.machine.sns().messages_in_steps() > 0)
    }

    pub(super) fn ask_topic(&mut self, topic: usize, request: Request, asked: AskedTopic) -> Check {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: self.dice.percent(80),
        };
        let configures = matches!(asked, AskedTopic::Configure(_));
        if configures {
            trace!(self, "{request:?}");
        }
        let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
        let (command, _) = sns::operations::prepare(request, &asker)
            .map_err(|refusal| format!("{asked:?} is refused before it is asked: {refusal:?}"))?;
        let ticket = self.ask_any(Command::Sns(command), Asked::Topic(asked))?;
        if configures {
            let state = self.topic_state(topic)?;
            self.history.declare_topic(topic, ticket, state);
            if topic >= WITHOUT_ARCHIVES {
                self.look_at_replays(topic)?;
            }
        }
        Ok(())
    }

    pub(super) fn create_topic(&mut self, topic: usize) -> Check {
        let plan = &TOPICS[topic];
        let attributes: Vec<(String, String)> =
            plan.attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let input = shapes::CreateTopicInput {
            name: text(plan.name),
            attributes: map(&attributes),
            ..Default::default()
        };
        self.ask_topic(topic, Request::CreateTopic(input), AskedTopic::Configure(topic))
    }

    fn delete_topic(&mut self, topic: usize) -> Check {
        self.replays_may_end(topic)?;
        let server = self.server()?;
        let subscriptions: Vec<u64> = match server.machine.sns().topic(&TOPICS[topic].key()) {
            Some(topic) => topic.subscriptions.iter().map(|id| id.0).collect(),
            None => return Ok(()),
        };
        subscriptions.into_iter().for_each(|id| self.history.publishing.excuse(id));
        let input = shapes::DeleteTopicInput { topic_arn: text(TOPICS[topic].key().arn().to_string()) };
        self.ask_topic(topic, Request::DeleteTopic(input), AskedTopic::Configure(topic))
    }

    pub(super) fn subscribe(&mut self, which: usize) -> Check {
        let plan = &SUBSCRIPTIONS[which];
        let input = shapes::SubscribeInput {
            topic_arn: text(TOPICS[plan.topic].key().arn().to_string()),
            protocol: text(plan.protocol()),
            endpoint: text(plan.endpoint()),
            attributes: map(&plan.attributes()),
            return_subscription_arn: Some(true),
        };
        self.ask_topic(plan.topic, Request::Subscribe(input), AskedTopic::Configure(plan.topic))
    }

    /// Returns the machine's number and ARN of a subscription, if it exists.
    pub(super) fn subscription(&self, plan: &Subscription) -> Option<(SubscriptionId, String)> {
        let sns = self.server.as_ref()?.machine.sns();
        let topic = sns.topic(&TOPICS[plan.topic].key())?;
        let subscription = sns.subscription_to(topic.id(), plan.protocol(), &plan.endpoint())?;
        Some((subscription.id(), subscription.arn.clone()))
    }

    fn confirm(&mut self, which: usize) -> Check {
        let plan = &SUBSCRIPTIONS[which];
        let Some((id, _)) = self.subscription(plan) else { return Ok(()) };
        let input = shapes::ConfirmSubscriptionInput {
            topic_arn: text(TOPICS[plan.topic].key().arn().to_string()),
            token: text(ids::confirmation_token(&SECRET, id)),
            authenticate_on_unsubscribe: None,
        };
        self.ask_topic(plan.topic, Request::ConfirmSubscription(input), AskedTopic::Configure(plan.topic))
    }

    pub(super) fn unsubscribe(&mut self, which: usize) -> Check {
        let plan = &SUBSCRIPTIONS[which];
        self.replays_may_end(plan.topic)?;
        let Some((id, arn)) = self.subscription(plan) else { return Ok(()) };
        self.history.publishing.excuse(id.0);
        let input = shapes::UnsubscribeInput { subscription_arn: text(arn) };
        self.ask_topic(plan.topic, Request::Unsubscribe(input), AskedTopic::Configure(plan.topic))
    }

    pub(super) fn set_subscription(&mut self, which: usize) -> Check {
        let plan = &SUBSCRIPTIONS[which];
        let Some((_, arn)) = self.subscription(plan) else { return Ok(()) };
        let (name, value) = match self.dice.percent(50) {
            true => ("RawMessageDelivery", if self.dice.percent(50) { "true" } else { "false" }),
            false => ("FilterPolicy", self.dice.pick(&FILTERS).0),
        };
        let input = shapes::SetSubscriptionAttributesInput {
            subscription_arn: text(arn),
            attribute_name: text(name),
            attribute_value: text(value),
        };
        self.ask_topic(
            plan.topic,
            Request::SetSubscriptionAttributes(input),
            AskedTopic::Configure(plan.topic),
        )
    }

    pub(super) fn publish(&mut self, topic: usize, batch: bool) -> Check {
        let plan = &TOPICS[topic];
        let server = self.server()?;
        let Some(topic_now) = server.machine.sns().topic(&plan.key()) else { return Ok(()) };
        let (id, archived) = (topic_now.id().0, topic_now.is_archived());
        let keeps = topic >= WITHOUT_ARCHIVES;
        let next_seq = server.machine.next_number();
        let count = if batch { 1 + self.dice.below(10) } else { 1 };
        let mut numbers = Vec::new();
        let mut entries = Vec::new();
        for entry in 0..count {
            let number = self.history.publishing.publishes.len();
            let again: Vec<usize> = (number.saturating_sub(40)..number)
                .filter(|&other| self.history.publishing.publishes[other].topic == id)
                // A queue treats a replayed message as the original. To avoid conflicts, the ids of an
                // archived topic are used again only while the topic itself remembers them.
                .filter(|&other| !keeps || self.is_fresh(other))
                .collect();
            let repeated = plan.is_fifo() && !again.is_empty() && self.dice.percent(25);
            let original = if repeated { *self.dice.pick(&again) } else { number };
            let body = match repeated {
                true => self.history.publishing.publishes[original].body.clone(),
                false => {
                    let length = *self.dice.pick(&[0, 10, 100, 100, 700, 2500]);
                    format!("p{}", body_of(original, length))
                }
            };
            let group = plan.is_fifo().then(|| format!("g{}", self.dice.below(4)));
            let id_of_text = plan.is_fifo().then(|| body.split(' ').next().unwrap_or_default().to_owned());
            let k = *self.dice.pick(&["a", "b", "c"]);
            let standing = Standing::Asked;
            let publish = Publish {
                topic: id,
                deduplication: None,
                group: group.clone(),
                body: body.clone(),
                k,
                archived,
                archive_given_up: false,
                at: self.now,
                next_seq,
                standing,
                number: None,
                copies: Vec::new(),
                deliveries: Vec::new(),
            };
            self.expect_of(topic, publish, id_of_text.clone())?;
            self.outcome.publishes += 1;
            numbers.push(number);
            let attribute = |data_type: &'static str, value: String| shapes::MessageAttributeValue {
                data_type: text(data_type),
                string_value: text(value),
                binary_value: None,
            };
            let attributes = vec![
                ("k".into(), attribute("String", k.to_owned())),
                ("n".into(), attribute("Number", number.to_string())),
            ];
            entries.push(shapes::PublishBatchRequestEntry {
                id: text(entry.to_string()),
                message: text(body),
                message_attributes: Some(api::Map(attributes)),
                message_deduplication_id: id_of_text
                    .filter(|_| !plan.is_content_based())
                    .map(ByteString::from),
                message_group_id: group.map(ByteString::from),
                ..Default::default()
            });
        }
        let topic_arn = text(plan.key().arn().to_string());
        let request = match entries.pop() {
            Some(entry) if !batch => Request::Publish(shapes::PublishInput {
                topic_arn,
                message: entry.message,
                message_attributes: entry.message_attributes,
                message_deduplication_id: entry.message_deduplication_id,
                message_group_id: entry.message_group_id,
                ..Default::default()
            }),
            last => {
                entries.extend(last);
                let publish_batch_request_entries = Some(entries);
                Request::PublishBatch(shapes::PublishBatchInput { topic_arn, publish_batch_request_entries })
            }
        };
        self.ask_topic(topic, request, AskedTopic::Publish(numbers))
    }

    /// Returns the takers of a publish.
    fn expect_of(&mut self, topic: usize, publish: Publish, id_of_text: Option<String>) -> Check {
        let now = self.now;
        let (body, group, k, next_seq) =
            (publish.body.clone(), publish.group.clone(), publish.k, publish.next_seq);
        // The deduplication keys: of the topic, and of each queue.
        let same = |by_group: bool| {
            let id = id_of_text.clone()?;
            Some(match &group {
                Some(group) if by_group => format!("{id} in {group}"),
                _ => id,
            })
        };
        let deduplication = same(TOPICS[topic].deduplicates_by_group());
        self.history.publish(Publish { deduplication, ..publish });
        let publish = self.history.publishing.publishes.len() - 1;
        for plan in SUBSCRIPTIONS.iter().filter(|plan| plan.topic == topic) {
            let Some((subscription, _)) = self.subscription(plan) else { continue };
            let known = self.server()?.machine.sns().subscription(subscription);
            let Some(known) = known.filter(|known| known.is_confirmed()) else { continue };
            if !known.gets_new_messages() {
                self.owe(plan, publish)?;
                continue;
            }
            if !wants(known, k)? {
                continue;
            }
            let raw = known.is_raw();
            if let Target::Web(_) = plan.target {
                self.history.publishing.expect(publish, subscription.0, plan.retries);
                continue;
            }
            let Some((queue, queue_id)) = self.target_of(plan) else { continue };
            let fifo = QUEUES[queue].is_fifo();
            let message = self.history.send(
                queue,
                queue_id,
                // A FIFO topic does not pass its groups to standard queues.
                group.clone().filter(|_| fifo),
                same(QUEUES[queue].deduplicates_by_group()).filter(|_| fifo),
                body.clone(),
                if fifo { 0 } else { QUEUES[queue].delay },
                now,
                next_seq,
            );
            self.history.copy(publish, subscription.0, message, raw);
        }
        Ok(())
    }

    /// Returns the queue for a subscription's messages: its own, or the dead-letter queue.
    pub(super) fn target_of(&self, plan: &Subscription) -> Option<(usize, sqs::QueueId)> {
        let own = match plan.target {
            Target::Queue(queue) => self.id(queue).map(|id| (queue, id)),
            Target::NoQueue | Target::Web(_) => None,
        };
        own.or_else(|| Some((LETTERS, self.id(LETTERS).filter(|_| plan.has_letters)?)))
    }

    /// Returns whether a topic still remembers the id, and this is not an earlier publish.
    fn is_fresh(&self, number: usize) -> bool {
        let publish = &self.history.publishing.publishes[number];
        publish.body.starts_with(&format!("p{number} ")) && publish.at + WINDOW_MILLIS > self.now
    }

    // --- answers ---

    pub(super) fn topic_answered(
        &mut self,
        ticket: u64,
        asked: AskedTopic,
        answer: Result<SnsReply, kernel::Refusal>,
        low: bool,
    ) -> Check {
        match (asked, answer) {
            (AskedTopic::Publish(numbers), Err(refusal)) if low && refusal.shape == "ServiceUnavailable" => {
                self.outcome.full += 1;
                numbers.iter().for_each(|&number| self.history.publish_refused(number));
            }
            (AskedTopic::Publish(numbers), Ok(SnsReply::Published(published))) => {
                self.history.published(numbers[0], published.number)?;
            }
            (AskedTopic::Publish(numbers), Ok(SnsReply::PublishedBatch(published))) => {
                if numbers.len() != published.len() {
                    return Err(format!("{numbers:?} were published, and {published:?} answered"));
                }
                for (&number, (_, published)) in numbers.iter().zip(&published) {
                    self.history.published(number, published.number)?;
                }
            }
            (AskedTopic::Configure(topic), _) => self.history.declared_topic(topic, ticket),
            (asked, answer) => return Err(format!("{asked:?} was answered {answer:?}")),
        }
        Ok(())
    }

    /// Reads a record as a queue's client: returns its number, and the message in the history.
    pub(super) fn read(
        &self,
        delivered: &Delivered,
        record: &journal::Record,
    ) -> Result<(usize, Payload), String> {
        let unreadable = |_| format!("{delivered:?} was given and is no message");
        if !is_parcel(&record.head) {
            let payload = Payload::decode(&record.tail).map_err(unreadable)?;
            let number = match payload.attributes.first().map(|attribute| &attribute.value) {
                Some(AttributeValue::Text(text)) => text.parse::<usize>().ok(),
                _ => None,
            };
            let number = number.ok_or_else(|| format!("{delivered:?} is no message that was sent"))?;
            return Ok((number, payload));
        }
        let parcel = ParcelSent::decode(&record.head).map_err(unreadable)?;
        let notification = Notification::decode(&record.tail).map_err(unreadable)?;
        let publish = number_of(&notification)
            .ok_or_else(|| format!("{delivered:?} is nothing that was published: {notification:?}"))?;
        let copy = parcel
            .copy(delivered.copy.0)
            .ok_or_else(|| format!("{delivered:?} is none of the copies of {parcel:?}"))?;
        let Form { recipient: subscription, replayed, .. } = copy.form;
        let known = self.history.publishing.copy(publish, subscription, copy.origin, replayed);
        let Some((number, raw)) = known else {
            return Err(format!(
                "publish {publish} was given to subscription {}, which did not want it",
                copy.form.recipient
            ));
        };
        let told = self.history.publishing.publishes[publish].number;
        if told.is_some_and(|told| told != parcel.number) {
            return Err(format!("publish {publish} was told to be {told:?}, and is {}", parcel.number));
        }
        let keys = Keys { secret: &SECRET, signer: &Unsigned };
        let mut payload =
            sqs::rules::unpack::unpack(&parcel, copy, &record.tail, &keys).map_err(unreadable)?;
        if copy.form.raw != raw {
            return Err(format!("publish {publish} was given in another form than was wanted: {copy:?}"));
        }
        if !raw {
            let body = &self.history.messages[number].body;
            if !payload.body.contains(&format!("\"Message\":\"{body}\"")) {
                return Err(format!("publish {publish} has another body: {}", payload.body));
            }
            if payload.body.ends_with(",\"Replayed\":true}") != replayed {
                return Err(format!("publish {publish} is marked wrong: {}", payload.body));
            }
            payload.body = body.as_str().into();
        }
        Ok((number, payload))
    }

    // --- ends and beginnings ---

    /// Checks the topics after a start.
    pub(super) fn check_topics(&mut self) -> Check {
        for topic in 0..self.topics {
            let state = self.topic_state(topic)?;
            self.history.found_topic(topic, state)?;
        }
        if self.options.archives {
            self.forget_lost_replays()?;
        }
        self.check_deliveries()
    }

    pub(super) fn check_deliveries(&self) -> Check {
        let sns = self.server.as_ref().ok_or("the server is not running")?.machine.sns();
        self.history.publishing.check(|number| sns.is_pending(number), sns.deliveries_pending())
    }

    /// Returns a topic and its confirmed subscriptions, as text.
    fn topic_state(&self, topic: usize) -> Result<String, String> {
        let sns = self.server.as_ref().ok_or("the server is not running")?.machine.sns();
        let Some(topic) = sns.topic(&TOPICS[topic].key()) else { return Ok("none".into()) };
        let mut state =
            format!("{:?} {:?} {:?}", topic.id(), topic.declared.attributes, topic.declared.created);
        // Unconfirmed subscriptions expire without a record.
        for subscription in topic.subscriptions.iter().filter_map(|&id| sns.subscription(id)) {
            if subscription.is_confirmed() {
                let mut declared = subscription.declared.clone();
                // A replay ends without a record, too.
                declared.attributes.remove("ReplayStatus");
                state += &format!("; {declared:?}");
            }
        }
        Ok(state)
    }

    /// The parts of the topics' state that must be the same after a replay of the log.
    pub(super) fn portrait_of_topics(&self) -> Result<String, String> {
        let mut portrait = String::new();
        for topic in 0..TOPICS.len() {
            portrait += &self.topic_state(topic)?;
        }
        let sns = self.server.as_ref().ok_or("the server is not running")?.machine.sns();
        for (number, pending) in sns.pending() {
            portrait += &format!("; {number}: {:?} {} {:?}", pending.parcel, pending.attempts, pending.form);
        }
        Ok(portrait)
    }

    /// Deletes all topics and queues: then nothing must be left.
    pub(super) fn delete_all(&mut self) -> Check {
        if self.options.archives {
            self.give_up_archives()?;
        }
        for topic in 0..TOPICS.len() {
            self.delete_topic(topic)?;
        }
        self.settle()?;
        self.endpoints_answer_well()?;
        self.settle()?;
        let left = self.server()?.machine.sns().deliveries_pending();
        if left > 0 {
            return Err(format!("{left} deliveries are pending, though there are no topics"));
        }
        Ok(())
    }
}
