"""Express executions, asynchronous and synchronous (§ 2, 6)."""

import json

import pytest
from botocore.exceptions import ClientError

from endpoint import Background
from stepfunctions.support import bodies, flow

DOUBLE = flow("D", D={"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, $.n)"}, "End": True})


def refused(call, **wanted):
    with pytest.raises(ClientError) as error:
        call(**wanted)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def test_a_synchronous_execution_answers_with_its_output(sfn, create):
    machine = create(DOUBLE, type="EXPRESS")
    ended = sfn.start_sync_execution(stateMachineArn=machine, name="run", input='{"n": 4}')
    assert (ended["status"], json.loads(ended["output"]), ended["name"]) == ("SUCCEEDED", {"n": 8}, "run")
    assert ":express:" in ended["executionArn"] and ended["billingDetails"]["billedMemoryUsedInMB"] == 64
    # A name can be used again.
    again = sfn.start_sync_execution(stateMachineArn=machine, name="run", input='{"n": 5}')
    assert json.loads(again["output"]) == {"n": 10}


def test_a_synchronous_execution_that_fails_is_an_answer(sfn, create):
    machine = create(flow("F", F={"Type": "Fail", "Error": "E", "Cause": "c"}), type="EXPRESS")
    ended = sfn.start_sync_execution(stateMachineArn=machine)
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "E", "c")


def test_a_synchronous_execution_is_waited_for(sfn, clock, create):
    machine = create(flow("W", W={"Type": "Wait", "Seconds": 400, "End": True}), type="EXPRESS")
    waits = Background(sfn.start_sync_execution, stateMachineArn=machine)
    while waits.thread.is_alive():
        clock.advance(60)
    ended = waits.result()
    assert (ended["status"], ended["error"]) == ("TIMED_OUT", "States.Timeout")
    assert (ended["stopDate"] - ended["startDate"]).total_seconds() == 300


def test_an_asynchronous_execution_runs_and_cannot_be_asked_for(sfn, sqs, clock, queue, create):
    parameters = {"QueueUrl": queue, "MessageBody": "done"}
    task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": parameters, "End": True}
    machine = create(flow("T", T=task), type="EXPRESS")
    execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
    clock.advance(1)
    assert bodies(sqs, queue) == ["done"]
    assert refused(sfn.describe_execution, executionArn=execution) == (
        "InvalidArn",
        "Invalid Arn: 'Resource type not valid in this context: express'",
    )
    assert refused(sfn.list_executions, stateMachineArn=machine)[0] == "StateMachineTypeNotSupported"


def test_what_only_standard_state_machines_can_do_is_refused(sfn, queue, create):
    standard = create(DOUBLE)
    assert refused(sfn.start_sync_execution, stateMachineArn=standard) == (
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )
    task = {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Parameters": {}, "End": True}
    with pytest.raises(ClientError) as error:
        create(flow("T", T=task), type="EXPRESS")
    assert error.value.response["Error"]["Message"] == (
        "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Express state machine does not support '.waitForTaskToken' "
        "service integration  at /States/T/Resource'"
    )
