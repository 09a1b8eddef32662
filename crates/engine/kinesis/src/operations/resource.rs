//! What has tags and a policy of its own: streams and consumers, named by their ARNs.

use api::Text;
use kernel::{Arn, Caller, Refusal};
use resources::Faults;
use resources::policy::Policy;
use resources::tags::Tags;

use super::{Decision, Reply, Setting, permitted};
use crate::ids::consumer_of_arn;
use crate::records::{ConsumerDeclared, Record, StreamDeclared};
use crate::rules::permissions;
use crate::state::State;
use crate::{ConsumerKey, StreamKey, refusals};

const ARN: &str = "arn:aws.*:kinesis:.*:\\d{12}:.*(stream|channel|queue)/\\S+";

/// How a request names a stream or a consumer.
#[derive(Clone, Debug)]
pub struct Resource {
    arn: String,
    stream: StreamKey,
    /// A consumer's name, and the second in which it was made.
    consumer: Option<(String, u64)>,
}

/// A stream or a consumer.
pub(super) enum Found<'s> {
    Stream(&'s StreamDeclared),
    Consumer(&'s ConsumerDeclared),
}

impl Resource {
    /// Reads an ARN.
    pub(super) fn named(arn: Option<&Text>) -> Result<Resource, Refusal> {
        let mut faults = Faults::default();
        let text = faults.required(arn.map(|arn| &**arn), "resourceARN");
        let parsed = text.parse::<Arn>().ok();
        let stream = parsed.as_ref().and_then(StreamKey::from_arn);
        let consumer = parsed.as_ref().and_then(consumer_of_arn);
        if arn.is_some() && stream.is_none() && consumer.is_none() {
            faults.pattern(text, "resourceARN", ARN, false);
        }
        faults.refusal()?;
        let resource = |stream, consumer| Resource { arn: text.to_owned(), stream, consumer };
        match (stream, consumer) {
            (Some(stream), _) => Ok(resource(stream, None)),
            (None, Some((stream, name, second))) => Ok(resource(stream, Some((name, second)))),
            (None, None) => Err(refusals::invalid("ResourceARN is invalid.")),
        }
    }

    /// What it names, if the caller may do that with it.
    pub(super) fn find<'s>(
        &self,
        state: &'s State,
        caller: &Caller,
        action: &str,
        setting: &Setting<'_>,
    ) -> Result<Found<'s>, Refusal> {
        let Some((name, second)) = &self.consumer else {
            return permitted(state, &self.stream, caller, action, setting).map(Found::Stream);
        };
        let stream = state.stream(&self.stream);
        let key = stream.map(|stream| ConsumerKey { stream: stream.id, name: name.clone() });
        let consumer = key.and_then(|key| state.consumers.get(&key));
        let consumer = consumer.filter(|consumer| consumer.created.seconds() == *second);
        let policy = consumer.and_then(|it| it.policy.as_deref()).map(Policy::compile);
        if setting.limits.policies {
            permissions::check(caller, &self.stream.account, || self.arn.clone(), policy.as_ref(), action)?;
        }
        let missing = || refusals::consumer_missing(name, &self.stream.account);
        consumer.map(Found::Consumer).ok_or_else(missing)
    }
}

impl<'s> Found<'s> {
    /// Its tags.
    pub(super) fn tags(&self) -> &'s Tags {
        match self {
            Found::Stream(stream) => &stream.tags,
            Found::Consumer(consumer) => &consumer.tags,
        }
    }

    /// The text of its policy.
    pub(super) fn policy(&self) -> Option<&'s str> {
        match self {
            Found::Stream(stream) => stream.policy.as_deref(),
            Found::Consumer(consumer) => consumer.policy.as_deref(),
        }
    }

    /// It with other tags.
    pub(super) fn retagged<'a>(self, tags: Tags) -> Decision<'a> {
        let record = match self {
            Found::Stream(stream) => {
                Record::StreamDeclared(Box::new(StreamDeclared { tags, ..stream.clone() }))
            }
            Found::Consumer(consumer) => {
                Record::ConsumerDeclared(Box::new(ConsumerDeclared { tags, ..consumer.clone() }))
            }
        };
        Decision::done(vec![record.into()], Reply::Done)
    }

    /// It with another policy.
    pub(super) fn with_policy<'a>(self, policy: Option<String>) -> Decision<'a> {
        let record = match self {
            Found::Stream(stream) => {
                Record::StreamDeclared(Box::new(StreamDeclared { policy, ..stream.clone() }))
            }
            Found::Consumer(consumer) => {
                Record::ConsumerDeclared(Box::new(ConsumerDeclared { policy, ..consumer.clone() }))
            }
        };
        Decision::done(vec![record.into()], Reply::Done)
    }
}
