//! Stories of event buses, told to the whole server.

mod story;

mod archives;

mod model;

mod destinations;

mod outside;

mod schedules;

use api::eventbridge::{self as shapes, Request};
use eventbridge::deliveries::Outcome;
use kernel::Asker;
use machine::{Command, Input, Options};
use serde_json::{Value, json};
use simulator::dice::Dice;
use simulator::server::Server;

use story::{BASE, SECRET, Story, arn, caller, entry, map, target, text, with_letters};

/// The value of one of a letter's attributes.
fn of<'a>(letter: &'a (String, Vec<(String, String)>), name: &str) -> Option<&'a str> {
    letter.1.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

#[test]
fn an_event_reaches_every_target_of_the_rules_that_match_it() {
    for are_ready in [true, false] {
        let mut story = Story { are_ready, ..Story::new() };
        for queue in ["whole", "part", "constant", "made", "group.fifo", "raw", "wrapped", "far", "others"] {
            story.create_queue(queue);
        }
        story.subscribe("news", "raw", &[("RawMessageDelivery", "true")]);
        story.subscribe("news", "wrapped", &[]);
        story.create_bus("second");
        let queue = |name: &str| target(name, arn("sqs", name));
        let transformer = shapes::InputTransformer {
            input_paths_map: map(&[("n", "$.detail.n")]),
            input_template: text(r#""<n> of <aws.events.rule-name>""#),
        };
        let group = shapes::SqsParameters { message_group_id: text("g") };
        story.rule(
            "inputs",
            "shop",
            vec![
                queue("whole"),
                shapes::Target { input_path: text("$.detail"), ..queue("part") },
                shapes::Target { input: text("[1]"), ..queue("constant") },
                shapes::Target { input_transformer: Some(transformer), ..queue("made") },
                shapes::Target { sqs_parameters: Some(group), ..queue("group.fifo") },
            ],
        );
        let bus = target("bus", arn("events", "event-bus/second"));
        story.rule("services", "shop", vec![target("topic", arn("sns", "news")), bus]);
        story.put_rule_on("second", "far", r#"{"detail": {"n": [{"numeric": [">", 3]}]}}"#);
        story.put_targets_on("second", "far", vec![queue("far")]);
        story.rule("others", "other", vec![queue("others")]);

        let ids = story.put(vec![entry("shop", r#"{ "n" : 5 }"#)]);
        story.crash();
        let whole = story.receive("whole").remove(0);
        let body = whole.body.unwrap();
        assert_eq!(
            *body,
            *format!(
                r#"{{"version":"0","id":"{}","detail-type":"t","source":"shop","account":"000000000000","time":"2023-11-14T22:13:20Z","region":"us-east-1","resources":[],"detail":{{"n":5}}}}"#,
                ids[0]
            )
        );
        assert_eq!(whole.md5_of_body.unwrap().len(), 32);
        assert_eq!(story.bodies("part"), [r#"{"n":5}"#]);
        assert_eq!(story.bodies("constant"), ["[1]"]);
        assert_eq!(story.bodies("made"), [r#""5 of inputs""#]);
        let grouped = story.receive("group.fifo").remove(0);
        assert_eq!(grouped.body.as_deref(), Some(&*body));
        let attributes = grouped.attributes.unwrap().0;
        assert!(attributes.iter().any(|(name, value)| name == "MessageGroupId" && value == "g"));
        assert_eq!(story.bodies("raw"), [&*body]);
        let wrapped: Value = serde_json::from_str(&story.bodies("wrapped")[0]).unwrap();
        assert_eq!((&wrapped["Message"], &wrapped["TopicArn"]), (&json!(&*body), &json!(arn("sns", "news"))));
        assert_eq!(story.bodies("far"), [&*body], "another bus keeps id and time");
        assert!(story.bodies("others").is_empty());
        assert!(story.server.undelivered.is_empty());
    }
}

#[test]
fn what_nobody_is_to_have_is_accepted_and_dropped() {
    let mut story = Story::new();
    story.create_queue("q");
    story.rule("r", "shop", vec![target("q", arn("sqs", "q"))]);
    let unknown = shapes::PutEventsRequestEntry { event_bus_name: text("unknown"), ..entry("shop", "{}") };
    assert_eq!(story.put(vec![unknown, entry("other", "{}")]).len(), 2);
    let disable = shapes::DisableRuleInput { name: text("r"), event_bus_name: None };
    story.events(Request::DisableRule(disable)).unwrap();
    story.put(vec![entry("shop", "{}")]);
    assert!(story.bodies("q").is_empty());
    let enable = shapes::EnableRuleInput { name: text("r"), event_bus_name: None };
    story.events(Request::EnableRule(enable)).unwrap();
    story.put(vec![entry("shop", "{}")]);
    assert_eq!(story.bodies("q").len(), 1);
}

#[test]
fn an_event_comes_to_another_bus_once_and_never_in_a_circle() {
    let mut story = Story::new();
    story.create_queue("letters");
    for bus in ["a", "b"] {
        story.create_bus(bus);
    }
    let all = r#"{"source": ["shop"]}"#;
    for (from, to) in [("default", "a"), ("a", "b"), ("a", "default")] {
        let rule = format!("to-{to}");
        story.put_rule_on(from, &rule, all);
        let bus = target("bus", arn("events", &format!("event-bus/{to}")));
        story.put_targets_on(from, &rule, vec![with_letters(bus)]);
    }
    let id = story.put(vec![entry("shop", "{}")]).remove(0);
    let letters = story.letters();
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        // As recorded by a user of AWS.
        assert_eq!(letter.0, id);
        assert_eq!(of(letter, "ERROR_CODE"), Some("THIRD_ACCOUNT_HOP_DETECTED"));
        let text = format!(
            "Event ingestion rejected for event {id} because an event can be sent to an event bus target only once. This event was previously delivered to an event bus target."
        );
        assert_eq!(of(letter, "ERROR_MESSAGE"), Some(&*text));
    }
}

#[test]
fn what_a_target_does_not_take_goes_to_its_dead_letter_queue_at_once() {
    // facts/eventbridge.md § 6
    let mut story = Story::new();
    story.create_queue("letters");
    story.create_queue("q");
    let transformer = shapes::InputTransformer {
        input_paths_map: map(&[("list", "$.detail.list")]),
        input_template: text(r#"{"x": "<list>"}"#),
    };
    let invalid = shapes::Target { input_transformer: Some(transformer), ..target("x", arn("sqs", "q")) };
    let missing = arn("sqs", "missing");
    story.rule(
        "r",
        "shop",
        vec![
            with_letters(target("missing", missing.clone())),
            with_letters(invalid),
            with_letters(target("topic", arn("sns", "missing"))),
            with_letters(target("bus", arn("events", "event-bus/missing"))),
            target("silent", missing.clone()),
        ],
    );
    let id = story.put(vec![entry("shop", r#"{"list":["HIGH"]}"#)]).remove(0);
    story.crash();
    assert!(story.bodies("q").is_empty());
    let letters = story.letters();
    let codes: Vec<_> = letters.iter().filter_map(|letter| of(letter, "ERROR_CODE")).collect();
    assert_eq!(codes, ["NO_RESOURCE", "INVALID_JSON", "NO_RESOURCE", "NO_RESOURCE"]);
    assert!(letters.iter().all(|letter| letter.0 == id));
    assert_eq!(of(&letters[0], "TARGET_ARN"), Some(&*missing));
    assert_eq!(of(&letters[0], "RULE_ARN"), Some(&*arn("events", "rule/r")));
    assert_eq!(of(&letters[0], "EXHAUSTED_RETRY_CONDITION"), None);
    story.put(vec![entry("shop", "{}")]);
    let told: Vec<bool> =
        story.server.undelivered.iter().map(|undelivered| undelivered.is_dead_letter).collect();
    assert_eq!(told, [true, true, true, false], "an empty list makes valid JSON");
}

#[test]
fn what_a_topic_of_a_rule_cannot_hand_on_is_told_too() {
    let mut story = Story::new();
    story.subscribe("news", "missing", &[]);
    story.rule("r", "shop", vec![target("topic", arn("sns", "news"))]);
    story.put(vec![entry("shop", "{}")]);
    let told = &story.server.undelivered[..];
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].published_to, Some(arn("sns", "news")));
    assert_eq!((&told[0].protocol[..], &told[0].destination), ("sqs", &arn("sqs", "missing")));
    assert_eq!((told[0].attempts, told[0].is_dead_letter), (1, false));
}

#[test]
fn a_target_outside_is_tried_again_and_given_up_as_it_asks() {
    let mut story = Story::new();
    story.create_queue("letters");
    let retry =
        shapes::RetryPolicy { maximum_retry_attempts: Some(2), maximum_event_age_in_seconds: Some(3600) };
    let function = shapes::Target {
        retry_policy: Some(retry),
        input: text("\"constant\""),
        ..with_letters(target("f", arn("lambda", "function:f")))
    };
    story.rule("r", "shop", vec![function]);
    let id = story.put(vec![entry("shop", "{}")]).remove(0);
    for attempts in 0..3 {
        let (attempt, parcel) = story.attempt();
        assert_eq!((attempt.attempts, &*attempt.target_arn), (attempts, &*arn("lambda", "function:f")));
        let stored = notification::Notification::decode(&parcel.1).unwrap();
        assert_eq!(stored.text_for(eventbridge::deliveries::INPUT), "\"constant\"");
        story.ends(&attempt, Outcome::Failed, Some(parcel));
        // Its history is known after a crash.
        story.crash();
        assert_eq!(story.server.machine.eventbridge().deliveries_pending(), usize::from(attempts < 2));
        story.pass(30);
    }
    assert!(story.server.event_attempts.is_empty());
    let letter = story.letters().remove(0);
    assert_eq!(letter.0, id, "the letter is the event");
    for (name, value) in [
        ("ERROR_CODE", "SDK_CLIENT_ERROR"),
        ("ERROR_MESSAGE", "it hangs"),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
        ("RETRY_ATTEMPTS", "2"),
    ] {
        assert_eq!(of(&letter, name), Some(value));
    }

    story.put(vec![entry("shop", "{}")]);
    let (attempt, _) = story.attempt();
    story.ends(&attempt, Outcome::Delivered, None);
    assert_eq!(story.server.machine.eventbridge().deliveries_pending(), 0);

    story.put(vec![entry("shop", "{}")]);
    let (attempt, parcel) = story.attempt();
    story.ends(&attempt, Outcome::Refused, Some(parcel));
    assert_eq!(of(&story.letters()[0], "EXHAUSTED_RETRY_CONDITION"), None);

    // Who is no target any more gets nothing.
    story.put(vec![entry("shop", "{}")]);
    let (attempt, parcel) = story.attempt();
    let remove = shapes::RemoveTargetsInput {
        rule: text("r"),
        ids: Some(vec!["f".into()]),
        ..shapes::RemoveTargetsInput::default()
    };
    story.events(Request::RemoveTargets(remove)).unwrap();
    assert_eq!(story.server.machine.eventbridge().deliveries_pending(), 0);
    story.ends(&attempt, Outcome::Failed, Some(parcel));
    assert!(story.letters().is_empty());
}

#[test]
fn a_letter_waits_for_its_text() {
    let mut story = Story::new();
    story.create_queue("letters");
    story.rule("r", "shop", vec![with_letters(target("f", arn("firehose", "deliverystream/s")))]);
    story.put(vec![entry("shop", "{}")]);
    let (attempt, _) = story.attempt();
    story.ends(&attempt, Outcome::Refused, None);
    assert_eq!(story.server.machine.eventbridge().deliveries_pending(), 1);
    story.pass(60);
    let (attempt, parcel) = story.attempt();
    story.ends(&attempt, Outcome::Refused, Some(parcel));
    assert_eq!(story.server.machine.eventbridge().deliveries_pending(), 0);
    assert_eq!(story.letters().len(), 1);
}

#[test]
fn what_is_declared_outlives_its_segment_and_what_is_deleted_does_not_return() {
    let mut story = Story::with_segments_of(4 << 10, Options::default());
    story.create_queue("q");
    story.create_queue("letters");
    // Segments of which more lives than of those with the facts about buses, of which nearly all is dead.
    story.fill();
    let first = story.server.machine.end().segment();
    story.create_bus("kept");
    story.grow_old(4);
    story.create_bus("deleted");
    story.grow_old(4);
    story.put_rule_on("kept", "r", r#"{"source": ["shop"]}"#);
    story.grow_old(4);
    story.put_targets_on("kept", "r", vec![target("q", arn("sqs", "q"))]);
    story.grow_old(4);
    story.rule("deleted", "shop", vec![target("q", arn("sqs", "q"))]);
    story.grow_old(4);
    story.rule("outside", "far", vec![with_letters(target("f", arn("lambda", "function:f")))]);
    let far = story.put(vec![entry("far", "{}")]).remove(0);
    story.grow_old(4);
    let remove = shapes::RemoveTargetsInput {
        rule: text("deleted"),
        ids: Some(vec!["q".into()]),
        ..shapes::RemoveTargetsInput::default()
    };
    story.events(Request::RemoveTargets(remove)).unwrap();
    story.grow_old(4);
    let delete = shapes::DeleteRuleInput { name: text("deleted"), ..shapes::DeleteRuleInput::default() };
    story.events(Request::DeleteRule(delete)).unwrap();
    let delete = shapes::DeleteEventBusInput { name: text("deleted") };
    story.events(Request::DeleteEventBus(delete)).unwrap();
    let last = story.server.machine.end().segment();
    for _ in 0..4 {
        story.grow_old(100);
        story.server.event_attempts.clear();
        story.crash();
        let names: Vec<_> =
            story.server.machine.eventbridge().buses().map(|(key, _)| key.name.clone()).collect();
        assert_eq!(names, ["default", "kept"]);
        let rules = |story: &Story| {
            story.server.machine.eventbridge().bus_views().map(|view| view.rules).sum::<usize>()
        };
        assert_eq!(rules(&story), 2);
        let entry = shapes::PutEventsRequestEntry { event_bus_name: text("kept"), ..entry("shop", "{}") };
        story.put(vec![entry]);
        assert_eq!(story.bodies("q").len(), 1);
    }
    let left: Vec<u32> =
        (first..=last).filter(|&segment| story.server.machine.ledger().contains(segment)).collect();
    // The last few are not worth writing forward.
    assert!(left.len() * 3 < (last - first) as usize, "{left:?} of {first} to {last}");
    let (attempt, parcel) = story.attempt();
    story.ends(&attempt, Outcome::Refused, Some(parcel));
    story.grow_old(40);
    story.crash();
    assert!(story.server.event_attempts.is_empty());
    assert_eq!(story.letters().remove(0).0, far);

    story.handle(Input::Reset);
    story.settle();
    story.crash();
    assert_eq!(story.server.machine.eventbridge().buses().count(), 0);
}

#[test]
fn an_event_with_thousands_of_targets_reaches_all_of_them() {
    let mut story = Story::with_segments_of(8 << 20, Options::default());
    story.create_queue("q");
    let made = |path: &str| shapes::InputTransformer {
        input_paths_map: map(&[("d", path)]),
        input_template: text("[<d>]"),
    };
    for rule in 0..600 {
        let queue = |id: &str| target(id, arn("sqs", "q"));
        let targets = vec![
            queue("1"),
            queue("2"),
            shapes::Target { input_transformer: Some(made("$.detail")), ..queue("3") },
        ];
        story.rule(&format!("r{rule}"), "shop", targets);
    }
    let detail = format!("\"{}\"", "x".repeat(2000));
    story.put(vec![entry("shop", &detail), entry("shop", "{}")]);
    story.crash();
    let bodies = story.bodies("q");
    assert_eq!(bodies.len(), 2 * 3 * 600);
    assert_eq!(bodies.iter().filter(|body| ***body == format!("[{detail}]")).count(), 600);
}

#[test]
fn an_event_is_stored_once_for_all_who_get_it_as_it_is() {
    let mut story = Story::with_segments_of(8 << 20, Options::default());
    story.create_queue("q");
    for rule in 0..20 {
        story.rule(&format!("r{rule}"), "shop", vec![target("q", arn("sqs", "q"))]);
    }
    let before = story.server.machine.end();
    story.put(vec![entry("shop", &format!("\"{}\"", "x".repeat(400_000)))]);
    let after = story.server.machine.end();
    assert_eq!(before.segment(), after.segment());
    assert!(after.offset() - before.offset() < 500_000, "{before:?} {after:?}");
    assert_eq!(story.bodies("q").len(), 20);
}

#[test]
fn a_crash_leaves_all_of_an_event_or_nothing() {
    // Until the answer is given, the power may go after any byte.
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut story = Story::on_disk_of(seed, 1 << 20, Options::default());
        for queue in ["one", "two", "three"] {
            story.create_queue(queue);
        }
        story.subscribe("news", "three", &[("RawMessageDelivery", "true")]);
        let part = shapes::Target { input_path: text("$.detail"), ..target("two", arn("sqs", "two")) };
        let targets = vec![target("one", arn("sqs", "one")), part, target("topic", arn("sns", "news"))];
        story.rule("r", "shop", targets);
        let caller = caller();
        let asker = Asker { caller: &caller, base: BASE, trace: None };
        let input = shapes::PutEventsInput {
            entries: Some(vec![entry("shop", "{}"), entry("shop", "{}")]),
            endpoint_id: None,
        };
        let (command, _) = eventbridge::operations::prepare(Request::PutEvents(input), &asker).unwrap();
        let input = Input::Request { ticket: 1, command: Command::Eventbridge(command) };
        story.handle(input);
        story.flush();
        while story.write() {}
        story.disks.lose_power();
        let mut dice = Dice::from_seed(seed);
        story.server = Server::start(&story.disks, &story.log, SECRET, story.now, None, &mut dice).unwrap();
        story.settle();
        let counts = ["one", "two", "three"].map(|queue| story.bodies(queue).len());
        assert!(counts == [0; 3] || counts == [2; 3], "{counts:?}");
        seen.insert(counts[0]);
    }
    assert_eq!(seen.len(), 2, "the power went before and behind the event");
}
