"""Streams over the death of the program."""

import os
import time

import pytest

from endpoint import Clock
from program.support import client

pytestmark = pytest.mark.skipif("POSTHASTE_BIN" not in os.environ, reason="needs POSTHASTE_BIN to start")

SHARD = "shardId-000000000000"


def read(kinesis, name, shard=SHARD, **more):
    """All that a shard has, behind its parents or not."""
    position = more or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName=name, ShardId=shard, **position)["ShardIterator"]
    data = []
    while iterator:
        answer = kinesis.get_records(ShardIterator=iterator)
        data += [record["Data"] for record in answer["Records"]]
        if answer["MillisBehindLatest"] == 0:
            break
        iterator = answer.get("NextShardIterator")
    return data


def test_what_was_acknowledged_is_there_when_the_program_was_killed(start, tmp_path):
    flags = ["--data", tmp_path / "data"]
    server = start(*flags)
    kinesis = client(server, "kinesis")
    kinesis.create_stream(StreamName="s", ShardCount=1)
    numbers, count = [], 0
    for round in range(4):
        for _ in range(10):
            records = [{"Data": b"%d" % (count + n), "PartitionKey": "k"} for n in range(30)]
            answer = kinesis.put_records(StreamName="s", Records=records)
            numbers += [record["SequenceNumber"] for record in answer["Records"]]
            count += 30
        if round == 2:
            # By now what came first has moved to the store.
            time.sleep(1.2)
        server.close()
        server = start(*flags)
        kinesis = client(server, "kinesis")
        assert read(kinesis, "s") == [b"%d" % n for n in range(count)]
    assert numbers == sorted(set(numbers), key=int)
    position = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": numbers[700]}
    assert read(kinesis, "s", **position)[0] == b"701"


def test_an_init_file_declares_streams(start, tmp_path):
    declared = tmp_path / "init.toml"
    file = '[[streams]]\nname = "clicks"\nshards = {}\nretention-hours = {}\ntags = {{ team = "web" }}\n'
    declared.write_text(file.format(2, 48))
    flags = ["--data", tmp_path / "data", "--init", declared]
    server = start(*flags)
    kinesis = client(server, "kinesis")
    shown = kinesis.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]
    assert (shown["OpenShardCount"], shown["RetentionPeriodHours"]) == (2, 48)
    assert kinesis.list_tags_for_stream(StreamName="clicks")["Tags"] == [{"Key": "team", "Value": "web"}]
    kinesis.put_record(StreamName="clicks", Data=b"x", PartitionKey="0", ExplicitHashKey="0")
    assert server.stop() == 0
    declared.write_text(file.format(4, 24))
    kinesis = client(start(*flags), "kinesis")
    shown = kinesis.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]
    assert (shown["OpenShardCount"], shown["RetentionPeriodHours"]) == (4, 24)
    assert read(kinesis, "clicks") == [b"x"]


def test_a_virtual_clock_moves_retention_and_iterators(start):
    server = start("--in-memory", "--virtual-clock")
    kinesis, clock = client(server, "kinesis"), Clock(server)
    kinesis.create_stream(StreamName="s", ShardCount=1)
    kinesis.put_record(StreamName="s", Data=b"old", PartitionKey="k")
    position = dict(StreamName="s", ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    iterator = kinesis.get_shard_iterator(**position)["ShardIterator"]
    clock.advance(301)
    with pytest.raises(kinesis.exceptions.ExpiredIteratorException):
        kinesis.get_records(ShardIterator=iterator)
    assert read(kinesis, "s") == [b"old"]
    clock.advance(24 * 3600)
    assert read(kinesis, "s") == []


def test_a_schedule_puts_records_into_a_stream(start):
    server = start("--in-memory", "--virtual-clock")
    kinesis, clock = client(server, "kinesis"), Clock(server)
    kinesis.create_stream(StreamName="s", ShardCount=1)
    client(server, "scheduler").create_schedule(
        Name="minutely",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "RoleArn": "arn:aws:iam::000000000000:role/any",
            "Input": "tick",
            "KinesisParameters": {"PartitionKey": "clock"},
        },
    )
    clock.advance(150)
    data = read(kinesis, "s")
    assert data and set(data) == {b"tick"}
