//! Random ends of attempts to reach a target outside, over crashes and the end of segments: every accepted event is delivered, in the
//! dead-letter queue, or pending.

use std::collections::BTreeSet;

use eventbridge::deliveries::{Attempt, Outcome};
use machine::Options;
use proptest::prelude::*;

use crate::story::{Story, arn, entry, target, with_letters};

#[derive(Clone, Debug)]
enum Step {
    Put,
    /// The next attempt ends in this way.
    End(Outcome),
    /// It ends, but what it was about cannot be handed in.
    EndUnread(Outcome),
    Pass(u64),
    Crash,
    Age,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = || {
        prop_oneof![
            2 => Just(Outcome::Delivered),
            4 => Just(Outcome::Failed),
            1 => Just(Outcome::Refused),
            1 => Just(Outcome::NotMade),
            1 => Just(Outcome::Unreadable),
        ]
    };
    prop_oneof![
        3 => Just(Step::Put),
        6 => outcome().prop_map(Step::End),
        1 => outcome().prop_map(Step::EndUnread),
        3 => (1_u64..4000).prop_map(Step::Pass),
        1 => Just(Step::Crash),
        1 => Just(Step::Age),
    ]
}

#[derive(Default)]
struct Known {
    accepted: BTreeSet<String>,
    delivered: BTreeSet<String>,
    letters: BTreeSet<String>,
}

impl Known {
    fn end(&mut self, story: &mut Story, attempt: &Attempt, outcome: Outcome, is_read: bool) {
        let Ok(record) = story.server.reader.read_many(&[attempt.parcel]).remove(0) else {
            // It was written forward meanwhile: the program says so, too.
            return story.ends(attempt, Outcome::NotMade, None);
        };
        let stored = notification::Notification::decode(&record.tail).unwrap();
        let event: serde_json::Value = serde_json::from_str(&stored.message).unwrap();
        if outcome == Outcome::Delivered {
            let is_new = self.delivered.insert(event["id"].as_str().unwrap().to_owned());
            assert!(is_new, "it was delivered, and the server knew it");
        }
        story.ends(attempt, outcome, is_read.then_some((record.head, record.tail)));
    }

    fn check(&mut self, story: &mut Story) {
        for (id, _) in story.letters() {
            assert!(self.letters.insert(id), "one letter for each event");
        }
        assert!(self.letters.is_disjoint(&self.delivered));
        let over = self.letters.len() + self.delivered.len();
        assert_eq!(story.server.machine.eventbridge().deliveries_pending(), self.accepted.len() - over);
        assert!(self.letters.union(&self.delivered).all(|id| self.accepted.contains(id)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_event_is_lost(steps in proptest::collection::vec(step(), 1..60)) {
        let mut story = Story::with_segments_of(4 << 10, Options::default());
        let mut known = Known::default();
        story.fill();
        story.create_queue("letters");
        let retry = api::eventbridge::RetryPolicy {
            maximum_retry_attempts: Some(3),
            maximum_event_age_in_seconds: Some(7200),
        };
        let function = with_letters(target("f", arn("lambda", "function:f")));
        story.rule("r", "shop", vec![api::eventbridge::Target { retry_policy: Some(retry), ..function }]);
        for step in steps {
            match step {
                Step::Put => known.accepted.extend(story.put(vec![entry("shop", "{}")])),
                Step::End(outcome) => {
                    if let Some(attempt) = story.server.event_attempts.pop_front() {
                        known.end(&mut story, &attempt, outcome, true);
                    }
                }
                Step::EndUnread(outcome) => {
                    if let Some(attempt) = story.server.event_attempts.pop_front() {
                        known.end(&mut story, &attempt, outcome, false);
                    }
                }
                Step::Pass(seconds) => story.pass(seconds),
                // What was under way is tried again.
                Step::Crash => story.crash(),
                Step::Age => story.grow_old(20),
            }
            known.check(&mut story);
        }
        // What is pending comes to an end.
        for _ in 0..20 {
            while let Some(attempt) = story.server.event_attempts.pop_front() {
                known.end(&mut story, &attempt, Outcome::Refused, true);
            }
            story.pass(3600);
        }
        known.check(&mut story);
        prop_assert_eq!(story.server.machine.eventbridge().deliveries_pending(), 0);
    }
}
