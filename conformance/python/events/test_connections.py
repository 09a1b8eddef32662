"""Connections and API destinations: what is taken, what is shown, in which states they are (§8)."""

import json
import re

import pytest

from events.support import PREFIX
from sns.receiver import Receiver, eventually
from sqs.support import refused, unique

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
BASIC = {"BasicAuthParameters": {"Username": "user", "Password": "s3cret"}}
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "s3cret"}}


def oauth(endpoint, **more):
    client = {"ClientID": "id", "ClientSecret": "s3cret"}
    return {
        "OAuthParameters": {
            "ClientParameters": client,
            "AuthorizationEndpoint": endpoint,
            "HttpMethod": "POST",
            **more,
        }
    }


@pytest.fixture
def connect(events):
    """A function that makes a connection; its name and its ARN."""

    def connect(kind="BASIC", parameters=BASIC, **more):
        name = unique("c")
        made = events.create_connection(Name=name, AuthorizationType=kind, AuthParameters=parameters, **more)
        return name, made["ConnectionArn"]

    return connect


@pytest.mark.parametrize(
    "kind, given, shown",
    [
        ("BASIC", BASIC, {"BasicAuthParameters": {"Username": "user"}}),
        ("API_KEY", API_KEY, {"ApiKeyAuthParameters": {"ApiKeyName": "x-key"}}),
        (
            "API_KEY",
            {**API_KEY, "InvocationHttpParameters": {}},
            {"ApiKeyAuthParameters": {"ApiKeyName": "x-key"}, "InvocationHttpParameters": {}},
        ),
    ],
)
def test_a_connection_is_authorized_at_once_and_shows_no_secret(events, kind, given, shown):  # §8
    name = unique("c")
    made = events.create_connection(Name=name, AuthorizationType=kind, AuthParameters=given, Description="d")
    assert made["ConnectionState"] == "AUTHORIZED"
    assert re.fullmatch(f"{PREFIX}connection/{name}/{UUID}", made["ConnectionArn"])
    described = events.describe_connection(Name=name)
    del described["ResponseMetadata"]
    secret = f"arn:aws:secretsmanager:us-east-1:000000000000:secret:events!connection/{name}/{UUID}-\\w{{6}}"
    assert re.fullmatch(secret, described.pop("SecretArn"))
    for time in ("CreationTime", "LastModifiedTime", "LastAuthorizedTime"):
        assert described.pop(time)
    assert described == {
        "ConnectionArn": made["ConnectionArn"],
        "Name": name,
        "Description": "d",
        "ConnectionState": "AUTHORIZED",
        "AuthorizationType": kind,
        "AuthParameters": shown,
    }


def test_parameters_are_shown_but_for_their_secrets(events, connect):  # §8
    parameters = {
        "HeaderParameters": [
            {"Key": "x-open", "Value": "1", "IsValueSecret": False},
            {"Key": "x-hidden", "Value": "s3cret", "IsValueSecret": True},
        ],
        "QueryStringParameters": [{"Key": "q", "Value": "2", "IsValueSecret": False}],
        "BodyParameters": [{"Key": "b", "Value": "s3cret", "IsValueSecret": True}],
    }
    name, _ = connect(parameters={**BASIC, "InvocationHttpParameters": parameters})
    shown = events.describe_connection(Name=name)["AuthParameters"]["InvocationHttpParameters"]
    del parameters["HeaderParameters"][1]["Value"], parameters["BodyParameters"][0]["Value"]
    assert shown == parameters


