"""Streams as targets of rules, pipes and state machines."""

import json

from sqs.support import make_queue, unique

ROLE = "arn:aws:iam::000000000000:role/any"


def test_a_rule_puts_events_into_a_stream(kinesis, events, stream):
    source, rule = unique("source"), unique("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
    targets = [
        {"Id": "a", "Arn": stream.arn, "KinesisParameters": {"PartitionKeyPath": "$.detail.user"}},
        {"Id": "b", "Arn": stream.arn, "InputPath": "$.detail"},
    ]
    assert events.put_targets(Rule=rule, Targets=targets)["FailedEntryCount"] == 0
    entry = {"Source": source, "DetailType": "t", "Detail": '{"user":"ann"}'}
    answer = events.put_events(Entries=[entry])
    records, _ = stream.read(stream.iterator(), 2)
    by_key = {record["PartitionKey"]: json.loads(record["Data"]) for record in records}
    assert by_key["ann"]["detail"] == {"user": "ann"}
    # AWS's documentation of KinesisParameters: the event's id is the key unless there is a path.
    assert by_key[answer["Entries"][0]["EventId"]] == {"user": "ann"}


def test_a_pipe_puts_messages_into_a_stream(kinesis, sqs, pipes, stream):
    source = make_queue(sqs, "source")
    pipes.create_pipe(
        Name=unique("pipe"),
        Source=source.arn,
        Target=stream.arn,
        RoleArn=ROLE,
        TargetParameters={
            "InputTemplate": "<$.body>",
            "KinesisStreamParameters": {"PartitionKey": "$.body.user"},
        },
    )
    source.send('{"user":"bob"}')
    (record,), _ = stream.read(stream.iterator(), 1)
    assert (record["PartitionKey"], json.loads(record["Data"])) == ("bob", {"user": "bob"})


def test_a_state_machine_puts_a_record_into_a_stream(kinesis, sfn, stream):
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:kinesis:putRecord",
        "Parameters": {"StreamName": stream.name, "PartitionKey": "k", "Data": "aGVsbG8="},
        "End": True,
    }
    definition = json.dumps({"StartAt": "Put", "States": {"Put": task}})
    machine = sfn.create_state_machine(name=unique("m"), definition=definition, roleArn=ROLE)
    sfn.start_execution(stateMachineArn=machine["stateMachineArn"])
    assert stream.data(1) == [b"hello"]
