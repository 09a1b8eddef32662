"""Publish: its answer, and what it refuses."""

import json

import pytest

from sns.support import Topic, binary, string
from sqs.support import refused, unique

KIB_256 = 262144


def test_a_publish_has_a_message_id_of_its_own(topic):  # §2
    first, second = topic.publish(), topic.publish()
    assert first["MessageId"] != second["MessageId"]
    assert [len(part) for part in first["MessageId"].split("-")] == [8, 4, 4, 4, 12]
    assert "SequenceNumber" not in first


def test_a_topic_without_subscriptions_takes_messages(topic):
    assert topic.publish()["MessageId"]


def test_a_topic_may_be_the_target(topic, queue):  # §2
    topic.subscribe_queue(queue)
    topic.sns.publish(TargetArn=topic.arn, Message="by target")
    assert json.loads(queue.one()["Body"])["Message"] == "by target"


def test_an_empty_topic_arn_is_an_arn_of_one_element(sns):  # recorded in March 2024
    with refused("InvalidParameter", 400, "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"):
        sns.publish(TopicArn="", Message="x")


def test_an_empty_message_is_refused(topic):  # §5
    with refused("InvalidParameter", 400, "Invalid parameter: Empty message"):
        topic.publish("")


def test_a_message_of_256_kib_is_accepted_and_not_a_byte_more(topic, queue):  # §3, §5, §14.10
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    topic.publish("x" * KIB_256)
    assert queue.one()["Body"] == "x" * KIB_256
    with refused("InvalidParameter", 400, "Invalid parameter: Message too long"):
        topic.publish("x" * (KIB_256 + 1))


