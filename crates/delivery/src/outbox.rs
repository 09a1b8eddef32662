//! The outbox: keeps the parcels for which no server is configured, for tests.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use crate::parcel::{Origin, Parcel, Payload};

/// Default limits of an outbox: number of parcels, and their total size in bytes.
pub(crate) const PARCELS: usize = 10_000;
pub(crate) const BYTES: usize = 64 * 1024 * 1024;

/// The newest parcels without a configured server, in memory.
pub struct Outbox {
    parcels: usize,
    bytes: usize,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Number of parcels ever added.
    count: u64,
    /// Number of parcels dropped to make room.
    dropped: u64,
}

struct Entry {
    id: u64,
    protocol: &'static str,
    endpoint: String,
    topic_arn: Option<String>,
    subscription_arn: Option<String>,
    /// The parcel's JSON.
    text: Box<str>,
}

impl Entry {
    fn bytes(&self) -> usize {
        let arn = |arn: &Option<String>| arn.as_ref().map_or(0, String::capacity);
        let strings = self.endpoint.capacity() + arn(&self.topic_arn) + arn(&self.subscription_arn);
        size_of::<Entry>() + strings + self.text.len()
    }
}

/// A filter for listing. All given conditions must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OutboxFilter {
    /// `email`, `email-json`, `sms`, `application`, `lambda`, `firehose` or `target`.
    pub protocol: Option<String>,
    /// An address, a telephone number, or an ARN.
    pub endpoint: Option<String>,
    /// The topic of the publish.
    pub topic_arn: Option<String>,
    /// The subscription of the delivery.
    pub subscription_arn: Option<String>,
    /// Only parcels added after the one with this id.
    pub after: Option<u64>,
}

impl Outbox {
    /// Creates an outbox with a maximum number of parcels and a maximum total size in bytes.
    pub fn new(parcels: usize, bytes: usize) -> Outbox {
        Outbox { parcels, bytes, shelf: Mutex::default() }
    }

    /// Adds a parcel, and drops the oldest ones to make room.
    pub fn put(&self, parcel: &Parcel) {
        let protocol = parcel.payload.protocol();
        let mut shelf = self.shelf();
        let id = shelf.count + 1;
        let mut shown = Map::new();
        shown.insert("id".into(), id.into());
        shown.extend(show(parcel));
        let entry = Entry {
            id,
            protocol,
            endpoint: parcel.payload.endpoint().to_owned(),
            topic_arn: parcel.origin.topic_arn.clone(),
            subscription_arn: parcel.origin.subscription_arn.clone(),
            text: Value::Object(shown).to_string().into(),
        };
        shelf.count = id;
        shelf.bytes += entry.bytes();
        shelf.entries.push_back(entry);
        while shelf.entries.len() > self.parcels || shelf.bytes > self.bytes {
            let Some(oldest) = shelf.entries.pop_front() else { break };
            shelf.bytes -= oldest.bytes();
            shelf.dropped += 1;
        }
    }

