//! ListTopics: the topics of an account and region, by name, page by page.

use std::ops::Bound;

use api::sns::{ListTopicsInput, ListTopicsOutput};
use kernel::{Caller, Refusal};

use super::{Decision, Reply, Setting};
use crate::TopicKey;
use crate::rules::pages::{self, Listed, Page};
use crate::state::State;

/// ListTopics.
#[derive(Clone, Debug)]
pub struct ListTopics {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// Which of them.
    pub page: Page,
}

impl ListTopics {
    /// Reads the request.
    pub fn prepare(input: &ListTopicsInput, caller: &Caller) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref())?;
        Ok(ListTopics { account: caller.account.clone(), region: caller.region.clone(), page })
    }

    /// Tells their ARNs.
    pub fn decide(&self, state: &State, _: &Setting<'_>) -> Decision<'_> {
        let key = |name: &str| TopicKey {
            account: self.account.clone(),
            region: self.region.clone(),
            name: name.to_owned(),
        };
        let start = match &self.page.after {
            Some(name) => Bound::Excluded(key(name)),
            None => Bound::Included(key("")),
        };
        let keys = state.names.range((start, Bound::Unbounded)).map(|(key, _)| key);
        let theirs = keys.take_while(|key| key.account == self.account && key.region == self.region);
        let listed = self.page.fill(theirs.map(|key| (key.name.clone(), key.arn().to_string())));
        Decision::answer(Reply::Texts(listed))
    }

    /// The answer.
    pub fn present(listed: Listed<String>) -> ListTopicsOutput {
        let topic = |arn: String| api::sns::Topic { topic_arn: Some(arn.into()) };
        ListTopicsOutput {
            topics: Some(listed.items.into_iter().map(topic).collect()),
            next_token: listed.next_token.map(Into::into),
        }
    }
}
