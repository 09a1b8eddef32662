"""The program itself: its start and end, its data directory, its clock, its pages about itself.

These tests start the program; where only an endpoint is given they are skipped.
"""

import json
import os
import subprocess
import time

import boto3
import endpoint as endpoints
import pytest

from program.support import ask, client

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")


def refusal(*flags):
    """What the program says when it does not start."""
    command = [os.environ["POSTHASTE_BIN"], *map(str, flags)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0, done.stdout
    return done.stderr + done.stdout


# The data directory ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["fsync", "os"])
@pytest.mark.parametrize("ending", ["stop", "close"])
def test_everything_acknowledged_is_there_after_a_restart(start, tmp_path, durability, ending):
    flags = ["--data", tmp_path / "data", "--durability", durability]
    server = start(*flags)
    sqs = client(server)
    dead = sqs.create_queue(QueueName="dead", Attributes={"MessageRetentionPeriod": "1209600"})["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(
        QueueName="work", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "600"}, tags={"team": "a"}
    )["QueueUrl"]
    fifo = sqs.create_queue(
        QueueName="order.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "600"},
    )["QueueUrl"]
    sqs.create_queue(QueueName="gone")
    sqs.delete_queue(QueueUrl=server.url + "/000000000000/gone")
    attribute = {"n": {"DataType": "Binary", "BinaryValue": bytes(range(256))}}
    kept = sqs.send_message(QueueUrl=url, MessageBody="kept " + "x" * 100_000, MessageAttributes=attribute)
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=900)
    sqs.send_message(QueueUrl=dead, MessageBody="deleted")
    message = sqs.receive_message(QueueUrl=dead)["Messages"][0]
    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
    for n in range(3):
        sqs.send_message(QueueUrl=fifo, MessageBody=f"{n}", MessageGroupId="g")
    held = sqs.receive_message(QueueUrl=fifo)["Messages"][0]

    if ending == "stop":
        assert server.stop() == 0
    else:
        server.close()
    server = start(*flags)
    sqs = client(server)
    url, dead, fifo = (f"{server.url}/000000000000/{name}" for name in ("work", "dead", "order.fifo"))

    assert sqs.list_queues()["QueueUrls"] == sorted([url, dead, fifo])
    shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert json.loads(shown["RedrivePolicy"]) == json.loads(policy) and shown["VisibilityTimeout"] == "600"
    assert shown["ApproximateNumberOfMessagesDelayed"] == "1"
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "a"}
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], MaxNumberOfMessages=10)["Messages"]
    assert message["MessageId"] == kept["MessageId"] and message["MessageAttributes"] == attribute
    assert message["Body"] == "kept " + "x" * 100_000
    assert "Messages" not in sqs.receive_message(QueueUrl=dead)
    # The group is still locked, the duplicate still known, and the handle still good.
    assert "Messages" not in sqs.receive_message(QueueUrl=fifo)
    sqs.send_message(QueueUrl=fifo, MessageBody="2", MessageGroupId="g")
    sqs.delete_message(QueueUrl=fifo, ReceiptHandle=held["ReceiptHandle"])
    bodies = [m["Body"] for m in sqs.receive_message(QueueUrl=fifo, MaxNumberOfMessages=10)["Messages"]]
    assert bodies == ["1", "2"]


def test_a_move_task_goes_on_after_a_restart(start, tmp_path):
    flags = ["--data", tmp_path / "data", "--durability", "os"]
    server = start(*flags)
    sqs = client(server)
    sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:dead"
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    url = sqs.create_queue(QueueName="work", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"})["QueueUrl"]
    for n in range(12):
        sqs.send_message(QueueUrl=url, MessageBody=f"{n}")
    while sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        pass
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "600"})
    sqs.start_message_move_task(SourceArn=arn, MaxNumberOfMessagesPerSecond=5)
    server.close()
    server = start(*flags)
    sqs = client(server)
    url = server.url + "/000000000000/work"
    bodies = []
    while len(bodies) < 12:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=10)
        assert answer.get("Messages"), f"only {bodies} came back"
        bodies += [message["Body"] for message in answer["Messages"]]
    assert sorted(bodies, key=int) == [str(n) for n in range(12)]
    give_up = time.monotonic() + 10
    while (task := sqs.list_message_move_tasks(SourceArn=arn)["Results"][0])["Status"] == "RUNNING":
        assert time.monotonic() < give_up, task
        time.sleep(0.05)
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 12)


