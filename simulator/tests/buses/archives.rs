//! Archives of buses and their replays, told to the whole server.

use api::Timestamp;
use api::eventbridge::{
    self as shapes, DescribeArchiveOutput, DescribeReplayOutput, ReplayDestination, Request, Response,
};
use machine::Options;
use serde_json::Value;
use simulator::dice::Dice;
use simulator::test_server::BEGIN;

use crate::story::{Story, answered, arn, entry, target, text};

const DAY: u64 = 24 * 60 * 60;

/// A window around everything that these stories tell.
const EVERYTHING: (u64, u64) = (0, BEGIN.0 + 1000 * DAY * 1000);

fn timestamp(millis: u64) -> Option<Timestamp> {
    Some(Timestamp(millis.cast_signed()))
}

fn start(name: &str, archive: &str, (from, to): (u64, u64), rules: &[&str]) -> Request {
    let filters = rules.iter().map(|rule| arn("events", &format!("rule/{rule}")).into()).collect();
    Request::StartReplay(shapes::StartReplayInput {
        replay_name: text(name),
        event_source_arn: text(arn("events", &format!("archive/{archive}"))),
        event_start_time: timestamp(from),
        event_end_time: timestamp(to),
        destination: Some(ReplayDestination {
            arn: text(arn("events", "event-bus/default")),
            filter_arns: Some(filters),
        }),
        ..Default::default()
    })
}

impl Story {
    /// An archive of the default bus, which keeps events for so many days.
    fn archive(&mut self, name: &str, pattern: Option<&str>, days: i32) {
        let input = shapes::CreateArchiveInput {
            archive_name: text(name),
            event_source_arn: text(arn("events", "event-bus/default")),
            event_pattern: pattern.and_then(text),
            retention_days: Some(days),
            ..Default::default()
        };
        self.events(Request::CreateArchive(input)).unwrap();
    }

    fn described(&mut self, archive: &str) -> DescribeArchiveOutput {
        let input = shapes::DescribeArchiveInput { archive_name: text(archive) };
        match self.events(Request::DescribeArchive(input)) {
            Ok(Response::DescribeArchive(output)) => output,
            other => panic!("{other:?}"),
        }
    }

    fn replay(
        &mut self,
        name: &str,
        archive: &str,
        (from, to): (u64, u64),
        rules: &[&str],
    ) -> Result<Response, String> {
        self.events(start(name, archive, (from, to), rules))
    }

