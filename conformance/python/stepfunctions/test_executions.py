"""Executions: how they start, go on and end, and their history (§ 5, 6, 7, 11, 18)."""

import json

import pytest
from botocore.exceptions import ClientError

from endpoint import Background
from stepfunctions.support import ROLE, bodies, flow, graph, history, run_to_end, unique


def refused(call, **wanted):
    with pytest.raises(ClientError) as error:
        call(**wanted)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def send(queue, **more):
    parameters = {"QueueUrl": queue, "MessageBody.$": "$.text"}
    return {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": parameters, **more}


def test_states_follow_each_other_to_the_end(sfn, sqs, clock, queue, create):
    machine = create(
        flow(
            "A",
            A={"Type": "Pass", "Result": "hello", "ResultPath": "$.text", "Next": "B"},
            B={
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericGreaterThan": 3, "Next": "C"}],
                "Default": "F",
            },
            C=send(queue, ResultPath="$.sent", Next="D"),
            D={"Type": "Wait", "Seconds": 3600, "Next": "E"},
            E={"Type": "Succeed", "OutputPath": "$.n"},
            F={"Type": "Fail", "Error": "Small", "Cause": "too small"},
        )
    )
    small = run_to_end(sfn, clock, machine, {"n": 3})
    assert (small["status"], small["error"], small["cause"]) == ("FAILED", "Small", "too small")
    running = run_to_end(sfn, clock, machine, {"n": 4}, 3599)
    assert (running["status"], bodies(sqs, queue)) == ("RUNNING", ["hello"])
    clock.advance(1)
    ended = sfn.describe_execution(executionArn=running["executionArn"])
    assert (ended["status"], ended["output"], ended["input"]) == ("SUCCEEDED", "4", '{"n": 4}')
    assert bodies(sqs, queue) == []
    assert graph(sfn, running["executionArn"]) == [
        "ExecutionStarted 1<0",
        "PassStateEntered 2<0",
        "PassStateExited 3<2",
        "ChoiceStateEntered 4<3",
        "ChoiceStateExited 5<4",
        "TaskStateEntered 6<5",
        "TaskScheduled 7<6",
        "TaskStarted 8<7",
        "TaskSucceeded 9<8",
        "TaskStateExited 10<9",
        "WaitStateEntered 11<10",
        "WaitStateExited 12<11",
        "SucceedStateEntered 13<12",
        "SucceedStateExited 14<13",
        "ExecutionSucceeded 15<14",
    ]


def test_a_history_has_pages_in_both_directions_and_can_be_without_data(sfn, clock, create):
    states = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(40)}
    machine = create(flow("S0", **states, S40={"Type": "Succeed"}))
    execution = run_to_end(sfn, clock, machine, {"secret": 1})["executionArn"]
    events = history(sfn, execution, maxResults=7)
    assert [event["id"] for event in events] == list(range(1, 85))
    backwards = history(sfn, execution, maxResults=9, reverseOrder=True)
    assert backwards == events[::-1]
    bare = history(sfn, execution, includeExecutionData=False)
    assert "secret" in json.dumps(events, default=str) and "secret" not in json.dumps(bare, default=str)


def test_a_name_is_one_execution(sfn, clock, create):
    machine = create(flow("W", W={"Type": "Wait", "Seconds": 5, "End": True}))
    name = unique("e")
    wanted = {"stateMachineArn": machine, "name": name}
    first = sfn.start_execution(**wanted, input='{"a": 1}')
    again = sfn.start_execution(**wanted, input='{"a": 1}')
    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    exists = ("ExecutionAlreadyExists", f"Execution Already Exists: '{first['executionArn']}'")
    assert refused(sfn.start_execution, **wanted, input='{"a": 2}') == exists
    clock.advance(5)
    assert refused(sfn.start_execution, **wanted, input='{"a": 1}') == exists


def test_an_input_must_be_json(sfn, create):
    machine = create(flow("P", P={"Type": "Pass", "End": True}))
    code, text = refused(sfn.start_execution, stateMachineArn=machine, input="no")
    assert code == "InvalidExecutionInput" and text.startswith("Invalid State Machine Execution Input: '")
    code, text = refused(sfn.start_execution, stateMachineArn=machine, input="")
    assert text == "Invalid State Machine Execution Input: 'Invalid execution input.'"
    code, _ = refused(sfn.start_execution, stateMachineArn=machine, input='"' + "x" * 262_143 + '"')
    assert code == "ValidationException"


def test_executions_are_listed_the_latest_first_and_by_status(sfn, clock, create):
    machine = create(flow("W", W={"Type": "Wait", "SecondsPath": "$.s", "End": True}))
    started = [
        sfn.start_execution(stateMachineArn=machine, input=json.dumps({"s": seconds}))["executionArn"]
        for seconds in [5, 1000, 5, 1000]
    ]
    clock.advance(10)

    def listed(**more):
        page = sfn.list_executions(stateMachineArn=machine, maxResults=2, **more)
        arns = [execution["executionArn"] for execution in page["executions"]]
        return arns + (listed(**more | {"nextToken": page["nextToken"]}) if "nextToken" in page else [])

    assert listed() == started[::-1]
    assert listed(statusFilter="RUNNING") == [started[3], started[1]]
    assert set(listed(statusFilter="SUCCEEDED")) == {started[0], started[2]}
    assert listed(statusFilter="FAILED") == []