    /// Returns the matching parcels, oldest first, as JSON: `{"parcels": […], "dropped": 0}`. Each object has
    /// the fields `id` (increasing), `at` (milliseconds since 1970), `protocol`, `topic_arn`,
    /// `subscription_arn`, `message_id`, `endpoint`, `subject`, `body`, `attributes`, `confirmation`
    /// (`token`, `subscribe_url`) and those of its protocol. A field without a value is `null`.
    pub fn list(&self, filter: &OutboxFilter) -> String {
        let shelf = self.shelf();
        let mut text = String::from("{\"parcels\":[");
        let same = |wanted: &Option<String>, got: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| got == Some(wanted))
        };
        let entries = shelf.entries.iter().filter(|entry| {
            filter.after.is_none_or(|id| entry.id > id)
                && same(&filter.protocol, Some(entry.protocol))
                && same(&filter.endpoint, Some(&entry.endpoint))
                && same(&filter.topic_arn, entry.topic_arn.as_deref())
                && same(&filter.subscription_arn, entry.subscription_arn.as_deref())
        });
        for (number, entry) in entries.enumerate() {
            if number > 0 {
                text.push(',');
            }
            text.push_str(&entry.text);
        }
        text.push_str(&format!("],\"dropped\":{}}}", shelf.dropped));
        text
    }

    /// Returns the total size in bytes, which bounds the size of a list.
    pub fn bytes(&self) -> usize {
        self.shelf().bytes
    }

    /// Empties the outbox. Ids continue.
    pub fn clear(&self) {
        let mut shelf = self.shelf();
        *shelf = Shelf { count: shelf.count, ..Shelf::default() };
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // No code that can panic runs under this lock.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns a parcel's fields, as shown in the outbox and sent to gateways.
pub(crate) fn show(parcel: &Parcel) -> Map<String, Value> {
    let Origin { at_ms, topic_arn, subscription_arn, rule_arn, message_id, attributes, confirmation } =
        &parcel.origin;
    let attributes: Map<String, Value> = attributes
        .iter()
        .map(|attribute| {
            (attribute.name.clone(), json!({ "Type": attribute.data_type, "Value": attribute.value }))
        })
        .collect();
    let confirmation = confirmation.as_ref().map(
        |confirmation| json!({ "token": confirmation.token, "subscribe_url": confirmation.subscribe_url }),
    );
    let (subject, body, own) = match &parcel.payload {
        Payload::Http(post) => (None, text_or_nothing(&post.body), vec![]),
        Payload::Email(email) => (
            email.subject.as_deref(),
            Some(email.body.as_str()),
            vec![("from_name", json!(email.from_name)), ("unsubscribe_url", json!(email.unsubscribe_url))],
        ),
        Payload::Sms(sms) => (
            None,
            Some(sms.text.as_str()),
            vec![("sender_id", json!(sms.sender_id)), ("sms_type", json!(sms.kind))],
        ),
        Payload::Push(push) => (
            push.subject.as_deref(),
            Some(push.payload.as_str()),
            vec![
                ("platform", json!(push.platform)),
                ("token", json!(push.token)),
                ("custom_user_data", json!(push.custom_user_data)),
            ],
        ),
        Payload::Function(function) => (None, Some(function.event.as_str()), vec![]),
        Payload::Stream(stream) => {
            // A record need not be text.
            let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &stream.data);
            (None, text_or_nothing(&stream.data), vec![("data", json!(base64))])
        }
        Payload::Request(request) => (None, text_or_nothing(&request.request.body), vec![]),
        Payload::Target(target) => (None, Some(target.input.as_str()), vec![]),
    };
    let rule = rule_arn.as_ref().map(|arn| ("rule_arn", json!(arn)));
    let mut shown = Map::new();
    for (name, value) in [
        ("at", json!(at_ms)),
        ("protocol", json!(parcel.payload.protocol())),
        ("topic_arn", json!(topic_arn)),
        ("subscription_arn", json!(subscription_arn)),
        ("message_id", json!(message_id)),
        ("endpoint", json!(parcel.payload.endpoint())),
        ("subject", json!(subject)),
        ("body", json!(body)),
        ("attributes", Value::Object(attributes)),
        ("confirmation", json!(confirmation)),
    ]
    .into_iter()
    .chain(own)
    .chain(rule)
    {
        shown.insert(name.into(), value);
    }
    shown
}

