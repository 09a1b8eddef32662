//! Topics and the queues that they feed beside a small, obvious model: whoever subscribes to what, and whatever is
//! published, each queue holds what it should and nothing else.

use std::collections::BTreeMap;

use api::sns::{self as shapes, Request};
use bytestring::ByteString;
use kernel::{Asker, AttributeValue, Caller, ParcelSent, Refusal, Secret, Time};
use machine::{Answer, Command, Input, Reply};
use notification::{Keys, Unsigned};
use proptest::prelude::*;
use simulator::dice::Dice;
use simulator::disks::Disks;
use simulator::server::Server;
use sns::TopicKey;
use sns::operations::Reply as Told;
use sqs::QueueKey;
use sqs::operations::receive_message::Delivered;
use sqs::operations::{self, Receive, Reply as Answered};

const SECRET: Secret = Secret([7; 32]);

/// The deduplication interval in milliseconds.
const WINDOW: u64 = 300_000;

const QUEUES: [&str; 3] = ["one", "two", "order.fifo"];

/// Two standard topics; a FIFO topic whose publishers give ids; one that compares contents, group by group.
const TOPICS: [&str; 4] = ["news", "side", "order.fifo", "content.fifo"];
const CONTENT: usize = 3;

fn is_fifo(name: &str) -> bool {
    name.ends_with(".fifo")
}

