//! What discoverers do: they look at the events of a bus, which a rule of the bus hands to them, and add versions to the schemas of what
//! they have not seen yet. A discoverer is made and changed together with its rule.

use std::sync::Arc;

use bytes::Bytes;
use kernel::{Call, Called, Caller, Demand, Offer, Outcome, Refusal, Taken, Why, iso8601};
use notification::Notification;
use resources::tags::Tags;
use serde_json::{Value, json};

use crate::ids::{DISCOVERED, Named, PRINCIPAL};
use crate::inference::{Dialect, Shape, Subject, pascal_case, write};
use crate::operations::{Context, Decision, Fact, Reply, Setting};
use crate::records::{DiscovererDeclared, Record, RegistryDeclared, SchemaDeclared, VersionDeclared};
use crate::service::Waiter;
use crate::state::State;
use crate::{DiscovererKey, RegistryKey, SchemaKey, VersionKey, limits, refusals};

/// Bytes that the facts of a discoverer take in the group of a call, at the most, about.
const ROOM: usize = 16 << 10;

/// The pattern of a discoverer's rule, its description, and the id of its target (the first two are recorded in listings of rules of
/// AWS's buses).
const PATTERN: &str =
    r#"{ "source": [ { "prefix": "aws.partner/" }, { "anything-but": { "prefix": "aws." } } ] }"#;
const DESCRIPTION: &str = "This rule is used to route Events to Schema Discoverer";
const TARGET: &str = "SchemaDiscoverer";

impl State {
    /// A discoverer is handed an event. If it is unlike all that were seen before, the answer is a new version of its schema.
    pub(crate) fn offer(&self, offer: &Offer<'_>, context: &mut Context<'_, '_>) -> Taken {
        let Some(Named::Discoverer(key)) = Named::by(offer.to) else {
            return Taken::Refused(Why::Unserved, "only discoverers can be handed anything");
        };
        let Some(discoverer) = self.discoverers.get(&key) else {
            return Taken::Refused(Why::Missing, "there is no such discoverer");
        };
        let payload = context.payload(offer.body);
        let is_looked_at = discoverer.is_started && payload.len() <= limits::EVENT_BYTES;
        if is_looked_at && context.setting.room >= Demand::Growth {
            let payload = Bytes::copy_from_slice(payload);
            let facts = self.discover(discoverer, &payload, &context.setting);
            for fact in facts.unwrap_or_default() {
                context.record(&Fact::from(fact));
            }
        }
        Taken::Taken
    }

    /// The version that an event adds, if it adds one. What is no event, is too deep or describes too much is not looked at.
    fn discover(
        &self,
        discoverer: &DiscovererDeclared,
        payload: &Bytes,
        setting: &Setting<'_>,
    ) -> Option<Vec<Record>> {
        let stored = Notification::decode(payload).ok()?;
        let event: Value = serde_json::from_str(&stored.message).ok()?;
        let (subject, detail) = subject_of(&event)?;
        let is_own = event.get("account").and_then(Value::as_str) == Some(&*discoverer.key.account);
        if !is_own && !discoverer.cross_account {
            return None;
        }
        let key = schema_of(&subject, &discoverer.key)?;
        let seen = Shape::of(detail);
        let (schema, shape) = match self.schema(&key) {
            Some(schema) => match self.shape(schema.id) {
                Some(known) if known.includes(&seen) => return None,
                Some(known) => {
                    let mut shape = known.clone();
                    shape.merge(seen);
                    (Some(schema), shape)
                }
                None => (Some(schema), seen),
            },
            None => (None, seen),
        };
        if schema.is_some_and(|schema| self.versions_of(schema.id).count() >= limits::VERSIONS) {
            return None;
        }
        if shape.size() > limits::SHAPE_SIZE {
            return None;
        }
        let content = write(Dialect::OpenApi3, &subject, &shape);
        if content.chars().count() > limits::CONTENT || !self.has_room_for(&content) {
            return None;
        }
        let new = |key: SchemaKey| SchemaDeclared {
            id: setting.numbers.draw(),
            description: Some(format!(
                "Schema for event type {}",
                key.name.rsplit('@').next().unwrap_or_default()
            )),
            key,
            tags: Tags::new(),
            modified: setting.now,
            latest: 0,
            token: 0,
        };
        Some(added(schema.cloned().unwrap_or_else(|| new(key)), Dialect::OpenApi3, content.into(), setting))
    }