def test_a_server_in_memory_forgets_all(start):
    server = start("--in-memory")
    client(server).create_queue(QueueName="q")
    server.close()
    assert "QueueUrls" not in client(start("--in-memory")).list_queues()


def test_a_second_server_on_one_directory_refuses(start, tmp_path):
    start("--data", tmp_path / "data")
    told = refusal("--listen", "127.0.0.1:0", "--data", tmp_path / "data")
    assert str(tmp_path / "data") in told


def test_a_listen_address_that_others_reach_is_refused_unless_told_plainly():
    assert "--insecure-public" in refusal("--listen", "0.0.0.0:0", "--in-memory")


def test_a_stop_ends_waiting_receives_and_exits_cleanly(start):
    server = start("--in-memory")
    sqs = client(server)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    waiting = endpoints.Background(sqs.receive_message, QueueUrl=url, WaitTimeSeconds=20)
    assert waiting.waiting()
    assert server.stop() == 0
    try:
        assert "Messages" not in waiting.result(seconds=5)
    except (sqs.exceptions.ClientError, boto3.exceptions.Boto3Error, OSError):
        pass
    except Exception as error:  # botocore's own classes for a connection that ended
        assert "Connection" in type(error).__name__, error


# Declared queues -------------------------------------------------------------------------------------------------


QUEUES = """
[[queues]]
name = "orders"
tags = { team = "shop" }
dead-letter-queue = { name = "orders-dlq", max-receive-count = 3 }

[queues.attributes]
VisibilityTimeout = 60

[[queues]]
name = "orders-dlq"
"""


def test_declared_queues_are_there_after_every_start(start, tmp_path):
    declared = tmp_path / "queues.toml"
    declared.write_text(QUEUES)
    for _ in range(2):
        server = start("--data", tmp_path / "data", "--init", declared)
        sqs = client(server)
        url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
        shown = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert shown["VisibilityTimeout"] == "60"
        assert json.loads(shown["RedrivePolicy"])["maxReceiveCount"] == 3
        assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "shop"}
        assert server.stop() == 0


def test_a_mistake_in_declared_queues_is_told_with_file_line_and_field(tmp_path):
    declared = tmp_path / "queues.toml"
    declared.write_text(QUEUES.replace("VisibilityTimeout = 60", "VisibilityTimeout = 99999"))
    told = refusal("--in-memory", "--listen", "127.0.0.1:0", "--init", declared)
    assert "queues.toml" in told and "8" in told and "VisibilityTimeout" in told


TOPICS = """
[[queues]]
name = "orders"

[[topics]]
name = "orders.fifo"
[topics.attributes]
ContentBasedDeduplication = true

[[topics]]
name = "events"

[[topics.subscriptions]]
queue = "orders"
[topics.subscriptions.attributes]
"""


def test_declared_topics_change_with_the_file(start, tmp_path):
    declared = tmp_path / "topics.toml"
    for scope, policy in [
        ("MessageAttributes", {"event": ["created"]}),
        ("MessageBody", {"order": {"total": [{"numeric": [">", 100]}]}}),
        ("MessageAttributes", {"event": ["cancelled"]}),
    ]:
        declared.write_text(f"{TOPICS}FilterPolicyScope = '{scope}'\nFilterPolicy = '{json.dumps(policy)}'\n")
        server = start("--data", tmp_path / "data", "--init", declared)
        sns = client(server, "sns")
        topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
        assert [topic.rsplit(":", 1)[1] for topic in topics] == ["events", "orders.fifo"]
        fifo = sns.get_topic_attributes(TopicArn=topics[1])["Attributes"]
        assert (fifo["FifoTopic"], fifo["ContentBasedDeduplication"]) == ("true", "true")
        (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topics[0])["Subscriptions"]
        shown = sns.get_subscription_attributes(SubscriptionArn=subscription["SubscriptionArn"])["Attributes"]
        assert (shown["FilterPolicyScope"], json.loads(shown["FilterPolicy"])) == (scope, policy)
        assert server.stop() == 0


