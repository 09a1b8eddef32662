"""AddPermission and RemovePermission, which write the topic's policy."""

import pytest

from sqs.support import refused, unique

OTHER = "123456789012"


def allow(topic, label="label", accounts=(OTHER,), actions=("Publish",)):
    topic.add_permission(Label=label, AWSAccountId=list(accounts), ActionName=list(actions))


def statements(topic):
    return topic.document("Policy")["Statement"]


def test_a_permission_joins_the_default_policy(topic):  # §12
    allow(topic)
    first, second = statements(topic)
    assert first["Sid"] == "__default_statement_ID"
    assert second == {
        "Sid": "label",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": "SNS:Publish",
        "Resource": topic.arn,
    }


def test_several_accounts_and_actions_become_lists(topic):  # §12
    allow(topic, accounts=["111122223333", OTHER], actions=["Publish", "Subscribe"])
    statement = statements(topic)[1]
    assert sorted(statement["Principal"]["AWS"]) == [
        "arn:aws:iam::111122223333:root",
        f"arn:aws:iam::{OTHER}:root",
    ]
    assert sorted(statement["Action"]) == ["SNS:Publish", "SNS:Subscribe"]


def test_a_label_cannot_be_used_twice(topic):  # §12
    allow(topic)
    with refused("InvalidParameter", 400, "Invalid parameter: Statement already exists"):
        allow(topic, actions=["Subscribe"])
    assert len(statements(topic)) == 2


def test_an_unknown_action_is_refused(topic):  # §12
    with refused("InvalidParameter", 400, "Invalid parameter: Policy statement action out of service scope!"):
        allow(topic, actions=["FlyToTheMoon"])


def test_a_permission_is_removed(topic):  # §2
    allow(topic, "one")
    allow(topic, "two")
    topic.remove_permission(Label="one")
    assert [statement["Sid"] for statement in statements(topic)] == ["__default_statement_ID", "two"]


@pytest.mark.parametrize("operation", ["add", "remove"])
def test_the_topic_must_exist(sns, account, operation):
    arn = f"arn:aws:sns:us-east-1:{account}:{unique('never')}"
    with refused("NotFound", 404):
        if operation == "add":
            sns.add_permission(TopicArn=arn, Label="x", AWSAccountId=[OTHER], ActionName=["Publish"])
        else:
            sns.remove_permission(TopicArn=arn, Label="x")
