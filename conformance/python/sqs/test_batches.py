"""The three batch operations: what fails an entry and what fails the whole request."""

import hashlib

import pytest

from sqs.support import refused

PREFIX = "AWS.SimpleQueueService."


def entries(count, **more):
    return [{"Id": f"e{n}", "MessageBody": f"body {n}", **more} for n in range(count)]


def test_a_batch_of_ten_is_sent_and_answered_entry_by_entry(queue):  # §2
    answer = queue.send_message_batch(Entries=entries(10))
    assert not answer.get("Failed")
    by_id = {entry["Id"]: entry for entry in answer["Successful"]}
    assert len(by_id) == 10
    for n in range(10):
        assert by_id[f"e{n}"]["MD5OfMessageBody"] == hashlib.md5(f"body {n}".encode()).hexdigest()
    received = queue.receive(10)
    assert {m["MessageId"] for m in received} == {entry["MessageId"] for entry in answer["Successful"]}


def test_a_batch_carries_attributes_and_delays_of_each_entry(queue):  # §10
    attribute = {"n": {"DataType": "Number", "StringValue": "19.12"}}
    plain = {"Id": "plain", "MessageBody": "now", "MessageAttributes": attribute}
    late = {"Id": "late", "MessageBody": "later", "DelaySeconds": 60}
    answer = queue.send_message_batch(Entries=[plain, late])
    digests = {entry["Id"]: entry.get("MD5OfMessageAttributes") for entry in answer["Successful"]}
    assert digests["plain"] and digests["late"] is None
    assert queue.counts() == (1, 0, 1)
    message = queue.one(MessageAttributeNames=["All"])
    assert message["Body"] == "now" and message["MessageAttributes"] == attribute


OPERATIONS = {
    "send_message_batch": ("SendMessageBatchRequestEntry", lambda n, id: {"Id": id, "MessageBody": "x"}),
    "delete_message_batch": ("DeleteMessageBatchRequestEntry", lambda n, id: {"Id": id, "ReceiptHandle": "h"}),
    "change_message_visibility_batch": (
        "ChangeMessageVisibilityBatchRequestEntry",
        lambda n, id: {"Id": id, "ReceiptHandle": "h", "VisibilityTimeout": 1},
    ),
}


@pytest.fixture(params=OPERATIONS)
def batch(request, queue):
    """(the call, how an entry with some Id looks, what AWS calls an entry)"""
    kind, entry = OPERATIONS[request.param]
    return getattr(queue, request.param), entry, kind


def test_a_batch_without_entries_is_refused(batch):  # §10
    call, _, kind = batch
    with refused(PREFIX + "EmptyBatchRequest", 400, f"There should be at least one {kind} in the request."):
        call(Entries=[])


def test_a_batch_of_more_than_ten_is_refused(batch):  # §10, §11
    call, entry, _ = batch
    text = "Maximum number of entries per request are 10. You have sent 20."
    with refused(PREFIX + "TooManyEntriesInBatchRequest", 400, text):
        call(Entries=[entry(n, f"e{n}") for n in range(20)])


@pytest.mark.parametrize("id", ["", "a b", "a.b", "ä", "x" * 81])
def test_a_batch_entry_id_of_wrong_form_is_refused(batch, id):  # §4, §11
    call, entry, _ = batch
    text = (
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
        "It can be at most 80 letters long."
    )
    with refused(PREFIX + "InvalidBatchEntryId", 400, text):
        call(Entries=[entry(0, id)])


def test_batch_entry_ids_must_differ(batch):  # §11
    call, entry, _ = batch
    with refused(PREFIX + "BatchEntryIdsNotDistinct", 400, "Id same repeated."):
        call(Entries=[entry(0, "same"), entry(1, "same")])


def test_too_many_entries_come_before_repeated_ids(batch):  # §10, order of checks
    call, entry, _ = batch
    with refused(PREFIX + "TooManyEntriesInBatchRequest", 400):
        call(Entries=[entry(n, "same") for n in range(11)])


def test_a_wrong_id_comes_before_repeated_ids(batch):  # §10, order of checks
    call, entry, _ = batch
    with refused(PREFIX + "InvalidBatchEntryId", 400):
        call(Entries=[entry(0, "a b"), entry(1, "a b")])


def test_repeated_ids_come_before_the_size_of_the_batch(queue):  # §10, order of checks
    with refused(PREFIX + "BatchEntryIdsNotDistinct", 400):
        queue.send_message_batch(Entries=[{"Id": "a", "MessageBody": "x" * 600000}] * 2)


def test_a_batch_over_one_mebibyte_is_refused_whole(queue):  # §10, §11
    wanted = [{"Id": id, "MessageBody": "x" * 524289} for id in "ab"]
    text = "Batch requests cannot be longer than 1048576 bytes. You have sent 1048578 bytes."
    with refused(PREFIX + "BatchRequestTooLong", 400, text):
        queue.send_message_batch(Entries=wanted)
    assert queue.counts() == (0, 0, 0)


