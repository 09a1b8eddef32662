"""What queues get of a publish: envelopes and raw messages, structures, trace headers."""

import json
import urllib.parse

import pytest

from sns.raw import call
from sns.signatures import verify
from sns.support import ACCOUNT, TIMESTAMP, binary, envelope, messages, number, string
from sqs.support import digest, refused


def test_an_envelope_has_these_keys_in_this_order(topic, queue):  # §7
    topic.subscribe_queue(queue)
    sent = topic.publish("hello")
    found = envelope(queue)
    assert list(found) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
    ]
    assert found["Type"] == "Notification"
    assert found["MessageId"] == sent["MessageId"]
    assert found["TopicArn"] == topic.arn
    assert found["Message"] == "hello"
    assert TIMESTAMP.fullmatch(found["Timestamp"])
    assert found["SignatureVersion"] == "1"


def test_subject_and_attributes_are_there_when_given(topic, queue):  # §7, §14.12
    topic.subscribe_queue(queue)
    topic.publish(
        Subject="Grüße",
        MessageAttributes={
            "text": string("ä"),
            "list": string(["a", 1], "String.Array"),
            "number": number("1.50"),
            "bytes": binary(b"\x00\xff"),
        },
    )
    found = envelope(queue)
    assert list(found) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
        "MessageAttributes",
    ]
    assert found["Subject"] == "Grüße"
    assert found["MessageAttributes"] == {
        "text": {"Type": "String", "Value": "ä"},
        "list": {"Type": "String.Array", "Value": '["a", 1]'},
        "number": {"Type": "Number", "Value": "1.50"},
        "bytes": {"Type": "Binary", "Value": "AP8="},
    }


def test_attributes_stay_inside_an_envelope(topic, queue):  # §7
    topic.subscribe_queue(queue)
    topic.publish(MessageAttributes={"a": string("x")})
    assert "MessageAttributes" not in queue.one(MessageAttributeNames=["All"])


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_envelope_is_signed(create, queue, version):  # §8
    topic = create(SignatureVersion=version)
    topic.subscribe_queue(queue)
    topic.publish('a\n"b" ä 😀 </>&', Subject="subject", MessageAttributes={"a": string("x")})
    verify(envelope(queue), version)
    topic.publish("without a subject")
    verify(envelope(queue), version)


def test_a_changed_message_has_a_wrong_signature(topic, queue):  # §8
    topic.subscribe_queue(queue)
    topic.publish("hello", Subject="s")
    found = envelope(queue)
    for key in ("Message", "Subject", "Timestamp", "MessageId", "TopicArn"):
        with pytest.raises(Exception) as caught:
            verify({**found, key: found[key] + "x"})
        assert type(caught.value).__name__ == "InvalidSignature"


def test_what_each_subscription_gets_is_signed(topic, create_queue):  # §8
    queues = [create_queue() for _ in range(3)]
    for queue in queues:
        topic.subscribe_queue(queue)
    topic.publish('{"default":"d","sqs":"for queues"}', MessageStructure="json")
    found = [envelope(queue) for queue in queues]
    for one in found:
        verify(one)
    assert len({one["MessageId"] for one in found}) == 1
    assert len({one["UnsubscribeURL"] for one in found}) == 3


def test_an_envelope_names_the_link_that_ends_its_subscription(topic, queue):  # §7
    subscription = topic.subscribe_queue(queue)
    topic.publish()
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(envelope(queue)["UnsubscribeURL"]).query)
    assert query == {"Action": ["Unsubscribe"], "SubscriptionArn": [subscription.arn]}


@pytest.mark.parametrize("text", ["Grüße 你好 😀 \U0010ffff", "\"\\/\n\r\t <&>'", "\u2028\u2029\x7f", "null"])
def test_text_of_all_kinds_arrives_as_it_was(topic, queue, create_queue, text):  # §7
    raw = create_queue("raw")
    topic.subscribe_queue(queue)
    topic.subscribe_queue(raw, RawMessageDelivery=True)
    topic.publish(text)
    found = envelope(queue)
    assert found["Message"] == text
    verify(found)
    assert raw.one()["Body"] == text


def test_raw_delivery_is_the_message_alone(topic, queue):  # §7
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    sent = topic.publish("hello", Subject="nobody sees it")
    got = queue.one(MessageAttributeNames=["All"])
    assert got["Body"] == "hello"
    assert got["MessageId"] != sent["MessageId"]
    assert "MessageAttributes" not in got


@pytest.mark.parametrize("names", [["a", "b", "c"], ["c", "a", "b"]])
def test_a_raw_message_has_the_digest_of_its_attributes_in_whatever_order_they_came(topic, queue, names):  # §7
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    values = {"a": string("x"), "b": number("1.50"), "c": binary(b"\x00\xff")}
    topic.publish(MessageAttributes={name: values[name] for name in names})
    got = queue.one(MessageAttributeNames=["All"])
    assert got["MessageAttributes"] == values
    assert got["MD5OfMessageAttributes"] == digest(values)


def test_delivery_can_be_made_raw_and_back(topic, queue):  # §7
    subscription = topic.subscribe_queue(queue)
    for raw in (True, False):
        subscription.set("RawMessageDelivery", raw)
        topic.publish("hello")
        assert (queue.one()["Body"] == "hello") is raw


def test_ten_attributes_fit_a_raw_message_and_eleven_do_not(topic, queue, create_queue):  # §5
    dead, wrapped = create_queue("dead"), create_queue("wrapped")
    topic.subscribe_queue(
        queue, RawMessageDelivery=True, RedrivePolicy={"deadLetterTargetArn": dead.arn}
    )
    topic.subscribe_queue(wrapped)
    topic.publish("ten", MessageAttributes={f"a{n}": string("x") for n in range(10)})
    topic.publish("eleven", MessageAttributes={f"a{n}": string("x") for n in range(11)})
    assert queue.bodies() == ["ten"]
    assert messages(wrapped) == ["eleven", "ten"]
    assert len(dead.receive(10)) == 1


