"""The query protocol as bytes: forms in, XML out, over POST and GET."""

from urllib.parse import urlencode

import pytest

from sqs.conftest import ACCOUNT
from sqs.raw import VERSION, XMLNS, call, is_uuid, path_of, query_call
from sqs.support import unique


@pytest.fixture
def protocol():
    return "query"  # these tests write their own requests


def text(element, path):
    return element.findtext("/".join(XMLNS + step for step in path.split("/")))


def test_an_answer_is_xml_with_a_request_id(endpoint, queue):  # protocols §5, §8
    answer = query_call(endpoint, "SendMessage", QueueUrl=queue.url, MessageBody="x")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    xml = answer.xml()
    assert xml.tag == XMLNS + "SendMessageResponse"
    assert text(xml, "SendMessageResult/MD5OfMessageBody") == "9dd4e461268c8034f5c8564e155c67a6"
    assert text(xml, "ResponseMetadata/RequestId") == answer.headers["x-amzn-requestid"]
    assert is_uuid(answer.headers["x-amzn-requestid"])


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_queue_is_addressed_by_path(endpoint, queue, method):  # §1
    answer = query_call(endpoint, "SendMessage", path=path_of(queue.url), method=method, MessageBody="by path")
    assert answer.status == 200
    assert queue.bodies() == ["by path"]


def test_get_works_at_the_root_too(endpoint, queue):  # protocols §5
    answer = query_call(endpoint, "GetQueueUrl", method="GET", QueueName=queue.name)
    assert text(answer.xml(), "GetQueueUrlResult/QueueUrl") == queue.url


def test_a_queue_url_parameter_comes_before_the_path(endpoint, create):  # §12
    one, other = create(), create()
    query_call(endpoint, "SendMessage", path=path_of(one.url), QueueUrl=other.url, MessageBody="x")
    assert one.bodies() == [] and other.bodies() == ["x"]


def test_a_queue_name_does_for_a_queue_url(endpoint, queue):  # observed of AWS
    assert query_call(endpoint, "SendMessage", QueueUrl=queue.name, MessageBody="x").status == 200
    answer = query_call(endpoint, "GetQueueAttributes", QueueUrl=queue.name, AttributeName__1="QueueArn")
    assert text(answer.xml(), "GetQueueAttributesResult/Attribute/Value") == queue.arn
    assert queue.bodies() == ["x"]


@pytest.mark.parametrize("url", ["a.b", "a b", "localhost:1", "http://localhost:1", "http://localhost:1/q"])
def test_what_is_neither_a_url_nor_a_name_of_a_queue_is_refused(endpoint, url):  # §11
    answer = query_call(endpoint, "SendMessage", QueueUrl=url, MessageBody="x")
    assert answer.status == 404
    assert text(answer.xml(), "Error/Code") == "InvalidAddress"


def test_only_the_path_of_a_queue_url_matters(endpoint, queue):  # §1
    url = f"http://other.example:1234{path_of(queue.url)}"
    assert query_call(endpoint, "SendMessage", QueueUrl=url, MessageBody="x").status == 200
    assert queue.bodies() == ["x"]


@pytest.mark.parametrize(
    "host", ["sqs.us-east-1.example:4566", "us-east-1.queue.example", "queue.example", "localhost:1"]
)
def test_queue_urls_with_other_hosts_of_aws_forms_are_understood(endpoint, queue, host):  # §1
    url = f"http://{host}{path_of(queue.url)}"
    assert query_call(endpoint, "SendMessage", QueueUrl=url, MessageBody="x").status == 200
    assert queue.bodies() == ["x"]


def test_a_presigned_get_carries_account_and_region_in_its_query(endpoint):  # protocols §3
    name = unique()
    credential = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": "111122223333/20261121/eu-central-1/sqs/aws4_request",
        "X-Amz-Date": "20261121T000000Z",
        "X-Amz-Expires": "900",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    }
    fields = {"Action": "CreateQueue", "Version": VERSION, "QueueName": name, **credential}
    answer = call(endpoint, "GET", "/?" + urlencode(fields), headers={"Authorization": None})
    url = text(answer.xml(), "CreateQueueResult/QueueUrl")
    assert path_of(url) == f"/111122223333/{name}"
    fields = {"Action": "GetQueueAttributes", "Version": VERSION, "AttributeName.1": "QueueArn", **credential}
    answer = call(endpoint, "GET", f"{path_of(url)}?{urlencode(fields)}", headers={"Authorization": None})
    arn = text(answer.xml(), "GetQueueAttributesResult/Attribute/Value")
    assert arn == f"arn:aws:sqs:eu-central-1:111122223333:{name}"


