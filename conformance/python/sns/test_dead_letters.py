"""Dead-letter queues of subscriptions: what could not be delivered, as it would have been delivered."""

import json

from sns.signatures import verify
from sns.support import ACCOUNT, string
from sqs.support import refused


def redrive(dead):
    return {"deadLetterTargetArn": dead.arn}


def test_what_a_deleted_queue_should_have_got_is_a_dead_letter(topic, queue, create_queue):  # §9
    dead = create_queue("dead")
    topic.subscribe_queue(queue, RedrivePolicy=redrive(dead))
    queue.delete_queue()
    sent = topic.publish("lost?", Subject="s", MessageAttributes={"a": string("x")})
    got = dead.one(MessageAttributeNames=["All"])
    body = json.loads(got["Body"])
    assert body["Type"] == "Notification" and body["MessageId"] == sent["MessageId"]
    assert body["Message"] == "lost?" and body["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}
    verify(body)
    assert "MessageAttributes" not in got  # no reason is told, unlike by Lambda


def test_a_raw_dead_letter_is_raw(topic, queue, create_queue):  # §9
    dead = create_queue("dead")
    topic.subscribe_queue(queue, RedrivePolicy=redrive(dead), RawMessageDelivery=True)
    queue.delete_queue()
    topic.publish("lost?", MessageAttributes={"a": string("x")})
    got = dead.one(MessageAttributeNames=["All"])
    assert got["Body"] == "lost?"
    assert got["MessageAttributes"] == {"a": string("x")}


def test_a_dead_letter_for_one_subscription_is_none_for_another(topic, queue, create_queue):  # §9
    dead, other = create_queue("dead"), create_queue("other")
    topic.subscribe_queue(queue, RedrivePolicy=redrive(dead))
    topic.subscribe_queue(other)
    queue.delete_queue()
    topic.publish()
    assert len(other.receive()) == 1 and len(dead.receive(10)) == 1


def test_without_a_dead_letter_queue_it_is_dropped(topic, queue):  # §9
    topic.subscribe_queue(queue)
    queue.delete_queue()
    assert topic.publish()["MessageId"]


def test_a_dead_letter_queue_that_is_gone_hinders_nothing(topic, queue, create_queue):  # §9
    dead = create_queue("dead")
    topic.subscribe_queue(queue, RedrivePolicy=redrive(dead))
    queue.delete_queue()
    dead.delete_queue()
    assert topic.publish()["MessageId"]


def test_a_filtered_message_is_no_dead_letter(topic, queue, create_queue):  # §9
    dead = create_queue("dead")
    topic.subscribe_queue(queue, RedrivePolicy=redrive(dead), FilterPolicy={"a": ["x"]})
    queue.delete_queue()
    topic.publish()
    assert dead.receive() == []


def test_dead_letters_of_a_fifo_topic_keep_group_and_id(fifo, fifo_queue, create_queue):  # §9, §10
    dead = create_queue("dead", fifo=True)
    fifo.subscribe_queue(fifo_queue, RedrivePolicy=redrive(dead), RawMessageDelivery=True)
    fifo_queue.delete_queue()
    for n in range(3):
        fifo.publish(f"lost {n}", MessageGroupId="g", MessageDeduplicationId=f"d{n}")
    got = dead.receive(10)
    assert [one["Body"] for one in got] == ["lost 0", "lost 1", "lost 2"]
    assert [one["Attributes"]["MessageGroupId"] for one in got] == ["g"] * 3
    assert [one["Attributes"]["MessageDeduplicationId"] for one in got] == ["d0", "d1", "d2"]


def test_a_redrive_policy_has_a_target_alone(topic, queue, create_queue):  # §9
    with refused("InvalidParameter", 400):
        topic.subscribe_queue(queue, RedrivePolicy={"maxReceiveCount": 3})


def test_a_dead_letter_queue_is_of_the_same_account_and_region(topic, queue):  # §9
    for arn in (f"arn:aws:sqs:eu-central-1:{ACCOUNT}:dead", "arn:aws:sqs:us-east-1:111122223333:dead"):
        with refused("InvalidParameter", 400):
            topic.subscribe_queue(queue, RedrivePolicy={"deadLetterTargetArn": arn})