def test_a_mistake_in_declared_topics_is_told_with_file_line_and_field(tmp_path):
    declared = tmp_path / "topics.toml"
    declared.write_text(TOPICS + "FilterPolicy = { event = 'created' }\n")
    told = refusal("--in-memory", "--listen", "127.0.0.1:0", "--init", declared)
    line = len(TOPICS.splitlines()) + 1
    assert f'topics.toml, line {line}: topic "events", subscription of ' in told and ", FilterPolicy: " in told


BUSES = """
[[queues]]
name = "orders"

[[event-buses]]
name = "shop"
description = "Orders"
tags = { team = "shop" }

[[event-buses.archives]]
name = "kept"
event-pattern = { source = ["shop"] }
retention-days = 30

[[event-buses.rules]]
name = "large"
event-pattern = { source = ["shop"], detail = { total = [{ numeric = [">=", 100] }] } }

[[event-buses.rules.targets]]
queue = "orders"
input-paths = { total = "$.detail.total" }
"""


def test_declared_event_buses_change_with_the_file(start, tmp_path):
    declared = tmp_path / "buses.toml"
    for count, template in enumerate(("{\"a\": <total>}", "{\"b\": <total>}"), 1):
        declared.write_text(f"{BUSES}input-template = '{template}'\n")
        server = start("--data", tmp_path / "data", "--init", declared)
        events, sqs = client(server, "events"), client(server, "sqs")
        bus = events.describe_event_bus(Name="shop")
        assert bus["Description"] == "Orders"
        assert events.list_tags_for_resource(ResourceARN=bus["Arn"])["Tags"] == [{"Key": "team", "Value": "shop"}]
        (target,) = events.list_targets_by_rule(Rule="large", EventBusName="shop")["Targets"]
        assert target["InputTransformer"]["InputTemplate"] == template
        entry = {"EventBusName": "shop", "Source": "shop", "DetailType": "t", "Detail": '{"total": 100}'}
        events.put_events(Entries=[entry])
        url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
        (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
        assert message["Body"] == template.replace("<total>", "100")
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        archive = events.describe_archive(ArchiveName="kept")
        assert (archive["RetentionDays"], archive["EventCount"]) == (30, count)
        assert server.stop() == 0


WORKFLOWS = """
[[queues]]
name = "orders"

[[state-machines]]
name = "fulfil"
definition-file = "fulfil.asl.json"
tags = { team = "shop" }

[[event-buses]]
name = "default"

[[event-buses.rules]]
name = "orders"
event-pattern = { source = ["shop"] }

[[event-buses.rules.targets]]
state-machine = "fulfil"
"""


def test_declared_state_machines_run_what_the_file_says(start, tmp_path):
    declared = tmp_path / "workflows.toml"
    declared.write_text(WORKFLOWS)
    for message in ("packed", "sent"):
        send = {
            "Type": "Task",
            "Resource": "arn:aws:states:::sqs:sendMessage",
            "Parameters": {"QueueUrl": "orders", "MessageBody": message},
            "End": True,
        }
        definition = {"StartAt": "Send", "States": {"Send": send}}
        (tmp_path / "fulfil.asl.json").write_text(json.dumps(definition))
        server = start("--data", tmp_path / "data", "--init", declared)
        events, sqs, states = client(server, "events"), client(server, "sqs"), client(server, "stepfunctions")
        (machine,) = states.list_state_machines()["stateMachines"]
        described = states.describe_state_machine(stateMachineArn=machine["stateMachineArn"])
        assert (described["name"], json.loads(described["definition"])) == ("fulfil", definition)
        tags = states.list_tags_for_resource(resourceArn=machine["stateMachineArn"])["tags"]
        assert tags == [{"key": "team", "value": "shop"}]
        events.put_events(Entries=[{"Source": "shop", "DetailType": "t", "Detail": "{}"}])
        url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]
        (received,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
        assert received["Body"] == message
        sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
        assert server.stop() == 0


# What the program is told ----------------------------------------------------------------------------------------


def test_options_before_a_command_are_not_passed_over(tmp_path):
    for flags in (["--in-memory"], ["--strict"], ["--listen", "127.0.0.1:0"]):
        assert "cannot be used with" in refusal(*flags, "serve")
        assert "cannot be used with" in refusal(*flags, "check", tmp_path)


def test_a_directory_without_data_is_not_called_damaged(tmp_path):
    assert "holds no data" in refusal("check", tmp_path)


# The clock -------------------------------------------------------------------------------------------------------


def test_a_virtual_clock_stands_still_and_moves_when_told(start):
    server = start("--in-memory", "--virtual-clock")
    _, first = ask(server, "/_posthaste/clock")
    _, second = ask(server, "/_posthaste/clock")
    assert first == second and first["virtual"] is True
    for order, step in [("250ms", 250), ("31s", 31_000), ("2m", 120_000), ("1h", 3_600_000), ("14d", 1_209_600_000)]:
        status, third = ask(server, "/_posthaste/clock", {"advance": order})
        assert status == 200 and third["now"] == second["now"] + step
        second = third


def test_a_virtual_clock_is_set_to_a_moment_but_never_back(start):
    server = start("--in-memory", "--virtual-clock")
    status, answer = ask(server, "/_posthaste/clock", {"set": "2090-01-01T00:00:00Z"})
    assert (status, answer["now"]) == (200, 3786912000000)
    status, answer = ask(server, "/_posthaste/clock", {"set": 3786912000001})
    assert (status, answer["now"]) == (200, 3786912000001)
    assert ask(server, "/_posthaste/clock", {"set": 1000})[0] == 400
    assert ask(server, "/_posthaste/clock")[1]["now"] == 3786912000001


def test_a_virtual_clock_goes_on_where_it_stopped(start, tmp_path):
    server = start("--data", tmp_path, "--virtual-clock")
    _, moved = ask(server, "/_posthaste/clock", {"advance": "3d"})
    sqs = client(server)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    assert sqs.receive_message(QueueUrl=url)["Messages"]
    server.close()
    server = start("--data", tmp_path, "--virtual-clock")
    assert ask(server, "/_posthaste/clock")[1]["now"] >= moved["now"]
    ask(server, "/_posthaste/clock", {"advance": "31s"})
    assert client(server).receive_message(QueueUrl=url)["Messages"]
    server.close()
    # Nor does a server with the machine's clock, which is behind, stand still.
    sqs = client(start("--data", tmp_path))
    sqs.send_message(QueueUrl=url, MessageBody="y", DelaySeconds=1)
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]["Body"] == "y"


