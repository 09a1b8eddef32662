"""Subscribing and unsubscribing: protocols, endpoints, what an equal subscription is, listing."""

import json

import pytest

from sns.support import ACCOUNT, Subscription, make_topic
from sqs.support import make_queue, refused, unique

LAMBDA = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
DIFFERENT = "Invalid parameter: Attributes Reason: Subscription already exists with different attributes"


def subscribe(topic, queue, **arguments):
    return topic.sns.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=queue.arn, **arguments)["SubscriptionArn"]


def test_a_subscription_has_its_topics_arn_and_an_id(topic, queue):  # §1
    arn = subscribe(topic, queue)
    head, last = arn.rsplit(":", 1)
    assert head == topic.arn
    assert [len(part) for part in last.split("-")] == [8, 4, 4, 4, 12]


def test_a_queue_of_the_same_account_is_confirmed_at_once(topic, queue):  # §4
    subscription = Subscription(topic.sns, subscribe(topic, queue))
    assert subscription.attribute("PendingConfirmation") == "false"
    assert topic.counts()[:2] == (1, 0)


@pytest.mark.parametrize("protocol, where", [("lambda", LAMBDA), ("sms", "+15005550001")])
def test_functions_and_phones_are_confirmed_at_once(topic, protocol, where):  # §4
    answer = topic.sns.subscribe(TopicArn=topic.arn, Protocol=protocol, Endpoint=where)
    found = Subscription(topic.sns, answer["SubscriptionArn"]).attributes()
    assert found["PendingConfirmation"] == "false" and found["Protocol"] == protocol


def test_a_phone_has_a_number(topic):  # recorded in October 2025, without "Invalid parameter: "
    with refused("InvalidParameter", 400, "Invalid SMS endpoint: invalid-number"):
        topic.sns.subscribe(TopicArn=topic.arn, Protocol="sms", Endpoint="invalid-number")


def test_a_delivery_stream_is_confirmed_at_once(topic):  # §4
    stream = f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/s"
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    found = topic.subscribe("firehose", stream, SubscriptionRoleArn=role).attributes()
    assert found["PendingConfirmation"] == "false"
    assert found["SubscriptionRoleArn"] == role


