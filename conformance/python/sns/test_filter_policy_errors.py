"""What is refused of filter policies, with the texts and positions that are told."""

import json
import re

import pytest

from sns.support import make_topic
from sqs.support import refused

# What is wrong: the policy's text, and the refusal. Those that end in a dot stand alone; all others are followed by
# where in the text they were found.
MATCH_VALUE = "Match value must be String, number, true, false, or null"
WITH_POSITION = {
    "an object of no match type": ('{"a":[{"b":"c"}]}', "Unrecognized match type b"),
    "a misspelt match type": ('{"a":[{"Prefix":"c"}]}', "Unrecognized match type Prefix"),
    "two match types at once": ('{"a":[{"prefix":"x","suffix":"y"}]}', "Only one key allowed in match expression"),
    "no values": ('{"a":[]}', "Empty arrays are not allowed"),
    "a string without brackets": ('{"a":"b"}', '"a" must be an object or an array'),
    "a number without brackets": ('{"a":1}', '"a" must be an object or an array'),
    "truth without brackets": ('{"a":true}', '"a" must be an object or an array'),
    "nothing without brackets": ('{"a":null}', '"a" must be an object or an array'),
    "an array within": ('{"a":[["b"]]}', MATCH_VALUE),
    "a prefix that is a number": ('{"a":[{"prefix":1}]}', "prefix match pattern must be a string"),
    "a suffix that is an array": ('{"a":[{"suffix":["x"]}]}', "suffix match pattern must be a string"),
    "any case of truth": (
        '{"a":[{"equals-ignore-case":true}]}',
        "equals-ignore-case match pattern must be a string",
    ),
    "an address range that is an array": (
        '{"a":[{"cidr":["10.0.0.0/8"]}]}',
        "prefix match pattern must be a string",
    ),
    "existence that is a word": (
        '{"a":[{"exists":"no"}]}',
        "exists match pattern must be either true or false.",
    ),
    "an operator that is a number": ('{"a":[{"numeric":[5]}]}', "Invalid member in numeric match: 5"),
    "an unknown operator": ('{"a":[{"numeric":["!",5]}]}', "Unrecognized numeric range operator: !"),
    "a word that is no number": ('{"a":[{"numeric":["=","5"]}]}', "Value of equals must be numeric"),
    "a bound that is no number": ('{"a":[{"numeric":[">=","5"]}]}', "Value of >= must be numeric"),
    "a bound after an upper one": (
        '{"a":[{"numeric":["<",5,">",1]}]}',
        "Too many elements in numeric expression",
    ),
    "two lower bounds": ('{"a":[{"numeric":[">",5,">",9]}]}', "Bad numeric range operator: >"),
    "a range upside down": ('{"a":[{"numeric":[">",30,"<",20]}]}', "Bottom must be less than top"),
    "a range without its second operator": ('{"a":[{"numeric":[">",20,30]}]}', "Bad value in numeric range: 30"),
    "a range of three": (
        '{"a":[{"numeric":[">",1,"<",9,"<",8]}]}',
        "Too many terms in numeric range expression",
    ),
    "anything but what": ('{"a":[{"anything-but":{"suffix":"x"}}]}', "Unsupported anything-but pattern: suffix"),
}
WITHOUT_POSITION = {
    "an address range without its width": ('{"a":[{"cidr":"10.0.0.0"}]}', "Malformed CIDR, one '/' required"),
    "an address range of letters": ('{"a":[{"cidr":"10.0.0.0/x"}]}', "Malformed CIDR, mask bits must be an integer"),
    "an address that is none": ('{"a":[{"cidr":"somewhere/8"}]}', "Nonstandard IP address: somewhere"),
}


def both(topic, subscription, fresh, policy, text):
    """The same text, with the one beginning in Subscribe and the other in SetSubscriptionAttributes."""
    with refused("InvalidParameter", 400, f"Invalid parameter: {text}") as set_:
        subscription.set("FilterPolicy", policy)
    with refused("InvalidParameter", 400, f"Invalid parameter: Attributes Reason: {text}") as subscribe:
        topic.subscribe_queue(fresh, FilterPolicy=policy)
    return set_.message, subscribe.message


