//! The file that declares queues, topics, streams, event buses, schedules, pipes and state machines. The server applies it at every start, and
//! does not change what is as declared.
//!
//! ```toml
//! [[queues]]
//! name = "orders"
//! tags = { team = "shop" }
//! dead-letter-queue = { name = "orders-dlq", max-receive-count = 3 }
//!
//! [queues.attributes]
//! VisibilityTimeout = 60
//! MessageRetentionPeriod = 1209600
//!
//! [[queues]]
//! name = "orders-dlq"
//!
//! [[topics]]
//! name = "order-events"
//!
//! [[topics.subscriptions]]
//! queue = "orders"
//!
//! [topics.subscriptions.attributes]
//! RawMessageDelivery = true
//! FilterPolicy = { event = ["created", "cancelled"] }
//!
//! [[streams]]
//! name = "clicks"
//! shards = 4
//! retention-hours = 72
//!
//! [[event-buses]]
//! name = "default"
//!
//! [[event-buses.rules]]
//! name = "large-orders"
//! event-pattern = { source = ["shop"], detail = { total = [{ numeric = [">=", 100] }] } }
//!
//! [[event-buses.rules.targets]]
//! queue = "orders"
//! input-path = "$.detail"
//! dead-letter-queue = "orders-dlq"
//!
//! [[event-buses.rules]]
//! name = "hourly"
//! schedule-expression = "rate(1 hour)"
//!
//! [[event-buses.archives]]
//! name = "orders"
//! event-pattern = { source = ["shop"] }
//! retention-days = 30
//!
//! [[schedules]]
//! name = "nightly"
//! expression = "cron(0 2 * * ? *)"
//! timezone = "Europe/Berlin"
//! queue = "orders"
//! input = { job = "cleanup" }
//!
//! [[state-machines]]
//! name = "fulfil"
//! definition-file = "fulfil.asl.json"
//!
//! [[pipes]]
//! name = "large-orders"
//! source = "orders"
//! target = "large-orders"
//! filters = [{ body = { total = [{ numeric = [">=", 100] }] } }]
//! input-template = "<$.body>"
//! ```

mod buses;
mod pipes;
mod schedules;
mod state_machines;
mod streams;
mod topics;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use kernel::{Arn, Caller, Refusal};
use machine::{Answer, Command};
use serde::Deserialize;
use sqs::operations::{self, create_queue, list_queue_tags, set_queue_attributes, tag_queue};
use sqs::{QueueKey, rules};
use toml::Spanned;