    /// The next version of which the default bus is to be told.
    pub(crate) fn next_announcement(&mut self) -> Option<Announcement> {
        while let Some(key) = self.announcements.pop_front() {
            let version = self.versions.get(&key);
            let Some((schema, version)) = self.name(key.schema).zip(version) else { continue };
            return Some(Announcement { schema: schema.clone(), version: version.clone() });
        }
        None
    }

    /// Asks the bus for the first thing that a change needs.
    pub(crate) fn begin<'a>(&self, task: &'a mut Task) -> Decision<'a> {
        // What was true when the request came may not be any more.
        match self.check(&task.change) {
            Ok(()) => Decision::with(Vec::new(), Outcome::Call(Box::new(task.call()))),
            Err(refusal) => answered(task, Err(refusal)),
        }
    }

    /// Goes on with a change after the bus has been asked for something.
    pub(crate) fn go_on<'a>(
        &self,
        task: &'a mut Task,
        called: Called,
        setting: &Setting<'_>,
    ) -> Decision<'a> {
        let refused = match called {
            Called::Answered(_) => None,
            Called::Refused(refusal) => Some(refusal.message.into_owned()),
            Called::Impossible(reason) => Some(reason.into_owned()),
        };
        // A rule or a bus that is gone need not be deleted.
        if let Some(reason) = refused.filter(|_| !matches!(task.change, Change::Delete(_))) {
            return answered(task, Err(refusals::bad_request(reason)));
        }
        task.asked += 1;
        if task.asked < task.change.calls().len() {
            return Decision::with(Vec::new(), Outcome::Call(Box::new(task.call())));
        }
        let mut facts = Vec::new();
        let reply = match &task.change {
            Change::Create(discoverer) => {
                let registry = discovered(&discoverer.key);
                if !self.registries.contains(&registry) {
                    facts.push(Record::RegistryDeclared(RegistryDeclared {
                        id: setting.numbers.draw(),
                        key: registry,
                        description: Some("Contains discovered schemas".to_owned()),
                        tags: Tags::new(),
                        policy: None,
                    }));
                }
                let discoverer = DiscovererDeclared { id: setting.numbers.draw(), ..discoverer.clone() };
                facts.push(Record::DiscovererDeclared(discoverer.clone()));
                Reply::Discoverer(discoverer)
            }
            Change::Set { key, is_started } => {
                let Some(known) = self.discoverers.get(key) else {
                    return answered(task, Err(refusals::missing("Discoverer", &key.id)));
                };
                let discoverer = DiscovererDeclared { is_started: *is_started, ..known.clone() };
                facts.push(Record::DiscovererDeclared(discoverer.clone()));
                Reply::Discoverer(discoverer)
            }
            Change::Delete(key) => {
                facts.extend(self.discoverers.deletion(key).map(Record::DiscovererDeleted));
                Reply::Done
            }
        };
        let facts = facts.into_iter().map(Fact::from).collect();
        Decision { facts, ..answered(task, Ok(reply)) }
    }

    /// Whether a change can be made.
    pub(crate) fn check(&self, change: &Change) -> Result<(), Refusal> {
        match change {
            Change::Create(discoverer) if self.discoverers.contains(&discoverer.key) => {
                Err(refusals::exists("Discoverer", &discoverer.key.id))
            }
            Change::Create(_) => Ok(()),
            Change::Set { key, .. } | Change::Delete(key) if !self.discoverers.contains(key) => {
                Err(refusals::missing("Discoverer", &key.id))
            }
            Change::Set { .. } | Change::Delete(_) => Ok(()),
        }
    }
}

/// The facts that a schema has another version.
pub(crate) fn added(
    schema: SchemaDeclared,
    dialect: Dialect,
    content: Arc<str>,
    setting: &Setting<'_>,
) -> Vec<Record> {
    let version = schema.latest + 1;
    let (key, created) = (VersionKey { schema: schema.id, version }, setting.now);
    vec![
        Record::SchemaDeclared(SchemaDeclared { latest: version, modified: setting.now, ..schema }),
        Record::VersionDeclared(VersionDeclared { key, dialect, created, content }),
    ]
}

/// Of what events an event is, and its detail.
pub(crate) fn subject_of(event: &Value) -> Option<(Subject, &Value)> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
    let subject = Subject::Event { source: text("source")?, detail_type: text("detail-type")? };
    Some((subject, event.get("detail")?))
}

/// The registry to which a discoverer writes.
fn discovered(discoverer: &DiscovererKey) -> RegistryKey {
    let DiscovererKey { account, region, .. } = discoverer.clone();
    RegistryKey { account, region, name: DISCOVERED.to_owned() }
}

