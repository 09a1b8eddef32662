//! Tests of the checker: histories that are right, and the same with one thing wrong that it must notice.

use crate::ledger::{Id, Ledger, Queue, Taker, Violation};

/// A step of a history.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Begin(Id),
    Acknowledge(Id),
    /// A queue gives a message, with the MessageId in its envelope, and acknowledges its deletion.
    Take(Queue, Id, Option<&'static str>),
    /// The HTTP server gets a message.
    Tell(Id),
    /// All queues were received empty.
    Audit,
    /// The HTTP server had time enough.
    Demand,
}
use Step::*;

fn standard(number: u64) -> Id {
    Id::new(0, number)
}

fn grouped(number: u64) -> Id {
    Id::new(1, number)
}

fn everywhere(id: Id) -> Vec<Step> {
    let takers = Queue::ALL.into_iter().filter(|queue| queue.takes(id));
    let mut steps: Vec<Step> =
        takers.map(|queue| Take(queue, id, queue.is_wrapped().then_some("an id"))).collect();
    if id.is_told() {
        steps.push(Tell(id));
    }
    steps
}

/// A run of a server that keeps its promises, with two crashes and all that may be in doubt.
fn good_history() -> Vec<Step> {
    let mut steps = Vec::new();
    for id in [standard(0), standard(1), standard(6), grouped(0), grouped(1)] {
        steps.extend([Begin(id), Acknowledge(id)]);
    }
    // Never answered: the first two are kept, the others are not.
    steps.extend([standard(8), grouped(2), standard(9), standard(16)].map(Begin));
    for id in [standard(0), standard(1), standard(6), standard(8), grouped(0), grouped(1), grouped(2)] {
        steps.extend(everywhere(id));
    }
    steps.push(Audit);
    steps.push(Tell(standard(0))); // HTTP may repeat itself
    steps.extend([Begin(grouped(2)), Acknowledge(grouped(2))]); // published again with the same id, and not kept twice
    steps.extend([Begin(grouped(3)), Acknowledge(grouped(3))]);
    steps.extend(everywhere(grouped(3)));
    steps.extend([Audit, Demand]);
    steps
}

fn verdict(history: &[Step]) -> Vec<Violation> {
    let mut ledger = Ledger::default();
    for step in history {
        match step {
            Begin(id) => ledger.begin(*id),
            Acknowledge(id) => ledger.acknowledge(*id, Some("an id".to_owned())),
            Take(queue, id, message_id) => {
                ledger.receive(*queue, *id, true, *message_id);
                ledger.delete(*queue, *id);
            }
            Tell(id) => ledger.tell(*id, true),
            Audit => ledger.audit(),
            Demand => ledger.demand_told(),
        }
    }
    ledger.violations().to_vec()
}

fn without(unwanted: impl Fn(&Step) -> bool) -> Vec<Step> {
    good_history().into_iter().filter(|step| !unwanted(step)).collect()
}

fn without_take(queue: Queue, id: Id) -> Vec<Step> {
    without(|step| matches!(step, Take(q, i, _) if (*q, *i) == (queue, id)))
}

/// The history with one more step before its first or second audit.
fn with(step: Step, audit: usize) -> Vec<Step> {
    let mut history = good_history();
    let at = history.iter().enumerate().filter(|(_, step)| **step == Audit).nth(audit).map_or(0, |(n, _)| n);
    history.insert(at, step);
    history
}

fn swapped() -> Vec<Step> {
    let mut history = good_history();
    let place = |id: Id| {
        let wanted = Take(Queue::Order, id, None);
        good_history().iter().position(|step| *step == wanted).unwrap_or(0)
    };
    history.swap(place(grouped(0)), place(grouped(1)));
    history
}

/// Feeds the checker good and doctored histories; gives how many of the latter it noticed, all of them, or what it
/// failed to notice.
pub fn test() -> Result<usize, String> {
    let calm = verdict(&good_history());
    if !calm.is_empty() {
        return Err(format!("it complains of a history in which nothing is wrong: {calm:?}"));
    }
    let queue = Taker::Queue;
    let cases: Vec<(&str, Vec<Step>, Violation)> = vec![
        (
            "an acknowledged message that a queue lacks",
            without_take(Queue::Wrapped, standard(1)),
            Violation::Lost { id: standard(1), from: Queue::Wrapped },
        ),
        (
            "an acknowledged message that a filtered queue lacks",
            without_take(Queue::Third, standard(6)),
            Violation::Lost { id: standard(6), from: Queue::Third },
        ),
        (
            "an unacknowledged message in some of its queues only",
            without_take(Queue::Even, standard(8)),
            Violation::Partial { id: standard(8), within: Queue::Raw, without: Queue::Even },
        ),
        (
            "an unacknowledged FIFO message in some of its queues only",
            without_take(Queue::Disorder, grouped(2)),
            Violation::Partial { id: grouped(2), within: Queue::Order, without: Queue::Disorder },
        ),
        (
            "a message twice in a queue",
            with(Take(Queue::Even, standard(0), None), 0),
            Violation::Doubled { id: standard(0), from: Queue::Even },
        ),
        (
            "a message that comes back after a crash",
            with(Take(Queue::Even, standard(6), None), 1),
            Violation::Doubled { id: standard(6), from: Queue::Even },
        ),
        (
            "a FIFO message that was kept twice",
            with(Take(Queue::Disorder, grouped(2), None), 1),
            Violation::Doubled { id: grouped(2), from: Queue::Disorder },
        ),
        (
            "a message that nobody published",
            with(Take(Queue::Raw, standard(77), None), 0),
            Violation::Unknown { id: standard(77), at: queue(Queue::Raw) },
        ),
        (
            "a message that the filter should have kept back",
            with(Take(Queue::Even, standard(1), None), 0),
            Violation::Misplaced { id: standard(1), at: queue(Queue::Even) },
        ),
        (
            "an envelope with another message's id",
            with(Take(Queue::Wrapped, standard(8), Some("another")), 0),
            Violation::Changed { id: standard(8), at: queue(Queue::Wrapped) },
        ),
        (
            "a group out of order",
            swapped(),
            Violation::OutOfOrder { id: grouped(0), from: Queue::Order, after: 1 },
        ),
        (
            "a message that never reached the HTTP server",
            without(|step| *step == Tell(standard(8))),
            Violation::NotTold(standard(8)),
        ),
        (
            "a message that reached the HTTP server alone",
            with(Tell(standard(16)), 0),
            Violation::ToldTooEarly(standard(16)),
        ),
    ];
    let count = cases.len();
    for (what, history, expected) in cases {
        let found = verdict(&history);
        if !found.contains(&expected) {
            return Err(format!("it did not notice {what}: found {found:?}, not {expected:?}"));
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use crate::ledger::Id;

    #[test]
    fn the_checker_notices_every_doctored_history_and_no_good_one() {
        super::test().unwrap();
    }

    #[test]
    fn a_message_tells_its_id_and_whether_it_is_intact() {
        let id = Id::new(3, 7);
        assert_eq!(Id::from_body(&id.body()), Some((id, true)));
        assert_eq!(Id::from_body(&(id.body() + " ")), Some((id, false)));
        assert_eq!(Id::from_body("short"), None);
    }
}
