//! What the operations of topics share: the types that they decide on, replies, notices and steps.

use bytestring::ByteString;
use kernel::codec::Malformed;
use kernel::{Api, Secret};

use super::{Command, list_subscriptions, publish, publish_batch};
use crate::limits::Limits;
use crate::records::{Record, SubscriptionDeclared, TopicDeclared};
use crate::rules::pages::Listed;
use crate::state::State;
use crate::topic::Topic;
use crate::{BodyReaders, SubscriptionId};

impl Api for State {
    /// Message ids are made from the secret.
    type Materials<'m> = Secret;

    fn materials<'m>(_: &'m str, secret: &'m Secret) -> Secret {
        *secret
    }
}

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record>;

/// What the caller hears.
pub type Outcome<'a> = kernel::Outcome<'a, State>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, Limits>;

/// What one step of a decision hands to the next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Subscribers are told of what was recorded. Then the caller gets the reply.
    Tell(Vec<Notice<'a>>, Reply),
    /// The next entry of a batch is published: these were.
    Publish(Vec<publish::Published>),
}

/// Bytes that a notice and its head take, about.
const NOTICE_BYTES: usize = 16 << 10;

/// Facts and an answer.
pub(crate) fn done<'a>(records: Vec<Record>, reply: Reply) -> Decision<'a> {
    Decision::done(facts(records), reply)
}

/// Records without payloads.
pub(crate) fn facts<'a>(records: Vec<Record>) -> Vec<Fact<'a>> {
    records.into_iter().map(Fact::from).collect()
}

/// Facts, what subscribers are told of them, and an answer.
pub(crate) fn telling<'a>(records: Vec<Record>, notices: Vec<Notice<'a>>, reply: Reply) -> Decision<'a> {
    if notices.is_empty() {
        return done(records, reply);
    }
    Decision::with(facts(records), Outcome::Again { step: Step::Tell(notices, reply), room: NOTICE_BYTES })
}

/// What a topic has to say to a subscriber, with the URL under which the client reached this server, for links.
#[derive(Debug)]
pub enum Notice<'a> {
    /// It is asked to confirm its subscription.
    Confirm(SubscriptionId, &'a str),
    /// Its subscription has ended.
    Farewell(Box<SubscriptionDeclared>, &'a str),
    /// A telephone gets a text.
    Text {
        /// Which.
        number: &'a str,
        /// What.
        text: String,
        /// The URL under which the client reached this server.
        base: &'a str,
    },
}

/// A platform application or endpoint as a list tells of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedPlatform {
    /// Its ARN.
    pub arn: String,
    /// What it has, but for secrets.
    pub attributes: Vec<(String, String)>,
}

/// What a client gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// It is done.
    Done,
    /// The topic of this ARN is there.
    Topic(String),
    /// The ARN of a subscription, or that it is pending.
    Subscription(String),
    /// Attributes, by name.
    Attributes(Vec<(String, String)>),
    /// A page of ARNs or of other texts.
    Texts(Listed<String>),
    /// A page of subscriptions.
    Subscriptions(Listed<list_subscriptions::ListedSubscription>),
    /// A page of platform applications or endpoints.
    Platforms(Listed<ListedPlatform>),
    /// A page of telephones of the sandbox, and whether each is verified.
    SandboxNumbers(Listed<(String, bool)>),
    /// The ARN of something that is there now.
    Arn(String),
    /// Yes or no.
    Truth(bool),
    /// A policy.
    Policy(String),
    /// A message was published.
    Published(publish::Published),
    /// Messages were published, by the entries' ids.
    PublishedBatch(Vec<(ByteString, publish::Published)>),
}

impl Reply {
    /// The answer of an operation that has nothing to say.
    pub(super) fn done<O: Default>(self) -> Result<O, Malformed> {
        match self {
            Reply::Done => Ok(O::default()),
            _ => Err(Malformed),
        }
    }
}

impl Command {
    /// Takes the texts of messages apart where a subscription is going to look at them, as far as is known.
    pub fn read_bodies(&mut self, readers: &BodyReaders) {
        match self {
            Command::Publish(publish::Publish { target: publish::Target::Topic(topic), post: Ok(post) })
                if readers.expect(topic) =>
            {
                post.read_body();
            }
            Command::PublishBatch(publish_batch::PublishBatch { topic, entries: Ok(entries) })
                if readers.expect(topic) =>
            {
                entries.iter_mut().for_each(|(_, post)| post.read_body());
            }
            _ => {}
        }
    }
}

/// A topic is declared anew, with something changed; nothing is recorded if it stays as it is.
pub(super) fn redeclared<'a>(topic: &Topic, change: impl FnOnce(&mut TopicDeclared)) -> Decision<'a> {
    let mut declared = topic.declared.clone();
    change(&mut declared);
    let records =
        if declared == topic.declared { Vec::new() } else { vec![Record::TopicDeclared(Box::new(declared))] };
    done(records, Reply::Done)
}

/// Texts by name, as an answer has them.
pub(super) fn to_map(pairs: Vec<(String, String)>) -> api::Map<api::Text> {
    api::Map(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}
