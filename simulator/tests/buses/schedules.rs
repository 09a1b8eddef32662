//! Rules with schedules: when they run, what their targets get, and that no crash takes a run away or repeats it.

use std::collections::BTreeMap;

use api::eventbridge::{self as shapes, Request};
use kernel::Time;
use machine::Options;
use serde_json::{Value, json};
use simulator::dice::Dice;
use simulator::server::Server;

use crate::of;
use crate::story::{SECRET, Story, arn, entry, map, target, text, with_letters};

const MINUTE: u64 = 60;

impl Story {
    /// A rule of the default bus that has a schedule.
    fn schedule(&mut self, name: &str, expression: &str, more: shapes::PutRuleInput) {
        let input = shapes::PutRuleInput {
            name: text(name),
            schedule_expression: text(expression),
            event_bus_name: None,
            ..more
        };
        self.events(Request::PutRule(input)).unwrap();
    }

    fn schedule_to(&mut self, name: &str, expression: &str, queue: &str) {
        self.schedule(name, expression, shapes::PutRuleInput::default());
        self.put_targets_on("default", name, vec![target("q", arn("sqs", queue))]);
    }

    fn switch(&mut self, rule: &str, on: bool) {
        let name = text(rule);
        let request = match on {
            true => Request::EnableRule(shapes::EnableRuleInput { name, event_bus_name: None }),
            false => Request::DisableRule(shapes::DisableRuleInput { name, event_bus_name: None }),
        };
        self.events(request).unwrap();
    }

    fn visible(&self, queue: &str) -> u64 {
        let queues = self.server.machine.sqs().queues();
        queues.filter(|it| it.key.name == queue).map(|it| it.visible).sum()
    }
}

