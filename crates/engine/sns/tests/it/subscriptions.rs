//! Stories of subscriptions. Sections are those of facts/sns.md.

use api::sns::*;

use crate::ask;
use crate::world::{ACCOUNT, World, caller, invalid, queue_arn, topic_arn};

fn unsigned() -> kernel::Caller {
    kernel::Caller { signed: false, ..caller(ACCOUNT) }
}

fn world() -> World {
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    world.create("t.fifo", &[], &[]).unwrap();
    world
}

#[test]
fn a_queue_of_the_callers_own_is_subscribed_at_once() {
    // § 4
    let mut world = world();
    let arn = world.subscribe("t", "sqs", &queue_arn("q"), &[]).unwrap();
    let attributes = world.subscription(&arn).unwrap();
    let expected = [
        ("ConfirmationWasAuthenticated", "true"),
        ("Endpoint", &*queue_arn("q")),
        ("Owner", ACCOUNT),
        ("PendingConfirmation", "false"),
        ("Protocol", "sqs"),
        ("RawMessageDelivery", "false"),
        ("SubscriptionArn", &arn),
        ("SubscriptionPrincipal", "arn:aws:iam::000000000000:root"),
        ("TopicArn", &topic_arn("t")),
    ];
    let shown: Vec<(&str, &str)> = attributes.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(shown, expected);
    assert_eq!(world.notices, Vec::<String>::new());
    assert_eq!(world.attributes("t").unwrap()["SubscriptionsConfirmed"], "1");
}

