"""Attributes of subscriptions, and the difference between the texts of Subscribe and SetSubscriptionAttributes."""

import json

import pytest

from sns.support import ACCOUNT, Subscription
from sqs.support import refused

ALWAYS = {
    "ConfirmationWasAuthenticated",
    "PendingConfirmation",
    "Owner",
    "Protocol",
    "Endpoint",
    "RawMessageDelivery",
    "SubscriptionArn",
    "SubscriptionPrincipal",
    "TopicArn",
}
RETRY_POLICY = {
    "minDelayTarget": 2,
    "maxDelayTarget": 40,
    "numRetries": 9,
    "numMaxDelayRetries": 1,
    "numNoDelayRetries": 1,
    "numMinDelayRetries": 1,
    "backoffFunction": "geometric",
}


@pytest.fixture
def subscription(topic, queue):
    return topic.subscribe_queue(queue)


def test_a_new_subscription_shows_these_attributes(topic, queue, subscription, account):  # §4
    found = subscription.attributes()
    assert set(found) == ALWAYS
    assert found["ConfirmationWasAuthenticated"] == "true"
    assert found["PendingConfirmation"] == "false"
    assert found["RawMessageDelivery"] == "false"
    assert (found["Protocol"], found["Endpoint"]) == ("sqs", queue.arn)
    assert (found["SubscriptionArn"], found["TopicArn"]) == (subscription.arn, topic.arn)
    assert found["Owner"] == account
    assert found["SubscriptionPrincipal"].startswith(f"arn:aws:iam::{account}:")


def test_a_pending_http_subscription_was_not_authenticated(topic, receiver):  # §4
    found = topic.subscribe("http", receiver.url).attributes()
    assert found["ConfirmationWasAuthenticated"] == "false"
    assert found["PendingConfirmation"] == "true"
    effective = json.loads(found["EffectiveDeliveryPolicy"])
    assert effective["healthyRetryPolicy"] == {
        "minDelayTarget": 20,
        "maxDelayTarget": 20,
        "numRetries": 3,
        "numMaxDelayRetries": 0,
        "numNoDelayRetries": 0,
        "numMinDelayRetries": 0,
        "backoffFunction": "linear",
    }
    assert effective["sicklyRetryPolicy"] is None
    assert effective["throttlePolicy"] is None
    assert effective["guaranteed"] is False
    assert effective["requestPolicy"] == {"headerContentType": "text/plain; charset=UTF-8"}


def test_an_unknown_subscription_is_not_found(topic):  # §2
    unknown = Subscription(topic.sns, f"{topic.arn}:12345678-1234-1234-1234-123456789012")
    with refused("NotFound", 404, "Subscription does not exist"):
        unknown.attributes()
    with refused("NotFound", 404, "Subscription does not exist"):
        unknown.set("RawMessageDelivery", "true")


def test_an_unknown_attribute_is_refused(subscription):  # §4
    with refused("InvalidParameter", 400, "Invalid parameter: AttributeName"):
        subscription.set("FlyToTheMoon", "true")


@pytest.mark.parametrize("name", ["Endpoint", "Protocol", "Owner", "PendingConfirmation", "TopicArn"])
def test_what_a_subscription_is_cannot_be_changed(subscription, name):  # §4
    with refused("InvalidParameter", 400, "Invalid parameter: AttributeName"):
        subscription.set(name, "x")


def test_raw_delivery_is_switched(subscription):  # §4
    for value in ("true", "false"):
        subscription.set("RawMessageDelivery", value)
        assert subscription.attribute("RawMessageDelivery") == value


@pytest.mark.parametrize("value", ["x", "1", ""])
def test_raw_delivery_is_true_or_false(topic, queue, subscription, create_queue, value):  # §4, §14.5
    text = f"RawMessageDelivery: Invalid value [{value}]. Must be true or false."
    with refused("InvalidParameter", 400, f"Invalid parameter: {text}"):
        subscription.set("RawMessageDelivery", value)
    with refused("InvalidParameter", 400, f"Invalid parameter: Attributes Reason: {text}"):
        topic.subscribe_queue(create_queue(), RawMessageDelivery=value)


def test_the_scope_of_filtering_is_told_only_where_there_is_a_policy(subscription):  # §4, §14.6
    subscription.set("FilterPolicyScope", "MessageBody")
    assert "FilterPolicyScope" not in subscription.attributes()
    subscription.set("FilterPolicy", {"a": ["b"]})
    found = subscription.attributes()
    assert found["FilterPolicyScope"] == "MessageBody"
    assert json.loads(found["FilterPolicy"]) == {"a": ["b"]}


def test_the_scope_of_filtering_is_attributes_by_default(subscription):  # §11
    subscription.set("FilterPolicy", {"a": ["b"]})
    assert subscription.attribute("FilterPolicyScope") == "MessageAttributes"


def test_a_filter_policy_is_kept_as_it_was_written(topic, create_queue, subscription):
    text = '{ "a" : [ "b", {"numeric": ["=", 1.50]} ] }'
    subscription.set("FilterPolicy", text)
    assert subscription.attribute("FilterPolicy") == text


@pytest.mark.parametrize("value", ["", "Message", "messagebody"])
def test_an_unknown_scope_is_refused(topic, queue, subscription, create_queue, value):  # §4
    text = f"FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
    with refused("InvalidParameter", 400, f"Invalid parameter: {text}"):
        subscription.set("FilterPolicyScope", value)
    with refused("InvalidParameter", 400, f"Invalid parameter: Attributes Reason: {text}"):
        topic.subscribe_queue(create_queue(), FilterPolicyScope=value)


