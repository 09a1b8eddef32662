//! ListDeadLetterSourceQueues: which queues send their dead letters to this one.

use std::ops::Bound;

use api::sqs::{ListDeadLetterSourceQueuesInput, ListDeadLetterSourceQueuesOutput};
use kernel::codec::Malformed;
use kernel::{Asker, Demand, Operation, Refusal};

use super::list_queues::Page;
use super::reply::Reply;
use super::{Context, Decision, Materials};
use crate::queue::Queue;
use crate::rules::names::queue_of_url;
use crate::state::State;
use crate::{QueueKey, refusals};

/// ListDeadLetterSourceQueues.
#[derive(Clone, Debug)]
pub struct ListDeadLetterSourceQueues {
    /// The dead-letter queue.
    pub queue: QueueKey,
    /// Which of its sources.
    pub page: Result<Page, Refusal>,
}

impl Operation<State> for ListDeadLetterSourceQueues {
    type Input = ListDeadLetterSourceQueuesInput;
    type Output = ListDeadLetterSourceQueuesOutput;
    type Plan = ();

    const DEMAND: Demand = Demand::Nothing;

    fn prepare(input: ListDeadLetterSourceQueuesInput, asker: &Asker<'_>) -> Result<Self, Refusal> {
        let queue = queue_of_url(input.queue_url.as_deref(), asker.caller)?;
        let page = Page::new(input.next_token.as_deref(), input.max_results);
        Ok(ListDeadLetterSourceQueues { queue, page })
    }

    /// Tells their URLs.
    fn decide<'a>(&'a self, state: &State, _: &mut Context<'a, '_>) -> Decision<'a> {
        let Some(queue) = state.queue(&self.queue) else { return refusals::queue_missing().into() };
        match &self.page {
            Ok(page) => {
                let sources = sources(state, queue, page.after());
                Decision::answer(Reply::QueueUrls(page.fill(sources)))
            }
            Err(refusal) => refusal.clone().into(),
        }
    }

    /// The answer, whose list is there even if it is empty (facts/sqs.md § 2).
    fn present(
        reply: Reply,
        _: &(),
        materials: &Materials<'_>,
    ) -> Result<ListDeadLetterSourceQueuesOutput, Malformed> {
        let Reply::QueueUrls(page) = reply else { return Err(Malformed) };
        Ok(ListDeadLetterSourceQueuesOutput {
            queue_urls: Some(page.urls(materials.base)),
            next_token: page.token(),
        })
    }
}

/// The queues of its account and region whose redrive policy names this one, by name, those after a name.
pub(super) fn sources<'s>(
    state: &'s State,
    queue: &Queue,
    after: Option<&str>,
) -> impl Iterator<Item = &'s Queue> {
    let target = queue.key.clone();
    let from = QueueKey { name: after.unwrap_or_default().to_owned(), ..target.clone() };
    // No queue has an empty name, so nothing is passed over when there is none to begin after.
    let range = (Bound::Excluded((target.clone(), from)), Bound::Unbounded);
    state
        .dead_letter_sources
        .range(range)
        .take_while(move |(of, source)| {
            *of == target && source.account == target.account && source.region == target.region
        })
        .filter_map(|(_, source)| state.queue(source))
}

#[cfg(test)]
mod tests {
    use super::super::create_queue::testing::{World, key, prepare, present};
    use super::super::reply::QueuePage;
    use super::*;

    #[test]
    fn sources_are_listed_by_name_and_page_by_page() {
        // facts/sqs.md § 2
        let mut world = World::new();
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:m","maxReceiveCount":3}"#;
        world.create("m", &[]);
        world.create("other", &[]);
        for name in ["z", "a", "n"] {
            world.create(name, &[("RedrivePolicy", policy)]);
        }
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let page = Page::new(token.as_deref(), Some(2));
            let list = ListDeadLetterSourceQueues { queue: key("m"), page };
            let Ok(Reply::QueueUrls(page)) = world.ask(|state, context| list.decide(state, context)) else {
                panic!("no page")
            };
            seen.extend(page.queues.into_iter().map(|queue| queue.name));
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["a", "n", "z"]);
        let list = ListDeadLetterSourceQueues { queue: key("a"), page: Page::new(None, None) };
        let answer = world.ask(|state, context| list.decide(state, context));
        assert_eq!(
            answer,
            Ok(Reply::QueueUrls(Default::default())),
            "a queue without sources has an empty list"
        );
    }

    #[test]
    fn an_answer_without_queues_has_an_empty_list() {
        // facts/sqs.md § 2
        let output = present::<ListDeadLetterSourceQueues>(Reply::QueueUrls(QueuePage::default()));
        assert_eq!(output.queue_urls, Some(vec![]));
        let input = ListDeadLetterSourceQueuesInput {
            queue_url: Some("/000000000000/q".into()),
            ..Default::default()
        };
        assert_eq!(prepare::<ListDeadLetterSourceQueues>(input).unwrap().queue, key("q"));
    }
}