#[test]
fn subscribing_again_gives_the_same_subscription() {
    // § 4
    let mut world = world();
    let given = [("RawMessageDelivery", "true"), ("FilterPolicy", r#"{"a": ["b"]}"#)];
    let arn = world.subscribe("t", "sqs", &queue_arn("q"), &given).unwrap();
    for again in [&[][..], &given[..1], &given[1..], &given, &[("FilterPolicy", r#"{"a":["b"]}"#)]] {
        assert_eq!(world.subscribe("t", "sqs", &queue_arn("q"), again), Ok(arn.clone()));
    }
    for different in [("RawMessageDelivery", "false"), ("FilterPolicy", r#"{"a":["c"]}"#)] {
        assert_eq!(
            world.subscribe("t", "sqs", &queue_arn("q"), &[different]),
            invalid("Attributes Reason: Subscription already exists with different attributes")
        );
    }
    assert_ne!(world.subscribe("t", "sqs", &queue_arn("r"), &[]).unwrap(), arn);
}

#[test]
fn an_endpoint_outside_is_asked_and_confirms_with_its_token() {
    // § 4
    let mut world = world();
    let input = SubscribeInput {
        topic_arn: Some(topic_arn("t").into()),
        protocol: Some("https".into()),
        endpoint: Some("https://a.example/x".into()),
        ..SubscribeInput::default()
    };
    let answer = ask!(world, Subscribe, input).unwrap();
    assert_eq!(answer.subscription_arn.as_deref(), Some("pending confirmation"));
    let arn = world.subscribe("t", "https", "https://a.example/x", &[]).unwrap();
    let id = world.notices[0].clone();
    assert_eq!(world.notices, [id.clone(), id], "it is asked again");
    let attributes = world.subscription(&arn).unwrap();
    assert_eq!(
        (&*attributes["PendingConfirmation"], &*attributes["ConfirmationWasAuthenticated"]),
        ("true", "false")
    );
    assert_eq!(world.attributes("t").unwrap()["SubscriptionsPending"], "1");

    assert_eq!(world.by(unsigned(), |world| world.confirm("t", &arn, false)), Ok(arn.clone()));
    assert_eq!(world.confirm("t", &arn, false), Ok(arn.clone()), "again");
    let attributes = world.subscription(&arn).unwrap();
    assert_eq!(
        (&*attributes["PendingConfirmation"], &*attributes["ConfirmationWasAuthenticated"]),
        ("false", "false")
    );
    world.subscribe("t", "https", "https://a.example/x", &[]).unwrap();
    assert_eq!(world.notices.len(), 2, "who is subscribed is not asked");
}

#[test]
fn a_token_is_good_for_its_own_topic_alone() {
    // § 4
    let mut world = world();
    world.create("u", &[], &[]).unwrap();
    let arn = world.subscribe("t", "http", "http://a.example", &[]).unwrap();
    assert_eq!(world.confirm("u", &arn, false), invalid("Topic"));
    let elsewhere = kernel::Caller { region: "eu-west-1".into(), ..caller(ACCOUNT) };
    assert_eq!(world.by(elsewhere, |world| world.confirm("t", &arn, false)), invalid("Topic"));
    let follower = kernel::Caller { region: "eu-west-1".into(), ..unsigned() };
    let no_token = "InvalidParameterException: Invalid token".to_owned();
    assert_eq!(world.confirm_with("t", "randomtoken", false), Err(no_token));
    // Recorded: what looks like a token but is none of this topic's.
    for digits in [128, 288] {
        assert_eq!(world.confirm_with("t", &"51b2ff3e".repeat(digits / 8), false), invalid("Token"));
    }
    assert_eq!(world.by(follower, |world| world.confirm("t", &arn, false)), Ok(arn), "by its link");
}

#[test]
fn what_nobody_confirms_in_two_days_is_gone() {
    // § 4
    let mut world = world();
    let arn = world.subscribe("t", "email", "a@b.example", &[]).unwrap();
    let id = world.state.subscription_by_arn(&arn).unwrap().id();
    let token = sns::ids::confirmation_token(&crate::world::secret(), id);
    world.pass(48 * 60 * 60 * 1000 - 1);
    world.crash();
    assert!(world.subscription(&arn).is_ok());
    world.pass(1);
    assert_eq!(world.subscription(&arn), Err("NotFoundException: Subscription does not exist".to_owned()));
    assert!(world.confirm_with("t", &token, false).is_err());
    let attributes = world.attributes("t").unwrap();
    assert_eq!((&*attributes["SubscriptionsPending"], &*attributes["SubscriptionsDeleted"]), ("0", "1"));
}

#[test]
fn a_queue_of_somebody_else_is_asked_unless_its_owner_subscribes_it() {
    // § 4
    let mut world = world();
    let theirs = "arn:aws:sqs:us-east-1:111111111111:q";
    world.subscribe("t", "sqs", theirs, &[]).unwrap();
    assert_eq!(world.notices.len(), 1);
    let mut world = self::world();
    let arn = world.by(caller("111111111111"), |world| world.subscribe("t", "sqs", theirs, &[])).unwrap();
    assert_eq!(world.notices.len(), 0);
    assert_eq!(world.subscription(&arn).unwrap()["Owner"], "111111111111");
}

#[test]
fn what_cannot_be_subscribed_is_refused_in_awss_words() {
    // § 4
    let mut world = world();
    let fifo_queue = queue_arn("q.fifo");
    for (topic, protocol, endpoint, text) in [
        ("t", "pigeon", "x", "Amazon SNS does not support this protocol string: pigeon"),
        ("t", "sqs", "http://localhost/000000000000/q", "SQS endpoint ARN"),
        (
            "t",
            "sqs",
            &*fifo_queue,
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
        ),
        ("t.fifo", "email", "a@b.example", "Invalid protocol type: email"),
    ] {
        assert_eq!(world.subscribe(topic, protocol, endpoint, &[]), invalid(text));
    }
    assert_eq!(
        world.subscribe("u", "sqs", &queue_arn("q"), &[]),
        Err("NotFoundException: Topic does not exist".to_owned())
    );
    world.subscribe("t.fifo", "sqs", &fifo_queue, &[]).unwrap();
    world.subscribe("t.fifo", "sqs", &queue_arn("q"), &[]).unwrap();
    let bad = SubscribeInput {
        topic_arn: Some("arn:aws:sns:us-east-1:t".into()),
        protocol: Some("sqs".into()),
        ..SubscribeInput::default()
    };
    assert_eq!(
        ask!(world, Subscribe, bad).map(drop),
        invalid("TopicArn Reason: An ARN must have at least 6 elements, not 5")
    );
}

#[test]
fn faults_in_attributes_are_told_in_two_ways() {
    // § 4
    let mut world = world();
    let arn = world.subscribe("t", "sqs", &queue_arn("q"), &[]).unwrap();
    let nested = r#"{"a":{"b":["c"]}}"#;
    for (name, value, text) in [
        ("RawMessageDelivery", "x", "RawMessageDelivery: Invalid value [x]. Must be true or false."),
        (
            "FilterPolicyScope",
            "X",
            "FilterPolicyScope: Invalid value [X]. Please use either MessageBody or MessageAttributes",
        ),
        (
            "FilterPolicy",
            nested,
            "Filter policy scope MessageAttributes does not support nested filter policy",
        ),
        ("Colour", "red", "AttributeName"),
    ] {
        assert_eq!(world.set_subscription(&arn, name, value), invalid(text));
        assert_eq!(
            world.subscribe("t", "sqs", &queue_arn("r"), &[(name, value)]),
            invalid(&format!("Attributes Reason: {text}"))
        );
    }
}

#[test]
fn a_filter_policys_scope_is_shown_with_the_policy() {
    // § 4
    let mut world = world();
    let arn = world.subscribe("t", "sqs", &queue_arn("q"), &[]).unwrap();
    world.set_subscription(&arn, "FilterPolicyScope", "MessageBody").unwrap();
    assert_eq!(world.subscription(&arn).unwrap().get("FilterPolicyScope"), None);
    world.set_subscription(&arn, "FilterPolicy", r#"{"a":{"b":["c"]}}"#).unwrap();
    assert_eq!(world.subscription(&arn).unwrap()["FilterPolicyScope"], "MessageBody");
    assert!(world.set_subscription(&arn, "FilterPolicyScope", "MessageAttributes").is_err());
    world.set_subscription(&arn, "FilterPolicy", "").unwrap();
    let attributes = world.subscription(&arn).unwrap();
    assert!(!attributes.contains_key("FilterPolicy") && !attributes.contains_key("FilterPolicyScope"));
    world.set_subscription(&arn, "FilterPolicyScope", "MessageAttributes").unwrap();
    world.set_subscription(&arn, "FilterPolicy", "{}").unwrap();
    assert_eq!(world.subscription(&arn).unwrap()["FilterPolicy"], "{}");
}

#[test]
fn a_topic_has_room_for_two_hundred_filter_policies() {
    // § 11
    let mut world = world();
    let policy = [("FilterPolicy", r#"{"a":["b"]}"#)];
    let arns: Vec<String> = (0..200)
        .map(|number| world.subscribe("t", "sqs", &queue_arn(&format!("q{number}")), &policy).unwrap())
        .collect();
    let plain = world.subscribe("t", "sqs", &queue_arn("plain"), &[]).unwrap();
    let refusal = world.subscribe("t", "sqs", &queue_arn("r"), &policy).unwrap_err();
    assert!(refusal.starts_with("FilterPolicyLimitExceededException: "), "{refusal}");
    assert!(world.set_subscription(&plain, "FilterPolicy", policy[0].1).is_err());
    world.set_subscription(&arns[0], "FilterPolicy", r#"{"a":["c"]}"#).unwrap();
    world.unsubscribe(&arns[0]).unwrap();
    world.set_subscription(&plain, "FilterPolicy", policy[0].1).unwrap();
}

#[test]
fn delivery_policies_are_for_web_endpoints() {
    // § 9
    let mut world = world();
    let policy = r#"{"throttlePolicy":{"maxReceivesPerSecond":10}}"#;
    let arn = world.subscribe("t", "https", "https://a.example", &[("DeliveryPolicy", policy)]).unwrap();
    let attributes = world.subscription(&arn).unwrap();
    let throttle = r#""throttlePolicy":{"maxReceivesPerSecond":10}"#;
    assert!(attributes["DeliveryPolicy"].contains(throttle), "{attributes:?}");
    assert!(attributes["EffectiveDeliveryPolicy"].contains(throttle), "{attributes:?}");
    assert!(attributes["EffectiveDeliveryPolicy"].contains(r#""numRetries":3"#), "{attributes:?}");
    assert!(world.subscribe("t", "sqs", &queue_arn("q"), &[("DeliveryPolicy", policy)]).is_err());
}

#[test]
fn whoever_unsubscribes_once_may_do_it_again() {
    // § 4
    let mut world = world();
    let arn = world.subscribe("t", "sqs", &queue_arn("q"), &[]).unwrap();
    world.unsubscribe(&arn).unwrap();
    world.unsubscribe(&arn).unwrap();
    let attributes = world.attributes("t").unwrap();
    assert_eq!((&*attributes["SubscriptionsConfirmed"], &*attributes["SubscriptionsDeleted"]), ("0", "1"));
    for (arn, text) in [
        ("", "SubscriptionArn Reason: no value for required parameter"),
        ("arn:aws:sns", "SubscriptionArn Reason: An ARN must have at least 6 elements, not 3"),
        (&topic_arn("t"), "SubscriptionId"),
    ] {
        assert_eq!(world.unsubscribe(arn), invalid(text));
    }
}

#[test]
fn an_endpoint_is_told_when_somebody_else_than_its_owner_unsubscribes_it() {
    // AWS's documentation of Unsubscribe
    let mut world = world();
    let one = world.subscribe("t", "http", "http://one.example", &[]).unwrap();
    let two = world.subscribe("t", "http", "http://two.example", &[]).unwrap();
    for arn in [&one, &two] {
        world.confirm("t", arn, false).unwrap();
    }
    world.notices.clear();
    world.unsubscribe(&one).unwrap();
    assert_eq!(world.notices.len(), 0);
    world.by(unsigned(), |world| world.unsubscribe(&two)).unwrap();
    assert!(world.notices[0].starts_with("farewell "));
}

#[test]
fn an_endpoint_that_somebody_else_unsubscribed_comes_back_with_its_token() {
    // § 7: "To cancel this operation and restore the subscription, visit the SubscribeURL"
    let mut world = world();
    let given = [("FilterPolicy", r#"{"a":["b"]}"#)];
    let arn = world.subscribe("t", "http", "http://a.example", &given).unwrap();
    let token = {
        let id = world.state.subscription_by_arn(&arn).unwrap().id();
        sns::ids::confirmation_token(&crate::world::secret(), id)
    };
    world.confirm("t", &arn, false).unwrap();
    world.by(unsigned(), |world| world.unsubscribe(&arn)).unwrap();
    assert!(world.subscription(&arn).is_err());
    assert_eq!(world.attributes("t").unwrap()["SubscriptionsDeleted"], "1");
    world.crash();
    let again = world.by(unsigned(), |world| world.confirm_with("t", &token, false)).unwrap();
    assert_eq!(world.subscription(&again).unwrap()["FilterPolicy"], given[0].1);
    assert_eq!(world.confirm_with("t", &token, false), Ok(again.clone()), "once");
    world.unsubscribe(&again).unwrap();
    world.pass(48 * 60 * 60 * 1000);
    assert!(world.confirm_with("t", &token, false).is_err());
    let attributes = world.attributes("t").unwrap();
    assert_eq!((&*attributes["SubscriptionsConfirmed"], &*attributes["SubscriptionsDeleted"]), ("0", "2"));
}

#[test]
fn only_its_owner_ends_a_subscription_that_was_confirmed_so() {
    // § 2
    let mut world = world();
    let arn = world.subscribe("t", "http", "http://a.example", &[]).unwrap();
    assert!(world.by(unsigned(), |world| world.confirm("t", &arn, true)).is_err());
    world.confirm("t", &arn, true).unwrap();
    assert_eq!(world.subscription(&arn).unwrap()["ConfirmationWasAuthenticated"], "true");
    for stranger in [unsigned(), caller("111111111111")] {
        let refusal = world.by(stranger, |world| world.unsubscribe(&arn)).unwrap_err();
        assert!(refusal.starts_with("AuthorizationErrorException: "), "{refusal}");
    }
    world.unsubscribe(&arn).unwrap();
}

#[test]
fn subscriptions_are_listed_by_owner_and_by_topic() {
    // § 2
    let mut world = world();
    for number in 0..101 {
        world.subscribe("t", "sqs", &queue_arn(&format!("q{number}")), &[]).unwrap();
    }
    world.subscribe("t.fifo", "sqs", &queue_arn("q"), &[]).unwrap();
    let pending = world.subscribe("t", "http", "http://a.example", &[]).unwrap();
    let first = ask!(world, ListSubscriptions, ListSubscriptionsInput { next_token: None }).unwrap();
    assert_eq!(first.subscriptions.as_ref().unwrap().len(), 100);
    let rest =
        ask!(world, ListSubscriptions, ListSubscriptionsInput { next_token: first.next_token }).unwrap();
    let rest = rest.subscriptions.unwrap();
    assert_eq!(rest.len(), 3);
    assert_eq!(rest[2].subscription_arn.as_deref(), Some("PendingConfirmation"));
    world.confirm("t", &pending, false).unwrap();
    let by_topic = |topic: &str, next_token| ListSubscriptionsByTopicInput {
        topic_arn: Some(topic_arn(topic).into()),
        next_token,
    };
    let first = ask!(world, ListSubscriptionsByTopic, by_topic("t", None)).unwrap();
    let rest = ask!(world, ListSubscriptionsByTopic, by_topic("t", first.next_token)).unwrap();
    let rest = rest.subscriptions.unwrap();
    assert_eq!((rest.len(), rest[1].subscription_arn.as_deref()), (2, Some(&*pending)));
    assert_eq!(
        ask!(world, ListSubscriptionsByTopic, by_topic("u", None)).map(drop),
        Err("NotFoundException: Topic does not exist".to_owned())
    );
    let theirs = world.by(caller("111111111111"), |world| {
        ask!(world, ListSubscriptions, ListSubscriptionsInput { next_token: None }).unwrap()
    });
    assert_eq!(theirs.subscriptions, Some(Vec::new()));
}