def test_a_delivery_stream_needs_a_role(topic):
    with refused("InvalidParameter", 400):
        topic.subscribe("firehose", f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/s")


@pytest.mark.parametrize("protocol", ["email", "email-json"])
def test_an_address_must_be_confirmed(topic, protocol):  # §4
    arguments = dict(TopicArn=topic.arn, Protocol=protocol, Endpoint="someone@example.com")
    assert topic.sns.subscribe(**arguments)["SubscriptionArn"] == "pending confirmation"
    (listed,) = topic.subscriptions()
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    assert topic.counts()[:2] == (0, 1)


def test_an_http_endpoint_must_be_confirmed(topic, receiver):  # §4
    answer = topic.sns.subscribe(TopicArn=topic.arn, Protocol="http", Endpoint=receiver.url)
    assert answer["SubscriptionArn"] == "pending confirmation"


def test_the_arn_is_told_on_demand_although_it_is_not_confirmed(topic, receiver):  # §4
    subscription = topic.subscribe("http", receiver.url)
    assert subscription.arn.startswith(topic.arn + ":")
    assert subscription.attribute("PendingConfirmation") == "true"


@pytest.mark.parametrize("protocol", ["", "ftp", "SQS", "sqs "])
def test_an_unknown_protocol_is_refused(topic, queue, protocol):  # §4
    text = f"Invalid parameter: Amazon SNS does not support this protocol string: {protocol}"
    with refused("InvalidParameter", 400, text):
        topic.subscribe(protocol, queue.arn)


def test_a_queue_is_named_by_its_arn(topic, queue):  # §4
    with refused("InvalidParameter", 400, "Invalid parameter: SQS endpoint ARN"):
        topic.subscribe("sqs", queue.url)


@pytest.mark.parametrize(
    "protocol, where",
    [
        ("http", "example.com/hook"),
        ("http", "https://example.com/hook"),
        ("https", "http://example.com/hook"),
        ("email", "nobody"),
        ("email-json", "nobody"),
        ("sms", "call me"),
        ("lambda", "f"),
        ("application", "garbage"),
    ],
)
def test_an_endpoint_must_suit_its_protocol(topic, protocol, where):
    with refused("InvalidParameter", 400):
        topic.subscribe(protocol, where)


def test_a_fifo_queue_cannot_be_subscribed_to_a_standard_topic(topic, fifo_queue):  # §4, §14.4
    text = "Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics"
    with refused("InvalidParameter", 400, f"Invalid parameter: Invalid parameter: {text}"):
        topic.subscribe_queue(fifo_queue)


def test_a_standard_queue_can_be_subscribed_to_a_fifo_topic(fifo, queue):  # §4, §14.13
    assert fifo.subscribe_queue(queue).attribute("PendingConfirmation") == "false"


@pytest.mark.parametrize("protocol, where", [("http", "http://127.0.0.1:1/"), ("lambda", LAMBDA)])
def test_a_fifo_topic_takes_queues_only(fifo, protocol, where):  # §10
    with refused("InvalidParameter", 400):
        fifo.subscribe(protocol, where)


def test_an_arn_with_too_few_elements_is_refused(sns, queue):  # §4
    text = "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 5"
    with refused("InvalidParameter", 400, text):
        sns.subscribe(TopicArn="arn:aws:sns:us-east-1:000000000000", Protocol="sqs", Endpoint=queue.arn)


def test_an_unknown_topic_cannot_be_subscribed_to(sns, account, queue):
    with refused("NotFound", 404, "Topic does not exist"):
        sns.subscribe(
            TopicArn=f"arn:aws:sns:us-east-1:{account}:{unique('never')}", Protocol="sqs", Endpoint=queue.arn
        )


def test_an_unknown_attribute_is_refused(topic, queue):
    with refused("InvalidParameter", 400, "Invalid parameter: Attributes..."):
        topic.subscribe_queue(queue, FlyToTheMoon="true")
    assert topic.subscriptions() == []


def test_an_equal_subscription_is_the_same(topic, queue):  # §4
    attributes = {"RawMessageDelivery": "true", "FilterPolicy": '{"a":["b"]}'}
    arn = subscribe(topic, queue, Attributes=attributes)
    assert subscribe(topic, queue, Attributes=attributes) == arn
    assert subscribe(topic, queue, Attributes={"RawMessageDelivery": "true"}) == arn
    assert subscribe(topic, queue, Attributes={}) == arn
    assert subscribe(topic, queue) == arn
    assert len(topic.subscriptions()) == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"RawMessageDelivery": "false"},
        {"FilterPolicy": '{"a":["c"]}'},
        {"RawMessageDelivery": "true", "FilterPolicyScope": "MessageBody"},
    ],
)
def test_a_subscription_with_other_attributes_is_refused(topic, queue, attributes):  # §4
    subscribe(topic, queue, Attributes={"RawMessageDelivery": "true", "FilterPolicy": '{"a":["b"]}'})
    with refused("InvalidParameter", 400, DIFFERENT):
        subscribe(topic, queue, Attributes=attributes)


def test_attributes_for_a_subscription_that_has_none_are_refused(topic, queue):  # §4
    subscribe(topic, queue)
    with refused("InvalidParameter", 400, DIFFERENT):
        subscribe(topic, queue, Attributes={"RawMessageDelivery": "true"})


def test_a_queue_may_be_subscribed_to_many_topics_and_a_topic_may_have_many_queues(create, create_queue):
    topics, queues = [create(), create()], [create_queue(), create_queue()]
    for topic in topics:
        for queue in queues:
            topic.subscribe_queue(queue)
    for topic in topics:
        topic.publish(topic.name)
    for queue in queues:
        assert len(queue.receive(10)) == 2


def test_an_unsubscribed_queue_gets_nothing_more(topic, queue):  # §2
    subscription = topic.subscribe_queue(queue)
    subscription.unsubscribe()
    topic.publish()
    assert queue.receive() == []
    assert topic.subscriptions() == []
    with refused("NotFound", 404, "Subscription does not exist"):
        subscription.attributes()


def test_what_was_published_before_is_kept(topic, queue):
    subscription = topic.subscribe_queue(queue)
    topic.publish()
    subscription.unsubscribe()
    assert len(queue.receive()) == 1