def test_plain_get_of_a_queue_url_is_not_found(endpoint, queue):  # §12
    for headers in ({}, {"Accept": "application/json"}):
        answer = call(endpoint, "GET", path_of(queue.url), headers=headers)
        assert answer.status == 404
        assert b"<UnknownOperationException/>" in answer.body


def test_an_unknown_action_is_refused(endpoint, queue):  # §12
    for path in ("/", path_of(queue.url)):
        answer = query_call(endpoint, "FooBar", path=path)
        assert answer.status == 400
        assert text(answer.xml(), "Error/Code") == "InvalidAction"
        assert text(answer.xml(), "Error/Message") == "The action FooBar is not valid for this endpoint."


@pytest.mark.parametrize("action", ["CreateQueue", "ListQueues"])
def test_actions_of_the_service_are_refused_at_a_queue(endpoint, queue, action):  # §12
    answer = query_call(endpoint, action, path=path_of(queue.url), QueueName=unique())
    assert answer.status == 400
    assert text(answer.xml(), "Error/Code") == "InvalidAction"
    assert text(answer.xml(), "Error/Message") == f"The action {action} is not valid for this endpoint."


def test_an_error_has_type_code_message_and_detail(endpoint):  # §12; protocols §5
    answer = query_call(endpoint, "GetQueueUrl", QueueName="no-such-queue")
    assert answer.status == 400
    xml = answer.xml()
    assert xml.tag == XMLNS + "ErrorResponse"
    assert [child.tag for child in xml.find(XMLNS + "Error")] == [
        XMLNS + name for name in ("Type", "Code", "Message", "Detail")
    ]
    assert text(xml, "Error/Type") == "Sender"
    assert text(xml, "Error/Code") == "AWS.SimpleQueueService.NonExistentQueue"
    assert text(xml, "Error/Message") == "The specified queue does not exist for this wsdl version."
    assert not text(xml, "Error/Detail")
    assert is_uuid(text(xml, "RequestId"))


def test_errors_carry_their_own_status(endpoint, queue):  # §11, §16.4
    answer = query_call(endpoint, "DeleteMessage", QueueUrl=queue.url, ReceiptHandle="garbage")
    assert answer.status == 404
    assert text(answer.xml(), "Error/Code") == "ReceiptHandleIsInvalid"


def test_an_error_outside_the_model_has_its_query_code(endpoint, queue):  # §11
    answer = query_call(endpoint, "ReceiveMessage", QueueUrl=queue.url, MaxNumberOfMessages="11")
    assert answer.status == 400
    assert text(answer.xml(), "Error/Code") == "InvalidParameterValue"


def test_json_is_answered_to_those_who_accept_it(endpoint, queue):  # §12
    answer = query_call(
        endpoint,
        "GetQueueAttributes",
        {"Accept": "application/json"},
        QueueUrl=queue.url,
        AttributeName__1="DelaySeconds",
    )
    assert answer.status == 200
    body = answer.json()
    assert set(body) == {"GetQueueAttributesResponse"}
    assert "GetQueueAttributesResult" in body["GetQueueAttributesResponse"]
    assert is_uuid(body["GetQueueAttributesResponse"]["ResponseMetadata"]["RequestId"])


