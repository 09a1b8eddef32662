"""Dead-letter queues: redrive policies, who may use a queue as one, and when messages move."""

import json

import pytest

from sqs.conftest import ACCOUNT, REGION
from sqs.support import redrive_to, refused


def fail(source, times=1):
    """Receives the next message so many times without deleting it."""
    for _ in range(times):
        message = source.one(VisibilityTimeout=0)
    return message


@pytest.mark.parametrize("receives", [1, 3])
def test_a_message_is_delivered_as_often_as_the_policy_says_and_then_moves(with_dead_letters, receives):  # §8
    source, dead = with_dead_letters(receives)
    source.send("poison")
    fail(source, receives)
    assert dead.counts() == (0, 0, 0)
    assert source.bodies() == []
    assert dead.bodies() == ["poison"]
    assert source.counts() == (0, 0, 0)


def test_the_move_happens_at_the_next_receive_not_before(clock, with_dead_letters):  # §8
    source, dead = with_dead_letters(1)
    source.send("poison")
    source.one()
    clock.advance(31)
    assert dead.bodies() == []
    assert source.bodies() == []
    assert dead.bodies() == ["poison"]


def test_a_receive_goes_on_past_the_messages_that_it_moves(with_dead_letters):  # §8
    source, dead = with_dead_letters(1)
    source.send("poison")
    fail(source)
    source.send("good")
    # The first message is moved; whether the same receive already returns the second is not recorded.
    assert "good" in source.bodies() + source.bodies()
    assert dead.bodies() == ["poison"]


def test_a_deleted_message_does_not_move(with_dead_letters):  # §8
    source, dead = with_dead_letters(1)
    source.send("done")
    source.delete(fail(source))
    assert source.bodies() == [] and dead.bodies() == []


