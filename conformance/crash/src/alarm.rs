//! Tests of the checker: histories that are right, and the same with one thing wrong that it must notice.

use crate::ledger::{Event, Got, Id, Ledger, Queue, Violation};

fn plain(number: u64) -> Id {
    Id::new(Queue::Plain, 0, number)
}

fn grouped(number: u64) -> Id {
    Id::new(Queue::Groups, 1, number)
}

fn dying(number: u64) -> Id {
    Id::new(Queue::Source, 0, number)
}

/// A history in the making.
struct Story {
    events: Vec<Event>,
    now_ms: u64,
}

impl Story {
    fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    fn send(&mut self, id: Id) {
        self.tell(Event::SendBegun(id));
        self.tell(Event::SendAcknowledged(id));
    }

    fn delete(&mut self, id: Id) {
        self.tell(Event::DeleteBegun(id));
        self.tell(Event::DeleteAcknowledged(id));
    }

    /// Messages with their receive counts, hidden for a second; another two seconds pass first.
    fn receive(&mut self, from: Queue, messages: &[(Id, u32)]) {
        self.now_ms += 2000;
        let messages = messages.iter().map(|&(id, count)| Got { id, count, intact: true }).collect();
        let begun = self.events.len() as u64;
        let (begun_ms, answered_ms) = (self.now_ms, self.now_ms + 1);
        self.tell(Event::Received { from, begun, begun_ms, answered_ms, hidden_ms: 1000, messages });
    }
}

/// A run of a server that keeps its promises, with one crash and all that may be in doubt.
fn good_history() -> Vec<Event> {
    let mut story = Story { events: Vec::new(), now_ms: 0 };
    for number in 0..4 {
        story.send(plain(number));
        story.send(grouped(number));
    }
    story.send(dying(0));
    story.receive(Queue::Plain, &[(plain(0), 1), (plain(1), 1)]);
    story.delete(plain(0));
    story.tell(Event::DeleteBegun(plain(1))); // no answer
    story.receive(Queue::Groups, &[(grouped(0), 1), (grouped(1), 1)]);
    story.delete(grouped(0));
    story.tell(Event::DeleteBegun(grouped(1))); // no answer
    story.receive(Queue::Source, &[(dying(0), 1)]);
    story.receive(Queue::Source, &[(dying(0), 2)]);
    story.tell(Event::SendBegun(plain(9))); // no answer
    story.tell(Event::SendBegun(grouped(4))); // no answer
    story.tell(Event::Crashed);
    story.tell(Event::SendAcknowledged(grouped(4))); // sent again with the same id
    story.receive(Queue::Plain, &[(plain(1), 2), (plain(2), 1), (plain(9), 1)]);
    story.receive(Queue::Plain, &[(plain(3), 1)]);
    story.receive(Queue::Groups, &[(grouped(2), 1), (grouped(3), 1), (grouped(4), 1)]);
    story.receive(Queue::Dead, &[(dying(0), 3)]);
    for id in [plain(1), plain(2), plain(3), plain(9), grouped(2), grouped(3), grouped(4), dying(0)] {
        story.delete(id);
    }
    story.tell(Event::Audited);
    story.events
}

fn verdict(history: Vec<Event>) -> Vec<Violation> {
    let mut ledger = Ledger::new();
    for event in history {
        ledger.record(event);
    }
    ledger.violations().to_vec()
}

/// Changes the answers to ReceiveMessage after the crash.
fn doctored(mut change: impl FnMut(Queue, &mut Vec<Got>)) -> Vec<Event> {
    let mut history = good_history();
    let crash = history.iter().position(|event| matches!(event, Event::Crashed)).unwrap_or(0);
    for event in &mut history[crash..] {
        if let Event::Received { from, messages, .. } = event {
            change(*from, messages);
        }
    }
    history
}

