"""Creating, finding, listing and deleting topics; names; accounts and regions."""

import json

import pytest

from sns.support import ACCOUNT, Topic, make_topic, tag_list
from sqs.support import refused, unique

DIFFERENT_ATTRIBUTES = "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
DIFFERENT_TAGS = "Invalid parameter: Tags Reason: Topic already exists with different tags"


def test_a_topic_has_an_arn_of_region_account_and_name(sns, account):  # §1
    name = unique("t")
    assert sns.create_topic(Name=name)["TopicArn"] == f"arn:aws:sns:us-east-1:{account}:{name}"


def test_creating_a_topic_again_gives_the_same_one(sns):  # §2
    name = unique("t")
    first = sns.create_topic(Name=name, Attributes={"DisplayName": "x"})
    assert sns.create_topic(Name=name, Attributes={"DisplayName": "x"})["TopicArn"] == first["TopicArn"]
    assert sns.create_topic(Name=name)["TopicArn"] == first["TopicArn"]


def test_creating_a_topic_again_with_other_attributes_is_refused(sns):  # §2
    name = unique("t")
    sns.create_topic(Name=name, Attributes={"DisplayName": "x"})
    with refused("InvalidParameter", 400, DIFFERENT_ATTRIBUTES):
        sns.create_topic(Name=name, Attributes={"DisplayName": "y"})
    with refused("InvalidParameter", 400, DIFFERENT_ATTRIBUTES):
        sns.create_topic(Name=name, Attributes={"DisplayName": "x", "SignatureVersion": "2"})


def test_creating_a_fifo_topic_again_with_other_attributes_is_refused(sns):  # §2
    name = unique("t", fifo=True)
    sns.create_topic(Name=name, Attributes={"FifoTopic": "true"})
    with refused("InvalidParameter", 400, DIFFERENT_ATTRIBUTES):
        sns.create_topic(Name=name, Attributes={"FifoTopic": "true", "ContentBasedDeduplication": "true"})


def test_creating_a_topic_again_with_the_same_fewer_or_no_tags_gives_the_same_one(sns):  # §2
    name = unique("t")
    first = sns.create_topic(Name=name, Tags=tag_list({"a": "1", "b": "2"}))
    for tags in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "1"}, {}):
        assert sns.create_topic(Name=name, Tags=tag_list(tags))["TopicArn"] == first["TopicArn"]
    assert sns.create_topic(Name=name)["TopicArn"] == first["TopicArn"]


@pytest.mark.parametrize("tags", [{"a": "2"}, {"c": "1"}, {"a": "1", "b": "2", "c": "3"}])
def test_creating_a_topic_again_with_other_or_more_tags_is_refused(sns, tags):  # §2
    name = unique("t")
    sns.create_topic(Name=name, Tags=tag_list({"a": "1", "b": "2"}))
    with refused("InvalidParameter", 400, DIFFERENT_TAGS):
        sns.create_topic(Name=name, Tags=tag_list(tags))


def test_creating_an_untagged_topic_again_with_tags_is_refused(sns):  # §2
    name = unique("t")
    sns.create_topic(Name=name)
    with refused("InvalidParameter", 400, DIFFERENT_TAGS):
        sns.create_topic(Name=name, Tags=tag_list({"a": "1"}))


@pytest.mark.parametrize("name", ["", "a b", "ä", "a.b", "a:b", "a/b", "x" * 257, "a.fifo"])
def test_a_name_of_wrong_form_is_refused(sns, name):  # §2
    with refused("InvalidParameter", 400, "Invalid parameter: Topic Name"):
        sns.create_topic(Name=name)


@pytest.mark.parametrize("name", ["x", "A-b_9", "x" * 248])
def test_a_name_of_right_form_is_accepted(sns, name):
    name += unique("")[-8:]
    assert sns.create_topic(Name=name)["TopicArn"].endswith(":" + name)


def test_a_fifo_topic_needs_its_ending(sns):  # §10
    with refused("InvalidParameter", 400):
        sns.create_topic(Name=unique("t"), Attributes={"FifoTopic": "true"})


def test_the_name_is_required(sns):
    with pytest.raises(sns.exceptions.ClientError) as caught:
        sns.create_topic()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_deleted_topic_is_gone(sns, topic):  # §2
    topic.delete_topic()
    with refused("NotFound", 404, "Topic does not exist"):
        topic.get_topic_attributes()


def test_deleting_a_topic_again_or_an_unknown_one_is_no_error(sns, topic, account):  # §2
    topic.delete_topic()
    topic.delete_topic()
    sns.delete_topic(TopicArn=f"arn:aws:sns:us-east-1:{account}:{unique('never')}")


