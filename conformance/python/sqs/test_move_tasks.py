"""Message move tasks: bringing messages back from a dead-letter queue."""

import base64
import json
import time

import pytest

from sqs.conftest import ACCOUNT, REGION
from sqs.support import redrive_to, refused

FORMAT = (
    "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
)


def dead_letters(source, dead, bodies):
    """Makes each of `bodies` a dead letter of `source`."""
    for body in bodies:
        more = {"MessageGroupId": body} if source.name.endswith(".fifo") else {}
        source.send(body, **more)
    while source.receive(10, VisibilityTimeout=0):
        pass
    assert dead.counts()[0] >= len(bodies)


def listed(sqs, arn, n=10):
    return sqs.list_message_move_tasks(SourceArn=arn, MaxResults=n).get("Results", [])


def finished(sqs, arn, offered_clock):
    """The newest task of `arn`, once it no longer runs."""
    give_up = time.monotonic() + 20
    while True:
        task = listed(sqs, arn)[0]
        if task["Status"] not in ("RUNNING", "CANCELLING"):
            return task
        assert time.monotonic() < give_up, task
        if offered_clock:
            offered_clock.advance(1)
        time.sleep(0.02)


def test_messages_go_back_to_where_they_came_from(sqs, with_dead_letters, offered_clock):  # §8
    source, dead = with_dead_letters()
    dead_letters(source, dead, ["a", "b", "c"])
    answer = sqs.start_message_move_task(SourceArn=dead.arn)
    assert answer["TaskHandle"]
    task = finished(sqs, dead.arn, offered_clock)
    assert task["Status"] == "COMPLETED"
    assert task["ApproximateNumberOfMessagesMoved"] == task["ApproximateNumberOfMessagesToMove"] == 3
    assert sorted(source.bodies()) == ["a", "b", "c"]
    assert dead.counts() == (0, 0, 0)


def test_messages_of_several_sources_each_go_to_their_own(sqs, create, offered_clock):  # §8
    dead = create("dead")
    sources = [create("source", RedrivePolicy=redrive_to(dead)) for _ in range(2)]
    for number, source in enumerate(sources):
        dead_letters(source, dead, [f"of {number}"])
    sqs.start_message_move_task(SourceArn=dead.arn)
    task = finished(sqs, dead.arn, offered_clock)
    assert "DestinationArn" not in task
    assert [source.bodies() for source in sources] == [["of 0"], ["of 1"]]


def test_messages_go_to_a_named_destination(sqs, with_dead_letters, create, offered_clock):  # §8
    source, dead = with_dead_letters()
    other = create("other")
    dead_letters(source, dead, ["a"])
    sqs.start_message_move_task(SourceArn=dead.arn, DestinationArn=other.arn)
    task = finished(sqs, dead.arn, offered_clock)
    assert task["DestinationArn"] == other.arn
    assert other.bodies() == ["a"] and source.bodies() == []


def test_a_moved_message_is_a_new_one(clock, sqs, with_dead_letters):  # §5, §8
    source, dead = with_dead_letters()
    attribute = {"Hello": {"DataType": "String", "StringValue": "There"}}
    sent = source.send("a", MessageAttributes=attribute)
    first = source.one(VisibilityTimeout=0)
    source.receive()
    clock.advance(100)
    sqs.start_message_move_task(SourceArn=dead.arn)
    finished(sqs, dead.arn, clock)
    moved = source.one(MessageAttributeNames=["All"])
    assert moved["MessageId"] != sent["MessageId"]
    assert int(moved["Attributes"]["SentTimestamp"]) >= int(first["Attributes"]["SentTimestamp"]) + 100000
    assert moved["MessageAttributes"] == attribute and moved["Body"] == "a"
    assert "DeadLetterQueueSourceArn" not in moved["Attributes"]


def test_messages_of_a_fifo_queue_go_back_too(sqs, with_dead_letters, offered_clock):  # §8
    source, dead = with_dead_letters(fifo=True)
    dead_letters(source, dead, ["a", "b"])
    sqs.start_message_move_task(SourceArn=dead.arn)
    assert finished(sqs, dead.arn, offered_clock)["Status"] == "COMPLETED"
    assert sorted(source.bodies()) == ["a", "b"]


