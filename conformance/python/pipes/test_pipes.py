"""Pipes: what they are declared to do, and what they do (facts/eventbridge.md § 10)."""

import json

from pipes.support import ACCOUNT, REGION, ROLE, all_bodies, eventually, filters, make_pipe, refused
from sqs.support import make_queue, redrive_to, unique


def test_a_pipe_is_made_described_changed_and_deleted(pipes, source, target):
    name = unique("pipe")
    arn = f"arn:aws:pipes:{REGION}:{ACCOUNT}:pipe/{name}"
    of = {"Name": name}
    whole = of | {"Source": source.arn, "Target": target.arn, "RoleArn": ROLE}
    made = pipes.create_pipe(**whole, DesiredState="STOPPED", Description="d", Tags={"k": "v"})
    assert (made["Arn"], made["Name"], made["DesiredState"]) == (arn, name, "STOPPED")
    assert made["CurrentState"] == "CREATING"
    assert refused(pipes.create_pipe, **whole) == (409, "ConflictException")
    shown = pipes.describe_pipe(**of)
    assert (shown["CurrentState"], shown["DesiredState"], shown["Description"]) == ("STOPPED", "STOPPED", "d")
    assert shown["SourceParameters"] == {
        "SqsQueueParameters": {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 0}
    }
    assert shown["Tags"] == {"k": "v"} and "TargetParameters" not in shown
    template = {"InputTemplate": "<$.body>", "SqsQueueParameters": {"MessageGroupId": "$.messageId"}}
    changed = pipes.update_pipe(**of, RoleArn=ROLE, TargetParameters=template)
    assert (changed["CurrentState"], changed["DesiredState"]) == ("UPDATING", "STOPPED")
    queue = {"BatchSize": 3}
    parameters = {"SqsQueueParameters": queue} | filters('{"body":["a"]}')
    pipes.update_pipe(**of, RoleArn=ROLE, SourceParameters=parameters)
    shown = pipes.describe_pipe(**of)
    assert (shown["TargetParameters"], shown["Description"]) == (template, "d")
    assert shown["SourceParameters"]["FilterCriteria"] == filters('{"body":["a"]}')["FilterCriteria"]
    assert shown["SourceParameters"]["SqsQueueParameters"]["BatchSize"] == 3
    assert pipes.start_pipe(**of)["CurrentState"] == "STARTING"
    assert pipes.describe_pipe(**of)["CurrentState"] == "RUNNING"
    assert pipes.stop_pipe(**of)["CurrentState"] == "STOPPING"
    assert pipes.describe_pipe(**of)["CurrentState"] == "STOPPED"
    gone = pipes.delete_pipe(**of)
    assert (gone["CurrentState"], gone["DesiredState"]) == ("DELETING", "DELETED")
    for call in [pipes.describe_pipe, pipes.delete_pipe, pipes.start_pipe, pipes.stop_pipe]:
        assert refused(call, **of) == (404, "NotFoundException")


def test_pipes_are_listed_page_by_page_and_have_tags(pipes, source, target):
    prefix = unique("list")
    for n in range(5):
        state = "RUNNING" if n % 2 else "STOPPED"
        whole = {"Source": source.arn, "Target": target.arn, "RoleArn": ROLE, "DesiredState": state}
        pipes.create_pipe(Name=f"{prefix}-{n}", **whole)
    pages = pipes.get_paginator("list_pipes").paginate(NamePrefix=prefix, PaginationConfig={"PageSize": 2})
    pages = [page["Pipes"] for page in pages]
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [pipe["Name"] for page in pages for pipe in page] == [f"{prefix}-{n}" for n in range(5)]
    running = pipes.list_pipes(NamePrefix=prefix, CurrentState="RUNNING", SourcePrefix=source.arn)["Pipes"]
    assert [pipe["Name"] for pipe in running] == [f"{prefix}-1", f"{prefix}-3"]
    assert pipes.list_pipes(NamePrefix=prefix, TargetPrefix=source.arn)["Pipes"] == []
    arn = running[0]["Arn"]
    pipes.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    pipes.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert pipes.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert refused(pipes.list_tags_for_resource, resourceArn=arn + "x") == (404, "NotFoundException")


def test_what_cannot_be_is_refused(pipes, source, target):
    whole = {"Name": "p", "Source": source.arn, "Target": target.arn, "RoleArn": ROLE}
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/s"

    def queue(**parameters):
        return {"SourceParameters": {"SqsQueueParameters": parameters}}

    for wrong in [
        {"Name": "p q"},
        {"RoleArn": "role"},
        {"Source": stream},
        {"Target": stream},
        {"Target": "no arn"},
        {"DesiredState": "MAYBE"},
        {"Enrichment": stream},
        queue(BatchSize=0),
        queue(BatchSize=11, MaximumBatchingWindowInSeconds=1),
        queue(MaximumBatchingWindowInSeconds=301),
        {"SourceParameters": filters('{"body":"a"}')},
        {"SourceParameters": filters(*['{"body":["a"]}'] * 6)},
        {"TargetParameters": {"InputTemplate": "<$.>"}},
        {"TargetParameters": {"InputTemplate": "x" * 8193}},
        {"TargetParameters": {"StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"}}},
    ]:
        assert refused(pipes.create_pipe, **(whole | wrong)) == (400, "ValidationException"), wrong


