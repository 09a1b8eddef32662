"""AddPermission and RemovePermission, which write the queue's policy."""

import json

import pytest

from sqs.support import refused

OTHER = "123456789012"


def policy(queue):
    text = queue.attribute("Policy")
    return text and json.loads(text)


def allow(queue, label="label", accounts=(OTHER,), actions=("ReceiveMessage",)):
    queue.add_permission(Label=label, AWSAccountIds=list(accounts), Actions=list(actions))


def test_a_permission_makes_a_policy(queue):  # §9
    allow(queue)
    assert policy(queue) == {
        "Version": "2008-10-17",
        "Id": f"{queue.arn}/SQSDefaultPolicy",
        "Statement": [
            {
                "Sid": "label",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
                "Action": "SQS:ReceiveMessage",
                "Resource": queue.arn,
            }
        ],
    }


def test_several_accounts_and_actions_become_lists(queue):  # §9
    allow(queue, accounts=["111122223333", OTHER], actions=["SendMessage", "ReceiveMessage"])
    (statement,) = policy(queue)["Statement"]
    assert sorted(statement["Principal"]["AWS"]) == [
        "arn:aws:iam::111122223333:root",
        f"arn:aws:iam::{OTHER}:root",
    ]
    assert sorted(statement["Action"]) == ["SQS:ReceiveMessage", "SQS:SendMessage"]


def test_every_label_is_a_statement(queue):  # §9
    allow(queue, "one")
    allow(queue, "two", actions=["SendMessage"])
    assert [statement["Sid"] for statement in policy(queue)["Statement"]] == ["one", "two"]


def test_a_permission_joins_a_policy_that_was_set(queue):  # §2
    statement = {"Sid": "own", "Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue.arn}
    queue.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    allow(queue)
    found = policy(queue)["Statement"]
    assert found[0] == statement and found[1]["Sid"] == "label"


def test_a_label_cannot_be_used_twice(queue):  # §9
    allow(queue)
    with refused("InvalidParameterValue", 400, "Value label for parameter Label is invalid. Reason: Already exists."):
        allow(queue, actions=["SendMessage"])


def test_a_permission_is_removed(queue):  # §9
    allow(queue, "one")
    allow(queue, "two")
    queue.remove_permission(Label="one")
    assert [statement["Sid"] for statement in policy(queue)["Statement"]] == ["two"]


def test_removing_the_last_permission_removes_the_policy(queue):  # §2
    allow(queue)
    queue.remove_permission(Label="label")
    assert policy(queue) is None
    assert "Policy" not in queue.attributes()


def test_an_unknown_label_cannot_be_removed(queue):  # §9
    text = "Value other for parameter Label is invalid. Reason: can't find label."
    with refused("InvalidParameterValue", 400, text):
        queue.remove_permission(Label="other")


def test_an_unknown_action_is_refused(queue):  # §9
    with refused(
        "InvalidParameterValue", 400, "Value SQS:FlyToTheMoon for parameter ActionName is invalid. Reason: ..."
    ):
        allow(queue, actions=["FlyToTheMoon"])


@pytest.mark.parametrize("action", ["CreateQueue", "DeleteQueue", "SetQueueAttributes", "AddPermission", "TagQueue"])
def test_owners_actions_are_refused(queue, action):  # §9
    text = "Reason: Only the queue owner is allowed to invoke this action."
    with refused("InvalidParameterValue", 400, f"Value SQS:{action} for parameter ActionName is invalid. {text}"):
        allow(queue, actions=[action])


def test_more_than_seven_actions_are_refused(queue):  # §9
    actions = [
        "SendMessage",
        "ReceiveMessage",
        "DeleteMessage",
        "ChangeMessageVisibility",
        "GetQueueAttributes",
        "GetQueueUrl",
        "PurgeQueue",
        "ListDeadLetterSourceQueues",
    ]
    with refused("OverLimit", 403, "8 Actions were found, maximum allowed is 7."):
        allow(queue, actions=actions)
    allow(queue, actions=actions[:7])


@pytest.mark.parametrize("missing", ["Label", "AWSAccountIds", "Actions"])
def test_every_parameter_of_a_permission_is_required(queue, missing):  # §2
    arguments = {"Label": "label", "AWSAccountIds": [OTHER], "Actions": ["SendMessage"]}
    arguments.pop(missing)
    with refused("MissingParameter", 400):
        queue.add_permission(**arguments)
