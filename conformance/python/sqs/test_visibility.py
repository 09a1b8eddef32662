"""How long a received message stays hidden, and who may change that."""

import pytest

from sqs.support import refused


def test_a_received_message_is_hidden_for_thirty_seconds_by_default(clock, queue):  # §3, §6
    queue.send()
    queue.one()
    clock.advance(28)
    assert queue.bodies() == []
    clock.advance(3)
    assert queue.bodies() == ["hello"]


def test_the_visibility_timeout_of_the_queue_is_used(clock, create):  # §3
    queue = create(VisibilityTimeout=100)
    queue.send()
    queue.one()
    clock.advance(95)
    assert queue.bodies() == []
    clock.advance(6)
    assert queue.bodies() == ["hello"]


def test_the_visibility_timeout_of_a_receive_comes_before_the_queues(clock, create):  # §6
    queue = create(VisibilityTimeout=100)
    queue.send()
    queue.one(VisibilityTimeout=5)
    clock.advance(6)
    assert queue.bodies() == ["hello"]


def test_a_receive_with_visibility_zero_leaves_the_message_visible(queue):  # §6
    queue.send()
    assert queue.one(VisibilityTimeout=0)["MessageId"] == queue.one()["MessageId"]


def test_a_queue_with_visibility_zero_hides_nothing(create):  # §3
    queue = create(VisibilityTimeout=0)
    queue.send()
    assert [queue.one()["Attributes"]["ApproximateReceiveCount"] for _ in range(3)] == ["1", "2", "3"]


def test_changing_the_visibility_to_zero_shows_the_message_at_once(queue):  # §6
    queue.send()
    queue.hide(queue.one(), 0)
    assert queue.bodies() == ["hello"]


def test_a_changed_visibility_counts_from_the_change(clock, queue):  # §6
    queue.send()
    message = queue.one()
    clock.advance(20)
    queue.hide(message, 60)
    clock.advance(57)
    assert queue.bodies() == []
    clock.advance(4)
    assert queue.bodies() == ["hello"]


def test_a_visibility_can_be_shortened(clock, queue):  # §6
    queue.send()
    queue.hide(queue.one(), 3)
    clock.advance(4)
    assert queue.bodies() == ["hello"]


def test_a_changed_visibility_does_not_last_for_later_receives(clock, queue):  # §6
    queue.send()
    queue.hide(queue.one(), 2)
    clock.advance(3)
    queue.one()
    clock.advance(20)
    assert queue.bodies() == []
    clock.advance(11)
    assert queue.bodies() == ["hello"]


def test_a_message_whose_visibility_ended_can_be_hidden_again(clock, queue):  # §6, §16.15
    queue.send()
    message = queue.one(VisibilityTimeout=5)
    clock.advance(6)
    queue.hide(message, 60)
    assert queue.bodies() == []
    clock.advance(61)
    assert queue.bodies() == ["hello"]


@pytest.mark.parametrize("seconds", [-1, 43201])
def test_a_changed_visibility_has_a_range(queue, seconds):  # §11 (text not verified)
    queue.send()
    message = queue.one()
    with refused("InvalidParameterValue", 400, f"Value {seconds} for parameter VisibilityTimeout is invalid...."):
        queue.hide(message, seconds)


def test_a_message_is_in_flight_for_twelve_hours_at_most(clock, queue):  # §6
    queue.send()
    message = queue.one()
    clock.advance(10)
    text = (
        "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout "
        "for the message is beyond the limit [43200 seconds]"
    )
    with refused("InvalidParameterValue", 400, text):
        queue.hide(message, 43200)
    queue.hide(message, 43100)


GONE = "Reason: Message does not exist or is not available for visibility timeout change."


def test_the_visibility_of_a_deleted_message_cannot_be_changed(queue):  # §6
    queue.send()
    message = queue.one()
    queue.delete(message)
    text = f"Value {message['ReceiptHandle']} for parameter ReceiptHandle is invalid. {GONE}"
    with refused("InvalidParameterValue", 400, text):
        queue.hide(message, 10)


