"""Versions and aliases (§ 8)."""

import json

import pytest
from botocore.exceptions import ClientError

from stepfunctions.support import ROLE, flow, run_to_end, unique


def refused(call, **wanted):
    with pytest.raises(ClientError) as error:
        call(**wanted)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def result(n):
    return flow("P", P={"Type": "Pass", "Result": n, "End": True})


def route(*weights):
    return [{"stateMachineVersionArn": arn, "weight": weight} for arn, weight in weights]


@pytest.fixture
def versions(sfn, create):
    """A state machine with two versions, and a third definition."""
    machine = create(result(1))
    first = sfn.publish_state_machine_version(stateMachineArn=machine, description="one")["stateMachineVersionArn"]
    second = sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(result(2)), publish=True)
    sfn.update_state_machine(stateMachineArn=machine, definition=json.dumps(result(3)))
    return machine, first, second["stateMachineVersionArn"]


def test_a_version_stays_as_it_was_published(sfn, clock, versions):
    machine, first, second = versions
    assert (first, second) == (machine + ":1", machine + ":2")
    outputs = [run_to_end(sfn, clock, arn)["output"] for arn in [first, second, machine]]
    assert outputs == ["1", "2", "3"]
    shown = sfn.describe_state_machine(stateMachineArn=first)
    assert (shown["stateMachineArn"], shown["description"]) == (first, "one")
    assert json.loads(shown["definition"]) == result(1)
    listed = sfn.list_state_machine_versions(stateMachineArn=machine)["stateMachineVersions"]
    assert [version["stateMachineVersionArn"] for version in listed] == [second, first]
    assert refused(sfn.update_state_machine, stateMachineArn=first, roleArn=ROLE)[0] == "StateMachineDoesNotExist"


def test_a_revision_has_one_version(sfn, create):
    machine = create(result(1))
    publish = {"stateMachineArn": machine}
    first = sfn.publish_state_machine_version(**publish)["stateMachineVersionArn"]
    assert sfn.publish_state_machine_version(**publish, description="other")["stateMachineVersionArn"] == first
    revision = sfn.update_state_machine(stateMachineArn=machine, roleArn=ROLE + "2")["revisionId"]
    assert refused(sfn.publish_state_machine_version, **publish, revisionId="other")[0] == "ConflictException"
    second = sfn.publish_state_machine_version(**publish, revisionId=revision)["stateMachineVersionArn"]
    sfn.delete_state_machine_version(stateMachineVersionArn=second)
    # Numbers are never used again.
    sfn.update_state_machine(stateMachineArn=machine, roleArn=ROLE + "3")
    assert sfn.publish_state_machine_version(**publish)["stateMachineVersionArn"] == machine + ":3"
    assert refused(sfn.describe_state_machine, stateMachineArn=second)[0] == "StateMachineDoesNotExist"


def test_an_alias_leads_to_versions_by_weight(sfn, clock, versions):
    machine, first, second = versions
    name = unique("live")
    alias = sfn.create_state_machine_alias(name=name, routingConfiguration=route((first, 100)))["stateMachineAliasArn"]
    assert alias == f"{machine}:{name}"
    ended = run_to_end(sfn, clock, alias)
    assert (ended["output"], ended["stateMachineVersionArn"], ended["stateMachineAliasArn"]) == ("1", first, alias)
    sfn.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=route((first, 50), (second, 50)))
    outputs = {run_to_end(sfn, clock, alias)["output"] for _ in range(40)}
    assert outputs == {"1", "2"}
    shown = sfn.describe_state_machine_alias(stateMachineAliasArn=alias)
    assert shown["routingConfiguration"] == route((first, 50), (second, 50))
    assert refused(sfn.delete_state_machine_version, stateMachineVersionArn=first) == (
        "ConflictException",
        "Version to be deleted must not be referenced by an alias. Current list of aliases referencing this version: "
        f"[{name}]",
    )
    listed = sfn.list_state_machine_aliases(stateMachineArn=machine)["stateMachineAliases"]
    assert [known["stateMachineAliasArn"] for known in listed] == [alias]
    sfn.delete_state_machine_alias(stateMachineAliasArn=alias)
    gone = ("ResourceNotFound", "Request references a resource that does not exist.")
    assert refused(sfn.describe_state_machine_alias, stateMachineAliasArn=alias) == gone


def test_a_route_that_is_none_is_refused(sfn, versions):
    machine, first, second = versions
    create = {"name": "a"}

    def text(*weights):
        code, message = refused(sfn.create_state_machine_alias, **create, routingConfiguration=route(*weights))
        assert code == "ValidationException"
        return message

    assert text((first, 70), (second, 29)) == "Sum of routing configuration weights must equal 100. Received: [70, 29]"
    assert text((machine, 100)).startswith("Routing configuration must contain state machine version ARNs. Received: [")
    assert "distinct" in text((first, 50), (first, 50))
