"""The aws command line: what guides and scripts that use it expect to work."""

import json
import uuid

import pytest


@pytest.fixture
def name():
    return f"cli-{uuid.uuid4().hex[:10]}"


def test_the_first_steps_of_the_readme_work(shell, name):
    done = shell.run(
        f"""
        aws --endpoint-url={shell.endpoint} sqs create-queue --queue-name {name}
        url=$(aws --endpoint-url={shell.endpoint} sqs get-queue-url --queue-name {name} --query QueueUrl --output text)
        aws --endpoint-url={shell.endpoint} sqs send-message --queue-url "$url" --message-body 'Hello, world'
        aws --endpoint-url={shell.endpoint} sqs receive-message --queue-url "$url" \\
          --query 'Messages[0].Body' --output text
        handle=$(aws --endpoint-url={shell.endpoint} sqs receive-message --queue-url "$url" --visibility-timeout 0 \\
          --query 'Messages[0].ReceiptHandle' --output text)
        echo "second receive: $handle"
        """
    )
    assert "Hello, world" in done.stdout
    assert "second receive: None" in done.stdout  # it is hidden, until it is deleted or its time is over


@pytest.fixture
def url(shell, name):
    return shell.aws(f"create-queue --queue-name {name}")["QueueUrl"]


def test_create_queue_takes_attributes_and_tags(shell, name):
    url = shell.aws(
        f"create-queue --queue-name {name} --attributes VisibilityTimeout=10,DelaySeconds=0 --tags team=a,cost=b"
    )["QueueUrl"]
    shown = shell.aws(f"get-queue-attributes --queue-url {url} --attribute-names VisibilityTimeout QueueArn")
    assert shown == {
        "Attributes": {"VisibilityTimeout": "10", "QueueArn": f"arn:aws:sqs:us-east-1:000000000000:{name}"}
    }
    assert shell.aws(f"list-queue-tags --queue-url {url}") == {"Tags": {"team": "a", "cost": "b"}}


def test_get_queue_attributes_shows_all(shell, url):
    shown = shell.aws(f"get-queue-attributes --queue-url {url} --attribute-names All")["Attributes"]
    assert shown["MaximumMessageSize"] == "1048576" and len(shown) == 12


def test_a_message_is_sent_with_attributes_received_and_deleted(shell, url):
    sent = shell.aws(
        f"send-message --queue-url {url} --message-body 'Grüße' "
        '--message-attributes \'{"Hello":{"DataType":"String","StringValue":"There"}}\''
    )
    assert sent["MD5OfMessageAttributes"] == "a311262e065454b75da111d535b8dacd"
    (message,) = shell.aws(f"receive-message --queue-url {url} --attribute-names All --message-attribute-names All")[
        "Messages"
    ]
    assert message["Body"] == "Grüße" and message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"] == {"Hello": {"StringValue": "There", "DataType": "String"}}
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert shell.aws(f"delete-message --queue-url {url} --receipt-handle '{message['ReceiptHandle']}'") is None


def test_an_empty_receive_prints_nothing(shell, url):
    assert shell.aws(f"receive-message --queue-url {url}") is None


def test_a_body_is_read_from_a_file(shell, url, tmp_path):
    body = tmp_path / "body.txt"
    body.write_text('line one\nline "two"\n')
    shell.aws(f"send-message --queue-url {url} --message-body file://{body}")
    (message,) = shell.aws(f"receive-message --queue-url {url}")["Messages"]
    assert message["Body"] == body.read_text()


def test_a_batch_is_sent_from_json(shell, url):
    entries = json.dumps([{"Id": str(n), "MessageBody": f"body {n}"} for n in range(3)])
    answer = shell.aws(f"send-message-batch --queue-url {url} --entries '{entries}'")
    assert len(answer["Successful"]) == 3
    messages = shell.aws(f"receive-message --queue-url {url} --max-number-of-messages 10")["Messages"]
    entries = json.dumps([{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)])
    answer = shell.aws(f"delete-message-batch --queue-url {url} --entries '{entries}'")
    assert len(answer["Successful"]) == 3


def test_a_fifo_queue_works(shell, name):
    url = shell.aws(
        f"create-queue --queue-name {name}.fifo --attributes FifoQueue=true,ContentBasedDeduplication=true"
    )["QueueUrl"]
    first = shell.aws(f"send-message --queue-url {url} --message-body a --message-group-id g")
    again = shell.aws(f"send-message --queue-url {url} --message-body a --message-group-id g")
    assert first["MessageId"] == again["MessageId"] and first["SequenceNumber"]


def test_queues_are_listed_with_a_page_size(shell, name):
    urls = sorted(shell.aws(f"create-queue --queue-name {name}-{n}")["QueueUrl"] for n in range(3))
    assert shell.aws(f"list-queues --queue-name-prefix {name}") == {"QueueUrls": urls}
    paged = shell.aws(f"list-queues --queue-name-prefix {name} --page-size 1")
    assert paged["QueueUrls"] == urls


def test_no_queues_print_nothing(shell, name):
    assert shell.aws(f"list-queues --queue-name-prefix {name}") is None


def test_visibility_is_changed(shell, url):
    shell.aws(f"send-message --queue-url {url} --message-body x")
    (message,) = shell.aws(f"receive-message --queue-url {url}")["Messages"]
    shell.aws(
        f"change-message-visibility --queue-url {url} --receipt-handle '{message['ReceiptHandle']}' "
        "--visibility-timeout 0"
    )
    assert len(shell.aws(f"receive-message --queue-url {url}")["Messages"]) == 1


def test_tags_are_changed(shell, url):
    shell.aws(f"tag-queue --queue-url {url} --tags a=1,b=2")
    shell.aws(f"untag-queue --queue-url {url} --tag-keys a")
    assert shell.aws(f"list-queue-tags --queue-url {url}") == {"Tags": {"b": "2"}}


def test_permissions_are_added_and_removed(shell, url):
    shell.aws(f"add-permission --queue-url {url} --label share --aws-account-ids 123456789012 --actions SendMessage")
    shown = shell.aws(f"get-queue-attributes --queue-url {url} --attribute-names Policy")
    assert json.loads(shown["Attributes"]["Policy"])["Statement"][0]["Sid"] == "share"
    shell.aws(f"remove-permission --queue-url {url} --label share")
    assert shell.aws(f"get-queue-attributes --queue-url {url} --attribute-names Policy") is None


def test_a_queue_is_purged_and_deleted(shell, url):
    shell.aws(f"send-message --queue-url {url} --message-body x")
    assert shell.aws(f"purge-queue --queue-url {url}") is None
    assert shell.aws(f"receive-message --queue-url {url}") is None
    assert shell.aws(f"delete-queue --queue-url {url}") is None
    assert "AWS.SimpleQueueService.NonExistentQueue" in shell.refused(f"receive-message --queue-url {url}")


def test_errors_are_told_as_with_aws(shell, url):
    told = shell.refused("get-queue-url --queue-name no-such-queue")
    assert (
        "An error occurred (AWS.SimpleQueueService.NonExistentQueue) when calling the GetQueueUrl operation" in told
        and "The specified queue does not exist." in told
    )
    told = shell.refused(f"delete-message --queue-url {url} --receipt-handle garbage")
    assert "An error occurred (ReceiptHandleIsInvalid) when calling the DeleteMessage operation" in told
