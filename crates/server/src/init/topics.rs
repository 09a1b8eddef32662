//! Topics in the init file: declared by the same requests that a client would send.

use std::collections::BTreeMap;
use std::ops::Range;

use api::sns::{
    CreateTopicInput, GetSubscriptionAttributesInput, Request, SetSubscriptionAttributesInput,
    SetTopicAttributesInput, SubscribeInput, Tag, TagResourceInput,
};
use api::{Map, Text};
use kernel::{Arn, Caller, Refusal};
use machine::{Command, Reply};
use serde::Deserialize;
use sns::operations;
use toml::Spanned;

use super::{attribute_text, caller_of};
use crate::engine::Handle;
use crate::mailbox::{Tickets, ask};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct TopicEntry {
    pub(super) name: Spanned<String>,
    account: Option<Spanned<String>>,
    region: Option<String>,
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
    /// A queue's name: of the same account and region, unless it is an ARN.
    queue: Option<Spanned<String>>,
    protocol: Option<Spanned<String>>,
    endpoint: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<Spanned<String>, toml::Value>,
}

/// What a file declares of one topic.
#[derive(Debug)]
pub(super) struct DeclaredTopic {
    name: String,
    caller: Caller,
    pub(super) line: usize,
    attributes: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    subscriptions: Vec<DeclaredSubscription>,
}

#[derive(Debug)]
struct DeclaredSubscription {
    protocol: String,
    endpoint: String,
    attributes: Vec<(String, String)>,
}

/// Where a mistake is, and which.
pub(super) type Mistake = (Range<usize>, String);

/// Checks an entry as far as that can be done without the server's state. `region` is where it is if it does not say.
pub(super) fn read(entry: TopicEntry, line: usize, region: &str) -> Result<DeclaredTopic, Mistake> {
    let name_span = entry.name.span();
    let name = entry.name.into_inner();
    let caller = caller_of(entry.account, entry.region.as_deref().unwrap_or(region))?;
    let mut attributes = Vec::new();
    if name.ends_with(".fifo") {
        attributes.push(("FifoTopic".to_owned(), "true".to_owned()));
    }
    for (attribute, value) in entry.attributes {
        let pair = (attribute.as_ref().clone(), attribute_text(&value));
        check(&caller, create(&name, std::slice::from_ref(&pair)))
            .map_err(|text| (attribute.span(), format!("topic \"{name}\", {}: {text}", pair.0)))?;
        if pair.0 != "FifoTopic" {
            attributes.push(pair);
        }
    }
    check(&caller, create(&name, &attributes))
        .map_err(|text| (name_span.clone(), format!("name = \"{name}\": {text}")))?;
    let topic_arn = Arn::new("sns", &caller.region, &caller.account, &name).to_string();
    let mut subscriptions = Vec::new();
    for subscription in entry.subscriptions {
        let (span, protocol, endpoint) =
            match (subscription.queue, subscription.protocol, subscription.endpoint) {
                (Some(queue), None, None) => {
                    let span = queue.span();
                    let queue = queue.into_inner();
                    let endpoint = match queue.starts_with("arn:") {
                        true => queue,
                        false => Arn::new("sqs", &caller.region, &caller.account, &queue).to_string(),
                    };
                    (span, "sqs".to_owned(), endpoint)
                }
                (None, Some(protocol), Some(endpoint)) => (protocol.span(), protocol.into_inner(), endpoint),
                _ => {
                    let text = format!(
                        "topic \"{name}\": a subscription says either queue, or protocol and endpoint"
                    );
                    return Err((name_span, text));
                }
            };
        let attributes = subscription.attributes.iter();
        let attributes: Vec<(String, String)> =
            attributes.map(|(name, value)| (name.as_ref().clone(), attribute_text(value))).collect();
        check(&caller, subscribe(&topic_arn, &protocol, &endpoint, &attributes))
            .map_err(|text| (span, format!("topic \"{name}\", subscription of {endpoint}: {text}")))?;
        subscriptions.push(DeclaredSubscription { protocol, endpoint, attributes });
    }
    let tags = entry.tags.into_iter().collect();
    Ok(DeclaredTopic { name, caller, line, attributes, tags, subscriptions })
}

fn check(caller: &Caller, request: Request) -> Result<(), String> {
    operations::prepare(request, caller, "", None).map(drop).map_err(|refusal| refusal.message.into_owned())
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

/// Makes it so. `base` is the URL under which subscribers reach this server.
pub(super) async fn declare(
    topic: &DeclaredTopic,
    base: &str,
    engine: &Handle,
    tickets: &Tickets,
) -> Result<(), Refusal> {
    let request = async |request: Request| -> Result<operations::Reply, Refusal> {
        let (command, _) = operations::prepare(request, &topic.caller, base, None)?;
        match ask(engine, tickets, Command::Sns(command)).await? {
            Reply::Sns(reply) => Ok(reply),
            Reply::Sqs(_) => Err(Refusal::new("InternalError", "another service answered")),
        }
    };
    let arn = Arn::new("sns", &topic.caller.region, &topic.caller.account, &topic.name).to_string();
    let text = |text: &str| Some(Text::from(text));
    if let Err(refusal) = request(create(&topic.name, &topic.attributes)).await {
        if !refusal.message.contains("already exists with different attributes") {
            return Err(refusal);
        }
        for (name, value) in topic.attributes.iter().filter(|(name, _)| name != "FifoTopic") {
            request(Request::SetTopicAttributes(SetTopicAttributesInput {
                topic_arn: text(&arn),
                attribute_name: text(name),
                attribute_value: text(value),
            }))
            .await?;
        }
    }
    if !topic.tags.is_empty() {
        let tag = |(key, value): &(String, String)| Tag { key: text(key), value: text(value) };
        let tags = Some(topic.tags.iter().map(tag).collect());
        request(Request::TagResource(TagResourceInput { resource_arn: text(&arn), tags })).await?;
    }
    for subscription in &topic.subscriptions {
        let DeclaredSubscription { protocol, endpoint, attributes } = subscription;
        match request(subscribe(&arn, protocol, endpoint, attributes)).await {
            Err(refusal) if refusal.message.contains("already exists with different attributes") => {}
            answer => {
                answer?;
                continue;
            }
        }
        let known = request(subscribe(&arn, protocol, endpoint, &[])).await?;
        let operations::Reply::Subscription(subscription_arn) = known else { continue };
        let read = GetSubscriptionAttributesInput { subscription_arn: text(&subscription_arn) };
        let present = request(Request::GetSubscriptionAttributes(read)).await?;
        for (name, value) in attributes {
            let is_so = matches!(&present, operations::Reply::Attributes(present)
                if present.iter().any(|(other, is)| other == name && is == value));
            if !is_so {
                request(Request::SetSubscriptionAttributes(SetSubscriptionAttributesInput {
                    subscription_arn: text(&subscription_arn),
                    attribute_name: text(name),
                    attribute_value: text(value),
                }))
                .await?;
            }
        }
    }
    Ok(())
}
