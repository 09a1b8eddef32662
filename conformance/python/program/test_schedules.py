"""Schedules over the death of the program."""

import os
import time

import pytest

from program.support import client

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

ROLE = "arn:aws:iam::000000000000:role/scheduler"


def received(sqs, url):
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    return sorted(message["Body"] for message in answer.get("Messages", []))


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_a_run_that_was_due_while_the_program_was_dead_happens_once_after_the_start(start, tmp_path, durability):
    flags = ["--data", tmp_path / "data", "--durability", durability]
    server = start(*flags)
    sqs, scheduler = client(server), client(server, "scheduler")
    sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})
    target = {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": ROLE}

    def create(name, seconds):
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + seconds))
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression=f"at({moment})",
            Target=target | {"Input": name},
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
        )

    create("before", 2)
    url = server.url + "/000000000000/q"
    give_up = time.monotonic() + 20
    while not (messages := received(sqs, url)):
        assert time.monotonic() < give_up
    assert messages == ["before"]
    create("meanwhile", 2)
    create("later", 3600)
    server.close()
    due = time.time() + 3
    while time.time() < due:
        time.sleep(due - time.time())
    for expected in [["meanwhile"], []]:
        server = start(*flags)
        sqs, scheduler = client(server), client(server, "scheduler")
        assert received(sqs, server.url + "/000000000000/q") == expected
        assert [schedule["Name"] for schedule in scheduler.list_schedules()["Schedules"]] == ["later"]
        server.close()