def test_attributes_count_in_the_size_of_a_batch(queue):  # §10
    attribute = {"name": {"DataType": "String", "StringValue": "value"}}  # 4 + 6 + 5 bytes
    wanted = [{"Id": id, "MessageBody": "x" * 524288} for id in "ab"]
    queue.send_message_batch(Entries=wanted)
    wanted[0]["MessageAttributes"] = attribute
    text = "Batch requests cannot be longer than 1048576 bytes. You have sent 1048591 bytes."
    with refused(PREFIX + "BatchRequestTooLong", 400, text):
        queue.send_message_batch(Entries=wanted)


def test_the_size_of_a_batch_has_nothing_to_do_with_the_queues_limit(create):  # §10, §16.6
    queue = create(MaximumMessageSize=1024)
    answer = queue.send_message_batch(Entries=[{"Id": f"e{n}", "MessageBody": "x" * 1024} for n in range(5)])
    assert len(answer["Successful"]) == 5


def test_an_entry_over_the_queues_limit_fails_alone(create):  # §10
    queue = create(MaximumMessageSize=1024)
    answer = queue.send_message_batch(
        Entries=[{"Id": "small", "MessageBody": "x"}, {"Id": "large", "MessageBody": "x" * 1025}]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["small"]
    assert answer["Failed"] == [
        {
            "Id": "large",
            "Code": "InvalidParameterValue",
            "Message": "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes.",
            "SenderFault": True,
        }
    ]


def test_an_entry_with_forbidden_characters_fails_alone(queue):  # §10
    answer = queue.send_message_batch(
        Entries=[{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "x\x01"}]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidMessageContents", True)
    assert queue.bodies() == ["x"]


def test_an_entry_with_a_wrong_delay_fails_alone(queue):  # §10
    answer = queue.send_message_batch(
        Entries=[{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "y", "DelaySeconds": 901}]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [entry["Code"] for entry in answer["Failed"]] == ["InvalidParameterValue"]


def test_a_batch_whose_entries_all_fail_is_still_answered_with_success(queue):  # §2
    answer = queue.send_message_batch(Entries=[{"Id": "a", "MessageBody": "\x01"}])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert len(answer["Failed"]) == 1 and not answer.get("Successful")


def test_a_batch_keeps_the_order_of_a_fifo_group(fifo):  # §7
    fifo.send_message_batch(Entries=entries(10, MessageGroupId="g"))
    assert fifo.bodies() == [f"body {n}" for n in range(10)]


def test_sequence_numbers_rise_through_a_fifo_batch(fifo):  # §5
    answer = fifo.send_message_batch(Entries=entries(10, MessageGroupId="g"))
    by_id = {entry["Id"]: int(entry["SequenceNumber"]) for entry in answer["Successful"]}
    numbers = [by_id[f"e{n}"] for n in range(10)]
    assert numbers == sorted(set(numbers))


def test_a_fifo_entry_without_a_group_fails_the_whole_batch(fifo):  # §10
    with refused("InvalidParameterValue", 400, "The request must contain the parameter MessageGroupId."):
        fifo.send_message_batch(
            Entries=[{"Id": "a", "MessageBody": "x", "MessageGroupId": "g"}, {"Id": "b", "MessageBody": "y"}]
        )
    assert fifo.counts() == (0, 0, 0)


def test_a_fifo_entry_without_a_deduplication_id_fails_the_whole_batch(create):  # §10
    queue = create(fifo=True)
    text = (
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )
    with refused("InvalidParameterValue", 400, text):
        queue.send_message_batch(
            Entries=[
                {"Id": "a", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"},
                {"Id": "b", "MessageBody": "y", "MessageGroupId": "g"},
            ]
        )
    assert queue.counts() == (0, 0, 0)


def test_duplicates_within_a_batch_are_dropped(fifo):  # §7
    answer = fifo.send_message_batch(Entries=[{"Id": id, "MessageBody": "same", "MessageGroupId": "g"} for id in "ab"])
    assert len(answer["Successful"]) == 2
    assert len({entry["MessageId"] for entry in answer["Successful"]}) == 1
    assert fifo.bodies() == ["same"]


def test_a_batch_deletes_messages(clock, queue):  # §2
    queue.send_message_batch(Entries=entries(10))
    messages = queue.receive(10)
    answer = queue.delete_message_batch(
        Entries=[{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
    )
    assert len(answer["Successful"]) == 10 and not answer.get("Failed")
    clock.advance(31)
    assert queue.counts() == (0, 0, 0)


def test_a_malformed_handle_fails_its_entry_alone(queue):  # §10
    queue.send()
    message = queue.one()
    answer = queue.delete_message_batch(
        Entries=[
            {"Id": "good", "ReceiptHandle": message["ReceiptHandle"]},
            {"Id": "bad", "ReceiptHandle": "garbage"},
        ]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    (failed,) = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "ReceiptHandleIsInvalid", True)


def test_an_expired_fifo_handle_fails_its_entry_alone(clock, fifo):  # §6
    fifo.send(MessageGroupId="g")
    message = fifo.one()
    clock.advance(31)
    answer = fifo.delete_message_batch(Entries=[{"Id": "a", "ReceiptHandle": message["ReceiptHandle"]}])
    (failed,) = answer["Failed"]
    assert (failed["Code"], failed["Message"].rstrip(".")) == (
        "ReceiptHandleIsInvalid",
        "The receipt handle has expired",
    )
