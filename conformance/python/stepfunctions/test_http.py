"""HTTP tasks: what servers elsewhere are asked, and what becomes of their answers (§ 3, 5, 16; developer guide, "Call HTTPS APIs")."""

import json

import boto3
import pytest

from events.destinations import API_KEY, make_connection
from sns.receiver import Receiver, eventually
from sqs.conftest import settings
from stepfunctions.support import REGION, flow, graph, history


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def events(endpoint):
    """A client of EventBridge at the endpoint under test."""
    return boto3.client("events", **settings(endpoint))


@pytest.fixture
def connection(events):
    return make_connection(events, API_KEY)


def task(url, connection, method="POST", **more):
    config = {"InvocationConfig": {"ConnectionArn": connection}}
    parameters = {"ApiEndpoint": url, "Method": method} | config | more.pop("Parameters", {})
    return {"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": parameters} | more


def ended(sfn, machine, input):
    """The description of an execution that has ended."""
    arn = sfn.start_execution(stateMachineArn=machine, input=json.dumps(input))["executionArn"]
    described = {}

    def is_over():
        described.update(sfn.describe_execution(executionArn=arn))
        return described["status"] != "RUNNING"

    eventually(is_over)
    return described


def test_a_task_asks_a_server_elsewhere_and_gets_its_answer(sfn, create, receiver, connection):  # § 16
    parameters = {
        "Headers": {"x-a.$": "$.a", "x-list": ["1", "2"]},
        "QueryParameters": {"q.$": "$.a", "r": [1, 2]},
        "RequestBody.$": "$.body",
    }
    machine = create(flow("A", A=task(receiver.url, connection, Parameters=parameters, End=True)))
    receiver.headers = {"Content-Type": "application/json", "X-Two": "2"}
    receiver.body = b'{"ok": [true]}'
    execution = ended(sfn, machine, {"a": "Ann", "body": {"n": 1}})
    request = receiver.next()
    assert (request.method, request.path) == ("POST", "/hook?q=Ann&r=1&r=2")
    assert request.json() == {"n": 1}
    headers = [request.headers[name] for name in ["x-a", "x-key", "content-type", "user-agent", "range"]]
    agent = f"Amazon|StepFunctions|HttpInvoke|{REGION}"
    assert headers == ["Ann", "s3cret", "application/json", agent, "bytes=0-262144"]
    output = json.loads(execution["output"])
    assert (output["StatusCode"], output["StatusText"], output["ResponseBody"]) == (200, "OK", {"ok": [True]})
    assert output["Headers"]["x-two"] == ["2"] and output["Headers"]["content-length"] == ["14"]
    assert graph(sfn, execution["executionArn"]) == [
        "ExecutionStarted 1<0",
        "TaskStateEntered 2<0",
        "TaskScheduled 3<2",
        "TaskStarted 4<3",
        "TaskSucceeded 5<4",
        "TaskStateExited 6<5",
        "ExecutionSucceeded 7<6",
    ]
    scheduled = history(sfn, execution["executionArn"])[2]["taskScheduledEventDetails"]
    assert (scheduled["resourceType"], scheduled["resource"]) == ("http", "invoke")
    assert json.loads(scheduled["parameters"])["Method"] == "POST"


def test_a_body_can_be_a_form(sfn, create, receiver, connection):
    parameters = {
        "RequestBody": {"name": "a b", "list": [1, 2]},
        "Transform": {
            "RequestBodyEncoding": "URL_ENCODED",
            "RequestEncodingOptions": {"ArrayFormat": "BRACKETS"},
        },
    }
    machine = create(flow("A", A=task(receiver.url, connection, Parameters=parameters, End=True)))
    assert ended(sfn, machine, {})["status"] == "SUCCEEDED"
    request = receiver.next()
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sorted(request.text.split("&")) == ["list[]=1", "list[]=2", "name=a%20b"]


def test_what_is_not_answered_well_is_a_failure_that_can_be_tried_again(sfn, create, receiver, connection):  # § 7
    retry = {"ErrorEquals": ["States.Http.StatusCode.429"], "IntervalSeconds": 1, "MaxAttempts": 1}
    catch = {"ErrorEquals": ["States.TaskFailed"], "Next": "B", "ResultPath": "$"}
    ask = task(receiver.url, connection, "GET", Retry=[retry], Catch=[catch], End=True)
    machine = create(flow("A", A=ask, B={"Type": "Pass", "End": True}))
    receiver.answer(404)
    receiver.body = b"not here"
    execution = ended(sfn, machine, {})
    assert json.loads(execution["output"]) == {"Error": "States.Http.StatusCode.404", "Cause": "not here"}
    receiver.next()
    machine = create(flow("A", A=task("http://127.0.0.1:9/", connection, "GET", End=True)))
    execution = ended(sfn, machine, {})
    assert (execution["status"], execution["error"]) == ("FAILED", "States.Http.Socket")


def test_an_answer_that_is_too_long_is_a_failure(sfn, create, receiver, connection):  # § 3
    machine = create(flow("A", A=task(receiver.url, connection, End=True)))
    receiver.body = b"x" * 262_145
    assert ended(sfn, machine, {})["error"] == "States.DataLimitExceeded"


def test_a_task_without_a_connection_fails(sfn, create, receiver, connection):
    for wrong in [
        {"InvocationConfig": {}},
        {"InvocationConfig": {"ConnectionArn": connection + "x"}},
        {"ApiEndpoint": "ftp://example.com"},
        {"Method": ""},
    ]:
        machine = create(flow("A", A=task(receiver.url, connection, Parameters=wrong, End=True)))
        assert ended(sfn, machine, {})["error"] == "States.Runtime", wrong
    assert receiver.silent()


def test_a_task_that_is_not_answered_times_out(sfn, clock, create, receiver, connection):  # § 7
    machine = create(flow("A", A=task(receiver.url, connection, TimeoutSeconds=5, End=True)))
    receiver.answer(None)
    arn = sfn.start_execution(stateMachineArn=machine)["executionArn"]
    receiver.next()
    clock.advance(6)
    described = sfn.describe_execution(executionArn=arn)
    assert (described["status"], described["error"]) == ("FAILED", "States.Timeout")


def test_many_tasks_ask_side_by_side(sfn, create, receiver, connection):
    iterate = {
        "Type": "Map",
        "ItemProcessor": flow("A", A=task(receiver.url, connection, Parameters={"RequestBody.$": "$"}, End=True)),
        "End": True,
    }
    receiver.headers = {"Content-Type": "application/json"}
    machine = create(flow("M", M=iterate), type="STANDARD")
    execution = ended(sfn, machine, list(range(60)))
    assert [answer["StatusCode"] for answer in json.loads(execution["output"])] == [200] * 60
    assert sorted(receiver.next().json() for _ in range(60)) == list(range(60))


def test_an_express_execution_can_wait_for_an_answer(sfn, create, receiver, connection):
    machine = create(flow("A", A=task(receiver.url, connection, End=True)), type="EXPRESS")
    answer = sfn.start_sync_execution(stateMachineArn=machine)
    assert json.loads(answer["output"])["ResponseBody"] == "told\n"