def test_a_redrive_policy_is_shown(topic, subscription, create_queue):  # §4
    policy = json.dumps({"deadLetterTargetArn": create_queue("dead").arn})
    subscription.set("RedrivePolicy", policy)
    assert json.loads(subscription.attribute("RedrivePolicy")) == json.loads(policy)


@pytest.mark.parametrize("arn", ["garbage", "", f"arn:aws:sns:us-east-1:{ACCOUNT}:topic"])
def test_a_redrive_policy_names_a_queue(topic, subscription, create_queue, arn):  # §4
    policy = {"deadLetterTargetArn": arn}
    text = "RedrivePolicy: deadLetterTargetArn is an invalid arn"
    with refused("InvalidParameter", 400, f"Invalid parameter: {text}"):
        subscription.set("RedrivePolicy", policy)
    with refused("InvalidParameter", 400, f"Invalid parameter: Attributes Reason: {text}"):
        topic.subscribe_queue(create_queue(), RedrivePolicy=policy)


@pytest.mark.parametrize("text", ["{", "x", "[1"])
def test_a_redrive_policy_is_json(subscription, text):  # §4
    with refused("InvalidParameter", 400, "Invalid parameter: RedrivePolicy: failed to parse JSON. ..."):
        subscription.set("RedrivePolicy", text)


def test_a_fifo_queue_at_a_fifo_topic_needs_fifo_dead_letters(fifo, fifo_queue, queue, create_queue):  # §4, §9
    policy = {"deadLetterTargetArn": queue.arn}
    text = "RedrivePolicy: must use a FIFO queue as DLQ for a FIFO Subscription to a FIFO Topic."
    subscription = fifo.subscribe_queue(fifo_queue)
    with refused("InvalidParameter", 400, f"Invalid parameter: {text}"):
        subscription.set("RedrivePolicy", policy)
    fifo.subscribe_queue(create_queue("standard"), RedrivePolicy=policy)


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (
            "{invalidjson}",
            "Unexpected character ('i' (code 105)): was expecting double-quote to start field name\n at [Source: REDACTED "
            "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 2]",
        ),
        (
            "invalid",
            "Unrecognized token 'invalid': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or "
            "'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 8]",
        ),
    ],
)
@pytest.mark.parametrize("name", ["RedrivePolicy", "FilterPolicy"])
def test_what_is_no_json_is_refused_in_the_words_of_awss_parser(topic, queue, name, policy, text):  # recorded October 2025
    text = f"{name}: failed to parse JSON. {text}"
    with refused("InvalidParameter", 400, f"Invalid parameter: Attributes Reason: {text}"):
        topic.subscribe_queue(queue, **{name: policy})
    with refused("InvalidParameter", 400, f"Invalid parameter: {text}"):
        topic.subscribe_queue(queue).set(name, policy)


def test_the_delivery_policy_of_an_http_subscription_shows_in_the_effective_one(topic, receiver):  # §9
    subscription = topic.subscribe("http", receiver.url)
    subscription.set("DeliveryPolicy", {"healthyRetryPolicy": RETRY_POLICY})
    found = subscription.attributes()
    assert json.loads(found["DeliveryPolicy"])["healthyRetryPolicy"] == RETRY_POLICY
    assert json.loads(found["EffectiveDeliveryPolicy"])["healthyRetryPolicy"] == RETRY_POLICY


def test_a_topics_delivery_policy_may_forbid_that_of_its_subscriptions(topic, receiver):  # §9
    policy = {"http": {"defaultHealthyRetryPolicy": RETRY_POLICY, "disableSubscriptionOverrides": True}}
    topic.set("DeliveryPolicy", json.dumps(policy))
    own = {"healthyRetryPolicy": {**RETRY_POLICY, "numRetries": 50}}
    found = topic.subscribe("http", receiver.url, DeliveryPolicy=own).attributes()
    assert json.loads(found["EffectiveDeliveryPolicy"])["healthyRetryPolicy"] == RETRY_POLICY


def test_a_topics_delivery_policy_is_that_of_its_subscriptions(topic, receiver):  # §9
    subscription = topic.subscribe("http", receiver.url)
    topic.set("DeliveryPolicy", json.dumps({"http": {"defaultHealthyRetryPolicy": RETRY_POLICY}}))
    effective = json.loads(subscription.attribute("EffectiveDeliveryPolicy"))
    assert effective["healthyRetryPolicy"] == RETRY_POLICY


@pytest.mark.parametrize("change", [{"minDelayTarget": 0}, {"numRetries": 101}, {"backoffFunction": "x"}])
def test_a_delivery_policy_out_of_its_limits_is_refused(topic, receiver, change):  # §9
    subscription = topic.subscribe("http", receiver.url)
    with refused("InvalidParameter", 400, "Invalid parameter: ..."):
        subscription.set("DeliveryPolicy", {"healthyRetryPolicy": {**RETRY_POLICY, **change}})
    assert "DeliveryPolicy" not in subscription.attributes()


def test_an_empty_filter_policy_filters_nothing(topic, queue, subscription):  # §11
    subscription.set("FilterPolicy", {"a": ["b"]})
    subscription.set("FilterPolicy", {})
    topic.publish()
    assert len(queue.receive()) == 1