def test_an_execution_can_be_stopped(sfn, clock, create):
    machine = create(flow("W", W={"Type": "Wait", "Seconds": 5, "End": True}))
    execution = run_to_end(sfn, clock, machine)["executionArn"]
    sfn.stop_execution(executionArn=execution, error="E", cause="c")
    clock.advance(10)
    shown = sfn.describe_execution(executionArn=execution)
    assert (shown["status"], shown["error"], shown["cause"]) == ("ABORTED", "E", "c")
    assert graph(sfn, execution) == ["ExecutionStarted 1<0", "WaitStateEntered 2<0", "ExecutionAborted 3<0"]


def test_an_execution_can_take_too_long(sfn, clock, create):
    machine = create(flow("W", W={"Type": "Wait", "Seconds": 50, "End": True}) | {"TimeoutSeconds": 10})
    ended = run_to_end(sfn, clock, machine, seconds=10)
    assert (ended["status"], ended["error"], ended.get("cause")) == ("TIMED_OUT", "States.Timeout", None)


def test_retries_wait_longer_each_time_and_then_the_catcher_leads_on(sfn, sqs, clock, queue, create):
    retry = {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 2}
    catch = {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "C"}
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sqs:sendMessage",
        "Parameters": {"QueueUrl": queue + "-gone", "MessageBody": "x"},
        "Retry": [retry],
        "Catch": [catch],
        "End": True,
    }
    machine = create(flow("T", T=task, C={"Type": "Pass", "End": True}))
    execution = run_to_end(sfn, clock, machine, {"a": 1}, 8)
    assert execution["status"] == "RUNNING"
    clock.advance(1)
    ended = sfn.describe_execution(executionArn=execution["executionArn"])
    output = json.loads(ended["output"])
    assert (ended["status"], output["a"]) == ("SUCCEEDED", 1)
    assert output["error"]["Error"] == "Sqs.QueueDoesNotExistException"
    types = [event["type"] for event in history(sfn, execution["executionArn"])]
    assert types.count("TaskFailed") == 3 and types.count("TaskStateEntered") == 1


def test_a_callback_goes_through_a_queue(sfn, sqs, clock, queue, create):
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token", "order.$": "$.order"}},
        "HeartbeatSeconds": 60,
        "End": True,
    }
    machine = create(flow("T", T=task))
    execution = run_to_end(sfn, clock, machine, {"order": 7})["executionArn"]
    sent = json.loads(bodies(sqs, queue)[0])
    assert sent["order"] == 7
    clock.advance(50)
    sfn.send_task_heartbeat(taskToken=sent["token"])
    clock.advance(50)
    sfn.send_task_success(taskToken=sent["token"], output='{"paid": true}')
    clock.advance(0)
    assert json.loads(sfn.describe_execution(executionArn=execution)["output"]) == {"paid": True}
    assert refused(sfn.send_task_success, taskToken=sent["token"], output="{}") == (
        "TaskTimedOut",
        "Task Timed Out: 'Provided task does not exist anymore'",
    )
    assert refused(sfn.send_task_heartbeat, taskToken="made up") == ("InvalidToken", "Invalid Token: 'Invalid token'")


def test_a_missed_heartbeat_is_a_timeout(sfn, sqs, clock, queue, create):
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
        "HeartbeatSeconds": 5,
        "End": True,
    }
    execution = run_to_end(sfn, clock, create(flow("T", T=task)), seconds=5)
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Timeout")
    events = history(sfn, execution["executionArn"])
    assert [event["type"] for event in events[-2:]] == ["TaskTimedOut", "ExecutionFailed"]


def test_a_worker_that_waits_gets_a_task_at_once(sfn, clock, create):
    activity = sfn.create_activity(name=unique("a"))["activityArn"]
    machine = create(flow("T", T={"Type": "Task", "Resource": activity, "End": True}))
    worker = Background(sfn.get_activity_task, activityArn=activity, workerName="w")
    started = sfn.start_execution(stateMachineArn=machine, input='{"n": 1}')
    task = worker.result()
    assert json.loads(task["input"]) == {"n": 1}
    sfn.send_task_failure(taskToken=task["taskToken"], error="Broken", cause="by hand")
    clock.advance(0)
    ended = sfn.describe_execution(executionArn=started["executionArn"])
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Broken", "by hand")


def test_a_map_and_a_parallel_run_side_by_side(sfn, clock, create):
    double = flow("D", D={"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $states.input * 2 %}", "End": True})
    each = {"Type": "Map", "ItemsPath": "$.list", "ItemProcessor": double, "End": True}
    late = flow("L", L={"Type": "Wait", "Seconds": 9, "End": True})
    both = {"Type": "Parallel", "Branches": [flow("M", M=each), late], "End": True}
    ended = run_to_end(sfn, clock, create(flow("P", P=both)), {"list": [1, 2, 3]}, 9)
    assert json.loads(ended["output"]) == [[2, 4, 6], {"list": [1, 2, 3]}]


