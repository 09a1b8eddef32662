"""Attributes of topics: defaults, those that are told only once set, and what is refused."""

import json

import pytest

from sns.support import ACCOUNT, make_topic
from sqs.support import refused

DEFAULT_DELIVERY_POLICY = {
    "http": {
        "defaultHealthyRetryPolicy": {
            "minDelayTarget": 20,
            "maxDelayTarget": 20,
            "numRetries": 3,
            "numMaxDelayRetries": 0,
            "numNoDelayRetries": 0,
            "numMinDelayRetries": 0,
            "backoffFunction": "linear",
        },
        "disableSubscriptionOverrides": False,
        "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
    }
}
RETRY_POLICY = {
    "minDelayTarget": 1,
    "maxDelayTarget": 60,
    "numRetries": 50,
    "numMaxDelayRetries": 10,
    "numNoDelayRetries": 3,
    "numMinDelayRetries": 2,
    "backoffFunction": "exponential",
}
ALWAYS = {
    "DisplayName",
    "EffectiveDeliveryPolicy",
    "Owner",
    "Policy",
    "SubscriptionsConfirmed",
    "SubscriptionsDeleted",
    "SubscriptionsPending",
    "TopicArn",
}


def test_a_new_topic_shows_these_attributes_and_no_others(topic, account):  # §3
    found = topic.attributes()
    assert set(found) == ALWAYS
    assert found["DisplayName"] == ""
    assert found["Owner"] == account
    assert found["TopicArn"] == topic.arn
    assert [found["Subscriptions" + kind] for kind in ("Confirmed", "Deleted", "Pending")] == ["0", "0", "0"]


def test_a_new_fifo_topic_shows_two_more(create):  # §3
    found = create(fifo=True).attributes()
    assert set(found) - {"FifoThroughputScope"} == ALWAYS | {"FifoTopic", "ContentBasedDeduplication"}
    assert found["FifoTopic"] == "true" and found["ContentBasedDeduplication"] == "false"


def test_the_default_delivery_policy_is_told_letter_by_letter(topic):  # §3
    assert topic.attribute("EffectiveDeliveryPolicy") == json.dumps(DEFAULT_DELIVERY_POLICY, separators=(",", ":"))


def test_a_delivery_policy_reads_back_as_it_was_sent(topic):
    retries = {"minDelayTarget": 5, "maxDelayTarget": 6, "numRetries": 1}
    topic.set("DeliveryPolicy", json.dumps({"http": {"defaultHealthyRetryPolicy": retries}}))
    switch = {"disableSubscriptionOverrides": False}
    assert topic.document("DeliveryPolicy") == {"http": {"defaultHealthyRetryPolicy": retries, **switch}}
    effective = topic.document("EffectiveDeliveryPolicy")["http"]["defaultHealthyRetryPolicy"]
    assert effective == {**DEFAULT_DELIVERY_POLICY["http"]["defaultHealthyRetryPolicy"], **retries}
    topic.set("DeliveryPolicy", json.dumps({"http": {"defaultHealthyRetryPolicy": None}}))
    assert topic.document("DeliveryPolicy") == {"http": switch}
    assert topic.document("EffectiveDeliveryPolicy") == DEFAULT_DELIVERY_POLICY


def test_the_default_policy_allows_the_owner_everything(topic, account):  # §3
    assert topic.document("Policy") == {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "SNS:GetTopicAttributes",
                    "SNS:SetTopicAttributes",
                    "SNS:AddPermission",
                    "SNS:RemovePermission",
                    "SNS:DeleteTopic",
                    "SNS:Subscribe",
                    "SNS:ListSubscriptionsByTopic",
                    "SNS:Publish",
                ],
                "Resource": topic.arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
            }
        ],
    }


@pytest.mark.parametrize(
    "name, value",
    [
        ("SignatureVersion", "2"),
        ("SignatureVersion", "1"),
        ("TracingConfig", "Active"),
        ("TracingConfig", "PassThrough"),
        ("KmsMasterKeyId", "alias/aws/sns"),
        ("MaximumMessageSize", "1024"),
        ("MaximumMessageSize", "262144"),
        ("MaximumMessageSize", "1048576"),
        ("DisplayName", "x" * 100),
        ("DisplayName", "Grüße"),
        ("HTTPSuccessFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/feedback"),
        ("HTTPSuccessFeedbackSampleRate", "50"),
        ("HTTPFailureFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/feedback"),
        ("SQSSuccessFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/feedback"),
        ("SQSSuccessFeedbackSampleRate", "100"),
        ("SQSFailureFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/feedback"),
        ("LambdaSuccessFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/feedback"),
        ("FirehoseFailureFeedbackRoleArn", f"arn:aws:iam::{ACCOUNT}:role/feedback"),
        ("ApplicationSuccessFeedbackSampleRate", "0"),
    ],
)
def test_an_attribute_that_was_set_is_shown(sns, topic, name, value):  # §3
    topic.set(name, value)
    assert topic.attribute(name) == value
    assert make_topic(sns, **{name: value}).attribute(name) == value


def test_a_policy_is_replaced_by_one_that_is_set(topic):
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "SNS:Publish", "Resource": topic.arn}
        ],
    }
    topic.set("Policy", json.dumps(policy))
    assert topic.document("Policy") == policy


