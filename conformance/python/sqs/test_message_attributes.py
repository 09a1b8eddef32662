"""Message attributes: their digests, what is accepted, and which of them a receive returns."""

import json
import pathlib

import pytest

from sqs.support import digest, refused

CASES = pathlib.Path(__file__).parents[2] / "cases" / "sqs"
VECTORS = json.loads((CASES / "digests.json").read_text())["digests"]


def text(value, kind="String"):
    return {"DataType": kind, "StringValue": value}


def binary(value, kind="Binary"):
    return {"DataType": kind, "BinaryValue": value}


def from_vector(vector):
    return {
        name: binary(value["BinaryText"].encode(), value["DataType"])
        if "BinaryText" in value
        else text(value["StringValue"], value["DataType"])
        for name, value in vector["attributes"].items()
    }


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["digest"][:8] for vector in VECTORS])
def test_digests_are_those_that_aws_gave(queue, vector):  # §5, recorded
    attributes = from_vector(vector)
    sent = queue.send(MessageAttributes=attributes)
    assert sent["MD5OfMessageAttributes"] == vector["digest"]
    got = queue.one(MessageAttributeNames=["All"])
    assert got["MD5OfMessageAttributes"] == vector["digest"]
    assert got["MessageAttributes"] == attributes


def test_attributes_of_all_types_come_back_as_they_were(queue):  # §4, §5
    attributes = {
        "string": text('žluťoučký kůň\r\n\t"<&>'),
        "string.label": text("x", "String.label"),
        "number": text("-12.5e3", "Number"),
        "number.int": text("42", "Number.int"),
        "binary": binary(bytes(range(256))),
        "binary.gif": binary(b"GIF89a", "Binary.gif"),
    }
    sent = queue.send(MessageAttributes=attributes)
    got = queue.one(MessageAttributeNames=["All"])
    assert got["MessageAttributes"] == attributes
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"] == digest(attributes)


@pytest.mark.parametrize("names", [["All"], [".*"], ["*"]])
def test_all_attributes_are_asked_for_in_three_ways(queue, names):  # §6
    queue.send(MessageAttributes={"Hello": text("There"), "General": text("Kenobi")})
    assert set(queue.one(MessageAttributeNames=names)["MessageAttributes"]) == {"Hello", "General"}


@pytest.mark.parametrize(
    "names, expected",
    [
        (["Hello"], {"Hello"}),
        (["Hello", "Missing"], {"Hello"}),
        (["Hel.*"], {"Hello", "Help.Me"}),
        (["Help.*"], {"Help.Me"}),
        (["General", "Help.*"], {"General", "Help.Me"}),
        (["Hello", "Foo "], {"Hello"}),
    ],
)
def test_the_digest_covers_the_attributes_that_are_returned(queue, names, expected):  # §5, §6, §16.9
    attributes = {"Hello": text("There"), "General": text("Kenobi"), "Help.Me": text("Me")}
    queue.send(MessageAttributes=attributes)
    got = queue.one(MessageAttributeNames=names)
    assert set(got["MessageAttributes"]) == expected
    assert got["MD5OfMessageAttributes"] == digest({name: attributes[name] for name in expected})


@pytest.mark.parametrize("names", [[], ["Missing"], ["hello"], ["!illegal name"]])
def test_attributes_and_digest_are_absent_when_nothing_matches(queue, names):  # §5, §6
    queue.send(MessageAttributes={"Hello": text("There")})
    got = queue.one(MessageAttributeNames=names)
    assert "MessageAttributes" not in got and "MD5OfMessageAttributes" not in got


def test_no_attributes_are_returned_unasked(queue):  # §6
    queue.send(MessageAttributes={"Hello": text("There")})
    assert "MessageAttributes" not in queue.one()


def test_ten_attributes_are_accepted(queue):  # §4
    queue.send(MessageAttributes={f"a{n}": text(str(n)) for n in range(10)})
    assert len(queue.one(MessageAttributeNames=["All"])["MessageAttributes"]) == 10


