//! ListQueues: the queues of an account and region, by name, page by page.

use std::ops::Bound;

use api::sqs::{ListQueuesInput, ListQueuesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};
use resources::pages::{key_of, size_of};

use super::reply::{QueuePage, Reply};
use super::{Context, Decision, Materials};
use crate::queue::Queue;
use crate::state::State;
use crate::{QueueKey, refusals};

/// ListQueues.
#[derive(Clone, Debug)]
pub struct ListQueues {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// What their names begin with; may be empty.
    pub prefix: String,
    /// Which of them.
    pub page: Page,
}

impl Operation<State> for ListQueues {
    type Input = ListQueuesInput;
    type Output = ListQueuesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListQueuesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        Ok(ListQueues {
            account: asker.caller.account.clone(),
            region: asker.caller.region.clone(),
            prefix: input.queue_name_prefix.as_deref().unwrap_or_default().to_owned(),
            page: Page::new(input.next_token.as_deref(), input.max_results)?,
        })
    }

    /// Tells their URLs.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let from = self.page.after().filter(|after| *after >= self.prefix.as_str());
        let start = match from {
            Some(after) => Bound::Excluded(self.key(after)),
            None => Bound::Included(self.key(&self.prefix)),
        };
        let queues = queues_from(state, start).take_while(|queue| queue.key.name.starts_with(&self.prefix));
        Decision::answer(Reply::QueueUrls(self.page.fill(queues)))
    }

    /// The answer; without queues it has no `QueueUrls` (facts/sqs.md § 2).
    fn present(reply: Reply, _: &(), materials: &Materials<'_>) -> Result<ListQueuesOutput, Malformed> {
        let Reply::QueueUrls(page) = reply else { return Err(Malformed) };
        let urls = Some(page.urls(materials.base)).filter(|urls| !urls.is_empty());
        Ok(ListQueuesOutput { queue_urls: urls, next_token: page.token() })
    }
}

impl ListQueues {
    fn key(&self, name: &str) -> QueueKey {
        QueueKey { account: self.account.clone(), region: self.region.clone(), name: name.to_owned() }
    }
}

/// The queues of one account and region, by name, beginning at a name.
pub(super) fn queues_from(state: &State, start: Bound<QueueKey>) -> impl Iterator<Item = &Queue> {
    let of = match &start {
        Bound::Included(key) | Bound::Excluded(key) => Some((key.account.clone(), key.region.clone())),
        Bound::Unbounded => None,
    };
    state
        .names
        .range((start, Bound::Unbounded))
        .take_while(move |(key, _)| of.as_ref().is_none_or(|of| key.account == of.0 && key.region == of.1))
        .filter_map(|(_, id)| state.queues.get(id))
}

/// The longest page, and the page of those who do not ask for one (facts/sqs.md § 2).
const LONGEST: usize = 1_000;

/// Which part of a list is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// After which name, and how many.
    pub part: resources::pages::Page,
    /// Whether to tell how to go on: only those who said how many they want are told (facts/sqs.md § 2).
    pub paged: bool,
}

impl Page {
    /// Reads `NextToken` and `MaxResults`.
    pub fn new(token: Option<&str>, most: Option<i32>) -> Result<Self, Refusal> {
        let paged = most.is_some();
        let most = size_of(most, LONGEST).map_err(|_| {
            refusals::parameter_invalid(
                "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer \
                 between 1 and 1000.",
            )
        })?;
        // AWS's own words for this are not known.
        let after = key_of(token).map_err(|_| {
            let token = token.unwrap_or_default();
            refusals::value_invalid(token, "NextToken", "It is not a token that was given out.")
        })?;
        Ok(Page { part: resources::pages::Page { after, most }, paged })
    }

    /// The name after which the page begins.
    pub(super) fn after(&self) -> Option<&str> {
        self.part.after.as_deref()
    }