def test_a_target_gets_the_record_of_a_message_and_the_source_has_it_no_longer(pipes, source, target):
    make_pipe(pipes, source, target.arn)
    value = {"DataType": "Number", "StringValue": "7"}
    sent = source.send("hello", MessageAttributes={"n": value})
    [body] = all_bodies(target, 1)
    record = json.loads(body)
    assert (record["messageId"], record["body"]) == (sent["MessageId"], "hello")
    assert record["md5OfBody"] == sent["MD5OfMessageBody"]
    assert (record["eventSource"], record["eventSourceARN"]) == ("aws:sqs", source.arn)
    assert record["awsRegion"] == REGION
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"]["n"] == {"stringValue": "7", "dataType": "Number"}
    assert source.counts() == (0, 0, 0)


def test_filters_let_some_through_and_the_others_are_deleted(pipes, source, target):
    parameters = filters('{"body":{"n":[{"numeric":[">",2]}]}}', '{"body":["plain"]}')
    make_pipe(pipes, source, target.arn, SourceParameters=parameters, TargetParameters={"InputTemplate": "<$.body>"})
    for body in ['{"n": 1}', '{"n": 3}', "plain", "other", '{"n": "3"}', '{"n": 4, "m": [1, 2]}']:
        source.send(body)
    assert sorted(all_bodies(target, 3)) == ["plain", '{"n":3}', '{"n":4,"m":[1,2]}']
    assert source.counts() == (0, 0, 0)


def test_order_and_groups_pass_from_one_fifo_queue_to_another(pipes, sqs):
    attributes = {"fifo": True, "ContentBasedDeduplication": "true"}
    source, target = make_queue(sqs, "s", **attributes), make_queue(sqs, "t", fifo=True)
    parameters = {
        "MessageGroupId": "$.attributes.MessageGroupId",
        "MessageDeduplicationId": "$.body.id",
    }
    template = {"InputTemplate": "<$.body.n>", "SqsQueueParameters": parameters}
    make_pipe(pipes, source, target.arn, TargetParameters=template)
    for n in range(30):
        source.send(json.dumps({"n": n, "id": f"i{n}"}), MessageGroupId=f"g{n % 3}")
    received = []
    while len(received) < 30:
        for message in target.receive(10, WaitTimeSeconds=5):
            received.append((message["Attributes"]["MessageGroupId"], int(message["Body"])))
            assert message["Attributes"]["MessageDeduplicationId"] == f"i{message['Body']}"
            target.delete(message)
    for group in range(3):
        assert [n for name, n in received if name == f"g{group}"] == list(range(group, 30, 3))


def test_a_topic_gets_messages(pipes, sns, sqs, source, target):
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=target.arn, Attributes=raw)
    make_pipe(pipes, source, topic, TargetParameters={"InputTemplate": "got <$.body>"})
    source.send("hello")
    assert all_bodies(target, 1) == ["got hello"]


def test_an_event_bus_gets_events(pipes, events, source, target):
    bus = unique("bus")
    bus_arn = events.create_event_bus(Name=bus)["EventBusArn"]
    rule = {"EventBusName": bus, "Name": "r"}
    events.put_rule(**rule, EventPattern='{"source":[{"prefix":""}]}')
    events.put_targets(EventBusName=bus, Rule="r", Targets=[{"Id": "t", "Arn": target.arn}])
    plain = make_pipe(pipes, source, bus_arn)
    source.send('{"a":1}')
    [event] = map(json.loads, all_bodies(target, 1))
    assert (event["source"], event["detail-type"]) == (f"Pipe {plain}", "Event from aws:sqs")
    assert event["detail"]["body"] == '{"a":1}'
    said = {
        "DetailType": "$.body.type",
        "Source": "shop",
        "Resources": ["$.body.arn"],
        "Time": "$.body.at",
    }
    parameters = {"InputTemplate": "<$.body>", "EventBridgeEventBusParameters": said}
    pipes.update_pipe(Name=plain, RoleArn=ROLE, TargetParameters=parameters)
    body = {"type": "sold", "arn": bus_arn, "at": "2020-01-01T00:00:00Z"}
    source.send(json.dumps(body))
    [event] = map(json.loads, all_bodies(target, 1))
    assert (event["detail-type"], event["source"], event["resources"]) == ("sold", "shop", [bus_arn])
    assert (event["time"], event["detail"]) == (body["at"], body)


def test_a_state_machine_gets_a_batch_as_one_array(pipes, sfn, sqs, source):
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    machine = sfn.create_state_machine(name=unique("m"), definition=definition, roleArn=ROLE)["stateMachineArn"]
    parameters = {
        "InputTemplate": "<$.body>",
        "StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"},
    }
    for first in range(0, 150, 10):
        entries = [{"Id": str(n), "MessageBody": json.dumps({"n": n})} for n in range(first, first + 10)]
        source.send_message_batch(Entries=entries)
    batch = {"SqsQueueParameters": {"BatchSize": 150, "MaximumBatchingWindowInSeconds": 60}}
    make_pipe(pipes, source, machine, SourceParameters=batch, TargetParameters=parameters)
    while not (executions := sfn.list_executions(stateMachineArn=machine)["executions"]):
        pass
    [execution] = executions
    given = json.loads(sfn.describe_execution(executionArn=execution["executionArn"])["input"])
    assert sorted(item["n"] for item in given) == list(range(150))
    assert source.counts() == (0, 0, 0)


