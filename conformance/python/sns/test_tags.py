"""Tags of topics."""

import pytest

from sns.support import make_topic, tag_list
from sqs.support import refused, unique


def tags(topic):
    found = topic.sns.list_tags_for_resource(ResourceArn=topic.arn)["Tags"]
    return {one["Key"]: one["Value"] for one in found}


def tag(topic, **wanted):
    topic.sns.tag_resource(ResourceArn=topic.arn, Tags=tag_list(wanted))


def test_a_topic_without_tags_has_an_empty_list(topic):  # §2
    assert topic.sns.list_tags_for_resource(ResourceArn=topic.arn)["Tags"] == []


def test_tags_are_added_replaced_listed_and_removed(topic):  # §2
    tag(topic, a="1", b="2")
    tag(topic, b="3", c="")
    assert tags(topic) == {"a": "1", "b": "3", "c": ""}
    topic.sns.untag_resource(ResourceArn=topic.arn, TagKeys=["a", "c", "unknown"])
    assert tags(topic) == {"b": "3"}


def test_tags_are_given_at_creation(sns):  # §2
    topic = make_topic(sns, tags={"team": "küche", "cost centre": "12/3"})
    assert tags(topic) == {"team": "küche", "cost centre": "12/3"}


def test_a_tag_twice_in_a_request_is_refused(topic):  # §2
    twice = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}, {"Key": "a", "Value": "2"}]
    with refused("InvalidParameter", 400, "Invalid parameter: Duplicated keys are not allowed."):
        topic.sns.tag_resource(ResourceArn=topic.arn, Tags=twice)
    with refused("InvalidParameter", 400, "Invalid parameter: Duplicated keys are not allowed."):
        topic.sns.create_topic(Name=unique("t"), Tags=twice)
    assert tags(topic) == {}


def test_a_topic_has_fifty_tags_at_most(topic):  # §2
    tag(topic, **{f"key{n}": "v" * 256 for n in range(50)})
    with refused("TagLimitExceeded", 400):
        tag(topic, another="1")
    tag(topic, key0="replaced")
    assert len(tags(topic)) == 50


@pytest.mark.parametrize("kind", ["tag", "untag", "list"])
def test_an_unknown_topic_is_a_resource_not_found(sns, account, kind):  # §2, §14.11
    arn = f"arn:aws:sns:us-east-1:{account}:{unique('never')}"
    with refused("ResourceNotFound", 404, "Resource does not exist"):
        if kind == "tag":
            sns.tag_resource(ResourceArn=arn, Tags=tag_list({"a": "1"}))
        elif kind == "untag":
            sns.untag_resource(ResourceArn=arn, TagKeys=["a"])
        else:
            sns.list_tags_for_resource(ResourceArn=arn)


def test_tags_go_with_their_topic(sns):
    topic = make_topic(sns, tags={"a": "1"})
    topic.delete_topic()
    sns.create_topic(Name=topic.name)
    assert tags(topic) == {}
