"""Universal targets: a schedule calls an operation of another service with its input as the request."""

import datetime
import json

import boto3

from scheduler.support import ACCOUNT, ROLE, at, now, queue_arn, received, unique
from sqs.conftest import settings

MINUTE = datetime.timedelta(minutes=1)


def universal(operation, request):
    return {"Arn": f"arn:aws:scheduler:::aws-sdk:{operation}", "RoleArn": ROLE, "Input": json.dumps(request)}


def test_an_operation_is_called_with_the_input(endpoint, clock, sqs, queue, create):
    request = {
        "QueueUrl": queue,
        "MessageBody": "at <aws.scheduler.scheduled-time>",
        "MessageAttributes": {"kind": {"DataType": "String", "StringValue": "test"}},
    }
    moment = (now(endpoint) + MINUTE).replace(microsecond=0)
    create(at(moment), Target=universal("sqs:sendMessage", request))
    clock.advance(61)
    (message,) = received(sqs, queue)
    assert message["Body"] == moment.strftime("at %Y-%m-%dT%H:%M:%SZ")
    assert message["MessageAttributes"]["kind"]["StringValue"] == "test"


def test_a_topic_and_a_bus_are_called_as_well(endpoint, clock, sqs, queue, create):
    sns, events = boto3.client("sns", **settings(endpoint)), boto3.client("events", **settings(endpoint))
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue_arn(sqs, queue), Attributes={"RawMessageDelivery": "true"}
    )
    rule, source = unique("rule"), unique("source")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": queue_arn(sqs, queue), "InputPath": "$.detail.id"}])
    moment = at(now(endpoint) + MINUTE)
    create(moment, Target=universal("sns:publish", {"TopicArn": topic, "Message": "by topic"}))
    entry = {"Source": source, "DetailType": "t", "Detail": json.dumps({"id": 7})}
    create(moment, Target=universal("eventbridge:putEvents", {"Entries": [entry]}))
    clock.advance(61)
    assert sorted(message["Body"] for message in received(sqs, queue)) == ["7", "by topic"]


def test_what_is_refused_becomes_a_dead_letter_with_the_error(endpoint, clock, sqs, queue, create):
    letters = {"DeadLetterConfig": {"Arn": queue_arn(sqs, queue)}, "RetryPolicy": {"MaximumRetryAttempts": 1}}
    missing = {"QueueUrl": f"{endpoint.url}/{ACCOUNT}/{unique('missing')}", "MessageBody": "hello"}
    moment = at(now(endpoint) + MINUTE)
    create(moment, Target=universal("sqs:sendMessage", missing) | letters)
    create(moment, Target=universal("ec2:startInstances", {"InstanceIds": ["i-1"]}) | letters)
    clock.advance(61)
    clock.advance(10)
    told = {}
    for letter in received(sqs, queue):
        attributes = letter["MessageAttributes"]
        told[json.loads(letter["Body"]).get("MessageBody")] = attributes["ERROR_CODE"]["StringValue"]
        assert attributes["RETRY_ATTEMPTS"]["StringValue"] == "1"
        assert attributes["ERROR_MESSAGE"]["StringValue"]
    assert told == {"hello": "QueueDoesNotExist", None: "InvocationFailed"}
