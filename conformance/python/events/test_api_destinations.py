"""Deliveries to API destinations: the requests that endpoints get, and what becomes of those that they do not take (§8)."""

import base64
import json

import pytest

from events.destinations import API_KEY, BASIC, make_destination
from events.support import event_of
from sns.receiver import Receiver, eventually

@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def destination(events, receiver):
    """A function that makes an API destination that leads to the receiver; its ARN."""

    def make(credentials=BASIC, path="", **more):
        return make_destination(events, receiver.url + path, credentials, **more)

    return make


def attributes(message):
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def test_a_request_is_as_aws_makes_it(bus, rule, receiver, destination):  # §8
    rule.put_targets(Targets=[{"Id": "1", "Arn": destination(method="PUT")}])
    id = bus.put_one(detail={"a": 1})
    request = receiver.next()
    assert (request.method, request.path) == ("PUT", "/hook")
    event = request.json()
    assert (event["id"], event["detail"]) == (id, {"a": 1})
    host = receiver.url.split("/")[2]
    assert request.headers == {
        "authorization": "Basic " + base64.b64encode(b"user:s3cret").decode(),
        "content-type": "application/json; charset=utf-8",
        "user-agent": "Amazon/EventBridge/ApiDestinations",
        "range": "bytes=0-1048575",
        "accept-encoding": "gzip,deflate",
        "connection": "close",
        "content-length": str(len(request.body)),
        "host": host,
    }


def test_parameters_of_the_target_and_the_connection_are_merged(bus, rule, receiver, destination):  # §8
    added = {
        "HeaderParameters": [{"Key": "x-both", "Value": "connection"}],
        "QueryStringParameters": [{"Key": "both", "Value": "connection"}],
        "BodyParameters": [{"Key": "added", "Value": "yes"}],
    }
    of_target = {
        "PathParameterValues": ["$.detail.id", "fixed"],
        "HeaderParameters": {"x-both": "target", "x-name": "$.detail.name"},
        "QueryStringParameters": {"both": "target", "n": "$.detail.n"},
    }
    arn = destination(API_KEY, path="/*/of/*?q=1", parameters=added)
    transformer = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"number": <n>}'}
    target = {"Id": "1", "Arn": arn, "HttpParameters": of_target, "InputTransformer": transformer}
    rule.put_targets(Targets=[target])
    assert rule.targets() == [target]
    bus.put_one(detail={"id": "a/b", "name": "Ann", "n": 5})
    request = receiver.next()
    path, query = request.path.split("?")
    assert path == "/hook/a%2Fb/of/fixed"
    assert sorted(query.split("&")) == ["both=connection", "n=5", "q=1"]
    assert request.headers["x-key"] == "s3cret"
    assert (request.headers["x-both"], request.headers["x-name"]) == ("connection", "Ann")
    assert request.json() == {"number": 5, "added": "yes"}


def test_a_token_is_fetched_and_replaced_when_it_is_refused(bus, rule, receiver, destination):  # §8
    with Receiver() as auth:
        auth.body = json.dumps({"access_token": "first", "expires_in": 3600}).encode()
        client = {"ClientID": "id", "ClientSecret": "s3cret"}
        parameters = {
            "OAuthParameters": {
                "ClientParameters": client,
                "AuthorizationEndpoint": auth.url,
                "HttpMethod": "POST",
            }
        }
        rule.put_targets(
            Targets=[{"Id": "1", "Arn": destination(("OAUTH_CLIENT_CREDENTIALS", parameters))}]
        )
        bus.put_one()
        assert receiver.next().headers["authorization"] == "Bearer first"
        bus.put_one()
        assert receiver.next().headers["authorization"] == "Bearer first"
        auth.next()
        assert auth.silent(), "the token is kept"
        auth.body = json.dumps({"access_token": "second"}).encode()
        receiver.answer(401)
        bus.put_one()
        assert receiver.next().headers["authorization"] == "Bearer first"
        assert receiver.next().headers["authorization"] == "Bearer second"