@pytest.mark.parametrize("order", [{}, {"advance": "soon"}, {"advance": "-1s"}, {"advance": "1s", "set": 1}, [], "x"])
def test_an_order_that_the_clock_does_not_understand_is_refused(start, order):
    server = start("--in-memory", "--virtual-clock")
    assert ask(server, "/_posthaste/clock", order)[0] == 400


def test_a_real_clock_cannot_be_moved(start):
    server = start("--in-memory")
    assert ask(server, "/_posthaste/clock", {"advance": "1s"})[0] == 409
    assert ask(server, "/_posthaste/reset", {})[0] == 409


def test_a_reset_forgets_all(start):
    server = start("--in-memory", "--virtual-clock")
    sqs = client(server)
    sqs.create_queue(QueueName="q")
    assert ask(server, "/_posthaste/reset", {})[0] == 200
    assert "QueueUrls" not in sqs.list_queues()
    sqs.create_queue(QueueName="q")


# Pages about itself ----------------------------------------------------------------------------------------------


def test_health_tells_version_and_journal(start, tmp_path):
    status, health = ask(start("--data", tmp_path / "data"), "/_posthaste/health")
    assert status == 200 and health["version"] and health["status"] == "ok"
    assert health["journal"]["durability"] == "fsync"


def test_a_data_directory_is_verified_by_check(start, tmp_path):
    server = start("--data", tmp_path / "data")
    sqs = client(server)
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    server.stop()
    command = [os.environ["POSTHASTE_BIN"], "check", str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "orders" in done.stdout, done.stderr
