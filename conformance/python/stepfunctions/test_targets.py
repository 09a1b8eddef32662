"""State machines and event buses: targets of rules and schedules (facts of EventBridge § 6, 9), and events of executions (§ 8)."""

import json

import boto3
import pytest

from events.support import Bus
from scheduler.support import OFF, ROLE
from sqs.conftest import settings
from stepfunctions.support import unique

PASS = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}


@pytest.fixture(scope="session")
def events(endpoint):
    return boto3.client("events", **settings(endpoint))


@pytest.fixture(scope="session")
def scheduler(endpoint):
    return boto3.client("scheduler", **settings(endpoint))


@pytest.fixture
def bus(events):
    name = unique()
    events.create_event_bus(Name=name)
    return Bus(events, name)


def inputs(sfn, machine):
    """The inputs of all executions, the latest first."""
    executions = sfn.list_executions(stateMachineArn=machine)["executions"]
    told = [sfn.describe_execution(executionArn=one["executionArn"]) for one in executions]
    assert all(one["status"] == "SUCCEEDED" for one in told)
    return [json.loads(one["input"]) for one in told]


def test_an_event_starts_an_execution(sfn, bus, create):
    machine = create(PASS)
    rule = bus.rule({"source": ["shop"]})
    rule.put_targets(Targets=[{"Id": "m", "Arn": machine, "RoleArn": ROLE}])
    ids = [bus.put_one("shop", detail={"n": n}) for n in range(3)]
    started = inputs(sfn, machine)
    assert sorted(event["id"] for event in started) == sorted(ids)
    assert sorted(event["detail"]["n"] for event in started) == [0, 1, 2]
    rule.put_targets(Targets=[{"Id": "m", "Arn": machine, "RoleArn": ROLE, "InputPath": "$.detail"}])
    bus.put_one("shop", detail={"n": 7})
    assert inputs(sfn, machine)[0] == {"n": 7}


def test_an_event_for_a_state_machine_that_is_not_there_is_a_dead_letter(sfn, sqs, bus, create, queue):
    machine = create(PASS)
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = bus.rule({"source": ["shop"]})
    target = {"Id": "m", "Arn": machine + "-missing", "RoleArn": ROLE, "DeadLetterConfig": {"Arn": arn}}
    rule.put_targets(Targets=[target])
    bus.put_one("shop")
    [letter] = sqs.receive_message(
        QueueUrl=queue, MessageAttributeNames=["All"], WaitTimeSeconds=1
    )["Messages"]
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_schedule_starts_an_execution(endpoint, clock, sfn, scheduler, create):
    machine = create(PASS)
    name = unique()
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow=OFF,
        Target={"Arn": machine, "RoleArn": ROLE, "Input": '{"tick": true}'},
    )
    clock.advance(3601)
    assert inputs(sfn, machine) == [{"tick": True}] * 2
    scheduler.delete_schedule(Name=name)


def test_the_default_bus_is_told_how_executions_go(sfn, sqs, events, create, queue):
    fails = {"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Bad", "Cause": "why"}}}
    good, bad, express = create(PASS), create(fails), create(PASS, type="EXPRESS")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule = unique()
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [good, bad, express]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    started = {
        machine: sfn.start_execution(stateMachineArn=machine, input='{"n": 1}')["executionArn"]
        for machine in [good, bad, express]
    }
    answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
    told = [json.loads(message["Body"]) for message in answer["Messages"]]
    assert {event["detail-type"] for event in told} == {"Step Functions Execution Status Change"}
    by_status = {(event["resources"][0], event["detail"]["status"]): event["detail"] for event in told}
    assert set(by_status) == {
        (started[good], "RUNNING"),
        (started[good], "SUCCEEDED"),
        (started[bad], "RUNNING"),
        (started[bad], "FAILED"),
    }
    running, succeeded = by_status[started[good], "RUNNING"], by_status[started[good], "SUCCEEDED"]
    assert (running["input"], running["output"], running["stopDate"]) == ('{"n":1}', None, None)
    assert json.loads(succeeded["output"]) == {"n": 1}
    assert succeeded["outputDetails"] == {"included": True}
    assert succeeded["stopDate"] >= succeeded["startDate"] == running["startDate"]
    failed = by_status[started[bad], "FAILED"]
    assert (failed["error"], failed["cause"], failed["output"]) == ("Bad", "why", None)
    events.remove_targets(Rule=rule, Ids=["q"])
    events.delete_rule(Name=rule)