    /// Asks, and reads nothing for replays before the answer has come.
    fn before_reading(&mut self, request: Request) -> Result<Response, String> {
        let held = self.server.take_recalls();
        let plan = self.tell(request);
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.extend(self.flush());
            while self.write() {}
            self.sync();
        }
        self.server.give_recalls(held);
        assert_eq!(answers.len(), 1);
        answered(answers.remove(0).1, &plan)
    }

    fn replayed(&mut self, name: &str) -> Result<DescribeReplayOutput, String> {
        let input = shapes::DescribeReplayInput { replay_name: text(name) };
        match self.events(Request::DescribeReplay(input))? {
            Response::DescribeReplay(output) => Ok(output),
            other => panic!("{other:?}"),
        }
    }

    fn state_of(&mut self, replay: &str) -> String {
        self.replayed(replay).unwrap().state.unwrap().to_string()
    }

    /// The numbers in the details of what a queue has, and the replays that handed them on.
    fn numbers(&mut self, queue: &str) -> Vec<(u64, Option<String>)> {
        let number = |body: String| {
            let event: Value = serde_json::from_str(&body).unwrap();
            (event["detail"]["n"].as_u64().unwrap(), event["replay-name"].as_str().map(ToString::to_string))
        };
        self.bodies(queue).into_iter().map(number).collect()
    }

    fn put_numbers(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            self.put(vec![entry("shop", &format!(r#"{{"n":{number}}}"#))]);
        }
    }
}

fn all_of(replay: &str, numbers: std::ops::Range<u64>) -> Vec<(u64, Option<String>)> {
    numbers.map(|number| (number, Some(replay.to_owned()))).collect()
}

#[test]
fn what_an_archive_has_kept_is_handed_on_again_from_the_log_and_from_the_store() {
    for is_kept in [false, true] {
        let mut story = Story::new();
        story.create_queue("q");
        story.rule("r", "shop", vec![target("q", arn("sqs", "q"))]);
        if !is_kept {
            story.disks.retained.leave_room(Some(0));
        }
        story.archive("a", Some(r#"{"source": ["shop"], "detail": {"n": [{"numeric": ["<", 40]}]}}"#), 0);
        story.put_numbers(0..42);
        story.put(vec![entry("other", r#"{"n":1}"#)]);
        assert_eq!(story.numbers("q").len(), 42);
        let archive = story.described("a");
        assert_eq!(archive.event_count, Some(40));
        assert_eq!(story.server.machine.ledger().owed_bytes() == 0, is_kept);
        story.crash();
        assert_eq!(story.described("a").event_count, Some(40));
        // Several pages, of which the last ends with the archive.
        let Ok(Response::StartReplay(started)) = story.replay("again", "a", EVERYTHING, &[]) else {
            panic!()
        };
        assert_eq!(started.state.as_deref(), Some("STARTING"));
        assert_eq!(story.numbers("q"), all_of("again", 0..40));
        let replay = story.replayed("again").unwrap();
        assert_eq!(replay.state.as_deref(), Some("COMPLETED"));
        assert_eq!(replay.event_last_replayed_time, timestamp(BEGIN.0));
        // Replayed events are not archived again, and neither the archive nor the replay is lost.
        story.crash();
        assert_eq!(story.described("a").event_count, Some(40));
        assert_eq!(story.state_of("again"), "COMPLETED");
        assert!(story.numbers("q").is_empty());
        assert!(story.server.undelivered.is_empty());
    }
}

#[test]
fn a_replay_hands_on_what_happened_in_its_window_to_its_rules() {
    let mut story = Story::new();
    for (queue, rule) in [("q", "r"), ("p", "s")] {
        story.create_queue(queue);
        story.rule(rule, "shop", vec![target("q", arn("sqs", queue))]);
    }
    story.archive("a", None, 0);
    story.put_numbers(0..1);
    story.pass(100);
    story.put_numbers(1..2);
    story.pass(100);
    // Events that happened long ago, and that will happen.
    for (number, time) in [(2, 50_000), (3, BEGIN.0 + 150_000), (4, BEGIN.0 + 900_000)] {
        let entry = entry("shop", &format!(r#"{{"n":{number}}}"#));
        story.put(vec![shapes::PutEventsRequestEntry { time: timestamp(time), ..entry }]);
    }
    for number in 0..2 {
        assert_eq!(
            (story.numbers("q").len(), story.numbers("p").len()),
            (5 * (1 - number), 5 * (1 - number))
        );
        story.crash();
    }
    let at = |seconds: u64| BEGIN.0 + seconds * 1000;
    for (name, window, rules, numbers) in [
        ("first", (at(0), at(1)), &["r"][..], vec![0]),
        ("inside", (at(1), at(160)), &["r"], vec![1, 3]),
        ("past", (0, 60_000), &["r"], vec![2]),
        ("future", (at(800), at(1000)), &["r"], vec![4]),
        ("nothing", (at(300), at(400)), &["r"], vec![]),
        ("both", (at(0), at(1)), &["r", "s"], vec![0]),
    ] {
        story.replay(name, "a", window, rules).unwrap();
        let replayed: Vec<u64> = story.numbers("q").into_iter().map(|(number, _)| number).collect();
        assert_eq!(replayed, numbers, "{name}");
        let others = story.numbers("p").len();
        assert_eq!(others, if rules.len() == 2 { numbers.len() } else { 0 }, "{name}");
        assert_eq!(story.state_of(name), "COMPLETED");
    }
}

#[test]
fn a_crash_in_the_middle_of_a_replay_neither_loses_an_event_nor_repeats_one() {
    for seed in 0..30 {
        let mut story = Story::on_disk_of(seed, 16 << 10, Options::default());
        let mut dice = Dice::from_seed(seed);
        story.create_queue("q");
        story.rule("r", "shop", vec![target("q", arn("sqs", "q"))]);
        story.archive("a", None, 0);
        story.put_numbers(0..60);
        assert_eq!(story.numbers("q").len(), 60);
        if seed % 2 == 0 {
            story.crash();
        }
        story.replay("again", "a", EVERYTHING, &[]).unwrap();
        let mut seen = Vec::new();
        let mut crashes = 0;
        while story.state_of("again") != "COMPLETED" || crashes < 3 {
            // A few steps, then the power fails.
            for _ in 0..dice.below(40) {
                story.pass_time();
                let now = story.now;
                match dice.below(4) {
                    0 => drop(story.server.run_errand(now).expect("no disk fails")),
                    1 => drop(story.write()),
                    2 => story.sync(),
                    _ => drop(story.flush()),
                }
            }
            story.crash_without_settling();
            crashes += 1;
            if crashes > 200 {
                panic!("it does not end");
            }
            if crashes > 3 {
                story.settle();
                seen.extend(story.numbers("q"));
            }
        }
        story.settle();
        seen.extend(story.numbers("q"));
        assert_eq!(seen, all_of("again", 0..60), "seed {seed}");
    }
}

#[test]
fn a_replay_can_be_cancelled_and_fails_without_its_archive() {
    let mut story = Story::new();
    story.create_queue("q");
    story.rule("r", "shop", vec![target("q", arn("sqs", "q"))]);
    story.archive("a", None, 0);
    story.put_numbers(0..50);
    story.numbers("q");
    let cancel = |story: &mut Story, name: &str| {
        let input = shapes::CancelReplayInput { replay_name: text(name) };
        story.before_reading(Request::CancelReplay(input))
    };
    // Nothing is read for it meanwhile.
    let hold = |story: &mut Story, name: &str| {
        let started = story.before_reading(start(name, "a", EVERYTHING, &[])).unwrap();
        assert!(matches!(started, Response::StartReplay(_)));
    };
    hold(&mut story, "cancelled");
    let Ok(Response::CancelReplay(output)) = cancel(&mut story, "cancelled") else { panic!() };
    assert_eq!(output.state.as_deref(), Some("CANCELLING"));
    story.settle();
    let replay = story.replayed("cancelled").unwrap();
    assert_eq!(replay.state.as_deref(), Some("CANCELLED"));
    assert!(replay.replay_end_time.is_some());
    assert!(story.numbers("q").len() < 50);
    assert_eq!(
        cancel(&mut story, "cancelled").unwrap_err(),
        "IllegalStatusException: Replay cancelled is not in a valid state for this operation."
    );
    assert_eq!(
        cancel(&mut story, "none").unwrap_err(),
        "ResourceNotFoundException: Replay none does not exist."
    );
    hold(&mut story, "failed");
    let delete = shapes::DeleteArchiveInput { archive_name: text("a") };
    story.before_reading(Request::DeleteArchive(delete)).unwrap();
    story.settle();
    let replay = story.replayed("failed").unwrap();
    assert_eq!(
        (replay.state.as_deref(), replay.state_reason.as_deref()),
        (Some("FAILED"), Some("Archive a does not exist."))
    );
    story.crash();
    assert_eq!(
        (story.state_of("failed"), story.state_of("cancelled")),
        ("FAILED".into(), "CANCELLED".into())
    );
    assert_eq!(story.server.machine.ledger().owed_bytes(), 0, "what was owed to the archive is forgotten");
    // The names can be used again 90 days later.
    story.archive("a", None, 0);
    let taken = "ResourceAlreadyExistsException: Replay failed already exists.";
    assert_eq!(story.replay("failed", "a", EVERYTHING, &[]).unwrap_err(), taken);
    story.pass(90 * DAY - 1);
    assert_eq!(story.state_of("failed"), "FAILED");
    story.pass(1);
    assert!(story.replayed("failed").is_err() && story.replayed("cancelled").is_err());
    story.crash();
    assert!(story.replayed("failed").is_err());
    story.replay("failed", "a", EVERYTHING, &[]).unwrap();
    assert_eq!(story.state_of("failed"), "COMPLETED");
}

#[test]
fn events_pass_their_retention_and_it_can_be_changed() {
    let mut story = Story::new();
    story.create_queue("q");
    story.rule("r", "shop", vec![target("q", arn("sqs", "q"))]);
    story.archive("a", None, 2);
    story.put_numbers(0..3);
    story.pass(DAY);
    story.put_numbers(3..5);
    story.pass(DAY + DAY / 2);
    story.numbers("q");
    story.replay("two days", "a", EVERYTHING, &[]).unwrap_err();
    story.replay("two-days", "a", EVERYTHING, &[]).unwrap();
    assert_eq!(story.numbers("q"), all_of("two-days", 3..5));
    let update = |story: &mut Story, days: i32| {
        let input = shapes::UpdateArchiveInput {
            archive_name: text("a"),
            retention_days: Some(days),
            ..Default::default()
        };
        story.events(Request::UpdateArchive(input)).unwrap();
    };
    update(&mut story, 0);
    story.crash();
    story.pass(100 * DAY);
    story.put_numbers(5..6);
    story.numbers("q");
    story.replay("for-ever", "a", EVERYTHING, &[]).unwrap();
    let kept = story.numbers("q");
    assert_eq!(kept[kept.len() - 3..], all_of("for-ever", 3..6));
    let count = story.described("a").event_count.unwrap();
    assert!((3..=6).contains(&count), "{count}");
    update(&mut story, 1);
    story.pass(3 * DAY);
    story.put_numbers(6..7);
    assert_eq!(story.described("a").event_count, Some(1));
    story.crash();
    assert_eq!(story.described("a").event_count, Some(1));
}

#[test]
fn the_rule_of_an_archive_is_managed_and_without_it_the_archive_keeps_nothing() {
    let mut story = Story::new();
    story.archive("a", Some(r#"{"source": ["shop"]}"#), 0);
    let name = "Events-Archive-a";
    let describe = shapes::DescribeRuleInput { name: text(name), event_bus_name: None };
    let Ok(Response::DescribeRule(rule)) = story.events(Request::DescribeRule(describe)) else { panic!() };
    assert_eq!(rule.managed_by.as_deref(), Some("prod.vhs.events.aws.internal"));
    assert_eq!(
        rule.event_pattern.as_deref(),
        Some(r#"{"source":["shop"],"replay-name":[{"exists":false}]}"#)
    );
    let list = shapes::ListTargetsByRuleInput { rule: text(name), ..Default::default() };
    let Ok(Response::ListTargetsByRule(targets)) = story.events(Request::ListTargetsByRule(list)) else {
        panic!()
    };
    let targets = targets.targets.unwrap();
    assert_eq!(targets[0].arn.as_deref(), Some("arn:aws:events:us-east-1:::"));
    let refused = |story: &mut Story, request: Request| {
        let refusal = story.events(request).unwrap_err();
        assert!(refusal.starts_with("ManagedRuleException"), "{refusal}");
    };
    let disable = shapes::DisableRuleInput { name: text(name), event_bus_name: None };
    refused(&mut story, Request::DisableRule(disable));
    let put = shapes::PutRuleInput {
        name: text(name),
        event_pattern: text(r#"{"source": ["x"]}"#),
        ..Default::default()
    };
    refused(&mut story, Request::PutRule(put));
    let put = shapes::PutTargetsInput {
        rule: text(name),
        event_bus_name: None,
        targets: Some(vec![target("q", arn("sqs", "q"))]),
    };
    refused(&mut story, Request::PutTargets(put));
    let mut remove =
        shapes::RemoveTargetsInput { rule: text(name), ids: Some(vec![name.into()]), ..Default::default() };
    refused(&mut story, Request::RemoveTargets(remove.clone()));
    let mut delete = shapes::DeleteRuleInput { name: text(name), ..Default::default() };
    refused(&mut story, Request::DeleteRule(delete.clone()));

    story.put_numbers(0..2);
    (remove.force, delete.force) = (Some(true), Some(true));
    story.events(Request::RemoveTargets(remove)).unwrap();
    story.events(Request::DeleteRule(delete)).unwrap();
    story.put_numbers(2..3);
    story.crash();
    let archive = story.described("a");
    assert_eq!((archive.state.as_deref(), archive.event_count), (Some("DISABLED"), Some(2)));
    let reason = "Managed rule for the archive was forcefully deleted.";
    assert_eq!(archive.state_reason.as_deref(), Some(reason));
    let update = shapes::UpdateArchiveInput {
        archive_name: text("a"),
        description: text("again"),
        ..Default::default()
    };
    story.events(Request::UpdateArchive(update)).unwrap();
    story.put_numbers(3..4);
    let archive = story.described("a");
    assert_eq!((archive.state.as_deref(), archive.event_count), (Some("ENABLED"), Some(3)));
    assert_eq!((archive.state_reason, archive.description), (None, text("again")));
}

#[test]
fn segments_of_archived_events_go_and_the_state_does_not_grow_with_them() {
    let mut story = Story::with_segments_of(16 << 10, Options::default());
    story.archive("a", None, 0);
    story.create_queue("q");
    for number in 0..200 {
        story.put(vec![entry("shop", &format!(r#"{{"n":{number},"x":"{}"}}"#, "x".repeat(1000)))]);
        story.pass(10);
    }
    let segments = story.server.machine.ledger().segments().count();
    assert!(segments <= 6, "{segments} segments are left of more than ten");
    assert_eq!(story.server.machine.ledger().owed_bytes(), 0);
    story.rule("r", "shop", vec![target("q", arn("sqs", "q"))]);
    story.crash();
    let archive = story.described("a");
    assert_eq!(archive.event_count, Some(200));
    assert!(archive.size_bytes.unwrap() > 200_000);
    story.replay("again", "a", EVERYTHING, &[]).unwrap();
    assert_eq!(story.numbers("q"), all_of("again", 0..200));
    // The facts of archives and replays are written forward, too.
    story.fill();
    story.grow_old(30);
    story.crash();
    assert_eq!(story.described("a").event_count, Some(200));
    assert_eq!(story.state_of("again"), "COMPLETED");
}

#[test]
fn while_the_store_has_no_room_for_what_is_owed_events_of_its_bus_are_refused() {
    let options = Options { owed_bytes: 20_000, ..Options::default() };
    let mut story = Story::with_segments_of(64 << 10, options);
    story.archive("a", None, 0);
    story.disks.retained.leave_room(Some(0));
    let body = format!(r#"{{"n":1,"x":"{}"}}"#, "x".repeat(1000));
    let put = |story: &mut Story| {
        let input =
            shapes::PutEventsInput { entries: Some(vec![entry("shop", &body)]), ..Default::default() };
        match story.events(Request::PutEvents(input)) {
            Ok(Response::PutEvents(output)) => output.entries.unwrap()[0].error_code.clone(),
            other => panic!("{other:?}"),
        }
    };
    let mut accepted = 0;
    while put(&mut story).is_none() {
        accepted += 1;
        assert!(accepted < 100, "it never refuses");
    }
    assert_eq!(put(&mut story).as_deref(), Some("ThrottlingException"));
    story.disks.retained.leave_room(None);
    story.settle();
    assert_eq!(put(&mut story), None);
    assert_eq!(story.described("a").event_count, Some(accepted + 1));
}
