"""FIFO queues: order, groups, deduplication."""

import hashlib
import string

import pytest

from sqs.support import refused


def send(queue, body, group="g", **more):
    return queue.send(body, MessageGroupId=group, **more)


# Sending -------------------------------------------------------------------------------------------------------


def test_a_group_id_is_required(fifo):  # §7, §10
    with refused("MissingParameter", 400, "The request must contain the parameter MessageGroupId."):
        fifo.send()


def test_a_deduplication_id_is_required_unless_contents_give_it(create):  # §7, §11
    text = (
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )
    with refused("InvalidParameterValue", 400, text):
        send(create(fifo=True), "x")


@pytest.mark.parametrize("parameter", ["MessageGroupId", "MessageDeduplicationId"])
@pytest.mark.parametrize("value", ["a b", "ä", "x" * 129, "", "line\nbreak"])
def test_ids_of_wrong_form_are_refused(fifo, parameter, value):  # §4, §11
    text = (
        f"Value {value} for parameter {parameter} is invalid. Reason: {parameter} can only include "
        "alphanumeric and punctuation characters. 1 to 128 in length."
    )
    with refused("InvalidParameterValue", 400, text):
        fifo.send(**{"MessageGroupId": "g", parameter: value})


def test_ids_may_have_every_allowed_character(fifo):  # §4
    allowed = string.ascii_letters + string.digits + string.punctuation
    for start in range(0, len(allowed), 40):
        word = allowed[start : start + 40]
        fifo.send(word, MessageGroupId=word, MessageDeduplicationId=word)
        attributes = fifo.one()["Attributes"]
        assert attributes["MessageGroupId"] == attributes["MessageDeduplicationId"] == word


def test_ids_may_have_a_hundred_and_twenty_eight_characters(fifo):  # §4
    fifo.send(MessageGroupId="g" * 128, MessageDeduplicationId="d" * 128)


def test_a_send_answers_with_a_sequence_number(fifo):  # §5
    assert send(fifo, "x")["SequenceNumber"].isdecimal()


def test_sequence_numbers_rise(fifo):  # §5
    numbers = [int(send(fifo, str(n), group=f"g{n % 3}")["SequenceNumber"]) for n in range(9)]
    assert numbers == sorted(set(numbers))


def test_a_sequence_number_has_about_twenty_digits(fifo):  # §5
    assert len(send(fifo, "x")["SequenceNumber"]) == 20


def test_system_attributes_of_a_fifo_message(fifo):  # §6
    sent = send(fifo, "x", MessageDeduplicationId="d")
    attributes = fifo.one()["Attributes"]
    assert attributes["MessageGroupId"] == "g"
    assert attributes["MessageDeduplicationId"] == "d"
    assert attributes["SequenceNumber"] == sent["SequenceNumber"]
    assert attributes["ApproximateReceiveCount"] == "1"


def test_the_deduplication_id_from_contents_is_their_sha256(fifo):  # §7
    send(fifo, "contents")
    expected = hashlib.sha256(b"contents").hexdigest()
    assert fifo.one()["Attributes"]["MessageDeduplicationId"] == expected


# Deduplication -------------------------------------------------------------------------------------------------


def test_a_duplicate_is_accepted_with_the_original_ids_and_dropped(fifo):  # §7
    first = send(fifo, "x", MessageDeduplicationId="d")
    again = send(fifo, "another body", MessageDeduplicationId="d")
    assert again["MessageId"] == first["MessageId"]
    assert again["SequenceNumber"] == first["SequenceNumber"]
    assert fifo.bodies() == ["x"]


def test_attributes_do_not_matter_for_deduplication_by_contents(fifo):  # §7
    def attribute(value):
        return {"a": {"DataType": "String", "StringValue": value}}

    send(fifo, "same", MessageAttributes=attribute("1"))
    send(fifo, "same", MessageAttributes=attribute("2"))
    assert fifo.counts()[0] == 1


def test_an_explicit_id_comes_before_the_contents(fifo):  # §7
    send(fifo, "same", MessageDeduplicationId="one")
    send(fifo, "same", MessageDeduplicationId="two")
    assert fifo.counts()[0] == 2


def test_duplicates_are_dropped_for_five_minutes(clock, fifo):  # §7
    send(fifo, "x", MessageDeduplicationId="d")
    clock.advance(295)
    send(fifo, "x", MessageDeduplicationId="d")
    assert fifo.counts()[0] == 1
    clock.advance(6)
    send(fifo, "x", MessageDeduplicationId="d")
    assert fifo.counts()[0] == 2


