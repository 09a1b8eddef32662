"""Rules with schedules: what is taken, when they run, what their targets get (§4, 5, 16)."""

import datetime
import json

import pytest

from events.support import ACCOUNT, PREFIX, REGION, Rule
from scheduler.support import now, received
from sqs.support import refused, unique


def bodies(queue):
    """The bodies of all messages that can be received, which are deleted."""
    return [message["Body"] for message in received(queue.sqs, queue.url)]


@pytest.fixture
def scheduled(events):
    """A function that makes a rule with a schedule; what it has made goes after the test."""
    rules = []

    def make(expression, **more):
        name = unique("r")
        events.put_rule(Name=name, ScheduleExpression=expression, **more)
        rules.append(Rule(events, name, None))
        return rules[-1]

    yield make
    for rule in rules:
        if targets := rule.targets():
            rule.remove_targets(Ids=[target["Id"] for target in targets])
        rule.delete_rule()


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 hour)",
        "rate(7 days)",
        "cron(0 2 ? * SAT *)",
        "cron(5,35 14 * * ? *)",
        "cron(15 10 ? * 6L 2002-2005)",
        "cron(0 2 ? * SAT#3 *)",
        "cron(0/5 5 ? JAN 1-5 2022)",
        "cron(0/30 20-23 ? * MON-FRI *)",
    ],
)
def test_an_expression_is_taken_and_shown(events, scheduled, expression):  # §16
    rule = scheduled(expression)
    described = rule.describe_rule()
    assert (described["ScheduleExpression"], described["State"]) == (expression, "ENABLED")
    assert "EventPattern" not in described
    (listed,) = events.list_rules(NamePrefix=rule.name)["Rules"]
    assert listed["ScheduleExpression"] == expression
    assert listed["Arn"] == f"{PREFIX}rule/{rule.name}"


@pytest.mark.parametrize(
    "expression",
    [
        "rate(10 seconds)",
        "rate(1 minutes)",
        "rate(10 minute)",
        "rate(0 minutes)",
        "rate(-10 minutes)",
        "rate(10 MINUTES)",
        "rate( 10 minutes )",
        " rate(10 minutes)",
        "rate()",
        "cron(0 1 * * * *)",
        "cron(7 20 * * NOT *)",
        "cron(71 8 1 * ? *)",
        "at(2030-01-01T00:00:00)",
        "tomorrow",
    ],
)
def test_what_is_no_expression_is_refused(events, expression):  # §16
    with refused("ValidationException", 400, "Parameter ScheduleExpression is not valid."):
        events.put_rule(Name="r", ScheduleExpression=expression)


def test_a_rate_sends_an_event_after_each_period(endpoint, clock, queue, scheduled):  # §5
    rule = scheduled("rate(5 minutes)").to(queue)
    made = now(endpoint)
    clock.advance(290)
    assert bodies(queue) == []
    clock.advance(10)
    (body,) = bodies(queue)
    event = json.loads(body)
    assert list(event) == [
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"
    ]
    time = datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S%z")
    assert 298 <= (time - made).total_seconds() <= 301
    assert len(event["id"]) == 36
    del event["id"], event["time"]
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [rule.arn],
        "detail": {},
    }
    clock.advance(3600)
    assert len(bodies(queue)) == 12


def test_a_cron_runs_at_its_minutes_in_utc(endpoint, clock, queue, scheduled):  # §5
    transformer = {"InputPathsMap": {"t": "$.time"}, "InputTemplate": '"<t> <aws.events.rule-name>"'}
    rule = scheduled("cron(30 9 * * ? *)").to(queue, InputTransformer=transformer)
    clock.advance(2 * 86_400)
    texts = bodies(queue)
    assert len(texts) == 2 and all(text.endswith(f'T09:30:00Z {rule.name}"') for text in texts)


def test_a_rule_may_have_both(events, clock, queue, scheduled):
    rule = scheduled("rate(1 hour)", EventPattern='{"source": ["%s"]}' % queue.arn).to(queue, InputPath="$.source")
    events.put_events(Entries=[{"Source": queue.arn, "DetailType": "t", "Detail": "{}"}])
    assert bodies(queue) == [f'"{queue.arn}"']
    clock.advance(3601)
    assert bodies(queue) == ['"aws.events"']
    described = rule.describe_rule()
    assert described["ScheduleExpression"] == "rate(1 hour)" and "EventPattern" in described


def test_a_disabled_rule_does_not_run(clock, queue, scheduled):
    rule = scheduled("rate(1 minute)", State="DISABLED").to(queue)
    clock.advance(600)
    assert bodies(queue) == []
    rule.enable_rule()
    clock.advance(121)
    assert len(bodies(queue)) == 2
    rule.disable_rule()
    clock.advance(600)
    assert bodies(queue) == []


def test_a_pattern_takes_the_place_of_a_schedule(events, clock, queue, scheduled):  # §2
    rule = scheduled("rate(1 minute)").to(queue)
    events.put_rule(Name=rule.name, EventPattern='{"source": ["nobody"]}')
    assert "ScheduleExpression" not in rule.describe_rule()
    clock.advance(600)
    assert bodies(queue) == []


def test_what_no_target_takes_is_a_dead_letter(clock, queue, letters, scheduled):  # §6
    rule = scheduled("rate(1 minute)").to(queue, DeadLetterConfig={"Arn": letters.arn})
    queue.delete_queue()
    clock.advance(61)
    message = letters.one(MessageAttributeNames=["All"])
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (attributes["ERROR_CODE"], attributes["RULE_ARN"]) == ("NO_RESOURCE", rule.arn)
    assert json.loads(message["Body"])["detail-type"] == "Scheduled Event"