@pytest.fixture
def subscription(topic, queue):
    return topic.subscribe_queue(queue)


@pytest.mark.parametrize("name", WITH_POSITION)
def test_a_refusal_says_where(topic, subscription, create_queue, name):  # §11, §14.5
    policy, text = WITH_POSITION[name]
    told = both(topic, subscription, create_queue(), policy, f"FilterPolicy: {text}...")
    source = re.escape(f'\n at [Source: (String)"{policy}"; line: 1, column: ') + r"\d+\]"
    for message in told:
        where = message.split(text, 1)[1]
        assert re.fullmatch(source, where), message


def test_places_are_those_in_the_policy_without_blanks(topic, subscription, create_queue):  # recorded in May 2024
    text = 'FilterPolicy: "suffix" must be an object or an array'
    source = '\n at [Source: (String)"{"key":{"suffix":"value"}}"; line: 1, column: 19]'
    both(topic, subscription, create_queue(), '{\n "key" : {"suffix": "value"}}', text + source)


@pytest.mark.parametrize("name", WITHOUT_POSITION)
def test_a_refusal_of_an_address_does_not_say_where(topic, subscription, create_queue, name):  # §11
    policy, text = WITHOUT_POSITION[name]
    both(topic, subscription, create_queue(), policy, f"FilterPolicy: {text}")


@pytest.mark.parametrize("policy", ["{", '{"a":', "x", '{"a":["b"}', '{"a":["b"]]', "[", '{"a" ["b"]}'])
def test_a_policy_is_json(topic, subscription, create_queue, policy):  # §11
    both(topic, subscription, create_queue(), policy, "FilterPolicy: failed to parse JSON. ...")


def test_nested_keys_need_the_scope_of_bodies(topic, subscription, create_queue):  # §11
    text = "Filter policy scope MessageAttributes does not support nested filter policy"
    both(topic, subscription, create_queue(), '{"a":{"b":["c"]}}', text)


def test_nested_keys_are_fine_for_bodies(subscription):  # §11
    subscription.set("FilterPolicyScope", "MessageBody")
    subscription.set("FilterPolicy", '{"a":{"b":["c"]}}')
    assert json.loads(subscription.attribute("FilterPolicy")) == {"a": {"b": ["c"]}}


@pytest.mark.parametrize("policy", ['{"$or":[{"a":["x"]}]}', '{"$or":[]}'])
def test_one_alternative_is_none(topic, queue, policy):  # §11
    # AWS takes such a `$or` for a key of that name, or refuses it; it must not deliver what has no such key.
    try:
        topic.subscribe_queue(queue, FilterPolicy=policy)
    except topic.sns.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidParameter"
    topic.publish()
    assert queue.receive() == []


@pytest.mark.parametrize(
    "policy",
    [
        {"a": [{"wildcard": "a*b*c*d*e"}]},
        {"a": [{"wildcard": "a**b"}]},
    ],
)
def test_limits_of_wildcards_are_kept(topic, queue, policy):  # §11
    with refused("InvalidParameter", 400, "Invalid parameter: Attributes Reason: FilterPolicy: ..."):
        topic.subscribe_queue(queue, FilterPolicy=policy)


def test_a_policy_of_256_kb_is_too_large(topic, queue):  # §11
    with refused("InvalidParameter", 400):
        topic.subscribe_queue(queue, FilterPolicy={"a": ["x" * 262200]})


def test_a_refused_policy_leaves_the_one_before(subscription):
    subscription.set("FilterPolicy", '{"a":["b"]}')
    with refused("InvalidParameter", 400):
        subscription.set("FilterPolicy", '{"a":[]}')
    assert subscription.attribute("FilterPolicy") == '{"a":["b"]}'


def test_a_strict_topic_has_two_hundred_policies_at_most(strict_endpoint, clients_of):  # §11
    topic = make_topic(clients_of(strict_endpoint)[0])
    for n in range(200):
        topic.subscribe("sms", f"+1500555{n:04}", FilterPolicy={"a": ["b"]})
    topic.subscribe("sms", "+15005559998")
    with refused("FilterPolicyLimitExceeded", 403):
        topic.subscribe("sms", "+15005559999", FilterPolicy={"a": ["b"]})