def test_a_duplicate_does_not_prolong_the_five_minutes(clock, fifo):  # §7
    send(fifo, "x", MessageDeduplicationId="d")
    clock.advance(200)
    send(fifo, "x", MessageDeduplicationId="d")
    clock.advance(101)
    send(fifo, "x", MessageDeduplicationId="d")
    assert fifo.counts()[0] == 2


def test_deduplication_outlives_the_deletion_of_the_message(fifo):  # §7, §16.8
    send(fifo, "x")
    fifo.delete(fifo.one())
    send(fifo, "x")
    assert fifo.bodies() == []


def test_a_purge_forgets_deduplication_ids(fifo):  # §7, §16.8
    send(fifo, "x")
    fifo.purge_queue()
    send(fifo, "x")
    assert fifo.bodies() == ["x"]


def test_deduplication_reaches_across_groups_by_default(fifo):  # §7
    send(fifo, "x", group="a", MessageDeduplicationId="d")
    send(fifo, "y", group="b", MessageDeduplicationId="d")
    assert fifo.bodies() == ["x"]


@pytest.fixture
def fast(create):
    """A FIFO queue in high throughput mode."""
    return create(
        fifo=True,
        ContentBasedDeduplication="true",
        DeduplicationScope="messageGroup",
        FifoThroughputLimit="perMessageGroupId",
    )


def test_deduplication_is_per_group_in_high_throughput(fast):  # §7
    send(fast, "x", group="a", MessageDeduplicationId="d")
    send(fast, "y", group="b", MessageDeduplicationId="d")
    send(fast, "z", group="b", MessageDeduplicationId="d")
    assert sorted(fast.bodies()) == ["x", "y"]


