//! Stories of topics. Sections are those of facts/sns.md.

use api::sns::*;

use crate::ask;
use crate::world::{ACCOUNT, World, caller, invalid, queue_arn, tags, topic_arn};

#[test]
fn a_topic_is_made_once_and_is_the_same_afterwards() {
    // § 2
    let mut world = World::new();
    assert_eq!(world.create("t", &[("DisplayName", "d")], &[("a", "1"), ("b", "2")]), Ok(topic_arn("t")));
    for (attributes, tags) in [
        (&[][..], &[][..]),
        (&[("DisplayName", "d")], &[("a", "1")]),
        (&[("SignatureVersion", "1")], &[("b", "2")]),
    ] {
        assert_eq!(world.create("t", attributes, tags), Ok(topic_arn("t")));
    }
    assert_eq!(
        world.create("t", &[("DisplayName", "e")], &[]),
        invalid("Attributes Reason: Topic already exists with different attributes")
    );
    for tags in [[("a", "2")], [("c", "3")]] {
        assert_eq!(
            world.create("t", &[], &tags),
            invalid("Tags Reason: Topic already exists with different tags")
        );
    }
}

#[test]
fn names_and_attributes_are_checked_when_a_topic_is_made() {
    // §§ 2, 10
    let mut world = World::new();
    for name in ["", "a b", "a.b", "é", &"x".repeat(257), ".fifo"] {
        assert_eq!(world.create(name, &[], &[]), invalid("Topic Name"), "{name}");
    }
    let without_word = CreateTopicInput { name: Some("t.fifo".into()), ..CreateTopicInput::default() };
    assert_eq!(ask!(world, CreateTopic, without_word).map(drop), invalid("Topic Name"));
    assert_eq!(world.create("t", &[("FifoTopic", "true")], &[]), invalid("Topic Name"));
    assert_eq!(
        world.create("t.fifo", &[("ContentBasedDeduplication", "true")], &[]),
        Ok(topic_arn("t.fifo"))
    );
    assert_eq!(
        world.create("t", &[("Colour", "red")], &[]),
        invalid("Attributes Reason: Unknown attribute Colour")
    );
    assert_eq!(
        world.create("t", &[], &[("a", "1"), ("a", "2")]),
        invalid("Duplicated keys are not allowed.")
    );
}

#[test]
fn a_new_topic_has_the_attributes_that_aws_shows() {
    // § 3
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let attributes = world.attributes("t").unwrap();
    let names: Vec<&str> = attributes.keys().map(String::as_str).collect();
    let standard = [
        "DisplayName",
        "EffectiveDeliveryPolicy",
        "Owner",
        "Policy",
        "SubscriptionsConfirmed",
        "SubscriptionsDeleted",
        "SubscriptionsPending",
        "TopicArn",
    ];
    assert_eq!(names, standard);
    assert_eq!((&*attributes["DisplayName"], &*attributes["Owner"]), ("", ACCOUNT));
    world.create("t.fifo", &[], &[]).unwrap();
    let attributes = world.attributes("t.fifo").unwrap();
    assert_eq!(attributes.len(), standard.len() + 2);
    assert_eq!((&*attributes["FifoTopic"], &*attributes["ContentBasedDeduplication"]), ("true", "false"));
    let missing = "NotFoundException: Topic does not exist";
    assert_eq!(world.attributes("u"), Err(missing.to_owned()));
}

