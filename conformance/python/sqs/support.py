"""The words that the tests of SQS are written in: a queue with its calls, and what a refusal must look like."""

import contextlib
import hashlib
import itertools
import json
import types
import uuid

import pytest
from botocore.exceptions import ClientError

_numbers = itertools.count(1)


def unique(word="q", fifo=False):
    """A queue name that no other test uses."""
    return f"{word}-{next(_numbers)}-{uuid.uuid4().hex[:8]}" + (".fifo" if fifo else "")


class Queue:
    """A queue and the calls that tests make of it, each a thin cover over the client's."""

    def __init__(self, sqs, url):
        self.sqs = sqs
        self.url = url

    def __getattr__(self, operation):
        """Any operation that takes a QueueUrl: `queue.purge_queue()`."""
        call = getattr(self.sqs, operation)
        return lambda **arguments: call(QueueUrl=self.url, **arguments)

    @property
    def name(self):
        return self.url.rsplit("/", 1)[1]

    @property
    def arn(self):
        return self.attribute("QueueArn")

    def attributes(self, *names):
        """The attributes as a dict; with no names, all."""
        return self.get_queue_attributes(AttributeNames=list(names) or ["All"]).get("Attributes", {})

    def attribute(self, name):
        return self.attributes(name).get(name)

    def set(self, **attributes):
        self.set_queue_attributes(Attributes={name: str(value) for name, value in attributes.items()})

    def counts(self):
        """How many messages are (visible, in flight, delayed)."""
        found = self.attributes(
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        return tuple(int(found["ApproximateNumberOfMessages" + kind]) for kind in ("", "NotVisible", "Delayed"))

    def send(self, body="hello", **more):
        return self.send_message(MessageBody=body, **more)

    def receive(self, n=1, **more):
        """The messages of one ReceiveMessage for up to `n`, with all their system attributes."""
        more.setdefault("AttributeNames", ["All"])
        return self.receive_message(MaxNumberOfMessages=n, **more).get("Messages", [])

    def bodies(self, n=10, **more):
        """The bodies of one ReceiveMessage for up to `n`."""
        return [message["Body"] for message in self.receive(n, **more)]

    def one(self, **more):
        """The one message that is there."""
        messages = self.receive(1, **more)
        assert len(messages) == 1, f"expected a message, got {messages}"
        return messages[0]

    def delete(self, message):
        return self.delete_message(ReceiptHandle=message["ReceiptHandle"])

    def hide(self, message, seconds):
        """ChangeMessageVisibility."""
        return self.change_message_visibility(ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=seconds)


def make_queue(sqs, word="q", fifo=False, tags=None, **attributes):
    if fifo:
        attributes["FifoQueue"] = "true"
    arguments = {"QueueName": unique(word, fifo)}
    if attributes:
        arguments["Attributes"] = {name: str(value) for name, value in attributes.items()}
    if tags:
        arguments["tags"] = tags
    return Queue(sqs, sqs.create_queue(**arguments)["QueueUrl"])


def redrive_to(dead, receives=1):
    """A RedrivePolicy that moves a message to `dead` after so many receives."""
    return json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": receives})


@contextlib.contextmanager
def refused(code, status=None, text=None):
    """The block must be refused with this (query) code, HTTP status and message text.

    The text is compared whole; `...` at its end allows for anything after it.
    """
    seen = types.SimpleNamespace(message=None)
    try:
        yield seen
    except ClientError as error:
        answer = error.response
        seen.message = answer["Error"].get("Message")
        got = answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
        assert got[0] == code, f"code {got[0]!r} ({seen.message!r}), expected {code!r}"
        if status:
            assert got[1] == status, f"status {got[1]}, expected {status}"
        if text and text.endswith("..."):
            assert seen.message.startswith(text[:-3]), seen.message
        elif text:
            assert seen.message == text
        return
    pytest.fail(f"the request was accepted, expected {code}", pytrace=True)


def digest(attributes):
    """MD5OfMessageAttributes as §5 describes it."""
    out = bytearray()

    def put(word):
        out.extend(len(word).to_bytes(4, "big") + word)

    for name in sorted(attributes):
        value = attributes[name]
        put(name.encode())
        put(value["DataType"].encode())
        is_binary = "BinaryValue" in value
        out.append(2 if is_binary else 1)
        put(value["BinaryValue"] if is_binary else value["StringValue"].encode())
    return hashlib.md5(out).hexdigest()