@pytest.mark.parametrize(
    "name, value",
    [
        ("DisplayName", "x" * 101),
        ("SignatureVersion", "3"),
        ("SignatureVersion", "x"),
        ("TracingConfig", "active"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("MaximumMessageSize", "large"),
        ("Policy", "{"),
        ("Policy", "x"),
        ("DeliveryPolicy", "{"),
        ("HTTPSuccessFeedbackSampleRate", "101"),
        ("Owner", ACCOUNT),
        ("TopicArn", "x"),
        ("SubscriptionsConfirmed", "1"),
        ("EffectiveDeliveryPolicy", "{}"),
        ("FlyToTheMoon", "true"),
        ("FifoTopic", "true"),
        ("", "x"),
    ],
)
def test_an_attribute_that_is_unknown_or_wrong_is_refused(topic, name, value):  # §3
    before = topic.attributes()
    with refused("InvalidParameter", 400, "Invalid parameter: ..."):
        topic.set(name, value)
    assert topic.attributes() == before


def test_an_unknown_attribute_is_refused_by_this_text(topic):  # §4
    with refused("InvalidParameter", 400, "Invalid parameter: AttributeName"):
        topic.set("FlyToTheMoon", "true")


def test_whether_a_topic_is_fifo_cannot_be_changed(fifo):  # §3
    with refused("InvalidParameter", 400):
        fifo.set("FifoTopic", "false")
    assert fifo.attribute("FifoTopic") == "true"


def test_content_based_deduplication_can_be_changed(fifo):
    fifo.set("ContentBasedDeduplication", "false")
    assert fifo.attribute("ContentBasedDeduplication") == "false"


def test_content_based_deduplication_is_of_fifo_topics(topic):
    with refused("InvalidParameter", 400):
        topic.set("ContentBasedDeduplication", "true")


@pytest.mark.parametrize("scope", ["Topic", "MessageGroup"])
def test_the_scope_of_throughput_is_shown(fifo, scope):  # §3
    fifo.set("FifoThroughputScope", scope)
    assert fifo.attribute("FifoThroughputScope") == scope


def test_an_unknown_scope_of_throughput_is_refused(fifo):  # §3
    with refused("InvalidParameter", 400):
        fifo.set("FifoThroughputScope", "Galaxy")


def test_tracing_is_of_standard_topics(fifo):  # §3
    with refused("InvalidParameter", 400):
        fifo.set("TracingConfig", "Active")


def test_a_delivery_policy_shows_in_the_effective_one(topic):  # §3, §9
    policy = {"http": {"defaultHealthyRetryPolicy": RETRY_POLICY, "disableSubscriptionOverrides": True}}
    topic.set("DeliveryPolicy", json.dumps(policy))
    kept = topic.document("DeliveryPolicy")
    assert kept["http"]["defaultHealthyRetryPolicy"] == RETRY_POLICY
    assert kept["http"]["disableSubscriptionOverrides"] is True
    effective = topic.document("EffectiveDeliveryPolicy")
    assert effective["http"]["defaultHealthyRetryPolicy"] == RETRY_POLICY
    assert effective["http"]["disableSubscriptionOverrides"] is True
    assert effective["http"]["defaultRequestPolicy"] == {"headerContentType": "text/plain; charset=UTF-8"}


def test_a_delivery_policy_of_a_request_policy_alone_keeps_the_overrides(topic):  # §3
    asked = {"http": {"defaultRequestPolicy": {"headerContentType": "application/json"}}}
    topic.set("DeliveryPolicy", json.dumps(asked))
    assert topic.document("DeliveryPolicy") == {
        "http": {
            "defaultRequestPolicy": {"headerContentType": "application/json"},
            "disableSubscriptionOverrides": False,
        }
    }
    effective = topic.document("EffectiveDeliveryPolicy")["http"]
    assert effective["defaultRequestPolicy"] == {"headerContentType": "application/json"}
    assert effective["defaultHealthyRetryPolicy"] == DEFAULT_DELIVERY_POLICY["http"]["defaultHealthyRetryPolicy"]


def test_an_empty_delivery_policy_removes_it(topic):  # §3
    topic.set("DeliveryPolicy", json.dumps({"http": {"defaultHealthyRetryPolicy": RETRY_POLICY}}))
    topic.set("DeliveryPolicy", "")
    assert "DeliveryPolicy" not in topic.attributes()
    assert topic.document("EffectiveDeliveryPolicy") == DEFAULT_DELIVERY_POLICY


@pytest.mark.parametrize(
    "change",
    [
        {"minDelayTarget": 0},
        {"minDelayTarget": 61},  # more than maxDelayTarget
        {"maxDelayTarget": 3601},
        {"numRetries": 101},
        {"numRetries": -1},
        {"numNoDelayRetries": -1},
        {"numNoDelayRetries": 51},  # more than there are retries
        {"backoffFunction": "quadratic"},
        {"minDelayTarget": "soon"},
    ],
)
def test_a_delivery_policy_out_of_its_limits_is_refused(topic, change):  # §9
    policy = {"http": {"defaultHealthyRetryPolicy": {**RETRY_POLICY, **change}}}
    with refused("InvalidParameter", 400, "Invalid parameter: ..."):
        topic.set("DeliveryPolicy", json.dumps(policy))


def test_subscriptions_are_counted(topic, queue, create_queue, receiver):  # §3
    one = topic.subscribe_queue(queue)
    topic.subscribe_queue(create_queue())
    topic.subscribe("http", receiver.url)
    assert topic.counts() == (2, 1, 0)
    one.unsubscribe()
    confirmed, pending, deleted = topic.counts()
    assert (confirmed, pending) == (1, 1) and deleted in (0, 1)  # AWS counts deleted ones for a while


def test_a_topic_over_256_kib_takes_queues_only(sns, create, queue, receiver):  # §3
    large = create(MaximumMessageSize=1048576)
    large.subscribe_queue(queue)
    with refused("InvalidParameter", 400):
        large.subscribe("http", receiver.url)
    small = create()
    small.subscribe("http", receiver.url)
    with refused("InvalidParameter", 400):
        small.set("MaximumMessageSize", "262145")
    small.set("MaximumMessageSize", "262144")