def test_an_answer_that_will_not_change_is_a_dead_letter(bus, rule, receiver, destination, letters):  # §6, 8
    arn = destination()
    rule.put_targets(
        Targets=[{"Id": "1", "Arn": arn, "Input": '"x"', "DeadLetterConfig": {"Arn": letters.arn}}]
    )
    receiver.answer(404)
    id = bus.put_one()
    assert receiver.next().text == '"x"'
    message = eventually(lambda: letters.receive(MessageAttributeNames=["All"]))[0]
    found = attributes(message)
    assert event_of(message)["id"] == id, "the letter is the event"
    assert (found["ERROR_CODE"], found["TARGET_ARN"]) == ("ERROR_FROM_TARGET", arn)
    assert "404" in found["ERROR_MESSAGE"]
    assert "EXHAUSTED_RETRY_CONDITION" not in found


@pytest.mark.parametrize("status", [401, 409, 429, 500, 503])
def test_other_answers_are_tried_again(clock, bus, rule, receiver, destination, letters, status):  # §8
    target = {
        "Id": "1",
        "Arn": destination(),
        "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600},
        "DeadLetterConfig": {"Arn": letters.arn},
    }
    rule.put_targets(Targets=[target])
    receiver.answer(always=status)
    bus.put_one()
    receiver.next()
    for _ in range(2):
        passed, _ = receiver.seconds_until_next(clock)
        assert passed <= 10
    message = eventually(lambda: letters.receive(MessageAttributeNames=["All"]))[0]
    found = attributes(message)
    assert found["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert found["RETRY_ATTEMPTS"] == "2"
    assert found["ERROR_CODE"] == ("THROTTLING" if status == 429 else "ERROR_FROM_TARGET")


def test_retry_after_is_waited_for(clock, bus, rule, receiver, destination):  # §8
    rule.put_targets(Targets=[{"Id": "1", "Arn": destination()}])
    receiver.answer(503, headers={"Retry-After": "90"})
    bus.put_one()
    receiver.next()
    passed, _ = receiver.seconds_until_next(clock, step=5)
    assert 90 <= passed <= 110


def test_a_negative_retry_after_ends_the_attempts(clock, bus, rule, receiver, destination, letters):  # §8
    rule.put_targets(
        Targets=[{"Id": "1", "Arn": destination(), "DeadLetterConfig": {"Arn": letters.arn}}]
    )
    receiver.answer(503, headers={"Retry-After": "-1"})
    bus.put_one()
    receiver.next()
    assert eventually(lambda: letters.receive(MessageAttributeNames=["All"]))
    clock.advance(3600)
    assert receiver.silent()


def test_a_destination_gets_no_more_than_its_rate(clock, bus, rule, receiver, destination):  # §8
    arn = destination(InvocationRateLimitPerSecond=1)
    rule.put_targets(Targets=[{"Id": "1", "Arn": arn}, {"Id": "2", "Arn": arn}])
    for _ in range(3):
        bus.put_one()
    receiver.next()
    assert receiver.silent()
    for _ in range(5):
        clock.advance(1)
        receiver.next()
        assert receiver.silent(0.05)


def test_what_cannot_be_sent_waits_or_is_a_dead_letter(events, clock, bus, rule, receiver, destination, letters):
    arn = destination()
    name = arn.split("/")[1]
    rule.put_targets(Targets=[{"Id": "1", "Arn": arn, "DeadLetterConfig": {"Arn": letters.arn}}])
    connection = events.describe_api_destination(Name=name)["ConnectionArn"].split("/")[1]
    events.deauthorize_connection(Name=connection)
    id = bus.put_one()
    assert receiver.silent(), "the destination is inactive"
    events.update_connection(Name=connection, AuthorizationType=API_KEY[0], AuthParameters=API_KEY[1])
    _, request = receiver.seconds_until_next(clock)
    assert (request.json()["id"], request.headers["x-key"]) == (id, "s3cret")
    events.delete_api_destination(Name=name)
    bus.put_one()
    (message,) = letters.receive(MessageAttributeNames=["All"])
    assert attributes(message)["ERROR_CODE"] == "NO_RESOURCE"


def test_failures_tell_no_secret(endpoint, bus, rule, receiver, destination):
    added = {"QueryStringParameters": [{"Key": "token", "Value": "s3cret", "IsValueSecret": True}]}
    arn = destination(parameters=added)
    rule.put_targets(Targets=[{"Id": "1", "Arn": arn}])
    receiver.answer(400)
    bus.put_one()
    receiver.next()

    import urllib.request

    def failures():
        with urllib.request.urlopen(endpoint.url + "/_posthaste/failures", timeout=5) as answer:
            text = answer.read().decode()
        return arn in text and text

    text = eventually(failures)
    assert "s3cret" not in text
