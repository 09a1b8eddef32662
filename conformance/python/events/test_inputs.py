"""What targets are handed: InputPath, Input, InputTransformer (§6)."""

import json

import pytest

DETAIL = {
    "user": "u",
    "payload": {"acc_id": "0a78", "sf_id": "baz"},
    "one": ["HIGH"],
    "many": ["ACTIVE", "INACTIVE"],
    "n": 5,
}


def handed(bus, rule, queue, **more):
    rule.to(queue, **more)
    bus.put_one(detail=DETAIL)
    return queue.bodies()


def transformed(bus, rule, queue, template):
    paths = {name: f"$.detail.{name}" for name in [*DETAIL, "missing"]}
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    return handed(bus, rule, queue, InputTransformer=transformer)


def test_a_text_keeps_its_quotes(bus, rule, queue):
    assert handed(bus, rule, queue, InputPath="$.detail.user") == ['"u"']


def test_a_constant_is_handed_on(bus, rule, queue):
    assert handed(bus, rule, queue, Input='{"a": [1]}') == ['{"a": [1]}']


@pytest.mark.parametrize(
    "template, body",
    [
        ('"Payload of <payload> for <user>"', '"Payload of {acc_id:0a78,sf_id:baz} for u"'),
        ('"<one> <many>"', '"[HIGH] [ACTIVE,INACTIVE]"'),
        ('"a <missing>b"', '"a b"'),
        ('"first <user>"\n"second <n>"', '"first u"\n"second 5"'),
    ],
)
def test_texts_are_handed_on_as_they_are(bus, rule, queue, template, body):
    assert transformed(bus, rule, queue, template) == [body]


@pytest.mark.parametrize(
    "template, document",
    [
        ('{"a": <user>, "b": <payload>, "c": [<n>]}', {"a": "u", "b": DETAIL["payload"], "c": [5]}),
        ('{"a": "users/<user>", "b": "<missing>"}', {"a": "users/u", "b": ""}),
    ],
)
def test_json_is_filled_in(bus, rule, queue, template, document):
    (body,) = transformed(bus, rule, queue, template)
    assert json.loads(body) == document


@pytest.mark.parametrize("template", ['{"x": "<one>"}', '{"x": "<payload>"}', "Payload of <user>"])
def test_what_would_not_be_json_is_not_delivered(bus, rule, queue, template):
    assert transformed(bus, rule, queue, template) == []


def test_predefined_variables(bus, rule, queue):
    template = (
        '{"arn": <aws.events.rule-arn>, "name": "<aws.events.rule-name>", "event": <aws.events.event>, '
        '"json": <aws.events.event.json>, "time": <aws.events.event.ingestion-time>}'
    )
    (body,) = transformed(bus, rule, queue, template)
    document = json.loads(body)
    assert (document["arn"], document["name"]) == (rule.arn, rule.name)
    whole = document["json"]
    assert whole["detail"] == DETAIL
    assert list(document["event"]) == [
        "version",
        "id",
        "detailType",
        "source",
        "account",
        "time",
        "region",
        "resources",
    ]
    assert document["event"]["id"] == whole["id"]
    assert document["event"]["time"] == document["time"]