    /// Takes the page out of the queues that come after [`Page::after`].
    pub(super) fn fill<'s>(&self, queues: impl Iterator<Item = &'s Queue>) -> QueuePage {
        let listed = self.part.fill(queues.map(|queue| (&*queue.key.name, queue.key.clone())));
        QueuePage { queues: listed.items, next_token: listed.next_token.filter(|_| self.paged) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{ACCOUNT, BASE, REGION, World, key, prepare, present};
    use super::*;

    fn list(
        world: &mut World,
        prefix: &str,
        token: Option<&str>,
        most: Option<i32>,
    ) -> (Vec<String>, Option<String>) {
        let list = ListQueues {
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            prefix: prefix.to_owned(),
            page: Page::new(token, most).unwrap(),
        };
        match world.ask(|state, context| list.decide(state, context)) {
            Ok(Reply::QueueUrls(page)) => {
                (page.queues.into_iter().map(|queue| queue.name).collect(), page.next_token)
            }
            other => panic!("{other:?}"),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn queues_are_listed_by_name_within_their_account_and_region() {
        // facts/sqs.md § 2
        let mut world = World::new();
        for name in ["b", "a", "b-2", "c"] {
            world.create(name, &[]);
        }
        for elsewhere in [
            QueueKey { account: "000000000001".to_owned(), ..key("b-1") },
            QueueKey { region: "us-east-2".to_owned(), ..key("b-1") },
            QueueKey { region: "eu-west-1".to_owned(), ..key("b-1") },
        ] {
            let create = super::super::create_queue::CreateQueue::new(elsewhere, [], []).unwrap();
            world.ask(|state, context| create.decide(state, context)).unwrap();
        }
        assert_eq!(list(&mut world, "", None, None), (names(&["a", "b", "b-2", "c"]), None));
        assert_eq!(list(&mut world, "b", None, None), (names(&["b", "b-2"]), None));
        assert_eq!(list(&mut world, "x", None, None), (names(&[]), None));
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        // facts/sqs.md § 2
        let mut world = World::new();
        for name in ["a", "b1", "b2", "b3", "b4", "c"] {
            world.create(name, &[]);
        }
        let (first, token) = list(&mut world, "b", None, Some(2));
        assert_eq!(first, names(&["b1", "b2"]));
        let token = token.unwrap();
        world.create("b11", &[]);
        world.create("b21", &[]);
        let (second, token) = list(&mut world, "b", Some(&token), Some(2));
        assert_eq!(second, names(&["b21", "b3"]));
        assert_eq!(
            list(&mut world, "b", token.as_deref(), Some(1)),
            (names(&["b4"]), None),
            "the last page says so"
        );
    }

    #[test]
    fn only_those_who_ask_for_pages_are_told_how_to_go_on() {
        // facts/sqs.md § 2
        let mut world = World::new();
        for number in 0..1_001 {
            world.create(&format!("q{number:04}"), &[]);
        }
        let (all, token) = list(&mut world, "", None, None);
        assert_eq!((all.len(), token), (1_000, None));
        assert!(list(&mut world, "", None, Some(1_000)).1.is_some());
    }

    #[test]
    fn pages_and_tokens_are_checked() {
        // facts/sqs.md § 2
        for most in [0, -1, 1_001] {
            let refusal = Page::new(None, Some(most)).unwrap_err();
            assert_eq!(refusal.shape, "InvalidParameterValueException");
            assert_eq!(
                refusal.message,
                "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 \
                 and 1000."
            );
        }
        for token in ["?", "/////w=="] {
            assert_eq!(
                Page::new(Some(token), None).unwrap_err().shape,
                "InvalidParameterValueException",
                "{token}"
            );
        }
    }

    #[test]
    fn an_answer_without_queues_has_no_list() {
        // facts/sqs.md § 2
        let list = prepare::<ListQueues>(ListQueuesInput::default()).unwrap();
        assert_eq!(
            (list.account.as_str(), list.region.as_str(), list.prefix.as_str()),
            (ACCOUNT, REGION, "")
        );
        assert_eq!(
            present::<ListQueues>(Reply::QueueUrls(QueuePage::default())),
            ListQueuesOutput::default()
        );
        let page = QueuePage { queues: vec![key("q")], next_token: Some("t".to_owned()) };
        let output = present::<ListQueues>(Reply::QueueUrls(page));
        assert_eq!(output.queue_urls, Some(vec![format!("{BASE}/000000000000/q").into()]));
        assert_eq!(output.next_token.as_deref(), Some("t"));
    }
}
