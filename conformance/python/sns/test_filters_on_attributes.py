"""Filter policies on message attributes: which messages are delivered."""

import pytest

from sns.support import binary, number, string
from sqs.support import refused

# A policy, then messages' attributes that match it, then some that do not.
CASES = {
    "a string": ({"a": ["x"]}, [{"a": string("x")}], [{"a": string("y")}, {"a": string("X")}, {}]),
    "one of several strings": (
        {"a": ["x", "y"]},
        [{"a": string("x")}, {"a": string("y")}],
        [{"a": string("z")}, {"a": string("xy")}],
    ),
    "all keys": (
        {"a": ["x"], "b": ["y"]},
        [{"a": string("x"), "b": string("y")}, {"a": string("x"), "b": string("y"), "c": string("z")}],
        [{"a": string("x")}, {"b": string("y")}, {"a": string("x"), "b": string("x")}],
    ),
    "a number": (
        {"a": [5]},
        [{"a": number(5)}, {"a": number("5.0")}, {"a": number("5e0")}],
        [{"a": string("5")}, {"a": number(6)}, {"a": number(-5)}],
    ),
    "a string of digits": ({"a": ["5"]}, [{"a": string("5")}], [{"a": number(5)}]),
    "a prefix": (
        {"a": [{"prefix": "bas"}]},
        [{"a": string("baseball")}, {"a": string("bas")}],
        [{"a": string("rugby")}, {"a": string("ba")}, {"a": string("Baseball")}, {"a": number(1)}],
    ),
    "a suffix": (
        {"a": [{"suffix": "ball"}]},
        [{"a": string("baseball")}, {"a": string("ball")}],
        [{"a": string("ballet")}, {"a": string("BALL")}],
    ),
    "any case": (
        {"a": [{"equals-ignore-case": "Tennis"}]},
        [{"a": string("tennis")}, {"a": string("TENNIS")}, {"a": string("Tennis")}],
        [{"a": string("tennis!")}],
    ),
    "anything but one": (
        {"a": [{"anything-but": "x"}]},
        [{"a": string("y")}, {"a": string("X")}],
        [{"a": string("x")}, {}],
    ),
    "anything but several": (
        {"a": [{"anything-but": ["x", "y"]}]},
        [{"a": string("z")}, {"a": string("xy")}],
        [{"a": string("x")}, {"a": string("y")}],
    ),
    "anything but numbers": (
        {"a": [{"anything-but": [100, 500]}]},
        [{"a": number(101)}],
        [{"a": number(100)}, {"a": number("500.0")}],
    ),
    "anything but a prefix": (
        {"a": [{"anything-but": {"prefix": "order-"}}]},
        [{"a": string("payment-1")}, {"a": string("order")}],
        [{"a": string("order-1")}],
    ),
    "a wildcard": (
        {"a": [{"wildcard": "a*z"}]},
        [{"a": string("az")}, {"a": string("abcz")}],
        [{"a": string("a")}, {"a": string("azb")}, {"a": string("bz")}],
    ),
    "several wildcards": (
        {"a": [{"wildcard": "*.example.*/x"}]},
        [{"a": string("www.example.com/x")}, {"a": string(".example./x")}],
        [{"a": string("example.com/x")}, {"a": string("www.example.com/y")}],
    ),
    "a number by operator": (
        {"a": [{"numeric": ["=", 301.5]}]},
        [{"a": number("301.5")}, {"a": number("3.015e2")}, {"a": number("301.50")}],
        [{"a": number("301.6")}, {"a": string("301.5")}],
    ),
    "numbers above": (
        {"a": [{"numeric": [">", 100]}]},
        [{"a": number("100.00001")}, {"a": number(1000000000)}],
        [{"a": number(100)}, {"a": number(-200)}],
    ),
    "numbers up to": (
        {"a": [{"numeric": ["<=", -5]}]},
        [{"a": number(-5)}, {"a": number("-1000000000")}],
        [{"a": number("-4.99999")}, {"a": number(5)}],
    ),
    "a range of numbers": (
        {"a": [{"numeric": [">", 0, "<=", 150]}]},
        [{"a": number(150)}, {"a": number("0.00001")}],
        [{"a": number(0)}, {"a": number("150.00001")}, {"a": number(-1)}],
    ),
    "several ranges": (
        {"a": [{"numeric": ["<", 1]}, {"numeric": [">=", 10, "<", 20]}, 15.5, "none"]},
        [{"a": number(0)}, {"a": number(10)}, {"a": number("19.9")}, {"a": string("none")}],
        [{"a": number(1)}, {"a": number(20)}],
    ),
    "an attribute that is there": (
        {"a": [{"exists": True}]},
        [{"a": string("x")}, {"a": number(1)}],
        [{}, {"b": string("x")}],
    ),
    "an attribute that is not there": (
        {"a": [{"exists": False}]},
        [{}, {"b": string("x")}],
        [{"a": string("x")}, {"a": number(1)}],
    ),
    "there or not": ({"a": ["x", {"exists": False}]}, [{}, {"a": string("x")}], [{"a": string("y")}]),
    "an address range": (
        {"a": [{"cidr": "10.0.0.0/24"}]},
        [{"a": string("10.0.0.0")}, {"a": string("10.0.0.255")}],
        [{"a": string("10.0.1.0")}, {"a": string("9.255.255.255")}, {"a": string("example.com")}],
    ),
    "a range of long addresses": (
        {"a": [{"cidr": "2001:db8::/32"}]},
        [{"a": string("2001:db8::1")}, {"a": string("2001:0db8:ffff::")}],
        [{"a": string("2001:db9::1")}, {"a": string("10.0.0.1")}],
    ),
    "one or the other": (
        {"a": ["x"], "$or": [{"b": ["y"]}, {"c": [{"numeric": [">", 5]}]}]},
        [{"a": string("x"), "b": string("y")}, {"a": string("x"), "c": number(6)}],
        [{"a": string("x")}, {"b": string("y")}, {"a": string("x"), "c": number(5)}],
    ),
    "a list of strings": (
        {"a": ["x", {"prefix": "ab"}]},
        [{"a": string(["q", "x"], "String.Array")}, {"a": string(["abc"], "String.Array")}],
        [{"a": string(["q", "r"], "String.Array")}, {"a": string([], "String.Array")}],
    ),
    "a list of all kinds": (
        {"a": [5, True, None]},
        [
            {"a": string([1, 5], "String.Array")},
            {"a": string([True], "String.Array")},
            {"a": string([None], "String.Array")},
        ],
        [{"a": string(["5"], "String.Array")}, {"a": string([False, 4], "String.Array")}],
    ),
    "a list of which one is something else": (
        {"a": [{"anything-but": ["x", "y"]}]},
        [{"a": string(["x", "z"], "String.Array")}],
        [{"a": string(["x", "y"], "String.Array")}],
    ),
    "no bytes": ({"a": ["x"]}, [{"a": string("x")}], [{"a": binary(b"x")}]),
    "no policy of keys": ({}, [{}, {"a": string("x")}], []),
    "names with case": ({"Key": ["x"]}, [{"Key": string("x")}], [{"key": string("x")}]),
    "a name with dots": ({"a.b": ["x"]}, [{"a.b": string("x")}], [{"a": string("x")}]),
    "letters of all kinds": ({"a": ["Grüße 😀"]}, [{"a": string("Grüße 😀")}], [{"a": string("Gruesse")}]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_policy_delivers_what_matches(topic, queue, name):  # §11
    policy, delivered, kept_back = CASES[name]
    topic.subscribe_queue(queue, FilterPolicy=policy, RawMessageDelivery=True)
    for word, cases in (("delivered", delivered), ("kept back", kept_back)):
        for n, attributes in enumerate(cases):
            more = {"MessageAttributes": attributes} if attributes else {}
            topic.publish(f"{word} {n}", **more)
    assert sorted(queue.bodies()) == [f"delivered {n}" for n in range(len(delivered))]


def test_bytes_that_match_no_value_do_exist(topic, queue):  # §11
    topic.subscribe_queue(queue, FilterPolicy={"a": ["x"]})
    topic.publish(MessageAttributes={"a": binary(b"x")})
    assert queue.receive() == []


def test_each_subscription_has_a_policy_of_its_own(topic, create_queue):  # §11
    queues = {word: create_queue(word) for word in ("red", "blue", "all")}
    for word, queue in queues.items():
        policy = {} if word == "all" else {"FilterPolicy": {"colour": [word]}}
        topic.subscribe_queue(queue, RawMessageDelivery=True, **policy)
    for colour in ("red", "blue", "green"):
        topic.publish(colour, MessageAttributes={"colour": string(colour)})
    got = {word: sorted(queue.bodies()) for word, queue in queues.items()}
    assert got == {"red": ["red"], "blue": ["blue"], "all": ["blue", "green", "red"]}


def test_a_policy_that_is_changed_holds_from_then_on(topic, queue):  # §11
    subscription = topic.subscribe_queue(queue, FilterPolicy={"a": ["x"]}, RawMessageDelivery=True)
    subscription.set("FilterPolicy", {"a": ["y"]})
    topic.publish("x", MessageAttributes={"a": string("x")})
    topic.publish("y", MessageAttributes={"a": string("y")})
    assert queue.bodies() == ["y"]


def test_entries_of_a_batch_are_filtered_one_by_one(topic, queue):  # §11
    topic.subscribe_queue(queue, FilterPolicy={"a": ["x"]}, RawMessageDelivery=True)
    entries = ({"Id": str(n), "Message": str(n), "MessageAttributes": {"a": string("xy"[n % 2])}} for n in range(10))
    assert len(topic.publish_batch(*entries)["Successful"]) == 10
    assert sorted(queue.bodies()) == ["0", "2", "4", "6", "8"]


def test_the_scope_may_be_changed(topic, queue):  # §11
    subscription = topic.subscribe_queue(queue, FilterPolicy={"a": ["x"]}, RawMessageDelivery=True)
    subscription.set("FilterPolicyScope", "MessageBody")
    topic.publish("no", MessageAttributes={"a": string("x")})
    topic.publish('{"a":"x"}')
    assert queue.bodies() == ['{"a":"x"}']


def test_the_structure_of_a_message_does_not_matter_to_attributes(topic, queue):  # §11
    topic.subscribe_queue(queue, FilterPolicy={"a": ["x"]}, RawMessageDelivery=True)
    topic.publish('{"default":"d","sqs":"s"}', MessageStructure="json", MessageAttributes={"a": string("x")})
    assert queue.bodies() == ["s"]


@pytest.mark.parametrize("kind", ["[1", "x", '{"a":1}'])
def test_a_list_that_is_none_does_not_match(topic, queue, kind):
    topic.subscribe_queue(queue, FilterPolicy={"a": ["y", 1]}, RawMessageDelivery=True)
    try:
        topic.publish(MessageAttributes={"a": string(kind, "String.Array")})
    except topic.sns.exceptions.ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert queue.receive() == []


def test_values_with_quotes_and_backslashes_match(topic, queue):  # §11, §15
    text = 'say "hi" \\o/'
    topic.subscribe_queue(queue, FilterPolicy={"a": [text]}, RawMessageDelivery=True)
    topic.publish("delivered", MessageAttributes={"a": string(text)})
    topic.publish("kept back", MessageAttributes={"a": string("say hi o/")})
    assert queue.bodies() == ["delivered"]


def test_five_keys_are_allowed_and_six_are_not(topic, queue, create_queue):  # §11
    topic.subscribe_queue(queue, FilterPolicy={f"k{n}": ["x"] for n in range(5)})
    text = "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy can not have more than 5 keys"
    with refused("InvalidParameter", 400, text):
        topic.subscribe_queue(create_queue(), FilterPolicy={f"k{n}": ["x"] for n in range(6)})


def test_150_combinations_are_allowed_and_more_are_not(topic, queue, create_queue):  # §11
    def values(n):
        return [f"v{i}" for i in range(n)]

    topic.subscribe_queue(queue, FilterPolicy={"a": values(5), "b": values(5), "c": values(6)})
    text = "Invalid parameter: Attributes Reason: FilterPolicy: Filter policy is too complex"
    for policy in ({"a": values(151)}, {"a": values(4), "b": values(4), "c": values(10)}):
        with refused("InvalidParameter", 400, text):
            topic.subscribe_queue(create_queue(), FilterPolicy=policy)
