"""Filter policies on message bodies: which messages are delivered."""

import json

import pytest

from sns.support import string
from sqs.support import refused

# A policy, then bodies that match it, then some that do not. A string stands for itself, all else for its JSON.
CASES = {
    "a string": ({"a": ["x"]}, [{"a": "x"}, {"a": "x", "b": 1}], [{"a": "y"}, {}, {"b": "x"}, {"a": {"a": "x"}}]),
    "a number": ({"a": [5]}, [{"a": 5}, {"a": 5.0}], [{"a": "5"}, {"a": 6}]),
    "truth": ({"a": [True]}, [{"a": True}], [{"a": False}, {"a": "true"}, {"a": 1}]),
    "nothing": ({"a": [None]}, [{"a": None}], [{"a": "null"}, {"a": False}, {}]),
    "nested keys": (
        {"a": {"b": {"c": ["x"]}}},
        [{"a": {"b": {"c": "x"}}}, {"a": {"b": {"c": "x", "d": 1}}, "e": 2}],
        [{"a": {"b": {"c": "y"}}}, {"a": {"b": "x"}}, {"c": "x"}, {"a": "x"}],
    ),
    "nested keys beside others": (
        {"a": {"b": ["x"], "c": [1, 2]}, "d": ["y"]},
        [{"a": {"b": "x", "c": 2}, "d": "y"}],
        [{"a": {"b": "x", "c": 2}}, {"a": {"b": "x"}, "d": "y"}],
    ),
    "a key with a dot": (
        {"object": {"nested": ["x"]}},
        [{"object": {"nested": "x"}}, {"object.nested": "x"}],
        [{"object": "nested"}, {"object.nested": "y"}],
    ),
    "an array": (
        {"a": ["x"]},
        [{"a": ["q", "x"]}, {"a": ["x"]}],
        [{"a": ["q"]}, {"a": []}, {"a": [{"x": "x"}]}],
    ),
    "an array of objects": (
        {"a": {"b": ["x"]}},
        [{"a": [{"b": "q"}, {"b": "x"}]}, {"a": [[{"b": "x"}]]}],
        [{"a": [{"b": "q"}]}, {"a": [{"c": "x"}]}, {"a": []}],
    ),
    "a prefix in an array": (
        {"a": [{"prefix": "ab"}]},
        [{"a": ["q", "abc"]}],
        [{"a": ["ba"]}],
    ),
    "an array with something else": (
        {"a": [{"anything-but": ["x", "y"]}]},
        [{"a": ["x", "z"]}, {"a": "z"}],
        [{"a": ["x", "y"]}, {"a": "x"}],
    ),
    "a range of numbers": (
        {"a": {"b": [{"numeric": [">=", 0, "<", 10]}]}},
        [{"a": {"b": 0}}, {"a": {"b": 9.99999}}],
        [{"a": {"b": 10}}, {"a": {"b": "5"}}, {"a": {"b": -1}}],
    ),
    "a key that is there": (
        {"a": {"b": [{"exists": True}]}},
        [{"a": {"b": 1}}, {"a": {"b": "x"}}],
        [{"a": {}}, {"a": 1}, {}],
    ),
    "a key that is not there": (
        {"a": [{"exists": False}]},
        [{}, {"b": 1}],
        [{"a": 1}, {"a": "x"}],
    ),
    "a suffix, any case, a wildcard": (
        {"a": [{"suffix": ".pdf"}], "b": [{"equals-ignore-case": "YES"}], "c": [{"wildcard": "x*y"}]},
        [{"a": "x.pdf", "b": "yes", "c": "xy"}],
        [{"a": "x.PDF", "b": "yes", "c": "xy"}, {"a": "x.pdf", "b": "no", "c": "xy"}, {"a": "x.pdf", "b": "yes"}],
    ),
    "an address": (
        {"source": {"ip": [{"cidr": "192.168.0.0/16"}]}},
        [{"source": {"ip": "192.168.7.7"}}],
        [{"source": {"ip": "192.169.0.1"}}, {"source": {"ip": 5}}],
    ),
    "one or the other": (
        {"$or": [{"a": ["x"]}, {"b": {"c": [1]}}]},
        [{"a": "x"}, {"b": {"c": 1}}, {"a": "x", "b": {"c": 2}}],
        [{"a": "y"}, {"b": {"c": 2}}, {}],
    ),
    "one or the other within": (
        {"a": {"$or": [{"b": ["x"]}, {"c": ["y"]}]}, "d": [1]},
        [{"a": {"b": "x"}, "d": 1}, {"a": {"c": "y"}, "d": 1}],
        [{"a": {"b": "x"}}, {"b": "x", "d": 1}, {"a": {"b": "y"}, "d": 1}],
    ),
    "no object at all": ({"a": ["x"]}, [{"a": "x"}], ["x", '"x"', "5", '["x"]', "{", " "]),
    "escapes": ({"a": ["ä\n"]}, ['{"a":"\\u00e4\\n"}', {"a": "ä\n"}], [{"a": "ä"}]),
    "nested deeply": (
        {"a": {"b": {"c": {"d": {"e": ["x"]}}}}},
        [{"a": {"b": {"c": {"d": {"e": "x"}}}}}],
        [{"a": {"b": {"c": {"d": "x"}}}}],
    ),
}


