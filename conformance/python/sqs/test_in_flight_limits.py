"""The 120,000 messages that a queue may have in flight.

Twelve thousand batches each way, so the requests are written by hand over kept connections.
"""

import http.client
import json
from urllib.parse import urlsplit

import pytest

# Half a minute for two facts that do not change with the messages around them.
pytestmark = pytest.mark.slow

LIMIT = 120_000


class Wire:
    """Requests over one kept connection."""

    def __init__(self, endpoint):
        self.connection = http.client.HTTPConnection(urlsplit(endpoint.url).netloc)

    def __call__(self, operation, arguments):
        self.connection.request(
            "POST",
            "/",
            json.dumps(arguments),
            {
                "X-Amz-Target": f"AmazonSQS.{operation}",
                "Content-Type": "application/x-amz-json-1.0",
                "x-amzn-query-mode": "true",
            },
        )
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")


def fill(wire, url, with_groups):
    """Puts LIMIT messages in flight and leaves ten more waiting."""
    for start in range(0, LIMIT + 10, 10):
        entries = [{"Id": str(n), "MessageBody": "x"} for n in range(10)]
        if with_groups:
            for n, entry in enumerate(entries):
                entry["MessageGroupId"] = entry["MessageDeduplicationId"] = str(start + n)
        status, _ = wire("SendMessageBatch", {"QueueUrl": url, "Entries": entries})
        assert status == 200
    got = 0
    while got < LIMIT:
        status, answer = wire(
            "ReceiveMessage", {"QueueUrl": url, "MaxNumberOfMessages": min(10, LIMIT - got), "VisibilityTimeout": 43200}
        )
        assert status == 200 and answer.get("Messages"), f"only {got} messages are in flight"
        got += len(answer["Messages"])
    return answer["Messages"][0]


@pytest.fixture
def protocol():
    return "json"


def test_a_standard_queue_refuses_to_have_more_in_flight(strict_endpoint, strict_create):  # §6
    queue, wire = strict_create(), Wire(strict_endpoint)
    last = fill(wire, queue.url, with_groups=False)
    status, answer = wire("ReceiveMessage", {"QueueUrl": queue.url})
    assert (status, answer["__type"]) == (403, "com.amazonaws.sqs#OverLimit")
    queue.delete(last)
    assert len(queue.receive(10)) == 1


def test_a_fifo_queue_gives_nothing_more_without_an_error(strict_endpoint, strict_create):  # §6
    queue, wire = strict_create(fifo=True), Wire(strict_endpoint)
    last = fill(wire, queue.url, with_groups=True)
    assert wire("ReceiveMessage", {"QueueUrl": queue.url}) == (200, {})
    queue.delete(last)
    assert len(queue.receive(10)) == 1