/// The schema of events: it is called after source and detail type, as with AWS.
fn schema_of(subject: &Subject, discoverer: &DiscovererKey) -> Option<SchemaKey> {
    let Subject::Event { source, detail_type } = subject else { return None };
    // `/` stands in no name (AWS's own schemas of partners' events have a hyphen there).
    let name = format!("{}@{}", source.replace('/', "-"), pascal_case(detail_type));
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'@');
    let is_name = name.len() <= limits::SCHEMA_NAME && name.bytes().all(fits);
    is_name.then(|| SchemaKey { registry: discovered(discoverer), name })
}

/// A change of a discoverer that concerns its rule, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is made; its number is drawn then.
    Create(DiscovererDeclared),
    /// It is started or stopped.
    Set {
        /// Which.
        key: DiscovererKey,
        /// Whether it is started.
        is_started: bool,
    },
    /// It is deleted.
    Delete(DiscovererKey),
}

impl Change {
    fn key(&self) -> &DiscovererKey {
        match self {
            Change::Create(discoverer) => &discoverer.key,
            Change::Set { key, .. } | Change::Delete(key) => key,
        }
    }

    /// What buses are asked for, one after the other.
    fn calls(&self) -> &'static [&'static str] {
        match self {
            Change::Create(_) => &["PutRule", "PutTargets"],
            Change::Set { is_started: true, .. } => &["EnableRule"],
            Change::Set { is_started: false, .. } => &["DisableRule"],
            Change::Delete(_) => &["RemoveTargets", "DeleteRule"],
        }
    }
}

/// A change on its way.
#[derive(Debug)]
pub struct Task {
    ticket: u64,
    change: Change,
    /// How many calls have been answered.
    asked: usize,
}

impl Task {
    /// A change that has not asked for anything yet.
    pub fn new(waiter: Waiter) -> Self {
        Task { ticket: waiter.ticket, change: waiter.change, asked: 0 }
    }

    fn call(&self) -> Call {
        let key = self.change.key();
        let operation = self.change.calls().get(self.asked).copied().unwrap_or_default();
        let rule = key.rule();
        let bus = key.id.strip_prefix("events-event-bus-").unwrap_or_default();
        let input = match operation {
            "PutRule" => json!({
                "Name": rule, "EventBusName": bus, "EventPattern": PATTERN, "Description": DESCRIPTION,
                "State": "ENABLED",
            }),
            "PutTargets" => json!({
                "Rule": rule, "EventBusName": bus, "Targets": [{ "Id": TARGET, "Arn": key.arn() }],
            }),
            "RemoveTargets" => json!({ "Rule": rule, "EventBusName": bus, "Ids": [TARGET], "Force": true }),
            "DeleteRule" => json!({ "Name": rule, "EventBusName": bus, "Force": true }),
            _ => json!({ "Name": rule, "EventBusName": bus }),
        };
        call(operation, &input, &key.account, &key.region)
    }
}

fn call(operation: &str, input: &Value, account: &str, region: &str) -> Call {
    Call {
        service: "eventbridge".to_owned(),
        operation: operation.to_owned(),
        input: input.to_string(),
        caller: Caller::service(PRINCIPAL, account, region),
        base: String::new(),
        room: ROOM,
    }
}

fn answered<'a>(task: &Task, answer: Result<Reply, Refusal>) -> Decision<'a> {
    Decision { ticket: Some(task.ticket), ..Decision::with(Vec::new(), Outcome::Reply(answer)) }
}

/// The event that a schema has a new version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    schema: SchemaKey,
    version: VersionDeclared,
}

impl Announcement {
    /// Puts it on the default bus (the form is that of an event that AWS sent).
    pub(crate) fn call<'a>(&self, setting: &Setting<'_>) -> Decision<'a> {
        if setting.room < Demand::Growth {
            return Decision::silent(Vec::new());
        }
        let Announcement { schema, version } = self;
        let detail = json!({
            "SchemaName": schema.name,
            "SchemaType": version.dialect.name(),
            "RegistryName": schema.registry.name,
            "CreationDate": iso8601::write(version.created.0.try_into().unwrap_or(i64::MAX)),
            "Version": version.key.version.to_string(),
        });
        let is_first = version.key.version == 1;
        let entry = json!({
            "Source": "aws.schemas",
            "DetailType": if is_first { "Schema Created" } else { "Schema Version Created" },
            "Resources": [schema.arn()],
            "Detail": detail.to_string(),
        });
        let RegistryKey { account, region, .. } = &schema.registry;
        let call = call("PutEvents", &json!({ "Entries": [entry] }), account, region);
        Decision::with(Vec::new(), Outcome::Call(Box::new(call)))
    }
}
