"""Queue attributes: defaults, ranges, what may be set when, and what is shown."""

import json

import pytest

from sqs.conftest import ACCOUNT, REGION
from sqs.support import refused, unique

STANDARD = {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "DelaySeconds",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
}
FIFO = {"ContentBasedDeduplication", "DeduplicationScope", "FifoQueue", "FifoThroughputLimit"}
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
    "ApproximateNumberOfMessages": "0",
    "ApproximateNumberOfMessagesDelayed": "0",
    "ApproximateNumberOfMessagesNotVisible": "0",
}


def test_a_fresh_standard_queue_shows_twelve_attributes(queue):  # §3
    assert set(queue.attributes()) == STANDARD


def test_a_fresh_standard_queue_has_the_documented_defaults(queue):  # §3
    found = queue.attributes()
    assert {name: found[name] for name in DEFAULTS} == DEFAULTS


def test_a_fresh_fifo_queue_shows_four_attributes_more(create):  # §3
    assert set(create(fifo=True).attributes()) == STANDARD | FIFO


def test_a_fresh_fifo_queue_has_the_documented_defaults(create):  # §3
    found = create(fifo=True).attributes()
    assert {name: found[name] for name in FIFO} == {
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoQueue": "true",
        "FifoThroughputLimit": "perQueue",
    }


def test_a_queue_arn_has_region_account_and_name(queue):  # §1
    assert queue.attribute("QueueArn") == f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue.name}"


def test_no_attribute_names_give_no_attributes(queue):  # §2
    assert not queue.get_queue_attributes().get("Attributes")


def test_only_the_named_attributes_are_returned(queue):  # §2
    assert queue.attributes("QueueArn", "DelaySeconds") == {"QueueArn": queue.arn, "DelaySeconds": "0"}


def test_a_named_attribute_that_is_not_set_is_left_out(queue):  # §3
    assert queue.attributes("Policy", "RedrivePolicy", "FifoQueue") == {}


def test_an_unknown_attribute_name_is_refused_on_reading(queue):  # §11
    with refused("InvalidAttributeName", 400, "Unknown Attribute Colour."):
        queue.attributes("Colour")


def test_an_unknown_attribute_name_is_refused_on_writing(queue):  # §11
    with refused("InvalidAttributeName", 400, "Unknown Attribute Colour."):
        queue.set(Colour="red")


def test_an_unknown_attribute_name_is_refused_on_creation(sqs):  # §11
    with refused("InvalidAttributeName", 400, "Unknown Attribute Colour."):
        sqs.create_queue(QueueName=unique(), Attributes={"Colour": "red"})


def test_timestamps_are_whole_seconds(queue):  # §3
    found = queue.attributes("CreatedTimestamp", "LastModifiedTimestamp")
    assert all(value.isdecimal() and 9 <= len(value) <= 10 for value in found.values()), found
    assert found["CreatedTimestamp"] == found["LastModifiedTimestamp"]


def test_a_change_moves_the_time_of_last_modification(clock, queue):  # §3
    before = queue.attributes("CreatedTimestamp", "LastModifiedTimestamp")
    clock.advance(100)
    queue.set(DelaySeconds=1)
    after = queue.attributes("CreatedTimestamp", "LastModifiedTimestamp")
    assert after["CreatedTimestamp"] == before["CreatedTimestamp"]
    assert 100 <= int(after["LastModifiedTimestamp"]) - int(before["LastModifiedTimestamp"]) <= 130


RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1048576),
    "MessageRetentionPeriod": (60, 1209600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43200),
    "KmsDataKeyReusePeriodSeconds": (60, 86400),
}
EDGES = [(name, edge) for name, edges in RANGES.items() for edge in edges]
BEYOND = [(name, value) for name, (low, high) in RANGES.items() for value in (low - 1, high + 1, "many", "")]


@pytest.mark.parametrize("name, value", EDGES)
def test_the_ends_of_an_attributes_range_are_accepted(queue, name, value):  # §3
    queue.set(**{name: value})
    assert queue.attribute(name) == str(value)


@pytest.mark.parametrize("name, value", BEYOND)
def test_a_value_out_of_an_attributes_range_is_refused(queue, name, value):  # §3, §11
    with refused("InvalidAttributeValue", 400, f"Invalid value for the parameter {name}."):
        queue.set(**{name: value})


@pytest.mark.parametrize("name, value", [(name, high + 1) for name, (_, high) in RANGES.items()])
def test_a_value_out_of_an_attributes_range_is_refused_on_creation(sqs, name, value):  # §3, §11
    queue_name = unique()
    with refused("InvalidAttributeValue", 400, f"Invalid value for the parameter {name}."):
        sqs.create_queue(QueueName=queue_name, Attributes={name: str(value)})
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=queue_name)


