"""What becomes of events that targets do not get (§6)."""

import json

import boto3
import pytest

from events.support import PREFIX, event_of
from sns.outbox import Outbox
from sqs.conftest import settings
from sqs.support import make_queue, unique


def attributes(message):
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def letter(letters):
    return letters.one(MessageAttributeNames=["All"])


def test_a_missing_queue(bus, rule, queue, letters):
    arn = queue.arn
    rule.to(queue, DeadLetterConfig={"Arn": letters.arn})
    queue.delete_queue()
    id = bus.put_one(detail={"a": 1})
    message = letter(letters)
    assert (event_of(message)["id"], event_of(message)["detail"]) == (id, {"a": 1})
    found = attributes(message)
    assert (found["RULE_ARN"], found["TARGET_ARN"], found["ERROR_CODE"]) == (rule.arn, arn, "NO_RESOURCE")
    assert "ERROR_MESSAGE" in found


def test_a_third_bus(events, bus, rule, letters, default_rule):
    other = unique("b")
    events.create_event_bus(Name=other)
    default_rule.put_targets(Targets=[{"Id": "1", "Arn": bus.arn}])
    second = bus.rule({"source": [default_rule.name]})
    target = {"Id": "1", "Arn": f"{PREFIX}event-bus/{other}", "DeadLetterConfig": {"Arn": letters.arn}}
    second.put_targets(Targets=[target])
    entry = {"Source": default_rule.name, "DetailType": "t", "Detail": "{}"}
    events.put_events(Entries=[entry])
    assert attributes(letter(letters))["ERROR_CODE"] == "THIRD_ACCOUNT_HOP_DETECTED"


def test_an_input_that_is_not_json(bus, rule, queue, letters):
    transformer = {"InputPathsMap": {"a": "$.detail"}, "InputTemplate": '{"a": "<a>"}'}
    rule.to(queue, InputTransformer=transformer, DeadLetterConfig={"Arn": letters.arn})
    bus.put_one(detail={"a": 1})
    assert attributes(letter(letters))["ERROR_CODE"] == "INVALID_JSON"


def test_a_queue_that_does_not_let_the_rule_send(strict_endpoint):
    events, sqs = (boto3.client(service, **settings(strict_endpoint)) for service in ("events", "sqs"))
    queue, letters = make_queue(sqs), make_queue(sqs)
    name = unique("r")
    arn = events.put_rule(Name=name, EventPattern='{"source": ["%s"]}' % name)["RuleArn"]

    def allow(to):
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": to.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
        }
        to.set(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    allow(letters)
    target = {"Id": "1", "Arn": queue.arn, "DeadLetterConfig": {"Arn": letters.arn}}
    events.put_targets(Rule=name, Targets=[target])
    entry = {"Source": name, "DetailType": "t", "Detail": "{}"}
    events.put_events(Entries=[entry])
    assert attributes(letter(letters))["ERROR_CODE"] == "NO_RESOURCE"
    allow(queue)
    events.put_events(Entries=[entry])
    assert len(queue.receive(10)) == 1


def test_another_account_puts_events_if_the_policy_says_so(strict_endpoint):
    events = boto3.client("events", **settings(strict_endpoint))
    other = boto3.client("events", **{**settings(strict_endpoint), "aws_access_key_id": "111111111111"})
    bus = events.create_event_bus(Name=unique("b"))["EventBusArn"]
    entry = {"EventBusName": bus, "Source": "s", "DetailType": "t", "Detail": "{}"}
    refused = other.put_events(Entries=[entry])
    assert refused["Entries"][0]["ErrorCode"] == "AccessDeniedException"
    name = bus.rsplit("/", 1)[1]
    permission = {"Action": "events:PutEvents", "Principal": "111111111111", "StatementId": "a"}
    events.put_permission(EventBusName=name, **permission)
    assert other.put_events(Entries=[entry])["FailedEntryCount"] == 0


def handed_over(endpoint, arn):
    """What the outbox has for a target, once it has something."""
    found = Outbox(endpoint).one_about(arn)
    return found["protocol"], found["body"], found["rule_arn"]


def test_a_function_gets_the_event_in_the_outbox(endpoint, bus, rule):
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{rule.name}"
    rule.put_targets(Targets=[{"Id": "1", "Arn": arn}])
    id = bus.put_one()
    protocol, body, rule_arn = handed_over(endpoint, arn)
    assert (protocol, json.loads(body)["id"], rule_arn) == ("lambda", id, rule.arn)


@pytest.mark.parametrize("service", ["logs", "states", "batch"])
def test_another_target_gets_the_event_in_the_outbox(endpoint, bus, rule, service):
    arn = f"arn:aws:{service}:us-east-1:000000000000:{rule.name}"
    rule.put_targets(Targets=[{"Id": "1", "Arn": arn, "Input": "[1]"}])
    bus.put_one()
    assert handed_over(endpoint, arn) == ("target", "[1]", rule.arn)
