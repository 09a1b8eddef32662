//! Topics in the init file, declared by the same requests that a client would send.

use std::collections::BTreeMap;
use std::ops::Range;

use api::sns::{
    CreateTopicInput, GetSubscriptionAttributesInput, Request, SetSubscriptionAttributesInput,
    SetTopicAttributesInput, SubscribeInput, Tag, TagResourceInput,
};
use api::{Map, Text};
use kernel::{Asker, Caller, Refusal, Time};
use machine::{Command, Reply};
use serde::Deserialize;
use sns::rules::endpoints;
use sns::rules::subscription_attributes::{self, Whose};
use sns::rules::topic_attributes::{self, Fault};
use sns::{TopicKey, operations};
use toml::Spanned;

use super::{Mistake, QUEUE, arn_of, attribute_text, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TopicEntry {
    pub(super) name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, toml::Value>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    subscriptions: Vec<SubscriptionEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SubscriptionEntry {
    /// A queue's name, of the same account and region, or an ARN.
    queue: Option<Spanned<String>>,
    protocol: Option<Spanned<String>>,
    endpoint: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, toml::Value>,
}

/// The declaration of one topic.
#[derive(Debug)]
pub(super) struct DeclaredTopic {
    pub(super) name: String,
    /// The topic's key.
    pub(super) arn: String,
    caller: Caller,
    pub(super) line: usize,
    attributes: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    subscriptions: Vec<DeclaredSubscription>,
}

#[derive(Debug)]
struct DeclaredSubscription {
    line: usize,
    protocol: String,
    endpoint: String,
    attributes: Vec<(String, String)>,
}

/// Validates an entry as far as possible without the server's state. `region` is the default region;
/// `line_of` returns the line of the file on which something begins.
pub(super) fn read(
    entry: TopicEntry,
    region: &str,
    line_of: impl Fn(Range<usize>) -> usize,
) -> Result<DeclaredTopic, Mistake> {
    let name_span = entry.name.span();
    let name = entry.name.into_inner();
    let caller = caller_of(entry.account, entry.region, region)?;
    let mut attributes = Vec::new();
    if name.ends_with(".fifo") {
        attributes.push(("FifoTopic".to_owned(), "true".to_owned()));
    }
    check(&caller, create(&name, &attributes))
        .map_err(|text| (name_span.clone(), format!("name = \"{name}\": {text}")))?;
    let topic =
        TopicKey { account: caller.account.clone(), region: caller.region.clone(), name: name.clone() };
    let mut known = BTreeMap::new();
    for (attribute, value) in entry.attributes {
        let (span, attribute) = (attribute.span(), attribute.into_inner());
        let value = attribute_text(&value);
        let mistake = |text: &str| (span.clone(), format!("topic \"{name}\", {attribute}: {text}"));
        if attribute == "FifoTopic" {
            if value.eq_ignore_ascii_case("true") != topic.is_fifo() {
                return Err(mistake("the name of a FIFO topic must end in .fifo"));
            }
            continue;
        }
        match topic_attributes::set(&mut known, &attribute, &value, &topic, Time(0)) {
            Ok(()) => attributes.push((attribute, value)),
            Err(Fault::Unknown) => return Err(mistake("there is no such attribute")),
            Err(Fault::Value(text)) => return Err(mistake(&text)),
        }
    }
    let arn = topic.arn().to_string();
    let mut subscriptions = Vec::new();
    for subscription in entry.subscriptions {
        let (span, protocol, endpoint) =
            match (subscription.queue, subscription.protocol, subscription.endpoint) {
                (Some(queue), None, None) => {
                    let span = queue.span();
                    let queue = queue.into_inner();
                    (span, "sqs".to_owned(), arn_of(&queue, QUEUE, &caller))
                }
                (None, Some(protocol), Some(endpoint)) => (protocol.span(), protocol.into_inner(), endpoint),
                _ => {
                    let text = format!(
                        "topic \"{name}\": a subscription needs either queue, or protocol and endpoint"
                    );
                    return Err((name_span, text));
                }
            };
        let of =
            |what: &str, text: &str| format!("topic \"{name}\", subscription of {endpoint}{what}: {text}");
        check(&caller, subscribe(&arn, &protocol, &endpoint, &[]))
            .map_err(|text| (span.clone(), of("", &text)))?;
        let whose = Whose {
            topic: &topic,
            // The archive may have been declared elsewhere.
            archived: true,
            protocol: endpoints::protocol(&protocol)
                .map_err(|refusal| (span.clone(), of("", &refusal.message)))?,
            endpoint: &endpoint,
            owner: &caller.account,
        };
        let mut attributes: Vec<(Range<usize>, String, String)> = subscription
            .attributes
            .iter()
            .map(|(name, value)| (name.span(), name.as_ref().clone(), attribute_text(value)))
            .collect();
        // A policy is validated for its scope.
        attributes.sort_by_key(|(_, name, _)| name != "FilterPolicyScope");
        let mut known = BTreeMap::new();
        for (span, name, value) in &attributes {
            subscription_attributes::set(&mut known, name, Some(value), &whose)
                .map_err(|text| (span.clone(), of(&format!(", {name}"), &text)))?;
        }
        let attributes = attributes.into_iter().map(|(_, name, value)| (name, value)).collect();
        subscriptions.push(DeclaredSubscription { line: line_of(span), protocol, endpoint, attributes });
    }
    let tags = entry.tags.into_iter().collect();
    Ok(DeclaredTopic { name, arn, caller, line: line_of(name_span), attributes, tags, subscriptions })
}

fn check(caller: &Caller, request: Request) -> Result<(), String> {
    let asker = Asker { caller, base: "", trace: None };
    operations::prepare(request, &asker).map(drop).map_err(|refusal| refusal.message.into_owned())
}

fn create(name: &str, attributes: &[(String, String)]) -> Request {
    Request::CreateTopic(CreateTopicInput {
        name: Some(name.into()),
        attributes: Some(map(attributes)),
        ..CreateTopicInput::default()
    })
}

fn subscribe(topic_arn: &str, protocol: &str, endpoint: &str, attributes: &[(String, String)]) -> Request {
    Request::Subscribe(SubscribeInput {
        topic_arn: Some(topic_arn.into()),
        protocol: Some(protocol.into()),
        endpoint: Some(endpoint.into()),
        attributes: Some(map(attributes)),
        return_subscription_arn: Some(true),
    })
}

fn map(pairs: &[(String, String)]) -> Map<Text> {
    Map(pairs.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect())
}

/// Applies the declaration. `base` is the URL by which subscribers reach this server.
pub(super) async fn declare(
    topic: &DeclaredTopic,
    base: &str,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), (usize, String)> {
    let request = async |request: Request| -> Result<operations::Reply, Refusal> {
        let asker = Asker { caller: &topic.caller, base, trace: None };
        let (command, _) = operations::prepare(request, &asker)?;
        match ask(engine, tickets, Command::Sns(command)).await? {
            Reply::Sns(reply) => Ok(reply),
            _ => Err(Refusal::new("InternalError", "another service answered")),
        }
    };
    let text = |text: &str| Some(Text::from(text));
    let fault = |refusal: Refusal| (topic.line, format!("topic \"{}\": {}", topic.name, refusal.message));
    if let Err(refusal) = request(create(&topic.name, &topic.attributes)).await {
        if !refusal.message.contains("already exists with different attributes") {
            return Err(fault(refusal));
        }
        for (name, value) in topic.attributes.iter().filter(|(name, _)| name != "FifoTopic") {
            request(Request::SetTopicAttributes(SetTopicAttributesInput {
                topic_arn: text(&topic.arn),
                attribute_name: text(name),
                attribute_value: text(value),
            }))
            .await
            .map_err(fault)?;
        }
    }
    if !topic.tags.is_empty() {
        let tag = |(key, value): &(String, String)| Tag { key: text(key), value: text(value) };
        let tags = Some(topic.tags.iter().map(tag).collect());
        let tag = request(Request::TagResource(TagResourceInput { resource_arn: text(&topic.arn), tags }));
        tag.await.map_err(fault)?;
    }
    for subscription in &topic.subscriptions {
        let DeclaredSubscription { line, protocol, endpoint, attributes } = subscription;
        let fault = |refusal: Refusal| {
            let text = format!("topic \"{}\", subscription of {endpoint}: {}", topic.name, refusal.message);
            (*line, text)
        };
        match request(subscribe(&topic.arn, protocol, endpoint, attributes)).await {
            Err(refusal) if refusal.message.contains("already exists with different attributes") => {}
            answer => {
                answer.map_err(fault)?;
                continue;
            }
        }
        let known = request(subscribe(&topic.arn, protocol, endpoint, &[])).await.map_err(fault)?;
        let operations::Reply::Subscription(subscription_arn) = known else { continue };
        let read = GetSubscriptionAttributesInput { subscription_arn: text(&subscription_arn) };
        let present = request(Request::GetSubscriptionAttributes(read)).await.map_err(fault)?;
        let is_so = |(name, value): &(String, String)| {
            matches!(&present, operations::Reply::Attributes(present)
                if present.iter().any(|(other, is)| other == name && is == value))
        };
        // The existing policy need not be valid in the new scope, nor the new policy in the existing scope.
        let names = |name: &'static str| attributes.iter().find(move |(other, _)| other == name);
        let policy_goes =
            names("FilterPolicy").is_some() && names("FilterPolicyScope").is_some_and(|scope| !is_so(scope));
        let none = policy_goes.then(|| ("FilterPolicy".to_owned(), String::new()));
        let changed =
            attributes.iter().filter(|pair| !is_so(pair) || (policy_goes && pair.0 == "FilterPolicy"));
        for (name, value) in none.iter().chain(changed) {
            request(Request::SetSubscriptionAttributes(SetSubscriptionAttributesInput {
                subscription_arn: text(&subscription_arn),
                attribute_name: text(name),
                attribute_value: text(value),
            }))
            .await
            .map_err(fault)?;
        }
    }
    Ok(())
}