def test_a_connection_is_changed_deauthorized_and_deleted(events, connect):  # §8
    name, arn = connect()
    with refused("ResourceAlreadyExistsException", 400):
        events.create_connection(Name=name, AuthorizationType="BASIC", AuthParameters=BASIC)
    changed = events.update_connection(
        Name=name, AuthParameters={"BasicAuthParameters": {"Username": "other"}}, Description="d"
    )
    assert (changed["ConnectionArn"], changed["ConnectionState"]) == (arn, "AUTHORIZED")
    described = events.describe_connection(Name=name)
    assert described["AuthParameters"]["BasicAuthParameters"] == {"Username": "other"}
    assert described["Description"] == "d"
    events.update_connection(Name=name, AuthorizationType="API_KEY", AuthParameters=API_KEY)
    assert events.describe_connection(Name=name)["AuthorizationType"] == "API_KEY"

    assert events.deauthorize_connection(Name=name)["ConnectionState"] == "DEAUTHORIZING"
    described = events.describe_connection(Name=name)
    assert described["ConnectionState"] == "DEAUTHORIZED"
    assert "SecretArn" not in described and "AuthParameters" not in described
    events.update_connection(Name=name, AuthorizationType="BASIC", AuthParameters=BASIC)
    assert events.describe_connection(Name=name)["ConnectionState"] == "AUTHORIZED"

    assert events.delete_connection(Name=name)["ConnectionState"] == "DELETING"
    text = f"Failed to describe the connection(s). Connection '{name}' does not exist."
    for call in (events.describe_connection, events.delete_connection, events.deauthorize_connection):
        with refused("ResourceNotFoundException", 400, text):
            call(Name=name)


def test_a_connection_with_oauth_fetches_a_token_first(events, connect):  # §8
    with Receiver() as auth:
        auth.body = json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 3600}).encode()
        name = unique("c")
        added = {"OAuthHttpParameters": {"BodyParameters": [{"Key": "scope", "Value": "a b"}]}}
        made = events.create_connection(
            Name=name, AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=oauth(auth.url, **added)
        )
        assert made["ConnectionState"] == "AUTHORIZING"

        def state():
            return events.describe_connection(Name=name)["ConnectionState"]

        assert eventually(lambda: state() != "AUTHORIZING" and state()) == "AUTHORIZED"
        request = auth.next()
        assert request.text == "grant_type=client_credentials&client_id=id&client_secret=s3cret&scope=a%20b"
        shown = events.describe_connection(Name=name)["AuthParameters"]["OAuthParameters"]
        assert shown == {
            "ClientParameters": {"ClientID": "id"},
            "AuthorizationEndpoint": auth.url,
            "HttpMethod": "POST",
            "OAuthHttpParameters": {"BodyParameters": [{"Key": "scope", "Value": "a b", "IsValueSecret": False}]},
        }
        auth.answer(always=403)
        events.update_connection(Name=name, AuthParameters=oauth(auth.url))
        assert eventually(lambda: state() != "AUTHORIZING" and state()) == "DEAUTHORIZED"
        assert "403" in events.describe_connection(Name=name)["StateReason"]


def test_connections_are_listed_page_by_page(events):  # §8
    prefix = unique("p")
    names = [f"{prefix}-{number}" for number in range(5)]
    for name in names:
        events.create_connection(Name=name, AuthorizationType="BASIC", AuthParameters=BASIC)
    events.deauthorize_connection(Name=names[3])
    listed, more = [], {}
    while True:
        page = events.list_connections(NamePrefix=prefix, Limit=2, **more)
        listed += [connection["Name"] for connection in page["Connections"]]
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}
    assert listed == names
    (one,) = events.list_connections(NamePrefix=prefix, ConnectionState="DEAUTHORIZED")["Connections"]
    assert one["Name"] == names[3]


@pytest.mark.parametrize(
    "change, text",
    [
        (
            {"AuthorizationType": "INVALID_AUTH_TYPE"},
            "1 validation error detected: Value 'INVALID_AUTH_TYPE' at 'authorizationType' failed to satisfy constraint: "
            "Member must satisfy enum value set: [BASIC, OAUTH_CLIENT_CREDENTIALS, API_KEY]",
        ),
        (
            {"Name": "Invalid Name With Spaces!"},
            "1 validation error detected: Value 'Invalid Name With Spaces!' at 'name' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+",
        ),
        ({"AuthParameters": {}}, None),
        ({"AuthParameters": API_KEY}, None),
        ({"AuthParameters": {"BasicAuthParameters": {"Username": "a", "Password": "b\nc"}}}, None),
    ],
)
def test_a_connection_that_makes_no_sense_is_refused(events, change, text):  # §8
    given = {"Name": unique("c"), "AuthorizationType": "BASIC", "AuthParameters": BASIC, **change}
    with refused("ValidationException", 400, text):
        events.create_connection(**given)


