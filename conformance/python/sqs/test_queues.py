"""Creating, finding, listing and deleting queues."""

import pytest

from sqs.conftest import ACCOUNT, REGION
from sqs.raw import json_call
from sqs.support import make_queue, refused, unique


def test_create_queue_answers_with_a_url_that_ends_in_account_and_name(sqs, endpoint):  # §1
    name = unique()
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url == f"{endpoint.url}/{ACCOUNT}/{name}"


def test_creating_a_queue_again_without_attributes_answers_with_the_same_url(sqs, create):  # §2
    queue = create(VisibilityTimeout=77)
    assert sqs.create_queue(QueueName=queue.name)["QueueUrl"] == queue.url
    assert queue.attribute("VisibilityTimeout") == "77"


def test_creating_a_queue_again_compares_only_the_attributes_that_are_given(sqs, create):  # §2
    queue = create(VisibilityTimeout=77, DelaySeconds=3)
    again = sqs.create_queue(QueueName=queue.name, Attributes={"DelaySeconds": "3"})
    assert again["QueueUrl"] == queue.url


def test_creating_a_queue_again_with_another_value_of_an_attribute_is_refused(sqs, create):  # §2, §11
    queue = create(VisibilityTimeout=77)
    text = "A queue already exists with the same name and a different value for attribute VisibilityTimeout"
    with refused("QueueAlreadyExists", 400, text):
        sqs.create_queue(QueueName=queue.name, Attributes={"VisibilityTimeout": "78"})
    assert queue.attribute("VisibilityTimeout") == "77"


def test_a_default_value_counts_when_a_queue_is_created_again(sqs, queue):  # §2
    again = sqs.create_queue(QueueName=queue.name, Attributes={"VisibilityTimeout": "30"})
    assert again["QueueUrl"] == queue.url
    with refused("QueueAlreadyExists", 400):
        sqs.create_queue(QueueName=queue.name, Attributes={"VisibilityTimeout": "31"})


def test_creating_a_fifo_queue_again_with_its_attributes_is_idempotent(sqs, create):  # §2
    queue = create(fifo=True, ContentBasedDeduplication="true")
    wanted = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    assert sqs.create_queue(QueueName=queue.name, Attributes=wanted)["QueueUrl"] == queue.url


def test_changed_attributes_count_when_a_queue_is_created_again(sqs, queue):  # §2
    queue.set(DelaySeconds=5)
    assert sqs.create_queue(QueueName=queue.name, Attributes={"DelaySeconds": "5"})["QueueUrl"] == queue.url
    with refused("QueueAlreadyExists", 400):
        sqs.create_queue(QueueName=queue.name, Attributes={"DelaySeconds": "0"})


NAME_TEXT = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
FIFO_NAME_TEXT = (
    "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
    "must end with .fifo suffix and be 1 to 80 in length"
)


@pytest.mark.parametrize("name", ["", "a b", "a.b", "käse", "a/b", "a" * 81, "queue.fifo", "a$"])
def test_a_queue_name_of_wrong_form_is_refused(sqs, name):  # §4
    # An empty value may as well count as missing; both are refused.
    code = "InvalidParameterValue" if name else ...
    with pytest.raises(sqs.exceptions.ClientError) as caught:
        sqs.create_queue(QueueName=name)
    error = caught.value.response["Error"]
    if name:
        assert (error["Code"], error["Message"]) == (code, NAME_TEXT)


@pytest.mark.parametrize("name", ["queue", "a b.fifo", "a" * 76 + ".fifo", "queue.FIFO", "queuefifo"])
def test_a_fifo_queue_name_of_wrong_form_is_refused(sqs, name):  # §4
    with refused("InvalidParameterValue", 400, FIFO_NAME_TEXT):
        sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})


def test_a_queue_name_may_have_eighty_characters_of_every_allowed_kind(sqs):  # §4
    name = unique("AZaz09_-")
    name += "x" * (80 - len(name))
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    assert url.endswith("/" + name)