def test_a_malformed_handle_is_refused_on_changing_visibility(queue):  # §6, §11
    with refused("ReceiptHandleIsInvalid", 404, 'The input receipt handle "garbage" is not a valid receipt handle.'):
        queue.change_message_visibility(ReceiptHandle="garbage", VisibilityTimeout=1)


def test_hidden_messages_count_as_in_flight(clock, queue):  # §3
    for body in "abc":
        queue.send(body)
    first, second = queue.receive(2)
    assert queue.counts() == (1, 2, 0)
    queue.hide(first, 0)
    assert queue.counts() == (2, 1, 0)
    clock.advance(31)
    assert queue.counts() == (3, 0, 0)


def test_an_older_handle_changes_the_visibility_of_a_message_that_was_received_again(clock, queue):  # observed of AWS
    queue.send()
    old = queue.one(VisibilityTimeout=0)
    queue.one(VisibilityTimeout=60)
    queue.hide(old, 600)
    assert queue.counts() == (0, 1, 0)
    clock.advance(61)
    assert queue.bodies() == []
    queue.hide(old, 0)
    assert queue.bodies() == ["hello"]


def test_an_older_handle_in_a_batch_changes_the_visibility_too(queue):  # observed of AWS
    queue.send()
    old = queue.one(VisibilityTimeout=0)
    queue.one(VisibilityTimeout=60)
    entry = {"Id": "a", "ReceiptHandle": old["ReceiptHandle"], "VisibilityTimeout": 0}
    answer = queue.change_message_visibility_batch(Entries=[entry])
    assert [entry["Id"] for entry in answer["Successful"]] == ["a"] and not answer.get("Failed")
    assert queue.bodies() == ["hello"]


def test_on_fifo_only_the_newest_handle_changes_the_visibility(clock, fifo):  # §6
    fifo.send(MessageGroupId="g")
    old = fifo.one(VisibilityTimeout=0)
    new = fifo.one(VisibilityTimeout=60)
    for seconds in (0, 600):
        text = f"Value {old['ReceiptHandle']} for parameter ReceiptHandle is invalid. {GONE}"
        with refused("InvalidParameterValue", 400, text):
            fifo.hide(old, seconds)
    assert fifo.counts() == (0, 1, 0)
    fifo.hide(new, 0)
    assert fifo.bodies() == ["hello"]


def test_a_batch_changes_the_visibility_of_each_message(clock, queue):  # §2
    for body in "ab":
        queue.send(body)
    messages = {message["Body"]: message for message in queue.receive(10)}
    answer = queue.change_message_visibility_batch(
        Entries=[
            {"Id": "a", "ReceiptHandle": messages["a"]["ReceiptHandle"], "VisibilityTimeout": 0},
            {"Id": "b", "ReceiptHandle": messages["b"]["ReceiptHandle"], "VisibilityTimeout": 600},
        ]
    )
    assert {entry["Id"] for entry in answer["Successful"]} == {"a", "b"} and not answer.get("Failed")
    assert queue.bodies() == ["a"]
    clock.advance(60)
    assert queue.bodies() == ["a"]


def test_a_batch_refuses_the_wrong_visibility_of_an_entry_alone(queue):  # §10
    for body in "ab":
        queue.send(body)
    one, two = queue.receive(10)
    answer = queue.change_message_visibility_batch(
        Entries=[
            {"Id": "good", "ReceiptHandle": one["ReceiptHandle"], "VisibilityTimeout": 1},
            {"Id": "bad", "ReceiptHandle": two["ReceiptHandle"], "VisibilityTimeout": 43201},
            {"Id": "ugly", "ReceiptHandle": "garbage", "VisibilityTimeout": 1},
        ]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    failed = {entry["Id"]: entry for entry in answer["Failed"]}
    assert set(failed) == {"bad", "ugly"}
    assert failed["bad"]["Code"] == "InvalidParameterValue" and failed["bad"]["SenderFault"] is True
    assert failed["ugly"]["Code"] == "ReceiptHandleIsInvalid" and failed["ugly"]["SenderFault"] is True