def written(body):
    return body if isinstance(body, str) else json.dumps(body)


@pytest.mark.parametrize("name", CASES)
def test_a_policy_delivers_what_matches(topic, queue, name):  # §11
    policy, delivered, kept_back = CASES[name]
    topic.subscribe_queue(queue, FilterPolicy=policy, FilterPolicyScope="MessageBody", RawMessageDelivery=True)
    for body in delivered + kept_back:
        topic.publish(written(body))
    assert sorted(queue.bodies()) == sorted(map(written, delivered))


@pytest.fixture
def by_body(topic, queue):
    def subscribe(policy):
        topic.subscribe_queue(queue, FilterPolicy=policy, FilterPolicyScope="MessageBody", RawMessageDelivery=True)

    return subscribe


def test_attributes_do_not_matter_to_bodies(topic, queue, by_body):  # §11
    by_body({"a": ["x"]})
    topic.publish('{"a":"y"}', MessageAttributes={"a": string("x")})
    assert queue.receive() == []


def test_envelopes_are_filtered_by_the_message_within(topic, queue):  # §11
    topic.subscribe_queue(queue, FilterPolicy={"a": ["x"]}, FilterPolicyScope="MessageBody")
    topic.publish('{"a":"x"}')
    assert json.loads(queue.one()["Body"])["Message"] == '{"a":"x"}'


def test_the_size_of_a_message_does_not_matter(topic, queue, by_body):
    by_body({"z": ["x"]})
    body = json.dumps({"a": "\\\"\n" * 20000, "list": list(range(10000)), "z": "x"})
    topic.publish(body)
    assert queue.bodies() == [body]


def test_five_leaf_keys_are_allowed_and_six_are_not(topic, queue, create_queue):  # §11
    scope = {"FilterPolicyScope": "MessageBody"}
    policy = {"a": {"b": ["x"], "c": ["x"]}, **{f"k{n}": [1] for n in range(3)}}
    topic.subscribe_queue(queue, FilterPolicy=policy, **scope)
    text = "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy can not have more than 5 keys"
    with refused("InvalidParameter", 400, text):
        topic.subscribe_queue(create_queue(), FilterPolicy={f"k{n}": ["x"] for n in range(6)}, **scope)


def test_combinations_count_with_their_depth(topic, queue, create_queue):  # §11
    def values(n):
        return [f"v{i}" for i in range(n)]

    scope = {"FilterPolicyScope": "MessageBody"}
    # 3 values at depth 3, times 2 at depth 2, times 4 at depth 1: 9 * 4 * 4 = 144
    topic.subscribe_queue(
        queue, FilterPolicy={"a": {"b": {"c": values(3)}}, "d": {"e": values(2)}, "f": values(4)}, **scope
    )
    text = "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy is too complex"
    with refused("InvalidParameter", 400, text):
        # 9 * 4 * 5 = 180
        policy = {"a": {"b": {"c": values(3)}}, "d": {"e": values(2)}, "f": values(5)}
        topic.subscribe_queue(create_queue(), FilterPolicy=policy, **scope)