def test_a_task_of_an_empty_queue_completes(sqs, with_dead_letters, offered_clock):  # §8
    _, dead = with_dead_letters()
    sqs.start_message_move_task(SourceArn=dead.arn)
    task = finished(sqs, dead.arn, offered_clock)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 0)


@pytest.fixture
def running(clock, sqs, with_dead_letters):
    """(source, dead-letter queue, handle) of a task that moves a message a second and has many to move."""
    source, dead = with_dead_letters()
    dead_letters(source, dead, [str(n) for n in range(30)])
    handle = sqs.start_message_move_task(SourceArn=dead.arn, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    return source, dead, handle


def test_a_running_task_is_listed_with_its_handle_and_rate(running, sqs):  # §8
    source, dead, handle = running
    (task,) = listed(sqs, dead.arn)
    assert task["Status"] == "RUNNING"
    assert task["TaskHandle"] == handle
    assert task["SourceArn"] == dead.arn
    assert task["MaxNumberOfMessagesPerSecond"] == 1
    assert task["ApproximateNumberOfMessagesToMove"] == 30
    assert isinstance(task["StartedTimestamp"], int) and task["StartedTimestamp"] > 10**12


def test_a_task_keeps_its_rate(clock, running, sqs):  # §8
    source, dead, _ = running
    for _ in range(10):
        clock.advance(1)
    moved = listed(sqs, dead.arn)[0]["ApproximateNumberOfMessagesMoved"]
    assert 8 <= moved <= 13
    assert source.counts()[0] == moved


def test_a_task_runs_to_its_end(clock, running, sqs):  # §8
    source, dead, _ = running
    for _ in range(40):
        clock.advance(1)
    task = listed(sqs, dead.arn)[0]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 30)
    assert source.counts()[0] == 30 and dead.counts() == (0, 0, 0)


def test_only_one_task_of_a_source_runs_at_a_time(running, sqs):  # §8
    _, dead, _ = running
    text = "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
    with refused("InvalidParameterValue", 400, text):
        sqs.start_message_move_task(SourceArn=dead.arn)


def test_a_cancelled_task_stops_and_leaves_the_rest(clock, running, sqs):  # §8
    source, dead, handle = running
    for _ in range(5):
        clock.advance(1)
    answer = sqs.cancel_message_move_task(TaskHandle=handle)
    task = finished(sqs, dead.arn, clock)
    assert task["Status"] == "CANCELLED"
    moved = source.counts()[0]
    assert 1 <= moved < 30 and answer["ApproximateNumberOfMessagesMoved"] <= moved
    assert dead.counts()[0] == 30 - moved
    for _ in range(5):
        clock.advance(1)
    assert source.counts()[0] == moved


def test_a_finished_task_has_no_handle(sqs, with_dead_letters, offered_clock):  # §2, §8
    _, dead = with_dead_letters()
    sqs.start_message_move_task(SourceArn=dead.arn)
    task = finished(sqs, dead.arn, offered_clock)
    assert "TaskHandle" not in task
    assert "MaxNumberOfMessagesPerSecond" not in task


