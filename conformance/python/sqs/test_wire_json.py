"""The JSON protocol as bytes: headers, bodies and error envelopes."""

import base64
import gzip
import json

import pytest

from sqs.raw import call, is_uuid, json_call, path_of
from sqs.support import Queue, refused


@pytest.fixture
def protocol():
    return "json"  # these tests write their own requests


def test_an_answer_is_json_with_a_request_id(endpoint, queue):  # protocols §4, §8
    answer = json_call(endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": "x"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert is_uuid(answer.headers["x-amzn-requestid"])
    assert set(answer.json()) == {"MessageId", "MD5OfMessageBody"}


def test_every_answer_has_its_own_request_id_and_a_date(endpoint):  # protocols §8, §14
    answers = [json_call(endpoint, "ListQueues") for _ in range(2)]
    assert answers[0].headers["x-amzn-requestid"] != answers[1].headers["x-amzn-requestid"]
    assert all("date" in answer.headers and "content-length" in answer.headers for answer in answers)


def test_an_answer_without_output_is_empty_or_an_empty_object(endpoint, queue):  # protocols §4, §14
    queue.send()
    handle = queue.one()["ReceiptHandle"]
    answer = json_call(endpoint, "DeleteMessage", {"QueueUrl": queue.url, "ReceiptHandle": handle})
    assert answer.status == 200 and answer.body in (b"", b"{}")


def test_an_empty_receive_is_an_empty_object(endpoint, queue):  # §2
    assert json_call(endpoint, "ReceiveMessage", {"QueueUrl": queue.url}).json() == {}


def test_no_queues_are_an_empty_object(endpoint):  # §2
    assert json_call(endpoint, "ListQueues", {"QueueNamePrefix": "no-such-prefix"}).json() == {}


def test_no_tags_are_an_empty_object(endpoint, queue):  # §2
    assert json_call(endpoint, "ListQueueTags", {"QueueUrl": queue.url}).json() == {}


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_request_body_is_accepted(endpoint, body):  # protocols §4
    assert json_call(endpoint, "ListQueues", body).status == 200


def test_null_members_count_as_absent(endpoint, queue):  # protocols §4
    answer = json_call(
        endpoint,
        "SendMessage",
        {"QueueUrl": queue.url, "MessageBody": "x", "DelaySeconds": None, "MessageAttributes": None},
    )
    assert answer.status == 200


def test_unknown_members_are_ignored(endpoint, queue):  # protocols §4
    answer = json_call(
        endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": "x", "Later": {"a": [1, {"b": None}]}}
    )
    assert answer.status == 200


def test_binary_attributes_are_base64(endpoint, queue):  # protocols §4
    value = bytes(range(256))
    attribute = {"b": {"DataType": "Binary", "BinaryValue": base64.b64encode(value).decode()}}
    json_call(endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": "x", "MessageAttributes": attribute})
    answer = json_call(endpoint, "ReceiveMessage", {"QueueUrl": queue.url, "MessageAttributeNames": ["All"]})
    assert answer.json()["Messages"][0]["MessageAttributes"] == attribute


@pytest.mark.parametrize("body", ['"\\u00e9\\ud83d\\ude00\\n\\/\\\\"', '"é😀\\n/\\\\"'])
def test_escapes_in_json_are_understood(endpoint, queue, body):  # protocols §4
    text = b'{"QueueUrl": "%s", "MessageBody": %s}' % (queue.url.encode(), body.encode())
    assert json_call(endpoint, "SendMessage", text).status == 200
    assert queue.one()["Body"] == "é😀\n/\\"


def test_a_mebibyte_of_escapes_is_accepted(endpoint, queue):  # protocols §13
    text = b'{"QueueUrl": "%s", "MessageBody": "%s"}' % (queue.url.encode(), b"\\u000a" * 1048576)
    assert json_call(endpoint, "SendMessage", text).status == 200
    assert queue.one()["Body"] == "\n" * 1048576


def test_a_gzipped_request_is_unpacked(endpoint, queue):  # protocols §2
    packed = gzip.compress(json.dumps({"QueueUrl": queue.url, "MessageBody": "packed"}).encode())
    assert json_call(endpoint, "SendMessage", packed, {"Content-Encoding": "gzip"}).status == 200
    assert queue.one()["Body"] == "packed"


def test_a_damaged_gzip_is_refused(endpoint):  # protocols §2
    answer = json_call(endpoint, "ListQueues", b"\x1f\x8b not gzip", {"Content-Encoding": "gzip"})
    assert answer.status == 400


def test_json_is_accepted_on_the_path_of_a_queue(endpoint, queue):  # §1
    answer = json_call(endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": "x"}, path=path_of(queue.url))
    assert answer.status == 200


def test_newer_json_versions_are_answered_in_kind(endpoint):  # protocols §4
    answer = json_call(endpoint, "ListQueues", version="1.1")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"


# Errors ----------------------------------------------------------------------------------------------------------


def test_an_error_names_its_shape_and_its_query_code(endpoint):  # protocols §4, §11
    answer = json_call(endpoint, "GetQueueUrl", {"QueueName": "no-such-queue"})
    assert answer.status == 400
    assert answer.json() == {
        "__type": "com.amazonaws.sqs#QueueDoesNotExist",
        "message": "The specified queue does not exist.",
    }
    assert answer.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert is_uuid(answer.headers["x-amzn-requestid"])


def test_errors_outside_the_model_end_in_exception_in_json_only(endpoint, queue):  # §11
    answer = json_call(endpoint, "ReceiveMessage", {"QueueUrl": queue.url, "MaxNumberOfMessages": 11})
    assert answer.status == 400
    assert answer.json()["__type"] == "com.amazon.coral.service#InvalidParameterValueException"
    assert answer.headers["x-amzn-query-error"] == "InvalidParameterValue;Sender"


def test_a_missing_parameter_is_such_an_error(endpoint, queue):  # §11
    answer = json_call(endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": ""})
    assert answer.json()["__type"] == "com.amazon.coral.service#MissingRequiredParameterException"
    assert answer.headers["x-amzn-query-error"] == "MissingParameter;Sender"


@pytest.mark.parametrize("query_mode, status", [(True, 404), (False, 400)])
def test_the_status_is_that_of_the_query_protocol_only_in_query_mode(
    endpoint, queue, query_mode, status
):  # protocols §4
    answer = json_call(
        endpoint, "DeleteMessage", {"QueueUrl": queue.url, "ReceiptHandle": "garbage"}, query_mode=query_mode
    )
    assert answer.status == status
    assert answer.json()["__type"] == "com.amazonaws.sqs#ReceiptHandleIsInvalid"


def test_an_unknown_operation_is_named_in_the_error(endpoint):  # protocols §7
    answer = json_call(endpoint, "FlyToTheMoon")
    assert answer.status == 400
    assert answer.json()["__type"].endswith("UnknownOperationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe", b'{"QueueNamePrefix": }', b"{} {}"])
def test_a_body_that_is_no_json_object_is_a_serialization_error(endpoint, body):  # protocols §7
    answer = json_call(endpoint, "ListQueues", body)
    assert answer.status == 400
    assert answer.json()["__type"].endswith("SerializationException")


@pytest.mark.parametrize(
    "arguments",
    [
        {"QueueNamePrefix": 5},
        {"MaxResults": "many"},
        {"QueueNamePrefix": ["a"]},
        {"MaxResults": {}},
        {"MaxResults": 1.5e300},
    ],
)
def test_a_member_of_the_wrong_type_is_a_serialization_error(endpoint, arguments):  # protocols §7
    answer = json_call(endpoint, "ListQueues", arguments)
    assert answer.status == 400
    assert answer.json()["__type"].endswith("SerializationException")


def test_json_that_is_nested_too_deep_is_refused_and_not_fatal(endpoint):
    body = b'{"x": ' + b"[" * 100000 + b"]" * 100000 + b"}"
    assert json_call(endpoint, "ListQueues", body).status in (200, 400)
    assert json_call(endpoint, "ListQueues").status == 200


def test_invalid_utf8_in_a_body_is_refused(endpoint, queue):  # §4
    text = b'{"QueueUrl": "%s", "MessageBody": "a\xff"}' % queue.url.encode()
    assert json_call(endpoint, "SendMessage", text).status == 400


def test_a_lone_surrogate_is_refused(endpoint, queue):  # §4
    text = b'{"QueueUrl": "%s", "MessageBody": "a\\ud800"}' % queue.url.encode()
    assert json_call(endpoint, "SendMessage", text).status == 400


def test_bad_base64_is_refused(endpoint, queue):  # protocols §4
    attribute = {"b": {"DataType": "Binary", "BinaryValue": "***"}}
    answer = json_call(
        endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": "x", "MessageAttributes": attribute}
    )
    assert answer.status == 400


def test_a_target_of_another_service_is_not_taken_for_sqs(endpoint):  # protocols §3, §7
    answer = call(
        endpoint,
        body=b"{}",
        headers={"X-Amz-Target": "NoSuchService.ListQueues", "Content-Type": "application/x-amz-json-1.0"},
    )
    assert answer.status == 400
    assert answer.json()["__type"].endswith("UnknownOperationException")


def test_a_trace_header_of_the_request_becomes_the_messages(endpoint, queue):  # §4
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
    answer = json_call(endpoint, "SendMessage", {"QueueUrl": queue.url, "MessageBody": "x"}, {"X-Amzn-Trace-Id": trace})
    assert "MD5OfMessageSystemAttributes" not in answer.json()
    assert queue.one()["Attributes"]["AWSTraceHeader"] == trace


def test_an_explicit_trace_header_comes_before_the_requests(endpoint, queue):  # §4
    own = "Root=1-11111111-bd862e3fe1be46a994272793"
    json_call(
        endpoint,
        "SendMessage",
        {
            "QueueUrl": queue.url,
            "MessageBody": "x",
            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": own}},
        },
        {"X-Amzn-Trace-Id": "Root=1-22222222-bd862e3fe1be46a994272793"},
    )
    assert queue.one()["Attributes"]["AWSTraceHeader"] == own


def test_counts_in_move_tasks_are_numbers_and_times_are_milliseconds(endpoint, sqs, with_dead_letters):  # protocols §12
    _, dead = with_dead_letters()
    sqs.start_message_move_task(SourceArn=dead.arn)
    task = json_call(endpoint, "ListMessageMoveTasks", {"SourceArn": dead.arn}).json()["Results"][0]
    assert isinstance(task["StartedTimestamp"], int) and task["StartedTimestamp"] > 10**12
    assert task["ApproximateNumberOfMessagesToMove"] == 0


@pytest.mark.parametrize("fifo", [False, True])
def test_a_queue_name_does_for_a_queue_url(create, fifo):  # observed of AWS
    queue = create(fifo=fifo)
    named = Queue(queue.sqs, queue.name)
    more = {"MessageGroupId": "g", "MessageDeduplicationId": "d"} if fifo else {}
    named.send("hello", **more)
    message = named.one()
    named.hide(message, 60)
    named.delete(message)
    assert queue.counts() == (0, 0, 0)
    named.set(VisibilityTimeout=7)
    assert named.attribute("VisibilityTimeout") == "7"
    named.tag_queue(Tags={"a": "b"})
    assert named.list_queue_tags()["Tags"] == {"a": "b"}
    named.purge_queue()
    named.delete_queue()
    with refused("AWS.SimpleQueueService.NonExistentQueue", 400):
        queue.attributes()


@pytest.mark.parametrize("url", ["a.b", "a b", "localhost:1", "http://localhost:1", "http://localhost:1/q"])
def test_what_is_neither_a_url_nor_a_name_of_a_queue_is_refused(sqs, url):  # §11
    with refused("InvalidAddress", 404, f"The address {url} is not valid for this endpoint."):
        sqs.send_message(QueueUrl=url, MessageBody="x")
