"""Whether a queue's policy lets a topic send to it, which an endpoint with --strict asks."""

import json

import pytest

from sns.support import make_topic
from sqs.support import make_queue


@pytest.fixture
def clients(strict_endpoint, clients_of):
    return clients_of(strict_endpoint)


@pytest.fixture
def topic(clients):
    return make_topic(clients[0])


@pytest.fixture
def create_queue(clients):
    """A function that creates a queue with a policy of one statement, or with none."""

    def create(**statement):
        queue = make_queue(clients[1])
        if statement:
            whole = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue.arn, **statement}
            queue.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": [whole]}))
        return queue

    return create


SERVICE = {"Service": "sns.amazonaws.com"}


@pytest.mark.parametrize("operator", ["ArnEquals", "ArnLike", "StringEquals"])
def test_a_queue_that_allows_the_topic_gets_its_messages(topic, create_queue, operator):  # §12
    queue = create_queue(Principal=SERVICE, Condition={operator: {"aws:SourceArn": topic.arn}})
    topic.subscribe_queue(queue)
    topic.publish()
    assert len(queue.receive()) == 1


def test_a_queue_that_allows_everybody_gets_its_messages(topic, create_queue):  # §12
    queue = create_queue(Principal="*", Condition={"ArnEquals": {"aws:SourceArn": topic.arn}})
    topic.subscribe_queue(queue)
    topic.publish()
    assert len(queue.receive()) == 1


def test_a_queue_without_a_policy_gets_nothing_and_the_publisher_no_error(topic, create_queue):  # §12
    queue = create_queue()
    topic.subscribe_queue(queue)
    assert topic.publish()["MessageId"]
    assert queue.receive() == []


def test_a_queue_that_allows_another_topic_gets_nothing(topic, create_queue):  # §12
    queue = create_queue(Principal=SERVICE, Condition={"ArnEquals": {"aws:SourceArn": topic.arn + "x"}})
    topic.subscribe_queue(queue)
    topic.publish()
    assert queue.receive() == []


def test_a_queue_that_denies_the_topic_gets_nothing(topic, create_queue):  # §12
    queue = create_queue(Effect="Deny", Principal="*")
    topic.subscribe_queue(queue)
    topic.publish()
    assert queue.receive() == []


def test_what_is_not_allowed_is_a_dead_letter(topic, create_queue):  # §9, §12
    dead = create_queue(Principal=SERVICE, Condition={"ArnEquals": {"aws:SourceArn": topic.arn}})
    queue = create_queue()
    topic.subscribe_queue(queue, RedrivePolicy={"deadLetterTargetArn": dead.arn}, RawMessageDelivery=True)
    topic.publish("kept")
    assert dead.bodies() == ["kept"]
