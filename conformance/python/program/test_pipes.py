"""Pipes over the death of the program."""

import os
import time

import pytest

from program.support import client

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

ROLE = "arn:aws:iam::000000000000:role/pipes"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
COUNT = 300


def test_an_init_file_declares_pipes(start, tmp_path):
    declared = tmp_path / "init.toml"
    file = """
        queues = [{ name = "s" }, { name = "t" }]
        [[pipes]]
        name = "p"
        source = "s"
        target = "t"
        filters = [{ body = { n = [{ numeric = [">=", 2] }] } }]
        input-template = "<$.body.n>"
        """
    declared.write_text(file)
    flags = ["--data", tmp_path / "data", "--init", declared]
    server = start(*flags)
    sqs, pipes = client(server), client(server, "pipes")
    for n in range(4):
        sqs.send_message(QueueUrl=f"{server.url}/000000000000/s", MessageBody=f'{{"n": {n}}}')
    bodies = []
    while len(bodies) < 2:
        answer = sqs.receive_message(QueueUrl=f"{server.url}/000000000000/t", MaxNumberOfMessages=10, WaitTimeSeconds=5)
        bodies += [message["Body"] for message in answer["Messages"]]
    assert sorted(bodies) == ["2", "3"]
    made = pipes.describe_pipe(Name="p")
    assert server.stop() == 0
    server = start(*flags)
    assert client(server, "pipes").describe_pipe(Name="p")["LastModifiedTime"] == made["LastModifiedTime"]
    assert server.stop() == 0
    declared.write_text(file + "stopped = true")
    changed = client(start(*flags), "pipes").describe_pipe(Name="p")
    assert (changed["CurrentState"], changed["SourceParameters"]) == ("STOPPED", made["SourceParameters"])


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
