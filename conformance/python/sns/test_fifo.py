"""FIFO topics: order, deduplication and its scopes, sequence numbers, what their queues get."""

import hashlib
import json

import pytest

from sns.support import envelope, envelopes, make_topic
from sqs.support import make_queue, refused


def publish(topic, message="hello", group="g", id=None, **more):
    if id:
        more["MessageDeduplicationId"] = id
    return topic.publish(message, MessageGroupId=group, **more)


def test_order_is_kept_within_groups(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue, RawMessageDelivery=True)
    for n in range(10):
        publish(fifo, f"{'ab'[n % 2]}{n}", group="ab"[n % 2])
    got = fifo_queue.receive(10)
    for group in "ab":
        bodies = [one["Body"] for one in got if one["Attributes"]["MessageGroupId"] == group]
        assert bodies == [f"{group}{n}" for n in range(10) if "ab"[n % 2] == group]


def test_sequence_numbers_of_twenty_digits_rise(fifo):  # §10
    numbers = [publish(fifo, f"m{n}", group=f"g{n % 3}")["SequenceNumber"] for n in range(10)]
    assert all(len(number) == 20 and number.isdigit() for number in numbers)
    assert numbers == sorted(set(numbers))


def test_a_duplicate_is_accepted_and_not_delivered(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue, RawMessageDelivery=True)
    publish(fifo, "a")
    assert publish(fifo, "a")["MessageId"]
    publish(fifo, "b", id="one")
    publish(fifo, "c", id="one")
    assert fifo_queue.bodies() == ["a", "b"]


def test_a_duplicate_is_one_for_five_minutes_from_the_first(fifo, fifo_queue, clock):  # §10
    fifo.subscribe_queue(fifo_queue, RawMessageDelivery=True)
    publish(fifo, "a", id="d")
    clock.advance(290)
    publish(fifo, "b", id="d")
    assert fifo_queue.bodies(VisibilityTimeout=0) == ["a"]
    clock.advance(11)
    publish(fifo, "c", id="d")
    assert fifo_queue.bodies() == ["a", "c"]


def test_contents_are_hashed_without_attributes_and_subject(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue)
    publish(fifo, "same")
    publish(fifo, "same", Subject="other")
    (got,) = fifo_queue.receive(10)
    assert got["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"same").hexdigest()


def test_an_id_that_is_given_comes_before_the_hash(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue)
    publish(fifo, "same", id="one")
    publish(fifo, "same", id="two")
    assert [one["Attributes"]["MessageDeduplicationId"] for one in fifo_queue.receive(10)] == ["one", "two"]


def test_group_and_id_are_passed_on(create, fifo_queue):  # §10
    topic = create(fifo=True)
    topic.subscribe_queue(fifo_queue)
    sent = publish(topic, group="g1", id="d1")
    got = fifo_queue.one()
    assert got["Attributes"]["MessageGroupId"] == "g1"
    assert got["Attributes"]["MessageDeduplicationId"] == "d1"
    assert got["Attributes"]["SequenceNumber"] != sent["SequenceNumber"]


def test_an_envelope_has_a_sequence_number_and_no_signature(fifo, fifo_queue):  # §7, §14.2
    fifo.subscribe_queue(fifo_queue)
    sent = publish(fifo, Subject="s")
    found = envelope(fifo_queue)
    assert list(found) == [
        "Type",
        "MessageId",
        "SequenceNumber",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "UnsubscribeURL",
    ]
    assert found["SequenceNumber"] == sent["SequenceNumber"]


def test_a_standard_queue_is_told_no_group(fifo, topic, queue, fifo_queue):
    # AWS's documentation of SNS, "Message grouping for FIFO topics": not passed on to standard queues. A standard topic's
    # is (recorded in August 2025).
    fifo.subscribe_queue(queue)
    fifo.subscribe_queue(fifo_queue)
    publish(fifo, group="g1")
    assert fifo_queue.one()["Attributes"]["MessageGroupId"] == "g1"
    got = queue.one()
    assert "MessageGroupId" not in got["Attributes"] and "MessageDeduplicationId" not in got["Attributes"]
    topic.subscribe_queue(queue)
    topic.publish(MessageGroupId="g2")
    assert queue.one()["Attributes"]["MessageGroupId"] == "g2"


def test_a_standard_queue_gets_messages_too(fifo, queue):  # §10, §14.13
    fifo.subscribe_queue(queue)
    for n in range(3):
        publish(fifo, f"m{n}")
    publish(fifo, "m1")
    assert sorted(one["Message"] for one in envelopes(queue)) == ["m0", "m1", "m2"]


def test_duplicates_are_found_across_groups(fifo, fifo_queue):  # §10
    fifo.set("FifoThroughputScope", "Topic")
    fifo.subscribe_queue(fifo_queue, RawMessageDelivery=True)
    publish(fifo, "a", group="g", id="d")
    publish(fifo, "b", group="h", id="d")
    assert fifo_queue.bodies() == ["a"]


def test_duplicates_may_be_looked_for_within_groups(create, create_queue):  # §10
    topic = create(fifo=True, ContentBasedDeduplication="true", FifoThroughputScope="MessageGroup")
    per_group = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
    queue = create_queue("f", fifo=True, **per_group)
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    publish(topic, "a", group="g", id="d")
    publish(topic, "b", group="h", id="d")
    publish(topic, "c", group="h", id="d")
    assert sorted(queue.bodies()) == ["a", "b"]


def test_the_queue_may_deduplicate_by_itself_too(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue, RawMessageDelivery=True)
    fifo_queue.send("first", MessageGroupId="g", MessageDeduplicationId="d")
    publish(fifo, "second", id="d")
    assert fifo_queue.bodies() == ["first"]


def test_messages_are_filtered_and_the_rest_keep_their_order(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(
        fifo_queue, FilterPolicy={"n": [{"numeric": [">=", 3]}]}, FilterPolicyScope="MessageBody",
        RawMessageDelivery=True,
    )
    for n in range(6):
        publish(fifo, json.dumps({"n": n}))
    assert [json.loads(body)["n"] for body in fifo_queue.bodies()] == [3, 4, 5]


def test_several_queues_have_the_same_order(fifo, create_queue):  # §10
    queues = [create_queue("f", fifo=True) for _ in range(3)]
    for queue in queues:
        fifo.subscribe_queue(queue, RawMessageDelivery=True)
    for n in range(10):
        publish(fifo, f"m{n}")
    assert [queue.bodies() for queue in queues] == [[f"m{n}" for n in range(10)]] * 3


@pytest.mark.parametrize("id", ["a b", "ä", "x" * 129])
def test_an_id_of_wrong_form_is_refused(fifo, id):
    with refused("InvalidParameter", 400):
        publish(fifo, id=id)


def test_a_fifo_topic_has_a_hundred_subscriptions_at_most(strict_endpoint, clients_of):  # §4
    sns, sqs = clients_of(strict_endpoint)
    topic = make_topic(sns, fifo=True)
    for _ in range(100):
        topic.subscribe_queue(make_queue(sqs))
    with refused("SubscriptionLimitExceeded", 403):
        topic.subscribe_queue(make_queue(sqs))
