"""Fair queues: a standard queue whose messages carry a group."""

import pytest

from sqs.support import refused


def test_a_group_is_allowed_on_a_standard_queue_and_returned(queue):  # §14, §6, §16.12
    sent = queue.send(MessageGroupId="tenant")
    assert "SequenceNumber" not in sent
    attributes = queue.one()["Attributes"]
    assert attributes["MessageGroupId"] == "tenant"
    assert "SequenceNumber" not in attributes and "MessageDeduplicationId" not in attributes


@pytest.mark.parametrize("group", ["a b", "ä", "x" * 129, ""])
def test_a_group_of_wrong_form_is_refused_on_a_standard_queue(queue, group):  # §4
    with refused("InvalidParameterValue", 400):
        queue.send(MessageGroupId=group)


def test_a_group_in_flight_locks_nothing_on_a_standard_queue(queue):  # §14
    queue.send("a", MessageGroupId="tenant")
    queue.send("b", MessageGroupId="tenant")
    assert sorted(queue.bodies(1) + queue.bodies(1)) == ["a", "b"]


def test_equal_messages_of_a_group_are_all_kept(queue):  # §14
    for _ in range(2):
        queue.send("same", MessageGroupId="tenant")
    assert queue.counts()[0] == 2


def test_a_group_survives_the_move_to_a_dead_letter_queue(with_dead_letters):  # §6, §8
    source, dead = with_dead_letters()
    source.send(MessageGroupId="tenant")
    source.one(VisibilityTimeout=0)
    source.receive()
    assert dead.one()["Attributes"]["MessageGroupId"] == "tenant"


def send_many(queue, count, group, word):
    for start in range(0, count, 10):
        queue.send_message_batch(
            Entries=[
                {"Id": str(n), "MessageBody": f"{word} {n}", "MessageGroupId": group}
                for n in range(start, min(start + 10, count))
            ]
        )


def test_a_quiet_group_is_preferred_over_a_noisy_one(queue):  # §14
    send_many(queue, 500, "noisy", "noisy")
    for _ in range(10):
        assert len(queue.receive(10)) == 10  # 100 in flight, all of one group
    send_many(queue, 5, "quiet", "quiet")
    assert sorted(queue.bodies(5)) == [f"quiet {n}" for n in range(5)]


def test_every_quiet_group_is_preferred_over_the_noisy_one(queue):  # §14
    send_many(queue, 300, "noisy", "noisy")
    for _ in range(6):
        queue.receive(10)
    for tenant in range(10):
        queue.send(f"quiet {tenant}", MessageGroupId=f"tenant{tenant}")
    assert sorted(queue.bodies(10)) == [f"quiet {n}" for n in range(10)]


def test_a_message_without_a_group_is_a_tenant_of_its_own(queue):  # §14
    send_many(queue, 300, "noisy", "noisy")
    for _ in range(6):
        queue.receive(10)
    queue.send("alone")
    assert queue.bodies(1) == ["alone"]


def test_a_noisy_group_is_served_when_no_other_waits(queue):  # §14
    send_many(queue, 200, "noisy", "noisy")
    got = sum(len(queue.receive(10)) for _ in range(20))
    assert got == 200


def test_a_few_messages_in_flight_do_not_make_a_group_noisy(queue):  # §14
    # Fewer than thirty in flight: the order of sending is kept as on any standard queue.
    send_many(queue, 40, "busy", "busy")
    queue.receive(10)
    queue.send("late", MessageGroupId="other")
    assert all(body.startswith("busy") for body in queue.bodies(10))


def test_a_group_that_takes_long_is_noisy_however_few_its_messages_are(queue, clock):  # §14
    send_many(queue, 3, "slow", "slow")
    first = queue.one(VisibilityTimeout=300)
    queue.one(VisibilityTimeout=300)
    clock.advance(20)  # two messages, and all of the consumers' time
    queue.delete_message(ReceiptHandle=first["ReceiptHandle"])
    queue.send("quick", MessageGroupId="other")
    assert queue.bodies(1) == ["quick"]
    assert len(queue.bodies(1)) == 1


def test_a_group_that_has_sent_nothing_for_five_minutes_is_quiet_again(queue, clock):  # §14
    send_many(queue, 2, "slow", "slow")
    first = queue.one(VisibilityTimeout=600)
    clock.advance(301)
    queue.delete_message(ReceiptHandle=first["ReceiptHandle"])
    queue.send("quick", MessageGroupId="other")
    assert queue.bodies(1)[0].startswith("slow")
