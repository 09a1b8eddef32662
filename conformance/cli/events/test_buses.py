"""The aws command line: what guides and scripts that use EventBridge expect to work."""

import json
import uuid

import pytest


@pytest.fixture
def name():
    return f"cli-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def events(shell):
    """A function that runs one `aws events` command against the endpoint; its answer as JSON."""

    def run(words):
        done = shell.run(f"aws --endpoint-url={shell.endpoint} events {words}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


def test_a_rule_sends_what_it_matches_to_a_queue(shell, events, name, tmp_path):
    url = shell.aws(f"create-queue --queue-name {name}")["QueueUrl"]
    events(f"create-event-bus --name {name}")
    pattern = '{"source": ["shop"], "detail": {"total": [{"numeric": [">=", 100]}]}}'
    events(f"put-rule --name large --event-bus-name {name} --event-pattern '{pattern}'")
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    events(f"put-targets --rule large --event-bus-name {name} --targets Id=1,Arn={queue},InputPath=$.detail.total")
    assert events(f"list-rule-names-by-target --target-arn {queue} --event-bus-name {name}")["RuleNames"] == ["large"]
    entries = tmp_path / "entries.json"
    orders = [
        {"EventBusName": name, "Source": "shop", "DetailType": "OrderPlaced", "Detail": json.dumps({"total": total})}
        for total in (99, 100, 101)
    ]
    entries.write_text(json.dumps(orders))
    assert events(f"put-events --entries file://{entries}")["FailedEntryCount"] == 0
    messages = shell.aws(f"receive-message --queue-url {url} --max-number-of-messages 10")["Messages"]
    assert sorted(message["Body"] for message in messages) == ["100", "101"]


def test_a_pattern_is_tried(events, tmp_path):
    event = {
        "id": "1",
        "account": "000000000000",
        "source": "shop",
        "time": "2020-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail-type": "OrderPlaced",
        "detail": {},
    }
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    words = f"""test-event-pattern --event file://{file} --event-pattern '{{"source": [{{"prefix": "sh"}}]}}'"""
    assert events(words) == {"Result": True}


def test_a_rule_with_a_schedule_calls_an_api_destination(events, name):
    auth = '{"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"}}'
    words = f"--name {name} --authorization-type API_KEY --auth-parameters '{auth}'"
    connection = events(f"create-connection {words}")
    assert connection["ConnectionState"] == "AUTHORIZED"
    # As an option of its own, the command line would fetch the URL.
    wanted = {
        "Name": name,
        "ConnectionArn": connection["ConnectionArn"],
        "InvocationEndpoint": "https://example.com/hook",
        "HttpMethod": "POST",
        "InvocationRateLimitPerSecond": 10,
    }
    destination = events(f"create-api-destination --cli-input-json '{json.dumps(wanted)}'")
    assert destination["ApiDestinationState"] == "ACTIVE"
    events(f"put-rule --name {name} --schedule-expression 'rate(1 day)'")
    target = f"Id=1,Arn={destination['ApiDestinationArn']},RoleArn=arn:aws:iam::000000000000:role/any"
    assert events(f"put-targets --rule {name} --targets {target}")["FailedEntryCount"] == 0
    described = events(f"describe-rule --name {name}")
    assert (described["ScheduleExpression"], described["State"]) == ("rate(1 day)", "ENABLED")
    listed = events(f"list-api-destinations --name-prefix {name}")["ApiDestinations"]
    assert [one["InvocationRateLimitPerSecond"] for one in listed] == [10]
    assert "secret" not in str(events(f"describe-connection --name {name}")["AuthParameters"])
    events(f"remove-targets --rule {name} --ids 1")
    for command in ("delete-rule", "delete-api-destination", "delete-connection"):
        events(f"{command} --name {name}")


def test_an_archive_is_replayed(shell, events, name):
    url = shell.aws(f"create-queue --queue-name {name}")["QueueUrl"]
    bus = events(f"create-event-bus --name {name}")["EventBusArn"]
    archive = events(f"create-archive --archive-name {name} --event-source-arn {bus} --retention-days 7")
    assert archive["State"] == "ENABLED"
    entry = {"EventBusName": name, "Source": "shop", "DetailType": "t", "Detail": "{}"}
    assert events(f"put-events --entries '{json.dumps([entry])}'")["FailedEntryCount"] == 0
    assert events(f"describe-archive --archive-name {name}")["EventCount"] == 1
    events(f"""put-rule --name all --event-bus-name {name} --event-pattern '{{"source": ["shop"]}}'""")
    queue = f"arn:aws:sqs:us-east-1:000000000000:{name}"
    events(f"put-targets --rule all --event-bus-name {name} --targets Id=1,Arn={queue}")
    window = "--event-start-time 2020-01-01T00:00:00Z --event-end-time 2100-01-01T00:00:00Z"
    words = f"--replay-name {name} --event-source-arn {archive['ArchiveArn']} --destination Arn={bus} {window}"
    assert events(f"start-replay {words}")["State"] == "STARTING"
    words = f"receive-message --queue-url {url} --wait-time-seconds 20"
    (message,) = shell.aws(words)["Messages"]
    assert json.loads(message["Body"])["replay-name"] == name
    assert events(f"list-replays --name-prefix {name}")["Replays"][0]["ReplayName"] == name