def test_the_fifo_suffix_counts_in_the_eighty_characters(sqs):  # §4
    stem = unique("f")
    name = stem + "x" * (75 - len(stem)) + ".fifo"
    assert sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"].endswith("/" + name)


def test_queue_names_are_case_sensitive(sqs):  # §1
    name = unique("Case")
    upper = sqs.create_queue(QueueName=name)["QueueUrl"]
    lower = sqs.create_queue(QueueName=name.lower())["QueueUrl"]
    assert upper != lower
    sqs.send_message(QueueUrl=upper, MessageBody="x")
    assert "Messages" not in sqs.receive_message(QueueUrl=lower)


def test_get_queue_url_finds_a_queue_by_name(sqs, queue):  # §2
    assert sqs.get_queue_url(QueueName=queue.name)["QueueUrl"] == queue.url


def test_get_queue_url_finds_a_queue_by_name_and_owner(sqs, queue):  # §2
    found = sqs.get_queue_url(QueueName=queue.name, QueueOwnerAWSAccountId=ACCOUNT)
    assert found["QueueUrl"] == queue.url


MISSING = {
    "json": "The specified queue does not exist.",
    "query": "The specified queue does not exist for this wsdl version.",
}
GONE = "AWS.SimpleQueueService.NonExistentQueue"


def test_get_queue_url_of_an_unknown_queue_is_refused(sqs, protocol):  # §2, §11
    with refused(GONE, 400, MISSING[protocol]):
        sqs.get_queue_url(QueueName="no-such-queue")


def test_an_unknown_queue_is_an_exception_of_its_own_class(sqs):  # §11; protocols §4
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="no-such-queue")


@pytest.mark.parametrize(
    "operation, more",
    [
        ("add_permission", dict(Label="l", AWSAccountIds=["123456789012"], Actions=["SendMessage"])),
        ("change_message_visibility", dict(ReceiptHandle="h", VisibilityTimeout=1)),
        (
            "change_message_visibility_batch",
            dict(Entries=[dict(Id="a", ReceiptHandle="h", VisibilityTimeout=1)]),
        ),
        ("delete_message", dict(ReceiptHandle="h")),
        ("delete_message_batch", dict(Entries=[dict(Id="a", ReceiptHandle="h")])),
        ("delete_queue", {}),
        ("get_queue_attributes", dict(AttributeNames=["All"])),
        ("list_dead_letter_source_queues", {}),
        ("list_queue_tags", {}),
        ("purge_queue", {}),
        ("receive_message", {}),
        ("remove_permission", dict(Label="l")),
        ("send_message", dict(MessageBody="x")),
        ("send_message_batch", dict(Entries=[dict(Id="a", MessageBody="x")])),
        ("set_queue_attributes", dict(Attributes={"DelaySeconds": "1"})),
        ("tag_queue", dict(Tags={"a": "b"})),
        ("untag_queue", dict(TagKeys=["a"])),
    ],
)
def test_every_operation_on_an_unknown_queue_says_so(sqs, endpoint, protocol, operation, more):  # §11
    url = f"{endpoint.url}/{ACCOUNT}/{unique('missing')}"
    with refused(GONE, 400, MISSING[protocol]):
        getattr(sqs, operation)(QueueUrl=url, **more)


def test_list_queues_lists_by_prefix_in_lexicographic_order(sqs):  # §2
    prefix = unique("list")
    urls = [sqs.create_queue(QueueName=f"{prefix}-{letter}")["QueueUrl"] for letter in "cab"]
    assert sqs.list_queues(QueueNamePrefix=prefix)["QueueUrls"] == sorted(urls)


def test_list_queues_without_a_hit_has_no_queue_urls_at_all(sqs):  # §2, §16.1
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=unique("none"))


