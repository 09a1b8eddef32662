"""State machines and activities: created, changed, shown, listed, refused (§ 2, 6)."""

import json

import pytest
from botocore.exceptions import ClientError

from stepfunctions.support import ROLE, flow, unique

PASS = flow("P", P={"Type": "Pass", "End": True})
WAIT = flow("W", W={"Type": "Wait", "Seconds": 5, "End": True})


def refused(call, **wanted):
    with pytest.raises(ClientError) as error:
        call(**wanted)
    response = error.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return response["Error"]["Code"], response["Error"]["Message"]


def test_a_state_machine_is_shown_as_it_was_created(sfn, create):
    name = unique()
    machine = create(PASS, name=name)
    shown = sfn.describe_state_machine(stateMachineArn=machine)
    assert machine.endswith(f":stateMachine:{name}")
    assert (shown["name"], shown["status"], shown["type"]) == (name, "ACTIVE", "STANDARD")
    assert json.loads(shown["definition"]) == PASS
    assert (shown["roleArn"], shown["loggingConfiguration"]["level"]) == (ROLE, "OFF")
    assert "revisionId" not in shown


def test_the_same_state_machine_can_be_created_again_and_another_cannot(sfn, create):
    name = unique()
    machine = create(PASS, name=name)
    assert create(PASS, name=name) == machine
    # The role does not decide it, but the spaces of the definition do.
    assert create(PASS, name=name, roleArn=ROLE + "2") == machine
    wanted = {"name": name, "definition": json.dumps(PASS, indent=1), "roleArn": ROLE}
    code, text = refused(sfn.create_state_machine, **wanted)
    assert (code, text) == ("StateMachineAlreadyExists", f"State Machine Already Exists: '{machine}'")


@pytest.mark.parametrize(
    "definition, text",
    [
        ({"StartAt": "A"}, "SCHEMA_VALIDATION_FAILED: These fields are required: [States] at /"),
        (
            flow("A", A={"Type": "Nothing"}),
            "SCHEMA_VALIDATION_FAILED: The field 'Type' should have one of these values: "
            "[Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type",
        ),
        (
            flow("A", A={"Type": "Task", "Resource": "arn:aws:states:::dynamodb:query", "End": True}),
            "SCHEMA_VALIDATION_FAILED: The resource provided arn:aws:states:::dynamodb:query is not recognized. The value is not a "
            "valid resource ARN, or the resource is not available in this region. at /States/A/Resource",
        ),
    ],
)
def test_a_definition_with_errors_is_refused(sfn, definition, text):
    wanted = {"name": unique(), "definition": json.dumps(definition), "roleArn": ROLE}
    assert refused(sfn.create_state_machine, **wanted) == (
        "InvalidDefinition",
        f"Invalid State Machine Definition: '{text}'",
    )
    checked = sfn.validate_state_machine_definition(definition=json.dumps(definition))
    assert checked["result"] == "FAIL" and checked["diagnostics"][0]["severity"] == "ERROR"


def test_a_definition_without_errors_is_ok(sfn):
    checked = sfn.validate_state_machine_definition(definition=json.dumps(PASS))
    assert (checked["result"], checked["diagnostics"], checked["truncated"]) == ("OK", [], False)


def test_an_update_makes_a_revision(sfn, create):
    machine = create(PASS)
    first = sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(WAIT))["revisionId"]
    shown = sfn.describe_state_machine(stateMachineArn=machine)
    assert (json.loads(shown["definition"]), shown["revisionId"]) == (WAIT, first)
    second = sfn.update_state_machine(stateMachineArn=machine, roleArn=ROLE + "2")["revisionId"]
    assert second != first
    assert refused(sfn.update_state_machine, stateMachineArn=machine) == (
        "MissingRequiredParameter",
        "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be specified",
    )
    gone = machine + "gone"
    assert refused(sfn.update_state_machine, stateMachineArn=gone, roleArn=ROLE) == (
        "StateMachineDoesNotExist",
        f"State Machine Does Not Exist: '{gone}'",
    )


def test_lists_have_pages(sfn, create):
    machines = {create(PASS) for _ in range(5)}
    found, token = set(), {}
    while True:
        page = sfn.list_state_machines(maxResults=3, **token)
        assert len(page["stateMachines"]) <= 3
        found |= {machine["stateMachineArn"] for machine in page["stateMachines"]}
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert machines <= found
    assert refused(sfn.list_state_machines, nextToken="made up")[0] == "InvalidToken"