def test_the_size_is_counted_in_bytes(topic):  # §5
    topic.publish("ä" * (KIB_256 // 2))
    with refused("InvalidParameter", 400, "Invalid parameter: Message too long"):
        topic.publish("ä" * (KIB_256 // 2) + "x")


def test_attributes_count_with_the_message(topic):  # §5
    attribute = {"name": string("value")}  # 4 + 6 + 5 bytes
    topic.publish("x" * (KIB_256 - 15), MessageAttributes=attribute)
    with refused("InvalidParameter", 400, "Invalid parameter: Message too long"):
        topic.publish("x" * (KIB_256 - 14), MessageAttributes=attribute)


@pytest.mark.parametrize("size", [1024, 1048576])
def test_a_topic_has_a_limit_of_its_own(create, size):  # §3
    topic = create(MaximumMessageSize=size)
    topic.publish("x" * size)
    with refused("InvalidParameter", 400, "Invalid parameter: Message too long"):
        topic.publish("x" * (size + 1))


def test_a_mebibyte_reaches_a_queue_whole(create, queue):  # §3
    topic = create(MaximumMessageSize=1048576)
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    body = "".join(chr(ord("a") + n % 26) for n in range(1048576))
    topic.publish(body)
    assert queue.one()["Body"] == body


@pytest.mark.parametrize("subject", ["", "x" * 101, "a\nb", "a\x01b", "a\rb"])
def test_a_subject_of_wrong_form_is_refused(topic, subject):  # §5
    with refused("InvalidParameter", 400, "Invalid parameter: Subject"):
        topic.publish(Subject=subject)


def test_a_subject_of_a_hundred_characters_is_accepted(topic, queue):  # §5
    topic.subscribe_queue(queue)
    topic.publish(Subject="x" * 100)
    assert json.loads(queue.one()["Body"])["Subject"] == "x" * 100


def test_an_unknown_topic_is_not_found(sns, account):  # §5
    with refused("NotFound", 404, "Topic does not exist"):
        sns.publish(TopicArn=f"arn:aws:sns:us-east-1:{account}:{unique('never')}", Message="x")


def test_a_topic_of_another_region_is_refused(sns, topic):  # §5
    with refused("InvalidParameter", 400, "Invalid parameter: TopicArn"):
        sns.publish(TopicArn=topic.arn.replace("us-east-1", "eu-central-1"), Message="x")


@pytest.mark.parametrize("arn", ["garbage", "arn:aws:sns:us-east-1:000000000000:endpoint/APNS/app/x"])
def test_a_target_that_is_none_is_refused(sns, arn):  # §5
    text = "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"
    with refused("InvalidParameter", 400, text):
        sns.publish(TargetArn=arn, Message="x")


def test_one_of_three_targets_is_required(sns):
    with refused("InvalidParameter", 400):
        sns.publish(Message="x")


@pytest.mark.parametrize("number", ["x", "12", "+", "+abc"])
def test_a_phone_number_that_is_none_is_refused(sns, number):  # §5
    text = f"Invalid parameter: PhoneNumber Reason: {number} is not valid to publish to"
    with refused("InvalidParameter", 400, text):
        sns.publish(PhoneNumber=number, Message="x")


@pytest.mark.parametrize("message", ['{"sqs":"x"}', '{"default":{"a":"b"}}', '{"default":null}'])
def test_json_structure_needs_a_default_that_is_text(topic, message):  # §5; the second recorded in August 2023
    text = "Invalid parameter: Message Structure - No default entry in JSON message body"
    with refused("InvalidParameter", 400, text):
        topic.publish(message, MessageStructure="json")


def test_json_structure_may_say_a_name_twice(topic):  # recorded in August 2023
    assert topic.publish('{"default":"a","default":"b"}', MessageStructure="json")["MessageId"]


@pytest.mark.parametrize("message", ["x", "{", '{"default":'])
def test_json_structure_needs_json(topic, message):  # §5
    text = "Invalid parameter: Message Structure - JSON message body failed to parse"
    with refused("InvalidParameter", 400, text):
        topic.publish(message, MessageStructure="json")


def test_a_standard_topic_knows_no_deduplication(topic):  # §5
    reason = "The request includes MessageDeduplicationId parameter that is not valid for this topic type"
    with refused("InvalidParameter", 400, f"Invalid parameter: MessageDeduplicationId Reason: {reason}"):
        topic.publish(MessageDeduplicationId="d")


def test_a_group_on_a_standard_topic_reaches_queues_only(topic, queue, receiver, http_subscription):  # §5, §14.15
    topic.subscribe_queue(queue)
    http_subscription(topic)
    sent = topic.publish(MessageGroupId="tenant")
    assert "SequenceNumber" not in sent
    got = queue.one()
    assert got["Attributes"]["MessageGroupId"] == "tenant"
    assert "MessageDeduplicationId" not in got["Attributes"]
    assert "tenant" not in receiver.next("Notification").text


@pytest.mark.parametrize("group", ["a b", "ä", "x" * 129])
def test_a_group_of_wrong_form_is_refused(topic, fifo, group):  # §5
    for one in (topic, fifo):
        with refused("InvalidParameter", 400):
            one.publish(MessageGroupId=group)


def test_a_fifo_topic_needs_a_group(fifo):  # §5
    text = "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    with refused("InvalidParameter", 400, text):
        fifo.publish()


def test_a_fifo_topic_needs_deduplication(create):  # §5
    reason = "ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    with refused("InvalidParameter", 400, f"Invalid parameter: The topic should either have {reason}"):
        create(fifo=True).publish(MessageGroupId="g")


def test_a_refused_message_reaches_nobody(topic, queue):
    topic.subscribe_queue(queue)
    with refused("InvalidParameter", 400):
        topic.publish(Subject="")
    assert queue.receive() == []


# Message attributes.


def refuse(topic, name, value, code, text):
    with refused(code, 400, text):
        topic.publish(MessageAttributes={name: value})
    entry = {"Id": "1", "Message": "x", "MessageAttributes": {name: value}}
    if code == "ValidationError":
        text = text.replace("'messageAttributes", "'publishBatchRequestEntries.1.member.messageAttributes")
        with refused(code, 400, text):
            topic.publish_batch(entry)


@pytest.mark.parametrize("kind, field", [("String", "StringValue"), ("Binary", "BinaryValue")])
def test_an_attribute_without_a_value_is_refused(topic, kind, field):  # §5
    text = (
        "The message attribute 'a' must contain non-empty message attribute value for message attribute type "
        f"'{kind}'."
    )
    for value in ({"DataType": kind}, {"DataType": kind, field: b"" if kind == "Binary" else ""}):
        refuse(topic, "a", value, "ParameterValueInvalid", text)


@pytest.mark.parametrize(
    "kind, value, field",
    [
        ("String", {"BinaryValue": b"x"}, "String"),
        ("Number", {"BinaryValue": b"x"}, "String"),
        ("Binary", {"StringValue": "x"}, "Binary"),
    ],
)
def test_an_attribute_with_the_value_of_another_type_is_refused(topic, kind, value, field):  # §5
    text = f"The message attribute 'a' with type '{kind}' must use field '{field}'."
    refuse(topic, "a", {"DataType": kind, **value}, "ParameterValueInvalid", text)


@pytest.mark.parametrize("kind", ["Bool", "string", "X.String", ".String", "String.", "Number."])
def test_an_attribute_of_unknown_type_is_refused(topic, kind):  # §5
    text = (
        "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is "
        "Binary, Number, and String."
    )
    refuse(topic, "a", string("x", kind), "ParameterValueInvalid", text)


def test_an_attribute_without_a_type_is_refused(topic):  # §5
    text = (
        "1 validation error detected: Value null at 'messageAttributes.attr1.member.dataType' failed to satisfy "
        "constraint: Member must not be null"
    )
    refuse(topic, "attr1", {"StringValue": "x"}, "ValidationError", text)


@pytest.mark.parametrize(
    "name, text",
    [
        ("x" * 257, "Length of message attribute name must be less than 256 bytes."),
        (
            "a^b",
            "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. "
            "Can only include alphanumeric characters, hyphens, underscores, or dots.",
        ),
        (
            "a b",
            "Invalid non-alphanumeric character '#x20' was found in the message attribute name. "
            "Can only include alphanumeric characters, hyphens, underscores, or dots.",
        ),
        (".a", "Invalid message attribute name starting with character '.' was found."),
        ("a.", "Invalid message attribute name ending with character '.' was found."),
        ("a..b", "Message attribute name can not have successive '.' character."),
    ],
)
def test_an_attribute_name_of_wrong_form_is_refused(topic, name, text):  # §5
    refuse(topic, name, string("x"), "ParameterValueInvalid", text)


@pytest.mark.parametrize(
    "value",
    [
        string("x"),
        string("x", "String.label"),
        string(["a", 1, True, None], "String.Array"),
        string("-12.5", "Number"),
        string("1", "Number.int"),
        binary(b"\x00\xff"),
        binary(b"x", "Binary.gif"),
    ],
)
def test_attributes_of_all_types_are_accepted(topic, value):  # §5
    assert topic.publish(MessageAttributes={"a-b_c.D9": value})["MessageId"]


def test_a_number_must_be_one(topic):  # §5
    with pytest.raises(topic.sns.exceptions.ClientError) as caught:
        topic.publish(MessageAttributes={"a": string("many", "Number")})
    assert caught.value.response["Error"]["Code"] in ("ParameterValueInvalid", "InvalidParameter")


def test_attributes_reach_raw_queues_with_their_types(topic, queue):  # §7
    topic.subscribe_queue(queue, RawMessageDelivery=True)
    wanted = {
        "text": string("Grüße"),
        "label": string("x", "String.label"),
        "list": string(["a"], "String.Array"),
        "number": string("-12.50", "Number"),
        "bytes": binary(bytes(range(256))),
    }
    topic.publish(MessageAttributes=wanted)
    assert queue.one(MessageAttributeNames=["All"])["MessageAttributes"] == wanted


def test_a_topic_taken_from_another_client_publishes_there(sns, topic, other_account, queue):
    topic.subscribe_queue(queue)
    Topic(other_account[0], topic.arn).publish("from elsewhere")
    assert json.loads(queue.one()["Body"])["Message"] == "from elsewhere"