def test_list_queues_pages_with_a_token_only_if_max_results_is_given(sqs):  # §2
    prefix = unique("page")
    urls = sorted(sqs.create_queue(QueueName=f"{prefix}-{n}")["QueueUrl"] for n in range(5))
    whole = sqs.list_queues(QueueNamePrefix=prefix)
    assert whole["QueueUrls"] == urls and "NextToken" not in whole
    found, token, pages = [], None, 0
    while True:
        more = {"NextToken": token} if token else {}
        page = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=2, **more)
        assert len(page.get("QueueUrls", [])) <= 2
        found += page.get("QueueUrls", [])
        pages += 1
        token = page.get("NextToken")
        if not token:
            break
    assert found == urls and pages == 3


def test_the_last_page_of_a_listing_has_no_token(sqs):  # protocols §14
    prefix = unique("page")
    sqs.create_queue(QueueName=prefix)
    assert "NextToken" not in sqs.list_queues(QueueNamePrefix=prefix, MaxResults=1)


def test_a_listing_has_a_thousand_queues_at_most(endpoint, json_and_query):  # §2
    sqs = json_and_query["json"]
    prefix = unique("many")
    for n in range(1001):
        json_call(endpoint, "CreateQueue", {"QueueName": f"{prefix}-{n:04}"})
    listed = sqs.list_queues(QueueNamePrefix=prefix)
    assert len(listed["QueueUrls"]) == 1000 and "NextToken" not in listed
    first = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=1000)
    assert len(first["QueueUrls"]) == 1000
    rest = sqs.list_queues(QueueNamePrefix=prefix, MaxResults=1000, NextToken=first["NextToken"])
    assert [url.rsplit("-", 1)[1] for url in rest["QueueUrls"]] == ["1000"] and "NextToken" not in rest


@pytest.mark.parametrize("number", [0, 1001])
def test_max_results_of_a_listing_is_one_to_a_thousand(sqs, number):  # §2
    with pytest.raises(sqs.exceptions.ClientError) as caught:
        sqs.list_queues(MaxResults=number)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_deleted_queue_is_gone_with_its_messages(sqs, protocol, queue):  # §2
    queue.send()
    queue.delete_queue()
    with refused(GONE, 400, MISSING[protocol]):
        queue.send()
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=queue.name)


def test_a_queue_created_anew_after_a_deletion_is_empty(sqs, clock, queue):  # §2
    queue.send()
    queue.delete_queue()
    clock.advance(61)
    sqs.create_queue(QueueName=queue.name)
    assert queue.bodies() == []


def test_standard_and_fifo_queues_of_like_name_are_two_queues(sqs):  # §4
    name = unique("twin")
    one = sqs.create_queue(QueueName=name)["QueueUrl"]
    other = sqs.create_queue(QueueName=name + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    sqs.send_message(QueueUrl=one, MessageBody="standard")
    assert "Messages" not in sqs.receive_message(QueueUrl=other)


def test_queues_of_another_account_are_apart(endpoint, client_for, protocol, sqs, queue):  # design §5
    stranger = client_for(endpoint, protocol, access_key="111122223333")
    url = stranger.create_queue(QueueName=queue.name)["QueueUrl"]
    assert url == f"{endpoint.url}/111122223333/{queue.name}"
    stranger.send_message(QueueUrl=url, MessageBody="theirs")
    assert queue.bodies() == []
    arn = stranger.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    assert arn == f"arn:aws:sqs:{REGION}:111122223333:{queue.name}"
    assert url not in sqs.list_queues(QueueNamePrefix=queue.name)["QueueUrls"]


def test_queues_of_another_region_are_apart(endpoint, client_for, protocol, queue):  # §1
    elsewhere = client_for(endpoint, protocol, region="eu-central-1")
    with pytest.raises(elsewhere.exceptions.QueueDoesNotExist):
        elsewhere.get_queue_url(QueueName=queue.name)
    other = make_queue(elsewhere)
    assert other.arn == f"arn:aws:sqs:eu-central-1:{ACCOUNT}:{other.name}"