def test_a_deleted_state_machine_stays_until_its_executions_have_ended(sfn, clock, create):
    machine = create(WAIT)
    sfn.start_execution(stateMachineArn=machine)
    sfn.delete_state_machine(stateMachineArn=machine)
    assert sfn.describe_state_machine(stateMachineArn=machine)["status"] == "DELETING"
    assert refused(sfn.start_execution, stateMachineArn=machine)[0] == "StateMachineDeleting"
    clock.advance(6)
    assert refused(sfn.describe_state_machine, stateMachineArn=machine)[0] == "StateMachineDoesNotExist"
    # One that is not there is none either.
    sfn.delete_state_machine(stateMachineArn=machine)


def test_tags_are_added_replaced_and_removed(sfn, create):
    machine = create(PASS, tags=[{"key": "a", "value": "1"}])
    sfn.tag_resource(resourceArn=machine, tags=[{"key": "a", "value": "2"}, {"key": "b", "value": "3"}])
    sfn.untag_resource(resourceArn=machine, tagKeys=["b", "c"])
    assert sfn.list_tags_for_resource(resourceArn=machine)["tags"] == [{"key": "a", "value": "2"}]
    assert refused(sfn.list_tags_for_resource, resourceArn=machine + "x")[0] == "ResourceNotFound"


def test_activities_are_created_shown_and_deleted(sfn):
    name = unique("a")
    activity = sfn.create_activity(name=name)["activityArn"]
    assert sfn.create_activity(name=name)["activityArn"] == activity
    assert sfn.describe_activity(activityArn=activity)["name"] == name
    assert activity in [known["activityArn"] for known in sfn.list_activities(maxResults=1000)["activities"]]
    sfn.delete_activity(activityArn=activity)
    assert refused(sfn.describe_activity, activityArn=activity) == (
        "ActivityDoesNotExist",
        f"Activity Does Not Exist: '{activity}'",
    )
    assert refused(sfn.create_activity, name="a b") == ("InvalidName", "Invalid Name: 'a b'")


def test_a_state_is_tested_with_a_mock(sfn):
    """facts/stepfunctions.md § 9."""
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage",
        "Parameters": {"QueueUrl": "q", "MessageBody.$": "$.text"},
        "ResultSelector": {"id.$": "$.MessageId"},
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 2}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Sorry"}],
        "Next": "Done",
    }
    given = {"definition": json.dumps(task), "input": '{"text": "hello"}', "inspectionLevel": "DEBUG"}
    tested = sfn.test_state(mock={"result": '{"MessageId": "m"}', "fieldValidationMode": "NONE"}, **given)
    assert (tested["status"], json.loads(tested["output"]), tested["nextState"]) == ("SUCCEEDED", {"id": "m"}, "Done")
    assert json.loads(tested["inspectionData"]["afterParameters"]) == {"QueueUrl": "q", "MessageBody": "hello"}
    tested = sfn.test_state(mock={"errorOutput": {"error": "Busy", "cause": "c"}}, **given)
    details = tested["inspectionData"]["errorDetails"]
    assert (tested["status"], details) == ("RETRIABLE", {"retryIndex": 0, "retryBackoffIntervalSeconds": 2})
    tested = sfn.test_state(mock={"errorOutput": {"error": "Other", "cause": "c"}}, **given)
    assert (tested["status"], tested["nextState"], tested["error"]) == ("CAUGHT_ERROR", "Sorry", "Other")
    with pytest.raises(ClientError) as error:
        sfn.test_state(**given)
    assert "RoleArn must be specified when testing a Task state" in str(error.value)


def test_a_service_that_is_not_served_is_a_warning(sfn):
    task = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:ec2:describeInstances", "End": True}
    definition = json.dumps(flow("T", T=task))
    assert sfn.validate_state_machine_definition(definition=definition)["diagnostics"] == []
    checked = sfn.validate_state_machine_definition(definition=definition, severity="WARNING")
    assert checked["result"] == "OK"
    (warning,) = checked["diagnostics"]
    assert (warning["severity"], warning["code"]) == ("WARNING", "RESOURCE_NOT_SERVED")
    assert warning["location"] == "/States/T/Resource"
