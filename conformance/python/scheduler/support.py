"""What the tests of schedules share."""

import datetime
import json
import urllib.request
import uuid

ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/scheduler"
OFF = {"Mode": "OFF"}


def unique(word="s"):
    return f"{word}-{uuid.uuid4().hex[:12]}"


def now(endpoint):
    """The endpoint's time."""
    with urllib.request.urlopen(endpoint.url + "/_posthaste/clock", timeout=5) as answer:
        millis = json.load(answer)["now"]
    return datetime.datetime.fromtimestamp(millis / 1000, datetime.timezone.utc)


def at(moment):
    """A one-time expression."""
    return f"at({moment.strftime('%Y-%m-%dT%H:%M:%S')})"


def queue_arn(sqs, url):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def received(sqs, url):
    """All messages that can be received now; they are deleted."""
    messages = []
    while True:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        if not answer:
            return messages
        messages += answer
        for message in answer:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