def test_a_moved_message_keeps_its_identity_and_contents(with_dead_letters):  # §5, §8
    source, dead = with_dead_letters(1)
    attribute = {"Hello": {"DataType": "String", "StringValue": "There"}}
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    sent = source.send(
        "poison",
        MessageAttributes=attribute,
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": trace}},
    )
    before = fail(source)
    source.receive()
    moved = dead.one(MessageAttributeNames=["All"])
    assert moved["MessageId"] == sent["MessageId"]
    assert moved["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert moved["MessageAttributes"] == attribute
    assert moved["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert moved["Attributes"]["AWSTraceHeader"] == trace
    assert moved["Attributes"]["SentTimestamp"] == before["Attributes"]["SentTimestamp"]
    assert moved["Attributes"]["DeadLetterQueueSourceArn"] == source.arn


def test_receive_counts_go_on_across_the_move(with_dead_letters):  # §6
    source, dead = with_dead_letters(1)
    source.send("poison")
    fail(source)
    source.receive()
    assert dead.one()["Attributes"]["ApproximateReceiveCount"] == "2"


def test_a_message_in_no_dead_letter_queue_names_no_source(with_dead_letters):  # §6
    source, _ = with_dead_letters(5)
    source.send()
    assert "DeadLetterQueueSourceArn" not in source.one()["Attributes"]


def test_a_moved_message_keeps_its_time_of_sending_for_retention(clock, with_dead_letters, create):  # §8
    source, dead = with_dead_letters(1)
    dead.set(MessageRetentionPeriod=100)
    source.send("poison")
    fail(source)
    clock.advance(60)
    source.receive()
    clock.advance(50)
    assert dead.bodies() == []


def test_a_moved_fifo_message_is_kept_from_the_time_of_the_move(clock, with_dead_letters):  # §8
    source, dead = with_dead_letters(1, fifo=True)
    dead.set(MessageRetentionPeriod=100)
    source.send("poison", MessageGroupId="g")
    fail(source)
    clock.advance(60)
    source.receive()
    clock.advance(50)
    assert dead.bodies() == ["poison"]


def test_a_failed_fifo_message_moves_and_frees_its_group(with_dead_letters):  # §7, §8
    source, dead = with_dead_letters(1, fifo=True)
    for body in "ab":
        source.send(body, MessageGroupId="g")
    fail(source)
    assert "b" in source.bodies() + source.bodies()
    (moved,) = dead.receive(10)
    assert moved["Body"] == "a" and moved["Attributes"]["MessageGroupId"] == "g"


def test_a_moved_fifo_message_has_its_id_for_deduplication(with_dead_letters):  # §7
    source, dead = with_dead_letters(1, fifo=True)
    sent = source.send("poison", MessageGroupId="g", MessageDeduplicationId="d")
    fail(source)
    source.receive()
    assert dead.one()["Attributes"]["MessageDeduplicationId"] == sent["MessageId"]


def test_a_dead_letter_queue_may_have_one_itself(create):  # §8
    last = create("last")
    middle = create("middle", RedrivePolicy=redrive_to(last, 2))
    first = create("first", RedrivePolicy=redrive_to(middle, 3))
    first.send("poison")
    fail(first, 3)
    first.receive()
    assert middle.counts()[0] == 1
    # Its receives in the first queue show in its count, but do not count against the policy of the second.
    for count in ("4", "5"):
        assert middle.one(VisibilityTimeout=0)["Attributes"]["ApproximateReceiveCount"] == count
    assert middle.receive() == []
    assert last.bodies() == ["poison"]


@pytest.mark.parametrize("receives", [7, "7"])
def test_a_redrive_policy_is_shown_with_its_count_as_a_number(create, receives):  # §3
    dead = create("dead")
    source = create("source", RedrivePolicy=redrive_to(dead, receives))
    assert source.attribute("RedrivePolicy") == f'{{"deadLetterTargetArn":"{dead.arn}","maxReceiveCount":7}}'


def test_the_receive_count_of_a_policy_may_be_a_string(create):  # §3
    dead = create("dead")
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": "2"})
    source = create("source", RedrivePolicy=policy)
    source.send("poison")
    fail(source, 2)
    assert source.bodies() == []
    assert dead.bodies() == ["poison"]


def test_an_empty_redrive_policy_removes_it(create):  # §3
    dead = create("dead")
    source = create("source", RedrivePolicy=redrive_to(dead))
    source.set(RedrivePolicy="")
    assert source.attribute("RedrivePolicy") is None
    source.send()
    fail(source, 5)
    assert dead.counts() == (0, 0, 0)


def test_a_policy_set_later_applies_to_messages_that_wait_already(create):  # §8
    dead, source = create("dead"), create("source")
    source.send("poison")
    fail(source, 2)
    source.set(RedrivePolicy=redrive_to(dead, 1))
    assert source.bodies() == []
    assert dead.bodies() == ["poison"]


@pytest.mark.parametrize("count", [0, 1001, -1])
def test_the_receive_count_of_a_policy_has_a_range(create, count):  # §8
    policy = redrive_to(create("dead"), count)
    text = (
        f"Value {policy} for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: "
        f"{count}, valid values are from 1 to 1000 both inclusive."
    )
    with refused("InvalidParameterValue", 400, text):
        create("source", RedrivePolicy=policy)


@pytest.mark.parametrize("count", [1, 1000])
def test_the_ends_of_the_range_of_receive_counts_are_accepted(create, count):  # §3
    create("source", RedrivePolicy=redrive_to(create("dead"), count))


def test_a_policy_without_a_receive_count_is_refused(create):  # §3, §8 (text not verified)
    policy = json.dumps({"deadLetterTargetArn": create("dead").arn})
    with refused("InvalidParameterValue", 400):
        create("source", RedrivePolicy=policy)


def test_a_policy_without_a_target_is_refused(create):  # §8 (text not verified)
    with refused("InvalidParameterValue", 400):
        create("source", RedrivePolicy=json.dumps({"maxReceiveCount": 3}))


@pytest.mark.parametrize("policy", ["no json", "[]", "{", '"x"'])
def test_a_policy_that_is_no_json_object_is_refused(queue, policy):  # §3
    with pytest.raises(queue.sqs.exceptions.ClientError) as caught:
        queue.set(RedrivePolicy=policy)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "arn", [f"arn:aws:sqs:{REGION}:{ACCOUNT}:no-such-queue", "not-an-arn", f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"]
)
def test_a_policy_with_a_target_that_does_not_exist_is_refused(create, arn):  # §8 (text not verified)
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    with refused("InvalidParameterValue", 400):
        create("source", RedrivePolicy=policy)


def test_a_dead_letter_queue_must_be_of_the_sources_type(create):  # §8
    with refused("InvalidParameterValue", 400):
        create("source", RedrivePolicy=redrive_to(create("dead", fifo=True)))
    with refused("InvalidParameterValue", 400):
        create("source", fifo=True, RedrivePolicy=redrive_to(create("dead")))


def test_messages_stay_when_their_dead_letter_queue_is_gone(with_dead_letters):  # §8
    source, dead = with_dead_letters(1)
    source.send("poison")
    dead.delete_queue()
    fail(source, 3)


# RedriveAllowPolicy ----------------------------------------------------------------------------------------------


def test_a_queue_that_denies_all_takes_no_dead_letters(create):  # §8
    dead = create("dead", RedriveAllowPolicy=json.dumps({"redrivePermission": "denyAll"}))
    with refused("InvalidParameterValue", 400):
        create("source", RedrivePolicy=redrive_to(dead))


def test_a_queue_that_allows_all_takes_dead_letters(create):  # §3
    dead = create("dead", RedriveAllowPolicy=json.dumps({"redrivePermission": "allowAll"}))
    create("source", RedrivePolicy=redrive_to(dead))


def test_a_queue_may_allow_named_sources_only(create):  # §8
    one, other = create("one"), create("other")
    allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [one.arn]}
    dead = create("dead", RedriveAllowPolicy=json.dumps(allowed))
    assert json.loads(dead.attribute("RedriveAllowPolicy")) == allowed
    one.set(RedrivePolicy=redrive_to(dead))
    with refused("InvalidParameterValue", 400):
        other.set(RedrivePolicy=redrive_to(dead))


def test_ten_sources_may_be_named_at_most(create):  # §3
    dead = create("dead")
    arns = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:source{n}" for n in range(11)]
    dead.set(RedriveAllowPolicy=json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": arns[:10]}))
    with pytest.raises(dead.sqs.exceptions.ClientError) as caught:
        dead.set(RedriveAllowPolicy=json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": arns}))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize("policy", [{"redrivePermission": "some"}, {}, {"redrivePermission": "byQueue"}])
def test_a_redrive_allow_policy_of_wrong_form_is_refused(queue, policy):  # §3
    with pytest.raises(queue.sqs.exceptions.ClientError) as caught:
        queue.set(RedriveAllowPolicy=json.dumps(policy))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


# ListDeadLetterSourceQueues --------------------------------------------------------------------------------------


def test_the_sources_of_a_dead_letter_queue_are_listed(create):  # §2, §16.14
    dead = create("dead")
    sources = sorted(create("source", RedrivePolicy=redrive_to(dead)).url for _ in range(3))
    assert sorted(dead.list_dead_letter_source_queues()["queueUrls"]) == sources


def test_a_queue_without_sources_lists_none(queue):  # §2
    assert queue.list_dead_letter_source_queues().get("queueUrls", []) == []


def test_a_deleted_source_is_no_longer_listed(create):  # §2
    dead = create("dead")
    source = create("source", RedrivePolicy=redrive_to(dead))
    source.delete_queue()
    assert dead.list_dead_letter_source_queues().get("queueUrls", []) == []


def test_sources_are_listed_in_pages(create):  # §2
    dead = create("dead")
    sources = sorted(create("source", RedrivePolicy=redrive_to(dead)).url for _ in range(3))
    first = dead.list_dead_letter_source_queues(MaxResults=2)
    second = dead.list_dead_letter_source_queues(MaxResults=2, NextToken=first["NextToken"])
    assert len(first["queueUrls"]) == 2 and "NextToken" not in second
    assert sorted(first["queueUrls"] + second["queueUrls"]) == sources