fn remove(id: Id) -> Vec<Event> {
    let mut history = doctored(|_, messages| messages.retain(|got| got.id != id));
    // A message that never came is not deleted either.
    let crash = history.iter().position(|event| matches!(event, Event::Crashed)).unwrap_or(0);
    let mut index = 0;
    history.retain(|event| {
        index += 1;
        let deletes = matches!(event, Event::DeleteBegun(of) | Event::DeleteAcknowledged(of) if *of == id);
        index <= crash || !deletes
    });
    history
}

fn add(place: Queue, at: usize, id: Id, count: u32) -> Vec<Event> {
    let mut done = false;
    doctored(|from, messages| {
        if from == place && !done {
            messages.insert(at, Got { id, count, intact: true });
            done = true;
        }
    })
}

/// Feeds the checker good and doctored histories; gives how many of the latter it noticed, all of them, or what it
/// failed to notice.
pub fn test() -> Result<usize, String> {
    let calm = verdict(good_history());
    if !calm.is_empty() {
        return Err(format!("it complains of a history in which nothing is wrong: {calm:?}"));
    }
    let change = |wanted: Id, edit: fn(&mut Got)| {
        doctored(move |_, messages| messages.iter_mut().filter(|got| got.id == wanted).for_each(edit))
    };
    let mut hasty = good_history();
    if let Some(Event::Received { begun_ms, answered_ms, .. }) =
        hasty.iter_mut().filter(|event| matches!(event, Event::Received { from: Queue::Source, .. })).nth(1)
    {
        *begun_ms -= 1500;
        *answered_ms -= 1500;
    }
    let cases: Vec<(&str, Vec<Event>, Violation)> = vec![
        ("a lost message", remove(plain(2)), Violation::Lost(plain(2))),
        ("a lost FIFO message", remove(grouped(4)), Violation::Lost(grouped(4))),
        ("a dead letter lost on its way", remove(dying(0)), Violation::Lost(dying(0))),
        ("a resurrected message", add(Queue::Plain, 0, plain(0), 2), Violation::Resurrected(plain(0))),
        (
            "a resurrected FIFO message",
            add(Queue::Groups, 0, grouped(0), 2),
            Violation::Resurrected(grouped(0)),
        ),
        (
            "a FIFO message in doubt that comes back after its successors",
            add(Queue::Groups, 3, grouped(1), 2),
            Violation::Resurrected(grouped(1)),
        ),
        ("a message nobody sent", add(Queue::Plain, 0, plain(77), 1), Violation::Unknown(plain(77))),
        (
            "a group out of order",
            doctored(|from, messages| {
                if from == Queue::Groups {
                    messages.swap(0, 1)
                }
            }),
            Violation::OutOfOrder { id: grouped(3), before: grouped(2) },
        ),
        (
            "a gap in a group",
            remove(grouped(2)),
            Violation::OutOfOrder { id: grouped(3), before: grouped(2) },
        ),
        (
            "a FIFO receive count that fell",
            add(Queue::Groups, 0, grouped(1), 1),
            Violation::CountFell { id: grouped(1), from: 1, to: 1 },
        ),
        ("a changed body", change(plain(2), |got| got.intact = false), Violation::Changed(plain(2))),
        ("a hidden message", hasty, Violation::TooEarly { id: dying(0), by_ms: 499 }),
        (
            "a message in a foreign queue",
            add(Queue::Dead, 0, plain(3), 1),
            Violation::Misplaced { id: plain(3), from: Queue::Dead },
        ),
    ];
    let count = cases.len();
    for (what, history, expected) in cases {
        let found = verdict(history);
        if !found.contains(&expected) {
            return Err(format!("it did not notice {what}: found {found:?}, not {expected:?}"));
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checker_notices_every_doctored_history_and_no_good_one() {
        super::test().unwrap();
    }

    #[test]
    fn a_body_tells_its_id_and_whether_it_is_intact() {
        let id = super::grouped(7);
        assert_eq!(super::Id::from_body(&id.body()), Some((id, true)));
        assert_eq!(super::Id::from_body(&(id.body() + "x")), Some((id, false)));
        assert_eq!(super::Id::from_body("short"), None);
    }
}
