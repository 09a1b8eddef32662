"""Executions over the death of the program."""

import json
import os
import time

import pytest

from events.destinations import make_connection
from program.support import client
from sns.receiver import Receiver, eventually

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

ROLE = "arn:aws:iam::000000000000:role/states"
COUNT = 20


def test_an_execution_that_waits_while_the_program_is_killed_goes_on_where_it_was(start, tmp_path):
    flags = ["--data", tmp_path / "data"]
    server = start(*flags)
    sqs, sfn = client(server), client(server, "stepfunctions")
    queue = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]

    def send(text, **more):
        # The port is another one after the next start.
        parameters = {"QueueUrl": queue, "MessageBody.$": f"States.Format('{text} {{}}', $.n)"}
        task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": parameters}
        return task | {"ResultPath": None} | more

    states = {
        "A": send("before", Next="W"),
        "W": {"Type": "Wait", "Seconds": 4, "Next": "B"},
        "B": send("after", End=True),
    }
    definition = json.dumps({"StartAt": "A", "States": states})
    machine = sfn.create_state_machine(name="m", definition=definition, roleArn=ROLE)["stateMachineArn"]
    for n in range(COUNT):
        sfn.start_execution(stateMachineArn=machine, name=f"e{n}", input=json.dumps({"n": n}))
    for _ in range(3):
        server.close()
        server = start(*flags)
    sqs, sfn = client(server), client(server, "stepfunctions")
    give_up = time.monotonic() + 30
    while len(ended := sfn.list_executions(stateMachineArn=machine, statusFilter="SUCCEEDED")["executions"]) < COUNT:
        assert time.monotonic() < give_up
        time.sleep(0.1)
    for execution in ended:
        events = sfn.get_execution_history(executionArn=execution["executionArn"])["events"]
        assert [event["id"] for event in events] == list(range(1, len(events) + 1))
        assert events[-1]["type"] == "ExecutionSucceeded"
    bodies = []
    url = server.url + "/000000000000/q"
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        bodies += [message["Body"] for message in messages]
    assert sorted(bodies) == sorted(f"{word} {n}" for n in range(COUNT) for word in ["before", "after"])


def test_a_task_that_asked_when_the_program_was_killed_asks_again(start, tmp_path):
    flags = ["--data", tmp_path / "data"]
    server = start(*flags)
    connection = make_connection(client(server, "events"))
    with Receiver() as receiver:
        parameters = {"ApiEndpoint": receiver.url, "Method": "POST", "RequestBody.$": "$.n"}
        parameters |= {"InvocationConfig": {"ConnectionArn": connection}}
        task = {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": parameters}
        definition = json.dumps({"StartAt": "A", "States": {"A": task | {"End": True}}})
        sfn = client(server, "stepfunctions")
        machine = sfn.create_state_machine(name="m", definition=definition, roleArn=ROLE)["stateMachineArn"]
        receiver.answer(always=None)
        started = [
            sfn.start_execution(stateMachineArn=machine, input=json.dumps({"n": n}))["executionArn"]
            for n in range(COUNT)
        ]
        assert sorted(receiver.next().json() for _ in range(COUNT)) == list(range(COUNT))
        server.close()
        receiver.answer(always=200)
        sfn = client(start(*flags), "stepfunctions")
        assert sorted(receiver.next().json() for _ in range(COUNT)) == list(range(COUNT))
        for arn in started:
            eventually(lambda: sfn.describe_execution(executionArn=arn)["status"] == "SUCCEEDED")
        assert receiver.silent()
