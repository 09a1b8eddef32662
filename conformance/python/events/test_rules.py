"""Rules, their targets and their patterns."""

import json

import pytest

from events.support import PREFIX
from sqs.support import refused, unique


def test_a_rule_is_replaced_by_what_is_said_now(events, bus):  # §2
    name = unique("r")

    def put(**more):
        return events.put_rule(Name=name, EventBusName=bus.name, EventPattern='{"source": ["a"]}', **more)

    arn = put(Description="d", Tags=[{"Key": "a", "Value": "1"}])["RuleArn"]
    assert arn == f"{PREFIX}rule/{bus.name}/{name}"
    put(State="DISABLED", Tags=[{"Key": "a", "Value": "2"}])
    rule = events.describe_rule(Name=name, EventBusName=bus.name)
    assert (rule["State"], rule.get("Description"), rule["EventBusName"]) == ("DISABLED", None, bus.name)
    assert rule["CreatedBy"] == "000000000000"
    assert events.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "1"}]
    events.enable_rule(Name=name, EventBusName=bus.name)
    assert events.describe_rule(Name=name, EventBusName=bus.name)["State"] == "ENABLED"


def test_a_rule_of_the_default_bus_does_not_name_it(events, default_rule):  # §16
    assert default_rule.describe_rule()["Arn"] == f"{PREFIX}rule/{default_rule.name}"


def test_a_rule_with_targets_stays(events, rule, queue):  # §2
    rule.to(queue)
    with refused("ValidationException", 400, "Rule can't be deleted since it has targets."):
        rule.delete_rule()
    rule.remove_targets(Ids=["1"])
    rule.delete_rule()
    rule.delete_rule()
    with refused(
        "ResourceNotFoundException", 400, f"Rule {rule.name} does not exist on EventBus {rule.bus}."
    ):
        rule.describe_rule()


def test_what_is_missing_is_said(events):  # §2
    with refused("ResourceNotFoundException", 400, "Event bus missing does not exist."):
        events.put_rule(Name="r", EventBusName="missing", EventPattern='{"source": ["a"]}')
    with refused("ResourceNotFoundException", 400, "Event bus missing does not exist."):
        events.list_rules(EventBusName="missing")
    with refused("ValidationException", 400, "Parameter(s) EventPattern or ScheduleExpression must be specified."):
        events.put_rule(Name="r")


def test_a_schedule_belongs_to_the_default_bus(events, bus):  # §4
    with refused("ValidationException", 400, "ScheduleExpression is supported only on the default event bus."):
        events.put_rule(Name="r", EventBusName=bus.name, ScheduleExpression="rate(1 minute)")


def test_rules_are_listed_page_by_page_and_found_by_their_targets(events, bus, queue):  # §2
    rules = [bus.rule({"source": ["a"]}).name for _ in range(5)]
    pages = [
        [rule["Name"] for rule in page["Rules"]]
        for page in events.get_paginator("list_rules").paginate(EventBusName=bus.name, PaginationConfig={"PageSize": 2})
    ]
    assert sum(pages, []) == sorted(rules)
    for name in rules[:3]:
        target = {"Id": "1", "Arn": queue.arn}
        events.put_targets(Rule=name, EventBusName=bus.name, Targets=[target])
    found = events.list_rule_names_by_target(TargetArn=queue.arn, EventBusName=bus.name)["RuleNames"]
    assert found == sorted(rules[:3])


def test_targets_are_replaced_by_their_ids(events, rule, queue, letters):  # §2, 6
    rule.to(queue, "a").to(letters, "b").to(queue, "b", Input="{}")
    assert rule.targets() == [
        {"Id": "a", "Arn": queue.arn},
        {"Id": "b", "Arn": queue.arn, "Input": "{}"},
    ]


def test_a_rule_has_five_targets(events, rule, queue):  # §2
    for number in range(5):
        rule.to(queue, str(number))
    with refused("LimitExceededException", 400, "The requested resource exceeds the maximum number allowed."):
        rule.to(queue, "6")


def test_all_that_is_said_of_a_target_is_told(events, rule, queue, letters):
    target = {
        "Id": "x",
        "Arn": queue.arn,
        "RoleArn": "arn:aws:iam::000000000000:role/r",
        "InputTransformer": {"InputPathsMap": {"a": "$.detail"}, "InputTemplate": "{\"a\": <a>}"},
        "DeadLetterConfig": {"Arn": letters.arn},
        "RetryPolicy": {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 60},
        "EcsParameters": {
            "TaskDefinitionArn": "t",
            "NetworkConfiguration": {"awsvpcConfiguration": {"Subnets": ["s"]}},
            "EnableECSManagedTags": True,
        },
    }
    rule.put_targets(Targets=[target])
    assert rule.targets() == [target]


@pytest.mark.parametrize(
    "more, text",
    [
        (
            {"Input": "{}", "InputPath": "$"},
            "Only one of Input, InputPath, or InputTransformer must be provided for target x.",
        ),
        (
            {"InputTransformer": {"InputTemplate": '"<other>"'}},
            "InputTemplate for target x contains invalid placeholder other.",
        ),
        ({"Input": "{"}, "JSON syntax error in input for target x."),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(events, rule, queue, more, text):  # §6
    with refused("ValidationException", 400, text):
        rule.put_targets(Targets=[{"Id": "x", "Arn": queue.arn, **more}])
    with refused(
        "ValidationException", 400, "Parameter nothing is not valid. Reason: Provided Arn is not in correct format."
    ):
        rule.put_targets(Targets=[{"Id": "x", "Arn": "nothing"}])


EVENT = {
    "id": "i",
    "account": "000000000000",
    "source": "s",
    "time": "2020-01-01T00:00:00Z",
    "region": "us-east-1",
    "resources": [],
    "detail-type": "t",
    "detail": {"a": 1, "b": ["x", "y"], "c": None},
}


@pytest.mark.parametrize(
    "detail, result",
    [
        ({"a": [1.0]}, True),
        ({"a": ["1"]}, False),
        ({"b": ["y"]}, True),
        ({"c": [None]}, True),
        ({"d": [{"exists": False}]}, True),
        ({"d": [{"anything-but": "x"}]}, False),
    ],
)
def test_a_pattern_is_tried(events, detail, result):  # §15
    pattern = json.dumps({"detail": detail})
    answer = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT))
    assert answer["Result"] is result


def test_a_pattern_that_is_none_is_refused_with_its_place(events):  # §4
    pattern = '{"source": "x"}'
    text = (
        'Event pattern is not valid. Reason: "source" must be an object or an array\n'
        ' at [Source: (String)"{"source": "x"}"; line: 1, column: 13]'
    )
    with refused("InvalidEventPatternException", 400, text):
        events.put_rule(Name="r", EventPattern=pattern)
    with refused("InvalidEventPatternException", 400, text):
        events.test_event_pattern(EventPattern=pattern, Event=json.dumps(EVENT))
    with refused("ValidationException", 400, "Parameter Event is not valid."):
        events.test_event_pattern(EventPattern='{"source": ["x"]}', Event='{"source": "x"}')