def test_a_secret_is_not_told_by_a_refusal(events):
    parameters = {"BasicAuthParameters": {"Username": "a", "Password": "s3cret\n"}}
    with pytest.raises(Exception, match="'authParameters.basicAuthParameters.password'") as told:
        events.create_connection(Name=unique("c"), AuthorizationType="BASIC", AuthParameters=parameters)
    assert "s3cret" not in str(told.value)


def test_an_api_destination_comes_changes_and_goes(events, connect):  # §8
    connection, arn = connect()
    name = unique("d")
    given = {
        "ConnectionArn": arn,
        "HttpMethod": "POST",
        "InvocationEndpoint": "https://example.com/api/*",
        "Description": "d",
    }
    made = events.create_api_destination(Name=name, **given)
    assert made["ApiDestinationState"] == "ACTIVE"
    assert re.fullmatch(f"{PREFIX}api-destination/{name}/{UUID}", made["ApiDestinationArn"])
    described = events.describe_api_destination(Name=name)
    for one in ("ResponseMetadata", "CreationTime", "LastModifiedTime"):
        assert described.pop(one)
    expected = {
        "ApiDestinationArn": made["ApiDestinationArn"],
        "Name": name,
        "ApiDestinationState": "ACTIVE",
        "InvocationRateLimitPerSecond": 300,
        **given,
    }
    assert described == expected
    (listed,) = events.list_api_destinations(NamePrefix=name, ConnectionArn=arn)["ApiDestinations"]
    del listed["CreationTime"], listed["LastModifiedTime"], expected["Description"]
    assert listed == expected
    with refused("ResourceAlreadyExistsException", 400):
        events.create_api_destination(Name=name, **given)

    change = {"HttpMethod": "PUT", "InvocationRateLimitPerSecond": 5}
    assert events.update_api_destination(Name=name, **change)["ApiDestinationState"] == "ACTIVE"
    described = events.describe_api_destination(Name=name)
    assert {one: described[one] for one in change} == change
    assert described["InvocationEndpoint"] == given["InvocationEndpoint"]
    events.deauthorize_connection(Name=connection)
    assert events.describe_api_destination(Name=name)["ApiDestinationState"] == "INACTIVE"

    events.delete_api_destination(Name=name)
    text = f"Failed to describe the api-destination(s). An api-destination '{name}' does not exist."
    with refused("ResourceNotFoundException", 400, text):
        events.describe_api_destination(Name=name)


def test_an_api_destination_that_makes_no_sense_is_refused(events, connect):  # §8
    _, arn = connect()
    text = (
        "2 validation errors detected: Value 'invalid-connection-arn' at 'connectionArn' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: ^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:"
        r"connection\/[\.\-_A-Za-z0-9]+\/[\-A-Za-z0-9]+$; Value 'INVALID_METHOD' at 'httpMethod' failed to satisfy "
        "constraint: Member must satisfy enum value set: [HEAD, POST, PATCH, DELETE, PUT, GET, OPTIONS]"
    )
    with refused("ValidationException", 400, text):
        events.create_api_destination(
            Name="d",
            ConnectionArn="invalid-connection-arn",
            HttpMethod="INVALID_METHOD",
            InvocationEndpoint="invalid-endpoint",
        )
    given = {"Name": unique("d"), "HttpMethod": "POST"}
    with refused("ValidationException", 400):
        events.create_api_destination(ConnectionArn=arn, InvocationEndpoint="invalid-endpoint", **given)
    missing = f"{PREFIX}connection/missing/01234567-0123-0123-0123-0123456789ab"
    text = "Failed to describe the connection(s). Connection 'missing' does not exist."
    with refused("ResourceNotFoundException", 400, text):
        events.create_api_destination(ConnectionArn=missing, InvocationEndpoint="https://example.com", **given)
