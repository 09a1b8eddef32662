"""PutEvents: what is accepted, what fails alone, what fails whole, and what arrives."""

import datetime
import json

import pytest

from events.support import event_of
from sqs.support import make_queue, refused


def test_an_event_arrives_as_it_was_put(events, bus, rule, queue):  # §3
    rule.to(queue)
    time = datetime.datetime(2020, 5, 6, 7, 8, 9, 999000, datetime.timezone.utc)
    id = bus.put_one(detail={"a": [1, "b c"]}, Time=time, Resources=["r1", "r2"])
    message = queue.one()
    assert event_of(message) == {
        "version": "0",
        "id": id,
        "detail-type": "t",
        "source": "shop",
        "account": "000000000000",
        "time": "2020-05-06T07:08:09Z",
        "region": "us-east-1",
        "resources": ["r1", "r2"],
        "detail": {"a": [1, "b c"]},
    }
    assert list(event_of(message)) == [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    ]


def test_an_unknown_bus_takes_everything(events):  # §3
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": "unknown"}
    answer = events.put_events(Entries=[entry])
    assert (answer["FailedEntryCount"], len(answer["Entries"][0]["EventId"])) == (0, 36)


@pytest.mark.parametrize(
    "entry, code, message",
    [
        (
            {"DetailType": "t", "Detail": "{}"},
            "InvalidArgument",
            "Parameter Source is not valid. Reason: Source is a required argument.",
        ),
        (
            {"Source": "s", "Detail": "{}"},
            "InvalidArgument",
            "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        ),
        (
            {"Source": "s", "DetailType": "t"},
            "InvalidArgument",
            "Parameter Detail is not valid. Reason: Detail is a required argument.",
        ),
        ({"Source": "s", "DetailType": "t", "Detail": "{"}, "MalformedDetail", "Detail is malformed."),
        (
            {"Source": "aws.ec2", "DetailType": "t", "Detail": "{}"},
            "NotAuthorizedForSourceException",
            "Not authorized for the source.",
        ),
    ],
)
def test_an_entry_fails_alone(events, entry, code, message):  # §3
    good = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    answer = events.put_events(Entries=[good, entry, good])
    assert answer["FailedEntryCount"] == 1
    assert [list(result) for result in answer["Entries"]] == [["EventId"], ["ErrorCode", "ErrorMessage"], ["EventId"]]
    assert answer["Entries"][1] == {"ErrorCode": code, "ErrorMessage": message}


def test_too_many_entries_fail_whole(events):  # §3
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    with pytest.raises(events.exceptions.ClientError) as error:
        events.put_events(Entries=[entry] * 11)
    shown = (
        "PutEventsRequestEntry(time=null, source=s, resources=null, detailType=t, detail={}, eventBusName=null, "
        "traceHeader=null, kmsKeyIdentifier=null, internalMetadata=null)"
    )
    assert error.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": f"1 validation error detected: Value '[{', '.join([shown] * 11)}]' at 'entries' failed to satisfy "
        "constraint: Member must have length less than or equal to 10",
    }


def test_too_much_fails_whole(events):  # §3
    entry = {"Source": "s", "DetailType": "t", "Detail": json.dumps("x" * 600_000)}
    with refused("ValidationException", 400, "Total size of the entries in the request is over the limit."):
        events.put_events(Entries=[entry, entry])


def test_a_text_passes_as_detail(events, bus, rule, queue):  # §3
    rule.to(queue)
    bus.put_one(detail="detail")
    assert event_of(queue.one())["detail"] == "detail"


def test_only_rules_that_match_and_are_enabled_send(events, bus, queue):
    for pattern, more in [({"source": ["shop"]}, {}), ({"source": ["other"]}, {}), ({"source": ["shop"]}, {"State": "DISABLED"})]:
        bus.rule(pattern, **more).to(queue)
    bus.put_one()
    assert len(queue.receive(10)) == 1


def test_a_fifo_queue_gets_its_group(events, bus, rule, sqs):  # §6
    fifo = make_queue(sqs, fifo=True, ContentBasedDeduplication="true")
    text = "Parameter(s) SqsParameters must be specified for target: 1."
    with refused("ValidationException", 400, text):
        rule.to(fifo)
    rule.to(fifo, SqsParameters={"MessageGroupId": "g"})
    ids = [bus.put_one(detail={"n": number}) for number in range(3)]
    messages = fifo.receive(10)
    assert [event_of(message)["id"] for message in messages] == ids
    assert {message["Attributes"]["MessageGroupId"] for message in messages} == {"g"}


def test_a_topic_tells_its_subscribers(events, bus, rule, sns, queue):  # §6
    topic = sns.create_topic(Name=bus.name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue.arn)
    rule.put_targets(Targets=[{"Id": "1", "Arn": topic}])
    id = bus.put_one()
    envelope = event_of(queue.one())
    assert (envelope["TopicArn"], json.loads(envelope["Message"])["id"]) == (topic, id)


def test_another_bus_gets_the_event_as_it_is(events, bus, rule, default_rule, queue):  # §3
    default_rule.put_targets(Targets=[{"Id": "1", "Arn": bus.arn}])
    bus.rule({"source": [default_rule.name]}).to(queue)
    entry = {"Source": default_rule.name, "DetailType": "t", "Detail": "{}"}
    id = events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    assert event_of(queue.one())["id"] == id