def test_switching_to_high_throughput_leaves_the_scope_of_ids_in_use(create):  # §3
    queue = create(fifo=True)
    send(queue, "x", group="a", MessageDeduplicationId="d")
    queue.set(DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId")
    send(queue, "y", group="b", MessageDeduplicationId="d")
    assert queue.bodies() == ["x"]


def test_switching_from_high_throughput_leaves_the_scope_of_ids_in_use(fast):  # §3
    send(fast, "x", group="a", MessageDeduplicationId="d")
    fast.set(DeduplicationScope="queue", FifoThroughputLimit="perQueue")
    send(fast, "y", group="b", MessageDeduplicationId="d")
    assert sorted(fast.bodies()) == ["x", "y"]


# Order and groups ----------------------------------------------------------------------------------------------


def test_a_group_is_received_in_the_order_of_sending(fifo):  # §7
    for n in range(25):
        send(fifo, str(n))
    seen = []
    for _ in range(3):
        messages = fifo.receive(10)
        seen += [m["Body"] for m in messages]
        for message in messages:
            fifo.delete(message)
    assert seen == [str(n) for n in range(25)]


def test_a_receive_fills_from_one_group_before_the_next(fifo):  # §7
    for body, group in [("g1-m1", "g1"), ("g2-m1", "g2"), ("g1-m2", "g1"), ("g2-m2", "g2"), ("g1-m3", "g1")]:
        send(fifo, body, group=group)
    assert fifo.bodies(4) == ["g1-m1", "g1-m2", "g1-m3", "g2-m1"]


def test_a_group_is_locked_while_a_message_of_it_is_in_flight(fifo):  # §7
    send(fifo, "a1", group="a")
    send(fifo, "a2", group="a")
    send(fifo, "b1", group="b")
    assert fifo.bodies(1) == ["a1"]
    send(fifo, "a3", group="a")
    assert fifo.bodies() == ["b1"]
    assert fifo.bodies() == []


def test_deleting_all_messages_in_flight_unlocks_the_group(fifo):  # §7
    for n in range(3):
        send(fifo, str(n))
    held = fifo.receive(2)
    for message in held:
        fifo.delete(message)
    assert fifo.bodies() == ["2"]


def test_deleting_only_some_messages_in_flight_keeps_the_group_locked(fifo):  # §7
    for n in range(3):
        send(fifo, str(n))
    held = fifo.receive(2)
    fifo.delete(held[0])
    assert fifo.bodies() == []
    fifo.delete(held[1])
    assert fifo.bodies() == ["2"]


def test_a_group_comes_back_in_order_when_visibility_ends(clock, fifo):  # §7
    for n in range(3):
        send(fifo, str(n))
    fifo.receive(2)
    clock.advance(31)
    assert fifo.bodies() == ["0", "1", "2"]


def three_in_flight(queue):
    for n in (1, 2, 3):
        send(queue, str(n))
    messages = queue.receive(10, VisibilityTimeout=30)
    assert [m["Body"] for m in messages] == ["1", "2", "3"]
    return messages


@pytest.mark.parametrize("extended, expected", [(0, []), (1, ["1"]), (2, ["1", "2"])])
def test_a_group_is_received_from_its_head_to_the_first_hidden_message(clock, fifo, extended, expected):  # §7, §16.10
    messages = three_in_flight(fifo)
    fifo.hide(messages[extended], 300)
    clock.advance(31)
    assert fifo.bodies() == expected


@pytest.mark.parametrize("seconds", [0, 5])
def test_showing_only_the_head_again_returns_it_alone(clock, fifo, seconds):  # §7
    messages = three_in_flight(fifo)
    fifo.hide(messages[0], seconds)
    clock.advance(seconds + 1)
    assert fifo.bodies() == ["1"]


# The next five orders are recorded of AWS (LocalStack's tests that are marked aws.validated).


def test_a_group_given_back_goes_behind_the_groups_that_waited(fifo):
    for body, group in [("a1", "a"), ("a2", "a"), ("b1", "b")]:
        send(fifo, body, group=group)
    held = fifo.receive(2)
    assert [message["Body"] for message in held] == ["a1", "a2"]
    fifo.hide(held[0], 0)
    assert fifo.bodies(3) == ["b1", "a1"]


def test_a_group_whose_visibility_ended_goes_behind_the_groups_that_waited(clock, fifo):
    for body, group in [("a1", "a"), ("a2", "a"), ("b1", "b")]:
        send(fifo, body, group=group)
    fifo.hide(fifo.receive(2)[0], 1)
    clock.advance(2)
    assert fifo.bodies(3) == ["b1", "a1"]


def test_groups_received_with_visibility_zero_go_behind_the_groups_that_waited(fifo):
    for body in ["a1", "b1", "b2", "c1", "a2"]:
        send(fifo, body, group=body[0])
    assert fifo.bodies(3, VisibilityTimeout=0) == ["a1", "a2", "b1"]
    assert fifo.bodies(10, VisibilityTimeout=0) == ["c1", "a1", "a2", "b1", "b2"]


def test_groups_come_back_in_the_order_in_which_their_visibility_ended(clock, fifo):
    for body in ["a1", "a2", "a3", "a4", "b1", "c1"]:
        send(fifo, body, group=body[0])
    assert fifo.bodies(2, VisibilityTimeout=1) == ["a1", "a2"]
    assert fifo.bodies(1, VisibilityTimeout=1) == ["b1"]
    clock.advance(2)
    assert fifo.bodies(10, VisibilityTimeout=0) == ["c1", "a1", "a2", "a3", "a4", "b1"]


def test_a_group_of_which_all_that_was_received_is_deleted_waits_by_its_next_message(fifo):
    for body in ["a1", "b1", "a2", "b2", "a3", "a4", "c1"]:
        send(fifo, body, group=body[0])
    for message in fifo.receive(2):
        fifo.delete(message)
    assert fifo.bodies() == ["b1", "b2", "a3", "a4", "c1"]


@pytest.mark.parametrize("fail", ["give back", "time out"])
def test_groups_that_fail_keep_no_other_group_from_being_served(clock, fifo, fail):  # design: no group waits for ever
    for group in "abcde":
        send(fifo, group, group=group)
    for group in "abcdea":
        message = fifo.one(VisibilityTimeout=1)
        assert message["Body"] == group
        clock.advance(2) if fail == "time out" else fifo.hide(message, 0)
    clock.advance(1)
    send(fifo, "f", group="f")
    served = []
    while "f" not in served:
        message = fifo.one(VisibilityTimeout=1)
        served.append(message["Body"])
        clock.advance(2) if fail == "time out" else fifo.hide(message, 0)
    assert served == ["b", "c", "d", "e", "a", "f"]


def test_messages_behind_a_locked_group_do_not_count_as_in_flight(fifo):  # §7
    for n in range(5):
        send(fifo, str(n))
    fifo.receive(2)
    assert fifo.counts() == (3, 2, 0)


def test_many_groups_are_received_side_by_side(fifo):  # §7
    for n in range(30):
        send(fifo, f"{n % 10}:{n // 10}", group=f"g{n % 10}")
    seen = {}
    while messages := fifo.receive(10):
        for message in messages:
            group, number = message["Body"].split(":")
            seen.setdefault(group, []).append(number)
            fifo.delete(message)
    assert seen == {str(group): ["0", "1", "2"] for group in range(10)}


# Handles -------------------------------------------------------------------------------------------------------


def test_a_fifo_message_cannot_be_deleted_after_its_visibility_ended(clock, fifo):  # §6, §16.5
    send(fifo, "x")
    message = fifo.one()
    clock.advance(31)
    text = (
        f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. "
        "Reason: The receipt handle has expired."
    )
    with refused("InvalidParameterValue", 400, text):
        fifo.delete(message)
    assert fifo.bodies() == ["x"]


def test_a_fifo_message_can_be_deleted_while_its_extended_visibility_lasts(clock, fifo):  # §6
    send(fifo, "x")
    message = fifo.one()
    fifo.hide(message, 100)
    clock.advance(60)
    fifo.delete(message)
    clock.advance(60)
    assert fifo.bodies() == []


def test_an_older_handle_does_not_delete_a_fifo_message_in_other_hands(clock, fifo):  # §6
    send(fifo, "x")
    old = fifo.one()
    clock.advance(31)
    fifo.one()
    with refused("InvalidParameterValue", 400):
        fifo.delete(old)
    clock.advance(31)
    assert fifo.bodies() == ["x"]


# ReceiveRequestAttemptId ---------------------------------------------------------------------------------------


def test_an_attempt_repeated_gives_the_same_messages_and_handles(fifo):  # §7
    for n in range(3):
        send(fifo, str(n))
    first = fifo.receive(10, ReceiveRequestAttemptId="attempt")
    again = fifo.receive(10, ReceiveRequestAttemptId="attempt")
    assert [m["ReceiptHandle"] for m in again] == [m["ReceiptHandle"] for m in first]
    assert [m["Body"] for m in again] == ["0", "1", "2"]


def test_another_attempt_does_not_get_messages_in_flight(fifo):  # §7
    send(fifo, "x")
    assert len(fifo.receive(ReceiveRequestAttemptId="one")) == 1
    assert fifo.receive(ReceiveRequestAttemptId="two") == []


def test_an_attempt_repeated_resets_the_visibility(clock, fifo):  # §7
    send(fifo, "x")
    fifo.receive(ReceiveRequestAttemptId="attempt")
    clock.advance(20)
    assert len(fifo.receive(ReceiveRequestAttemptId="attempt")) == 1
    clock.advance(20)
    assert fifo.bodies() == []
    clock.advance(11)
    assert fifo.bodies() == ["x"]


def test_an_attempt_is_void_once_a_message_of_it_was_deleted(fifo):  # §7
    send(fifo, "x")
    send(fifo, "y")
    first = fifo.receive(10, ReceiveRequestAttemptId="attempt")
    fifo.delete(first[0])
    again = fifo.receive(10, ReceiveRequestAttemptId="attempt")
    assert "x" not in [m["Body"] for m in again]


def test_an_attempt_is_void_once_the_visibility_of_a_message_of_it_was_changed(fifo):  # §7
    send(fifo, "x")
    send(fifo, "y")
    first = fifo.receive(10, ReceiveRequestAttemptId="attempt")
    fifo.hide(first[0], 600)
    again = fifo.receive(10, ReceiveRequestAttemptId="attempt")
    assert "x" not in [m["Body"] for m in again]


def test_an_attempt_is_void_after_five_minutes(clock, fifo):  # §7
    send(fifo, "x")
    fifo.receive(ReceiveRequestAttemptId="attempt", VisibilityTimeout=3600)
    clock.advance(301)
    assert fifo.receive(ReceiveRequestAttemptId="attempt") == []


def test_an_attempt_that_found_nothing_finds_what_came_since(fifo):  # §7
    assert fifo.receive(ReceiveRequestAttemptId="attempt") == []
    send(fifo, "x")
    assert [m["Body"] for m in fifo.receive(ReceiveRequestAttemptId="attempt")] == ["x"]


def test_an_attempt_id_of_wrong_form_is_refused(fifo):  # §4
    with refused("InvalidParameterValue", 400):
        fifo.receive(ReceiveRequestAttemptId="a b")
