"""Pipes over the death of the program."""

import os
import time

import pytest

from program.support import client

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

ROLE = "arn:aws:iam::000000000000:role/pipes"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
COUNT = 300


def test_a_pipe_goes_on_where_it_was_when_the_program_was_killed(start, tmp_path):
    flags = ["--data", tmp_path / "data"]
    server = start(*flags)
    sqs = client(server)
    for queue in ["s", "t"]:
        # What was drawn when the program died is there again at once.
        sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "1"})
    client(server, "pipes").create_pipe(
        Name="p",
        Source=QUEUE + "s",
        Target=QUEUE + "t",
        RoleArn=ROLE,
        TargetParameters={"InputTemplate": "<$.body>"},
    )
    for begin in range(0, COUNT, 100):
        for n in range(begin, begin + 100, 10):
            entries = [{"Id": str(at), "MessageBody": str(at)} for at in range(n, n + 10)]
            sqs.send_message_batch(QueueUrl=f"{server.url}/000000000000/s", Entries=entries)
        server.close()
        server = start(*flags)
        sqs = client(server)
    bodies, give_up = [], time.monotonic() + 30
    while len(set(bodies)) < COUNT:
        assert time.monotonic() < give_up, len(bodies)
        answer = sqs.receive_message(
            QueueUrl=f"{server.url}/000000000000/t", MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=600
        )
        bodies += [message["Body"] for message in answer.get("Messages", [])]
    assert sorted(bodies, key=int) == [str(n) for n in range(COUNT)]