def make_machine(sfn, state, kind="EXPRESS"):
    definition = json.dumps({"StartAt": "A", "States": {"A": state | {"Type": "Pass", "End": True}}})
    made = sfn.create_state_machine(name=unique("m"), definition=definition, roleArn=ROLE, type=kind)
    return made["stateMachineArn"]


def test_an_enrichment_takes_the_place_of_a_batch(pipes, sfn, source, target):
    machine = make_machine(sfn, {"Parameters": {"n.$": "$[*].n"}, "OutputPath": "$.n"})
    enriched = {"Enrichment": machine, "EnrichmentParameters": {"InputTemplate": "<$.body>"}}
    parameters = {"InputTemplate": '{"got":<$>,"by":"<aws.pipes.enrichment-arn>"}'}
    name = make_pipe(pipes, source, target.arn, DesiredState="STOPPED", **enriched, TargetParameters=parameters)
    shown = pipes.describe_pipe(Name=name)
    assert {key: shown[key] for key in enriched} == enriched
    for n in range(4):
        source.send(json.dumps({"n": n}))
    pipes.start_pipe(Name=name)
    got = [json.loads(body) for body in all_bodies(target, 4)]
    assert sorted(item["got"] for item in got) == list(range(4))
    assert {item["by"] for item in got} == {machine}
    assert source.counts() == (0, 0, 0)
    # Of an empty answer the target hears nothing.
    pipes.update_pipe(Name=name, RoleArn=ROLE, Enrichment=make_machine(sfn, {"Result": []}))
    source.send("gone")
    while source.counts() != (0, 0, 0):
        pass
    assert target.bodies() == []


def test_a_state_machine_that_is_waited_for_tells_which_messages_failed(pipes, sfn, sqs, clock):
    dead = make_queue(sqs, "dead")
    source = make_queue(sqs, "s", VisibilityTimeout=1, RedrivePolicy=redrive_to(dead, 1))
    failures = {"batchItemFailures": [{"itemIdentifier.$": "$[0].id"}]}
    machine = make_machine(sfn, {"Parameters": failures})
    parameters = {"InputTemplate": '{"id":"<$.messageId>"}'}
    name = make_pipe(pipes, source, machine, DesiredState="STOPPED", TargetParameters=parameters)
    sent = {source.send(str(n))["MessageId"] for n in range(3)}
    pipes.start_pipe(Name=name)
    while source.counts() != (0, 1, 0):
        pass
    clock.advance(2)
    failed = dead.one()
    assert failed["MessageId"] in sent
    assert (source.counts(), dead.counts()) == ((0, 0, 0), (0, 1, 0))


def test_only_express_state_machines_can_be_waited_for(pipes, sfn, sqs, clock):
    dead = make_queue(sqs, "dead")
    source = make_queue(sqs, "s", VisibilityTimeout=0, RedrivePolicy=redrive_to(dead, 1))
    standard = make_machine(sfn, {}, "STANDARD")
    make_pipe(pipes, source, standard)
    source.send("x")
    assert eventually(clock, dead) == ["x"]
    assert sfn.list_executions(stateMachineArn=standard)["executions"] == []


def test_what_a_target_does_not_take_comes_to_the_dead_letter_queue_of_the_source(pipes, sqs, clock):
    dead = make_queue(sqs, "dead")
    source = make_queue(sqs, "s", VisibilityTimeout=0, RedrivePolicy=redrive_to(dead, 2))
    name = make_pipe(pipes, source, f"arn:aws:sqs:{REGION}:{ACCOUNT}:missing")
    source.send("lost?")
    assert eventually(clock, dead) == ["lost?"]
    assert pipes.describe_pipe(Name=name)["CurrentState"] == "RUNNING"


def test_a_pipe_that_is_stopped_leaves_its_source_alone(pipes, source, target):
    name = make_pipe(pipes, source, target.arn, TargetParameters={"InputTemplate": "<$.body>"})
    pipes.stop_pipe(Name=name)
    source.send("later")
    assert source.counts() == (1, 0, 0)
    pipes.start_pipe(Name=name)
    assert all_bodies(target, 1) == ["later"]


def test_a_pipe_waits_for_a_queue_that_is_gone(pipes, sqs, source, target):
    make_pipe(pipes, source, target.arn, TargetParameters={"InputTemplate": "<$.body>"})
    source.send("first")
    assert all_bodies(target, 1) == ["first"]
    name = source.name
    source.delete_queue()
    again = make_queue(sqs)
    again.url = sqs.create_queue(QueueName=name)["QueueUrl"]
    again.send("second")
    assert "second" in all_bodies(target, 1)