#[test]
fn a_rule_runs_by_its_schedule_and_by_its_pattern() {
    // facts/eventbridge.md § 5
    let mut story = Story::new();
    story.create_queue("q");
    story.create_queue("others");
    let pattern = shapes::PutRuleInput {
        event_pattern: text(r#"{"source": ["shop"]}"#),
        ..shapes::PutRuleInput::default()
    };
    story.schedule("r", "rate(5 minutes)", pattern);
    story.put_targets_on("default", "r", vec![target("q", arn("sqs", "q"))]);
    story.rule("others", "aws.events", vec![target("q", arn("sqs", "others"))]);
    story.pass(5 * MINUTE - 1);
    assert_eq!(story.bodies("q"), [""; 0]);
    story.pass(1);
    let event: Value = serde_json::from_str(&story.bodies("q").remove(0)).unwrap();
    let id = event["id"].as_str().unwrap();
    assert_eq!(id.len(), 36);
    assert_eq!(
        event.to_string(),
        json!({
            "version": "0", "id": id, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "000000000000", "time": "2023-11-14T22:18:20Z", "region": "us-east-1",
            "resources": [arn("events", "rule/r")], "detail": {},
        })
        .to_string()
    );
    assert!(story.bodies("others").is_empty(), "the event is for the rule's targets alone");
    story.put(vec![entry("shop", "{}")]);
    assert_eq!(story.bodies("q").len(), 1);

    story.switch("r", false);
    story.pass(60 * MINUTE);
    assert!(story.bodies("q").is_empty());
    story.switch("r", true);
    story.pass(5 * MINUTE - 1);
    assert!(story.bodies("q").is_empty(), "the schedule begins anew");
    story.pass(1);
    story.pass(15 * MINUTE);
    assert_eq!(story.bodies("q").len(), 4);
    let delete = shapes::RemoveTargetsInput {
        rule: text("r"),
        ids: Some(vec!["q".into()]),
        ..shapes::RemoveTargetsInput::default()
    };
    story.events(Request::RemoveTargets(delete)).unwrap();
    let delete = shapes::DeleteRuleInput { name: text("r"), event_bus_name: None, force: None };
    story.events(Request::DeleteRule(delete)).unwrap();
    let due = story.server.machine.wake_at().is_none_or(|due| due > story.now + 24 * 3_600_000);
    assert!(due, "nothing is due any more");
}

#[test]
fn a_cron_runs_at_full_minutes_and_what_its_targets_get_is_made_of_the_event() {
    let mut story = Story::new();
    for queue in ["constant", "made", "news", "letters"] {
        story.create_queue(queue);
    }
    story.subscribe("news", "news", &[("RawMessageDelivery", "true")]);
    story.schedule("nightly", "cron(0/30 * ? * * *)", shapes::PutRuleInput::default());
    let made = shapes::InputTransformer {
        input_paths_map: map(&[("time", "$.time")]),
        input_template: text(r#""<aws.events.rule-name> at <time>""#),
    };
    story.put_targets_on(
        "default",
        "nightly",
        vec![
            shapes::Target { input: text("{}"), ..target("constant", arn("sqs", "constant")) },
            shapes::Target { input_transformer: Some(made), ..target("made", arn("sqs", "made")) },
            shapes::Target { input_path: text("$.resources"), ..target("news", arn("sns", "news")) },
            with_letters(target("missing", arn("sqs", "missing"))),
            target("f", arn("lambda", "function:f")),
        ],
    );
    story.pass(30 * MINUTE);
    assert_eq!(story.bodies("constant"), ["{}"]);
    assert_eq!(story.bodies("made"), [r#""nightly at 2023-11-14T22:30:00Z""#]);
    assert_eq!(story.bodies("news"), [format!("[\"{}\"]", arn("events", "rule/nightly"))]);
    let letter = story.letters().remove(0);
    assert_eq!(of(&letter, "ERROR_CODE"), Some("NO_RESOURCE"));
    assert_eq!(of(&letter, "RULE_ARN"), Some(&*arn("events", "rule/nightly")));
    assert_eq!(story.attempt().0.rule_arn, arn("events", "rule/nightly"));
    assert_eq!(story.server.undelivered.len(), 1);
}

#[test]
fn what_fell_due_meanwhile_happens_once_and_the_rhythm_stays() {
    let mut story = Story::new();
    story.create_queue("q");
    story.schedule_to("r", "rate(10 minutes)", "q");
    story.pass(10 * MINUTE);
    assert_eq!(story.bodies("q").len(), 1);
    // The server is down for three periods and a half.
    story.now = story.now + 35 * MINUTE * 1000;
    story.crash();
    story.pass(0);
    let bodies = story.bodies("q");
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].contains("22:33:20Z"), "it is the one that was due: {}", bodies[0]);
    story.pass(5 * MINUTE - 1);
    assert!(story.bodies("q").is_empty());
    story.pass(1);
    assert_eq!(story.bodies("q").len(), 1);
}

#[test]
fn a_change_of_the_rule_keeps_its_rhythm_and_another_schedule_begins_one() {
    let mut story = Story::with_segments_of(16 << 10, Options::default());
    story.create_queue("q");
    story.schedule_to("r", "rate(10 minutes)", "q");
    story.pass(4 * MINUTE);
    let description = shapes::PutRuleInput { description: text("d"), ..shapes::PutRuleInput::default() };
    story.schedule("r", "rate(10 minutes)", description);
    story.put_targets_on("default", "r", vec![target("2", arn("sqs", "q"))]);
    story.crash();
    story.pass(6 * MINUTE);
    assert_eq!(story.bodies("q").len(), 2);
    let begin = story.now.0 - 10 * MINUTE * 1000;
    // Its declaration and its runs are written forward, over and over.
    story.fill();
    let first = story.server.machine.end().segment();
    for _ in 0..6 {
        story.grow_old(60);
        story.crash();
        story.pass(11);
    }
    assert!(!story.server.machine.ledger().contains(first), "its first segments are gone");
    let runs = (story.now.0 - begin) / (10 * MINUTE * 1000) - 1;
    assert_eq!(story.bodies("q").len() as u64, 2 * runs);
    assert!(runs > 2);
    story.schedule("r", "rate(1 hour)", shapes::PutRuleInput::default());
    story.pass(60 * MINUTE - 1);
    assert!(story.bodies("q").is_empty());
    story.pass(1);
    assert_eq!(story.bodies("q").len(), 2);
}

#[test]
fn each_run_reaches_its_queues_exactly_once_whatever_a_crash_takes_back() {
    const RULES: u64 = 5;
    for seed in 0..12 {
        let mut dice = Dice::from_seed(seed);
        let mut story = Story::on_disk_of(seed, 64 << 10, Options::default());
        let begin = story.now;
        for number in 0..RULES {
            let (rule, queue) = (format!("r{number}"), format!("q{number}"));
            story.create_queue(&queue);
            story.schedule_to(&rule, &format!("rate({} minutes)", 2 + number), &queue);
            // So long that segments end between the records of a run.
            let input = format!("\"{}\"", "x".repeat(1500 * number as usize));
            let long = shapes::Target { input: text(input), ..target("long", arn("sqs", &queue)) };
            story.put_targets_on("default", &rule, vec![long]);
        }
        for _ in 0..50 {
            // Less than a period passes between two syncs, so at most one run of a rule is lost and made again.
            let millis = (1 + dice.below(2)) * MINUTE * 1000 - dice.below(MINUTE * 1000);
            story.now = story.now + millis;
            story.pass_time();
            if dice.percent(40) {
                crash_between(&mut story, &mut dice);
            } else {
                story.settle();
            }
        }
        crash_between(&mut story, &mut dice);
        let expected: BTreeMap<String, u64> = (0..RULES)
            .map(|number| (format!("q{number}"), 2 * ((story.now - begin) / ((2 + number) * MINUTE * 1000))))
            .collect();
        let got: BTreeMap<String, u64> =
            expected.keys().map(|queue| (queue.clone(), story.visible(queue))).collect();
        assert_eq!(got, expected, "seed {seed}");
    }
}

/// The power goes when some of what was written is synced, and the server starts again.
fn crash_between(story: &mut Story, dice: &mut Dice) {
    story.flush();
    for _ in 0..dice.below(3) {
        story.write();
    }
    if dice.percent(30) {
        story.sync();
    }
    story.disks.lose_power();
    story.server = Server::start(&story.disks, &story.log, SECRET, story.now, None, dice).unwrap();
    story.pass_time();
    story.settle();
}

#[test]
fn what_falls_due_together_is_divided_among_turns() {
    let mut story = Story::new();
    story.create_queue("q");
    let begin = story.now;
    for rule in 0..500 {
        story.schedule_to(&format!("r{rule}"), "cron(0 * * * ? *)", "q");
    }
    let hour = Time(begin.0.next_multiple_of(3_600_000));
    story.now = hour;
    story.server.machine.handle(hour, machine::Input::Tick);
    story.server.flush(hour);
    let after_one_turn = story.visible("q");
    assert!(after_one_turn > 0 && after_one_turn < 200, "{after_one_turn}");
    assert!(story.server.machine.is_behind());
    story.settle();
    assert_eq!(story.visible("q"), 500);
    assert!(!story.server.machine.is_behind());
}
