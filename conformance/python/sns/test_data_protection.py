"""Data-protection policies, which are stored and given back."""

import json

import pytest

from sqs.support import refused, unique

POLICY = {
    "Name": "audit",
    "Description": "nothing leaves",
    "Version": "2021-06-01",
    "Statement": [
        {
            "Sid": "audit",
            "DataDirection": "Inbound",
            "Principal": ["*"],
            "DataIdentifier": ["arn:aws:dataprotection::aws:data-identifier/EmailAddress"],
            "Operation": {"Audit": {"SampleRate": "99", "FindingsDestination": {}}},
        }
    ],
}


def test_a_policy_is_stored_and_given_back(sns, topic):  # §2
    sns.put_data_protection_policy(ResourceArn=topic.arn, DataProtectionPolicy=json.dumps(POLICY))
    found = sns.get_data_protection_policy(ResourceArn=topic.arn)["DataProtectionPolicy"]
    assert json.loads(found) == POLICY


def test_a_topic_without_one_says_so_by_an_empty_answer(sns, topic):
    assert not sns.get_data_protection_policy(ResourceArn=topic.arn).get("DataProtectionPolicy")


def test_a_policy_may_have_30720_characters(sns, topic):  # §2
    policy = json.dumps({**POLICY, "Description": ""})
    policy = json.dumps({**POLICY, "Description": "x" * (30720 - len(policy))})
    assert len(policy) == 30720
    sns.put_data_protection_policy(ResourceArn=topic.arn, DataProtectionPolicy=policy)
    with refused("InvalidParameter", 400):
        sns.put_data_protection_policy(ResourceArn=topic.arn, DataProtectionPolicy=policy + " ")


@pytest.mark.parametrize("policy", ["{", "x"])
def test_a_policy_that_is_no_json_is_refused(sns, topic, policy):
    with refused("InvalidParameter", 400):
        sns.put_data_protection_policy(ResourceArn=topic.arn, DataProtectionPolicy=policy)


def test_the_topic_must_exist(sns, account):
    arn = f"arn:aws:sns:us-east-1:{account}:{unique('never')}"
    with pytest.raises(sns.exceptions.ClientError) as caught:
        sns.put_data_protection_policy(ResourceArn=arn, DataProtectionPolicy=json.dumps(POLICY))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
