"""PublishBatch: what it answers, and what fails the whole request."""

import json

import pytest

from sns.support import messages, string
from sqs.support import refused

KIB_256 = 262144


def entry(id, message="x", **more):
    return {"Id": id, "Message": message, **more}


def test_a_batch_is_published_entry_by_entry(topic, queue):  # §2
    topic.subscribe_queue(queue)
    answer = topic.publish_batch(*(entry(f"e{n}", f"body {n}") for n in range(10)))
    assert [one["Id"] for one in answer["Successful"]] == [f"e{n}" for n in range(10)]
    assert len({one["MessageId"] for one in answer["Successful"]}) == 10
    assert answer["Failed"] == []
    assert messages(queue) == sorted(f"body {n}" for n in range(10))


def test_entries_have_all_that_a_publish_has(topic, queue, create_queue):
    topic.subscribe_queue(queue)
    raw = create_queue("raw")
    topic.subscribe_queue(raw, RawMessageDelivery=True)
    sent = topic.publish_batch(
        entry(
            "1",
            '{"default":"d","sqs":"for queues"}',
            MessageStructure="json",
            Subject="subject",
            MessageAttributes={"a": string("v")},
            MessageGroupId="tenant",
        )
    )
    got = queue.one()
    body = json.loads(got["Body"])
    assert body["MessageId"] == sent["Successful"][0]["MessageId"]
    assert (body["Message"], body["Subject"]) == ("for queues", "subject")
    assert body["MessageAttributes"] == {"a": {"Type": "String", "Value": "v"}}
    assert got["Attributes"]["MessageGroupId"] == "tenant"
    got = raw.one(MessageAttributeNames=["All"])
    assert got["Body"] == "for queues" and got["MessageAttributes"] == {"a": string("v")}


def refuse(topic, code, text, *entries):
    with refused(code, 400, text):
        topic.publish_batch(*entries)


def test_an_empty_batch_is_refused(topic):  # §5
    refuse(topic, "EmptyBatchRequest", None)


def test_more_than_ten_entries_are_refused(topic):  # §5
    text = "The batch request contains more entries than permissible."
    refuse(topic, "TooManyEntriesInBatchRequest", text, *(entry(str(n)) for n in range(11)))


def test_ids_must_differ(topic):  # §5
    text = "Two or more batch entries in the request have the same Id."
    refuse(topic, "BatchEntryIdsNotDistinct", text, entry("a"), entry("b"), entry("a"))


@pytest.mark.parametrize("id", ["a b", "ä", "a.b", "a:b"])
def test_ids_have_letters_digits_hyphens_and_underscores(topic, id):  # §5
    text = f"The Id of a batch entry in the batch request contains an impermissible character: {id}"
    refuse(topic, "InvalidBatchEntryId", text, entry("a"), entry(id))


def test_ids_have_eighty_characters_at_most(topic):  # §5
    text = f"The Id of a batch entry in the batch request is too long: {'x' * 81}"
    refuse(topic, "InvalidBatchEntryId", text, entry("x" * 81))
    topic.publish_batch(entry("x" * 80), entry("A-b_9"))


def test_the_sum_of_all_sizes_is_limited(topic):  # §5
    half = "x" * (KIB_256 // 2)
    topic.publish_batch(entry("a", half), entry("b", half))
    text = "The length of all the messages put together is more than the limit."
    refuse(topic, "BatchRequestTooLong", text, entry("a", half), entry("b", half + "x"))
    attribute = {"a": string("v")}
    refuse(topic, "BatchRequestTooLong", text, entry("a", half), entry("b", half, MessageAttributes=attribute))


def test_a_larger_topic_takes_larger_batches(create):  # §5
    topic = create(MaximumMessageSize=1048576)
    topic.publish_batch(entry("a", "x" * 524288), entry("b", "x" * 524288))
    with refused("BatchRequestTooLong", 400):
        topic.publish_batch(entry("a", "x" * 524288), entry("b", "x" * 524289))


def test_a_missing_group_fails_the_whole_batch(fifo, fifo_queue):  # §5, §14.8
    fifo.subscribe_queue(fifo_queue)
    text = "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    refuse(fifo, "InvalidParameter", text, entry("a", MessageGroupId="g"), entry("b"))
    assert fifo_queue.receive() == []


def test_missing_deduplication_fails_the_whole_batch(create):  # §5, §14.8
    reason = "ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    text = f"Invalid parameter: The topic should either have {reason}"
    good = entry("a", MessageGroupId="g", MessageDeduplicationId="d")
    refuse(create(fifo=True), "InvalidParameter", text, good, entry("b", MessageGroupId="g"))


def test_a_structure_without_default_fails_the_whole_batch(topic, queue):  # §5
    topic.subscribe_queue(queue)
    text = "Invalid parameter: Message Structure - No default entry in JSON message body"
    refuse(topic, "InvalidParameter", text, entry("a"), entry("b", '{"sqs":"x"}', MessageStructure="json"))
    assert queue.receive() == []


def test_the_topic_must_exist(topic):
    topic.delete_topic()
    with refused("NotFound", 404, "Topic does not exist"):
        topic.publish_batch(entry("a"))


def test_entries_of_a_fifo_batch_keep_their_order(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue)
    answer = fifo.publish_batch(*(entry(str(n), f"body {n}", MessageGroupId="g") for n in range(10)))
    numbers = [int(one["SequenceNumber"]) for one in answer["Successful"]]
    assert numbers == sorted(set(numbers))
    assert [json.loads(body)["Message"] for body in fifo_queue.bodies()] == [f"body {n}" for n in range(10)]


def test_duplicates_within_a_batch_are_delivered_once(fifo, fifo_queue):  # §10
    fifo.subscribe_queue(fifo_queue, RawMessageDelivery=True)
    answer = fifo.publish_batch(*(entry(str(n), "same", MessageGroupId="g") for n in range(3)))
    assert len(answer["Successful"]) == 3
    assert fifo_queue.bodies() == ["same"]