def test_unsubscribing_again_or_the_unknown_is_no_error(topic, queue):  # §2
    subscription = topic.subscribe_queue(queue)
    subscription.unsubscribe()
    subscription.unsubscribe()
    topic.sns.unsubscribe(SubscriptionArn=f"{topic.arn}:12345678-1234-1234-1234-123456789012")


@pytest.mark.parametrize(
    "arn, text",
    [
        ("garbage", "SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"),
        ("arn:aws:sns", "SubscriptionArn Reason: An ARN must have at least 6 elements, not 3"),
        ("arn:aws:sns:us-east-1:000000000000:topic", "SubscriptionId"),
        ("", "SubscriptionArn Reason: no value for required parameter"),
    ],
)
def test_a_subscription_arn_of_wrong_form_is_refused(sns, arn, text):  # §4
    with refused("InvalidParameter", 400, "Invalid parameter: " + text):
        sns.unsubscribe(SubscriptionArn=arn)


def test_subscriptions_of_a_topic_are_listed(topic, queue, create_queue, account):  # §2
    subscription = topic.subscribe_queue(queue)
    topic.subscribe("http", "http://127.0.0.1:1/")
    one = next(one for one in topic.subscriptions() if one["Protocol"] == "sqs")
    assert one == {
        "SubscriptionArn": subscription.arn,
        "Owner": account,
        "Protocol": "sqs",
        "Endpoint": queue.arn,
        "TopicArn": topic.arn,
    }
    other = next(one for one in topic.subscriptions() if one["Protocol"] == "http")
    assert other["SubscriptionArn"] == "PendingConfirmation"


def test_subscriptions_are_listed_a_hundred_at_a_time(endpoint, clients_of):  # §2
    sns, _ = clients_of(endpoint, access_key="101010101012")
    topic, quiet = make_topic(sns), make_topic(sns)
    made = [topic.subscribe("sms", f"+1500555{n:04}").arn for n in range(101)]
    made_of_all = made + [quiet.subscribe("sms", "+15005559999").arn]
    by_topic = topic.list_subscriptions_by_topic()
    assert len(by_topic["Subscriptions"]) == 100
    rest = topic.list_subscriptions_by_topic(NextToken=by_topic["NextToken"])
    assert len(rest["Subscriptions"]) == 1 and "NextToken" not in rest
    found = [one["SubscriptionArn"] for one in by_topic["Subscriptions"] + rest["Subscriptions"]]
    assert sorted(found) == sorted(made)
    pages = list(sns.get_paginator("list_subscriptions").paginate())
    assert [len(page["Subscriptions"]) for page in pages] == [100, 2]
    found = [one["SubscriptionArn"] for page in pages for one in page["Subscriptions"]]
    assert sorted(found) == sorted(made_of_all)


def test_subscriptions_of_an_unknown_topic_are_not_found(topic):  # §2
    topic.delete_topic()
    with refused("NotFound", 404, "Topic does not exist"):
        topic.list_subscriptions_by_topic()


def test_the_owner_of_a_queue_elsewhere_confirms_by_subscribing(topic, other_account):  # §4
    sns2, sqs2 = other_account
    theirs = make_queue(sqs2)
    answer = sns2.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=theirs.arn)
    found = Subscription(sns2, answer["SubscriptionArn"]).attributes()
    assert found["PendingConfirmation"] == "false" and found["Owner"] == "111122223333"
    topic.publish()
    assert len(theirs.receive()) == 1


def test_a_queue_of_another_account_is_asked_to_confirm(topic, other_account):  # §4
    theirs = make_queue(other_account[1])
    answer = topic.sns.subscribe(TopicArn=topic.arn, Protocol="sqs", Endpoint=theirs.arn)
    assert answer["SubscriptionArn"] == "pending confirmation"
    topic.publish("too early")
    asked = json.loads(theirs.one()["Body"])
    assert asked["Type"] == "SubscriptionConfirmation" and asked["TopicArn"] == topic.arn
    confirmed = topic.confirm_subscription(Token=asked["Token"])["SubscriptionArn"]
    assert confirmed.startswith(topic.arn + ":")
    topic.publish("in time")
    assert json.loads(theirs.one()["Body"])["Message"] == "in time"