def test_eleven_attributes_are_refused(queue):  # §4 (text not verified)
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes={f"a{n}": text(str(n)) for n in range(11)})


RESERVED = (
    "You can't use message attribute names beginning with 'AWS.' or 'Amazon.'. "
    "These strings are reserved for internal use. Additionally, they cannot start or end with '.'."
)


@pytest.mark.parametrize("name", ["AWS.x", "aws.x", "Amazon.x", "aMaZoN.x", ".x", "x."])
def test_reserved_attribute_names_are_refused(queue, name):  # §4, §11
    with refused("InvalidParameterValue", 400, RESERVED):
        queue.send(MessageAttributes={name: text("v")})


@pytest.mark.parametrize("name", ["a..b", "a b", "a!", 'a"', "a§", "a(", "a?", ""])
def test_attribute_names_of_wrong_form_are_refused(queue, name):  # §4
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes={name: text("v")})


@pytest.mark.parametrize("name", ["a-b_c.d", "attr.1øßä", "AWSx", "n" * 255])
def test_attribute_names_of_right_form_are_accepted(queue, name):  # §4
    queue.send(MessageAttributes={name: text("v")})
    assert set(queue.one(MessageAttributeNames=["All"])["MessageAttributes"]) == {name}


def test_an_attribute_name_that_is_too_long_is_refused(queue):  # §4, §11
    with refused("InvalidParameterValue", 400, "Message (user) attribute names must be shorter than 256 Bytes"):
        queue.send(MessageAttributes={"n" * 257: text("v")})


@pytest.mark.parametrize("kind", ["Boolean", "string", "StringX", "binary", "Float"])
def test_an_unknown_type_of_attribute_is_refused(queue, kind):  # §4, §11
    expected = (
        "The message attribute 'x' has an invalid message attribute type, "
        "the set of supported type prefixes is Binary, Number, and String."
    )
    with refused("InvalidParameterValue", 400, expected):
        queue.send(MessageAttributes={"x": text("v", kind)})


def test_an_attribute_type_that_is_too_long_is_refused(queue):  # §4
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes={"x": text("v", "String." + "l" * 256)})


def test_an_empty_string_value_is_refused(queue):  # §11
    expected = "Message (user) attribute 'x' must contain a non-empty value of type 'String'."
    with refused("InvalidParameterValue", 400, expected):
        queue.send(MessageAttributes={"x": text("")})


def test_a_missing_value_is_refused(queue):  # §4
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes={"x": {"DataType": "String"}})


def test_a_value_of_the_other_kind_is_refused(queue):  # §4
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes={"x": {"DataType": "Binary", "StringValue": "text"}})


@pytest.mark.parametrize("value", ["twelve", "1,5", "0x10", "--1", "1e999", "1" * 39, "NaN"])
def test_a_number_that_is_none_is_refused(queue, value):  # §4 (text not verified)
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes={"x": text(value, "Number")})


@pytest.mark.parametrize("character", ["\x01", "\x1f", "\ufffe"])
def test_a_forbidden_character_in_a_value_is_refused(queue, character):  # §4; the code was observed of AWS, the text was not
    attributes = {"x": text(f"a{character}b")}
    with refused("InvalidParameterValue", 400):
        queue.send(MessageAttributes=attributes)
    entries = [
        {"Id": "bad", "MessageBody": "x", "MessageAttributes": attributes},
        {"Id": "good", "MessageBody": "x"},
    ]
    answer = queue.send_message_batch(Entries=entries)
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [(entry["Id"], entry["Code"]) for entry in answer["Failed"]] == [("bad", "InvalidParameterValue")]


def test_attributes_stay_the_same_through_receives(queue):  # §5
    queue.send(MessageAttributes={"Hello": text("There")})
    seen = [queue.one(VisibilityTimeout=0, MessageAttributeNames=["All"]) for _ in range(2)]
    assert seen[0]["MessageAttributes"] == seen[1]["MessageAttributes"]