/// What a filter policy says, and what that means of `k` and `n`.
type Filter = (&'static str, fn(Option<&str>, u8) -> bool);

const FILTERS: [Filter; 8] = [
    ("", |_, _| true),
    (r#"{"k":["a"]}"#, |k, _| k == Some("a")),
    (r#"{"k":["a","b"]}"#, |k, _| matches!(k, Some("a" | "b"))),
    (r#"{"k":[{"anything-but":["a"]}]}"#, |k, _| k.is_some_and(|k| k != "a")),
    (r#"{"k":[{"exists":false}]}"#, |k, _| k.is_none()),
    (r#"{"n":[{"numeric":[">",5]}]}"#, |_, n| n > 5),
    (r#"{"k":["a"],"n":[{"numeric":["<=",5]}]}"#, |k, n| k == Some("a") && n <= 5),
    (r#"{"$or":[{"k":["b"]},{"n":[7]}]}"#, |k, n| k == Some("b") || n == 7),
];

const SCOPES: [&str; 2] = ["MessageAttributes", "MessageBody"];

/// What somebody publishes: with `k` and `n` in attributes and, other ones, in the text.
#[derive(Clone, Copy, Debug)]
struct Post {
    attributes: (Option<&'static str>, u8),
    text: (Option<&'static str>, u8),
    group: u8,
    id: u8,
}

impl Post {
    fn body(&self) -> String {
        let (k, n) = self.text;
        match k {
            Some(k) => format!(r#"{{"k":"{k}","n":{n}}}"#),
            None => format!(r#"{{"n":{n}}}"#),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    CreateTopic(usize),
    DeleteTopic(usize),
    CreateQueue(usize),
    DeleteQueue(usize),
    Subscribe { topic: usize, queue: usize, raw: bool, filter: usize, scope: usize },
    Unsubscribe { topic: usize, queue: usize },
    SetRaw { topic: usize, queue: usize, raw: bool },
    SetFilter { topic: usize, queue: usize, filter: usize },
    SetScope { topic: usize, queue: usize, scope: usize },
    Publish { topic: usize, posts: Vec<Post>, batch: bool },
    Empty(usize),
    Wait(u64),
}

fn post() -> impl Strategy<Value = Post> {
    let k = || prop::sample::select(vec![None, Some("a"), Some("b"), Some("c")]);
    let pair = || (k(), 4..9u8);
    (pair(), pair(), 0..3u8, 0..6u8).prop_map(|(attributes, text, group, id)| Post {
        attributes,
        text,
        group,
        id,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (topic, queue) = (0..TOPICS.len(), 0..QUEUES.len());
    let pair = (topic.clone(), queue.clone());
    let wait = prop_oneof![6 => 0..3_000u64, 2 => 3_000..200_000u64, 1 => 200_000..400_000u64];
    prop_oneof![
        2 => topic.clone().prop_map(Step::CreateTopic),
        1 => topic.clone().prop_map(Step::DeleteTopic),
        2 => queue.clone().prop_map(Step::CreateQueue),
        1 => queue.clone().prop_map(Step::DeleteQueue),
        8 => (pair.clone(), any::<bool>(), 0..FILTERS.len(), 0..SCOPES.len()).prop_map(
            |((topic, queue), raw, filter, scope)| Step::Subscribe { topic, queue, raw, filter, scope }
        ),
        2 => pair.clone().prop_map(|(topic, queue)| Step::Unsubscribe { topic, queue }),
        2 => (pair.clone(), any::<bool>())
            .prop_map(|((topic, queue), raw)| Step::SetRaw { topic, queue, raw }),
        3 => (pair.clone(), 0..FILTERS.len())
            .prop_map(|((topic, queue), filter)| Step::SetFilter { topic, queue, filter }),
        2 => (pair, 0..SCOPES.len())
            .prop_map(|((topic, queue), scope)| Step::SetScope { topic, queue, scope }),
        16 => (topic.clone(), post())
            .prop_map(|(topic, post)| Step::Publish { topic, posts: vec![post], batch: false }),
        8 => (topic, prop::collection::vec(post(), 1..=10))
            .prop_map(|(topic, posts)| Step::Publish { topic, posts, batch: true }),
        3 => queue.prop_map(Step::Empty),
        4 => wait.prop_map(Step::Wait),
    ]
}

#[derive(Clone, Debug)]
struct Subscription {
    arn: String,
    raw: bool,
    filter: usize,
    scope: usize,
}

impl Subscription {
    fn wants(&self, post: &Post) -> bool {
        let (k, n) = if self.scope == 0 { post.attributes } else { post.text };
        FILTERS[self.filter].1(k, n)
    }
}

#[derive(Default, Debug)]
struct Topic {
    /// By the index of the queue.
    subscriptions: BTreeMap<usize, Subscription>,
    /// When something was accepted under an id, and its number.
    ids: BTreeMap<String, (u64, u64)>,
}

/// What a queue's message must be: the number of the publish, how it is wrapped, and what was published.
type Expected = (u64, bool, Post);

#[derive(Default, Debug)]
struct Queue {
    messages: Vec<Expected>,
    ids: BTreeMap<String, u64>,
}

struct World {
    server: Server,
    now: Time,
    topics: [Option<Topic>; TOPICS.len()],
    queues: [Option<Queue>; QUEUES.len()],
}

fn queue_key(queue: usize) -> QueueKey {
    QueueKey { account: "000000000000".into(), region: "us-east-1".into(), name: QUEUES[queue].into() }
}

fn topic_key(topic: usize) -> TopicKey {
    TopicKey { account: "000000000000".into(), region: "us-east-1".into(), name: TOPICS[topic].into() }
}

fn text(text: impl Into<ByteString>) -> Option<ByteString> {
    Some(text.into())
}

fn map(pairs: &[(&'static str, &'static str)]) -> Option<api::Map<ByteString>> {
    Some(api::Map(pairs.iter().map(|&(name, value)| (name.into(), value.into())).collect()))
}

impl World {
    fn new() -> Self {
        let mut dice = Dice::from_seed(1);
        let disk = Disks::new(dice.split().into());
        let log = journal::Options { segment_bytes: 64 << 10, log_id: 1, durable: true, recycled: 0 };
        let now = Time(1_700_000_000_000);
        let server = Server::start(&disk, &log, SECRET, now, None, &mut dice).unwrap();
        let mut world = World { server, now, topics: Default::default(), queues: Default::default() };
        world.settle();
        for topic in 0..TOPICS.len() {
            world.step(&Step::CreateTopic(topic));
        }
        for queue in 0..QUEUES.len() {
            world.step(&Step::CreateQueue(queue));
        }
        world
    }

    fn settle(&mut self) -> Vec<Answer> {
        self.server.settle(self.now).unwrap()
    }

    fn ask_any(&mut self, command: Command) -> Answer {
        self.server.machine.handle(self.now, Input::Request { ticket: 1, command });
        let mut answers = self.settle();
        assert_eq!(answers.len(), 1, "every request here is answered at once");
        answers.remove(0)
    }

    fn ask_queue(&mut self, command: operations::Command) -> Result<Answered, Refusal> {
        match self.ask_any(Command::Sqs(command))? {
            Reply::Sqs(reply) => Ok(reply),
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, request: Request) -> Result<Told, Refusal> {
        let caller = Caller {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            principal: "000000000000".into(),
            signed: true,
        };
        let asker = Asker { caller: &caller, base: "http://localhost:4566", trace: None };
        let (command, _) = sns::operations::prepare(request, &asker)?;
        match self.ask_any(Command::Sns(command))? {
            Reply::Sns(reply) => Ok(reply),
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::CreateTopic(topic) => {
                let attributes: &[(&str, &str)] = match topic {
                    CONTENT => &[
                        ("FifoTopic", "true"),
                        ("ContentBasedDeduplication", "true"),
                        ("FifoThroughputScope", "MessageGroup"),
                    ],
                    _ if is_fifo(TOPICS[topic]) => &[("FifoTopic", "true")],
                    _ => &[],
                };
                let input = shapes::CreateTopicInput {
                    name: text(TOPICS[topic]),
                    attributes: map(attributes),
                    ..Default::default()
                };
                self.ask(Request::CreateTopic(input)).unwrap();
                self.topics[topic].get_or_insert_default();
            }
            Step::DeleteTopic(topic) => {
                let input = shapes::DeleteTopicInput { topic_arn: text(topic_key(topic).arn().to_string()) };
                self.ask(Request::DeleteTopic(input)).unwrap();
                self.topics[topic] = None;
            }
            Step::CreateQueue(queue) => {
                let fifo = is_fifo(QUEUES[queue]).then_some(("FifoQueue", "true"));
                let create = operations::create_queue::CreateQueue::new(queue_key(queue), fifo, []).unwrap();
                self.ask_queue(operations::Command::CreateQueue(create)).unwrap();
                self.queues[queue].get_or_insert_default();
            }
            Step::DeleteQueue(queue) => {
                let delete = operations::delete_queue::DeleteQueue { queue: queue_key(queue) };
                let answer = self.ask_queue(operations::Command::DeleteQueue(delete));
                assert_eq!(answer.is_ok(), self.queues[queue].take().is_some());
            }
            Step::Subscribe { topic, queue, raw, filter, scope } => {
                self.subscribe(topic, queue, &Subscription { arn: String::new(), raw, filter, scope });
            }
            Step::Unsubscribe { topic, queue } => {
                let Some(known) = self.subscription(topic, queue) else { return };
                let input = shapes::UnsubscribeInput { subscription_arn: text(known.arn.clone()) };
                self.ask(Request::Unsubscribe(input)).unwrap();
                let known = self.topics[topic].as_mut().unwrap();
                known.subscriptions.remove(&queue);
            }
            Step::SetRaw { topic, queue, raw } => {
                let value = if raw { "true" } else { "false" };
                self.set(topic, queue, "RawMessageDelivery", value, |known| known.raw = raw);
            }
            Step::SetFilter { topic, queue, filter } => {
                self.set(topic, queue, "FilterPolicy", FILTERS[filter].0, |known| known.filter = filter);
            }
            Step::SetScope { topic, queue, scope } => {
                self.set(topic, queue, "FilterPolicyScope", SCOPES[scope], |known| known.scope = scope);
            }
            Step::Publish { topic, ref posts, batch } => self.publish(topic, posts, batch),
            Step::Empty(queue) => self.empty(queue),
            Step::Wait(millis) => {
                self.now = self.now + millis;
                self.server.pass_time(self.now);
                self.settle();
            }
        }
    }

    fn subscription(&mut self, topic: usize, queue: usize) -> Option<&mut Subscription> {
        self.topics[topic].as_mut()?.subscriptions.get_mut(&queue)
    }

    fn subscribe(&mut self, topic: usize, queue: usize, wanted: &Subscription) {
        let raw = ("RawMessageDelivery", if wanted.raw { "true" } else { "false" });
        let filter =
            [("FilterPolicy", FILTERS[wanted.filter].0), ("FilterPolicyScope", SCOPES[wanted.scope])];
        let filter = if wanted.filter > 0 { &filter[..] } else { &[] };
        let input = shapes::SubscribeInput {
            topic_arn: text(topic_key(topic).arn().to_string()),
            protocol: text("sqs"),
            endpoint: text(queue_key(queue).arn().to_string()),
            attributes: map(&[&[raw], filter].concat()),
            return_subscription_arn: None,
        };
        let answer = self.ask(Request::Subscribe(input));
        if is_fifo(QUEUES[queue]) && !is_fifo(TOPICS[topic]) {
            assert_eq!(answer.unwrap_err().shape, "InvalidParameterException");
            return;
        }
        let Some(known) = &mut self.topics[topic] else {
            assert_eq!(answer.unwrap_err().shape, "NotFoundException");
            return;
        };
        if let Some(known) = known.subscriptions.get(&queue) {
            let same = known.raw == wanted.raw
                && (wanted.filter == 0 || (known.filter == wanted.filter && known.scope == wanted.scope));
            match answer {
                Ok(Told::Subscription(arn)) => assert!(same && arn == known.arn, "{known:?}"),
                Err(refusal) => assert!(!same && refusal.shape == "InvalidParameterException", "{known:?}"),
                other => panic!("{other:?}"),
            }
            return;
        }
        let Ok(Told::Subscription(arn)) = answer else { panic!("{answer:?}") };
        let scope = if wanted.filter > 0 { wanted.scope } else { 0 };
        known.subscriptions.insert(queue, Subscription { arn, scope, ..*wanted });
    }

    fn set(&mut self, topic: usize, queue: usize, name: &str, value: &str, then: impl Fn(&mut Subscription)) {
        let Some(known) = self.subscription(topic, queue) else { return };
        let input = shapes::SetSubscriptionAttributesInput {
            subscription_arn: text(known.arn.clone()),
            attribute_name: text(name),
            attribute_value: text(value),
        };
        then(known);
        self.ask(Request::SetSubscriptionAttributes(input)).unwrap();
    }

    fn publish(&mut self, topic: usize, posts: &[Post], batch: bool) {
        let fifo = is_fifo(TOPICS[topic]);
        let entry = |(at, post): (usize, &Post)| {
            let attribute = |data_type: &'static str, value: String| shapes::MessageAttributeValue {
                data_type: text(data_type),
                string_value: text(value),
                binary_value: None,
            };
            let (k, n) = post.attributes;
            let mut attributes: Vec<_> =
                k.map(|k| ("k".into(), attribute("String", k.to_owned()))).into_iter().collect();
            attributes.push(("n".into(), attribute("Number", n.to_string())));
            shapes::PublishBatchRequestEntry {
                id: text(at.to_string()),
                message: text(post.body()),
                message_attributes: Some(api::Map(attributes)),
                message_group_id: text(format!("g{}", post.group)),
                message_deduplication_id: if fifo && topic != CONTENT {
                    text(format!("i{}", post.id))
                } else {
                    None
                },
                ..Default::default()
            }
        };
        let mut entries: Vec<_> = posts.iter().enumerate().map(entry).collect();
        let topic_arn = text(topic_key(topic).arn().to_string());
        let request = if batch {
            Request::PublishBatch(shapes::PublishBatchInput {
                topic_arn,
                publish_batch_request_entries: Some(entries),
            })
        } else {
            let entry = entries.remove(0);
            Request::Publish(shapes::PublishInput {
                topic_arn,
                message: entry.message,
                message_attributes: entry.message_attributes,
                message_group_id: entry.message_group_id,
                message_deduplication_id: entry.message_deduplication_id,
                ..Default::default()
            })
        };
        let numbers: Vec<u64> = match self.ask(request) {
            Ok(Told::Published(published)) => vec![published.number],
            Ok(Told::PublishedBatch(published)) => published.iter().map(|(_, it)| it.number).collect(),
            Err(refusal) => {
                assert!(self.topics[topic].is_none() && refusal.shape == "NotFoundException", "{refusal:?}");
                return;
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(numbers.len(), posts.len());
        for (post, number) in posts.iter().zip(numbers) {
            self.published(topic, post, number);
        }
    }

    /// What must follow from a publish that was told to have this number.
    fn published(&mut self, topic: usize, post: &Post, number: u64) {
        let now = self.now.0;
        let known = self.topics[topic].as_mut().expect("a topic that is not there takes nothing");
        let fifo = is_fifo(TOPICS[topic]);
        let id = if topic == CONTENT { post.body() } else { format!("i{}", post.id) };
        if fifo {
            let key = if topic == CONTENT { format!("{id} in {}", post.group) } else { id.clone() };
            match known.ids.get(&key) {
                Some(&(at, before)) if now < at + WINDOW => {
                    assert_eq!(number, before, "a duplicate");
                    return;
                }
                _ => drop(known.ids.insert(key, (now, number))),
            }
        }
        for (&queue, subscription) in known.subscriptions.iter().filter(|(_, it)| it.wants(post)) {
            let Some(messages) = &mut self.queues[queue] else { continue };
            if is_fifo(QUEUES[queue]) {
                // The queue compares ids of all groups, whatever its topics do.
                if messages.ids.get(&id).is_some_and(|&at| now < at + WINDOW) {
                    continue;
                }
                messages.ids.insert(id.clone(), now);
            }
            messages.messages.push((number, subscription.raw, *post));
        }
    }

    /// Receives all that a queue has, and compares.
    fn empty(&mut self, queue: usize) {
        let mut given: Vec<Expected> = Vec::new();
        loop {
            let request =
                Receive { most: 10, visibility_seconds: Some(60), wait_seconds: Some(0), attempt: None };
            let command =
                operations::receive_message::ReceiveMessage { queue: queue_key(queue), request: Ok(request) };
            let received = match self.ask_queue(operations::Command::ReceiveMessage(command)) {
                Ok(Answered::Received(received)) => received,
                other => {
                    assert!(other.is_err() && self.queues[queue].is_none(), "{other:?}");
                    return;
                }
            };
            if received.messages.is_empty() {
                break;
            }
            for delivered in &received.messages {
                given.push(self.read(queue, delivered));
                let handle = delivered.handle(received.queue);
                let delete = operations::delete_message::DeleteMessage {
                    queue: queue_key(queue),
                    handle: handle.to_text().into(),
                };
                self.ask_queue(operations::Command::DeleteMessage(delete)).unwrap();
            }
        }
        let known = self.queues[queue].as_mut().expect("a queue that is not there gives nothing");
        let expected = std::mem::take(&mut known.messages);
        let in_order = |all: &[Expected], group: Option<u8>| -> Vec<(u64, bool)> {
            let mut these: Vec<(u64, bool)> = all
                .iter()
                .filter(|(.., post)| group.is_none_or(|group| post.group == group))
                .map(|&(number, raw, _)| (number, raw))
                .collect();
            if group.is_none() {
                these.sort_unstable();
            }
            these
        };
        // In the order of each group where there is one; all the same elsewhere.
        let groups: &[Option<u8>] =
            if is_fifo(QUEUES[queue]) { &[Some(0), Some(1), Some(2)] } else { &[None] };
        for &group in groups {
            assert_eq!(in_order(&given, group), in_order(&expected, group), "{}", QUEUES[queue]);
        }
    }

    /// What a client is given, which must be what was published.
    fn read(&self, queue: usize, delivered: &Delivered) -> Expected {
        let record = self.server.reader.read_many(&[delivered.extent]).remove(0).unwrap();
        let parcel = ParcelSent::decode(&record.head).unwrap();
        let copy = parcel.copy(delivered.copy.0).expect("its own copy");
        let messages =
            &self.queues[queue].as_ref().expect("a queue that is not there gives nothing").messages;
        let expected =
            messages.iter().find(|(number, raw, _)| (*number, *raw) == (parcel.number, copy.form.raw));
        let &(number, raw, post) = expected.unwrap_or_else(|| panic!("{copy:?} of {parcel:?} was not to be"));
        let keys = Keys { secret: &SECRET, signer: &Unsigned };
        let payload = sqs::rules::unpack::unpack(&parcel, copy, &record.tail, &keys).unwrap();
        assert_eq!(parcel.group.as_deref(), Some(&*format!("g{}", post.group)));
        if raw {
            assert_eq!(&*payload.body, &*post.body());
            let attributes: Vec<_> = payload
                .attributes
                .iter()
                .map(|attribute| (attribute.name.to_string(), &attribute.value))
                .collect();
            let value = |name: &str| {
                let of_name = attributes.iter().find(|(other, _)| other == name);
                of_name.map(|(_, value)| match value {
                    AttributeValue::Text(text) => text.to_string(),
                    AttributeValue::Binary(_) => panic!("{name} is binary"),
                })
            };
            assert_eq!(value("k").as_deref(), post.attributes.0);
            assert_eq!(value("n"), Some(post.attributes.1.to_string()));
        } else {
            let escaped = post.body().replace('"', "\\\"");
            assert!(payload.body.contains(&format!("\"Message\":\"{escaped}\"")), "{}", payload.body);
        }
        (number, raw, post)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_queue_holds_what_was_published_for_it(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        for queue in 0..QUEUES.len() {
            world.empty(queue);
            let counts = world.server.machine.sqs().queue(&queue_key(queue)).map(sqs::queue::Queue::counts);
            prop_assert_eq!(counts, world.queues[queue].as_ref().map(|_| (0, 0, 0)));
        }
        for (topic, known) in world.topics.iter().enumerate() {
            let topic = world.server.machine.sns().topic(&topic_key(topic));
            let subscriptions = topic.map(|topic| topic.subscriptions.len());
            prop_assert_eq!(subscriptions, known.as_ref().map(|known| known.subscriptions.len()));
        }
    }
}