def test_json_errors_are_answered_to_those_who_accept_json(endpoint):  # §12
    answer = query_call(endpoint, "GetQueueUrl", {"Accept": "application/json"}, QueueName="no-such-queue")
    assert answer.status == 400
    body = answer.json()
    assert body["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert is_uuid(body["RequestId"])


def test_an_empty_receive_has_an_empty_result(endpoint, queue):  # §2
    xml = query_call(endpoint, "ReceiveMessage", QueueUrl=queue.url).xml()
    result = xml.find(XMLNS + "ReceiveMessageResult")
    assert result is not None and len(result) == 0


def test_an_answer_without_output_has_no_result(endpoint, queue):  # protocols §5
    xml = query_call(endpoint, "PurgeQueue", QueueUrl=queue.url).xml()
    assert [child.tag for child in xml] == [XMLNS + "ResponseMetadata"]


def test_lists_are_flat_in_requests_and_answers(endpoint, create):  # §2
    queue = create()
    form = {}
    for n in (1, 2):
        form[f"SendMessageBatchRequestEntry__{n}__Id"] = f"e{n}"
        form[f"SendMessageBatchRequestEntry__{n}__MessageBody"] = f"body {n}"
        form[f"SendMessageBatchRequestEntry__{n}__MessageAttribute__1__Name"] = "attr1"
        form[f"SendMessageBatchRequestEntry__{n}__MessageAttribute__1__Value__DataType"] = "Number"
        form[f"SendMessageBatchRequestEntry__{n}__MessageAttribute__1__Value__StringValue"] = "19.12"
    xml = query_call(endpoint, "SendMessageBatch", QueueUrl=queue.url, **form).xml()
    result = xml.find(XMLNS + "SendMessageBatchResult")
    assert [child.tag for child in result] == [XMLNS + "SendMessageBatchResultEntry"] * 2
    digests = [text(child, "MD5OfMessageAttributes") for child in result]
    assert digests == ["1f07082409022a373fa2a2601f82b3cb"] * 2
    xml = query_call(
        endpoint,
        "ReceiveMessage",
        QueueUrl=queue.url,
        MaxNumberOfMessages="10",
        AttributeName__1="All",
        MessageAttributeName__1="All",
    ).xml()
    messages = xml.findall(f"{XMLNS}ReceiveMessageResult/{XMLNS}Message")
    assert len(messages) == 2
    assert text(messages[0], "MessageAttribute/Name") == "attr1"
    assert text(messages[0], "MessageAttribute/Value/StringValue") == "19.12"
    names = {text(attribute, "Name") for attribute in messages[0].findall(XMLNS + "Attribute")}
    assert {"SentTimestamp", "SenderId", "ApproximateReceiveCount"} <= names


def test_binary_attributes_in_a_batch_are_base64(endpoint, queue):  # §5; protocols §5
    form = {
        "SendMessageBatchRequestEntry__1__Id": "a",
        "SendMessageBatchRequestEntry__1__MessageBody": "x",
        "SendMessageBatchRequestEntry__1__MessageAttribute__1__Name": "binaryAttribute",
        "SendMessageBatchRequestEntry__1__MessageAttribute__1__Value__DataType": "Binary",
        "SendMessageBatchRequestEntry__1__MessageAttribute__1__Value__BinaryValue": "SGVsbG8gYmluYXJ5IHdvcmxkIQ==",
    }
    xml = query_call(endpoint, "SendMessageBatch", QueueUrl=queue.url, **form).xml()
    entry = "SendMessageBatchResult/SendMessageBatchResultEntry/"
    assert text(xml, entry + "MD5OfMessageAttributes") == "31a92b15d92f8db860eda32aceb656c3"


def test_one_item_alone_needs_no_index(endpoint, queue):  # the examples of AWS's API reference
    def ask(action, **parameters):
        answer = query_call(endpoint, action, path=path_of(queue.url), **parameters)
        assert answer.status == 200
        return answer.xml()

    ask("SetQueueAttributes", Attribute__Name="VisibilityTimeout", Attribute__Value="35")
    assert queue.attribute("VisibilityTimeout") == "35"
    shown = ask("GetQueueAttributes", AttributeName="All")
    assert len(list(shown.iter(f"{XMLNS}Attribute"))) > 5
    queue.send(MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
    found = ask("ReceiveMessage", AttributeName="All", MessageAttributeName="a")
    assert found.find(f".//{XMLNS}Attribute") is not None and found.find(f".//{XMLNS}MessageAttribute") is not None
    ask("TagQueue", Tag__Key="k", Tag__Value="v")
    assert queue.list_queue_tags()["Tags"] == {"k": "v"}
    ask("UntagQueue", TagKey="k")
    assert "Tags" not in queue.list_queue_tags()


@pytest.mark.parametrize("name", ["Tag", "Tags"])
def test_tags_have_two_names(endpoint, queue, name):  # Java's SDK 1.x and 2.x up to 2.20 says Tags.1.Key, all others Tag.1.Key
    form = {f"{name}__1__Key": "k", f"{name}__1__Value": "v", f"{name}__2__Key": "l", f"{name}__2__Value": "w"}
    assert query_call(endpoint, "TagQueue", QueueUrl=queue.url, **form).status == 200
    assert queue.list_queue_tags()["Tags"] == {"k": "v", "l": "w"}


def test_indexes_may_have_gaps(endpoint, queue):  # protocols §5
    form = {
        "SendMessageBatchRequestEntry__10__Id": "ten",
        "SendMessageBatchRequestEntry__10__MessageBody": "x",
        "SendMessageBatchRequestEntry__2__Id": "two",
        "SendMessageBatchRequestEntry__2__MessageBody": "y",
    }
    xml = query_call(endpoint, "SendMessageBatch", QueueUrl=queue.url, **form).xml()
    entries = xml.findall(f"{XMLNS}SendMessageBatchResult/{XMLNS}SendMessageBatchResultEntry")
    assert [text(entry, "Id") for entry in entries] == ["two", "ten"]


def test_tags_and_attributes_are_given_on_creation(endpoint):  # §2
    xml = query_call(
        endpoint,
        "CreateQueue",
        QueueName=unique(),
        Attribute__1__Name="DelaySeconds",
        Attribute__1__Value="7",
        Tag__1__Key="team",
        Tag__1__Value="a b",
    ).xml()
    url = text(xml, "CreateQueueResult/QueueUrl")
    xml = query_call(endpoint, "ListQueueTags", QueueUrl=url).xml()
    assert (text(xml, "ListQueueTagsResult/Tag/Key"), text(xml, "ListQueueTagsResult/Tag/Value")) == ("team", "a b")
    xml = query_call(endpoint, "GetQueueAttributes", QueueUrl=url, AttributeName__1="DelaySeconds").xml()
    assert text(xml, "GetQueueAttributesResult/Attribute/Value") == "7"


def test_quotes_and_carriage_returns_are_escaped_in_text(endpoint, queue):  # §4; protocols §12
    body = '"&quot;&quot;\r'
    query_call(endpoint, "SendMessage", QueueUrl=queue.url, MessageBody=body)
    answer = query_call(endpoint, "ReceiveMessage", QueueUrl=queue.url)
    assert b"<Body>&quot;&amp;quot;&amp;quot;&#xD;</Body>" in answer.body
    assert text(answer.xml(), "ReceiveMessageResult/Message/Body") == body


def test_what_xml_cannot_hold_does_not_spoil_the_answer(endpoint, queue):  # W3C's XML 1.0, § 2.2
    queue.tag_queue(Tags={"bell": "\x07", "none": "\uffff"})
    found = query_call(endpoint, "ListQueueTags", path=path_of(queue.url))
    assert [value.text for value in found.xml().iter(f"{XMLNS}Value")] == ["\ufffd", "\ufffd"]
    told = query_call(
        endpoint, "SendMessage", path=path_of(queue.url), MessageBody="x", MessageGroupId="\x00", MessageDeduplicationId="x"
    )
    assert told.status == 400 and told.xml() is not None


@pytest.mark.parametrize("form", [b"", b"Version=2012-11-05", b"=&&&=", b"Action="])
def test_a_form_without_an_action_is_refused(endpoint, form):  # protocols §7
    answer = call(endpoint, body=form, headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    assert 400 <= answer.status < 500


@pytest.mark.parametrize("value", ["many", "", "99999999999999999999", "1.5"])
def test_a_number_that_is_none_is_refused(endpoint, queue, value):  # protocols §7
    answer = query_call(endpoint, "ReceiveMessage", QueueUrl=queue.url, MaxNumberOfMessages=value)
    assert answer.status == 400


def test_bad_percent_escapes_are_not_fatal(endpoint, queue):
    body = b"Action=SendMessage&Version=2012-11-05&MessageBody=50%&QueueUrl=" + queue.url.encode()
    answer = call(endpoint, body=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status in (200, 400)


def test_an_unknown_parameter_is_ignored(endpoint, queue):
    answer = query_call(endpoint, "SendMessage", QueueUrl=queue.url, MessageBody="x", Later="y", A__1__B="z")
    assert answer.status == 200


def test_a_missing_queue_url_is_refused(endpoint):  # §11
    answer = query_call(endpoint, "SendMessage", MessageBody="x")
    assert answer.status in (400, 404)


def test_a_queue_of_another_account_is_addressed_by_its_path(endpoint, queue):  # design §5
    path = path_of(queue.url).replace(ACCOUNT, "999999999999")
    answer = query_call(endpoint, "SendMessage", path=path, MessageBody="x")
    assert answer.status in (400, 403)
    assert queue.bodies() == []