def test_many_queues_get_one_publish(topic, create_queue):
    queues = [create_queue() for _ in range(25)]
    for queue in queues:
        topic.subscribe_queue(queue, RawMessageDelivery=True)
    topic.publish("to all")
    assert [queue.bodies() for queue in queues] == [["to all"]] * 25


def test_the_queue_of_a_message_hides_it_for_no_other(topic, queue, create_queue):
    other = create_queue("other")
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    topic.subscribe_queue(other, RawMessageDelivery=True)
    topic.publish()
    queue.delete(queue.one())
    assert len(other.receive()) == 1
    assert queue.counts() == (0, 0, 0)


def test_a_delay_of_the_queue_holds(topic, create_queue, clock):
    queue = create_queue(DelaySeconds=30)
    topic.subscribe_queue(queue)
    topic.publish()
    assert queue.receive() == []
    clock.advance(31)
    assert len(queue.receive()) == 1


def test_a_queue_that_takes_less_gets_only_what_it_takes(topic, create_queue):
    queue, dead = create_queue(MaximumMessageSize=1024), create_queue("dead")
    redrive = {"deadLetterTargetArn": dead.arn}
    topic.subscribe_queue(queue, RawMessageDelivery=True, RedrivePolicy=redrive)
    topic.publish("x" * 1024)
    topic.publish("y" * 1025)
    assert queue.bodies() == ["x" * 1024]
    assert dead.bodies() == ["y" * 1025]


def test_a_queue_that_is_deleted_hinders_no_other(topic, queue, create_queue):  # §9
    gone = create_queue("gone")
    topic.subscribe_queue(gone)
    topic.subscribe_queue(queue)
    gone.delete_queue()
    assert topic.publish()["MessageId"]
    assert len(queue.receive()) == 1


def test_a_trace_header_goes_along(endpoint, topic, queue, create_queue):  # §7
    raw = create_queue("raw")
    topic.subscribe_queue(queue)
    topic.subscribe_queue(raw, RawMessageDelivery=True)
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = call(endpoint, "Publish", {"TopicArn": topic.arn, "Message": "x"}, {"X-Amzn-Trace-Id": trace})
    assert answer.status == 200
    for one in (queue, raw):
        assert one.one()["Attributes"]["AWSTraceHeader"] == trace


# MessageStructure.


def test_each_protocol_gets_its_text(topic, queue, receiver, http_subscription, outbox):  # §7
    topic.subscribe_queue(queue)
    http_subscription(topic)
    topic.subscribe("sms", "+15005551234")
    topic.publish(
        json.dumps({"default": "for the others", "sqs": "for queues", "http": "for servers"}),
        MessageStructure="json",
    )
    assert envelope(queue)["Message"] == "for queues"
    assert receiver.next("Notification").json()["Message"] == "for servers"
    outbox.one_about("+15005551234", "for the others")


def test_a_protocol_without_a_text_gets_the_default(topic, queue):  # §7
    topic.subscribe_queue(queue)
    topic.publish('{"default":"d","http":"h"}', MessageStructure="json")
    assert envelope(queue)["Message"] == "d"


@pytest.mark.parametrize("value", [1, True, None, {"a": 1}, ["x"]])
def test_a_text_that_is_none_counts_as_missing(topic, queue, value):  # §7
    topic.subscribe_queue(queue)
    topic.publish(json.dumps({"default": "d", "sqs": value}), MessageStructure="json")
    assert envelope(queue)["Message"] == "d"


def test_json_in_a_text_stays_text(topic, queue):  # §7
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    inner = json.dumps({"a": [1, "ä"]})
    topic.publish(json.dumps({"default": inner}), MessageStructure="json")
    assert queue.one()["Body"] == inner


def test_another_structure_is_refused(topic):
    with refused("InvalidParameter", 400):
        topic.publish(MessageStructure="xml")


# Lambda and Firehose, where nobody is there to call.


def test_a_function_is_called_with_a_record(topic, outbox):  # §7, §14.3
    where = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{topic.name}"
    subscription = topic.subscribe("lambda", where)
    sent = topic.publish("hello", MessageAttributes={"a": string("x")})
    entry = outbox.one_about(where, sent["MessageId"])
    event = find(entry, "Records")
    (record,) = event["Records"]
    assert record["EventSource"] == "aws:sns"
    assert record["EventVersion"] == "1.0"
    assert record["EventSubscriptionArn"] == subscription.arn
    inner = record["Sns"]
    assert inner["Type"] == "Notification" and inner["Subject"] is None and inner["Message"] == "hello"
    assert inner["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}
    assert {"SigningCertUrl", "UnsubscribeUrl", "Signature", "SignatureVersion", "Timestamp"} <= set(inner)
    assert "SigningCertURL" not in inner and "UnsubscribeURL" not in inner


def find(value, key):
    """The first object with this key in a JSON value; text that is JSON is looked into."""
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)
    if isinstance(value, dict) and key in value:
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for one in inner if (found := find(one, key))), None)


def test_a_stream_gets_the_message(topic, outbox):  # §7
    where = f"arn:aws:firehose:us-east-1:{ACCOUNT}:deliverystream/{topic.name}"
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    topic.subscribe("firehose", where, SubscriptionRoleArn=role, RawMessageDelivery=True)
    topic.publish(f"for the stream {topic.name}")
    outbox.one_about(where, f"for the stream {topic.name}")
