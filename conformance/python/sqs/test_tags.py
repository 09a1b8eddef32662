"""Tags of queues."""

import pytest

from sqs.support import make_queue


def tags(queue):
    return queue.list_queue_tags().get("Tags")


def test_a_queue_without_tags_lists_no_tags_at_all(queue):  # §2, §16.1
    assert tags(queue) is None


def test_tags_are_added_replaced_and_listed(queue):  # §2
    queue.tag_queue(Tags={"a": "1", "b": "2"})
    queue.tag_queue(Tags={"b": "3", "c": ""})
    assert tags(queue) == {"a": "1", "b": "3", "c": ""}


def test_tags_are_removed(queue):  # §2
    queue.tag_queue(Tags={"a": "1", "b": "2"})
    queue.untag_queue(TagKeys=["a"])
    assert tags(queue) == {"b": "2"}
    queue.untag_queue(TagKeys=["b"])
    assert tags(queue) is None


def test_removing_an_unknown_tag_changes_nothing(queue):  # §2
    queue.tag_queue(Tags={"a": "1"})
    queue.untag_queue(TagKeys=["b"])
    assert tags(queue) == {"a": "1"}


def test_tags_are_given_on_creation(sqs):  # §2, §16.14
    queue = make_queue(sqs, tags={"team": "küche", "cost centre": "12/3"})
    assert tags(queue) == {"team": "küche", "cost centre": "12/3"}


def test_tag_keys_are_case_sensitive(queue):
    queue.tag_queue(Tags={"Key": "1", "key": "2"})
    assert tags(queue) == {"Key": "1", "key": "2"}


def test_a_queue_may_have_fifty_tags(queue):  # §15
    wanted = {f"key{n}": "v" * 256 for n in range(50)}
    queue.tag_queue(Tags=wanted)
    assert tags(queue) == wanted


def test_tags_need_a_map(queue):
    with pytest.raises(queue.sqs.exceptions.ClientError) as caught:
        queue.tag_queue()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