def test_a_nested_execution_is_waited_for(sfn, clock, create):
    inner = create(flow("W", W={"Type": "Wait", "Seconds": 5, "Next": "P"}, P={"Type": "Pass", "Result": {"x": 1}, "End": True}))

    def start(resource):
        parameters = {"StateMachineArn": inner, "Input": {"from.$": "$.n"}}
        task = {"Type": "Task", "Resource": "arn:aws:states:::states:" + resource, "Parameters": parameters, "End": True}
        return run_to_end(sfn, clock, create(flow("T", T=task)), {"n": 3}, 5)

    at_once, text, parsed = start("startExecution"), start("startExecution.sync"), start("startExecution.sync:2")
    assert json.loads(at_once["output"])["SdkHttpMetadata"]["HttpStatusCode"] == 200
    text, parsed = json.loads(text["output"]), json.loads(parsed["output"])
    assert (text["Status"], text["Output"], json.loads(text["Input"])) == ("SUCCEEDED", '{"x":1}', {"from": 3})
    assert parsed["Output"] == {"x": 1}


def test_a_redrive_runs_again_what_has_failed(sfn, sqs, clock, queue, create):
    """Developer guide, "Restarting state machine executions with redrive"."""
    other = unique("late")
    url = queue.rsplit("/", 1)[0] + "/" + other
    branches = [flow("A", A=send(queue, End=True)), flow("B", B=send(url, End=True))]
    machine = create(flow("P", P={"Type": "Parallel", "Branches": branches, "ResultPath": None, "End": True}))
    failed = run_to_end(sfn, clock, machine, {"text": "hello"})
    arn = failed["executionArn"]
    assert (failed["status"], failed["redriveStatus"], failed["redriveCount"]) == ("FAILED", "REDRIVABLE", 0)
    assert "redriveStatusReason" not in failed and "redriveDate" not in failed
    events = len(history(sfn, arn))

    sqs.create_queue(QueueName=other)
    redriven = sfn.redrive_execution(executionArn=arn, clientToken="one")
    assert sfn.redrive_execution(executionArn=arn, clientToken="one")["redriveDate"] == redriven["redriveDate"]
    clock.advance(0)
    ended = sfn.describe_execution(executionArn=arn)
    assert (ended["status"], ended["redriveCount"], json.loads(ended["output"])) == ("SUCCEEDED", 1, {"text": "hello"})
    assert ended["redriveDate"] == redriven["redriveDate"]
    assert ended["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
    assert (bodies(sqs, queue), bodies(sqs, url)) == (["hello"], ["hello"])
    event = history(sfn, arn)[events]
    assert (event["type"], event["executionRedrivenEventDetails"]) == ("ExecutionRedriven", {"redriveCount": 1})
    assert refused(sfn.redrive_execution, executionArn=arn)[0] == "ExecutionNotRedrivable"

    def listed(**more):
        found = sfn.list_executions(stateMachineArn=machine, **more)["executions"]
        return [(each["executionArn"], each["redriveCount"]) for each in found]

    assert listed(redriveFilter="REDRIVEN") == [(arn, 1)]
    assert listed(redriveFilter="NOT_REDRIVEN") == []


def test_a_task_asks_services_that_are_spoken_by_places_in_http_requests(sfn, clock, create):
    name = unique("s")
    target = {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": ROLE}
    schedule = {"Name": name, "ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": {"Mode": "OFF"}, "Target": target}

    def task(operation, arguments, **more):
        return {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:{operation}", "Parameters": arguments, **more}

    machine = create(
        flow(
            "Create",
            Create=task("scheduler:createSchedule", schedule, Next="Get"),
            Get=task("scheduler:getSchedule", {"Name": name}, ResultPath="$.schedule", Next="List"),
            List=task("scheduler:listSchedules", {"NamePrefix": name, "MaxResults": 5}, ResultPath="$.listed", Next="Registry"),
            Registry=task("schemas:createRegistry", {"RegistryName": name}, ResultPath="$.registry", Next="Missing"),
            Missing=task("scheduler:deleteSchedule", {"Name": "none"}, End=True),
        )
    )
    ended = run_to_end(sfn, clock, machine)
    assert (ended["status"], ended["error"]) == ("FAILED", "Scheduler.ResourceNotFoundException")
    entered = [event for event in history(sfn, ended["executionArn"]) if event["type"] == "TaskStateEntered"]
    seen = json.loads(entered[-1]["stateEnteredEventDetails"]["input"])
    assert (seen["schedule"]["Name"], seen["schedule"]["ScheduleExpression"]) == (name, "rate(1 hour)")
    assert seen["schedule"]["CreationDate"].endswith("Z")
    assert [each["Name"] for each in seen["listed"]["Schedules"]] == [name]
    assert seen["registry"]["RegistryName"] == name