fn text_or_nothing(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::{Attribute, Confirmation, Email, EmailFormat, Function, Push, Sms, Stream};
    use bytes::Bytes;

    fn sms(phone: &str, text: &str) -> Parcel {
        let sms =
            Sms { phone: phone.into(), sender_id: None, kind: "Transactional".into(), text: text.into() };
        Parcel { origin: Origin::default(), payload: Payload::Sms(sms) }
    }

    fn listed(outbox: &Outbox, filter: &OutboxFilter) -> Vec<Value> {
        let list: Value = serde_json::from_str(&outbox.list(filter)).unwrap();
        list["parcels"].as_array().unwrap().clone()
    }

    #[test]
    fn a_parcel_is_shown_with_all_that_a_test_asks_for() {
        let outbox = Outbox::new(10, 10_000);
        let email = Email {
            to: "ann@example.org".into(),
            from_name: Some("News".into()),
            subject: Some("hi".into()),
            body: "hello".into(),
            format: EmailFormat::Json,
            unsubscribe_url: None,
        };
        outbox.put(&Parcel {
            origin: Origin {
                at_ms: 17,
                topic_arn: Some("topic".into()),
                subscription_arn: Some("subscription".into()),
                rule_arn: None,
                message_id: "m".into(),
                attributes: vec![Attribute {
                    name: "colour".into(),
                    data_type: "String".into(),
                    value: "red".into(),
                }],
                confirmation: Some(Confirmation { token: "t".into(), subscribe_url: "u".into() }),
            },
            payload: Payload::Email(email),
        });
        assert_eq!(
            listed(&outbox, &OutboxFilter::default()),
            [json!({
                "id": 1, "at": 17, "protocol": "email-json", "topic_arn": "topic", "subscription_arn": "subscription",
                "message_id": "m", "endpoint": "ann@example.org", "subject": "hi", "body": "hello",
                "attributes": { "colour": { "Type": "String", "Value": "red" } },
                "confirmation": { "token": "t", "subscribe_url": "u" },
                "from_name": "News", "unsubscribe_url": null,
            })]
        );
    }

    #[test]
    fn every_kind_of_parcel_names_its_protocol_and_endpoint() {
        let push = Push {
            platform: "GCM".into(),
            endpoint_arn: "e".into(),
            token: "t".into(),
            custom_user_data: Some("c".into()),
            subject: None,
            payload: "{}".into(),
        };
        for (payload, expected) in [
            (Payload::Push(push), json!(["application", "e", "{}", "t", "c", null])),
            (
                Payload::Function(Function { function_arn: "f".into(), event: "{}".into() }),
                json!(["lambda", "f", "{}", null, null, null]),
            ),
            (
                Payload::Stream(Stream { stream_arn: "s".into(), data: Bytes::from_static(b"\xff") }),
                json!(["firehose", "s", null, null, null, "/w=="]),
            ),
        ] {
            let shown = show(&Parcel { origin: Origin::default(), payload });
            let fields = ["protocol", "endpoint", "body", "token", "custom_user_data", "data"];
            let got: Vec<Value> =
                fields.iter().map(|field| shown.get(*field).cloned().unwrap_or_default()).collect();
            assert_eq!(Value::Array(got), expected);
        }
    }

    #[test]
    fn a_list_can_be_narrowed() {
        let outbox = Outbox::new(10, 10_000);
        outbox.put(&sms("+1", "a"));
        outbox.put(&sms("+2", "b"));
        let mut third = sms("+1", "c");
        third.origin.topic_arn = Some("topic".into());
        third.origin.subscription_arn = Some("subscription".into());
        outbox.put(&third);
        let bodies = |filter: OutboxFilter| -> Vec<String> {
            listed(&outbox, &filter).iter().map(|entry| entry["body"].as_str().unwrap().to_owned()).collect()
        };
        let all = OutboxFilter::default;
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(bodies(all()), ["a", "b", "c"]);
        assert_eq!(bodies(OutboxFilter { endpoint: some("+1"), ..all() }), ["a", "c"]);
        assert_eq!(bodies(OutboxFilter { protocol: some("sms"), ..all() }), ["a", "b", "c"]);
        assert!(bodies(OutboxFilter { protocol: some("email"), ..all() }).is_empty());
        assert_eq!(bodies(OutboxFilter { topic_arn: some("topic"), ..all() }), ["c"]);
        assert_eq!(bodies(OutboxFilter { subscription_arn: some("subscription"), ..all() }), ["c"]);
        assert_eq!(bodies(OutboxFilter { after: Some(1), endpoint: some("+1"), ..all() }), ["c"]);
        outbox.clear();
        assert!(bodies(all()).is_empty());
        outbox.put(&sms("+1", "d"));
        assert_eq!(listed(&outbox, &all())[0]["id"], 4);
    }

    #[test]
    fn the_oldest_make_room() {
        let outbox = Outbox::new(3, 1_000_000);
        for number in 0..5 {
            outbox.put(&sms("+1", &number.to_string()));
        }
        let ids: Vec<Value> =
            listed(&outbox, &OutboxFilter::default()).iter().map(|entry| entry["id"].clone()).collect();
        assert_eq!(ids, [3, 4, 5]);
        assert!(outbox.list(&OutboxFilter::default()).ends_with("\"dropped\":2}"));

        let outbox = Outbox::new(1000, 10_000);
        for _ in 0..100 {
            outbox.put(&sms("+1", &"x".repeat(1000)));
        }
        let kept = listed(&outbox, &OutboxFilter::default()).len();
        assert!((5..10).contains(&kept), "{kept}");
        // A parcel larger than the outbox is dropped, too.
        outbox.put(&sms("+1", &"x".repeat(20_000)));
        assert_eq!(outbox.list(&OutboxFilter::default()), "{\"parcels\":[],\"dropped\":101}");
    }
}