def test_one_wrong_attribute_leaves_all_as_they_were(queue):
    with refused("InvalidAttributeValue", 400):
        queue.set(DelaySeconds=5, VisibilityTimeout=50000)
    assert queue.attributes("DelaySeconds", "VisibilityTimeout") == {"DelaySeconds": "0", "VisibilityTimeout": "30"}


@pytest.mark.parametrize("name", ["QueueArn", "CreatedTimestamp", "ApproximateNumberOfMessages"])
def test_read_only_attributes_cannot_be_set(queue, name):  # §3
    with pytest.raises(queue.sqs.exceptions.ClientError) as caught:
        queue.set(**{name: "1"})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_standard_queue_does_not_know_the_attribute_fifo_queue(queue, value):  # §3: never on standard queues
    with refused("InvalidAttributeName", 400, "Unknown Attribute FifoQueue."):
        queue.set(FifoQueue=value)


def test_a_queue_is_not_created_with_fifo_queue_false(sqs):  # §3
    with refused("InvalidAttributeName", 400, "Unknown Attribute FifoQueue."):
        sqs.create_queue(QueueName=unique(), Attributes={"FifoQueue": "false"})


def test_the_type_of_a_fifo_queue_cannot_be_changed(fifo):  # §11
    text = "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
    with refused("InvalidAttributeValue", 400, text):
        fifo.set(FifoQueue="false")


@pytest.mark.parametrize("name, value", [("DeduplicationScope", "queue"), ("FifoThroughputLimit", "perQueue")])
def test_fifo_attributes_are_refused_on_a_standard_queue(queue, name, value):  # §11
    text = f"You can specify the {name} only when FifoQueue is set to true."
    with refused("InvalidAttributeName", 400, text):
        queue.set(**{name: value})


@pytest.mark.parametrize("name", ["DeduplicationScope", "FifoThroughputLimit", "ContentBasedDeduplication"])
def test_fifo_attributes_take_only_their_values(create, name):  # §3, §11
    with refused("InvalidAttributeValue", 400, f"Invalid value for the parameter {name}..."):
        create(fifo=True).set(**{name: "sometimes"})


def test_per_group_throughput_needs_the_per_group_scope(create):  # §3
    with pytest.raises(create().sqs.exceptions.ClientError) as caught:
        create(fifo=True, FifoThroughputLimit="perMessageGroupId")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_high_throughput_can_be_switched_on_and_off(create):  # §3
    queue = create(fifo=True)
    for scope, limit in [("messageGroup", "perMessageGroupId"), ("queue", "perQueue")]:
        queue.set(DeduplicationScope=scope, FifoThroughputLimit=limit)
        shown = queue.attributes("DeduplicationScope", "FifoThroughputLimit")
        assert shown == {"DeduplicationScope": scope, "FifoThroughputLimit": limit}


def test_the_per_group_scope_works_without_the_per_group_throughput(create):  # §3
    queue = create(fifo=True, DeduplicationScope="messageGroup")
    for group in "ab":
        queue.send(MessageGroupId=group, MessageDeduplicationId="same")
    assert len(queue.receive(10)) == 2


def test_a_policy_is_kept_and_an_empty_one_removes_it(queue):  # §3
    policy = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue.arn}],
        }
    )
    queue.set(Policy=policy)
    assert json.loads(queue.attribute("Policy")) == json.loads(policy)
    queue.set(Policy="")
    assert queue.attribute("Policy") is None


def test_a_policy_that_is_not_json_is_refused(queue):  # §11
    with refused("InvalidAttributeValue", 400, "Invalid value for the parameter Policy..."):
        queue.set(Policy="allow everything")


def test_counts_follow_messages_through_their_states(create):  # §3
    queue = create()
    queue.send("a")
    queue.send("b")
    queue.send("c", DelaySeconds=60)
    assert queue.counts() == (2, 0, 1)
    message = queue.one()
    assert queue.counts() == (1, 1, 1)
    queue.delete(message)
    assert queue.counts() == (1, 0, 1)


def test_attributes_given_on_creation_are_shown(create):  # §3
    wanted = {
        "DelaySeconds": "1",
        "MaximumMessageSize": "2048",
        "MessageRetentionPeriod": "61",
        "ReceiveMessageWaitTimeSeconds": "2",
        "VisibilityTimeout": "3",
    }
    assert create(**wanted).attributes(*wanted) == wanted


def test_a_lowered_retention_applies_to_messages_that_wait_already(clock, create):  # §2
    queue = create()
    queue.send("old")
    clock.advance(120)
    queue.set(MessageRetentionPeriod=60)
    assert queue.bodies() == []


def test_a_changed_visibility_timeout_holds_for_the_next_receive(clock, create):  # §3
    queue = create()
    queue.send()
    queue.set(VisibilityTimeout=5)
    queue.one()
    clock.advance(6)
    queue.one()
