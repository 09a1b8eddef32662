//! What can be asked of topics: one file an operation, or a few that are one idea.
//!
//! An operation has three parts, as everywhere: `prepare` looks at the request alone, where it was read; `decide` runs in
//! the engine, looks at the state and says which facts to record and what to answer; `present` gives the answer its shape,
//! where the request came from.

use bytestring::ByteString;
use kernel::Demand;

use crate::records::{Record, SubscriptionDeclared, TopicDeclared};
use crate::rules::pages::Listed;
use crate::state::State;
use crate::topic::Topic;
use crate::{BodyReaders, SubscriptionId};

/// What an operation decided.
pub type Decision<'a> = kernel::Decision<'a, State>;

/// A fact.
pub type Fact<'a> = kernel::Fact<'a, Record>;

/// What the caller hears.
pub type Outcome<'a> = kernel::Outcome<'a, State>;

/// What a decision may depend on besides the state and the command.
pub type Setting<'a> = kernel::Setting<'a, crate::limits::Limits>;

/// The same, and what can be handed to whom.
pub type Context<'a, 'm> = kernel::Context<'a, 'm, crate::limits::Limits>;

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

/// A request that has been prepared.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each is documented where its struct is.
pub enum Command {
    CreateTopic(create_topic::CreateTopic),
    DeleteTopic(delete_topic::DeleteTopic),
    GetTopicAttributes(get_topic_attributes::GetTopicAttributes),
    SetTopicAttributes(set_topic_attributes::SetTopicAttributes),
    ListTopics(list_topics::ListTopics),
    TagResource(tags::TagResource),
    UntagResource(tags::UntagResource),
    ListTagsForResource(tags::ListTagsForResource),
    AddPermission(permissions::AddPermission),
    RemovePermission(permissions::RemovePermission),
    GetDataProtectionPolicy(data_protection_policy::GetDataProtectionPolicy),
    PutDataProtectionPolicy(data_protection_policy::PutDataProtectionPolicy),
    Subscribe(subscribe::Subscribe),
    ConfirmSubscription(confirm_subscription::ConfirmSubscription),
    Unsubscribe(unsubscribe::Unsubscribe),
    GetSubscriptionAttributes(get_subscription_attributes::GetSubscriptionAttributes),
    SetSubscriptionAttributes(set_subscription_attributes::SetSubscriptionAttributes),
    ListSubscriptions(list_subscriptions::ListSubscriptions),
    CreatePlatformApplication(platform_applications::CreatePlatformApplication),
    GetPlatformApplicationAttributes(platform_applications::GetPlatformApplicationAttributes),
    SetPlatformApplicationAttributes(platform_applications::SetPlatformApplicationAttributes),
    DeletePlatformApplication(platform_applications::DeletePlatformApplication),
    ListPlatformApplications(platform_applications::ListPlatformApplications),
    CreatePlatformEndpoint(platform_endpoints::CreatePlatformEndpoint),
    GetEndpointAttributes(platform_endpoints::GetEndpointAttributes),
    SetEndpointAttributes(platform_endpoints::SetEndpointAttributes),
    DeleteEndpoint(platform_endpoints::DeleteEndpoint),
    ListEndpoints(platform_endpoints::ListEndpoints),
    SetSMSAttributes(text_messaging::SetSMSAttributes),
    GetSMSAttributes(text_messaging::GetSMSAttributes),
    CheckIfPhoneNumberIsOptedOut(text_messaging::CheckIfPhoneNumberIsOptedOut),
    ListPhoneNumbersOptedOut(text_messaging::ListPhoneNumbersOptedOut),
    OptInPhoneNumber(text_messaging::OptInPhoneNumber),
    ListOriginationNumbers(text_messaging::ListOriginationNumbers),
    CreateSMSSandboxPhoneNumber(sms_sandbox::CreateSMSSandboxPhoneNumber),
    VerifySMSSandboxPhoneNumber(sms_sandbox::VerifySMSSandboxPhoneNumber),
    DeleteSMSSandboxPhoneNumber(sms_sandbox::DeleteSMSSandboxPhoneNumber),
    ListSMSSandboxPhoneNumbers(sms_sandbox::ListSMSSandboxPhoneNumbers),
    GetSMSSandboxAccountStatus(sms_sandbox::GetSMSSandboxAccountStatus),
    OptOut(text_messaging::OptOut),
    Publish(publish::Publish),
    PublishBatch(publish_batch::PublishBatch),
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

mod shapes;
pub use shapes::{Plan, prepare, present};

pub mod create_topic;

pub mod delete_topic;

pub mod get_topic_attributes;

pub mod set_topic_attributes;

pub mod list_topics;

pub mod tags;

pub mod permissions;

pub mod data_protection_policy;

pub mod subscribe;

pub mod confirm_subscription;

pub mod unsubscribe;

pub mod get_subscription_attributes;

pub mod set_subscription_attributes;

pub mod list_subscriptions;

pub mod platform_applications;

pub mod platform_endpoints;

pub mod text_messaging;

pub mod sms_sandbox;

pub mod publish;
pub mod publish_batch;

impl Command {
    /// Decides it.
    pub fn decide<'a>(&'a self, state: &State, context: &mut Context<'a, '_>) -> Decision<'a> {
        let setting = &context.setting;
        match self {
            Command::CreateTopic(command) => command.decide(state, setting),
            Command::DeleteTopic(command) => command.decide(state, setting),
            Command::GetTopicAttributes(command) => command.decide(state, setting),
            Command::SetTopicAttributes(command) => command.decide(state, setting),
            Command::ListTopics(command) => command.decide(state, setting),
            Command::TagResource(command) => command.decide(state, setting),
            Command::UntagResource(command) => command.decide(state, setting),
            Command::ListTagsForResource(command) => command.decide(state, setting),
            Command::AddPermission(command) => command.decide(state, setting),
            Command::RemovePermission(command) => command.decide(state, setting),
            Command::GetDataProtectionPolicy(command) => command.decide(state, setting),
            Command::PutDataProtectionPolicy(command) => command.decide(state, setting),
            Command::Subscribe(command) => command.decide(state, setting),
            Command::ConfirmSubscription(command) => command.decide(state, setting),
            Command::Unsubscribe(command) => command.decide(state, setting),
            Command::GetSubscriptionAttributes(command) => command.decide(state, setting),
            Command::SetSubscriptionAttributes(command) => command.decide(state, setting),
            Command::ListSubscriptions(command) => command.decide(state, setting),
            Command::CreatePlatformApplication(command) => command.decide(state, setting),
            Command::GetPlatformApplicationAttributes(command) => command.decide(state, setting),
            Command::SetPlatformApplicationAttributes(command) => command.decide(state, setting),
            Command::DeletePlatformApplication(command) => command.decide(state, setting),
            Command::ListPlatformApplications(command) => command.decide(state, setting),
            Command::CreatePlatformEndpoint(command) => command.decide(state, setting),
            Command::GetEndpointAttributes(command) => command.decide(state, setting),
            Command::SetEndpointAttributes(command) => command.decide(state, setting),
            Command::DeleteEndpoint(command) => command.decide(state, setting),
            Command::ListEndpoints(command) => command.decide(state, setting),
            Command::SetSMSAttributes(command) => command.decide(state, setting),
            Command::GetSMSAttributes(command) => command.decide(state, setting),
            Command::CheckIfPhoneNumberIsOptedOut(command) => command.decide(state, setting),
            Command::ListPhoneNumbersOptedOut(command) => command.decide(state, setting),
            Command::OptInPhoneNumber(command) => command.decide(state, setting),
            Command::ListOriginationNumbers(command) => command.decide(state, setting),
            Command::CreateSMSSandboxPhoneNumber(command) => command.decide(state, setting),
            Command::VerifySMSSandboxPhoneNumber(command) => command.decide(state, setting),
            Command::DeleteSMSSandboxPhoneNumber(command) => command.decide(state, setting),
            Command::ListSMSSandboxPhoneNumbers(command) => command.decide(state, setting),
            Command::GetSMSSandboxAccountStatus(command) => command.decide(state, setting),
            Command::OptOut(command) => command.decide(state, setting),
            Command::Publish(command) => command.decide(state, context),
            Command::PublishBatch(command) => command.decide(state, context),
        }
    }

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

    /// What it may write to the log.
    pub fn demand(&self) -> Demand {
        match self {
            Command::GetTopicAttributes(_)
            | Command::ListTopics(_)
            | Command::ListTagsForResource(_)
            | Command::GetDataProtectionPolicy(_)
            | Command::GetSubscriptionAttributes(_)
            | Command::ListSubscriptions(_)
            | Command::GetPlatformApplicationAttributes(_)
            | Command::ListPlatformApplications(_)
            | Command::GetEndpointAttributes(_)
            | Command::ListEndpoints(_)
            | Command::GetSMSAttributes(_)
            | Command::CheckIfPhoneNumberIsOptedOut(_)
            | Command::ListPhoneNumbersOptedOut(_)
            | Command::ListOriginationNumbers(_)
            | Command::ListSMSSandboxPhoneNumbers(_)
            | Command::GetSMSSandboxAccountStatus(_) => Demand::Nothing,
            Command::DeleteTopic(_) => Demand::Purge,
            Command::DeletePlatformApplication(_)
            | Command::DeleteEndpoint(_)
            | Command::DeleteSMSSandboxPhoneNumber(_) => Demand::Delete,
            // The end of a subscription is told to its endpoint, which takes a small parcel.
            Command::Unsubscribe(_)
            | Command::UntagResource(_)
            | Command::RemovePermission(_)
            | Command::ConfirmSubscription(_)
            | Command::OptInPhoneNumber(_)
            | Command::OptOut(_)
            | Command::VerifySMSSandboxPhoneNumber(_) => Demand::Change,
            Command::CreateTopic(_)
            | Command::SetTopicAttributes(_)
            | Command::TagResource(_)
            | Command::AddPermission(_)
            | Command::PutDataProtectionPolicy(_)
            | Command::Subscribe(_)
            | Command::SetSubscriptionAttributes(_)
            | Command::CreatePlatformApplication(_)
            | Command::SetPlatformApplicationAttributes(_)
            | Command::CreatePlatformEndpoint(_)
            | Command::SetEndpointAttributes(_)
            | Command::SetSMSAttributes(_)
            | Command::CreateSMSSandboxPhoneNumber(_)
            | Command::Publish(_)
            | Command::PublishBatch(_) => Demand::Growth,
        }
    }
}

/// A topic is declared anew, with something changed; nothing is recorded if it stays as it is.
fn redeclared<'a>(topic: &Topic, change: impl FnOnce(&mut TopicDeclared)) -> Decision<'a> {
    let mut declared = topic.declared.clone();
    change(&mut declared);
    let records =
        if declared == topic.declared { Vec::new() } else { vec![Record::TopicDeclared(Box::new(declared))] };
    done(records, Reply::Done)
}

/// Texts by name, as an answer has them.
fn to_map(pairs: Vec<(String, String)>) -> api::Map<api::Text> {
    api::Map(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
}
