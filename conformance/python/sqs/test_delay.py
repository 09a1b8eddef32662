"""Delays of queues and of single messages."""

import pytest

from sqs.support import refused


def test_a_delayed_message_appears_when_its_delay_is_over(clock, queue):  # §3
    queue.send(DelaySeconds=60)
    clock.advance(57)
    assert queue.bodies() == []
    clock.advance(4)
    assert queue.bodies() == ["hello"]


def test_the_delay_of_the_queue_is_used(clock, create):  # §3
    queue = create(DelaySeconds=60)
    queue.send()
    assert queue.counts() == (0, 0, 1)
    clock.advance(61)
    assert queue.counts() == (1, 0, 0)
    assert queue.bodies() == ["hello"]


def test_a_messages_own_delay_comes_before_the_queues(create):  # §3
    queue = create(DelaySeconds=60)
    queue.send("now", DelaySeconds=0)
    queue.send("later")
    assert queue.bodies() == ["now"]


def test_a_changed_delay_of_a_standard_queue_leaves_waiting_messages_alone(clock, create):  # §3
    queue = create(DelaySeconds=60)
    queue.send("early")
    queue.set(DelaySeconds=600)
    clock.advance(61)
    assert queue.bodies() == ["early"]


def test_a_changed_delay_of_a_fifo_queue_holds_for_waiting_messages(clock, create):  # §3
    queue = create(fifo=True, ContentBasedDeduplication="true", DelaySeconds=60)
    queue.send(MessageGroupId="g")
    queue.set(DelaySeconds=600)
    clock.advance(61)
    assert queue.bodies() == []
    clock.advance(600)
    assert queue.bodies() == ["hello"]


@pytest.mark.parametrize("delay", [-1, 901])
def test_a_delay_has_a_range(queue, delay):  # §11
    text = f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
    with refused("InvalidParameterValue", 400, text):
        queue.send(DelaySeconds=delay)


def test_a_delay_of_fifteen_minutes_is_accepted(queue):  # §3
    queue.send(DelaySeconds=900)
    assert queue.counts() == (0, 0, 1)


def test_a_fifo_message_has_no_delay_of_its_own(fifo):  # §7, §11
    text = (
        "Value 2 for parameter DelaySeconds is invalid. "
        "Reason: The request include parameter that is not valid for this queue type."
    )
    with refused("InvalidParameterValue", 400, text):
        fifo.send(MessageGroupId="g", DelaySeconds=2)


def test_a_zero_delay_of_a_fifo_message_means_the_queues(clock, create):  # §7, §16.7
    queue = create(fifo=True, ContentBasedDeduplication="true", DelaySeconds=30)
    queue.send(MessageGroupId="g", DelaySeconds=0)
    assert queue.bodies() == []
    clock.advance(31)
    assert queue.bodies() == ["hello"]


def test_a_delayed_message_can_be_purged(clock, queue):  # §2
    queue.send(DelaySeconds=60)
    queue.purge_queue()
    clock.advance(61)
    assert queue.counts() == (0, 0, 0)
