//! ListTopics: the topics of an account and region, by name, page by page.

use std::ops::Bound;

use api::sns::{ListTopicsInput, ListTopicsOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal, Secret};

use super::{Context, Decision, Reply};
use crate::TopicKey;
use crate::rules::pages::{self, Page};
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

impl Operation<State> for ListTopics {
    type Input = ListTopicsInput;
    type Output = ListTopicsOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListTopicsInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let page = pages::page(input.next_token.as_deref())?;
        Ok(ListTopics { account: asker.caller.account.clone(), region: asker.caller.region.clone(), page })
    }

    /// Tells their ARNs.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
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

    fn present(reply: Reply, _: &(), _: &Secret) -> Result<ListTopicsOutput, Malformed> {
        let Reply::Texts(listed) = reply else { return Err(Malformed) };
        let topic = |arn: String| api::sns::Topic { topic_arn: Some(arn.into()) };
        Ok(ListTopicsOutput {
            topics: Some(listed.items.into_iter().map(topic).collect()),
            next_token: listed.next_token.map(Into::into),
        })
    }
}