use self::pipes::{DeclaredPipe, PipeEntry};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};
use crate::options::is_region;
use crate::web::DEFAULT_ACCOUNT;
use buses::{BusEntry, DeclaredBus};
use schedules::{DeclaredSchedule, ScheduleEntry};
use state_machines::{DeclaredStateMachine, StateMachineEntry};
use streams::{DeclaredStream, StreamEntry};
use topics::{DeclaredTopic, TopicEntry};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    #[serde(default)]
    queues: Vec<QueueEntry>,
    #[serde(default)]
    topics: Vec<TopicEntry>,
    #[serde(default)]
    event_buses: Vec<BusEntry>,
    #[serde(default)]
    schedules: Vec<ScheduleEntry>,
    #[serde(default)]
    state_machines: Vec<StateMachineEntry>,
    #[serde(default)]
    pipes: Vec<PipeEntry>,
    #[serde(default)]
    streams: Vec<StreamEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct QueueEntry {
    name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, toml::Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    dead_letter_queue: Option<Spanned<DeadLetterEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DeadLetterEntry {
    name: String,
    max_receive_count: u32,
}

/// The declarations of a file, validated as far as possible without the server's state.
#[derive(Debug)]
pub struct Init {
    path: PathBuf,
    queues: Vec<DeclaredQueue>,
    topics: Vec<DeclaredTopic>,
    buses: Vec<DeclaredBus>,
    schedules: Vec<DeclaredSchedule>,
    state_machines: Vec<DeclaredStateMachine>,
    pipes: Vec<DeclaredPipe>,
    streams: Vec<DeclaredStream>,
}

#[derive(Debug)]
struct DeclaredQueue {
    name: String,
    account: String,
    region: String,
    line: usize,
    /// Without the redrive policy, which may name a queue that is declared later in the file.
    attributes: Vec<(String, String)>,
    dead_letter_queue: Option<(String, u32)>,
    tags: Vec<(String, String)>,
}

/// A place in the file, and the mistake there.
type Mistake = (Range<usize>, String);

/// A mistake in the file.
#[derive(Debug)]
pub struct InitError {
    path: PathBuf,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl Error for InitError {}

/// Reads and validates a file.
///
/// `region` is the default region.
pub fn read(path: &Path, region: &str) -> Result<Init, InitError> {
    let mistake = |line, message: String| InitError { path: path.into(), line, message };
    let text = std::fs::read_to_string(path).map_err(|error| mistake(None, error.to_string()))?;
    // The parser's own message names line, column and field, and shows the place.
    let file: File = toml::from_str(&text).map_err(|error| mistake(None, error.to_string()))?;
    let line_of = |span: Range<usize>| Some(text[..span.start.min(text.len())].matches('\n').count() + 1);
    let mut queues: Vec<DeclaredQueue> = Vec::new();
    for entry in file.queues {
        let line = line_of(entry.name.span());
        let name = entry.name.into_inner();
        let fifo = name.ends_with(".fifo");
        rules::names::check_name(&name, fifo)
            .map_err(|refusal| mistake(line, format!("name = \"{name}\": {}", refusal.message)))?;
        let Caller { account, region, .. } = caller_of(entry.account, entry.region, region)
            .map_err(|(span, text)| mistake(line_of(span), text))?;
        let mut attributes = Vec::new();
        if fifo {
            attributes.push(("FifoQueue".to_owned(), "true".to_owned()));
        }
        for (attribute, value) in entry.attributes {
            let line = line_of(attribute.span());
            let attribute = attribute.into_inner();
            let value = attribute_text(&value);
            rules::attributes::parse([(attribute.as_str(), value.as_str())], fifo).map_err(|refusal| {
                mistake(line, format!("queue \"{name}\", {attribute}: {}", refusal.message))
            })?;
            if attribute != "FifoQueue" {
                attributes.push((attribute, value));
            }
        }
        let dead_letter_queue = match entry.dead_letter_queue {
            None => None,
            Some(dlq) if !(1..=1000).contains(&dlq.as_ref().max_receive_count) => {
                let text =
                    format!("queue \"{name}\", dead-letter-queue: max-receive-count must be from 1 to 1000");
                return Err(mistake(line_of(dlq.span()), text));
            }
            Some(dlq) => {
                let dlq = dlq.into_inner();
                Some((dlq.name, dlq.max_receive_count))
            }
        };
        // It is unknown which of the two is meant.
        let twin = |other: &&DeclaredQueue| {
            (&other.name, &other.account, &other.region) == (&name, &account, &region)
        };
        if let Some(other) = queues.iter().find(twin) {
            let text = format!("queue \"{name}\" is declared on line {} already", other.line);
            return Err(mistake(line, text));
        }
        queues.push(DeclaredQueue {
            name,
            account,
            region,
            line: line.unwrap_or(1),
            attributes,
            dead_letter_queue,
            tags: entry.tags.into_iter().collect(),
        });
    }
    let line = |span| line_of(span).unwrap_or(1);
    let at = |(span, text)| (line(span), text);
    let wrong = |(line, text)| mistake(Some(line), text);
    let folder = path.parent().unwrap_or(Path::new(""));
    let topics = read_all(
        file.topics,
        |entry| topics::read(entry, region, line).map_err(at),
        |topic| (topic.arn.clone(), format!("topic \"{}\"", topic.name), topic.line),
    );
    let buses = read_all(
        file.event_buses,
        |entry| buses::read(entry, region, line).map_err(at),
        |bus| (bus.key.arn().to_string(), format!("event bus \"{}\"", bus.key.name), bus.line),
    );
    let schedules = read_all(
        file.schedules,
        |entry| schedules::read(entry, region, line).map_err(at),
        |schedule| (schedule.arn.clone(), schedule.arn.clone(), schedule.line),
    );
    let state_machines = read_all(
        file.state_machines,
        |entry| state_machines::read(entry, folder, region, line).map_err(at),
        |machine| (machine.arn.clone(), machine.arn.clone(), machine.line),
    );
    let pipes = read_all(
        file.pipes,
        |entry| self::pipes::read(entry, region, line).map_err(at),
        |pipe| (pipe.arn.clone(), pipe.arn.clone(), pipe.line),
    );
    let streams = read_all(
        file.streams,
        |entry| streams::read(entry, region, line).map_err(at),
        |stream| (stream.arn.clone(), stream.arn.clone(), stream.line),
    );
    Ok(Init {
        path: path.into(),
        queues,
        topics: topics.map_err(wrong)?,
        buses: buses.map_err(wrong)?,
        schedules: schedules.map_err(wrong)?,
        state_machines: state_machines.map_err(wrong)?,
        pipes: pipes.map_err(wrong)?,
        streams: streams.map_err(wrong)?,
    })
}

/// Reads the entries of one kind. `known` tells of a declaration its ARN, how a mistake calls it, and on which line it begins.
///
/// Errors: the line and the text of a mistake. Of two declarations of the same thing it is unknown which one is meant.
fn read_all<E, D>(
    entries: Vec<E>,
    read: impl Fn(E) -> Result<D, (usize, String)>,
    known: impl Fn(&D) -> (String, String, usize),
) -> Result<Vec<D>, (usize, String)> {
    let (mut all, mut lines) = (Vec::new(), BTreeMap::new());
    for entry in entries {
        let declared = read(entry)?;
        let (arn, title, line) = known(&declared);
        if let Some(other) = lines.insert(arn, line) {
            return Err((line, format!("{title} is declared on line {other} already")));
        }
        all.push(declared);
    }
    Ok(all)
}

/// The ARN of something that is named, of the account and region of its declaration; or the ARN that is given instead of a name.
fn arn_of(name: &str, (service, prefix): (&str, &str), caller: &Caller) -> String {
    match name.starts_with("arn:") {
        true => name.to_owned(),
        false => Arn::new(service, &caller.region, &caller.account, &format!("{prefix}{name}")).to_string(),
    }
}

/// Queues in [`arn_of`].
const QUEUE: (&str, &str) = ("sqs", "");
/// State machines in [`arn_of`].
const STATE_MACHINE: (&str, &str) = ("states", "stateMachine:");

/// A role where a request must name one and nobody looks at it.
fn any_role(caller: &Caller) -> String {
    format!("arn:aws:iam::{}:role/posthaste", caller.account)
}

/// Returns the caller for a declaration; an account has twelve digits.
fn caller_of(
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    default_region: &str,
) -> Result<Caller, (Range<usize>, String)> {
    let region = match region {
        None => default_region.to_owned(),
        Some(region) if is_region(region.as_ref()) => region.into_inner(),
        Some(region) => {
            let text =
                format!("region = \"{}\" is not the name of a region, such as us-east-1", region.as_ref());
            return Err((region.span(), text));
        }
    };
    let account = match account {
        None => DEFAULT_ACCOUNT.to_owned(),
        Some(account) => {
            let is_account = |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
            if !is_account(account.as_ref()) {
                let text = format!("account = \"{}\": an account is twelve digits", account.as_ref());
                return Err((account.span(), text));
            }
            account.into_inner()
        }
    };
    Ok(Caller { principal: account.clone(), account, region, signed: true })
}

/// Converts a value to an attribute: numbers and booleans to their text, tables and lists to JSON.
fn attribute_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Table(_) | toml::Value::Array(_) => serde_json::to_string(value).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Applies the declarations.
///
/// `base` is the URL by which subscribers reach this server.
pub async fn apply(init: &Init, engine: &Handle, tickets: &Tickets, base: &str) -> Result<(), InitError> {
    let keys: Vec<QueueKey> = init
        .queues
        .iter()
        .map(|queue| QueueKey {
            account: queue.account.clone(),
            region: queue.region.clone(),
            name: queue.name.clone(),
        })
        .collect();
    for with_redrive in [false, true] {
        for (queue, key) in init.queues.iter().zip(&keys) {
            if with_redrive && queue.dead_letter_queue.is_none() && !has_redrive(queue) {
                continue;
            }
            let result = declare(queue, key, with_redrive, engine, tickets).await;
            result.map_err(|refusal| InitError {
                path: init.path.clone(),
                line: Some(queue.line),
                message: format!("queue \"{}\": {}", queue.name, refusal.message),
            })?;
        }
    }
    let mistake = |(line, message)| InitError { path: init.path.clone(), line: Some(line), message };
    for topic in &init.topics {
        topics::declare(topic, base, engine, tickets).await.map_err(mistake)?;
    }
    // Before those that may have them as targets.
    for stream in &init.streams {
        streams::declare(stream, engine, tickets).await.map_err(mistake)?;
    }
    for machine in &init.state_machines {
        state_machines::declare(machine, engine, tickets).await.map_err(mistake)?;
    }
    for bus in &init.buses {
        buses::declare(bus, engine, tickets).await.map_err(mistake)?;
    }
    for schedule in &init.schedules {
        schedules::declare(schedule, engine, tickets).await.map_err(mistake)?;
    }
    for pipe in &init.pipes {
        self::pipes::declare(pipe, engine, tickets).await.map_err(mistake)?;
    }
    Ok(())
}

fn has_redrive(queue: &DeclaredQueue) -> bool {
    queue.attributes.iter().any(|(name, _)| name == "RedrivePolicy")
}

async fn declare(
    queue: &DeclaredQueue,
    key: &QueueKey,
    with_redrive: bool,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), Refusal> {
    let ask = async |command| -> Answer { ask(engine, tickets, Command::Sqs(command)).await };
    let mut attributes: Vec<(String, String)> = queue
        .attributes
        .iter()
        .filter(|(name, _)| with_redrive || name != "RedrivePolicy")
        .cloned()
        .collect();
    if let (true, Some((name, count))) = (with_redrive, &queue.dead_letter_queue) {
        let target = QueueKey { name: name.clone(), ..key.clone() }.arn().to_string();
        let policy = serde_json::json!({ "deadLetterTargetArn": target, "maxReceiveCount": count });
        attributes.push(("RedrivePolicy".into(), policy.to_string()));
    }
    let pairs = || attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let tags = || queue.tags.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let create = create_queue::CreateQueue::new(key.clone(), pairs().collect::<Vec<_>>(), tags())?;
    match ask(operations::Command::CreateQueue(create)).await {
        Err(refusal) if refusal.shape == "QueueNameExists" => {
            let settable = pairs().filter(|(name, _)| *name != "FifoQueue");
            let set = set_queue_attributes::SetQueueAttributes::new(key.clone(), settable);
            ask(operations::Command::SetQueueAttributes(set)).await?;
        }
        answer => drop(answer?),
    }
    if queue.tags.is_empty() {
        return Ok(());
    }
    let list = list_queue_tags::ListQueueTags { queue: key.clone() };
    let there = ask(operations::Command::ListQueueTags(list)).await?;
    let as_declared = match &there {
        machine::Reply::Sqs(operations::Reply::Tags(there)) => {
            queue.tags.iter().all(|tag| there.contains(tag))
        }
        _ => false,
    };
    if !as_declared {
        ask(operations::Command::TagQueue(tag_queue::TagQueue::new(key.clone(), tags()))).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queues.toml");
        std::fs::write(&path, text).unwrap();
        read(&path, "us-east-1").unwrap_err().to_string()
    }

    #[test]
    fn a_mistake_names_file_line_and_field() {
        let text = mistake("[[queues]]\nname = \"a\"\n[queues.attributes]\nVisibilityTimeout = 50000\n");
        assert!(text.contains("queues.toml, line 4: queue \"a\", VisibilityTimeout: "), "{text}");
        let text = mistake("[[queues]]\nname = \"no spaces\"\n");
        assert!(text.contains("line 2: name = \"no spaces\""), "{text}");
        let text = mistake("[[queues]]\nname = \"a\"\nattribute = {}\n");
        assert!(text.contains("line 3") && text.contains("attribute"), "{text}");
        let text = mistake("[[topics]]\nname = \"no spaces\"\n");
        assert!(text.contains("line 2: name = \"no spaces\": Invalid parameter: Topic Name"), "{text}");
        let text = mistake(
            "[[topics]]\nname = \"a\"\n[[topics.subscriptions]]\nprotocol = \"pigeon\"\nendpoint = \"e\"\n",
        );
        assert!(text.contains("line 4: topic \"a\"") && text.contains("pigeon"), "{text}");
        let text = mistake("[[schedules]]\nname = \"s\"\nexpression = \"rate(0 days)\"\nqueue = \"q\"\n");
        assert!(text.contains("line 2: schedule \"s\": Invalid Schedule Expression rate(0 days)."), "{text}");
        let machine = "[[state-machines]]\nname = \"m\"\n";
        let text = mistake(machine);
        assert!(text.contains("line 2: state machine \"m\": it needs one of definition and"), "{text}");
        let text = mistake(&format!("{machine}definition-file = \"none.json\"\n"));
        assert!(text.contains("line 3: state machine \"m\": definition-file = \"none.json\": "), "{text}");
        let text = mistake(&format!("{machine}definition = {{ StartAt = \"A\" }}\n"));
        assert!(text.contains("line 2: state machine \"m\": Invalid State Machine Definition"), "{text}");
        let pipe = "[[pipes]]\nname = \"p\"\nsource = \"s\"\ntarget = \"t\"\n";
        let text = mistake(&format!("{pipe}batch-size = 11\n"));
        assert!(text.contains("line 2: pipe \"p\": BatchSize 11 is larger"), "{text}");
        let text = mistake(&format!("{pipe}{pipe}"));
        assert!(text.contains("line 6: arn:aws:pipes:") && text.contains("line 2 already"), "{text}");
        let text = mistake("[[queues]]\nname = \"a\"\naccount = \"1\"\n");
        assert!(text.contains("line 3: account"), "{text}");
        let text = mistake("[[queues]]\nname = \"a\"\nregion = \"\"\n");
        assert!(text.contains("line 3: region"), "{text}");
        let text = mistake("[[queues]]\nname = \"a\"\n[[queues]]\nname = \"a\"\n");
        assert!(text.contains("line 4: queue \"a\" is declared on line 2 already"), "{text}");
        let text = mistake("[[topics]]\nname = \"a\"\n[[topics]]\nname = \"a\"\n");
        assert!(text.contains("line 4: topic \"a\" is declared on line 2 already"), "{text}");
        let bus = "[[event-buses]]\nname = \"default\"\n[[event-buses.rules]]\nname = \"r\"\n";
        let text = mistake(&format!("{bus}event-pattern = {{ source = \"x\" }}\n"));
        assert!(
            text.contains("line 4: event bus \"default\", rule \"r\": Event pattern is not valid."),
            "{text}"
        );
        let text = mistake(&format!("{bus}schedule-expression = \"rate(1 minutes)\"\n"));
        assert!(text.contains("rule \"r\": Parameter ScheduleExpression is not valid."), "{text}");
        let text = mistake(bus);
        assert!(
            text.contains("rule \"r\": Parameter(s) EventPattern or ScheduleExpression must be"),
            "{text}"
        );
        let text = mistake(&format!(
            "{bus}event-pattern = {{ source = [\"x\"] }}\n[[event-buses.rules.targets]]\nqueue = \"q\"\ntopic = \"t\"\n"
        ));
        assert!(
            text.contains("target 1: it needs one of queue, topic, event-bus, state-machine and arn"),
            "{text}"
        );
        let bus = "[[event-buses]]\nname = \"b\"\n[[event-buses.archives]]\nname = \"a\"\n";
        let text = mistake(&format!("{bus}event-pattern = {{ source = \"x\" }}\n"));
        assert!(
            text.contains("line 4: event bus \"b\", archive \"a\": Event pattern is not valid."),
            "{text}"
        );
        let text = mistake(&format!("{bus}retention-days = -1\n"));
        assert!(text.contains("archive \"a\": 1 validation error detected: Value '-1'"), "{text}");
        let text = mistake("[[topics]]\nname = \"a\"\n[topics.attributes]\nDisplay = \"x\"\n");
        assert!(text.contains("line 4: topic \"a\", Display: there is no such attribute"), "{text}");
        let text = mistake(
            "[[topics]]\nname = \"a\"\n[[topics.subscriptions]]\nqueue = \"q\"\n[topics.subscriptions.attributes]\n\
             FilterPolicy = { a = \"x\" }\n",
        );
        assert!(text.contains("line 6: topic \"a\"") && text.contains(":q, FilterPolicy: "), "{text}");
    }

    #[test]
    fn a_fifo_topic_may_have_attributes_that_only_fifo_topics_have() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("topics.toml");
        let text = "[[topics]]\nname = \"a.fifo\"\n[topics.attributes]\nContentBasedDeduplication = true\nFifoTopic = true\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(read(&path, "us-east-1").unwrap().topics.len(), 1);
    }

    #[test]
    fn tables_become_documents_and_numbers_texts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queues.toml");
        std::fs::write(
            &path,
            "[[queues]]\nname = \"a.fifo\"\n[queues.attributes]\nContentBasedDeduplication = true\nDelaySeconds = 5\n\
             RedriveAllowPolicy = { redrivePermission = \"denyAll\" }\n",
        )
        .unwrap();
        let init = read(&path, "us-east-1").unwrap();
        let attributes: BTreeMap<_, _> = init.queues[0].attributes.iter().cloned().collect();
        assert_eq!(attributes["FifoQueue"], "true");
        assert_eq!(attributes["DelaySeconds"], "5");
        assert_eq!(attributes["RedriveAllowPolicy"], "{\"redrivePermission\":\"denyAll\"}");
    }
}
