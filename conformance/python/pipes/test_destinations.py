"""Pipes that ask API destinations: as targets, and to enrich (facts/eventbridge.md § 8, 10)."""

import json

import pytest

from events.destinations import API_KEY, make_destination
from pipes.support import ACCOUNT, REGION, all_bodies, eventually, filters, make_pipe, refused
from sns.receiver import Receiver


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def test_an_api_destination_gets_each_message_as_a_request(pipes, events, source, receiver):  # § 8, 10
    target = make_destination(events, receiver.url + "/*", API_KEY, method="PUT")
    parameters = {
        "InputTemplate": '{"n": <$.body.n>}',
        "HttpParameters": {
            "PathParameterValues": ["$.body.id"],
            "HeaderParameters": {"x-name": "$.body.name", "x-fixed": "f"},
            "QueryStringParameters": {"q": "$.messageId"},
        },
    }
    name = make_pipe(pipes, source, target, TargetParameters=parameters)
    shown = pipes.describe_pipe(Name=name)
    assert shown["TargetParameters"] == parameters
    assert shown["SourceParameters"]["SqsQueueParameters"]["BatchSize"] == 1
    id = source.send(json.dumps({"id": "a/b", "name": "Ann", "n": 5}))["MessageId"]
    request = receiver.next()
    assert (request.method, request.path) == ("PUT", f"/hook/a%2Fb?q={id}")
    headers = [request.headers[name] for name in ["x-key", "x-name", "x-fixed", "user-agent", "range"]]
    assert headers == ["s3cret", "Ann", "f", "Amazon/EventBridge/ApiDestinations", "bytes=0-1048575"]
    assert request.json() == {"n": 5}
    for n in range(3):
        source.send(json.dumps({"n": n}))
    assert sorted(receiver.next().json()["n"] for _ in range(3)) == [0, 1, 2]
    assert receiver.silent()


def test_a_message_that_the_destination_does_not_take_comes_again(pipes, events, source, receiver, clock):  # § 10
    receiver.answer(500, 404)
    make_pipe(pipes, source, make_destination(events, receiver.url), TargetParameters={"InputTemplate": "<$.body>"})
    source.send("text")
    seen = []
    while len(seen) < 3:
        request = receiver.next() if not receiver.arrived.empty() else None
        if request:
            seen.append(request.text)
        else:
            clock.advance(5)
    assert seen == ["text"] * 3
    assert receiver.silent()


def test_an_api_destination_enriches(pipes, events, source, target, receiver):  # § 10
    enrichment = make_destination(events, receiver.url)
    parameters = {"InputTemplate": '{"id": "<$.body>"}', "HttpParameters": {"HeaderParameters": {"x-a": "1"}}}
    more = {"Enrichment": enrichment, "EnrichmentParameters": parameters}
    name = make_pipe(pipes, source, target.arn, TargetParameters={"InputTemplate": "got <$.answer>"}, **more)
    assert pipes.describe_pipe(Name=name)["EnrichmentParameters"] == parameters
    receiver.body = b'{"answer": 42}'
    source.send("a")
    request = receiver.next()
    assert (request.json(), request.headers["x-a"]) == ({"id": "a"}, "1")
    assert "accept-encoding" not in request.headers, "the answer is read as it is"
    assert all_bodies(target, 1) == ["got 42"]
    # Several items are several messages, and nothing is none (documentation of EventBridge Pipes, "Event enrichment").
    receiver.body = b'[{"answer": 1}, {"answer": 2}]'
    source.send("b")
    assert sorted(all_bodies(target, 2)) == ["got 1", "got 2"]
    receiver.body = b""
    source.send("c")
    [receiver.next() for _ in range(2)]
    assert all_bodies(target, 0) == []
    assert source.counts() == (0, 0, 0)


def test_an_enrichment_that_fails_keeps_the_message(pipes, events, source, target, receiver, clock):  # § 10
    make_pipe(pipes, source, target.arn, Enrichment=make_destination(events, receiver.url))
    receiver.answer(503)
    receiver.body = b'"fine"'
    source.send("a")
    assert eventually(clock, target) == ['"fine"']
    assert len([receiver.next(), receiver.next()]) == 2


def test_both_can_be_api_destinations(pipes, events, source, receiver):
    with Receiver() as second:
        receiver.body = b'{"x": 1}'
        enrichment, target = make_destination(events, receiver.url), make_destination(events, second.url)
        make_pipe(pipes, source, target, Enrichment=enrichment, **{"SourceParameters": filters('{"body":["a"]}')})
        source.send("b")
        source.send("a")
        assert second.next().json() == {"x": 1}
        assert receiver.next().json()["body"] == "a"
        assert receiver.silent()


def test_what_cannot_be_asked_is_refused(pipes, events, source, target, receiver):
    destination = make_destination(events, receiver.url)
    batch = {"SourceParameters": {"SqsQueueParameters": {"BatchSize": 2}}}
    http = {"HttpParameters": {"HeaderParameters": {"a": "b"}}}
    machine = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m"
    for wrong in [
        {"Target": destination} | batch,
        {"Target": target.arn, "Enrichment": destination} | batch,
        {"Target": target.arn, "TargetParameters": http},
        {"Target": target.arn, "Enrichment": machine, "EnrichmentParameters": http},
        {"Target": destination, "TargetParameters": {"SqsQueueParameters": {}}},
        {"Target": destination.replace(ACCOUNT, "111111111111")},
    ]:
        whole = {"Name": "p", "Source": source.arn, "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/p"} | wrong
        assert refused(pipes.create_pipe, **whole) == (400, "ValidationException"), wrong