#[test]
fn what_is_set_is_shown() {
    // § 3
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let role = "arn:aws:iam::000000000000:role/r";
    for (name, value) in [
        ("MaximumMessageSize", "2048"),
        ("TracingConfig", "Active"),
        ("KmsMasterKeyId", "alias/aws/sns"),
        ("SQSSuccessFeedbackRoleArn", role),
    ] {
        world.set("t", name, value).unwrap();
        assert_eq!(world.attributes("t").unwrap()[name], value);
    }
    world.set("t", "KmsMasterKeyId", "").unwrap();
    assert_eq!(world.attributes("t").unwrap().get("KmsMasterKeyId"), None);
    let policy = r#"{"http":{"defaultRequestPolicy":{"headerContentType":"application/json"}}}"#;
    world.set("t", "DeliveryPolicy", policy).unwrap();
    let attributes = world.attributes("t").unwrap();
    assert!(attributes["DeliveryPolicy"].contains(r#""disableSubscriptionOverrides":false"#));
    assert!(attributes["EffectiveDeliveryPolicy"].contains(r#"{"headerContentType":"application/json"}"#));
    world.set("t", "DeliveryPolicy", "").unwrap();
    assert_eq!(world.attributes("t").unwrap().get("DeliveryPolicy"), None);
    for name in ["FifoTopic", "Colour", "DataProtectionPolicy"] {
        assert_eq!(world.set("t", name, "true"), invalid("AttributeName"), "{name}");
    }
    assert_eq!(world.set("t", "Policy", "x"), invalid("Policy Error: null"));
}

#[test]
fn long_messages_are_for_few_and_fast_subscribers() {
    // § 3
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let slow = world.subscribe("t", "sms", "+15551234567", &[]).unwrap();
    assert!(world.set("t", "MaximumMessageSize", "262145").is_err());
    world.set("t", "MaximumMessageSize", "262144").unwrap();
    world.unsubscribe(&slow).unwrap();
    world.set("t", "MaximumMessageSize", "1048576").unwrap();
    assert!(world.subscribe("t", "sms", "+15551234567", &[]).is_err());
    world.subscribe("t", "sqs", &queue_arn("q"), &[]).unwrap();
}

#[test]
fn an_archive_is_kept_until_it_is_given_up() {
    // § 10
    let mut world = World::new();
    let policy = r#"{"MessageRetentionPeriod":"2"}"#;
    world.create("t.fifo", &[("ArchivePolicy", policy)], &[]).unwrap();
    let attributes = world.attributes("t.fifo").unwrap();
    assert_eq!(
        (&*attributes["ArchivePolicy"], &*attributes["BeginningArchiveTime"]),
        (policy, "2023-11-14T22:13:20.000Z")
    );
    let refusal = "InvalidStateException: Invalid state: Cannot delete a topic with an ArchivePolicy";
    assert_eq!(world.delete("t.fifo"), Err(refusal.to_owned()));
    world.pass(3 * 24 * 60 * 60 * 1000);
    assert_eq!(world.attributes("t.fifo").unwrap()["BeginningArchiveTime"], "2023-11-15T22:13:20.000Z");
    world.set("t.fifo", "ArchivePolicy", "{}").unwrap();
    assert_eq!(world.attributes("t.fifo").unwrap().get("BeginningArchiveTime"), None);
    world.delete("t.fifo").unwrap();
}

#[test]
fn a_deleted_topic_takes_its_subscriptions_along_and_may_be_deleted_again() {
    // § 2
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let arn = world.subscribe("t", "sqs", &queue_arn("q"), &[]).unwrap();
    world.delete("t").unwrap();
    world.delete("t").unwrap();
    assert_eq!(world.subscription(&arn), Err("NotFoundException: Subscription does not exist".to_owned()));
    world.create("t", &[], &[]).unwrap();
    assert_eq!(world.attributes("t").unwrap()["SubscriptionsConfirmed"], "0");
}

#[test]
fn a_topic_is_asked_for_in_its_own_region() {
    // § 5
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let mut elsewhere = caller(ACCOUNT);
    elsewhere.region = "eu-west-1".into();
    assert_eq!(world.by(elsewhere, |world| world.attributes("t")), invalid("TopicArn"));
    let five = GetTopicAttributesInput { topic_arn: Some("arn:aws:sns:us-east-1:x".into()) };
    assert_eq!(
        ask!(world, GetTopicAttributes, five).map(drop),
        invalid("TopicArn Reason: An ARN must have at least 6 elements, not 5")
    );
}

#[test]
fn topics_are_listed_a_hundred_at_a_time() {
    // § 2
    let mut world = World::new();
    for number in 0..150 {
        world.create(&format!("t{number:03}"), &[], &[]).unwrap();
    }
    world.by(caller("111111111111"), |world| world.create("other", &[], &[])).unwrap();
    let first = ask!(world, ListTopics, ListTopicsInput { next_token: None }).unwrap();
    assert_eq!(first.topics.as_ref().unwrap().len(), 100);
    let second = ask!(world, ListTopics, ListTopicsInput { next_token: first.next_token }).unwrap();
    let last = second.topics.unwrap().pop().unwrap();
    assert_eq!((last.topic_arn.as_deref(), second.next_token), (Some(&*topic_arn("t149")), None));
    let wrong = ListTopicsInput { next_token: Some("!".into()) };
    assert_eq!(ask!(world, ListTopics, wrong).map(drop), invalid("NextToken"));
}

#[test]
fn tags_come_and_go() {
    // § 2
    let mut world = World::new();
    world.create("t", &[], &[("a", "1")]).unwrap();
    let arn = Some(topic_arn("t").into());
    let tag = |pairs: &[(&str, &str)]| TagResourceInput { resource_arn: arn.clone(), tags: tags(pairs) };
    ask!(world, TagResource, tag(&[("b", "2"), ("a", "3")])).unwrap();
    assert_eq!(
        ask!(world, TagResource, tag(&[("b", "2"), ("b", "3")])).map(drop),
        invalid("Duplicated keys are not allowed.")
    );
    let untag =
        UntagResourceInput { resource_arn: arn.clone(), tag_keys: Some(vec!["b".into(), "c".into()]) };
    ask!(world, UntagResource, untag).unwrap();
    let list = ListTagsForResourceInput { resource_arn: arn.clone() };
    assert_eq!(ask!(world, ListTagsForResource, list).unwrap().tags, tags(&[("a", "3")]));
    let many: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    let refusal = ask!(world, TagResource, tag(&many)).unwrap_err();
    assert!(refusal.starts_with("TagLimitExceededException: "), "{refusal}");
    let list = ListTagsForResourceInput { resource_arn: Some(topic_arn("u").into()) };
    assert_eq!(
        ask!(world, ListTagsForResource, list).map(drop),
        Err("ResourceNotFoundException: Resource does not exist".to_owned())
    );
}

#[test]
fn permissions_become_statements_of_the_policy() {
    // § 12
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let before = world.attributes("t").unwrap()["Policy"].clone();
    let arn = Some(topic_arn("t").into());
    let add = |action: &str| AddPermissionInput {
        topic_arn: arn.clone(),
        label: Some("l".into()),
        aws_account_id: Some(vec!["111111111111".into()]),
        action_name: Some(vec![action.into()]),
    };
    ask!(world, AddPermission, add("Publish")).unwrap();
    assert!(world.attributes("t").unwrap()["Policy"].contains(r#""Action":"SNS:Publish""#));
    assert_eq!(ask!(world, AddPermission, add("Publish")).map(drop), invalid("Statement already exists"));
    assert_eq!(
        ask!(world, AddPermission, add("Fly")).map(drop),
        invalid("Policy statement action out of service scope!")
    );
    let remove = RemovePermissionInput { topic_arn: arn.clone(), label: Some("l".into()) };
    ask!(world, RemovePermission, remove).unwrap();
    assert_eq!(world.attributes("t").unwrap()["Policy"], before);
}

#[test]
fn a_data_protection_policy_is_kept_apart_from_the_attributes() {
    // § 2
    let mut world = World::new();
    world.create("t", &[], &[]).unwrap();
    let arn = Some(topic_arn("t").into());
    let policy = r#"{"Name":"p"}"#;
    let put = |policy: &str| PutDataProtectionPolicyInput {
        resource_arn: arn.clone(),
        data_protection_policy: Some(policy.into()),
    };
    ask!(world, PutDataProtectionPolicy, put(policy)).unwrap();
    assert!(
        ask!(world, PutDataProtectionPolicy, put(&format!("{{\"x\":\"{}\"}}", "x".repeat(30_720)))).is_err()
    );
    let get = GetDataProtectionPolicyInput { resource_arn: arn.clone() };
    let got = ask!(world, GetDataProtectionPolicy, get).unwrap();
    assert_eq!(got.data_protection_policy.as_deref(), Some(policy));
    assert_eq!(world.attributes("t").unwrap().get("DataProtectionPolicy"), None);
}
