"""The query protocol of SNS as bytes: forms in, XML or JSON out, links without a signature."""

import json

import pytest

from sns.raw import AUTHORIZATION, XMLNS, call, text
from sns.receiver import visit
from sns.support import envelope
from sqs import raw
from sqs.raw import is_uuid
from sqs.support import refused


def test_an_answer_is_xml_with_a_request_id(endpoint, topic):  # §1; protocols §5, §8
    answer = call(endpoint, "Publish", {"TopicArn": topic.arn, "Message": "x"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    xml = answer.xml()
    assert xml.tag == XMLNS + "PublishResponse"
    assert is_uuid(text(xml, "PublishResult/MessageId"))
    assert text(xml, "ResponseMetadata/RequestId") == answer.headers["x-amzn-requestid"]
    assert is_uuid(answer.headers["x-amzn-requestid"])


def test_an_operation_without_output_has_no_result(endpoint, topic):  # protocols §5
    fields = {"TopicArn": topic.arn, "AttributeName": "DisplayName", "AttributeValue": "x"}
    xml = call(endpoint, "SetTopicAttributes", fields).xml()
    assert [child.tag for child in xml] == [XMLNS + "ResponseMetadata"]
    xml = call(endpoint, "DeleteTopic", {"TopicArn": topic.arn}).xml()
    assert [child.tag for child in xml] == [XMLNS + "ResponseMetadata"]


def test_some_operations_without_output_have_an_empty_result(endpoint, topic):  # protocols §5
    fields = {"ResourceArn": topic.arn, "Tags.member.1.Key": "a", "Tags.member.1.Value": "b"}
    xml = call(endpoint, "TagResource", fields).xml()
    result = xml.find(XMLNS + "TagResourceResult")
    assert result is not None and len(result) == 0


def test_both_lists_of_a_batch_are_always_there(endpoint, topic):  # §2
    entry = {"PublishBatchRequestEntries.member.1.Id": "1", "PublishBatchRequestEntries.member.1.Message": "x"}
    xml = call(endpoint, "PublishBatch", {"TopicArn": topic.arn, **entry}).xml()
    result = xml.find(XMLNS + "PublishBatchResult")
    assert {child.tag for child in result} == {XMLNS + "Successful", XMLNS + "Failed"}
    assert is_uuid(text(result, "Successful/member/MessageId"))


def test_maps_and_lists_are_read_from_their_members(endpoint, topic, queue):  # §1
    topic.subscribe_queue(queue)
    answer = call(
        endpoint,
        "Publish",
        {
            "TopicArn": topic.arn,
            "Message": "x",
            "MessageAttributes.entry.1.Name": "a",
            "MessageAttributes.entry.1.Value.DataType": "String",
            "MessageAttributes.entry.1.Value.StringValue": "text",
            "MessageAttributes.entry.3.Name": "b",
            "MessageAttributes.entry.3.Value.DataType": "Binary",
            "MessageAttributes.entry.3.Value.BinaryValue": "AP8=",
        },
    )
    assert answer.status == 200
    assert envelope(queue)["MessageAttributes"] == {
        "a": {"Type": "String", "Value": "text"},
        "b": {"Type": "Binary", "Value": "AP8="},
    }


def test_attributes_of_a_subscription_are_entries_of_key_and_value(endpoint, topic, queue):  # §1
    answer = call(
        endpoint,
        "Subscribe",
        {
            "TopicArn": topic.arn,
            "Protocol": "sqs",
            "Endpoint": queue.arn,
            "Attributes.entry.1.key": "RawMessageDelivery",
            "Attributes.entry.1.value": "true",
        },
    )
    arn = text(answer.xml(), "SubscribeResult/SubscriptionArn")
    xml = call(endpoint, "GetSubscriptionAttributes", {"SubscriptionArn": arn}).xml()
    entries = xml.find(f"{XMLNS}GetSubscriptionAttributesResult/{XMLNS}Attributes")
    found = {text(entry, "key"): text(entry, "value") for entry in entries}
    assert found["RawMessageDelivery"] == "true"


def test_an_error_has_type_code_and_message(endpoint, account):  # §6; protocols §5
    answer = call(endpoint, "GetTopicAttributes", {"TopicArn": f"arn:aws:sns:us-east-1:{account}:never"})
    assert answer.status == 404
    xml = answer.xml()
    assert xml.tag == XMLNS + "ErrorResponse"
    assert [child.tag for child in xml.find(XMLNS + "Error")] == [XMLNS + n for n in ("Type", "Code", "Message")]
    assert text(xml, "Error/Type") == "Sender"
    assert text(xml, "Error/Code") == "NotFound"
    assert text(xml, "Error/Message") == "Topic does not exist"
    assert is_uuid(text(xml, "RequestId"))


def test_an_unknown_action_is_refused(endpoint):  # §6; protocols §7
    answer = call(endpoint, "FlyToTheMoon")
    assert answer.status == 400
    assert text(answer.xml(), "Error/Code") == "InvalidAction"
    assert text(answer.xml(), "Error/Message") == "Could not find operation FlyToTheMoon for version 2010-03-31"


def test_characters_of_all_kinds_are_escaped(endpoint, topic):
    call(
        endpoint,
        "SetTopicAttributes",
        {"TopicArn": topic.arn, "AttributeName": "DisplayName", "AttributeValue": "<&>\"' ä😀"},
    )
    assert topic.attribute("DisplayName") == "<&>\"' ä😀"


def test_a_get_is_answered_like_a_post(endpoint, topic, queue):  # protocols §5
    topic.subscribe_queue(queue)
    answer = call(endpoint, "Publish", {"TopicArn": topic.arn, "Message": "by get"}, method="GET")
    assert answer.status == 200
    assert envelope(queue)["Message"] == "by get"


def test_json_is_answered_to_those_who_accept_it(endpoint, topic):  # §1; protocols §5
    accept = {"Accept": "application/json"}
    answer = call(endpoint, "Publish", {"TopicArn": topic.arn, "Message": "x"}, accept)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("application/json")
    found = answer.json()["PublishResponse"]
    assert is_uuid(found["PublishResult"]["MessageId"])
    assert is_uuid(found["ResponseMetadata"]["RequestId"])


def test_a_link_is_answered_in_json_to_those_who_accept_it(endpoint, topic, receiver):  # §1
    topic.subscribe("http", receiver.url)
    link = receiver.next("SubscriptionConfirmation").json()["SubscribeURL"]
    answer = visit(link, {"Accept": "application/json"})
    assert answer.status == 200 and answer.headers["content-type"].startswith("application/json")
    result = json.loads(answer.body)["ConfirmSubscriptionResponse"]["ConfirmSubscriptionResult"]
    assert result["SubscriptionArn"].startswith(topic.arn + ":")


def test_an_unsigned_link_with_a_wrong_token_is_refused(endpoint, topic):  # §4
    fields = {"TopicArn": topic.arn, "Token": "garbage"}
    answer = call(endpoint, "ConfirmSubscription", fields, {"Authorization": None}, "GET", version=None)
    assert answer.status == 400
    assert text(answer.xml(), "Error/Code") == "InvalidParameter"


def test_an_unsigned_link_ends_a_subscription(endpoint, topic):  # §1
    subscription = topic.subscribe("sms", "+15551234567")
    fields = {"SubscriptionArn": subscription.arn}
    answer = call(endpoint, "Unsubscribe", fields, {"Authorization": None}, "GET", version=None)
    assert answer.status == 200
    assert topic.subscriptions() == []


def test_a_queues_subscription_is_ended_by_its_owner_only(endpoint, topic, queue, other_account):
    # AWS's API reference, Unsubscribe: "Amazon SQS queue subscriptions require authentication for deletion"
    subscription = topic.subscribe_queue(queue)
    fields = {"SubscriptionArn": subscription.arn}
    answer = call(endpoint, "Unsubscribe", fields, {"Authorization": None}, "GET", version=None)
    assert answer.status == 403 and b"<Code>AuthorizationError</Code>" in answer.body
    with refused("AuthorizationError", 403):
        other_account[0].unsubscribe(SubscriptionArn=subscription.arn)
    topic.publish("still there")
    assert envelope(queue)["Message"] == "still there"
    subscription.unsubscribe()
    assert topic.subscriptions() == []


@pytest.mark.parametrize(
    "body", [b"", b"%", b"Action", b"Action=Publish&%ff=%ff", b"\xff\xfe", b"Action=Publish&Version=2010-03-31"]
)
def test_a_malformed_form_is_a_client_error(endpoint, body):
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": AUTHORIZATION}
    answer = raw.call(endpoint, body=body, headers=headers)
    assert 400 <= answer.status < 500


def test_members_with_wild_numbers_do_no_harm(endpoint, topic):
    for number in ("0", "-1", "999999999999999999999", "x", ""):
        fields = {"TopicArn": topic.arn, f"PublishBatchRequestEntries.member.{number}.Id": "1"}
        assert 400 <= call(endpoint, "PublishBatch", fields).status < 500
    assert call(endpoint, "ListTopics").status == 200


def test_the_certificate_of_an_unknown_name_is_not_found(endpoint):
    assert visit(endpoint.url + "/SimpleNotificationService-" + "0" * 32 + ".pem").status == 404