def test_subscriptions_vanish_with_their_topic(sns, topic, queue):  # §2
    subscription = topic.subscribe_queue(queue)
    topic.delete_topic()
    with refused("NotFound", 404, "Topic does not exist"):
        topic.list_subscriptions_by_topic()
    pages = sns.get_paginator("list_subscriptions").paginate()
    assert subscription.arn not in [one["SubscriptionArn"] for page in pages for one in page["Subscriptions"]]


def test_a_topic_made_again_starts_without_subscriptions(sns, topic, queue):
    topic.subscribe_queue(queue)
    topic.delete_topic()
    again = Topic(sns, sns.create_topic(Name=topic.name)["TopicArn"])
    assert again.arn == topic.arn
    assert again.subscriptions() == []
    again.publish()
    assert queue.receive() == []


def test_topics_are_listed(sns, topic):  # §2
    pages = sns.get_paginator("list_topics").paginate()
    assert {"TopicArn": topic.arn} in [one for page in pages for one in page["Topics"]]


def test_topics_are_listed_a_hundred_at_a_time(endpoint, clients_of):  # §2
    sns, _ = clients_of(endpoint, access_key="101010101010")
    made = sorted(make_topic(sns, "page").arn for _ in range(101))
    first = sns.list_topics()
    assert len(first["Topics"]) == 100 and first["NextToken"]
    second = sns.list_topics(NextToken=first["NextToken"])
    assert len(second["Topics"]) == 1 and "NextToken" not in second
    assert sorted(one["TopicArn"] for one in first["Topics"] + second["Topics"]) == made


def test_exactly_a_hundred_topics_are_one_page(endpoint, clients_of):
    sns, _ = clients_of(endpoint, access_key="101010101011")
    for _ in range(100):
        make_topic(sns, "page")
    answer = sns.list_topics()
    assert len(answer["Topics"]) == 100 and "NextToken" not in answer


def test_a_token_that_is_none_is_refused(sns):
    with refused("InvalidParameter", 400):
        sns.list_topics(NextToken="garbage")


def test_accounts_have_topics_of_their_own(sns, topic, other_account):  # §1
    sns2, _ = other_account
    arn = sns2.create_topic(Name=topic.name)["TopicArn"]
    assert arn == topic.arn.replace(ACCOUNT, "111122223333")
    pages = sns2.get_paginator("list_topics").paginate()
    listed = [one["TopicArn"] for page in pages for one in page["Topics"]]
    assert arn in listed and topic.arn not in listed
    assert Topic(sns2, arn).attribute("Owner") == "111122223333"


def test_regions_have_topics_of_their_own(sns, topic, other_region):  # §1
    sns2, _ = other_region
    arn = sns2.create_topic(Name=topic.name)["TopicArn"]
    assert arn == topic.arn.replace("us-east-1", "eu-central-1")
    pages = sns2.get_paginator("list_topics").paginate()
    assert topic.arn not in [one["TopicArn"] for page in pages for one in page["Topics"]]
    Topic(sns2, arn).delete_topic()
    assert topic.attribute("TopicArn") == topic.arn


@pytest.mark.parametrize("operation", ["get_topic_attributes", "list_subscriptions_by_topic", "publish"])
def test_an_unknown_topic_is_not_found(sns, account, operation):  # §2, §5
    arn = f"arn:aws:sns:us-east-1:{account}:{unique('never')}"
    more = {"Message": "x"} if operation == "publish" else {}
    with refused("NotFound", 404, "Topic does not exist"):
        getattr(sns, operation)(TopicArn=arn, **more)


def test_an_unknown_topic_has_no_attributes_to_set(sns, account):  # §2
    arn = f"arn:aws:sns:us-east-1:{account}:{unique('never')}"
    with refused("NotFound", 404, "Topic does not exist"):
        sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="x")


@pytest.mark.parametrize("operation", ["get_topic_attributes", "delete_topic", "list_subscriptions_by_topic"])
def test_an_arn_that_is_none_is_refused(sns, operation):
    with refused("InvalidParameter", 400, "Invalid parameter: TopicArn..."):
        getattr(sns, operation)(TopicArn="garbage")


def test_a_data_protection_policy_can_be_given_at_creation(sns):  # §2
    policy = json.dumps({"Name": "none", "Version": "2021-06-01", "Statement": []})
    arn = sns.create_topic(Name=unique("t"), DataProtectionPolicy=policy)["TopicArn"]
    found = sns.get_data_protection_policy(ResourceArn=arn)["DataProtectionPolicy"]
    assert json.loads(found) == json.loads(policy)