def test_a_task_fails_when_its_destination_vanishes(clock, running, sqs):  # §8
    source, dead, _ = running
    source.delete_queue()
    clock.advance(2)
    task = finished(sqs, dead.arn, clock)
    assert task["Status"] == "FAILED"
    assert task["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_message_that_came_from_no_queue_cannot_go_back(sqs, with_dead_letters, create, offered_clock):
    # AWS's guide, "Troubleshoot Amazon SQS dead-letter queue and DLQ redrive issues"
    _, dead = with_dead_letters()
    dead.send("sent by hand")
    sqs.start_message_move_task(SourceArn=dead.arn)
    task = finished(sqs, dead.arn, offered_clock)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    elsewhere = create()
    sqs.start_message_move_task(SourceArn=dead.arn, DestinationArn=elsewhere.arn)
    assert finished(sqs, dead.arn, offered_clock)["Status"] == "COMPLETED"
    assert elsewhere.bodies() == ["sent by hand"]


def test_tasks_are_listed_newest_first_and_one_by_default(clock, sqs, with_dead_letters):  # §2
    source, dead = with_dead_letters()
    for body in ("first", "second", "third"):
        dead_letters(source, dead, [body, body + "!"] if body == "third" else [body])
        sqs.start_message_move_task(SourceArn=dead.arn)
        finished(sqs, dead.arn, clock)
        clock.advance(1)
        for message in source.receive(10):
            source.delete(message)
    tasks = listed(sqs, dead.arn)
    assert [task["ApproximateNumberOfMessagesToMove"] for task in tasks] == [2, 1, 1]
    times = [task["StartedTimestamp"] for task in tasks]
    assert times == sorted(times, reverse=True)
    assert len(sqs.list_message_move_tasks(SourceArn=dead.arn)["Results"]) == 1


def test_a_handle_is_base64_of_json_with_task_and_source(running):  # §8
    _, dead, handle = running
    decoded = json.loads(base64.b64decode(handle + "=" * (-len(handle) % 4)))
    assert decoded["sourceArn"] == dead.arn and decoded["taskId"]


def test_a_source_must_be_a_dead_letter_queue(sqs, queue):  # §8
    with refused("InvalidParameterValue", 400, "Source queue must be configured as a Dead Letter Queue."):
        sqs.start_message_move_task(SourceArn=queue.arn)


def test_an_unknown_source_is_refused(sqs):  # §8
    text = "The resource that you specified for the SourceArn parameter doesn't exist."
    with refused("ResourceNotFoundException", 404, text):
        sqs.start_message_move_task(SourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue")


def test_an_unknown_destination_is_refused(sqs, with_dead_letters):  # §8
    _, dead = with_dead_letters()
    text = "The resource that you specified for the DestinationArn parameter doesn't exist."
    with refused("ResourceNotFoundException", 404, text):
        sqs.start_message_move_task(SourceArn=dead.arn, DestinationArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue")


def test_a_malformed_source_is_refused(sqs):  # §8
    with refused("InvalidParameterValue", 400, FORMAT):
        sqs.start_message_move_task(SourceArn="not-an-arn")


@pytest.mark.parametrize("rate", [0, 501])
def test_the_rate_of_a_task_has_a_range(sqs, with_dead_letters, rate):  # §8
    _, dead = with_dead_letters()
    with refused("InvalidParameterValue", 400):
        sqs.start_message_move_task(SourceArn=dead.arn, MaxNumberOfMessagesPerSecond=rate)


@pytest.mark.parametrize("number", [0, 11])
def test_the_number_of_listed_tasks_has_a_range(sqs, with_dead_letters, number):  # §2
    _, dead = with_dead_letters()
    with refused("InvalidParameterValue", 400):
        sqs.list_message_move_tasks(SourceArn=dead.arn, MaxResults=number)


def test_listing_the_tasks_of_an_unknown_source_is_refused(sqs):  # §8
    with refused("ResourceNotFoundException", 404):
        sqs.list_message_move_tasks(SourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue")


def test_a_malformed_handle_is_refused(sqs):  # §8
    with refused("InvalidParameterValue", 400, "Value for parameter TaskHandle is invalid."):
        sqs.cancel_message_move_task(TaskHandle="garbage")


def handle_of(source_arn):
    task = {"taskId": "11111111-2222-4333-8444-555555555555", "sourceArn": source_arn}
    return base64.b64encode(json.dumps(task, separators=(",", ":")).encode()).decode()


def test_an_unknown_task_is_refused(sqs, with_dead_letters):  # §8
    _, dead = with_dead_letters()
    with refused("ResourceNotFoundException", 404, "Task does not exist."):
        sqs.cancel_message_move_task(TaskHandle=handle_of(dead.arn))


def test_a_task_of_an_unknown_source_is_refused(sqs):  # §8
    with refused("ResourceNotFoundException", 404):
        sqs.cancel_message_move_task(TaskHandle=handle_of(f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue"))
